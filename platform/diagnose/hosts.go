package diagnose

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"lping/platform"
)

// hostsLocalhost: localhost means another address than ours, or none (RFC 6761, section 6.3). That is a warning, for
// lping itself does not ask the hosts file. Where the target that was asked for is missing, other rules
// tell, and 127.0.0.1 belongs into the file whether lo is up or not.
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
		case !here(f, a):
			out.Cause = fmt.Sprintf("the hosts file says that localhost is %s, which is not on loopback", a)
			out.Fix = fmt.Sprintf("in /etc/hosts, take localhost off the line %s", a)
			return out, a != e.Target || a.Is6() && e.troubled() && !e.Asked
		}
	}
	return Finding{}, false
}

// here says whether an address is on a loopback interface, or nobody knows.
func here(f platform.Facts, a netip.Addr) bool {
	list, ok := f.Loopback.Get()
	return !ok || slices.ContainsFunc(list, func(i platform.Interface) bool {
		_, found := holding(i, f.System, a)
		return found
	})
}

func hostsText(lines []platform.HostsLine) string {
	if len(lines) == 0 {
		return "no line with localhost"
	}
	var list []string
	for _, l := range lines {
		list = append(list, l.Address.String()+" "+strings.Join(l.Names, " "))
	}
	return strings.Join(list, ", ")
}
