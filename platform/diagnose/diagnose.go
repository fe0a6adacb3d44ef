package diagnose

import (
	"slices"
	"strings"

	"lping/platform"
)

// rule looks for one cause. It answers a finding without its code, and whether there is one.
type rule struct {
	code string
	find func(platform.Facts, Evidence) (Finding, bool)
	// always says that it looks at runs where no answer is missing, too.
	always bool
	// firm says that no limit on loss allows it where nothing was received: it is what lping checks, or a service that is away.
	firm bool
	// inside says that the fix is for the network namespace that is broken, by hand.
	inside bool
	// unless are the more basic causes of which this one would be a consequence.
	unless []string
}

// absent are the causes by which there is no loopback interface in use.
var absent = []string{"lo_missing", "lo_down", "ipv6_disabled", "ipv6_mtu"}

// Absent says that the loopback itself is not there, or the target's address on it, whatever a process may do.
func Absent(list []Finding) bool {
	return slices.ContainsFunc(list, func(f Finding) bool {
		return f.Severity == Error && (f.Code == "addr_missing" || slices.Contains(absent, f.Code))
	})
}

// rules are all rules, the most basic cause first.
func rules() []rule {
	plus := func(list []string, more ...string) []string { return slices.Concat(list, more) }
	// Without these no address is there, without those after them no packet comes to its own host, and the last ones
	// keep it from the socket.
	away := plus(absent, "addr_missing", "rule_blocks", "route_missing")
	blocked := plus(away, "echo_ignored", "conntrack_full", "xfrm_blocks", "qdisc_drop", "fw_reject", "fw_output",
		"ingress_drop", "fw_input_request", "fw_input_reply", "queue_overflow")
	service := []string{"ports_exhausted", "port_refused", "port_silent"}
	explained := plus(blocked, plus(service, "socket_filter", "fw_icmp_only", "cpu_throttled")...)
	return []rule{
		{code: "lo_missing", find: loMissing, firm: true},
		{code: "lo_down", find: loDown, firm: true, inside: true},
		{code: "ipv6_disabled", find: ipv6Disabled, firm: true},
		{code: "ipv6_mtu", find: ipv6MTU, firm: true, inside: true},
		{code: "addr_missing", find: addrMissing, firm: true, inside: true, unless: absent},
		{code: "rule_blocks", find: ruleBlocks, inside: true},
		{code: "route_missing", find: routeMissing, inside: true, unless: plus(absent, "addr_missing", "rule_blocks")},
		{code: "ports_exhausted", find: portsExhausted, unless: away},
		{code: "icmp_not_permitted", find: icmpNotPermitted, always: true},
		{code: "echo_ignored", find: echoIgnored},
		{code: "conntrack_full", find: conntrackFull},
		{code: "xfrm_blocks", find: xfrmBlocks, inside: true},
		{code: "qdisc_drop", find: qdiscDrop, inside: true, unless: away},
		{code: "fw_reject", find: fwReject, inside: true},
		{code: "fw_output", find: fwOutput, inside: true, unless: []string{"conntrack_full", "xfrm_blocks", "qdisc_drop", "fw_reject"}},
		{code: "fw_output", find: fwOutputStream, inside: true, unless: plus(away, "conntrack_full", "qdisc_drop", "fw_reject", "fw_output")},
		{code: "ingress_drop", find: ingressDrop, inside: true, unless: away},
		{code: "fw_input_request", find: fwInputRequest, inside: true, unless: plus(away, "fw_reject")},
		{code: "fw_input_reply", find: fwInputReply, inside: true, unless: plus(away, "fw_reject")},
		{code: "queue_overflow", find: queueOverflow},
		{code: "socket_filter", find: socketFilter, unless: []string{"queue_overflow"}},
		{code: "fw_icmp_only", find: fwICMPOnly, inside: true, unless: plus(blocked, "socket_filter")},
		{code: "port_refused", find: portRefused, firm: true, unless: plus(blocked, "ports_exhausted")},
		{code: "port_silent", find: portSilent, unless: plus(blocked, "ports_exhausted")},
		{code: "payload_corrupted", find: payloadCorrupted, always: true},
		{code: "duplicate_replies", find: duplicateReplies, always: true},
		{code: "cpu_throttled", find: cpuThrottled, always: true},
		{code: "slow_path", find: slowPath, always: true},
		{code: "clock_stepped", find: clockStepped, always: true},
		{code: "hosts_localhost", find: hostsLocalhost, always: true},
		{code: "packet_loss", find: packetLoss, unless: explained},
		{code: "unknown", find: unexplained, unless: plus(explained, "payload_corrupted", "packet_loss")},
	}
}

// Diagnose finds the causes of what was seen, the most basic one first, and leaves out what only follows from another.
// A run whose every probe was answered as it should be gets no finding of severity error, whatever the facts. Facts
// that nobody read explain nothing and do no harm.
func Diagnose(f platform.Facts, e Evidence) []Finding {
	var list []Finding
	for _, r := range rules() {
		if !r.always && !e.troubled() || anyOf(list, r.unless) {
			continue
		}
		if found, ok := r.find(f, e); ok {
			found.Code = r.code
			if !r.firm || e.Received > 0 {
				found = capped(found, e)
			}
			if r.inside {
				found.Fix = within(f, found.Fix)
			}
			list = append(list, found)
		}
	}
	return list
}

// within says how to mend a container, which seldom has the tools and the right: from its host, but not on the host's own
// network. What nsenter starts is one command. A cgroup is in no network.
func within(f platform.Facts, fix string) string {
	if c := f.Container.Value; fix == "" || fix == detach || c.Runtime == "" || c.HostNetwork {
		return fix
	}
	if strings.Contains(fix, " && ") {
		fix = "sh -c '" + fix + "'"
	}
	return fix + " # from the host: nsenter -t PID -n"
}

// Place is where a code stands among all, the most basic one at 0; the place after the last where it is not one of them.
func Place(code string) int {
	list := rules()
	if i := slices.IndexFunc(list, func(r rule) bool { return r.code == code }); i >= 0 {
		return i
	}
	return len(list)
}

// anyOf says whether one of these codes was found.
func anyOf(list []Finding, codes []string) bool {
	return slices.ContainsFunc(list, func(f Finding) bool { return slices.Contains(codes, f.Code) })
}

// capped is a finding that explains only what the user's limits allow: no error then. A wrong answer is no loss.
func capped(f Finding, e Evidence) Finding {
	if e.LossAllowed && f.Code != "payload_corrupted" && f.Severity == Error {
		f.Severity = Info
	}
	return f
}
