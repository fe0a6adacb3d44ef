package diagnose

import (
	"slices"

	"lping/platform"
)

// Code names a cause. It is stable and made for programs.
type Code string

// The codes, the most basic cause first.
const (
	LoMissing        Code = "lo_missing"
	LoDown           Code = "lo_down"
	IPv6Disabled     Code = "ipv6_disabled"
	IPv6MTU          Code = "ipv6_mtu"
	AddrMissing      Code = "addr_missing"
	RuleBlocks       Code = "rule_blocks"
	RouteMissing     Code = "route_missing"
	PortsExhausted   Code = "ports_exhausted"
	PolicyDenies     Code = "policy_denies"
	ICMPNotPermitted Code = "icmp_not_permitted"
	NATRedirects     Code = "nat_redirects"
	EchoIgnored      Code = "echo_ignored"
	RateLimited      Code = "rate_limited"
	ConntrackFull    Code = "conntrack_full"
	XfrmBlocks       Code = "xfrm_blocks"
	QdiscDelays      Code = "qdisc_delays"
	QdiscDrop        Code = "qdisc_drop"
	FwReject         Code = "fw_reject"
	FwOutput         Code = "fw_output"
	IngressDrop      Code = "ingress_drop"
	FwInputRequest   Code = "fw_input_request"
	FwInputReply     Code = "fw_input_reply"
	QueueOverflow    Code = "queue_overflow"
	SocketFilter     Code = "socket_filter"
	FwICMPOnly       Code = "fw_icmp_only"
	KernelDrop       Code = "kernel_drop"
	PortRefused      Code = "port_refused"
	PortSilent       Code = "port_silent"
	NATRewrites      Code = "nat_rewrites"
	ServiceSlow      Code = "service_slow"
	ServiceError     Code = "service_error"
	PortResets       Code = "port_resets"
	PayloadCorrupted Code = "payload_corrupted"
	DuplicateReplies Code = "duplicate_replies"
	CPUThrottled     Code = "cpu_throttled"
	SlowPath         Code = "slow_path"
	ClockStepped     Code = "clock_stepped"
	HostsLocalhost   Code = "hosts_localhost"
	PacketLoss       Code = "packet_loss"
	Unknown          Code = "unknown"
)

// Part is a part of the loopback. They are in the order in which doctor shows them.
type Part uint8

const (
	PartInterface Part = iota
	PartRoutes
	PartSockets
	PartSwitches
	PartFirewall
	PartTracking
	PartQueues
	PartNames
	PartCPU
	PartProcess
	PartProbe
)

// Entry is what there is to say of a code before anything was found.
type Entry struct {
	Code Code
	// Severity is that of a finding unless its rule sets another one.
	Severity Severity
	// Parts are those in which doctor shows a finding.
	Parts []Part
	// Words name the cause for a person.
	Words string
	// Explanation tells in one or two sentences what the cause means and how it is told.
	Explanation string
}

// rule looks for one cause.
type rule struct {
	Entry
	// find returns a finding without its code, and whether there is one. If it sets no severity, that of the entry counts.
	find func(platform.Facts, Evidence) (Finding, bool)
	// evenIfAnswered says that the rule is for runs in which no answer is missing, too.
	evenIfAnswered bool
	// neverAllowed says that the finding stays an error if nothing was received, whatever loss the user's limits allow: the
	// loopback or the service itself is away.
	neverAllowed bool
	// fixedInside says that the fix is a command for the network namespace that is broken.
	fixedInside bool
	// consequenceOf are the more basic causes that make this one needless.
	consequenceOf [][]Code
}

// Groups of causes that make others needless.
var (
	// absent: there is no loopback in use.
	absent = []Code{LoMissing, LoDown, IPv6Disabled, IPv6MTU}
	// astray: packets to the target have no way that stays on this host.
	astray = []Code{AddrMissing, RuleBlocks, RouteMissing}
	// stopped: something on the way stops the packets or their answers.
	stopped = []Code{NATRedirects, EchoIgnored, RateLimited, ConntrackFull, XfrmBlocks, QdiscDelays, QdiscDrop, FwReject, FwOutput,
		IngressDrop, FwInputRequest, FwInputReply, QueueOverflow}
	// unserved: one end of UDP or TCP is missing.
	unserved = []Code{PortsExhausted, PortRefused, PortSilent, ServiceSlow, ServiceError}
)

// rules are all rules, the most basic cause first. A new one has a constant above, its function find in the file of its topic,
// facts in testdata and their text in diagnose_test.go, and its code in codes_test.go. What it needs to know stands in Evidence or
// in platform.Facts, and Evidence.Suspicious says when to look.
var rules = [...]rule{
	{Entry: Entry{LoMissing, Error, []Part{PartInterface, PartRoutes}, "no loopback interface",
		"No interface of this network namespace has the flag LOOPBACK, so nothing here can reach itself. The list of " +
			"interfaces shows it."},
		find: loMissing, neverAllowed: true},
	{Entry: Entry{LoDown, Error, []Part{PartInterface, PartRoutes}, "the loopback interface is down",
		"The loopback interface is there and switched off, as it is in every new network namespace. Its flags show " +
			"it: they lack UP."},
		find: loDown, neverAllowed: true, fixedInside: true},
	{Entry: Entry{IPv6Disabled, Error, []Part{PartInterface, PartRoutes, PartSwitches}, "IPv6 is switched off",
		"The kernel runs without IPv6, or disable_ipv6 is set for the loopback interface, so ::1 cannot be there. It " +
			"is an error only if IPv6 was asked for."},
		find: ipv6Disabled, neverAllowed: true},
	{Entry: Entry{IPv6MTU, Error, []Part{PartInterface, PartRoutes}, "the MTU is too small for IPv6",
		"IPv6 needs an MTU of 1280 bytes, and the kernel takes ::1 away from an interface that has less. The MTU of " +
			"the loopback interface shows it."},
		find: ipv6MTU, neverAllowed: true, fixedInside: true},
	{Entry: Entry{AddrMissing, Error, []Part{PartInterface, PartRoutes}, "the address is not on loopback",
		"The loopback interface lacks the target's address, or may not use it since it is a duplicate or still being " +
			"checked. The list of addresses shows it, or bind if that list cannot be read."},
		find: addrMissing, neverAllowed: true, fixedInside: true, consequenceOf: [][]Code{absent}},
	{Entry: Entry{RuleBlocks, Error, []Part{PartRoutes}, "a routing rule forbids the way",
		"A routing rule or a route of the local table is a blackhole, a prohibit or an unreachable for the target. " +
			"The rules and routes show it, and the kernel's own lookup has to agree."},
		find: ruleBlocks, fixedInside: true},
	{Entry: Entry{RouteMissing, Error, []Part{PartRoutes}, "no local route to the address",
		"The local table lacks the target, or no routing rule leads to that table, so packets are refused or would " +
			"leave this host. The kernel's own lookup shows it, with the rules and the table."},
		find: routeMissing, fixedInside: true, consequenceOf: [][]Code{absent, {AddrMissing, RuleBlocks}}},
	{Entry: Entry{PortsExhausted, Error, []Part{PartSockets}, "no local port is left",
		"All ports that the system gives out are taken, so UDP or TCP gets none. The errors of bind and connect show " +
			"it, and the number of ports in use."},
		find: portsExhausted, consequenceOf: [][]Code{absent, astray}},
	{Entry: Entry{PolicyDenies, Error, []Part{PartSockets, PartProcess}, "a policy denies a system call",
		"Seccomp, a cgroup program or a security module refuses a call that the kernel itself would allow. The call's error " +
			"shows it; if UDP took the place of ICMP it is for information."},
		find: policyDenies, evenIfAnswered: true, consequenceOf: [][]Code{{IPv6Disabled}}},
	{Entry: Entry{ICMPNotPermitted, Error, []Part{PartSockets}, "ICMP is not permitted",
		"The kernel's own settings give this process no ICMP socket: ping_group_range and the capabilities. The errors of " +
			"the sockets show it; if UDP took the place of ICMP it is for information."},
		find: icmpNotPermitted, evenIfAnswered: true, consequenceOf: [][]Code{{IPv6Disabled, PolicyDenies}}},
	{Entry: Entry{NATRedirects, Error, []Part{PartFirewall}, "NAT sends the probes elsewhere",
		"A nat or mangle chain at OUTPUT sends the probes to another place, and nothing answers there. A send that gets EINVAL or " +
			"ENETUNREACH shows it, or packets that lo never took while other interfaces did."},
		find: natRedirects, consequenceOf: [][]Code{absent, astray}},
	{Entry: Entry{EchoIgnored, Error, []Part{PartSwitches}, "the kernel ignores echo requests",
		"The switch icmp_echo_ignore_all is on, so no echo request is answered. The switch shows it, or counters if " +
			"it cannot be read: requests arrive and no reply is made."},
		find: echoIgnored},
	{Entry: Entry{RateLimited, Error, []Part{PartSwitches}, "a rate limit drops echo replies",
		"The kernel's limit for ICMP messages of IPv4 was made to hold for echo replies, too, and is used up. The switch " +
			"shows it, and the counter of what was kept back; on loopback IPv6 has no such limit."},
		find: rateLimited, consequenceOf: [][]Code{absent, {EchoIgnored}}},
	{Entry: Entry{ConntrackFull, Error, []Part{PartTracking}, "the connection tracking table is full",
		"Netfilter has no room to track another connection and drops the packet that would begin one. The size of the " +
			"table shows it, and a probe that was dropped on its way out."},
		find: conntrackFull},
	{Entry: Entry{XfrmBlocks, Error, []Part{PartFirewall}, "an IPsec policy blocks",
		"An IPsec policy blocks the probes or the replies, or demands a protection that they lack. The counters of " +
			"xfrm_stat show it, or a send that was refused and moved no counter at all."},
		find: xfrmBlocks, fixedInside: true},
	{Entry: Entry{QdiscDelays, Warning, []Part{PartQueues, PartProbe}, "a queue delays",
		"The queueing discipline netem holds back what leaves by the loopback interface, as a test of bad networks does. Its " +
			"options show it, with times that agree; it is an error if answers come too late."},
		find: qdiscDelays, evenIfAnswered: true, fixedInside: true, consequenceOf: [][]Code{absent, astray, {NATRedirects}}},
	{Entry: Entry{QdiscDrop, Error, []Part{PartQueues}, "a queue or egress filter drops",
		"A queueing discipline, a tc filter or a netdev chain drops or holds what leaves by the loopback interface. " +
			"ENOBUFS from send shows it, or what the discipline counts, or a packet that never reached the interface."},
		find: qdiscDrop, fixedInside: true, consequenceOf: [][]Code{absent, astray, {NATRedirects, QdiscDelays}}},
	{Entry: Entry{FwReject, Error, []Part{PartFirewall}, "a firewall rejects",
		"A firewall answers the probes with an ICMP error or a reset. These answers show it, or that the kernel " +
			"counts an ICMP error that it sent."},
		find: fwReject, fixedInside: true, consequenceOf: [][]Code{{NATRedirects}}},
	{Entry: Entry{FwOutput, Error, []Part{PartFirewall}, "a firewall drops on the way out",
		"A firewall at OUTPUT or POSTROUTING, or a cgroup program on egress, drops the probes or the replies. EPERM " +
			"from send shows it, or packets that IP counts as discarded."},
		find: fwOutput, fixedInside: true, consequenceOf: [][]Code{{NATRedirects, ConntrackFull, XfrmBlocks, QdiscDelays, QdiscDrop,
			FwReject}}},
	{Entry: Entry{IngressDrop, Error, []Part{PartQueues}, "an ingress filter drops",
		"A tc filter, a netdev chain or an XDP program drops what arrives on the loopback interface. A packet that " +
			"the interface took and IP never received shows it, so it is likely at best."},
		find: ingressDrop, fixedInside: true, consequenceOf: [][]Code{absent, astray, {NATRedirects, QdiscDelays, QdiscDrop}}},
	{Entry: Entry{FwInputRequest, Error, []Part{PartFirewall}, "a firewall drops the request",
		"A firewall at INPUT or PREROUTING drops the probes. A packet that IP received and did not deliver shows it, " +
			"so it is likely at best."},
		find: fwInputRequest, fixedInside: true, consequenceOf: [][]Code{absent, astray, {QdiscDelays, FwReject}}},
	{Entry: Entry{FwInputReply, Error, []Part{PartFirewall}, "a firewall drops the reply",
		"A firewall at INPUT or PREROUTING drops the replies, or what answers a SYN. A reply that the kernel made and IP did not " +
			"deliver shows it, so it is likely at best."},
		find: fwInputReply, fixedInside: true, consequenceOf: [][]Code{absent, astray, {QdiscDelays, FwReject}}},
	{Entry: Entry{QueueOverflow, Error, []Part{PartQueues}, "the receive queue was full",
		"Answers came faster than lping read them, and its socket dropped some. The socket's own count of drops tells " +
			"it."},
		find: queueOverflow},
	{Entry: Entry{SocketFilter, Error, []Part{PartFirewall}, "a filter at the socket drops",
		"The replies reach ICMP and not the socket, so a cgroup program or a socket filter drops them. Counters that " +
			"are all as they should be show it, so it is likely at best."},
		find: socketFilter, consequenceOf: [][]Code{{QdiscDelays, QueueOverflow}}},
	{Entry: Entry{FwICMPOnly, Error, []Part{PartFirewall}, "only ICMP is blocked",
		"ICMP gets no answer while UDP to the same address works, and no counter shows the place. It is likely a " +
			"firewall that drops ICMP."},
		find: fwICMPOnly, fixedInside: true, consequenceOf: [][]Code{absent, astray, stopped, {SocketFilter}}},
	{Entry: Entry{KernelDrop, Error, []Part{PartProbe}, "the kernel drops the probes",
		"The kernel says where and why it dropped a probe, and no other rule knows that place. Its own word is the evidence: a " +
			"function and a reason."},
		find: kernelDrop, consequenceOf: [][]Code{absent, astray, stopped, {PortsExhausted, SocketFilter}}},
	{Entry: Entry{PortRefused, Error, []Part{PartProbe}, "nobody listens on the port",
		"The system refused the probe, as it does if nobody has the port: with a reset, or port unreachable for UDP. " +
			"The list of sockets shows if the service listens at another address."},
		find: portRefused, neverAllowed: true, consequenceOf: [][]Code{absent, astray, stopped, {PortsExhausted}}},
	{Entry: Entry{PortSilent, Error, []Part{PartProbe}, "the service is silent",
		"The port neither answers nor refuses, and nothing on the way explains it. A full backlog shows that a " +
			"service of TCP does not accept; one of UDP need not answer."},
		find: portSilent, consequenceOf: [][]Code{absent, astray, stopped, {PortsExhausted}}},
	{Entry: Entry{ServiceSlow, Error, []Part{PartProbe}, "the service is slow or hangs",
		"The service is there and does not accept, read or answer within the timeout. The kernel tells which connections " +
			"wait to be accepted and how much is unread, or the answer came late."},
		find: serviceSlow, consequenceOf: [][]Code{absent, astray, stopped, {PortsExhausted, PortRefused, PortSilent}}},
	{Entry: Entry{ServiceError, Error, []Part{PartProbe}, "the service answers wrong",
		"A service that was asked by HTTP has a status that is not 200 to 399, or speaks no HTTP; an echo sends back " +
			"something else; or it closes before it answers. The answer shows it."},
		find: serviceError, evenIfAnswered: true, neverAllowed: true, consequenceOf: [][]Code{absent, astray, stopped, {PortsExhausted, PortRefused}}},
	{Entry: Entry{NATRewrites, Warning, []Part{PartFirewall}, "NAT rewrites packets of loopback",
		"A NAT rule gives packets on loopback another source address, as MASQUERADE without an interface does. Our own echo " +
			"sees it; services see clients that are not local."},
		find: natRewrites, evenIfAnswered: true, fixedInside: true},
	{Entry: Entry{PortResets, Warning, []Part{PartProbe}, "the service resets connections",
		"The service accepts connections and resets them, although nothing was sent that it could dislike. A client that " +
			"sends something may fare better."},
		find: portResets, evenIfAnswered: true},
	{Entry: Entry{PayloadCorrupted, Error, []Part{PartProbe}, "answers carry other data",
		"An answer held other data than was sent, or ICMP refused a packet for its checksum. Every answer is compared " +
			"whole."},
		find: payloadCorrupted, evenIfAnswered: true},
	{Entry: Entry{DuplicateReplies, Warning, []Part{PartProbe}, "answers came more than once",
		"Something copies packets: a probe got more than one answer. The probes were answered all the same."},
		find: duplicateReplies, evenIfAnswered: true},
	{Entry: Entry{CPUThrottled, Info, []Part{PartCPU}, "the CPU limit delays lping",
		"The cgroup of this process is often out of CPU time, and probes left or were read late. That is no fault of " +
			"the loopback: it is for information unless an answer came too late."},
		find: cpuThrottled, evenIfAnswered: true},
	{Entry: Entry{SlowPath, Warning, []Part{PartProbe}, "the kernel is slow",
		"The kernel takes long from send to receive for every single probe, as it does with long rule sets. Its time " +
			"stamps show it, beside what a datagram takes on this machine that meets no rule."},
		find: slowPath, evenIfAnswered: true, consequenceOf: [][]Code{{QdiscDelays}}},
	{Entry: Entry{ClockStepped, Info, []Part{PartProbe}, "the wall clock was set",
		"The wall clock moved against the monotonic clock during the run. No RTT is wrong for it: kernel stamps of " +
			"that time were left out."},
		find: clockStepped, evenIfAnswered: true},
	{Entry: Entry{HostsLocalhost, Warning, []Part{PartNames}, "localhost is another address",
		"The hosts file does not name localhost, or says that it is an address which is not on loopback. Other " +
			"programs ask that file, lping does not."},
		find: hostsLocalhost, evenIfAnswered: true},
	{Entry: Entry{PacketLoss, Error, []Part{PartProbe}, "probes were lost",
		"Some probes were answered and others were not, or too late, and no other finding explains it."},
		find: packetLoss, consequenceOf: [][]Code{absent, astray, stopped, unserved, {SocketFilter, FwICMPOnly, CPUThrottled, KernelDrop}}},
	{Entry: Entry{Unknown, Error, []Part{PartProbe}, "no known cause",
		"Probes were not answered, or no socket could be opened, and no rule knows why. The evidence tells what was " +
			"seen and what could not be read."},
		find: unexplained, consequenceOf: [][]Code{absent, astray, stopped, unserved,
			{SocketFilter, FwICMPOnly, CPUThrottled, KernelDrop, PayloadCorrupted, PacketLoss}}},
}

// Denied says that a policy forbids what would have had to be done.
func Denied(list []Finding) bool {
	return slices.ContainsFunc(list, func(f Finding) bool { return f.Severity == Error && f.Code == PolicyDenies })
}

// Place is where a code stands among all, the most basic one at 0; the place after the last if it is not one of them.
func Place(c Code) int {
	if i := slices.IndexFunc(rules[:], func(r rule) bool { return r.Code == c }); i >= 0 {
		return i
	}
	return len(rules)
}

// Parts are those in which doctor shows a finding of this code: the probe, if no part explains what it saw.
func (c Code) Parts() []Part {
	if i := Place(c); i < len(rules) {
		return rules[i].Parts
	}
	return []Part{PartProbe}
}
