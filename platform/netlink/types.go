// Package netlink writes requests for netlink(7) about interfaces, addresses, routes, rules, queueing disciplines, firewall
// chains and sockets, and parses the answers. It opens no socket and judges nothing.
package netlink

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"lping/platform/fact"
)

// Protocols whose sockets can be asked for.
const (
	TCP = "tcp"
	UDP = "udp"
)

// ICMP is the protocol of echo requests, of both families.
const ICMP = "icmp"

// Interface is a network interface, as `ip -s address show` has it.
type Interface struct {
	Name  string `json:"name"`
	Index int    `json:"index"`
	// Flags are named as ip names them: LOOPBACK, UP, LOWER_UP, …
	Flags []string `json:"flags"`
	// MTU is in bytes.
	MTU int `json:"mtu"`
	// Hardware is the link layer address; empty if there is none.
	Hardware string `json:"hardware,omitempty"`
	// State is the operational state (RFC 2863), UNKNOWN for a loopback interface that is up.
	State string `json:"state,omitempty"`
	// Qdisc names the root queueing discipline; QueueLength is its default limit in packets.
	Qdisc       string `json:"qdisc,omitempty"`
	QueueLength int    `json:"queue_length,omitempty"`
	// XDP says that a program looks at every packet before the network stack does.
	XDP bool `json:"xdp,omitempty"`
	// XDPProgram is its number, if it is the only one.
	XDPProgram uint32    `json:"xdp_program,omitempty"`
	Addresses  []Address `json:"addresses"`
	// Stats count since the interface exists.
	Stats fact.Known[LinkStats] `json:"stats"`
}

// Up says whether the interface is switched on.
func (i Interface) Up() bool { return slices.Contains(i.Flags, "UP") }

// Address is an address of an interface.
type Address struct {
	Prefix netip.Prefix `json:"prefix"`
	// Scope is host, link, site or global; empty if the system has no scopes.
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
	// Users are the ids of users whose packets meet the rule.
	Users *fact.Range `json:"users,omitempty"`
	// Protocol is icmp, ipv6-icmp, tcp, udp or a number. SourcePorts and Ports are those of a packet's source and destination:
	// of an ICMP message the kernel takes type and code, as one number, for the destination port.
	Protocol    string      `json:"ipproto,omitempty"`
	SourcePorts *fact.Range `json:"sport,omitempty"`
	Ports       *fact.Range `json:"dport,omitempty"`
	// Mark is compared with that of a packet in the bits of Mask; without any bit every packet meets it.
	Mark uint32 `json:"fwmark,omitempty"`
	Mask uint32 `json:"fwmask,omitempty"`
	// TOS is the type of service or traffic class.
	TOS uint8 `json:"tos,omitempty"`
	// L3Mdev is for packets by the interfaces of a VRF, Tunnel for those with this tunnel id.
	L3Mdev bool   `json:"l3mdev,omitempty"`
	Tunnel uint64 `json:"tun_id,omitempty"`
	// Other says that the rule has selectors that are not read.
	Other bool `json:"other,omitempty"`
	// SuppressPrefix is the length up to which prefixes found in the table do not count (suppress_prefixlength).
	SuppressPrefix *int `json:"suppress_prefix,omitempty"`
	// Goto is the priority of the rule that a goto leads to.
	Goto uint32 `json:"goto,omitempty"`
}

// Flow is what routing goes by beside the destination, as the packets of a socket have it.
type Flow struct {
	// Protocol is icmp, tcp or udp.
	Protocol string `json:"protocol,omitempty"`
	// Source is the address that the socket is bound to, Interface that which it is bound to.
	Source    netip.Addr `json:"source,omitzero"`
	Interface string     `json:"interface,omitempty"`
	// SourcePort and Port are the ends; 0 if it is not known. ICMP has its type in Port, and its code in the lower byte.
	SourcePort uint16 `json:"source_port,omitempty"`
	Port       uint16 `json:"port,omitempty"`
	// TOS is the type of service or traffic class.
	TOS uint8 `json:"tos,omitempty"`
}

// Queue is a queueing discipline.
type Queue struct {
	Kind string `json:"kind"`
	// Ingress says that it handles packets that arrive.
	Ingress bool `json:"ingress,omitempty"`
	// Root says that every packet that leaves passes it.
	Root  bool   `json:"root,omitempty"`
	Drops uint64 `json:"drops"`
	// Backlog is the number of packets that wait in it.
	Backlog uint64 `json:"backlog,omitempty"`
	// Netem is what it is set to do if it is of the kind netem; else nil.
	Netem *Netem `json:"netem,omitempty"`
}

// Netem is what the queueing discipline netem does to packets (tc-netem(8)), as a bad network does. What is zero it does not.
type Netem struct {
	// Delay, Jitter and Slot, the longest time between two slots, are in ms.
	Delay  float64 `json:"delay_ms,omitempty"`
	Jitter float64 `json:"jitter_ms,omitempty"`
	Slot   float64 `json:"slot_ms,omitempty"`
	// Loss, Duplicate, Corrupt and Reorder are the packets that it does that to, in percent.
	Loss      float64 `json:"loss_percent,omitempty"`
	Duplicate float64 `json:"duplicate_percent,omitempty"`
	Corrupt   float64 `json:"corrupt_percent,omitempty"`
	Reorder   float64 `json:"reorder_percent,omitempty"`
	// Bursts says that one loss comes with another: by a correlation, or by a model in the place of Loss.
	Bursts bool `json:"bursts,omitempty"`
	// Rate is in bytes a second; Limit is how many packets have room.
	Rate  uint64 `json:"rate,omitempty"`
	Limit uint32 `json:"limit,omitempty"`
}

// String tells what it is set to do, in the words of tc-netem(8); empty if it lets everything pass at once.
func (n Netem) String() string {
	var parts []string
	for _, o := range []struct {
		format string
		value  float64
	}{
		{"delay %gms", n.Delay}, {"jitter %gms", n.Jitter}, {"slot %gms", n.Slot}, {"loss %g%%", n.Loss},
		{"duplicate %g%%", n.Duplicate}, {"corrupt %g%%", n.Corrupt}, {"reorder %g%%", n.Reorder},
		{"rate %gkbit", float64(n.Rate) / 125},
	} {
		if o.value > 0 {
			parts = append(parts, fmt.Sprintf(o.format, o.value))
		}
	}
	if n.Bursts && n.Loss == 0 {
		parts = append(parts, "loss by a model")
	}
	if n.Limit != usualLimit {
		parts = append(parts, fmt.Sprintf("limit %d", n.Limit))
	}
	return strings.Join(parts, " ")
}

// usualLimit is the limit of netem where tc is told none, in packets.
const usualLimit = 1000

// Chain is a base chain of nf_tables, by which a firewall looks at packets, or a table of the older iptables.
type Chain struct {
	// Family is ip, ip6, inet, netdev or arp; Table and Name are the user's.
	Family string `json:"family"`
	Table  string `json:"table"`
	Name   string `json:"name,omitempty"`
	// Type is filter, nat, or route, whose rules may send a packet another way.
	Type string `json:"type,omitempty"`
	// Hook is prerouting, input, forward, output, postrouting, ingress or egress.
	Hook string `json:"hook,omitempty"`
	// Devices are the interfaces of a chain that has some, at ingress or egress.
	Devices []string `json:"devices,omitempty"`
	// Policy is accept or drop: what happens to a packet that no rule decides about.
	Policy string `json:"policy,omitempty"`
	// Drops says whether a rule of this chain, or of one that it leads to, can drop or reject a packet.
	Drops fact.Known[bool] `json:"drops,omitzero"`
}

// Listener is a socket that takes what comes to its port: a listening one of TCP, an unconnected one of UDP.
type Listener struct {
	// Address is the one it listens on: 0.0.0.0 and :: are every address, and :: is those of IPv4 too unless IPv6Only.
	Address  netip.Addr `json:"address"`
	IPv6Only bool       `json:"ipv6_only,omitempty"`
	// Interface is the index of the only interface that it listens on; 0 if it is not bound to one.
	Interface int `json:"interface,omitempty"`
	// Queue is what waits for the service: connections of TCP, bytes of UDP.
	Queue uint32 `json:"queue"`
	// Backlog is the limit of the queue of TCP, which holds one connection more; 0 for UDP.
	Backlog uint32 `json:"backlog,omitempty"`
}

// Takes says whether the socket gets what is sent to an address. One on :: gets IPv4, too, unless it is for IPv6 only.
func (l Listener) Takes(to netip.Addr) bool {
	if l.Address.IsUnspecified() {
		return l.Address.Is4() == to.Is4() || l.Address.Is6() && !l.IPv6Only
	}
	return l.Address == to.WithZone("")
}

// Serving are those of the sockets that get what is sent to an address by an interface: of several the most specific ones, by
// address, interface and family (inet_lhash2_lookup in net/ipv4/inet_hashtables.c, udp4_lib_lookup2 in net/ipv4/udp.c). Equals
// share it (SO_REUSEPORT).
func Serving(list []Listener, to netip.Addr, index int) []Listener {
	var best []Listener
	most := 0
	for _, l := range list {
		if !l.Takes(to) || l.Interface != 0 && l.Interface != index {
			continue
		}
		score := 1
		if !l.Address.IsUnspecified() {
			score += 4
		}
		if l.Interface != 0 {
			score += 2
		}
		if l.Address.Is4() == to.Is4() {
			score++
		}
		switch {
		case score > most:
			best, most = []Listener{l}, score
		case score == most:
			best = append(best, l)
		}
	}
	return best
}

// Full says that the system lets no further connection into the queue (sk_acceptq_is_full in include/net/sock.h).
func (l Listener) Full() bool { return l.Queue > l.Backlog }
