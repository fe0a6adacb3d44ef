package platform

import (
	"net/netip"
	"slices"
	"strconv"
)

// Facts are what was read about this host. A bug report holds them as JSON, and can be read back as they are.
type Facts struct {
	// System is the operating system as Go names it: linux, darwin, windows, …
	System string `json:"system"`
	// Kernel is its release, such as 6.18.0.
	Kernel Known[string] `json:"kernel"`
	// Loopback holds every interface with the loopback flag; known and empty where there is none.
	Loopback Known[[]Interface] `json:"loopback"`
	// IPv4 and IPv6 are what each family has of its own.
	IPv4 Family `json:"ipv4"`
	IPv6 Family `json:"ipv6"`
	// IPv6Off are the switches that turn IPv6 off.
	IPv6Off Known[IPv6Off] `json:"ipv6_off"`
	// PingGroups are the groups that may open ICMP datagram sockets (net.ipv4.ping_group_range, both families).
	// Low above High is nobody. Within a user namespace the numbers are translated, so only socket() decides.
	PingGroups Known[Range] `json:"ping_groups"`
	// Ports are the local ports that the system gives out (net.ipv4.ip_local_port_range).
	Ports Known[Range] `json:"ports"`
	// Conntrack is how full the table of tracked connections is; unknown where connections are not tracked.
	Conntrack Known[Conntrack] `json:"conntrack"`
	// Queues are the queueing disciplines of the first loopback interface.
	Queues Known[[]Queue] `json:"queues"`
	// Firewall lists the base chains of nf_tables and the tables of iptables; only root may read them.
	Firewall Known[[]Chain] `json:"firewall"`
	// Process is what this process may do.
	Process Known[Process] `json:"process"`
	// CPU is how the cgroup of this process limits its processor time.
	CPU Known[CPU] `json:"cpu"`
	// Localhost are the lines of the hosts file that name localhost.
	Localhost Known[[]HostsLine] `json:"localhost"`
	// Container is the container runtime that this process seems to run under.
	Container Known[Container] `json:"container"`
}

// Of is one family: 4 or 6.
func (f Facts) Of(family int) Family {
	if family == 6 {
		return f.IPv6
	}
	return f.IPv4
}

// Interface is a network interface, as `ip -s address show` has it.
type Interface struct {
	Name  string `json:"name"`
	Index int    `json:"index"`
	// Flags are named as ip names them: LOOPBACK, UP, LOWER_UP, …
	Flags []string `json:"flags"`
	// MTU is in bytes.
	MTU int `json:"mtu"`
	// Hardware is the link layer address; empty where there is none.
	Hardware string `json:"hardware,omitempty"`
	// State is the operational state (RFC 2863), UNKNOWN for a loopback interface that is up.
	State string `json:"state,omitempty"`
	// Qdisc names the root queueing discipline; QueueLength is its default limit in packets.
	Qdisc       string `json:"qdisc,omitempty"`
	QueueLength int    `json:"queue_length,omitempty"`
	// XDP says that a program looks at every packet before the network stack does.
	XDP       bool      `json:"xdp,omitempty"`
	Addresses []Address `json:"addresses"`
	// Stats count since the interface exists.
	Stats Known[LinkStats] `json:"stats"`
}

// Up says whether the interface is switched on.
func (i Interface) Up() bool { return slices.Contains(i.Flags, "UP") }

// Address is an address of an interface.
type Address struct {
	Prefix netip.Prefix `json:"prefix"`
	// Scope is host, link, site or global; empty where the system has none.
	Scope string `json:"scope,omitempty"`
	// Flags are named as ip names them: tentative, dadfailed, deprecated, …
	Flags []string `json:"flags,omitempty"`
}

// Usable says whether packets can come from this address: tentative and duplicate ones cannot (RFC 4862).
func (a Address) Usable() bool {
	waiting := slices.Contains(a.Flags, "tentative") && !slices.Contains(a.Flags, "optimistic")
	return !waiting && !slices.Contains(a.Flags, "dadfailed")
}

// LinkStats count packets (struct rtnl_link_stats64).
type LinkStats struct {
	Received       uint64 `json:"received"`
	Sent           uint64 `json:"sent"`
	ReceiveErrors  uint64 `json:"receive_errors"`
	SendErrors     uint64 `json:"send_errors"`
	ReceiveDropped uint64 `json:"receive_dropped"`
	SendDropped    uint64 `json:"send_dropped"`
}

// Family is what IPv4 and IPv6 each have of their own.
type Family struct {
	// Target is the address that Lookup asks about.
	Target netip.Addr `json:"target"`
	// Lookup is where the kernel would send a packet to Target.
	Lookup Known[Lookup] `json:"lookup"`
	// Local are the routes of the local table that have to do with loopback or Target.
	Local Known[[]Route] `json:"local_routes"`
	// Rules say in which order routing tables are asked, the first one first.
	Rules Known[[]Rule] `json:"rules"`
	// EchoIgnored says that the kernel answers no echo request (icmp_echo_ignore_all, icmp/echo_ignore_all).
	EchoIgnored Known[bool] `json:"echo_ignored"`
	// Counters count since the network namespace exists.
	Counters Known[Counters] `json:"counters"`
}

// Lookup is the kernel's answer to `ip route get`.
type Lookup struct {
	// Errno is the refusal, such as ENETUNREACH; empty where there is a route.
	Errno string `json:"errno,omitempty"`
	Route Route  `json:"route,omitzero"`
}

// Route is an entry of a routing table.
type Route struct {
	// Type is local, unicast, blackhole, prohibit, unreachable, …
	Type        string       `json:"type"`
	Destination netip.Prefix `json:"destination,omitzero"`
	// Table is local, main, default or a number; empty in a Lookup.
	Table     string     `json:"table,omitempty"`
	Interface string     `json:"interface,omitempty"`
	Gateway   netip.Addr `json:"gateway,omitzero"`
	// Source is the address that packets get by this route.
	Source netip.Addr `json:"source,omitzero"`
	Metric uint32     `json:"metric,omitempty"`
}

// Rule is an entry of the routing policy (ip-rule(8)). Selectors that are not set match everything.
type Rule struct {
	Priority uint32 `json:"priority"`
	// Action is lookup, blackhole, prohibit, unreachable, goto or nop.
	Action string `json:"action"`
	// Table is what is looked up: local, main, default or a number.
	Table string `json:"table,omitempty"`
	// From and To are the selectors that are addresses.
	From netip.Prefix `json:"from,omitzero"`
	To   netip.Prefix `json:"to,omitzero"`
	// In and Out are interfaces. Packets of this host itself come in by the loopback interface.
	In  string `json:"in,omitempty"`
	Out string `json:"out,omitempty"`
	// Not inverts the selectors.
	Not bool `json:"not,omitempty"`
	// Users are the owners of the packets that it is for.
	Users *Range `json:"users,omitempty"`
	// Narrow says that the rule has selectors that no echo request of ours meets: a mark, ports, another protocol.
	Narrow bool `json:"narrow,omitempty"`
}

// IPv6Off are the settings disable_ipv6 of net.ipv6.conf.{lo,all,default}. What counts is that of the interface.
type IPv6Off struct {
	// Absent says that the kernel runs without IPv6 at all (ipv6.disable=1, or built so).
	Absent   bool `json:"absent"`
	Loopback bool `json:"loopback"`
	All      bool `json:"all"`
	Default  bool `json:"default"`
}

// Range is two limits, both inclusive.
type Range struct {
	Low  int64 `json:"low"`
	High int64 `json:"high"`
}

// Contains says whether n is within the limits.
func (r Range) Contains(n int64) bool { return r.Low <= n && n <= r.High }

// String is the range as sysctl shows it.
func (r Range) String() string {
	return strconv.FormatInt(r.Low, 10) + " " + strconv.FormatInt(r.High, 10)
}

// Conntrack is the size of the table of tracked connections, in entries.
type Conntrack struct {
	Count uint64 `json:"count"`
	Max   uint64 `json:"max"`
}

// Queue is a queueing discipline.
type Queue struct {
	Kind string `json:"kind"`
	// Ingress says that it handles what arrives.
	Ingress bool   `json:"ingress,omitempty"`
	Drops   uint64 `json:"drops"`
	// Backlog are the packets that wait in it.
	Backlog uint64 `json:"backlog,omitempty"`
}

// Chain is where a firewall looks at packets.
type Chain struct {
	// Family is ip, ip6, inet, netdev or arp; Table and Name are the user's.
	Family string `json:"family"`
	Table  string `json:"table"`
	Name   string `json:"name,omitempty"`
	// Hook is prerouting, input, forward, output, postrouting, ingress or egress.
	Hook string `json:"hook,omitempty"`
	// Devices are the interfaces of a chain that has some, at ingress or egress.
	Devices []string `json:"devices,omitempty"`
	// Policy is accept or drop: what happens to a packet that no rule decides about.
	Policy string `json:"policy,omitempty"`
}

// Process is what the kernel says of this process (proc_pid_status(5)).
type Process struct {
	// UID and GID are the effective ones.
	UID    int64   `json:"uid"`
	GID    int64   `json:"gid"`
	Groups []int64 `json:"groups"`
	// Effective are the capabilities it has, Bounding those it could ever get.
	Effective Capabilities `json:"effective"`
	Bounding  Capabilities `json:"bounding"`
	// NoNewPrivileges says that a program with file capabilities would not get them.
	NoNewPrivileges bool `json:"no_new_privileges"`
	// Seccomp is disabled, strict or filter.
	Seccomp string `json:"seccomp"`
	// UserNamespace says that its ids are not those of the host.
	UserNamespace Known[bool] `json:"user_namespace"`
	// Unmapped says that the user namespace has no number for our group, so that no setting can name it.
	Unmapped bool `json:"unmapped,omitempty"`
	// OuterNetwork says that the network namespace belongs to a user namespace around this one: its sysctls are set there,
	// and in the ids of that one.
	OuterNetwork bool `json:"outer_network,omitempty"`
}

// Capabilities are those of capabilities(7) that matter here.
type Capabilities struct {
	NetRaw   bool `json:"net_raw"`
	NetAdmin bool `json:"net_admin"`
}

// CPU is the bandwidth control of the nearest cgroup that has a limit. All are zero where none has.
type CPU struct {
	// Version of the cgroup hierarchy: 1 or 2.
	Version int `json:"version"`
	// Limit is in processors: 0.5 is half of one.
	Limit float64 `json:"limit"`
	// Periods and Throttled count enforcement intervals, and those in which the limit was reached.
	Periods   uint64 `json:"periods"`
	Throttled uint64 `json:"throttled"`
	// ThrottledTime is how long its tasks were kept from running, in milliseconds.
	ThrottledTime float64 `json:"throttled_ms"`
}

// HostsLine is a line of the hosts file that names localhost.
type HostsLine struct {
	Address netip.Addr `json:"address"`
	Names   []string   `json:"names"`
}

// Container is what this process seems to run in.
type Container struct {
	// Runtime is docker, podman, kubernetes, containerd, cri-o, lxc, systemd-nspawn, gvisor, wsl or another name;
	// empty where none shows itself.
	Runtime string `json:"runtime"`
	// Sign is what shows it, such as a file.
	Sign string `json:"sign,omitempty"`
	// Rootless says that the runtime has no privileges on the host itself.
	Rootless bool `json:"rootless,omitempty"`
	// HostNetwork says that the network namespace is the host's own: no runtime sets its sysctls.
	HostNetwork bool `json:"host_network,omitempty"`
}

// Counters are what the network stack counts for one family, under the names of IPv4 (/proc/net/snmp and snmp6,
// RFC 4293). They cover the whole network namespace: other traffic moves them too.
type Counters struct {
	// Packets of the family.
	InReceives uint64 `json:"in_receives"`
	InDiscards uint64 `json:"in_discards"`
	InErrors   uint64 `json:"in_errors"`
	InDelivers uint64 `json:"in_delivers"`
	Forwarded  uint64 `json:"forwarded"`
	// Fragments are packets that were pieces, Reassembled those that were made of them.
	Fragments   uint64 `json:"fragments"`
	Reassembled uint64 `json:"reassembled"`
	OutRequests uint64 `json:"out_requests"`
	OutDiscards uint64 `json:"out_discards"`
	OutNoRoutes uint64 `json:"out_no_routes"`
	// OutTransmits are packets that IP handed to an interface; 0 where the kernel does not count them.
	OutTransmits uint64 `json:"out_transmits,omitempty"`
	// ICMP messages of the family.
	InEchos         uint64 `json:"in_echos"`
	InEchoReps      uint64 `json:"in_echo_reps"`
	InDestUnreachs  uint64 `json:"in_dest_unreachs"`
	InMsgErrors     uint64 `json:"in_msg_errors"`
	OutEchos        uint64 `json:"out_echos"`
	OutEchoReps     uint64 `json:"out_echo_reps"`
	OutDestUnreachs uint64 `json:"out_dest_unreachs"`
	// SocketDrops are messages that found the queue of an ICMP datagram socket full; 0 where unreadable.
	SocketDrops uint64 `json:"socket_drops"`
	// XfrmBlocks are packets of any family that an IPsec policy blocked on their way out, XfrmInBlocks those on their way
	// in, XfrmDefaultBlocks those that no policy is for and the default blocks. XfrmUnprotected are those for which a
	// policy demands a protection that they lack. All are 0 where XfrmCounted is not set: not every kernel counts them.
	XfrmBlocks        uint64 `json:"xfrm_blocks"`
	XfrmInBlocks      uint64 `json:"xfrm_in_blocks,omitempty"`
	XfrmDefaultBlocks uint64 `json:"xfrm_default_blocks,omitempty"`
	XfrmUnprotected   uint64 `json:"xfrm_unprotected,omitempty"`
	XfrmCounted       bool   `json:"xfrm_counted,omitempty"`
	// QueueDrops are packets that queueing disciplines of the loopback interface dropped on their way out, FilterDrops
	// those that tc filters dropped in either direction, for which ingress and clsact count; 0 where unreadable.
	QueueDrops  uint64 `json:"queue_drops"`
	FilterDrops uint64 `json:"filter_drops,omitempty"`
	// LinkSent are packets of any family that the loopback interface took; 0 where unreadable.
	LinkSent uint64 `json:"link_sent,omitempty"`
}
