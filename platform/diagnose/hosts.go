package diagnose

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"lping/platform"
)

// hostsLocalhost: the hosts file has no address for localhost, or one that is not on loopback (RFC 6761, section 6.3). That
// is a warning, since lping itself does not ask the hosts file. It says nothing of the target's own address: if that is
// missing, other rules say so, and 127.0.0.1 belongs in the file even if lo is down.
func hostsLocalhost(f platform.Facts, e Evidence) (Finding, bool) {
	lines, ok := f.Localhost.Get()
	if !ok {
		return Finding{}, false
	}
	out := Finding{Evidence: "/etc/hosts: " + hostsText(lines)}
	if len(lines) == 0 {
		out.Cause = "the hosts file does not name localhost"
		out.Fix = "add to /etc/hosts: 127.0.0.1 localhost"
		return out, true
	}
	for _, l := range lines {
		a := l.Address.WithZone("")
		switch {
		case a.Is6() != (e.Family == 6) && !e.Named:
		case a.Is6() && f.IPv6Off.Value.Absent: // no program gets an IPv6 address from the file then
		case !onLoopback(f, a):
			out.Cause = fmt.Sprintf("the hosts file says that localhost is %s, which is not on loopback", a)
			out.Fix = fmt.Sprintf("in /etc/hosts, take localhost off the line %s", a)
			return out, a != e.Target || a.Is6() && e.lacksAnswers() && !e.Asked
		}
	}
	return Finding{}, false
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
