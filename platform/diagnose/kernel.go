package diagnose

import (
	"fmt"

	"lping/platform"
	"lping/platform/droptrace"
)

// nearlyFull is how full the connection table must be to be blamed, in percent. It need not be quite full: entries come and
// go between the probe and the reading.
const nearlyFull = 99

// fewEntries is a size of that table that any host has room for.
const fewEntries = 1024

// echoIgnored goes by the switch, and by the counters only if the switch cannot be read.
func echoIgnored(f platform.Facts, e Evidence) (Finding, bool) {
	if !e.icmp() && e.Method != "" || e.Probe != nil && e.Probe.Answered {
		return Finding{}, false
	}
	key := "net.ipv4.icmp_echo_ignore_all"
	if e.Family == 6 {
		key = "net.ipv6.icmp.echo_ignore_all"
	}
	on, known := f.Of(e.Family).EchoIgnored.Get()
	state, found := key+" is 1", on
	if !known {
		c, _ := e.counted()
		state = key + " unknown: " + f.Of(e.Family).EchoIgnored.Reason()
		_, _, told := e.word()
		found = e.stage() == atEcho && refusedOut(c)+c.RateLimited == 0 && !tooManyFragments(f, e) && !told
	}
	return Finding{
		Cause:    blame("the kernel", known, e.verb("ignores", "ignored")+" echo requests"),
		Evidence: join(state, e.moved(), e.udp()),
		Fix:      setting(f, key, "0"),
	}, found
}

// rateMask is the sysctl with a bit for each type of ICMP of IPv4 that is limited.
const rateMask = "net.ipv4.icmp_ratemask"

// rateLimited: of the limits for ICMP only the one for all messages of IPv4 holds on loopback (icmpv4_global_allow); that for a
// host (icmp_ratelimit) and those of IPv6 leave it out. The counter is everybody's, so the switch has to agree.
func rateLimited(f platform.Facts, e Evidence) (Finding, bool) {
	l, known := f.ICMPLimit.Get()
	covers := l.Mask&1 != 0 // echo reply is type 0
	if e.Family != 4 || !e.icmp() || known && !covers {
		return Finding{}, false
	}
	c, _ := e.counted()
	silent := e.stage() == atEcho && refusedOut(c) == 0 && !tooManyFragments(f, e)
	// The extra probe may be one of those that pass.
	some := known && e.stage() == unclear && e.Received > 0 && e.Lost > 0 && f.IPv4.Counters.Value.RateLimited > 0
	state, mask := rateMask+" unknown: "+f.ICMPLimit.Reason(), "6168" // the default
	if known {
		state, mask = limitText(l), fmt.Sprint(l.Mask&^1)
	}
	return Finding{
		Cause:    blame("a rate limit for ICMP", c.RateLimited > 0, e.verb("drops", "dropped")+" the echo replies"),
		Evidence: join(state, tally(e), e.moved(), e.udp()),
		Fix:      setting(f, rateMask, mask),
	}, c.RateLimited > 0 && (silent || known) || silent && known || some
}

func limitText(l platform.ICMPLimit) string {
	text := fmt.Sprintf("%s is %d, which covers echo replies", rateMask, l.Mask)
	perSecond, ok1 := l.PerSecond.Get()
	burst, ok2 := l.Burst.Get()
	if ok1 && ok2 {
		text += fmt.Sprintf("; the limit is %d a second, %d at once", perSecond, burst)
	}
	return text
}

// conntrackFull: netfilter refuses packets of new connections when the table is full (nf_conntrack_core.c).
func conntrackFull(f platform.Facts, e Evidence) (Finding, bool) {
	c, ok := f.Conntrack.Get()
	full := ok && c.Max > 0 && float64(c.Count)*100 >= float64(c.Max)*nearlyFull
	if !full || !e.refused("EPERM") && e.stage() != atOutput && e.stage() != beforeLink {
		return Finding{}, false
	}
	if n, known := e.counted(); known && n.TrackCounted && n.TrackDrops == 0 {
		return Finding{}, false // it is others that find no room
	}
	if _, d, told := e.word(); told && d.Place().Framework != droptrace.Netfilter {
		return Finding{}, false // a rule dropped it
	}
	return Finding{
		Cause:    "the connection tracking table " + e.verb("is", "was") + " full",
		Evidence: join(fmt.Sprintf("%d of %d entries", c.Count, c.Max), e.sends(), e.moved()),
		Fix:      fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d", max(2*c.Max, fewEntries)),
	}, true
}

// xfrmBlocks: on the way out an IPsec policy refuses a packet before anything else counts it (xfrm_lookup_with_ifid), and
// send fails. On the way in it drops the packet after everything but ICMP counted it, and nothing fails. If the kernel does
// not count what IPsec refuses, an EPERM that moves no counter is likely IPsec.
func xfrmBlocks(f platform.Facts, e Evidence) (Finding, bool) {
	c, ok := e.counted()
	refused := ok && e.Probe.Errno == "EPERM" && c.OutDiscards == 0 // that would be a firewall
	s := e.stage()
	sure := refused && c.XfrmBlocks > 0
	silent := s == atPolicy || s == atEcho && refusedOut(c) > 0 && !f.Of(e.Family).EchoIgnored.Value
	does := e.verb("blocks ", "blocked ") + e.some("the probes")
	if silent && c.InEchos > 0 && c.InEchos >= c.OutEchos {
		does = e.verb("blocks ", "blocked ") + e.some("the echo reply")
	}
	return Finding{
		Cause:    blame("an IPsec policy", sure || e.told(XfrmBlocks), does),
		Evidence: join(e.sends(), e.moved(), e.udp()),
		Fix:      xfrmFix(c),
	}, sure || silent || refused && !c.XfrmCounted && c.OutEchos == 0 && e.icmp()
}

func xfrmFix(c platform.Counters) string {
	switch {
	case c.XfrmInBlocks+c.XfrmBlocks > 0:
	case c.XfrmDefaultBlocks > 0:
		return "ip xfrm policy setdefault in accept"
	case c.XfrmUnprotected > 0:
		return "ip xfrm policy list, then delete the one that demands IPsec (tmpl)"
	}
	return "ip xfrm policy list, then delete the one with action block"
}
