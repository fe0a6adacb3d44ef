package diagnose

import (
	"slices"

	"lping/platform"
)

// rule looks for one cause. It answers a finding without its code, and whether there is one.
type rule struct {
	code string
	find func(platform.Facts, Evidence) (Finding, bool)
	// always says that it looks at runs without trouble too. Such a rule finds no error there.
	always bool
	// unless are the more basic causes of which this one would be a consequence.
	unless []string
}

// unreachable are the causes for which no packet reaches its own host.
func unreachable() []string {
	return []string{"lo_missing", "lo_down", "ipv6_disabled", "ipv6_mtu", "addr_missing", "rule_blocks", "route_missing"}
}

// blocked are those and the ones for which a packet does not come through.
func blocked() []string {
	return append(unreachable(), "echo_ignored", "conntrack_full", "xfrm_blocks", "qdisc_drop", "fw_reject", "fw_output",
		"ingress_drop", "fw_input_request", "fw_input_reply", "queue_overflow", "socket_filter")
}

// rules are all rules, the most basic cause first.
func rules() []rule {
	absent := unreachable()[:4]
	return []rule{
		{code: "lo_missing", find: loMissing},
		{code: "lo_down", find: loDown, unless: absent[:1]},
		{code: "ipv6_disabled", find: ipv6Disabled},
		{code: "ipv6_mtu", find: ipv6MTU, unless: []string{"lo_missing", "ipv6_disabled"}},
		{code: "addr_missing", find: addrMissing, unless: absent},
		{code: "rule_blocks", find: ruleBlocks, unless: absent[:1]},
		{code: "route_missing", find: routeMissing, unless: unreachable()[:6]},
		{code: "icmp_not_permitted", find: icmpNotPermitted, always: true, unless: []string{"ipv6_disabled"}},
		{code: "echo_ignored", find: echoIgnored},
		{code: "conntrack_full", find: conntrackFull},
		{code: "xfrm_blocks", find: xfrmBlocks, unless: []string{"conntrack_full"}},
		{code: "qdisc_drop", find: qdiscDrop, unless: unreachable()},
		{code: "fw_reject", find: fwReject},
		{code: "fw_output", find: fwOutput, unless: []string{"conntrack_full", "xfrm_blocks", "qdisc_drop", "fw_reject"}},
		{code: "ingress_drop", find: ingressDrop, unless: unreachable()},
		{code: "fw_input_request", find: fwInputRequest, unless: append(unreachable(), "fw_reject")},
		{code: "fw_input_reply", find: fwInputReply, unless: append(unreachable(), "fw_reject")},
		{code: "queue_overflow", find: queueOverflow},
		{code: "socket_filter", find: socketFilter, unless: blocked()},
		{code: "fw_icmp_only", find: fwICMPOnly, unless: blocked()},
		{code: "payload_corrupted", find: payloadCorrupted},
		{code: "duplicate_replies", find: duplicateReplies, always: true},
		{code: "cpu_throttled", find: cpuThrottled, always: true},
		{code: "slow_path", find: slowPath, always: true},
		{code: "clock_stepped", find: clockStepped, always: true},
		{code: "hosts_localhost", find: hostsLocalhost, always: true},
		{code: "packet_loss", find: packetLoss, unless: append(blocked(), "fw_icmp_only", "cpu_throttled")},
		{code: "unknown", find: unexplained, unless: append(blocked(), "fw_icmp_only", "cpu_throttled", "packet_loss")},
	}
}

// Diagnose finds the causes of what was seen, the most basic one first, and leaves out what only follows from another.
// Evidence without trouble gives no finding of severity error, whatever the facts.
func Diagnose(f platform.Facts, e Evidence) []Finding {
	var list []Finding
	for _, r := range rules() {
		if !r.always && !e.troubled() || slices.ContainsFunc(list, func(f Finding) bool { return slices.Contains(r.unless, f.Code) }) {
			continue
		}
		if found, ok := r.find(f, e); ok {
			found.Code = r.code
			list = append(list, capped(found, e))
		}
	}
	return list
}

// capped is a finding that explains only what the user's limits allow: no error then.
func capped(f Finding, e Evidence) Finding {
	if e.LossAllowed && f.Code != "payload_corrupted" && f.Severity == Error {
		f.Severity = Info
	}
	return f
}
