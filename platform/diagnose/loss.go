package diagnose

import (
	"fmt"
	"strings"

	"lping/platform"
)

// packetLoss is partial loss that nothing else explains.
func packetLoss(_ platform.Facts, e Evidence) (Finding, bool) {
	missing := e.missing()
	out := Finding{
		Severity: Error,
		Cause:    fmt.Sprintf("%d of %d probes were lost", missing, e.Sent),
		Evidence: join(tally(e), e.sends(), e.moved(), e.udp()),
		Fix:      "look for rules that limit a rate (nft list ruleset; tc -s qdisc show dev lo)",
	}
	if e.Late == missing {
		out.Cause = fmt.Sprintf("%d of %d answers came after the timeout", e.Late, e.Sent)
		out.Fix = "free the CPU, or allow more time (-W)"
	}
	return out, e.Received > 0 && missing > 0
}

// unexplained tells what is known where no rule knows the cause.
func unexplained(f platform.Facts, e Evidence) (Finding, bool) {
	return Finding{
		Severity: Error,
		Cause:    "no known cause",
		Evidence: join(tally(e), opened(e), e.sends(), e.moved(), e.udp(), unread(f, e)),
		Fix:      "lping doctor shows all that was read",
	}, e.Method != "" && e.missing() > 0 || e.Method == "" && !denied(e)
}

// denied says that the missing socket has its own finding.
func denied(e Evidence) bool {
	_, ok := icmpNotPermitted(platform.Facts{}, e)
	return ok
}

// tally counts the classes of probes that are not empty.
func tally(e Evidence) string {
	var parts []string
	for _, c := range []struct {
		n    uint64
		name string
	}{
		{e.Sent, "sent"}, {e.Received, "received"}, {e.Lost, "lost"}, {e.Late, "late"},
		{e.Corrupted, "corrupted"}, {e.SendErrors, "send errors"},
	} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.name))
		}
	}
	return strings.Join(parts, ", ")
}

// unread tells which facts that a cause could hide in are unknown, and why.
func unread(f platform.Facts, e Evidence) string {
	family := f.Of(e.Family)
	var parts []string
	for _, u := range []struct{ name, why string }{
		{"interface", f.Loopback.Reason()}, {"routes", family.Lookup.Reason()}, {"rules", family.Rules.Reason()},
		{"echo_ignore_all", family.EchoIgnored.Reason()}, {"counters", family.Counters.Reason()},
		{"firewall", f.Firewall.Reason()},
	} {
		if u.why != "" {
			parts = append(parts, u.name+" unknown: "+u.why)
		}
	}
	return strings.Join(parts, ", ")
}
