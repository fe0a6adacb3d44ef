package netlink

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lping/platform/fact"
)

// attribute is one for a message that a test builds.
func attribute(typ uint16, value []byte) []byte { return appendAttribute(nil, typ, value) }

func u32(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

func be32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

func u64s(n ...uint64) (b []byte) {
	for _, v := range n {
		b = binary.NativeEndian.AppendUint64(b, v)
	}
	return b
}

func ip(s string) []byte { return netip.MustParseAddr(s).AsSlice() }

// datagram puts messages together as the kernel sends them.
func datagram(list ...[]byte) []byte { return slices.Concat(list...) }

func packed(typ uint16, seq uint32, body []byte) []byte {
	b := Request{Type: typ, Body: body}.Append(nil, seq)
	return append(b, make([]byte, align(len(b))-len(b))...)
}

func TestParseMessages(t *testing.T) {
	done := packed(unix.NLMSG_DONE, 7, u32(0))
	refused := int32(-int32(unix.ENETUNREACH))
	tests := []struct {
		name string
		in   []byte
		want []Message
		done bool
		err  error
	}{
		{"empty", nil, nil, false, nil},
		{"dump", datagram(packed(20, 7, []byte{1, 2, 3}), packed(20, 7, nil), done), []Message{{20, []byte{1, 2, 3}}, {20, []byte{}}}, true, nil},
		{"more to come", packed(20, 7, nil), []Message{{20, []byte{}}}, false, nil},
		{"another's answer", datagram(packed(20, 6, nil), done), nil, true, nil},
		{"acknowledged", packed(unix.NLMSG_ERROR, 7, u32(0)), nil, true, nil},
		{"refused", packed(unix.NLMSG_ERROR, 7, u32(uint32(refused))), nil, true, unix.ENETUNREACH},
		{"absurd errno", packed(unix.NLMSG_ERROR, 7, u32(0x80000000)), nil, true, nil},
		{"short errno", packed(unix.NLMSG_ERROR, 7, []byte{1}), nil, true, nil},
		{"header cut", done[:8], nil, false, nil},
		{"body cut", done[:18], nil, false, errShort},
		{"length 0", make([]byte, 16), nil, false, errShort},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, end, err := ParseMessages(tt.in, 7)
			if !reflect.DeepEqual(got, tt.want) || end != tt.done || !errors.Is(err, tt.err) {
				t.Errorf("got %v, %v, %v, want %v, %v, %v", got, end, err, tt.want, tt.done, tt.err)
			}
		})
	}
}

func TestParseLink(t *testing.T) {
	head := slices.Concat(make([]byte, 4), u32(1), u32(unix.IFF_LOOPBACK|unix.IFF_UP|unix.IFF_RUNNING|unix.IFF_LOWER_UP), u32(0))
	got, err := ParseLink(slices.Concat(head, attribute(unix.IFLA_IFNAME, []byte("lo\x00")), attribute(unix.IFLA_MTU, u32(65536)),
		attribute(unix.IFLA_ADDRESS, make([]byte, 6)), attribute(unix.IFLA_QDISC, []byte("noqueue\x00")),
		attribute(unix.IFLA_TXQLEN, u32(1000)), attribute(unix.IFLA_OPERSTATE, []byte{0}),
		attribute(unix.IFLA_STATS64, u64s(1, 2, 0, 0, 5, 6, 7, 8, 9)),
		attribute(unix.IFLA_XDP|unix.NLA_F_NESTED, slices.Concat(attribute(unix.IFLA_XDP_ATTACHED, []byte{2}), attribute(unix.IFLA_XDP_PROG_ID, u32(7))))))
	want := Interface{Name: "lo", Index: 1, Flags: []string{"LOOPBACK", "UP", "LOWER_UP"}, MTU: 65536,
		Hardware: "00:00:00:00:00:00", State: "UNKNOWN", Qdisc: "noqueue", QueueLength: 1000, XDP: true, XDPProgram: 7,
		Stats: fact.Know(LinkStats{Received: 1, Sent: 2, ReceiveErrors: 5, SendErrors: 6, ReceiveDropped: 7, SendDropped: 8})}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	if _, err := ParseLink(head[:15]); !errors.Is(err, errShort) {
		t.Errorf("got %v, want %v", err, errShort)
	}
	if got := FlagNames(unix.IFF_UP | unix.IFF_LOOPBACK); !slices.Equal(got, []string{"NO-CARRIER", "LOOPBACK", "UP"}) {
		t.Errorf("got %q", got)
	}
}

func TestParseAddress(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
		want Address
		err  error
	}{
		{"IPv4", slices.Concat([]byte{unix.AF_INET, 8, 0x80, 254}, u32(1), attribute(unix.IFA_ADDRESS, ip("127.0.0.1")),
			attribute(unix.IFA_LOCAL, ip("127.0.0.1"))), Address{Prefix: netip.MustParsePrefix("127.0.0.1/8"), Scope: "host"}, nil},
		{"with a peer", slices.Concat([]byte{unix.AF_INET, 32, 0, 0}, u32(1), attribute(unix.IFA_ADDRESS, ip("10.0.0.2")),
			attribute(unix.IFA_LOCAL, ip("10.0.0.1"))), Address{Prefix: netip.MustParsePrefix("10.0.0.1/32"), Scope: "global"}, nil},
		{"IPv6, duplicate", slices.Concat([]byte{unix.AF_INET6, 64, 0, 253}, u32(1), attribute(unix.IFA_ADDRESS, ip("fe80::1")),
			attribute(unix.IFA_FLAGS, u32(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED))),
			Address{Prefix: netip.MustParsePrefix("fe80::1/64"), Scope: "link", Flags: []string{"dadfailed", "tentative"}}, nil},
		{"short", []byte{unix.AF_INET, 8, 0}, Address{}, errShort},
		{"no address", slices.Concat([]byte{unix.AF_INET, 8, 0, 0}, u32(1)), Address{}, errShort},
		{"absurd length", slices.Concat([]byte{unix.AF_INET, 99, 0, 0}, u32(1), attribute(unix.IFA_LOCAL, ip("127.0.0.1"))), Address{}, errShort},
		{"absurd address", slices.Concat([]byte{unix.AF_INET, 8, 0, 0}, u32(1), attribute(unix.IFA_LOCAL, []byte{1, 2, 3})), Address{}, errShort},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, index, err := ParseAddress(tt.in)
			if !reflect.DeepEqual(got, tt.want) || !errors.Is(err, tt.err) || err == nil && index != 1 {
				t.Errorf("got %+v, %d, %v, want %+v, %v", got, index, err, tt.want, tt.err)
			}
		})
	}
}

// routeHead is struct rtmsg, or struct fib_rule_hdr with an action for the type.
func routeHead(family, dst, src, tos, table, typ byte) []byte {
	return slices.Concat([]byte{family, dst, src, tos, table, 0, 0, typ}, u32(0))
}

func TestParseRoute(t *testing.T) {
	got, index, err := ParseRoute(slices.Concat(routeHead(unix.AF_INET, 8, 0, 0, unix.RT_TABLE_LOCAL, unix.RTN_LOCAL),
		attribute(unix.RTA_DST, ip("127.0.0.0")), attribute(unix.RTA_OIF, u32(1)), attribute(unix.RTA_PREFSRC, ip("127.0.0.1")),
		attribute(unix.RTA_PRIORITY, u32(9)), attribute(unix.RTA_GATEWAY, ip("10.0.0.1"))))
	want := Route{Type: "local", Destination: netip.MustParsePrefix("127.0.0.0/8"),
		Table: "local", Gateway: netip.MustParseAddr("10.0.0.1"), Source: netip.MustParseAddr("127.0.0.1"), Metric: 9}
	if err != nil || got != want || index != 1 {
		t.Errorf("got %+v, %d, %v, want %+v, 1", got, index, err, want)
	}
	got, _, err = ParseRoute(slices.Concat(routeHead(unix.AF_INET6, 0, 0, 0, 0, unix.RTN_BLACKHOLE), attribute(unix.RTA_TABLE, u32(1000))))
	if err != nil || got.Type != "blackhole" || got.Table != "1000" || got.Destination.String() != "::/0" {
		t.Errorf("got %+v, %v", got, err)
	}
	for name, b := range map[string][]byte{
		"short":           routeHead(unix.AF_INET, 0, 0, 0, 0, 1)[:11],
		"absurd length":   routeHead(unix.AF_INET, 33, 0, 0, 0, 1),
		"absurd address":  slices.Concat(routeHead(unix.AF_INET, 8, 0, 0, 0, 1), attribute(unix.RTA_DST, []byte{1})),
		"another address": slices.Concat(routeHead(unix.AF_INET6, 64, 0, 0, 0, 1), attribute(unix.RTA_DST, ip("127.0.0.1"))),
	} {
		if got, _, err := ParseRoute(b); !errors.Is(err, errShort) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestParseRule(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
		want Rule
	}{
		{"the first", slices.Concat(routeHead(unix.AF_INET, 0, 0, 0, unix.RT_TABLE_LOCAL, unix.FR_ACT_TO_TBL)), Rule{Action: "lookup", Table: "local"}},
		{"blackhole", slices.Concat(routeHead(unix.AF_INET, 8, 32, 0, 0, unix.FR_ACT_BLACKHOLE), attribute(unix.FRA_PRIORITY, u32(5)),
			attribute(unix.FRA_DST, ip("127.0.0.0")), attribute(unix.FRA_SRC, ip("10.0.0.1"))),
			Rule{Priority: 5, Action: "blackhole", From: netip.MustParsePrefix("10.0.0.1/32"), To: netip.MustParsePrefix("127.0.0.0/8")}},
		{"users", slices.Concat(routeHead(unix.AF_INET6, 0, 0, 0, 0, unix.FR_ACT_PROHIBIT), attribute(unix.FRA_UID_RANGE, slices.Concat(u32(1), u32(1<<32-1))),
			attribute(unix.FRA_IIFNAME, []byte("lo\x00")), attribute(unix.FRA_OIFNAME, []byte("eth0\x00"))),
			Rule{Action: "prohibit", Users: &fact.Range{Low: 1, High: 1<<32 - 1}, In: "lo", Out: "eth0"}},
		{"our protocol", slices.Concat(routeHead(unix.AF_INET, 0, 0, 0, 0, unix.FR_ACT_UNREACHABLE), attribute(unix.FRA_IP_PROTO, []byte{1})),
			Rule{Action: "unreachable", Protocol: "icmp"}},
		{"another protocol", slices.Concat(routeHead(unix.AF_INET, 0, 0, 0, 0, unix.FR_ACT_NOP), attribute(unix.FRA_IP_PROTO, []byte{6})),
			Rule{Action: "nop", Protocol: "tcp"}},
		{"mark", slices.Concat(routeHead(unix.AF_INET, 0, 0, 0, 0, unix.FR_ACT_TO_TBL), attribute(unix.FRA_TABLE, u32(300)), attribute(unix.FRA_FWMARK, u32(7)), attribute(unix.FRA_FWMASK, u32(255))),
			Rule{Action: "lookup", Table: "300", Mark: 7, Mask: 255}},
		{"mark 0", slices.Concat(routeHead(unix.AF_INET, 0, 0, 0, unix.RT_TABLE_MAIN, unix.FR_ACT_TO_TBL), attribute(unix.FRA_FWMARK, u32(0))),
			Rule{Action: "lookup", Table: "main"}},
		{"port", slices.Concat(routeHead(unix.AF_INET, 0, 0, 0, 0, unix.FR_ACT_GOTO), attribute(unix.FRA_GOTO, u32(9)), attribute(unix.FRA_DPORT_RANGE, u16s(80, 90)),
			attribute(unix.FRA_SPORT_RANGE, u16s(5, 5)), attribute(sourcePortMask, u16s(0xffff))),
			Rule{Action: "goto", Goto: 9, Ports: &fact.Range{Low: 80, High: 90}, SourcePorts: &fact.Range{Low: 5, High: 5}}},
		{"part of a port", slices.Concat(routeHead(unix.AF_INET, 0, 0, 0, 0, unix.FR_ACT_NOP), attribute(portMask, u16s(0xff))), Rule{Action: "nop", Other: true}},
		{"what is to come", slices.Concat(routeHead(unix.AF_INET, 0, 0, 0, 0, unix.FR_ACT_NOP), attribute(99, u16s(1))), Rule{Action: "nop", Other: true}},
		{"VRF", slices.Concat(routeHead(unix.AF_INET, 0, 0, 0, 0, unix.FR_ACT_TO_TBL), attribute(unix.FRA_L3MDEV, []byte{1})), Rule{Action: "lookup", L3Mdev: true}},
		{"tunnel", slices.Concat(routeHead(unix.AF_INET, 0, 0, 0, 0, unix.FR_ACT_NOP), attribute(unix.FRA_TUN_ID, []byte{0, 0, 0, 0, 0, 0, 0, 7})), Rule{Action: "nop", Tunnel: 7}},
		{"WireGuard", slices.Concat(routeHead(unix.AF_INET, 0, 0, 0, unix.RT_TABLE_MAIN, unix.FR_ACT_TO_TBL), attribute(unix.FRA_SUPPRESS_PREFIXLEN, u32(0)),
			attribute(unix.FRA_SUPPRESS_IFGROUP, u32(1<<32-1))), Rule{Action: "lookup", Table: "main", SuppressPrefix: new(int)}},
		{"nothing suppressed", slices.Concat(routeHead(unix.AF_INET, 0, 0, 0, unix.RT_TABLE_MAIN, unix.FR_ACT_TO_TBL), attribute(unix.FRA_SUPPRESS_PREFIXLEN, u32(1<<32-1))),
			Rule{Action: "lookup", Table: "main"}},
		{"type of service", routeHead(unix.AF_INET, 0, 0, 8, 0, 99), Rule{Action: "99", TOS: 8}},
		{"not", slices.Concat(routeHead(unix.AF_INET, 0, 0, 0, 0, unix.FR_ACT_BLACKHOLE)[:8], u32(unix.FIB_RULE_INVERT)), Rule{Action: "blackhole", Not: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := ParseRule(tt.in); err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
	for name, b := range map[string][]byte{
		"short": {2, 0}, "absurd source": routeHead(unix.AF_INET, 0, 99, 0, 0, 1), "absurd length": routeHead(unix.AF_INET, 99, 0, 0, 0, 1),
	} {
		if got, err := ParseRule(b); !errors.Is(err, errShort) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestParseQueue(t *testing.T) {
	stats := attribute(unix.TCA_STATS2, attribute(statsQueue, slices.Concat(u32(1), u32(2), u32(3), u32(4))))
	head := slices.Concat(make([]byte, 4), u32(1), u32(0), u32(parentIngress), u32(0))
	got, err := ParseQueue(slices.Concat(head, attribute(unix.TCA_KIND, []byte("clsact\x00")), stats))
	if want := (Queue{Kind: "clsact", Ingress: true, Drops: 3, Backlog: 1}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := ParseQueue(head[:19]); !errors.Is(err, errShort) {
		t.Errorf("got %v, want %v", err, errShort)
	}
}

func TestParseChain(t *testing.T) {
	hook := func(n uint32, more ...[]byte) []byte {
		return attribute(unix.NFTA_CHAIN_HOOK, slices.Concat(attribute(unix.NFTA_HOOK_HOOKNUM, be32(n)), slices.Concat(more...)))
	}
	names := slices.Concat(attribute(unix.NFTA_CHAIN_TABLE, []byte("t\x00")), attribute(unix.NFTA_CHAIN_NAME, []byte("c\x00")))
	devices := attribute(hookDevices, slices.Concat(attribute(1, []byte("lo\x00")), attribute(1, []byte("eth0\x00"))))
	tests := []struct {
		name string
		in   []byte
		want Chain
	}{
		{"input", slices.Concat([]byte{unix.NFPROTO_INET, 0, 0, 0}, names, hook(1), attribute(unix.NFTA_CHAIN_POLICY, be32(0))),
			Chain{Family: "inet", Table: "t", Name: "c", Hook: "input", Policy: "drop"}},
		{"egress", slices.Concat([]byte{unix.NFPROTO_NETDEV, 0, 0, 0}, names, hook(1, attribute(unix.NFTA_HOOK_DEV, []byte("lo\x00")))),
			Chain{Family: "netdev", Table: "t", Name: "c", Hook: "egress", Devices: []string{"lo"}}},
		{"two devices", slices.Concat([]byte{unix.NFPROTO_NETDEV, 0, 0, 0}, names, hook(0, attribute(unix.NFTA_HOOK_DEV, []byte("lo\x00")), devices)),
			Chain{Family: "netdev", Table: "t", Name: "c", Hook: "ingress", Devices: []string{"lo", "eth0"}}},
		{"no base chain", slices.Concat([]byte{unix.NFPROTO_IPV4, 0, 0, 0}, names), Chain{Family: "ip", Table: "t", Name: "c"}},
		{"absurd hook", slices.Concat([]byte{77, 0, 0, 0}, hook(1<<31), attribute(unix.NFTA_CHAIN_POLICY, []byte{1})), Chain{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := ParseChain(tt.in); err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
	if _, err := ParseChain(nil); !errors.Is(err, errShort) {
		t.Errorf("got %v, want %v", err, errShort)
	}
}

// expressionOf is one part of a rule, in the list of all.
func expressionOf(name string, data ...[]byte) []byte {
	return attribute(1, slices.Concat(attribute(unix.NFTA_EXPR_NAME, []byte(name+"\x00")), attribute(unix.NFTA_EXPR_DATA, slices.Concat(data...))))
}

func TestParseRedirects(t *testing.T) {
	port := expressionOf("cmp", attribute(3, attribute(1, []byte{0x1f, 0x90})))
	tcp := expressionOf("match", attribute(3, slices.Concat(u16s(0, 65535, 8080, 8080), make([]byte, 4))))
	many := expressionOf("match", attribute(3, slices.Concat(u16s(0, 65535, 1, 65535), make([]byte, 4))))
	for _, tt := range []struct {
		name  string
		parts [][]byte
		want  []uint16
	}{
		{"nothing", nil, nil},
		{"a redirect", [][]byte{port, expressionOf("redir")}, []uint16{8080}},
		{"DNAT", [][]byte{port, expressionOf("nat", attribute(1, be32(1)))}, []uint16{8080}},
		{"SNAT", [][]byte{port, expressionOf("nat", attribute(1, be32(0)))}, nil},
		{"accept", [][]byte{port, expressionOf("immediate")}, nil},
		{"every port", [][]byte{expressionOf("redir")}, nil},
		{"iptables, redirect", [][]byte{tcp, expressionOf("target", attribute(1, []byte("REDIRECT\x00")))}, []uint16{8080}},
		{"iptables, DNAT", [][]byte{tcp, expressionOf("target", attribute(1, []byte("DNAT\x00")))}, []uint16{8080}},
		{"iptables, LOG", [][]byte{tcp, expressionOf("target", attribute(1, []byte("LOG\x00")))}, nil},
		{"a range", [][]byte{many, expressionOf("redir")}, nil},
		{"four bytes", [][]byte{expressionOf("cmp", attribute(3, attribute(1, []byte{127, 0, 0, 1}))), expressionOf("redir")}, nil},
	} {
		in := slices.Concat([]byte{unix.NFPROTO_IPV4, 0, 0, 0}, attribute(unix.NFTA_RULE_EXPRESSIONS, slices.Concat(tt.parts...)))
		if got := ParseRedirects(in); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	if got := ParseRedirects([]byte{1, 2, 3}); got != nil {
		t.Errorf("short: got %v", got)
	}
}

func TestParseFirewallRule(t *testing.T) {
	verdict := func(code uint32, chain string) []byte {
		name := []byte{}
		if chain != "" {
			name = attribute(2, []byte(chain+"\x00"))
		}
		return expressionOf("immediate", attribute(1, be32(0)), attribute(2, attribute(2, slices.Concat(attribute(1, be32(code)), name))))
	}
	for _, tt := range []struct {
		name  string
		parts [][]byte
		drops bool
		jumps []string
	}{
		{"nothing", nil, false, nil},
		{"drop", [][]byte{expressionOf("cmp"), verdict(0, "")}, true, nil},
		{"accept", [][]byte{verdict(1, "")}, false, nil},
		{"queue", [][]byte{verdict(3, "")}, true, nil},
		{"queue by number", [][]byte{expressionOf("queue", attribute(1, []byte{0, 1}))}, true, nil},
		{"jump", [][]byte{verdict(0xfffffffd, "far")}, false, []string{"far"}},
		{"reject", [][]byte{expressionOf("reject", attribute(1, be32(0)))}, true, nil},
		{"a set", [][]byte{expressionOf("lookup", attribute(1, []byte("s\x00")), attribute(2, be32(1)))}, false, nil},
		{"a map of values", [][]byte{expressionOf("lookup", attribute(3, be32(1)))}, false, nil},
		{"a map of verdicts", [][]byte{expressionOf("lookup", attribute(3, be32(0)))}, true, nil},
		{"a mark", [][]byte{expressionOf("immediate", attribute(1, be32(1)), attribute(2, attribute(1, be32(0))))}, false, nil},
		{"iptables, REJECT", [][]byte{expressionOf("target", attribute(1, []byte("REJECT\x00")))}, true, nil},
		{"iptables, LOG", [][]byte{expressionOf("target", attribute(1, []byte("LOG\x00")))}, false, nil},
	} {
		in := slices.Concat([]byte{unix.NFPROTO_IPV4, 0, 0, 0}, attribute(unix.NFTA_RULE_TABLE, []byte("t\x00")),
			attribute(unix.NFTA_RULE_CHAIN, []byte("c\x00")), attribute(unix.NFTA_RULE_EXPRESSIONS, slices.Concat(tt.parts...)))
		want := FirewallRule{Family: "ip", Table: "t", Chain: "c", Drops: tt.drops, Jumps: tt.jumps}
		if got, err := ParseFirewallRule(in); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", tt.name, got, err, want)
		}
	}
	if got, err := ParseFirewallRule([]byte{1, 2, 3}); !errors.Is(err, errShort) {
		t.Errorf("short: got %+v, %v", got, err)
	}
}

// u16s are numbers of two bytes in the order of this machine.
func u16s(list ...uint16) (b []byte) {
	for _, n := range list {
		b = binary.NativeEndian.AppendUint16(b, n)
	}
	return b
}

func FuzzNetlink(f *testing.F) {
	f.Add(packed(unix.RTM_NEWLINK, 7, slices.Concat(make([]byte, 16), attribute(unix.IFLA_IFNAME, []byte("lo\x00")),
		attribute(unix.IFLA_STATS64, u64s(1, 2, 3, 4, 5, 6, 7, 8)), attribute(unix.IFLA_XDP, attribute(2, []byte{1})))))
	f.Add(packed(unix.RTM_NEWADDR, 7, slices.Concat([]byte{2, 8, 0, 0}, u32(1), attribute(unix.IFA_LOCAL, ip("127.0.0.1")))))
	f.Add(packed(unix.RTM_NEWROUTE, 7, slices.Concat(routeHead(unix.AF_INET6, 128, 0, 0, 255, 2), attribute(unix.RTA_DST, ip("::1")))))
	f.Add(packed(unix.RTM_NEWRULE, 7, slices.Concat(routeHead(2, 8, 0, 0, 0, 6), attribute(unix.FRA_DST, ip("127.0.0.0")))))
	f.Add(packed(unix.RTM_NEWQDISC, 7, slices.Concat(make([]byte, sizeofTcmsg), attribute(unix.TCA_STATS2, attribute(3, make([]byte, 20))))))
	f.Add(packed(0xa03, 7, slices.Concat([]byte{5, 0, 0, 0}, attribute(unix.NFTA_CHAIN_HOOK, attribute(4, attribute(1, []byte("lo\x00")))))))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, _, err := ParseMessages(b, 7)
		if errno, ok := errors.AsType[syscall.Errno](err); ok && (errno <= 0 || errno > 4095) {
			t.Errorf("errno %d", errno)
		}
		for _, m := range append(list, Message{Data: b}) {
			parseAll(t, m.Data)
		}
	})
}

// parseAll takes one body for every kind of message.
func parseAll(t *testing.T, b []byte) {
	t.Helper()
	if i, err := ParseLink(b); err == nil && strings.Contains(i.Name, "\x00") {
		t.Errorf("name %q", i.Name)
	}
	if a, _, err := ParseAddress(b); err == nil && !a.Prefix.IsValid() {
		t.Errorf("address %+v", a)
	}
	if r, _, err := ParseRoute(b); err == nil && !r.Destination.IsValid() {
		t.Errorf("route %+v", r)
	}
	if r, err := ParseRule(b); err == nil && r.Action == "" {
		t.Errorf("rule %+v", r)
	}
	if _, err := ParseQueue(b); err == nil && len(b) < sizeofTcmsg {
		t.Errorf("a queue in %d bytes", len(b))
	}
	ParseRedirects(b)
	if r, err := ParseFirewallRule(b); err == nil && strings.Contains(r.Chain, "\x00") {
		t.Errorf("chain %q", r.Chain)
	}
	if _, err := ParseChain(b); err == nil && len(b) < sizeofNfgenmsg {
		t.Errorf("a chain in %d bytes", len(b))
	}
}

func TestServing(t *testing.T) {
	at := func(address string, index int) Listener {
		return Listener{Address: netip.MustParseAddr(address), Interface: index}
	}
	only6 := at("::", 0)
	only6.IPv6Only = true
	for _, tt := range []struct {
		name string
		list []Listener
		to   string
		want []Listener
	}{
		{"none", nil, "127.0.0.1", nil},
		{"another address", []Listener{at("127.0.0.2", 0)}, "127.0.0.1", nil},
		{"another interface", []Listener{at("127.0.0.1", 7)}, "127.0.0.1", nil},
		{"the address before all", []Listener{at("0.0.0.0", 0), at("127.0.0.1", 0)}, "127.0.0.1", []Listener{at("127.0.0.1", 0)}},
		{"the address before the interface", []Listener{at("0.0.0.0", 1), at("127.0.0.1", 0)}, "127.0.0.1", []Listener{at("127.0.0.1", 0)}},
		{"the interface before none", []Listener{at("::", 0), at("::", 1)}, "::1", []Listener{at("::", 1)}},
		{"the own family", []Listener{at("::", 0), at("0.0.0.0", 0)}, "127.0.0.1", []Listener{at("0.0.0.0", 0)}},
		{"both families", []Listener{at("::", 0), only6}, "127.0.0.1", []Listener{at("::", 0)}},
		{"equals", []Listener{at("0.0.0.0", 0), at("0.0.0.0", 0)}, "127.0.0.1", []Listener{at("0.0.0.0", 0), at("0.0.0.0", 0)}},
	} {
		if got := Serving(tt.list, netip.MustParseAddr(tt.to), 1); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
