package diagnose

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"lping/platform"
)

// groupRange is the sysctl by which Linux permits ICMP datagram sockets of both families (net/ipv4/ping.c).
const groupRange = "net.ipv4.ping_group_range"

// icmpNotPermitted is what the kernel's own settings forbid. It is an error only if nothing could be sent: a run over UDP is
// healthy or not by its own results. The fix is never CAP_NET_RAW: adding it to a container gives it to root there, not to
// another user.
func icmpNotPermitted(f platform.Facts, e Evidence) (Finding, bool) {
	if e.icmp() || e.Datagram == "" && e.Raw == "" || e.allowed() {
		return Finding{}, false
	}
	out := Finding{Cause: "ICMP sockets are not permitted here", Evidence: join(opened(e), rights(f))}
	if e.Method != "" {
		out.Severity = Info
	}
	switch {
	case e.Datagram == "":
		out.Cause = "raw ICMP sockets are not permitted here"
		out.Fix = "lping --socket auto"
	case f.System != "linux" || !slices.Contains([]string{"EACCES", "EPERM"}, e.Datagram):
		out.Fix = "run it as root"
	case f.Process.Value.Unmapped && !outside(f):
		out.Fix = "give the user namespace a map of ids: unshare -r; newgidmap"
	default:
		out.Fix = setting(f, groupRange, `"`+groups(f)+`"`)
	}
	return out, true
}

// denial is a system call that nothing but a policy refuses so.
type denial struct {
	call, errno string
	// instead says that UDP took the place of what was refused.
	instead bool
}

// policyDenies is an error only if nothing could be sent.
func policyDenies(f platform.Facts, e Evidence) (Finding, bool) {
	d, ok := denied(f, e)
	if !ok {
		return Finding{}, false
	}
	call := d.call
	if d.errno == "EAFNOSUPPORT" {
		call += "(" + addressFamily(e) + ")"
	}
	seccomp := cmp.Or(f.Process.Value.Seccomp, "unknown")
	out := Finding{
		Cause:    fmt.Sprintf("a policy (%s) denies %s: %s", policies(seccomp, d.errno), call, d.errno),
		Evidence: join(opened(e), e.sends(), received(e), e.moved(), e.udp(), "seccomp: "+seccomp),
		Fix:      permit(f, e, d),
	}
	if d.instead {
		out.Severity = Info
	}
	return out, true
}

// received tells why the socket could not be read.
func received(e Evidence) string {
	if e.Receive == "" {
		return ""
	}
	return "receive got " + e.Receive
}

// addressFamily is the constant for the family of the target.
func addressFamily(e Evidence) string {
	if e.Family == 6 {
		return "AF_INET6"
	}
	return "AF_INET"
}

// denied finds the system call that a policy refused: when a socket was opened, else when it sent or received.
func denied(f platform.Facts, e Evidence) (denial, bool) {
	if f.System != "linux" {
		return denial{}, false
	}
	instead := e.Method != ""
	stream := denial{cmp.Or(e.StreamCall, "socket"), e.Stream, false}
	datagram := denial{cmp.Or(e.DatagramCall, "socket"), e.Datagram, instead}
	raw := denial{cmp.Or(e.RawCall, "socket"), e.Raw, instead}
	switch {
	case e.exhausted():
		return denial{}, false
	case e.Method == "" && byPolicy(f, e, e.Stream):
		return stream, true
	case byPolicy(f, e, e.Datagram) && !(datagram == denial{"socket", "EACCES", instead} && !permitted(f)):
		return datagram, true
	case e.Datagram == "" && byPolicy(f, e, e.Raw) && !(raw == denial{"socket", "EPERM", instead} && !mayOpenRaw(f)):
		return raw, true
	}
	if e.Method == "" || !e.lacksAnswers() && (e.Receive == "" || e.Received == e.Sent) {
		return denial{}, false
	}
	_, rule := ruleBlocks(f, e)
	if _, route := routeMissing(f, e); rule || route {
		return denial{}, false // which gives such errors, too
	}
	for _, r := range e.Refused {
		if r.Call != "" && byPolicy(f, e, r.Errno) || r.Errno == "ENOSYS" {
			return denial{call: cmp.Or(r.Call, "sendto"), errno: r.Errno}, true
		}
	}
	switch l, ok := f.Of(e.Family).Lookup.Get(); {
	case byPolicy(f, e, e.Receive):
		return denial{call: "recvmsg", errno: e.Receive}, true
	case sendForbidden(e):
		return denial{call: "sendto", errno: "EPERM"}, true
	case e.refused("EACCES") && (!ok || l.Errno == "" && staysHere(f, l.Route)): // no rule says so
		return denial{call: "sendto", errno: "EACCES"}, true
	}
	return denial{}, false
}

// byPolicy says whether an errno of a system call is one that policies give. Some are also what a kernel says that lacks
// something: those count if there is a filter, or if the kernel is known to have it.
func byPolicy(f platform.Facts, e Evidence, errno string) bool {
	seccomp := f.Process.Value.Seccomp // which alone answers with what is no refusal
	switch errno {
	case "EPERM", "EACCES":
		return true
	case "ENOSYS":
		return seccomp != "disabled"
	case "EAFNOSUPPORT":
		off, known := f.IPv6Off.Get()
		return seccomp != "disabled" && (e.Family == 4 || known && !off.Absent)
	case "EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "EINVAL":
		return seccomp == "filter"
	}
	return false
}

// mayOpenRaw says that the kernel itself would let this process open a raw socket.
func mayOpenRaw(f platform.Facts) bool {
	p, ok := f.Process.Get()
	return ok && p.Effective.NetRaw && !p.OuterNetwork
}

// sendForbidden says that a policy refused to send: netfilter and programs on egress would have counted OutDiscards, and IPsec
// has its own counters.
func sendForbidden(e Evidence) bool {
	c, ok := e.counted()
	if !ok || e.tcp() || !e.lacksAnswers() || e.Probe.Errno != "EPERM" || !c.XfrmCounted || refusedOut(c)+c.OutDiscards > 0 {
		return false
	}
	return e.icmp() && c.OutEchos == 0 || !e.icmp() && c.OutRequests == 0
}

// policies names those that may have given an errno.
func policies(seccomp, errno string) string {
	module := "SELinux, AppArmor"
	switch {
	case errno != "EPERM" && errno != "EACCES":
		return "seccomp"
	case errno == "EPERM":
		module = "a cgroup program"
	}
	if seccomp == "disabled" {
		return module
	}
	return "seccomp, " + module
}

// permit is how a call is allowed in this place.
func permit(f platform.Facts, e Evidence, d denial) string {
	switch runtime := f.Container.Value.Runtime; {
	case f.Process.Value.Seccomp == "disabled" && d.errno == "EPERM":
		return "bpftool cgroup tree, then detach the program that denies " + d.call
	case f.Process.Value.Seccomp == "disabled":
		return "allow " + d.call + " in the profile of SELinux (ausearch -m avc) or AppArmor (aa-status)"
	case runtime == "docker" || runtime == "podman":
		return runtime + " run --security-opt seccomp=FILE, a profile that allows " + d.call
	case slices.Contains([]string{"kubernetes", "containerd", "cri-o"}, runtime):
		return "pod securityContext.seccompProfile: one that allows " + d.call
	case d.errno == "EAFNOSUPPORT":
		return "in the systemd unit: RestrictAddressFamilies=" + addressFamily(e)
	}
	return "in the systemd unit: SystemCallFilter=" + d.call
}

// allowed says that a kind of socket is permitted, and something else was wrong with it.
func (e Evidence) allowed() bool {
	if e.Method == "" && e.exhausted() {
		return true
	}
	refusals := []string{"", "EACCES", "EPERM", "ENOSYS", "EINVAL", "EAFNOSUPPORT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT"}
	return !slices.Contains(refusals, e.Datagram) || !slices.Contains(refusals, e.Raw)
}

// opened tells which sockets could not be opened.
func opened(e Evidence) string {
	var parts []string
	if e.Datagram != "" {
		parts = append(parts, "datagram socket: "+e.Datagram)
	}
	if e.Raw != "" {
		parts = append(parts, "raw socket: "+e.Raw)
	}
	if e.Stream != "" {
		parts = append(parts, "socket for UDP or TCP: "+e.Stream)
	}
	return strings.Join(parts, ", ")
}

// rights tells what the kernel decides by.
func rights(f platform.Facts) string {
	var parts []string
	if r, ok := f.PingGroups.Get(); ok {
		parts = append(parts, "ping_group_range is "+r.String())
	}
	if p, ok := f.Process.Get(); ok {
		parts = append(parts, fmt.Sprintf("our groups are %s", numbers(ownGroups(p))))
		if !p.Effective.NetRaw {
			parts = append(parts, "CAP_NET_RAW is not effective")
		}
		if in, _ := p.UserNamespace.Get(); in {
			parts = append(parts, "in a user namespace"+unnamed(p))
		}
	}
	return strings.Join(parts, ", ")
}

func unnamed(p platform.Process) string {
	if p.Unmapped {
		return " that has no number for our group"
	}
	return ""
}

func ownGroups(p platform.Process) []int64 { return append([]int64{p.GID}, p.Groups...) }

func numbers(list []int64) string { return strings.Trim(fmt.Sprint(list), "[]") }

// overflowGroup is what a user namespace shows for a group that it does not have, such as the limits of a range for nobody
// (user_namespaces(7)).
const overflowGroup = 65534

// permitted says that the kernel's own setting permits datagram sockets, so that something else refused.
func permitted(f platform.Facts) bool {
	r, ok := f.PingGroups.Get()
	p, known := f.Process.Get()
	if in, _ := p.UserNamespace.Get(); in && (r.Low == overflowGroup || r.High == overflowGroup) {
		return false
	}
	return ok && known && slices.ContainsFunc(ownGroups(p), r.Contains)
}

// outside says that sysctls of the network are set outside of the user namespace of this process.
func outside(f platform.Facts) bool {
	return f.Process.Value.OuterNetwork || f.Container.Value.HostNetwork
}

// groups is the range to permit: everyone or, in a user namespace, which has only some groups, the group of this process.
func groups(f platform.Facts) string {
	p, known := f.Process.Get()
	if in, _ := p.UserNamespace.Get(); known && in && !outside(f) {
		return platform.Range{Low: p.GID, High: p.GID}.String()
	}
	return "0 2147483647"
}

// setting is how a sysctl is set in this place. In a container the runtime sets it, from outside; with the host's network it
// refuses to.
func setting(f platform.Facts, key, value string) string {
	if f.Container.Value.HostNetwork {
		return "sysctl -w " + key + "=" + value + " # on the host"
	}
	switch f.Container.Value.Runtime {
	case "docker":
		return "docker run --sysctl " + key + "=" + value
	case "podman":
		return "podman run --sysctl " + key + "=" + value
	case "kubernetes", "containerd", "cri-o":
		return fmt.Sprintf("pod securityContext.sysctls: {name: %s, value: %s}", key, quoted(value))
	}
	if f.Process.Value.OuterNetwork {
		return "sysctl -w " + key + "=" + value + " # outside of the user namespace"
	}
	return "sysctl -w " + key + "=" + value
}

// quoted is a value as YAML needs it: a string.
func quoted(s string) string { return `"` + strings.Trim(s, `"`) + `"` }
