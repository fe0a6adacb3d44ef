package netlink

import (
	"math"
	"net/netip"
	"testing"

	"lping/platform/fact"
)

func TestMeets(t *testing.T) {
	four, six := netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()
	flow := func(protocol string, port uint16) Packet {
		return Packet{Flow: Flow{Protocol: protocol, Source: four, Port: port}, To: four, In: "lo", User: 1000,
			Chosen: fact.Range{Low: 32768, High: 60999}}
	}
	ports := func(low, high int64) *fact.Range { return &fact.Range{Low: low, High: high} }
	echo, udp, own := flow(ICMP, 8<<8), flow(UDP, 53), flow(TCP, 0)
	echo6 := Packet{Flow: Flow{Protocol: ICMP, Source: six, Interface: "lo"}, To: six, User: -1}
	marked := udp
	marked.TOS = 0xb8
	for _, tt := range []struct {
		name   string
		rule   Rule
		packet Packet
		want   Meeting
	}{
		{"our protocol", Rule{Protocol: "udp"}, udp, Meets},
		{"another protocol", Rule{Protocol: "udp"}, echo, MeetsNot},
		{"ICMP of IPv4", Rule{Protocol: "icmp"}, echo, Meets},
		{"ICMP of IPv4 for IPv6", Rule{Protocol: "icmp"}, echo6, MeetsNot},
		{"ICMP of IPv6", Rule{Protocol: "ipv6-icmp"}, echo6, Meets},
		{"not ICMP", Rule{Not: true, Protocol: "icmp"}, udp, Meets},
		{"our port", Rule{Ports: ports(50, 60)}, udp, Meets},
		{"another port", Rule{Ports: ports(54, 60)}, udp, MeetsNot},
		{"a port that is chosen", Rule{Ports: ports(40000, 40000)}, own, MayMeet},
		{"not a port that is chosen", Rule{Not: true, Ports: ports(40000, 40000)}, own, MayMeet},
		{"a port that is not chosen", Rule{Ports: ports(1, 1023)}, own, MeetsNot},
		{"all ports that are chosen", Rule{SourcePorts: ports(1, 65534)}, udp, Meets},
		{"no port of ICMP", Rule{SourcePorts: ports(1, 65534)}, echo, MeetsNot},
		{"type of ICMP", Rule{Ports: ports(2048, 2048)}, echo, Meets},
		{"mark", Rule{Mark: 7, Mask: math.MaxUint32}, udp, MeetsNot},
		{"no mark", Rule{Mask: 0xff}, udp, Meets},
		{"type of service", Rule{TOS: 0xb8}, marked, Meets},
		{"part of it", Rule{TOS: 0x18}, marked, MayMeet},
		{"another", Rule{TOS: 0x10}, marked, MeetsNot},
		{"interface", Rule{Out: "lo"}, echo6, Meets},
		{"no interface", Rule{Out: "lo"}, echo, MeetsNot},
		{"a user who is not known", Rule{Users: ports(0, 0)}, echo6, MayMeet},
		{"another user", Rule{Users: ports(0, 999)}, echo, MeetsNot},
		{"VRF", Rule{L3Mdev: true}, echo, MeetsNot},
		{"tunnel", Rule{Tunnel: 9}, echo, MeetsNot},
		{"what is not read", Rule{Other: true}, echo, MayMeet},
	} {
		if got := tt.rule.Meets(tt.packet); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestRuleText(t *testing.T) {
	prefix := netip.MustParsePrefix
	for _, tt := range []struct {
		rule Rule
		want string
	}{
		{Rule{Action: "lookup", Table: "local"}, "lookup local"},
		{Rule{Action: "lookup", Table: "main", SuppressPrefix: new(int)}, "lookup main suppress_prefixlength 0"},
		{Rule{Action: "goto", Goto: 9, Not: true, Mark: 7, Mask: math.MaxUint32}, "not fwmark 0x7 goto 9"},
		{Rule{Action: "blackhole", From: prefix("10.0.0.0/8"), To: prefix("127.0.0.1/32"), TOS: 8, Mark: 7, Mask: 15, In: "lo", Out: "eth0",
			L3Mdev: true, Users: &fact.Range{Low: 1, High: 2}, Protocol: "tcp", SourcePorts: &fact.Range{Low: 5, High: 5},
			Ports: &fact.Range{Low: 80, High: 90}, Tunnel: 3}, "from 10.0.0.0/8 to 127.0.0.1 tos 0x08 fwmark 0x7/0xf iif lo oif eth0 l3mdev " +
			"uidrange 1-2 ipproto tcp sport 5 dport 80-90 tun_id 3 blackhole"},
	} {
		if got := tt.rule.Text(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestAnswer(t *testing.T) {
	four, six := netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()
	for _, tt := range []struct {
		to         netip.Addr
		flow, want Flow
	}{
		{four, Flow{Protocol: ICMP, Source: four, Port: 8 << 8, TOS: 8}, Flow{Protocol: ICMP, Source: four, TOS: 8}},
		{six, Flow{Protocol: ICMP, Source: six, Interface: "lo"}, Flow{Protocol: ICMP, Source: six, Port: 129 << 8, Interface: "lo"}},
		{four, Flow{Protocol: TCP, Source: four, Port: 80, TOS: 8}, Flow{Protocol: TCP, Source: four, SourcePort: 80}},
	} {
		if got := tt.flow.Answer(tt.to); got != tt.want {
			t.Errorf("got %+v, want %+v", got, tt.want)
		}
	}
}
