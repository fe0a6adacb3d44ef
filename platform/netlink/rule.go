package netlink

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"lping/platform/fact"
)

// Meeting says whether a packet meets a rule: it may if that depends on a port which the system chooses, or on what is not read.
type Meeting uint8

const (
	MeetsNot Meeting = iota
	MayMeet
	Meets
)

// Packet is what a rule looks at, of a packet of this host that has no mark.
type Packet struct {
	Flow
	To netip.Addr
	// In is the name of the interface by which packets of this host seem to come in, which is the loopback interface.
	In string
	// User is the effective id of who sends it; -1 if it is not known.
	User int64
	// Chosen are the ports that the system gives out; all of them if that is not known.
	Chosen fact.Range
}

// echoReply6 is the type of an echo reply (RFC 4443) in the place of a port.
const echoReply6 = 129 << 8

// Answer is the flow of what answers packets of a flow to this address: ICMP by the kernel, for which it is root's.
func (f Flow) Answer(to netip.Addr) Flow {
	answer := Flow{Protocol: f.Protocol, Source: to, SourcePort: f.Port}
	switch {
	case f.Protocol == ICMP && to.Is4():
		answer.SourcePort, answer.TOS = 0, f.TOS
	case f.Protocol == ICMP:
		answer.SourcePort, answer.Port, answer.Interface = 0, echoReply6, f.Interface
	}
	return answer
}

// Untold says that the rule goes by a port that is not known.
func (r Rule) Untold(f Flow) bool {
	return r.SourcePorts != nil && f.SourcePort == 0 || r.Ports != nil && f.Port == 0
}

// Meets says whether a packet meets the rule (fib_rule_match in net/core/fib_rules.c).
func (r Rule) Meets(p Packet) Meeting {
	if p.Protocol == ICMP && p.To.Is6() {
		p.Protocol = icmp6
	}
	met := MeetsNot
	if within(r.From, p.Source) && within(r.To, p.To) && (r.In == "" || r.In == p.In) && (r.Out == "" || r.Out == p.Interface) &&
		(r.Users == nil || p.User < 0 || r.Users.Contains(p.User)) && (r.Protocol == "" || r.Protocol == p.Protocol) &&
		r.Mark&r.Mask == 0 && !r.L3Mdev && r.Tunnel == 0 {
		met = min(p.meetsPort(r.SourcePorts, p.SourcePort), p.meetsPort(r.Ports, p.Port), p.meetsTOS(r.TOS))
		if r.Other || r.Users != nil && p.User < 0 {
			met = min(met, MayMeet)
		}
	}
	if r.Not {
		return Meets - met
	}
	return met
}

// icmp6 is the name of ICMPv6 in a rule.
const icmp6 = "ipv6-icmp"

// within says that a selector has an address; one that is not set has all.
func within(p netip.Prefix, a netip.Addr) bool { return !p.IsValid() || p.Contains(a) }

// meetsPort holds a selector against a port, or against those of which the system chooses one if that is 0. ICMP has no source
// port.
func (p Packet) meetsPort(want *fact.Range, port uint16) Meeting {
	known := port != 0 || p.Protocol != TCP && p.Protocol != UDP
	switch {
	case want == nil || known && want.Contains(int64(port)):
		return Meets
	case known || p.Chosen.High > 0 && (want.High < p.Chosen.Low || want.Low > p.Chosen.High):
		return MeetsNot
	case p.Chosen.High > 0 && want.Contains(p.Chosen.Low) && want.Contains(p.Chosen.High):
		return Meets
	}
	return MayMeet
}

// meetsTOS holds a selector against the type of service. Older kernels compare less of it (IPTOS_RT_MASK of net/route.h).
func (p Packet) meetsTOS(want uint8) Meeting {
	const whole, old = 0xfc, 0x1c
	switch want {
	case 0, p.TOS & whole:
		return Meets
	case p.TOS & old:
		return MayMeet
	}
	return MeetsNot
}

// Selectors are those of a rule that are set, in the words and the order of ip-rule(8).
func (r Rule) Selectors() (list []string) {
	add := func(set bool, format string, args ...any) {
		if set {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	add(r.From.IsValid(), "from %s", PrefixText(r.From))
	add(r.To.IsValid(), "to %s", PrefixText(r.To))
	add(r.TOS != 0, "tos 0x%02x", r.TOS)
	switch {
	case r.Mask != 0 && r.Mask != math.MaxUint32:
		add(true, "fwmark 0x%x/0x%x", r.Mark, r.Mask)
	default:
		add(r.Mark != 0 || r.Mask != 0, "fwmark 0x%x", r.Mark)
	}
	add(r.In != "", "iif %s", r.In)
	add(r.Out != "", "oif %s", r.Out)
	add(r.L3Mdev, "l3mdev")
	if r.Users != nil {
		add(true, "uidrange %d-%d", r.Users.Low, r.Users.High)
	}
	add(r.Protocol != "", "ipproto %s", r.Protocol)
	add(r.SourcePorts != nil, "sport %s", portText(r.SourcePorts))
	add(r.Ports != nil, "dport %s", portText(r.Ports))
	add(r.Tunnel != 0, "tun_id %d", r.Tunnel)
	return list
}

// Does is the action of a rule with what belongs to it, in the words of ip-rule(8).
func (r Rule) Does() string {
	text := strings.TrimSpace(r.Action + " " + r.Table)
	switch {
	case r.Action == "goto":
		text += " " + strconv.FormatUint(uint64(r.Goto), 10)
	case r.SuppressPrefix != nil:
		text += " suppress_prefixlength " + strconv.Itoa(*r.SuppressPrefix)
	}
	return text
}

// Text is a rule without its priority, in the words of ip-rule(8).
func (r Rule) Text() string {
	list := r.Selectors()
	if r.Not {
		list = append([]string{"not"}, list...)
	}
	return strings.Join(append(list, r.Does()), " ")
}

// PrefixText is a prefix, or the address if the prefix holds one alone.
func PrefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

func portText(r *fact.Range) string {
	switch {
	case r == nil:
		return ""
	case r.Low == r.High:
		return strconv.FormatInt(r.Low, 10)
	}
	return fmt.Sprintf("%d-%d", r.Low, r.High)
}
