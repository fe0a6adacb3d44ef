// Package platform reads facts about this host and judges none of them.
package platform

import (
	"math"
	"net/netip"
	"reflect"

	"lping/platform/fact"
	"lping/platform/netlink"
)

// Protocols of ReadListeners and ReadPortsInUse.
const (
	TCP = netlink.TCP
	UDP = netlink.UDP
)

// Whether a packet meets a rule.
const (
	MeetsNot = netlink.MeetsNot
	MayMeet  = netlink.MayMeet
	Meets    = netlink.Meets
)

// ICMP is the protocol of a Flow of echo requests.
const ICMP = netlink.ICMP

// Facts are made of these.
type (
	Known[T any] = fact.Known[T]
	Range        = fact.Range
	Interface    = netlink.Interface
	Address      = netlink.Address
	LinkStats    = netlink.LinkStats
	Route        = netlink.Route
	Rule         = netlink.Rule
	Flow         = netlink.Flow
	Packet       = netlink.Packet
	Meeting      = netlink.Meeting
	Queue        = netlink.Queue
	Netem        = netlink.Netem
	Chain        = netlink.Chain
	Listener     = netlink.Listener
)

// PrefixText is a prefix, or the address if the prefix holds one alone.
func PrefixText(p netip.Prefix) string { return netlink.PrefixText(p) }

// Serving are those of the sockets that get what is sent to an address by an interface (netlink.Serving).
func Serving(list []Listener, to netip.Addr, index int) []Listener {
	return netlink.Serving(list, to, index)
}

// Know is a fact that was read.
func Know[T any](v T) Known[T] { return fact.Know(v) }

// Unknown is a fact that could not be read.
func Unknown[T any](why string) Known[T] { return fact.Unknown[T](why) }

// known is a value, or unknown if it came with an error.
func known[T any](v T, err error) Known[T] {
	if err == nil {
		return Know(v)
	}
	return Unknown[T](err.Error())
}

// Facts are what was read about this host. A bug report holds them as JSON, and can be read back as they are.
type Facts struct {
	// System is the operating system as Go names it: linux, darwin, windows, …
	System string `json:"system"`
	// Kernel is its release, such as 6.18.0.
	Kernel Known[string] `json:"kernel"`
	// Network is the network namespace of this process, such as net:[4026531840]: what is in it shares one loopback.
	Network Known[string] `json:"network"`
	// Loopback holds every interface with the loopback flag; known and empty if there is none.
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
	// ICMPLimit is the limit of ICMP messages of IPv4. On loopback IPv6 has none (icmpv6_xrlim_allow in net/ipv6/icmp.c).
	ICMPLimit Known[ICMPLimit] `json:"icmp_limit,omitzero"`
	// Conntrack is how full the table of tracked connections is; unknown if connections are not tracked.
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
	// HostsFile is what stands in the place of a hosts file that cannot be read.
	HostsFile HostsFile `json:"hosts_file,omitempty"`
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

// Family is what IPv4 and IPv6 each have of their own.
type Family struct {
	// Target is the address that Lookup asks about.
	Target netip.Addr `json:"target"`
	// Flow is what routing goes by beside Target.
	Flow Flow `json:"flow,omitzero"`
	// Lookup is where the kernel would send a packet of Flow to Target.
	Lookup Known[Lookup] `json:"lookup"`
	// Answer is where it would send what answers such a packet; nil if that is not known.
	Answer *Lookup `json:"answer_lookup,omitempty"`
	// Local are the routes of the local table that have to do with loopback or Target. Main are those of the main table that
	// are within 127.0.0.0/8, if any: the kernel keeps both tables in one as long as nobody added a rule (fib_trie.c).
	Local Known[[]Route] `json:"local_routes"`
	Main  []Route        `json:"main_routes,omitempty"`
	// Rules say in which order routing tables are asked, the first one first.
	Rules Known[[]Rule] `json:"rules"`
	// EchoIgnored says that the kernel answers no echo request (icmp_echo_ignore_all, icmp/echo_ignore_all).
	EchoIgnored Known[bool] `json:"echo_ignored"`
	// Counters count since the network namespace exists.
	Counters Known[Counters] `json:"counters"`
}

// Lookup is the kernel's answer to `ip route get`.
type Lookup struct {
	// Errno is the refusal, such as ENETUNREACH; empty if there is a route.
	Errno string `json:"errno,omitempty"`
	Route Route  `json:"route,omitzero"`
}

// IPv6Off are the settings disable_ipv6 of net.ipv6.conf.{lo,all,default}. What counts is that of the interface.
type IPv6Off struct {
	// Absent says that the kernel runs without IPv6 at all (ipv6.disable=1, or built so).
	Absent   bool `json:"absent"`
	Loopback bool `json:"loopback"`
	All      bool `json:"all"`
	Default  bool `json:"default"`
}

// ICMPLimit is how many ICMP messages of IPv4 the kernel sends (net.ipv4.icmp_ratemask, icmp_msgs_per_sec, icmp_msgs_burst).
type ICMPLimit struct {
	// Mask has a bit for each type of ICMP that the limit holds for.
	Mask uint64 `json:"mask"`
	// PerSecond and Burst hold for all messages together; unknown where only the first network namespace has them.
	PerSecond Known[uint64] `json:"per_second"`
	Burst     Known[uint64] `json:"burst"`
}

// Conntrack is the size of the table of tracked connections, in entries.
type Conntrack struct {
	Count uint64 `json:"count"`
	Max   uint64 `json:"max"`
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
	// UserNamespace says that its ids differ from those of the host.
	UserNamespace Known[bool] `json:"user_namespace"`
	// Unmapped says that the user namespace has no number for the group of this process, so that no setting can name it.
	Unmapped bool `json:"unmapped,omitempty"`
	// OuterNetwork says that the network namespace belongs to a user namespace around this one: its sysctls are set there,
	// with the ids that are valid there.
	OuterNetwork bool `json:"outer_network,omitempty"`
}

// Capabilities are those of capabilities(7) that matter here.
type Capabilities struct {
	NetRaw   bool `json:"net_raw"`
	NetAdmin bool `json:"net_admin"`
}

// CPU is the bandwidth control of the nearest cgroup that has a limit. All fields but Version are zero if none has.
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

// HostsFile is what stands in the place of a hosts file; empty if it can be read, or if something else keeps it from that.
type HostsFile string

const (
	HostsMissing    HostsFile = "missing"
	HostsUnreadable HostsFile = "unreadable" // not all may read it
	HostsDirectory  HostsFile = "directory"
	HostsSpecial    HostsFile = "special" // no regular file
)

// HostsLine is a line of the hosts file that names localhost.
type HostsLine struct {
	Address netip.Addr `json:"address"`
	Names   []string   `json:"names"`
}

// Container is what this process seems to run in.
type Container struct {
	// Runtime is docker, podman, kubernetes, containerd, cri-o, lxc, systemd-nspawn, gvisor, wsl or another name;
	// empty if nothing shows one.
	Runtime string `json:"runtime"`
	// Sign is what shows it, such as the name of a file.
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
	// OutTransmits are packets that IP handed to an interface; 0 if the kernel does not count them.
	OutTransmits uint64 `json:"out_transmits,omitempty"`
	// ICMP messages of the family.
	InEchos         uint64 `json:"in_echos"`
	InEchoReps      uint64 `json:"in_echo_reps"`
	InDestUnreachs  uint64 `json:"in_dest_unreachs"`
	InMsgErrors     uint64 `json:"in_msg_errors"`
	OutEchos        uint64 `json:"out_echos"`
	OutEchoReps     uint64 `json:"out_echo_reps"`
	OutDestUnreachs uint64 `json:"out_dest_unreachs"`
	// NoPorts are datagrams of UDP to a port that nobody has: for each the kernel sends a destination unreachable itself.
	NoPorts uint64 `json:"no_ports,omitempty"`
	// RateLimited are ICMP messages that the kernel did not send since they were too many; 0 if it does not count them.
	RateLimited uint64 `json:"rate_limited,omitempty"`
	// SocketDrops are messages that found the queue of an ICMP datagram socket full; 0 if unreadable.
	SocketDrops uint64 `json:"socket_drops"`
	// XfrmBlocks are packets of any family that an IPsec policy blocked on their way out, XfrmInBlocks those on their way
	// in, XfrmDefaultBlocks those that met no policy and that the default blocks. XfrmUnprotected are those for which a
	// policy demands a protection that they lack. All are 0 unless XfrmCounted is set: not every kernel counts them.
	XfrmBlocks        uint64 `json:"xfrm_blocks"`
	XfrmInBlocks      uint64 `json:"xfrm_in_blocks,omitempty"`
	XfrmDefaultBlocks uint64 `json:"xfrm_default_blocks,omitempty"`
	XfrmUnprotected   uint64 `json:"xfrm_unprotected,omitempty"`
	XfrmCounted       bool   `json:"xfrm_counted,omitempty"`
	// TrackDrops are packets of any family that connection tracking dropped, for which its table had no room; 0 unless
	// TrackCounted is set: not every kernel counts them.
	TrackDrops   uint64 `json:"track_drops,omitempty"`
	TrackCounted bool   `json:"track_counted,omitempty"`
	// QueueDrops are packets that queueing disciplines of the loopback interface dropped on their way out, FilterDrops
	// those that tc filters dropped in either direction, as ingress and clsact count them; 0 if unreadable.
	QueueDrops  uint64 `json:"queue_drops"`
	FilterDrops uint64 `json:"filter_drops,omitempty"`
	// LinkSent are packets of any family that the loopback interface took; 0 if unreadable.
	LinkSent uint64 `json:"link_sent,omitempty"`
	// OthersSent are packets of any family that the other interfaces took; 0 if unreadable.
	OthersSent uint64 `json:"others_sent,omitempty"`
}

// Sub is what was counted since an earlier snapshot. On 32-bit kernels counters start again at 2^32. It goes through the
// fields by reflection: of 24 lines one that is forgotten would read as if nothing had happened.
func (c Counters) Sub(earlier Counters) Counters {
	var d Counters
	after, before, out := reflect.ValueOf(c), reflect.ValueOf(earlier), reflect.ValueOf(&d).Elem()
	for i := range out.NumField() {
		if out.Field(i).Kind() == reflect.Bool {
			out.Field(i).SetBool(after.Field(i).Bool() && before.Field(i).Bool())
			continue
		}
		out.Field(i).SetUint(difference(after.Field(i).Uint(), before.Field(i).Uint()))
	}
	return d
}

// difference is 0 if a counter went back without having reached its limit: then nothing is known of it.
func difference(after, before uint64) uint64 {
	const half = math.MaxUint32 / 2
	switch {
	case after >= before:
		return after - before
	case before <= math.MaxUint32 && before-after > half:
		return after + math.MaxUint32 + 1 - before
	}
	return 0
}

// setTargets sets what the families are asked about: that of the target about the target and its flow, the other one about
// 127.0.0.1 or ::1.
func (f *Facts) setTargets(target netip.Addr, flow Flow) {
	f.IPv4.Target, f.IPv6.Target = netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()
	switch target = target.Unmap().WithZone(""); {
	case target.Is4():
		f.IPv4.Target, f.IPv4.Flow = target, flow
	case target.Is6():
		f.IPv6.Target, f.IPv6.Flow = target, flow
	}
}
