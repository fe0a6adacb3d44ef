package diagnose

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"lping/platform"
	"lping/platform/droptrace"
)

// qdiscDrop: a queueing discipline, a tc filter or a netdev chain drops what leaves by the interface. Mostly send fails with
// ENOBUFS, but not on datagram sockets of IPv6, and not for the replies of the kernel. Then it shows by the drops that the
// discipline counts, by a UDP datagram that is lost (a firewall at OUTPUT would have made it fail with EPERM), or if
// nothing else is on the way. Some disciplines report nothing, as blackhole, and some hold packets back.
func qdiscDrop(f platform.Facts, e Evidence) (Finding, bool) {
	name := nameOf(f, e)
	c, _ := e.counted()
	s := e.stage()
	refused := f.System == "linux" && e.refused("ENOBUFS")
	if out, ok := netemDrop(f, e, refused); ok {
		return out, true
	}
	kind := ""
	if !refused && slices.Contains([]stage{beforeLink, atEgress, onLink, replyOnLink}, s) {
		kind = holdingQueue(f, e)
	}
	who, does := "a queueing discipline or egress filter of "+name, e.verb("drops ", "dropped ")+e.some("the probes")
	switch {
	case kind != "":
		who, does = fmt.Sprintf("the queueing discipline %s of %s", kind, name), e.verb("holds", "held")+" packets back"
	case (s == replyAtOutput || s == replyAtEgress) && !refused:
		does = e.verb("drops ", "dropped ") + e.some("the echo reply")
	}
	silent := e.UDP != nil && !e.UDP.Answered && e.UDP.Errno != "EPERM"
	found := c.QueueDrops > 0 || onlyOnLink(f, e, name)
	switch {
	case refused:
		found = !tooManyFragments(f, e)
	case kind != "":
		found = true
	case s == atEgress || s == replyAtEgress:
		found = found || f.Loopback.OK
	case s == beforeLink: // what keeps a packet from the interface may be the interface itself
		found = found || e.UDP != nil && e.UDP.Errno == "ENOBUFS"
	default:
		found = (found || silent) && (s == atOutput || s == replyAtOutput)
	}
	if !refused && e.Probe != nil && e.Probe.Passing && backlogged(f) {
		found = false // the probe may only wait for its turn
	}
	return Finding{
		Cause:    blame(who, refused || e.told(QdiscDrop), does),
		Evidence: join(queues(f, false), e.sends(), e.moved(), e.udp()),
		Fix:      egressFix(f, name),
	}, found
}

// nameOf is the name of the loopback interface.
func nameOf(f platform.Facts, e Evidence) string {
	if i, ok := loopback(f, e); ok {
		return i.Name
	}
	return "lo"
}

// netem finds a queueing discipline netem that does one of the things that it can do to packets.
func netem(f platform.Facts, does func(platform.Netem) bool) (platform.Queue, bool) {
	list, _ := f.Queues.Get()
	at := slices.IndexFunc(list, func(q platform.Queue) bool { return q.Netem != nil && does(*q.Netem) })
	if at < 0 {
		return platform.Queue{}, false
	}
	return list[at], true
}

// byNetem is a finding about netem. Where it is not the root, packets may go past it, so it is likely at best.
func byNetem(f platform.Facts, e Evidence, q platform.Queue, sure bool, does string) Finding {
	name := nameOf(f, e)
	return Finding{
		Cause:    blame("the queueing discipline netem of "+name, sure && q.Root, does),
		Evidence: join(queues(f, false), e.sends(), e.moved(), e.udp()),
		Fix:      egressFix(f, name),
	}
}

// fewPackets is a limit of netem that a run of probes may reach.
const fewPackets = 100

// netemDrop: netem counts what it drops, so it dropped the extra probe only if that count moved. If the extra probe does not tell
// where packets are lost, no more may be missing than netem is set to lose.
func netemDrop(f platform.Facts, e Evidence, refused bool) (Finding, bool) {
	q, ok := netem(f, func(n platform.Netem) bool { return n.Loss > 0 || n.Bursts })
	if !ok || refused { // what is refused had no room
		q, ok = netem(f, func(platform.Netem) bool { return true })
	}
	c, _ := e.counted()
	if !ok {
		return Finding{}, false
	}
	n, s := *q.Netem, e.stage()
	lossy := n.Loss > 0 || n.Bursts
	passed := s == unclear || s == atSocket && e.Received > 0
	onWay := slices.Contains([]stage{unclear, beforeLink, atEgress, onLink, replyOnLink, atOutput, replyAtOutput}, s)
	counted := q.Drops+c.QueueDrops > 0
	moved := !passed && c.QueueDrops > 0
	does := fmt.Sprintf("%s packets beyond its limit of %d", e.verb("drops", "dropped"), n.Limit)
	if lossy && !refused {
		does = e.verb("loses", "lost") + " packets in bursts"
	}
	if n.Loss > 0 && !refused {
		does = fmt.Sprintf("%s %g%% of the packets", e.verb("loses", "lost"), n.Loss)
	}
	_, d, _ := e.word()
	told := e.told(QdiscDrop) && d.Place().Framework == droptrace.Qdisc
	found := refused && counted && !tooManyFragments(f, e) || passed && lossy && (n.Bursts || e.expected(n.Loss)) ||
		onWay && c.QueueDrops > 0 || told || passed && !lossy && q.Drops > 0 && n.Limit < fewPackets
	return byNetem(f, e, q, counted && (refused || lossy) || moved || told, does), found
}

// expected says that as many answers may be missing if this share of the packets is lost, in percent: at most three standard
// deviations more than on average.
func (e Evidence) expected(percent float64) bool {
	packets := 2.0
	if e.tcp() {
		packets = 8
	}
	share := 1 - math.Pow(1-percent/100, packets)
	n := float64(e.decided())
	return float64(e.missing()+e.Corrupted) <= n*share+3*math.Sqrt(n*share*(1-share))+1
}

// spoilable says that a code is of what else may be seen of a packet that was corrupted.
func spoilable(c Code) bool {
	return slices.Contains(dropCodes, c) || slices.Contains([]Code{KernelDrop, PortSilent, ServiceSlow, PacketLoss}, c)
}

// netemSpoils: a packet that netem corrupts may be dropped anywhere, for its checksum, its address or its length, and the kernel
// says or counts something else each time. So that is the cause of what is missing, unless filters are known to drop it.
func netemSpoils(f platform.Facts, e Evidence) (platform.Queue, bool) {
	q, ok := netem(f, func(n platform.Netem) bool { return n.Corrupt > 0 })
	wrong := e.Corrupted > 0 && !e.asked()
	if !ok || e.Lost+e.Late+e.Silent == 0 && !wrong || len(e.Refused) > 0 || !e.expected(q.Netem.Corrupt) {
		return q, false
	}
	if _, drops := netemDrop(f, e, false); drops {
		return q, false
	}
	_, d, told := e.word()
	filtered := told && d.Place().Framework != ""
	return q, !filtered && !slices.Contains([]stage{atOutput, replyAtOutput, atPolicy, beforeLink, atEgress}, e.stage())
}

// holdingQueue is the kind of the queueing discipline in which the extra probe waits; empty if none is known. A discipline that
// works as it should has a backlog at times, too. It holds the probe only if lo took no more packets than waited in it, and
// no more than arrived.
func holdingQueue(f platform.Facts, e Evidence) string {
	c, _ := e.counted()
	arrived := c.InReceives
	if e.icmp() {
		arrived = c.InEchos + c.InEchoReps
	}
	list, _ := f.Queues.Get()
	for _, q := range list {
		if !q.Ingress && q.Netem == nil && q.Backlog > 0 && c.LinkSent <= min(q.Backlog, arrived) {
			return q.Kind
		}
	}
	return ""
}

// backlogged says that packets wait in a queueing discipline.
func backlogged(f platform.Facts) bool {
	list, _ := f.Queues.Get()
	return slices.ContainsFunc(list, func(q platform.Queue) bool { return !q.Ingress && q.Backlog > 0 })
}

// onlyOnLink says that a packet meets filters of the interface itself on its way out, and no others.
func onlyOnLink(f platform.Facts, e Evidence, name string) bool {
	_, found := linkChain(f, "egress", name)
	list, _ := f.Queues.Get()
	found = found || slices.ContainsFunc(list, func(q platform.Queue) bool { return q.Kind == "clsact" })
	return found && f.Firewall.OK && len(seen(f, e, []string{"output", "postrouting"})) == 0
}

// egressFix removes a discipline that is not the usual one, else goes round a chain, else removes the tc filter.
func egressFix(f platform.Facts, name string) string {
	list, _ := f.Queues.Get()
	for _, q := range list {
		if !q.Ingress && q.Kind != "noqueue" {
			return fmt.Sprintf("tc qdisc del dev %s root", name)
		}
	}
	if c, ok := linkChain(f, "egress", name); ok {
		return fmt.Sprintf("nft insert rule %s %s %s oifname %s accept", c.Family, c.Table, c.Name, name)
	}
	if slices.ContainsFunc(list, func(q platform.Queue) bool { return q.Ingress }) {
		return fmt.Sprintf("tc filter del dev %s egress", name)
	}
	return unseenFilter(f, name, "egress")
}

// unseenFilter is how to remove a filter of the interface that no fact shows. If the others would be seen, it is a program of BPF
// that is attached by tcx, which neither tc nor nft lists.
func unseenFilter(f platform.Facts, name, direction string) string {
	show := "bpftool net show dev " + name
	if f.Queues.OK && f.Firewall.OK {
		return show + ", then bpftool link detach id N, or bpftool net detach tcx_" + direction + " dev " + name
	}
	return fmt.Sprintf("remove the filter (tc filter show dev %s %s; nft list ruleset; %s)", name, direction, show)
}

// ingressDrop: the interface took the probe and IP never saw it. In between are tc, netdev chains and XDP. It is not blamed
// if IPsec may have refused the probe without counting it, or if a queueing discipline may hold it.
func ingressDrop(f platform.Facts, e Evidence) (Finding, bool) {
	i, ok := loopback(f, e)
	if !ok {
		return Finding{}, false
	}
	c, _ := e.counted()
	s := e.stage()
	what := packet(e, s == replyOnLink)
	sure := c.XfrmCounted || !uncounted(c)
	return Finding{
		Cause:    blame(fmt.Sprintf("an ingress filter of %s (tc, netdev, XDP)", i.Name), e.told(IngressDrop), e.verb("drops ", "dropped ")+what),
		Evidence: join("flags "+strings.Join(i.Flags, ","), queues(f, true), xdp(i), e.moved(), e.udp()),
		Fix:      ingressFix(f, i),
	}, (s == onLink || s == replyOnLink) && sure && holdingQueue(f, e) == ""
}

// packet names the packet that was lost: the reply, or else the request; over UDP and TCP just the probes, or what answers a SYN.
func packet(e Evidence, reply bool) string {
	switch {
	case e.Probe != nil && e.Probe.HalfOpen:
		return "the reply"
	case !e.icmp():
		return e.some("the probes")
	case reply:
		return e.some("the echo reply")
	}
	return e.some("the echo request")
}

func ingressFix(f platform.Facts, i platform.Interface) string {
	list, _ := f.Queues.Get()
	chain, found := linkChain(f, "ingress", i.Name)
	at := slices.IndexFunc(list, func(q platform.Queue) bool { return q.Ingress })
	switch {
	case i.XDP:
		return fmt.Sprintf("ip link set %s xdp off, or if a BPF link holds it: bpftool link, then bpftool link detach id N", i.Name)
	case found:
		return fmt.Sprintf("nft insert rule %s %s %s iifname %s accept", chain.Family, chain.Table, chain.Name, i.Name)
	case at >= 0:
		return fmt.Sprintf("tc qdisc del dev %s %s", i.Name, list[at].Kind)
	}
	return unseenFilter(f, i.Name, "ingress")
}

// linkChain finds a chain that is attached to the interface itself.
func linkChain(f platform.Facts, hook, name string) (platform.Chain, bool) {
	list, _ := f.Firewall.Get()
	for _, c := range list {
		if c.Hook == hook && slices.Contains(c.Devices, name) {
			return c, true
		}
	}
	return platform.Chain{}, false
}

// queues tells about the queueing disciplines of one direction.
func queues(f platform.Facts, ingress bool) string {
	list, ok := f.Queues.Get()
	if !ok {
		return "qdisc unknown: " + f.Queues.Reason()
	}
	var parts []string
	for _, q := range list {
		if q.Ingress == ingress || q.Ingress {
			kind := q.Kind
			if q.Netem != nil {
				kind = strings.TrimSpace(kind + " " + q.Netem.String())
			}
			part := fmt.Sprintf("qdisc %s dropped %d", kind, q.Drops)
			if q.Backlog > 0 {
				part += fmt.Sprintf(" and holds %d", q.Backlog)
			}
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ", ")
}

func xdp(i platform.Interface) string {
	if i.XDP {
		return fmt.Sprintf("XDP program %d is attached", i.XDPProgram)
	}
	return ""
}
