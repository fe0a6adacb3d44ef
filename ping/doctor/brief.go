package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"lping/ping/report"
	"lping/platform"
	"lping/platform/diagnose"
)

// shows says whether the page is about a family: those that were probed, or both if none was.
func (pic Picture) shows(family int) bool {
	return len(pic.Results) == 0 || slices.ContainsFunc(pic.Results, func(r report.Result) bool {
		return report.Family(r.Target.Address) == family
	})
}

// shown are the facts without the addresses of a family that the page is not about.
func (pic Picture) shown() platform.Facts {
	f := pic.Facts
	hidden := func(a netip.Addr) bool { return a.IsValid() && !pic.shows(report.Family(a.Unmap())) }
	f.Loopback.Value = slices.Clone(f.Loopback.Value)
	for i := range f.Loopback.Value {
		link := &f.Loopback.Value[i]
		link.Addresses = slices.DeleteFunc(slices.Clone(link.Addresses), func(a platform.Address) bool { return hidden(a.Prefix.Addr()) })
	}
	f.Localhost.Value = slices.DeleteFunc(slices.Clone(f.Localhost.Value), func(l platform.HostsLine) bool { return hidden(l.Address) })
	return f
}

// briefs say of each part in a few words how it is if all is right.
func briefs(f platform.Facts, pic Picture) []string {
	return []string{
		diagnose.PartInterface: briefInterface(f),
		diagnose.PartRoutes:    briefRoutes(f, pic),
		diagnose.PartSockets:   briefSockets(pic.Sockets),
		diagnose.PartSwitches:  "echo requests are answered",
		diagnose.PartFirewall:  briefFirewall(f),
		diagnose.PartTracking:  briefTracking(f),
		diagnose.PartQueues:    briefQueues(f),
		diagnose.PartNames:     briefNames(f),
		diagnose.PartCPU:       briefCPU(f),
		diagnose.PartProcess:   briefProcess(f),
		diagnose.PartProbe:     briefProbe(pic),
	}
}

func briefInterface(f platform.Facts) string {
	var parts []string
	for _, i := range f.Loopback.Value {
		text := fmt.Sprintf("%s is up, MTU %d", i.Name, i.MTU)
		for n, a := range i.Addresses {
			if n == 2 {
				text += fmt.Sprintf(" and %d more", len(i.Addresses)-n)
				break
			}
			text += ", " + a.Prefix.String()
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

func briefRoutes(f platform.Facts, pic Picture) string {
	var targets []string
	for _, family := range []int{4, 6} {
		if pic.shows(family) {
			targets = append(targets, f.Of(family).Target.String())
		}
	}
	verb := " stays"
	if len(targets) > 1 {
		verb = " stay"
	}
	return strings.Join(targets, " and ") + verb + " on this machine"
}

func briefSockets(trials []SocketTrial) string {
	var permitted, denied []string
	for _, row := range socketCells(trials) {
		if row[2] == outcome(nil) {
			permitted = append(permitted, row[0])
		} else {
			denied = append(denied, row[0])
		}
	}
	text := strings.Join(permitted, ", ") + " permitted"
	if len(denied) > 0 {
		text += "; not " + strings.Join(denied, ", ")
	}
	return text
}

func briefFirewall(f platform.Facts) string {
	switch n := len(slices.DeleteFunc(slices.Clone(f.Firewall.Value), neverLocal)); n {
	case 0:
		return "no chain sees packets of loopback"
	case 1:
		return "one chain or table sees packets of loopback"
	default:
		return fmt.Sprintf("%d chains and tables see packets of loopback", n)
	}
}

func briefTracking(f platform.Facts) string {
	c := f.Conntrack.Value
	return fmt.Sprintf("%d of %d entries in use", c.Count, c.Max)
}

func briefQueues(f platform.Facts) string {
	var parts []string
	for _, q := range f.Queues.Value {
		parts = append(parts, fmt.Sprintf("%s, %d dropped", q.Kind, q.Drops))
	}
	if len(parts) == 0 {
		return "nothing is queued"
	}
	return strings.Join(parts, "; ")
}

func briefNames(f platform.Facts) string {
	var parts []string
	for _, l := range f.Localhost.Value {
		parts = append(parts, l.Address.String())
	}
	if len(parts) == 0 {
		return "no line for localhost"
	}
	return "localhost is " + strings.Join(parts[:min(len(parts), 4)], ", ")
}

func briefCPU(f platform.Facts) string {
	c := f.CPU.Value
	if c.Limit == 0 {
		return "no limit"
	}
	return fmt.Sprintf("%.4g processors, throttled in %d of %d periods", c.Limit, c.Throttled, c.Periods)
}

func briefProcess(f platform.Facts) string {
	text := fmt.Sprintf("user %d", f.Process.Value.UID)
	if c := f.Container.Value; c.Runtime != "" {
		c.Sign = ""
		text += ", " + containerText(c)
	}
	return text
}

// briefProbe counts what was answered over all methods, and has the median of the first one.
func briefProbe(pic Picture) string {
	var sent, received uint64
	for _, r := range pic.Results {
		sent, received = sent+r.Summary.Sent, received+r.Summary.Received
	}
	text := fmt.Sprintf("%d of %d answered", received, sent)
	if len(pic.Results) > 0 {
		first := pic.Results[0]
		text += fmt.Sprintf(", p50 %s ms by %s", milliseconds(first.Summary.RTT, first.Summary.RTT.P50), report.Method(first.Target))
	}
	return text
}
