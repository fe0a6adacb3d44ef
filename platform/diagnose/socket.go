package diagnose

import (
	"fmt"

	"lping/platform"
)

// queueOverflow: answers came faster than they were read, and found the receive buffer full. Raw sockets of IPv6 count
// what had a wrong checksum as well (rawv6_rcv), and what IPsec refused.
func queueOverflow(_ platform.Facts, e Evidence) (Finding, bool) {
	n, ok := e.QueueDrops.Get()
	return Finding{
		Severity: Error,
		Cause:    fmt.Sprintf("%d answers found the receive queue of lping full", n),
		Evidence: fmt.Sprintf("the socket dropped %d, %d of %d probes were lost", n, e.Lost, e.Sent),
		Fix:      "give lping more CPU, or probe less often (-i)",
	}, ok && n > 0 && e.Lost > 0 && e.stage() != damaged && e.stage() != atPolicy
}

// socketFilter: every counter is as it is when all is well, and the socket got nothing. Only silence counts: after an
// answer, one more that is missing may just be slow.
func socketFilter(_ platform.Facts, e Evidence) (Finding, bool) {
	return Finding{
		Severity: Error,
		Cause:    "a cgroup program or socket filter likely drops the replies",
		Evidence: join("the replies reach ICMP and not the socket", e.moved(), e.udp()),
		Fix:      detach,
	}, e.stage() == atSocket && e.Received == 0 && e.Late == 0
}
