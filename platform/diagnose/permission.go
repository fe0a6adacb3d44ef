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

// icmpNotPermitted is an error only if nothing could be sent: a run over UDP is healthy or not by its own results.
// The fix is never CAP_NET_RAW: adding it to a container gives it to root there, not to another user.
func icmpNotPermitted(f platform.Facts, e Evidence) (Finding, bool) {
	denied := []string{"EACCES", "EPERM"}
	if e.icmp() && forbidden(f, e) {
		return sendForbidden(f, e), true
	}
	if e.icmp() || !slices.Contains(denied, e.Datagram) && !slices.Contains(denied, e.Raw) || e.allowed() {
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
	case f.System != "linux" || !slices.Contains(denied, e.Datagram):
		out.Fix = "run it as root"
	case e.Datagram == "EPERM" || permitted(f):
		out.Cause = "a security policy (seccomp, SELinux, AppArmor) likely forbids ICMP sockets"
		out.Fix = "allow ICMP datagram sockets in its profile: socket, bind, setsockopt"
	case f.Process.Value.Unmapped && !outside(f):
		out.Fix = "give the user namespace a map of ids: unshare -r; newgidmap"
	default:
		out.Fix = setting(f, groupRange, `"`+groups(f)+`"`)
	}
	return out, true
}

// forbidden says that a security policy refused to send: netfilter and programs on egress would have counted OutDiscards,
// IPsec has its own counters, and TCP reports none of them. A cgroup program can refuse UDP in the same way
// (BPF_CGROUP_UDP4_SENDMSG), so for UDP and TCP only a seccomp filter of this process is blamed.
func forbidden(f platform.Facts, e Evidence) bool {
	c, ok := e.counted()
	if !ok || !e.lacksAnswers() || e.Probe.Errno != "EPERM" || !c.XfrmCounted || refusedOut(c)+c.OutDiscards > 0 {
		return false
	}
	filtered := f.Process.Value.Seccomp == "filter"
	return e.icmp() && c.OutEchos == 0 || filtered && !e.icmp() && (e.tcp() || c.OutRequests == 0)
}

func sendForbidden(f platform.Facts, e Evidence) Finding {
	seccomp := f.Process.Value.Seccomp
	policies := "SELinux, AppArmor"
	if seccomp != "disabled" {
		policies = "seccomp, " + policies
	}
	return Finding{
		Cause:    "a security policy (" + policies + ") likely " + e.verb("forbids", "forbade") + " sending",
		Evidence: join(e.sends(), e.moved(), e.udp(), "seccomp: "+cmp.Or(seccomp, "unknown")),
		Fix:      "allow sendto and sendmsg in its profile",
	}
}

// allowed says that a kind of socket is permitted, and something else was wrong with it.
func (e Evidence) allowed() bool {
	if e.Method == "" && e.exhausted() {
		return true
	}
	refusals := []string{"", "EACCES", "EPERM", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT"}
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
