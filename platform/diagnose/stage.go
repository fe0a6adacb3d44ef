package diagnose

import (
	"fmt"
	"strings"

	"lping/platform"
)

// stage is how far the extra probe came, by the counters of the kernel. Other traffic moves them too, so a stage is likely
// at best. Every echo that works moves OutEchos, InEchos, OutEchoReps and InEchoReps by one, whoever sent it. So the probe
// was lost between two of them if the second moved less than the first.
type stage uint8

const (
	// unclear: the probe was answered or refused, or the counters do not tell.
	unclear stage = iota
	// atOutput: it left ICMP, and IP discarded it (ip_output; netfilter OUTPUT, tc egress).
	atOutput
	// onLink: it left IP, and never came back in by the interface.
	onLink
	// beforeLink: it left ICMP, UDP or TCP, nothing counts an error, and the interface did not take it. TCP repeats it,
	// and a queueing discipline may keep it. atEgress is the same if IP is known to have handed it over.
	beforeLink
	atEgress
	// atInput: it came in, and was not delivered (netfilter PREROUTING or INPUT).
	atInput
	// atPolicy: IPsec refused it or the reply: delivered and not counted by ICMP (xfrm_policy_check), or never handed to an
	// interface.
	atPolicy
	// atEcho: it was delivered, and ICMP made no reply (icmp_echo).
	atEcho
	// replyAtOutput, replyOnLink and replyAtInput: the same for the reply.
	replyAtOutput
	replyOnLink
	replyAtInput
	// atSocket: the reply reached ICMP, and the socket did not get it.
	atSocket
	// damaged: the request or the reply was delivered, and ICMP refused it for its checksum.
	damaged
)

// stage finds out how far the extra probe came.
func (e Evidence) stage() stage {
	c, ok := e.counted()
	if !ok || e.Probe.Answered || e.Probe.Errno != "" || e.refusalSent(c) {
		return unclear
	}
	if !e.icmp() {
		return transportStage(c, e.tcp())
	}
	switch {
	case c.OutEchos > c.InEchos:
		return echoStage(c, atOutput, onLink, atInput)
	case c.InEchos > c.OutEchoReps:
		return atEcho
	case c.OutEchoReps > c.InEchoReps:
		return echoStage(c, replyAtOutput, replyOnLink, replyAtInput)
	case c.InEchoReps > 0:
		return atSocket
	}
	return unclear
}

// pathStage is how far a packet came that was lost between two counters of ICMP.
func pathStage(c platform.Counters, output, link, input stage) stage {
	switch {
	case c.OutDiscards > 0:
		return output
	case undelivered(c) > 0:
		return input
	case refusedIn(c) > 0 && uncounted(c), refusedOut(c) > 0 && c.OutTransmits == 0:
		return atPolicy
	}
	return link
}

// refusedIn and refusedOut are packets of any family that IPsec may have refused on their way in or out.
func refusedIn(c platform.Counters) uint64 {
	return c.XfrmInBlocks + c.XfrmDefaultBlocks + c.XfrmUnprotected
}

func refusedOut(c platform.Counters) uint64 { return c.XfrmBlocks + c.XfrmUnprotected }

// uncounted says that IP delivered packets that ICMP did not count: the probe, if IPsec refused it, or other traffic.
func uncounted(c platform.Counters) bool {
	return c.InDelivers > c.InEchos+c.InEchoReps+c.InDestUnreachs+c.InMsgErrors
}

// echoStage is pathStage for an echo, which ICMP itself may have refused, too. The interface counts the packets of everybody,
// and other echoes may use other interfaces: only if lo took nothing at all is this packet known to be missing there.
func echoStage(c platform.Counters, output, link, input stage) stage {
	s := pathStage(c, output, link, input)
	switch {
	case s != link:
		return s
	case c.InMsgErrors > 0:
		return damaged
	case c.LinkSent > 0:
		return link
	case c.OutTransmits > 0:
		return atEgress
	}
	return beforeLink
}

// transportStage is the same as pathStage for a probe over UDP or TCP, which has no counters of its own.
func transportStage(c platform.Counters, tcp bool) stage {
	s := pathStage(c, atOutput, onLink, atInput)
	switch {
	case s != onLink:
		return s
	case c.OutRequests <= c.InReceives:
		return unclear
	case c.OutRequests <= c.LinkSent || !tcp && c.LinkSent > 0:
		return s
	case c.OutRequests <= c.OutTransmits:
		return atEgress
	}
	return beforeLink
}

// undelivered is how many packets came in that IP neither delivered nor refused itself.
func undelivered(c platform.Counters) uint64 {
	in := c.InReceives + c.Reassembled
	out := c.InDelivers + c.InDiscards + c.InErrors + c.Forwarded + c.Fragments
	if in < out {
		return 0
	}
	return in - out
}

// elsewhere are the packets that other interfaces took, if lo took none: else they tell nothing about the probe.
func elsewhere(c platform.Counters) uint64 {
	if c.LinkSent > 0 {
		return 0
	}
	return c.OthersSent
}

// moved tells which counters the extra probe moved, for a person.
func (e Evidence) moved() string {
	c, ok := e.counted()
	if !ok {
		return ""
	}
	var sent uint64 // by IP, which matters only if ICMP does not count the probe
	if !e.icmp() {
		sent = c.OutRequests
	}
	var b strings.Builder
	for _, m := range []struct {
		name string
		n    uint64
	}{
		{"OutEchos", c.OutEchos}, {"OutRequests", sent}, {"OutDiscards", c.OutDiscards}, {"packets of lo", c.LinkSent},
		{"packets of other interfaces", elsewhere(c)},
		{"InReceives", c.InReceives},
		{"InDelivers", c.InDelivers}, {"InEchos", c.InEchos}, {"OutEchoReps", c.OutEchoReps},
		{"InEchoReps", c.InEchoReps}, {"InErrors", c.InMsgErrors}, {"OutDestUnreachs", c.OutDestUnreachs},
		{"qdisc drops", c.QueueDrops}, {"tc filter drops", c.FilterDrops},
		{"XfrmOutPolBlock", c.XfrmBlocks}, {"XfrmInPolBlock", c.XfrmInBlocks}, {"XfrmInNoPols", c.XfrmDefaultBlocks},
		{"XfrmInTmplMismatch or XfrmOutNoStates", c.XfrmUnprotected}, {"socket drops", c.SocketDrops},
	} {
		if m.n > 0 {
			fmt.Fprintf(&b, ", %s +%d", m.name, m.n)
		}
	}
	if b.Len() == 0 {
		return "one probe moved no counter"
	}
	return "one probe moved " + b.String()[2:]
}
