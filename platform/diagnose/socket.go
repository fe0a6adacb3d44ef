package diagnose

import (
	"fmt"

	"lping/platform"
)

// queueOverflow: answers came faster than they were read, and found the receive buffer full. Raw sockets of IPv6 also count
// packets with a wrong checksum (rawv6_rcv) and those that IPsec refused, so these have to be ruled out.
func queueOverflow(_ platform.Facts, e Evidence) (Finding, bool) {
	n, ok := e.QueueDrops.Get()
	return Finding{
		Cause:    fmt.Sprintf("%d answers found the receive queue of lping full", n),
		Evidence: fmt.Sprintf("the socket dropped %d, %d of %d probes were lost", n, e.Lost, e.Sent),
		Fix:      "give lping more CPU, or probe less often (-i)",
	}, ok && n > 0 && e.Lost > 0 && e.stage() != damaged && e.stage() != atPolicy
}

// socketFilter: every counter is as it is when all is well, and the socket got nothing. It takes complete silence: if one
// answer came, another one may just be slow.
func socketFilter(_ platform.Facts, e Evidence) (Finding, bool) {
	return Finding{
		Cause:    blame("a cgroup program or socket filter", e.told(SocketFilter), e.verb("drops", "dropped")+" the replies"),
		Evidence: join("the replies reach ICMP and not the socket", e.moved(), e.udp()),
		Fix:      detach,
	}, e.stage() == atSocket && e.Received == 0 && e.Late == 0
}

// payloadCorrupted: only raw sockets of IPv4 get an answer that was changed on the way. For the others the kernel checks the
// checksum and drops it.
func payloadCorrupted(f platform.Facts, e Evidence) (Finding, bool) {
	if q, ok := netemSpoils(f, e); ok {
		sure := e.Corrupted > 0 || e.stage() == damaged
		out := byNetem(f, e, q, sure, fmt.Sprintf("%s %g%% of the packets", e.verb("corrupts", "corrupted"), q.Netem.Corrupt))
		if e.Corrupted > 0 {
			out.Evidence = join(fmt.Sprintf("%d of %d probes came back changed", e.Corrupted, e.Sent), out.Evidence)
		}
		return out, true
	}
	out := Finding{
		Cause:    fmt.Sprintf("%d of %d answers %s other data than was sent", e.Corrupted, e.Corrupted+e.Received+e.Late, e.verb("carry", "carried")),
		Evidence: join(fmt.Sprintf("%d of %d probes came back changed", e.Corrupted, e.Sent), e.Sweep),
		Fix:      "remove what rewrites packets (nft list ruleset, tc filter show dev lo), then test the memory",
	}
	if e.Corrupted > 0 {
		return out, !e.asked()
	}
	out.Cause = blame("something", e.told(PayloadCorrupted), e.verb("changes", "changed")+" packets on the way, which "+e.verb("are", "were")+" dropped for their checksum")
	out.Evidence = join(e.moved(), e.udp())
	return out, e.stage() == damaged
}

// duplicateReplies are a warning: every probe was answered.
func duplicateReplies(f platform.Facts, e Evidence) (Finding, bool) {
	if q, ok := netem(f, func(n platform.Netem) bool { return n.Duplicate > 0 }); ok {
		out := byNetem(f, e, q, true, fmt.Sprintf("duplicates %g%% of the packets", q.Netem.Duplicate))
		out.Evidence = join(fmt.Sprintf("%d duplicates of %d probes", e.Duplicates, e.Sent), queues(f, false))
		return out, e.Duplicates > 0
	}
	return Finding{
		Cause:    fmt.Sprintf("%d answers came more than once", e.Duplicates),
		Evidence: fmt.Sprintf("%d duplicates of %d probes", e.Duplicates, e.Sent),
		Fix:      "remove the rule that copies packets (nft list ruleset: dup; iptables -t mangle -S: TEE; tc: mirred)",
	}, e.Duplicates > 0
}
