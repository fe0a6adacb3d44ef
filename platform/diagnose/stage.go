package diagnose

import (
	"fmt"
	"slices"
	"strings"

	"lping/platform"
	"lping/platform/droptrace"
)

// stage is how far the extra probe came, by the counters of the kernel. Other traffic moves them too, so a stage is likely
// at best. Every echo that works moves OutEchos, InEchos, OutEchoReps and InEchoReps by one, whoever sent it. So the probe
// was lost between two of them if the second moved less than the first.
type stage uint8

const (
	// unclear: the probe was answered or refused, or the counters do not tell.
	unclear stage = iota
	// atOutput: it left ICMP, and IP discarded it (ip_output; netfilter OUTPUT; tc egress, if IP does not count what it hands over).
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
	// replyAtOutput, replyAtEgress, replyOnLink and replyAtInput: the same for the reply.
	replyAtOutput
	replyAtEgress
	replyOnLink
	replyAtInput
	// atSocket: the reply reached ICMP, and the socket did not get it.
	atSocket
	// damaged: the request or the reply was delivered, and ICMP refused it for its checksum.
	damaged
)

// ofReply is the same place on the way of the reply.
func ofReply(s stage) stage {
	switch s {
	case atOutput:
		return replyAtOutput
	case onLink:
		return replyOnLink
	case atInput:
		return replyAtInput
	}
	return s
}

// stage finds out how far the extra probe came.
func (e Evidence) stage() stage {
	c, ok := e.counted()
	if !ok || e.Probe.Answered || e.Probe.Errno != "" || e.refusalSent(c) {
		return unclear
	}
	if !e.icmp() {
		s := transportStage(c, e.tcp())
		if e.Probe.HalfOpen {
			return ofReply(s)
		}
		return s
	}
	switch {
	case c.OutEchos > c.InEchos:
		return echoStage(c, atOutput, atEgress, onLink, atInput)
	case c.InEchos > c.OutEchoReps:
		return atEcho
	case c.OutEchoReps > c.InEchoReps:
		return echoStage(c, replyAtOutput, replyAtEgress, replyOnLink, replyAtInput)
	case c.InEchoReps > 0:
		return atSocket
	}
	return unclear
}

// pathStage is how far a packet came that was lost between two counters of ICMP.
func pathStage(c platform.Counters, output, egress, link, input stage) stage {
	handed := c.OutTransmits >= max(1, c.OutRequests)
	switch {
	case c.OutDiscards > 0 && !handed:
		return output
	case undelivered(c) > 0:
		return input
	case c.OutDiscards > 0:
		return egress
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
func echoStage(c platform.Counters, output, egress, link, input stage) stage {
	s := pathStage(c, output, egress, link, input)
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
	s := pathStage(c, atOutput, atEgress, onLink, atInput)
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

// rejects are the ICMP errors that were sent, but for those that the system itself sends if nobody has a port of UDP.
func rejects(c platform.Counters) uint64 {
	return c.OutDestUnreachs - min(c.OutDestUnreachs, c.NoPorts)
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
		{"InEchoReps", c.InEchoReps}, {"OutRateLimitGlobal", c.RateLimited}, {"InErrors", c.InMsgErrors}, {"OutDestUnreachs", c.OutDestUnreachs},
		{"NoPorts", c.NoPorts}, {"drops of connection tracking", c.TrackDrops},
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

// dropCodes are those among which the kernel's own word decides, where there is one: the others do not explain the drop then.
var dropCodes = []Code{XfrmBlocks, QdiscDrop, FwOutput, IngressDrop, FwInputRequest, FwInputReply, QueueOverflow,
	SocketFilter, FwICMPOnly}

// harmless are reasons that are no fault: a copy that no socket wanted, and what a socket had not read when it was closed.
var harmless = []string{"NO_SOCKET", "SOCKET_CLOSE", "QUEUE_PURGE"}

// word is the kernel's own: which packet of the extra probe it dropped, and the code of that.
func (e Evidence) word() (c Code, d droptrace.Drop, ok bool) {
	if e.Probe == nil || e.Probe.Answered {
		return "", d, false
	}
	list, _ := e.Probe.Dropped.Get()
	for _, d := range list {
		if d.Reason == "SOCKET_FILTER" && e.Received > 0 {
			continue // a raw socket that did not want the answer of another probe
		}
		other := d.Protocol != 0 && d.Protocol != map[int]uint16{4: 0x0800, 6: 0x86dd}[e.Family]
		if other || d.Foreign() || slices.Contains(harmless, d.Reason) {
			continue
		}
		if c := e.codeOf(d); c != "" {
			return c, d, true
		}
	}
	return "", d, false
}

// told says that the kernel itself gave this cause.
func (e Evidence) told(c Code) bool {
	word, _, ok := e.word()
	return ok && word == c
}

// codeOf is the code of a drop, by its place and its reason; empty if they leave open which it is, or if TCP dropped it, whose
// reasons are part of its work.
func (e Evidence) codeOf(d droptrace.Drop) Code {
	p := d.Place()
	filter := slices.Contains([]droptrace.Framework{droptrace.NFT, droptrace.IPTables, droptrace.Netfilter}, p.Framework)
	c, counted := e.counted()
	switch {
	case p.Hook == "" && filter, p.Framework == "" && (d.Reason == "" || d.Reason == "NOT_SPECIFIED"):
		return "" // it may be no fault, or one of several
	case strings.HasSuffix(d.Reason, "_CSUM"):
		return PayloadCorrupted
	case strings.HasPrefix(d.Reason, "TCP_"):
		return ""
	case filter && (e.refused("ECONNREFUSED", "ECONNRESET") || len(e.Reports) > 0 || rejects(c) > 0):
		if e.nobodyListens() {
			return "" // without the firewall it would be refused, too
		}
		return FwReject // which answers, and drops what it has answered
	case p.Framework == droptrace.XFRM:
		return XfrmBlocks
	case p.Framework == droptrace.Qdisc, p.Hook == droptrace.Egress && p.Framework != droptrace.Cgroup:
		return QdiscDrop
	case p.Hook == droptrace.Ingress:
		return IngressDrop
	case p.Hook == droptrace.Socket && d.Reason == "SOCKET_FILTER":
		return SocketFilter
	case p.Hook == droptrace.Socket && d.Reason == "SOCKET_RCVBUFF":
		return QueueOverflow
	case p.Framework == "" || p.Framework == droptrace.LSM:
		return KernelDrop
	case p.Hook == droptrace.Output || p.Hook == droptrace.Postrouting || p.Hook == droptrace.Egress:
		return FwOutput
	case p.Hook == droptrace.Prerouting || p.Hook == droptrace.Input:
		if e.icmp() && counted && c.OutEchos <= c.InEchos || e.Probe.HalfOpen {
			return FwInputReply
		}
		return FwInputRequest
	}
	return KernelDrop
}

// hooks are those that a rule is about or, if the kernel named one, that alone.
func (e Evidence) hooks(c Code, otherwise ...string) []string {
	if _, d, _ := e.word(); e.told(c) && d.Place().Hook != "" {
		return []string{string(d.Place().Hook)}
	}
	return otherwise
}

// wordOf tells a drop to a person.
func wordOf(d droptrace.Drop) string {
	text := "the kernel dropped the probe"
	if len(d.Functions) > 0 {
		text += " in " + d.Functions[0]
	}
	if hook := d.Place().Hook; hook != "" {
		text += " at " + strings.ToUpper(string(hook))
	}
	if d.Reason != "" {
		text += ": " + d.Reason
	}
	return text
}

// kernelDrop: the kernel dropped the probe, and no rule knows why.
func kernelDrop(_ platform.Facts, e Evidence) (Finding, bool) {
	_, d, ok := e.word()
	where := ""
	if len(d.Functions) > 0 {
		where = " in " + d.Functions[0]
	}
	return Finding{
		Cause:    strings.TrimSuffix(fmt.Sprintf("the kernel %s the probes%s: %s", e.verb("drops", "dropped"), where, d.Reason), ": "),
		Evidence: e.moved(),
		Fix:      "look up that function and reason in the sources of the kernel: net/, include/net/dropreason-core.h",
	}, ok && e.told(KernelDrop)
}
