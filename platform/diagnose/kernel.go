package diagnose

import (
	"fmt"

	"lping/platform"
)

// nearlyFull is the part of the connection table, in percent, from which on new connections are refused now and then:
// entries come and go between the probe and the reading.
const nearlyFull = 99

// echoIgnored trusts the switch, and the counters only where that is unreadable.
func echoIgnored(f platform.Facts, e Evidence) (Finding, bool) {
	if !e.icmp() && e.Method != "" || e.Probe != nil && e.Probe.Answered {
		return Finding{}, false
	}
	key := "net.ipv4.icmp_echo_ignore_all"
	if e.Family == 6 {
		key = "net.ipv6.icmp.echo_ignore_all"
	}
	out := Finding{
		Severity: Error,
		Cause:    "the kernel ignores echo requests",
		Evidence: join(key+" is 1", e.moved(), e.udp()),
		Fix:      setting(f, key, "0"),
	}
	on, ok := f.Of(e.Family).EchoIgnored.Get()
	if ok {
		return out, on
	}
	out.Cause = "the kernel likely ignores echo requests"
	out.Evidence = join(key+" unknown: "+f.Of(e.Family).EchoIgnored.Reason(), e.moved(), e.udp())
	c, _ := e.counted()
	return out, e.stage() == atEcho && refusedOut(c) == 0 && !crumbled(f, e)
}

// conntrackFull: netfilter refuses packets of new connections when the table is full (nf_conntrack_core.c).
func conntrackFull(f platform.Facts, e Evidence) (Finding, bool) {
	c, ok := f.Conntrack.Get()
	full := ok && c.Max > 0 && float64(c.Count)*100 >= float64(c.Max)*nearlyFull
	if !full || !e.refused("EPERM") && e.stage() != atOutput && e.stage() != beforeLink {
		return Finding{}, false
	}
	return Finding{
		Severity: Error,
		Cause:    "the connection tracking table is full",
		Evidence: join(fmt.Sprintf("%d of %d entries", c.Count, c.Max), e.sends(), e.moved()),
		Fix:      fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d", 2*c.Max),
	}, true
}

// xfrmBlocks: on the way out an IPsec policy refuses a packet before anything else counts it (xfrm_lookup_with_ifid), and
// send says so; on the way in after all but ICMP counted it, in silence. Where the kernel does not count what IPsec refuses,
// an EPERM that moves nothing is likely one.
func xfrmBlocks(f platform.Facts, e Evidence) (Finding, bool) {
	c, ok := e.counted()
	refused := ok && e.Probe.Errno == "EPERM" && c.OutDiscards == 0 // that would be a firewall
	out := Finding{
		Severity: Error,
		Cause:    "an IPsec policy likely blocks the probes",
		Evidence: join(e.sends(), e.moved(), e.udp()),
		Fix:      xfrmFix(c),
	}
	s := e.stage()
	unanswered := s == atEcho && refusedOut(c) > 0 && !f.Of(e.Family).EchoIgnored.Value
	switch {
	case refused && c.XfrmBlocks > 0:
		out.Cause = "an IPsec policy blocks the probes"
		return out, true
	case unanswered || s == atPolicy:
		if c.InEchos > 0 && c.InEchos >= c.OutEchos {
			out.Cause = "an IPsec policy likely blocks the echo reply"
		}
		return out, true
	}
	return out, refused && !c.XfrmCounted && c.OutEchos == 0 && e.icmp()
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
