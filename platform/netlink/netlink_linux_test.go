package platform

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os/exec"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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
	b := append(appendHeader(nil, typ, 0, seq, len(body)), body...)
	return append(b, make([]byte, align(len(b))-len(b))...)
}

func TestParseMessages(t *testing.T) {
	done := packed(unix.NLMSG_DONE, 7, u32(0))
	refused := int32(-int32(unix.ENETUNREACH))
	tests := []struct {
		name string
		in   []byte
		want []message
		done bool
		err  error
	}{
		{"empty", nil, nil, false, nil},
		{"dump", datagram(packed(20, 7, []byte{1, 2, 3}), packed(20, 7, nil), done), []message{{20, []byte{1, 2, 3}}, {20, []byte{}}}, true, nil},
		{"more to come", packed(20, 7, nil), []message{{20, []byte{}}}, false, nil},
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
			got, end, err := parseMessages(tt.in, 7)
			if !reflect.DeepEqual(got, tt.want) || end != tt.done || !errors.Is(err, tt.err) {
				t.Errorf("got %v, %v, %v, want %v, %v, %v", got, end, err, tt.want, tt.done, tt.err)
			}
		})
	}
}

func TestParseLink(t *testing.T) {
	head := slices.Concat(make([]byte, 4), u32(1), u32(unix.IFF_LOOPBACK|unix.IFF_UP|unix.IFF_RUNNING|unix.IFF_LOWER_UP), u32(0))
	got, err := parseLink(slices.Concat(head, attribute(unix.IFLA_IFNAME, []byte("lo\x00")), attribute(unix.IFLA_MTU, u32(65536)),
		attribute(unix.IFLA_ADDRESS, make([]byte, 6)), attribute(unix.IFLA_QDISC, []byte("noqueue\x00")),
		attribute(unix.IFLA_TXQLEN, u32(1000)), attribute(unix.IFLA_OPERSTATE, []byte{0}),
		attribute(unix.IFLA_STATS64, u64s(1, 2, 0, 0, 5, 6, 7, 8, 9)),
		attribute(unix.IFLA_XDP|unix.NLA_F_NESTED, attribute(unix.IFLA_XDP_ATTACHED, []byte{2}))))
	want := Interface{Name: "lo", Index: 1, Flags: []string{"LOOPBACK", "UP", "LOWER_UP"}, MTU: 65536,
		Hardware: "00:00:00:00:00:00", State: "UNKNOWN", Qdisc: "noqueue", QueueLength: 1000, XDP: true,
		Stats: Know(LinkStats{Received: 1, Sent: 2, ReceiveErrors: 5, SendErrors: 6, ReceiveDropped: 7, SendDropped: 8})}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	if _, err := parseLink(head[:15]); !errors.Is(err, errShort) {
		t.Errorf("got %v, want %v", err, errShort)
	}
	if got := flagNames(unix.IFF_UP | unix.IFF_LOOPBACK); !slices.Equal(got, []string{"NO-CARRIER", "LOOPBACK", "UP"}) {
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
			got, index, err := parseAddress(tt.in)
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
	got, err := parseRoute(slices.Concat(routeHead(unix.AF_INET, 8, 0, 0, unix.RT_TABLE_LOCAL, unix.RTN_LOCAL),
		attribute(unix.RTA_DST, ip("127.0.0.0")), attribute(unix.RTA_OIF, u32(1)), attribute(unix.RTA_PREFSRC, ip("127.0.0.1")),
		attribute(unix.RTA_PRIORITY, u32(9)), attribute(unix.RTA_GATEWAY, ip("10.0.0.1"))))
	want := rawRoute{family: unix.AF_INET, index: 1, Route: Route{Type: "local", Destination: netip.MustParsePrefix("127.0.0.0/8"),
		Table: "local", Gateway: netip.MustParseAddr("10.0.0.1"), Source: netip.MustParseAddr("127.0.0.1"), Metric: 9}}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	got, err = parseRoute(slices.Concat(routeHead(unix.AF_INET6, 0, 0, 0, 0, unix.RTN_BLACKHOLE), attribute(unix.RTA_TABLE, u32(1000))))
	if err != nil || got.Type != "blackhole" || got.Table != "1000" || got.Destination.String() != "::/0" {
		t.Errorf("got %+v, %v", got, err)
	}
	for name, b := range map[string][]byte{
		"short":           routeHead(unix.AF_INET, 0, 0, 0, 0, 1)[:11],
		"absurd length":   routeHead(unix.AF_INET, 33, 0, 0, 0, 1),
		"absurd address":  slices.Concat(routeHead(unix.AF_INET, 8, 0, 0, 0, 1), attribute(unix.RTA_DST, []byte{1})),
		"another address": slices.Concat(routeHead(unix.AF_INET6, 64, 0, 0, 0, 1), attribute(unix.RTA_DST, ip("127.0.0.1"))),
	} {
		if got, err := parseRoute(b); !errors.Is(err, errShort) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestConcerns(t *testing.T) {
	tests := []struct {
		typ, destination, target string
		want                     bool
	}{
		{"local", "127.0.0.0/8", "127.0.0.1", true}, {"blackhole", "0.0.0.0/0", "127.0.0.1", true},
		{"local", "127.0.0.1/32", "127.0.0.2", true}, {"broadcast", "127.255.255.255/32", "127.0.0.1", false},
		{"local", "10.0.0.1/32", "127.0.0.1", false}, {"local", "10.0.0.1/32", "10.0.0.1", true},
		{"local", "::1/128", "fd00::1", true}, {"local", "fe80::/64", "::1", false},
	}
	for _, tt := range tests {
		r := Route{Type: tt.typ, Destination: netip.MustParsePrefix(tt.destination)}
		if got := concerns(r, netip.MustParseAddr(tt.target)); got != tt.want {
			t.Errorf("%s %s for %s: got %v, want %v", tt.typ, tt.destination, tt.target, got, tt.want)
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
			Rule{Action: "prohibit", Users: &Range{1, 1<<32 - 1}, In: "lo", Out: "eth0"}},
		{"our protocol", slices.Concat(routeHead(unix.AF_INET, 0, 0, 0, 0, unix.FR_ACT_UNREACHABLE), attribute(unix.FRA_IP_PROTO, []byte{1})),
			Rule{Action: "unreachable"}},
		{"another protocol", slices.Concat(routeHead(unix.AF_INET, 0, 0, 0, 0, unix.FR_ACT_NOP), attribute(unix.FRA_IP_PROTO, []byte{6})),
			Rule{Action: "nop", Narrow: true}},
		{"mark", slices.Concat(routeHead(unix.AF_INET, 0, 0, 0, 0, unix.FR_ACT_TO_TBL), attribute(unix.FRA_TABLE, u32(300)), attribute(unix.FRA_FWMARK, u32(7))),
			Rule{Action: "lookup", Table: "300", Narrow: true}},
		{"mark 0", slices.Concat(routeHead(unix.AF_INET, 0, 0, 0, unix.RT_TABLE_MAIN, unix.FR_ACT_TO_TBL), attribute(unix.FRA_FWMARK, u32(0))),
			Rule{Action: "lookup", Table: "main"}},
		{"port", slices.Concat(routeHead(unix.AF_INET, 0, 0, 0, 0, unix.FR_ACT_GOTO), attribute(unix.FRA_DPORT_RANGE, u32(0))),
			Rule{Action: "goto", Narrow: true}},
		{"type of service", routeHead(unix.AF_INET, 0, 0, 8, 0, 99), Rule{Action: "99", Narrow: true}},
		{"not", slices.Concat(routeHead(unix.AF_INET, 0, 0, 0, 0, unix.FR_ACT_BLACKHOLE)[:8], u32(unix.FIB_RULE_INVERT)), Rule{Action: "blackhole", Not: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := parseRule(tt.in); err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
	for name, b := range map[string][]byte{
		"short": {2, 0}, "absurd source": routeHead(unix.AF_INET, 0, 99, 0, 0, 1), "absurd length": routeHead(unix.AF_INET, 99, 0, 0, 0, 1),
	} {
		if got, err := parseRule(b); !errors.Is(err, errShort) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestParseQueue(t *testing.T) {
	stats := attribute(unix.TCA_STATS2, attribute(statsQueue, slices.Concat(u32(1), u32(2), u32(3), u32(4))))
	head := slices.Concat(make([]byte, 4), u32(1), u32(0), u32(parentIngress), u32(0))
	got, err := parseQueue(slices.Concat(head, attribute(unix.TCA_KIND, []byte("clsact\x00")), stats))
	if want := (Queue{Kind: "clsact", Ingress: true, Drops: 3, Backlog: 1}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := parseQueue(head[:19]); !errors.Is(err, errShort) {
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
			if got, err := parseChain(tt.in); err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
	if _, err := parseChain(nil); !errors.Is(err, errShort) {
		t.Errorf("got %v, want %v", err, errShort)
	}
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
		list, _, err := parseMessages(b, 7)
		if errno, ok := errors.AsType[syscall.Errno](err); ok && (errno <= 0 || errno > 4095) {
			t.Errorf("errno %d", errno)
		}
		for _, m := range append(list, message{Data: b}) {
			parseAll(t, m.Data)
		}
	})
}

// parseAll takes one body for every kind of message.
func parseAll(t *testing.T, b []byte) {
	t.Helper()
	if i, err := parseLink(b); err == nil && strings.Contains(i.Name, "\x00") {
		t.Errorf("name %q", i.Name)
	}
	if a, _, err := parseAddress(b); err == nil && !a.Prefix.IsValid() {
		t.Errorf("address %+v", a)
	}
	if r, err := parseRoute(b); err == nil && !r.Destination.IsValid() {
		t.Errorf("route %+v", r)
	}
	if r, err := parseRule(b); err == nil && r.Action == "" {
		t.Errorf("rule %+v", r)
	}
	if _, err := parseQueue(b); err == nil && len(b) < sizeofTcmsg {
		t.Errorf("a queue in %d bytes", len(b))
	}
	if _, err := parseChain(b); err == nil && len(b) < sizeofNfgenmsg {
		t.Errorf("a chain in %d bytes", len(b))
	}
}

// inNamespace runs commands and then f in a network namespace of its own, which ends with the thread.
func inNamespace(t *testing.T, f func(), commands ...string) {
	t.Helper()
	for _, tool := range []string{"ip", "nft", "tc"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("this host lacks the command %s (install iproute2 and nftables)", tool)
		}
	}
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread is of no use to others
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			failed <- err
			return
		}
		for _, c := range commands {
			if out, err := exec.Command("sh", "-c", c).CombinedOutput(); err != nil {
				failed <- errors.New(c + ": " + string(out))
				return
			}
		}
		f()
		failed <- nil
	}()
	if err := <-failed; errors.Is(err, unix.EPERM) {
		t.Skip("this user may not make a network namespace (run the test as root)")
	} else if err != nil {
		t.Fatal(err)
	}
}

func TestNamespaceUntouched(t *testing.T) {
	var f Facts
	inNamespace(t, func() { f.IPv4.Target, f.IPv6.Target = targets(netip.Addr{}); readNetlink(&f) })
	lo := f.Loopback.Value
	if len(lo) != 1 || lo[0].Name != "lo" || lo[0].Up() || len(lo[0].Addresses) != 0 || lo[0].MTU != 65536 {
		t.Errorf("loopback %+v (%s), want lo, down, without addresses", lo, f.Loopback.Reason())
	}
	if want := Know(Lookup{Errno: "ENETUNREACH"}); f.IPv4.Lookup != want || f.IPv6.Lookup != want {
		t.Errorf("lookups %+v and %+v, want %+v", f.IPv4.Lookup, f.IPv6.Lookup, want)
	}
	if got, ok := f.IPv4.Local.Get(); !ok || len(got) != 0 {
		t.Errorf("local routes %+v, known %v, want none", got, ok)
	}
	if got, ok := f.IPv6.Rules.Get(); !ok || len(got) == 0 || got[0].Table != "local" {
		t.Errorf("rules %+v, known %v, want the one of table local first", got, ok)
	}
}

func TestNamespaceConfigured(t *testing.T) {
	var f Facts
	inNamespace(t, func() { f.IPv4.Target, f.IPv6.Target = targets(netip.MustParseAddr("fd00::1")); readNetlink(&f) },
		"ip link set lo up", "ip address add fd00::1/64 dev lo nodad", "ip rule add pref 5 to 127.0.0.0/8 blackhole",
		"ip rule del pref 0", "ip rule add pref 9 lookup local", "tc qdisc add dev lo clsact",
		// The kernel takes a new IPv6 address for its own a little after the call that adds it.
		"for i in $(seq 100); do ip -6 route get fd00::1 | grep -q ^local && break; sleep 0.02; done")
	lo := f.Loopback.Value
	if len(lo) != 1 || !lo[0].Up() || lo[0].Qdisc != "noqueue" || !lo[0].Stats.OK {
		t.Fatalf("loopback %+v (%s), want lo, up", lo, f.Loopback.Reason())
	}
	var prefixes []string
	for _, a := range lo[0].Addresses {
		prefixes = append(prefixes, a.Prefix.String()+" "+a.Scope)
	}
	if want := []string{"127.0.0.1/8 host", "fd00::1/64 global", "::1/128 host"}; !slices.Equal(prefixes, want) {
		t.Errorf("addresses %q, want %q", prefixes, want)
	}
	rules := []Rule{{Priority: 5, Action: "blackhole", To: netip.MustParsePrefix("127.0.0.0/8")}, {Priority: 9, Action: "lookup", Table: "local"}}
	if got := f.IPv4.Rules.Value; len(got) != 4 || !reflect.DeepEqual(got[:2], rules) {
		t.Errorf("rules %+v, want %+v first", got, rules)
	}
	if want := Know(Lookup{Errno: "EINVAL"}); f.IPv4.Lookup != want {
		t.Errorf("lookup %+v, want %+v", f.IPv4.Lookup, want)
	}
	if l := f.IPv6.Lookup; !l.OK || l.Value.Route.Type != "local" || l.Value.Route.Interface != "lo" {
		t.Errorf("lookup %+v, want local by lo", l)
	}
	if got := f.Queues.Value; !slices.Contains(got, Queue{Kind: "clsact", Ingress: true}) {
		t.Errorf("queues %+v (%s), want clsact", got, f.Queues.Reason())
	}
}

func TestNamespaceFirewall(t *testing.T) {
	var got []Chain
	var err error
	inNamespace(t, func() { got, err = readChains() },
		"nft add table inet t", "nft 'add chain inet t c { type filter hook input priority 0; policy drop; }'", "nft add chain inet t other",
		"nft add table netdev n", "nft 'add chain netdev n i { type filter hook ingress device lo priority 0; }'")
	want := []Chain{{Family: "inet", Table: "t", Name: "c", Hook: "input", Policy: "drop"},
		{Family: "netdev", Table: "n", Name: "i", Hook: "ingress", Policy: "accept", Devices: []string{"lo"}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

// TestNetlinkRefused asks what no kernel knows.
func TestNetlinkRefused(t *testing.T) {
	n, err := openNetlink(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	if m, err := n.get(unix.RTM_GETLINK, linkRequest(1<<30)); !errors.Is(err, unix.ENODEV) {
		t.Errorf("got %v, %v, want %v", m, err, unix.ENODEV)
	}
	if got := interfaceName(n, 1<<30); got != "if1073741824" {
		t.Errorf("got %q", got)
	}
	if got := interfaceName(n, 1); got != "lo" {
		t.Errorf("got %q, want lo", got)
	}
}

// TestReadIsCheap takes the best of many, for the machine has other things to do.
func TestReadIsCheap(t *testing.T) {
	const limit = 10 * time.Millisecond
	best := time.Hour
	for range 50 {
		start := time.Now()
		Read("/", netip.Addr{})
		if best = min(best, time.Since(start)); best < limit {
			return
		}
	}
	t.Errorf("the best of 50 took %v, want less than %v", best, limit)
}

func BenchmarkRead(b *testing.B) {
	for b.Loop() {
		Read("/", netip.Addr{})
	}
}

func BenchmarkReadCounters(b *testing.B) {
	for b.Loop() {
		ReadCounters("/", 4)
	}
}
