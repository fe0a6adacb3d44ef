package diagnose

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"lping/platform"
)

// minIPv6MTU is the smallest MTU that IPv6 runs on (RFC 8200, section 5), in bytes.
const minIPv6MTU = 1280

// loopback is the loopback interface that has the target, else the first one; if none is known, it has only the usual name.
func loopback(f platform.Facts, e Evidence) (platform.Interface, bool) {
	list, ok := f.Loopback.Get()
	if !ok || len(list) == 0 {
		usual := "lo0"
		if f.System == "linux" {
			usual = "lo"
		}
		return platform.Interface{Name: usual}, false
	}
	for _, i := range list {
		if _, ok := holding(i, f.System, e.Target); ok {
			return i, true
		}
	}
	return list[0], true
}

// holding finds the address of the interface that makes packets to this one stay on the host. On Linux (fib_add_ifaddr in
// net/ipv4/fib_frontend.c) and Windows the whole prefix of an IPv4 address on a loopback interface is local, on macOS and
// the BSDs only the address itself.
func holding(i platform.Interface, system string, to netip.Addr) (platform.Address, bool) {
	to = to.WithZone("")
	whole := to.Is4() && (system == "linux" || system == "windows")
	for _, a := range i.Addresses {
		if a.Prefix.Addr().WithZone("") == to || whole && a.Prefix.Contains(to) {
			return a, true
		}
	}
	return platform.Address{}, false
}

func loMissing(f platform.Facts, e Evidence) (Finding, bool) {
	list, ok := f.Loopback.Get()
	return Finding{
		Cause:    "there " + e.verb("is", "was") + " no loopback interface",
		Evidence: "no interface has the flag LOOPBACK",
	}, ok && len(list) == 0
}

func loDown(f platform.Facts, e Evidence) (Finding, bool) {
	i, ok := loopback(f, e)
	if !ok || i.Up() {
		return Finding{}, false
	}
	return Finding{
		Cause:    "interface " + i.Name + e.verb(" is", " was") + " down",
		Evidence: join("flags "+strings.Join(i.Flags, ","), e.sends()),
		Fix:      linkUp(f.System, i.Name),
	}, true
}

func linkUp(system, name string) string {
	switch system {
	case "linux":
		return "ip link set " + name + " up"
	case "windows":
		return ""
	}
	return "ifconfig " + name + " up"
}

// addrMissing: if the addresses are unknown, the error of bind decides.
func addrMissing(f platform.Facts, e Evidence) (Finding, bool) {
	i, ok := loopback(f, e)
	if !ok {
		return Finding{
			Cause:    "address " + e.Target.String() + e.verb(" is", " was") + " likely not on this host",
			Evidence: join(e.sends(), "addresses unknown: "+f.Loopback.Reason()),
			Fix:      addAddress(f.System, i.Name, e.Target),
		}, !f.Loopback.OK && e.Bind == "EADDRNOTAVAIL"
	}
	a, found := holding(i, f.System, e.Target)
	if found && a.Usable() {
		return Finding{}, false
	}
	out := Finding{
		Cause:    fmt.Sprintf("address %s %s not on interface %s", e.Target, e.verb("is", "was"), i.Name),
		Evidence: join(i.Name+" has "+addresses(i), e.sends()),
		Fix:      addAddress(f.System, i.Name, e.Target),
	}
	if found {
		out.Cause = fmt.Sprintf("address %s on %s %s %s", e.Target, i.Name, e.verb("is", "was"), strings.Join(a.Flags, ", "))
		out.Fix = fmt.Sprintf("ip address change %s dev %s nodad", a.Prefix, i.Name)
	}
	return out, true
}

func addresses(i platform.Interface) string {
	return listed(i.Addresses, "no address", func(a platform.Address) string { return a.Prefix.String() })
}

// addAddress is the command that puts an address on an interface.
func addAddress(system, name string, a netip.Addr) string {
	a = a.WithZone("")
	bits := a.BitLen()
	if a == netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		bits = 8
	}
	switch {
	case system == "linux":
		return fmt.Sprintf("ip address add %s/%d dev %s", a, bits, name)
	case system == "windows":
		return ""
	case a.Is6():
		return fmt.Sprintf("ifconfig %s inet6 %s prefixlen %d alias", name, a, bits)
	}
	return fmt.Sprintf("ifconfig %s alias %s", name, a)
}

// ipv6Disabled is an error only if the user asked for IPv6.
func ipv6Disabled(f platform.Facts, e Evidence) (Finding, bool) {
	off, known := f.IPv6Off.Get()
	var out Finding
	if !e.Asked {
		out.Severity = Info
	}
	switch {
	case e.Family != 6:
		return Finding{}, false
	case known && off.Absent || !known && (e.Datagram == "EAFNOSUPPORT" && e.Raw == "EAFNOSUPPORT" || e.Stream == "EAFNOSUPPORT"):
		out.Cause = "this kernel runs without IPv6"
		out.Evidence = join(opened(e), absence(off))
		out.Fix = "boot without ipv6.disable=1"
		return out, true
	case !known || !off.Loopback:
		return Finding{}, false
	}
	out.Cause = "IPv6 " + e.verb("is", "was") + " switched off on the loopback interface"
	out.Evidence = fmt.Sprintf("disable_ipv6 is lo %d, all %d, default %d",
		bit(off.Loopback), bit(off.All), bit(off.Default))
	out.Fix = enableIPv6(f, off)
	return out, true
}

func absence(off platform.IPv6Off) string {
	if off.Absent {
		return "/proc/sys/net/ipv6 is not there"
	}
	return ""
}

// enableIPv6 is the setting for this place. Kubernetes counts it as unsafe, so that the node has to allow it.
func enableIPv6(f platform.Facts, off platform.IPv6Off) string {
	conf := "lo"
	if off.All {
		conf = "all"
	}
	return setting(f, "net.ipv6.conf."+conf+".disable_ipv6", "0")
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func ipv6MTU(f platform.Facts, e Evidence) (Finding, bool) {
	i, ok := loopback(f, e)
	if !ok || e.Family != 6 || f.System != "linux" || i.MTU >= minIPv6MTU {
		return Finding{}, false
	}
	out := Finding{
		Cause:    fmt.Sprintf("MTU %d of %s %s too small for IPv6 (%d)", i.MTU, i.Name, e.verb("is", "was"), minIPv6MTU),
		Evidence: join(fmt.Sprintf("%s has MTU %d and %s", i.Name, i.MTU, addresses(i)), e.sends()),
		Fix:      fmt.Sprintf("ip link set %s mtu 65536 down && ip link set %s up", i.Name, i.Name),
	}
	if !e.Asked {
		out.Severity = Warning
	}
	return out, true
}

// hostsLocalhost: the hosts file cannot be read, has no address for localhost, or one that is not on loopback (RFC 6761,
// section 6.3). That is a warning, since lping itself does not ask the hosts file. It says nothing of the target's own address: if
// that is missing, other rules say so, and 127.0.0.1 belongs in the file even if lo is down. Nor does ::1 harm on a kernel without
// IPv6, where no program can ask for it.
func hostsLocalhost(f platform.Facts, e Evidence) (Finding, bool) {
	lines, ok := f.Localhost.Get()
	switch {
	case !ok:
		return noHosts(f)
	case len(lines) == 0:
		return Finding{
			Cause:    "the hosts file does not name localhost",
			Evidence: "/etc/hosts: " + hostsText(lines),
			Fix:      hostsFix(f, "add to /etc/hosts: 127.0.0.1 localhost", ""),
		}, true
	}
	for _, l := range lines {
		a := l.Address.WithZone("")
		absent := a.Is6() && f.IPv6Off.Value.Absent
		if absent || onLoopback(f, a) || a.Is6() != (e.Family == 6) && !e.Named {
			continue
		}
		return Finding{
			Cause:    fmt.Sprintf("the hosts file says that localhost is %s, which is not on loopback", a),
			Evidence: "/etc/hosts: " + hostsText(lines),
			Fix:      localhostFix(f, a),
		}, a != e.Target || a.Is6() && e.lacksAnswers() && !e.Asked
	}
	return Finding{}, false
}

// localhostFix is for an address that is not on loopback. The lines with 127.0.0.1 and ::1 in a container are the engine's own.
func localhostFix(f platform.Facts, a netip.Addr) string {
	here := fmt.Sprintf("in /etc/hosts, take localhost off the line %s", a)
	fix := hostsFix(f, here, "keep localhost out of ")
	off := f.IPv6Off.Value
	switch {
	case fix == here || !a.IsLoopback():
		return fix
	case a.Is6() && off.Loopback:
		return enableIPv6(f, off)
	}
	return addAddress(f.System, "lo", a)
}

// noHosts is about what is in the place of the hosts file.
func noHosts(f platform.Facts) (Finding, bool) {
	out := Finding{Evidence: f.Localhost.Reason()}
	switch f.HostsFile {
	case platform.HostsMissing:
		out.Cause = "there is no hosts file"
		out.Fix = hostsFix(f, "write to /etc/hosts: 127.0.0.1 localhost", "")
	case platform.HostsUnreadable:
		out.Cause = "this user may not read the hosts file"
		out.Fix = "chmod 644 /etc/hosts"
	case platform.HostsDirectory:
		out.Cause = "the hosts file is a directory"
		out.Fix = hostsFix(f, "rmdir /etc/hosts; then write to it: 127.0.0.1 localhost", "")
	case platform.HostsSpecial:
		out.Cause = "the hosts file is no regular file"
		out.Fix = hostsFix(f, "write a file in its place: 127.0.0.1 localhost", "")
	default:
		return Finding{}, false
	}
	return out, true
}

// hostsFix is for this place. In a container it is not the user who writes the hosts file.
func hostsFix(f platform.Facts, here, leaveOut string) string {
	c := f.Container.Value
	option, writer := "", ""
	switch c.Runtime {
	case "docker", "podman":
		option, writer = "--add-host", c.Runtime
	case "kubernetes", "containerd", "cri-o":
		option, writer = "hostAliases", "the kubelet"
	default:
		return here
	}
	if leaveOut != "" {
		leaveOut += option + " and "
	}
	text := leaveOut + "mount nothing at /etc/hosts: " + writer + " writes it"
	if c.HostNetwork {
		text += " from the host's"
	}
	return text
}

// onLoopback says that an address is on a loopback interface, or that the interfaces are unknown.
func onLoopback(f platform.Facts, a netip.Addr) bool {
	list, ok := f.Loopback.Get()
	return !ok || slices.ContainsFunc(list, func(i platform.Interface) bool {
		_, found := holding(i, f.System, a)
		return found
	})
}

func hostsText(lines []platform.HostsLine) string {
	return listed(lines, "no line with localhost", func(l platform.HostsLine) string {
		return l.Address.String() + " " + strings.Join(l.Names, " ")
	})
}
