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
	ICMPNotPermitted Code = "icmp_not_permitted"
	EchoIgnored      Code = "echo_ignored"
	ConntrackFull    Code = "conntrack_full"
	XfrmBlocks       Code = "xfrm_blocks"
	QdiscDrop        Code = "qdisc_drop"
	FwReject         Code = "fw_reject"
	FwOutput         Code = "fw_output"
	IngressDrop      Code = "ingress_drop"
	FwInputRequest   Code = "fw_input_request"
	FwInputReply     Code = "fw_input_reply"
	QueueOverflow    Code = "queue_overflow"
	SocketFilter     Code = "socket_filter"
	FwICMPOnly       Code = "fw_icmp_only"
	PortRefused      Code = "port_refused"
	PortSilent       Code = "port_silent"
	PayloadCorrupted Code = "payload_corrupted"
	DuplicateReplies Code = "duplicate_replies"
	CPUThrottled     Code = "cpu_throttled"
	SlowPath         Code = "slow_path"
	ClockStepped     Code = "clock_stepped"
	HostsLocalhost   Code = "hosts_localhost"
	PacketLoss       Code = "packet_loss"
	Unknown          Code = "unknown"
)

// Part is a part of the loopback, in the order in which doctor shows them.
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
	// Severity is that of a finding for which its rule has no other.
	Severity Severity
	// Words name the cause for a person.
	Words string
	// Explanation tells in one or two sentences what the cause means and how it is told.
	Explanation string
	// Parts are those in which doctor shows a finding.
	Parts []Part
}

// rule looks for one cause.
type rule struct {
	Entry
	// find answers a finding without its code, and whether there is one. Without a severity it has that of the entry.
	find func(platform.Facts, Evidence) (Finding, bool)
	// evenIfAnswered says that it looks at runs in which no answer is missing, too.
	evenIfAnswered bool
	// neverAllowed says that no limit on loss makes it harmless if nothing was received: the loopback itself, which lping
	// checks, or a service is away.
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
	stopped = []Code{EchoIgnored, ConntrackFull, XfrmBlocks, QdiscDrop, FwReject, FwOutput, IngressDrop, FwInputRequest,
		FwInputReply, QueueOverflow}
	// unserved: the far end of UDP or TCP is missing, or ours.
	unserved = []Code{PortsExhausted, PortRefused, PortSilent}
)

// rules are all rules, the most basic cause first.
var rules = [...]rule{
	{
		Entry: Entry{LoMissing, Error, "no loopback interface",
			"No interface of this network namespace has the flag LOOPBACK, so nothing here can reach itself. " +
				"The list of interfaces tells it.",
			[]Part{PartInterface, PartRoutes}},
		find: loMissing, neverAllowed: true,
	}, {
		Entry: Entry{LoDown, Error, "the loopback interface is down",
			"The loopback interface is there and switched off, as it is in every new network namespace. " +
				"Its flags tell it: they lack UP.",
			[]Part{PartInterface, PartRoutes}},
		find: loDown, neverAllowed: true, fixedInside: true,
	}, {
		Entry: Entry{IPv6Disabled, Error, "IPv6 is switched off",
			"The kernel runs without IPv6, or disable_ipv6 is set for the loopback interface, so ::1 cannot be there. " +
				"It is an error only if IPv6 was asked for.",
			[]Part{PartInterface, PartRoutes, PartSwitches}},
		find: ipv6Disabled, neverAllowed: true,
	}, {
		Entry: Entry{IPv6MTU, Error, "the MTU is too small for IPv6",
			"IPv6 needs an MTU of 1280 bytes, and the kernel takes ::1 away from an interface that has less. " +
				"The MTU of the loopback interface tells it.",
			[]Part{PartInterface, PartRoutes}},
		find: ipv6MTU, neverAllowed: true, fixedInside: true,
	}, {
		Entry: Entry{AddrMissing, Error, "the address is not on loopback",
			"The loopback interface lacks the target's address, or may not use it since it is a duplicate or still being " +
				"checked. The list of addresses tells it, or bind if that list cannot be read.",
			[]Part{PartInterface, PartRoutes}},
		find: addrMissing, neverAllowed: true, fixedInside: true, consequenceOf: [][]Code{absent},
	}, {
		Entry: Entry{RuleBlocks, Error, "a routing rule forbids the way",
			"A routing rule or a route of the local table is a blackhole, a prohibit or an unreachable for the target. " +
				"The rules and routes tell it, and the kernel's own lookup has to agree.",
			[]Part{PartRoutes}},
		find: ruleBlocks, fixedInside: true,
	}, {
		Entry: Entry{RouteMissing, Error, "no local route to the address",
			"The local table lacks the target, or no routing rule leads to that table, so packets are refused or would leave " +
				"this host. The kernel's own lookup tells it, with the rules and the table.",
			[]Part{PartRoutes}},
		find: routeMissing, fixedInside: true, consequenceOf: [][]Code{absent, {AddrMissing, RuleBlocks}},
	}, {
		Entry: Entry{PortsExhausted, Error, "no local port is left",
			"All ports that the system gives out are taken, so UDP or TCP gets none. " +
				"The errors of bind and connect tell it, and the number of ports in use.",
			[]Part{PartSockets}},
		find: portsExhausted, consequenceOf: [][]Code{absent, astray},
	}, {
		Entry: Entry{ICMPNotPermitted, Error, "ICMP is not permitted",
			"The system refuses ICMP sockets to this process, or refuses to send by them. " +
				"The errors of the sockets tell it; if UDP took the place of ICMP it is for information.",
			[]Part{PartSockets}},
		find: icmpNotPermitted, evenIfAnswered: true,
	}, {
		Entry: Entry{EchoIgnored, Error, "the kernel ignores echo requests",
			"The switch icmp_echo_ignore_all is on, so no echo request is answered. " +
				"The switch tells it, or counters if it cannot be read: requests arrive and no reply is made.",
			[]Part{PartSwitches}},
		find: echoIgnored,
	}, {
		Entry: Entry{ConntrackFull, Error, "the connection tracking table is full",
			"Netfilter has no room to track another connection and drops the packet that would begin one. " +
				"The size of the table tells it, and a probe that was dropped on its way out.",
			[]Part{PartTracking}},
		find: conntrackFull,
	}, {
		Entry: Entry{XfrmBlocks, Error, "an IPsec policy blocks",
			"An IPsec policy blocks the probes or the replies, or demands a protection that they lack. " +
				"The counters of xfrm_stat tell it, or a send that was refused and moved no counter at all.",
			[]Part{PartFirewall}},
		find: xfrmBlocks, fixedInside: true,
	}, {
		Entry: Entry{QdiscDrop, Error, "a queue or egress filter drops",
			"A queueing discipline, a tc filter or a netdev chain drops or holds what leaves by the loopback interface. " +
				"ENOBUFS from send tells it, or what the discipline counts, or a packet that never reached the interface.",
			[]Part{PartQueues}},
		find: qdiscDrop, fixedInside: true, consequenceOf: [][]Code{absent, astray},
	}, {
		Entry: Entry{FwReject, Error, "a firewall rejects",
			"A firewall answers the probes with an ICMP error or a reset. " +
				"These answers tell it, or that the kernel counts an ICMP error that it sent.",
			[]Part{PartFirewall}},
		find: fwReject, fixedInside: true,
	}, {
		Entry: Entry{FwOutput, Error, "a firewall drops on the way out",
			"A firewall at OUTPUT or POSTROUTING, or a cgroup program on egress, drops the probes or the replies. " +
				"EPERM from send tells it, or packets that IP counts as discarded.",
			[]Part{PartFirewall}},
		find: fwOutput, fixedInside: true, consequenceOf: [][]Code{{ConntrackFull, XfrmBlocks, QdiscDrop, FwReject}},
	}, {
		Entry: Entry{IngressDrop, Error, "an ingress filter drops",
			"A tc filter, a netdev chain or an XDP program drops what arrives on the loopback interface. " +
				"A packet that the interface took and IP never received tells it, so it is likely at best.",
			[]Part{PartQueues}},
		find: ingressDrop, fixedInside: true, consequenceOf: [][]Code{absent, astray},
	}, {
		Entry: Entry{FwInputRequest, Error, "a firewall drops the request",
			"A firewall at INPUT or PREROUTING drops the probes. " +
				"A packet that IP received and did not deliver tells it, so it is likely at best.",
			[]Part{PartFirewall}},
		find: fwInputRequest, fixedInside: true, consequenceOf: [][]Code{absent, astray, {FwReject}},
	}, {
		Entry: Entry{FwInputReply, Error, "a firewall drops the reply",
			"A firewall at INPUT or PREROUTING drops the echo replies. " +
				"A reply that the kernel made and IP did not deliver tells it, so it is likely at best.",
			[]Part{PartFirewall}},
		find: fwInputReply, fixedInside: true, consequenceOf: [][]Code{absent, astray, {FwReject}},
	}, {
		Entry: Entry{QueueOverflow, Error, "the receive queue was full",
			"Answers came faster than lping read them, and its socket dropped some. The socket's own count of drops tells it.",
			[]Part{PartQueues}},
		find: queueOverflow,
	}, {
		Entry: Entry{SocketFilter, Error, "a filter at the socket drops",
			"The replies reach ICMP and not the socket, so a cgroup program or a socket filter drops them. " +
				"Counters that are all as they should be tell it, so it is likely at best.",
			[]Part{PartFirewall}},
		find: socketFilter, consequenceOf: [][]Code{{QueueOverflow}},
	}, {
		Entry: Entry{FwICMPOnly, Error, "only ICMP is blocked",
			"ICMP gets no answer while UDP to the same address works, and no counter shows the place. " +
				"It is likely a firewall that drops ICMP.",
			[]Part{PartFirewall}},
		find: fwICMPOnly, fixedInside: true, consequenceOf: [][]Code{absent, astray, stopped, {SocketFilter}},
	}, {
		Entry: Entry{PortRefused, Error, "nobody listens on the port",
			"The system refused the probe, as it does if nobody has the port: with a reset, or port unreachable for UDP. " +
				"The list of sockets tells if the service listens at another address.",
			[]Part{PartProbe}},
		find: portRefused, neverAllowed: true, consequenceOf: [][]Code{absent, astray, stopped, {PortsExhausted}},
	}, {
		Entry: Entry{PortSilent, Error, "the service is silent",
			"The port neither answers nor refuses, and nothing on the way explains it. " +
				"A full backlog tells that a service of TCP does not accept; one of UDP need not answer.",
			[]Part{PartProbe}},
		find: portSilent, consequenceOf: [][]Code{absent, astray, stopped, {PortsExhausted}},
	}, {
		Entry: Entry{PayloadCorrupted, Error, "answers carry other data",
			"An answer held other data than was sent, or ICMP refused a packet for its checksum. " +
				"Every answer is compared whole.",
			[]Part{PartProbe}},
		find: payloadCorrupted, evenIfAnswered: true,
	}, {
		Entry: Entry{DuplicateReplies, Warning, "answers came more than once",
			"Something copies packets: a probe got more than one answer. The probes were answered all the same.",
			[]Part{PartProbe}},
		find: duplicateReplies, evenIfAnswered: true,
	}, {
		Entry: Entry{CPUThrottled, Info, "the CPU limit delays lping",
			"The cgroup of this process is often out of CPU time, and probes left or were read late. " +
				"That is no fault of the loopback: it is for information unless an answer came too late.",
			[]Part{PartCPU}},
		find: cpuThrottled, evenIfAnswered: true,
	}, {
		Entry: Entry{SlowPath, Warning, "the kernel is slow",
			"The kernel takes long from send to receive for every single probe, as it does with long rule sets. " +
				"Its own time stamps tell it.",
			[]Part{PartProbe}},
		find: slowPath, evenIfAnswered: true,
	}, {
		Entry: Entry{ClockStepped, Info, "the wall clock was set",
			"The wall clock moved against the monotonic clock during the run. " +
				"No RTT is wrong for it: kernel stamps of that time were left out.",
			[]Part{PartProbe}},
		find: clockStepped, evenIfAnswered: true,
	}, {
		Entry: Entry{HostsLocalhost, Warning, "localhost is another address",
			"The hosts file does not name localhost, or says that it is an address which is not on loopback. " +
				"Other programs ask that file, lping does not.",
			[]Part{PartNames}},
		find: hostsLocalhost, evenIfAnswered: true,
	}, {
		Entry: Entry{PacketLoss, Error, "probes were lost",
			"Some probes were answered and others were not, or too late, and no other finding explains it.",
			[]Part{PartProbe}},
		find:          packetLoss,
		consequenceOf: [][]Code{absent, astray, stopped, unserved, {SocketFilter, FwICMPOnly, CPUThrottled}},
	}, {
		Entry: Entry{Unknown, Error, "no known cause",
			"Probes were not answered, or no socket could be opened, and no rule knows why. " +
				"The evidence tells what was seen and what could not be read.",
			[]Part{PartProbe}},
		find: unexplained,
		consequenceOf: [][]Code{absent, astray, stopped, unserved,
			{SocketFilter, FwICMPOnly, CPUThrottled, PayloadCorrupted, PacketLoss}},
	},
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
