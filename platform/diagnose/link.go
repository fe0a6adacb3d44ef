package diagnose

import (
	"fmt"
	"slices"
	"strings"

	"lping/platform"
)

// qdiscDrop: a queueing discipline, a tc filter or a netdev chain drops what leaves by the interface. Mostly send fails with
// ENOBUFS, but not on datagram sockets of IPv6, and not for the replies of the kernel. Then it shows by the drops that the
// discipline counts, by a UDP datagram that is lost (a firewall at OUTPUT would have made it fail with EPERM), or if
// nothing else is on the way. Some disciplines report nothing, as blackhole, and some hold packets back.
func qdiscDrop(f platform.Facts, e Evidence) (Finding, bool) {
	name := "lo"
	if i, ok := loopback(f, e); ok {
		name = i.Name
	}
	c, _ := e.counted()
	s := e.stage()
	refused := f.System == "linux" && e.refused("ENOBUFS")
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
		if !q.Ingress && q.Backlog > 0 && c.LinkSent <= min(q.Backlog, arrived) {
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
	return fmt.Sprintf("remove the filter (tc filter show dev %s egress; nft list ruleset)", name)
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

// packet names the packet that was lost: the reply, or else the request; over UDP and TCP just the probes.
func packet(e Evidence, reply bool) string {
	switch {
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
		return fmt.Sprintf("ip link set %s xdp off", i.Name)
	case found:
		return fmt.Sprintf("nft insert rule %s %s %s iifname %s accept", chain.Family, chain.Table, chain.Name, i.Name)
	case at >= 0:
		return fmt.Sprintf("tc qdisc del dev %s %s", i.Name, list[at].Kind)
	}
	return fmt.Sprintf("remove the filter (tc filter show dev %s ingress; nft list ruleset)", i.Name)
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
			part := fmt.Sprintf("qdisc %s dropped %d", q.Kind, q.Drops)
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
		return "an XDP program is attached"
	}
	return ""
}
