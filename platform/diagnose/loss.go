package diagnose

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"lping/platform"
)

// tooLarge is the fix for probes that are larger than the MTU and may not be fragmented.
const tooLarge = "smaller probes, or -M want"

// manyFragments are so many that no send buffer of the usual size has room for them.
const manyFragments = 400

// tooManyFragments says that a probe makes more fragments than a send buffer has room for: send fails with ENOBUFS before any
// packet is counted (ip_append_data), while a queueing discipline makes it fail after that. If the reply is the one with too
// many, ICMP makes none.
func tooManyFragments(f platform.Facts, e Evidence) bool {
	c, ok := e.counted()
	i, known := loopback(f, e)
	packets := c.OutRequests
	if e.icmp() {
		packets = c.OutEchos
	}
	mixed := !ok && e.Probe != nil && known && e.Size > manyFragments*i.MTU // the size alone tells
	unmade := (ok || mixed) && e.Probe.Errno == "ENOBUFS" && packets == 0 || e.stage() == atEcho && c.OutDiscards > 0
	return known && unmade && c.QueueDrops == 0 && e.Size > i.MTU
}

// fewerFragments is the cause and the fix if there are too many fragments.
func fewerFragments(f platform.Facts, e Evidence) (cause, fix string) {
	i, _ := loopback(f, e)
	cause = fmt.Sprintf("a probe with %d data bytes likely %s too many fragments for MTU %d", e.Size, e.verb("makes", "made"), i.MTU)
	return cause, fmt.Sprintf("smaller probes, or ip link set %s mtu 65536", i.Name)
}

// noDescriptor is the cause if no file descriptor is left, moreDescriptors the fix.
func (e Evidence) noDescriptor() string {
	return "no file descriptor " + e.verb("is", "was") + " left for a socket"
}

const moreDescriptors = "raise the limit: ulimit -n"

// packetLoss is partial loss that nothing else explains.
func packetLoss(f platform.Facts, e Evidence) (Finding, bool) {
	missing := e.missing()
	out := Finding{
		Cause:    fmt.Sprintf("%d of %d probes were lost", missing, e.decided()),
		Evidence: join(tally(e), e.sends(), e.moved(), e.udp()),
		Fix:      "look for rules that limit a rate (nft list ruleset; tc -s qdisc show dev lo)",
	}
	if e.Late == missing {
		out.Cause = fmt.Sprintf("%d of %d answers came after the timeout", e.Late, e.decided())
		out.Fix = "free the CPU, or allow more time (-W)"
	}
	if e.Silent == missing {
		out.Cause = fmt.Sprintf("%d of %d probes had no answer when the run was interrupted", e.Silent, e.decided())
	}
	if cause, fix := e.ended(); cause != "" {
		out.Cause, out.Fix = cause, fix
	}
	if away := e.away(); away*2 > missing {
		out.Cause = fmt.Sprintf("%s or its route was away for %d of %d probes", e.Target, away, e.decided())
		out.Fix = "look what changes the network meanwhile: ip monitor"
	}
	if e.Port != 0 && e.Lost == missing {
		out.Cause = fmt.Sprintf("%s answered %d of %d probes", e.service(), e.Received, e.decided())
		out.Fix = "look at the log of the service, and at limits of its rate; -i 1 asks it less often"
	}
	switch {
	case e.refused("EMSGSIZE"):
		out.Fix = tooLarge
	case tooManyFragments(f, e):
		out.Cause, out.Fix = fewerFragments(f, e)
	case e.exhausted():
		out.Cause, out.Fix = e.noDescriptor(), moreDescriptors
	}
	out.Cause = cmp.Or(e.Sweep, out.Cause)
	return out, missing > 0 && (e.Received > 0 || e.Late == missing)
}

// away is how many sends were told that there is no such address, or no way to it.
func (e Evidence) away() (n uint64) {
	for _, r := range e.Refused {
		if slices.Contains([]string{"EADDRNOTAVAIL", "ENETUNREACH", "EHOSTUNREACH"}, r.Errno) {
			n += r.Count
		}
	}
	return n
}

// decided is the number of probes whose fate is known.
func (e Evidence) decided() uint64 { return e.Received + e.Corrupted + e.missing() }

// NoCause is the cause of a finding that names none.
const NoCause = "no known cause"

// unexplained tells what is known if no other rule found a cause.
func unexplained(f platform.Facts, e Evidence) (Finding, bool) {
	cause, fix := NoCause, "lping doctor shows all that was read"
	why, remedy := e.ended()
	switch {
	case e.refused("EMSGSIZE"):
		cause = fmt.Sprintf("a probe with %d data bytes %s too large to leave in one piece", e.Size, e.verb("is", "was"))
		fix = tooLarge
	case tooManyFragments(f, e):
		cause, fix = fewerFragments(f, e)
	case e.exhausted():
		cause, fix = e.noDescriptor(), moreDescriptors
	case why != "":
		cause, fix = why, remedy
	}
	return Finding{
		Cause:    cmp.Or(e.Sweep, cause),
		Evidence: join(tally(e), opened(e), e.sends(), e.moved(), e.udp(), unread(f, e)),
		Fix:      fix,
	}, (e.Method == "" || e.missing() > 0) && !notPermitted(f, e)
}

// ended tells what ended an established connection, and what to look at; empty if nothing did.
func (e Evidence) ended() (cause, fix string) {
	if !e.tcp() {
		return "", ""
	}
	what := "connection"
	fix = "look for what is in between: a proxy, or a rule that resets or redirects (nft list ruleset)"
	if e.Port != 0 {
		what, fix = "connection to "+e.service(), "look at the log of the service"
	}
	switch {
	case e.refused("ECONNRESET"):
		return "something " + e.verb("resets", "reset") + " the " + what, fix
	case e.refused("EPIPE"):
		return "something " + e.verb("closes", "closed") + " the " + what, fix
	case e.refused("EPROTO"):
		return "something " + e.verb("writes", "wrote") + " into the " + what + " what was not sent", fix
	}
	return "", fix
}

// exhausted says that this process or the system has no file descriptor left.
func (e Evidence) exhausted() bool {
	short := []string{"EMFILE", "ENFILE"}
	opened := []string{e.Datagram, e.Raw, e.Stream}
	return e.refused(short...) || slices.ContainsFunc(opened, func(s string) bool { return slices.Contains(short, s) })
}

// notPermitted says that the system or a policy forbids what would have had to be done.
func notPermitted(f platform.Facts, e Evidence) bool {
	_, kernel := icmpNotPermitted(f, e)
	d, policy := denied(f, e)
	return kernel && e.Method == "" || policy && !d.instead
}

// tally lists how many probes ended in which class.
func tally(e Evidence) string {
	var parts []string
	for _, c := range []struct {
		n    uint64
		name string
	}{
		{e.Sent, "sent"}, {e.Received, "received"}, {e.Lost, "lost"}, {e.Late, "late"},
		{e.Corrupted, "corrupted"}, {e.SendErrors, "send errors"}, {e.Silent, "without an answer"},
	} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.name))
		}
	}
	return strings.Join(parts, ", ")
}

// unread tells which facts are unknown that might have shown a cause, and why.
func unread(f platform.Facts, e Evidence) string {
	family := f.Of(e.Family)
	var parts []string
	for _, u := range []struct{ name, why string }{
		{"interface", f.Loopback.Reason()}, {"routes", family.Lookup.Reason()}, {"rules", family.Rules.Reason()},
		{"echo_ignore_all", family.EchoIgnored.Reason()}, {"icmp_ratemask", f.ICMPLimit.Reason()}, {"counters", family.Counters.Reason()},
		{"firewall", f.Firewall.Reason()},
	} {
		if u.why != "" {
			parts = append(parts, u.name+" unknown: "+u.why)
		}
	}
	return strings.Join(parts, ", ")
}
