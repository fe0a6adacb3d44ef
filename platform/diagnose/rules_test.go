package diagnose

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"lping/platform"
)

// counted is a probe that moved these counters and was not answered.
func counted(c platform.Counters) *Probe { return &Probe{Counted: platform.Know(c)} }

func TestStage(t *testing.T) {
	tests := []struct {
		name   string
		method string
		probe  *Probe
		want   stage
	}{
		{"no probe", "icmp-dgram", nil, unclear},
		{"counters unknown", "icmp-dgram", &Probe{Counted: platform.Unknown[platform.Counters]("no such file")}, unclear},
		{"answered", "icmp-dgram", &Probe{Answered: true, Counted: platform.Know(platform.Counters{OutEchos: 1})}, unclear},
		{"refused", "icmp-dgram", &Probe{Errno: "EPERM", Counted: platform.Know(platform.Counters{OutEchos: 1, OutDiscards: 1})}, unclear},
		{"nothing moved", "icmp-raw", counted(platform.Counters{}), unclear},
		{"output", "icmp-raw", counted(platform.Counters{OutEchos: 1, OutDiscards: 1}), atOutput},
		{"link", "icmp-raw", counted(platform.Counters{OutEchos: 1, LinkSent: 1}), onLink},
		{"link, other traffic", "icmp-raw", counted(platform.Counters{OutEchos: 1, LinkSent: 40, InReceives: 90, InDelivers: 90}), onLink},
		{"link, fragments", "icmp-raw", counted(platform.Counters{OutEchos: 1, LinkSent: 9, InReceives: 9, Fragments: 9, Reassembled: 3, InDelivers: 3}), onLink},
		{"link, errors and forwarded", "icmp-raw", counted(platform.Counters{OutEchos: 1, LinkSent: 1, InReceives: 6, InErrors: 1, InDiscards: 2, Forwarded: 3}), onLink},
		{"before the link", "icmp-raw", counted(platform.Counters{OutEchos: 1}), beforeLink},
		{"link, other echoes", "icmp-raw", counted(platform.Counters{OutEchos: 4, InEchos: 3, OutEchoReps: 3, InEchoReps: 3, LinkSent: 6}), onLink},
		{"at egress", "icmp-raw", counted(platform.Counters{OutEchos: 1, OutTransmits: 1}), atEgress},
		{"link, echoes of outside", "icmp-raw", counted(platform.Counters{OutEchos: 4, InEchos: 3, OutEchoReps: 3, LinkSent: 4, OutTransmits: 7}), onLink},
		{"at egress, echoes of outside", "icmp-raw", counted(platform.Counters{OutEchos: 4, InEchos: 3, OutEchoReps: 3, OutTransmits: 7}), atEgress},
		{"input", "icmp-raw", counted(platform.Counters{OutEchos: 1, InReceives: 1}), atInput},
		{"input, other traffic", "icmp-raw", counted(platform.Counters{OutEchos: 4, InEchos: 3, OutEchoReps: 3, InEchoReps: 3, InReceives: 91, InDelivers: 90}), atInput},
		{"echo", "icmp-raw", counted(platform.Counters{OutEchos: 1, InReceives: 1, InDelivers: 1, InEchos: 1}), atEcho},
		{"reply at output", "icmp-raw", counted(platform.Counters{OutEchos: 1, InReceives: 1, InDelivers: 1, InEchos: 1, OutEchoReps: 1, OutDiscards: 1}), replyAtOutput},
		{"reply on the link", "icmp-raw", counted(platform.Counters{OutEchos: 1, InReceives: 1, InDelivers: 1, InEchos: 1, OutEchoReps: 1, LinkSent: 2}), replyOnLink},
		{"reply on the link, or to outside", "icmp-raw", counted(platform.Counters{OutEchos: 1, InReceives: 1, InDelivers: 1, InEchos: 1, OutEchoReps: 1, LinkSent: 1}), replyOnLink},
		{"at egress, reply to outside", "icmp-raw", counted(platform.Counters{OutEchos: 1, InReceives: 1, InDelivers: 1, InEchos: 1, OutEchoReps: 1, OutTransmits: 2}), atEgress},
		{"reply at input", "icmp-raw", counted(platform.Counters{OutEchos: 1, InReceives: 2, InDelivers: 1, InEchos: 1, OutEchoReps: 1}), replyAtInput},
		{"IPsec", "icmp-dgram", counted(platform.Counters{OutEchos: 1, LinkSent: 1, InReceives: 1, InDelivers: 1, XfrmInBlocks: 1}), atPolicy},
		{"IPsec, reply", "icmp-dgram", counted(platform.Counters{OutEchos: 1, LinkSent: 1, InReceives: 1, InDelivers: 1, InEchos: 1, XfrmBlocks: 1}), atEcho},
		{"IPsec, reply on its way in", "icmp-dgram", counted(platform.Counters{OutEchos: 1, LinkSent: 2, InReceives: 2, InDelivers: 2, InEchos: 1, OutEchoReps: 1, XfrmInBlocks: 1}), atPolicy},
		{"IPsec for others, link", "icmp-dgram", counted(platform.Counters{OutEchos: 3, LinkSent: 3, InReceives: 2, InDelivers: 2, InEchos: 2, OutEchoReps: 2, InEchoReps: 2, XfrmInBlocks: 1}), onLink},
		{"IPsec for others on their way out, link", "icmp-dgram", counted(platform.Counters{OutEchos: 1, OutTransmits: 1, LinkSent: 1, XfrmUnprotected: 1}), onLink},
		{"IPsec before the link", "icmp-dgram", counted(platform.Counters{OutEchos: 1, XfrmUnprotected: 1}), atPolicy},
		{"IPsec for others, firewall", "icmp-dgram", counted(platform.Counters{OutEchos: 1, LinkSent: 1, InReceives: 1, XfrmInBlocks: 1}), atInput},
		{"IPsec, UDP", "udp", counted(platform.Counters{OutRequests: 1, LinkSent: 1, InReceives: 1, InDelivers: 1, XfrmDefaultBlocks: 1}), atPolicy},
		{"IPsec before the link, TCP", "tcp", counted(platform.Counters{OutRequests: 1, XfrmUnprotected: 1}), atPolicy},
		{"socket", "icmp-dgram", counted(platform.Counters{OutEchos: 1, InReceives: 2, InDelivers: 2, InEchos: 1, OutEchoReps: 1, InEchoReps: 1}), atSocket},
		{"UDP at output", "udp", counted(platform.Counters{OutRequests: 1, OutDiscards: 1}), atOutput},
		{"UDP at input", "udp", counted(platform.Counters{OutRequests: 1, InReceives: 1}), atInput},
		{"UDP on the link", "udp", counted(platform.Counters{OutRequests: 9, LinkSent: 1, InReceives: 8, InDelivers: 8}), onLink},
		{"UDP at egress", "udp", counted(platform.Counters{OutRequests: 1, OutTransmits: 1}), atEgress},
		{"TCP before the link", "tcp", counted(platform.Counters{OutRequests: 1}), beforeLink},
		{"TCP, its answer before the link", "tcp", counted(platform.Counters{OutRequests: 2, LinkSent: 1, InReceives: 1, InDelivers: 1}), beforeLink},
		{"TCP at egress", "tcp", counted(platform.Counters{OutRequests: 1, OutTransmits: 1}), atEgress},
		{"TCP on the link", "tcp", counted(platform.Counters{OutRequests: 1, LinkSent: 1}), onLink},
		{"TCP at input", "tcp", counted(platform.Counters{OutRequests: 1, LinkSent: 1, InReceives: 1}), atInput},
		{"TCP delivered", "tcp", counted(platform.Counters{OutRequests: 1, LinkSent: 1, InReceives: 1, InDelivers: 1}), unclear},
		{"UDP delivered", "udp", counted(platform.Counters{OutRequests: 1, InReceives: 1, InDelivers: 1}), unclear},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := (Evidence{Method: tt.method, Probe: tt.probe}).stage(); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestRuleMatches(t *testing.T) {
	f := platform.Facts{System: "linux", Loopback: platform.Know([]platform.Interface{{Name: "lo"}}),
		Process: platform.Know(platform.Process{UID: 1000})}
	e := Evidence{Family: 4, Target: netip.MustParseAddr("127.0.0.1")}
	prefix := netip.MustParsePrefix
	tests := []struct {
		name string
		rule platform.Rule
		want bool
	}{
		{"everything", platform.Rule{}, true},
		{"to loopback", platform.Rule{To: prefix("127.0.0.0/8")}, true},
		{"to others", platform.Rule{To: prefix("10.0.0.0/8")}, false},
		{"from loopback", platform.Rule{From: prefix("127.0.0.1/32")}, true},
		{"from others", platform.Rule{From: prefix("10.0.0.0/8")}, false},
		{"to us, from others", platform.Rule{To: prefix("127.0.0.0/8"), From: prefix("10.0.0.0/8")}, false},
		{"in by lo", platform.Rule{In: "lo"}, true},
		{"in by another", platform.Rule{In: "eth0"}, false},
		{"out by lo", platform.Rule{Out: "lo"}, false},
		{"marked", platform.Rule{Mark: 7, Mask: 0xffffffff}, false},
		{"our user", platform.Rule{Users: &platform.Range{Low: 1000, High: 1000}}, true},
		{"another user", platform.Rule{Users: &platform.Range{Low: 0, High: 999}}, false},
		{"another user, in by lo", platform.Rule{In: "lo", Users: &platform.Range{Low: 0, High: 999}}, false},
		{"our user, to others", platform.Rule{To: prefix("10.0.0.0/8"), Users: &platform.Range{Low: 1000, High: 1000}}, false},
		{"not to others", platform.Rule{Not: true, To: prefix("10.0.0.0/8")}, true},
		{"not marked", platform.Rule{Not: true, Mark: 7, Mask: 0xffffffff}, true},
		{"not to loopback", platform.Rule{Not: true, To: prefix("127.0.0.0/8")}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.rule.Meets(request(f, e)) == platform.Meets; got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestFirstRule holds that a rule that forbids counts only before the one that finds the target.
func TestFirstRule(t *testing.T) {
	local := platform.Rule{Priority: 10, Action: "lookup", Table: "local"}
	vpn := platform.Rule{Priority: 5, Action: "lookup", Table: "51820"}
	block := platform.Rule{Priority: 20, Action: "blackhole"}
	e := Evidence{Family: 4, Target: netip.MustParseAddr("127.0.0.1")}
	for _, tt := range []struct {
		rules []platform.Rule
		want  platform.Rule
		found bool
	}{
		{[]platform.Rule{local, block}, local, true},
		{[]platform.Rule{vpn, block, local}, block, true},
		{[]platform.Rule{vpn}, platform.Rule{}, false},
	} {
		f := platform.Facts{IPv4: platform.Family{Rules: platform.Know(tt.rules)}}
		if got, met := firstRule(f, e, request(f, e)); got != tt.want || (met == platform.Meets) != tt.found {
			t.Errorf("%+v: got %+v, %v, want %+v, %v", tt.rules, got, met, tt.want, tt.found)
		}
	}
}

// TestDiversion holds that a rule diverts only what meets it, before the local table is asked, and what that table has.
func TestDiversion(t *testing.T) {
	local := platform.Rule{Priority: 10, Action: "lookup", Table: "local"}
	vpn := platform.Rule{Priority: 5, Action: "lookup", Table: "51820"}
	narrow := vpn
	narrow.Mark, narrow.Mask = 7, 7
	first := platform.Rule{Action: "lookup", Table: "77"}
	leap := platform.Rule{Priority: 9, Action: "goto"}
	marked := leap
	marked.Protocol = "tcp"
	here := platform.Route{Type: "local", Destination: netip.MustParsePrefix("127.0.0.0/8")}
	other := platform.Route{Type: "local", Destination: netip.MustParsePrefix("127.0.0.2/32")}
	e := Evidence{Family: 4, Target: netip.MustParseAddr("127.0.0.1")}
	for _, tt := range []struct {
		name  string
		rules []platform.Rule
		route platform.Route
		fix   string
	}{
		{"before", []platform.Rule{vpn, local}, here, "ip rule del pref 5 lookup 51820"},
		{"two before", []platform.Rule{vpn, vpn, local}, here, "ip rule add pref 0 lookup local"},
		{"first of all", []platform.Rule{first, first, local}, here, "ip rule del pref 0 lookup 77 && ip rule del pref 0 lookup 77"},
		{"first and before", []platform.Rule{first, vpn, local}, here, "ip rule del pref 0 lookup 77 && ip rule add pref 0 lookup local"},
		{"goto", []platform.Rule{vpn, leap, local}, here, ""},
		{"goto of others", []platform.Rule{vpn, marked, local}, here, "ip rule del pref 5 lookup 51820"},
		{"after", []platform.Rule{local, vpn}, here, ""},
		{"for others", []platform.Rule{narrow, local}, here, ""},
		{"without the local table", []platform.Rule{vpn}, here, ""},
		{"to another address", []platform.Rule{vpn, local}, other, ""},
	} {
		f := platform.Facts{IPv4: platform.Family{Rules: platform.Know(tt.rules), Local: platform.Know([]platform.Route{tt.route})}}
		if got, ok := diversion(f, e, ""); got.Fix != tt.fix || ok != (tt.fix != "") {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got.Fix, ok, tt.fix)
		}
	}
}

// TestKernelDecides holds that a rule is not blamed where the kernel itself finds the way.
func TestKernelDecides(t *testing.T) {
	f := platform.Facts{System: "linux", Loopback: platform.Know([]platform.Interface{{Name: "lo"}})}
	f.IPv4.Rules = platform.Know([]platform.Rule{{Action: "blackhole"}})
	e := Evidence{Family: 4, Target: netip.MustParseAddr("127.0.0.1")}
	for _, tt := range []struct {
		name   string
		lookup platform.Known[platform.Lookup]
		want   bool
	}{
		{"found", platform.Know(platform.Lookup{Route: platform.Route{Type: "local", Interface: "lo"}}), false},
		{"found in table main", platform.Know(platform.Lookup{Route: platform.Route{Type: "unicast", Interface: "lo"}}), false},
		{"would leave", platform.Know(platform.Lookup{Route: platform.Route{Type: "unicast", Interface: "eth0"}}), true},
		{"refused", platform.Know(platform.Lookup{Errno: "EINVAL"}), true},
		{"forbidden", platform.Know(platform.Lookup{Route: platform.Route{Type: "blackhole", Interface: "lo"}}), true},
		{"unknown", platform.Unknown[platform.Lookup]("permission denied"), true},
	} {
		f.IPv4.Lookup = tt.lookup
		if _, got := ruleBlocks(f, e); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestThresholds holds each threshold on both of its sides.
func TestThresholds(t *testing.T) {
	refused := Evidence{Family: 4, Method: "icmp-dgram", SendErrors: 5, Refused: []Refusal{{Errno: "EPERM", Count: 5}}}
	slow := Evidence{Method: "icmp-dgram", Sent: 5, Received: 5, Wakeup: &Latency{5, 0, 1, slowWakeup}}
	kernel := func(n uint64, least float64) Evidence {
		return Evidence{Method: "icmp-dgram", Kernel: &Latency{n, least, 2 * least, 2 * least}, Pace: platform.Know(slowKernel / slower)}
	}
	table := func(count, limit uint64) platform.Facts {
		return platform.Facts{Conntrack: platform.Know(platform.Conntrack{Count: count, Max: limit})}
	}
	cpu := func(periods, throttled uint64) platform.Facts {
		return platform.Facts{CPU: platform.Know(platform.CPU{Limit: 1, Periods: periods, Throttled: throttled})}
	}
	tests := []struct {
		name string
		find func(platform.Facts, Evidence) (Finding, bool)
		f    platform.Facts
		e    Evidence
		want bool
	}{
		{"table full", conntrackFull, table(100, 100), refused, true},
		{"table nearly full", conntrackFull, table(99, 100), refused, true},
		{"table not full", conntrackFull, table(98, 100), refused, false},
		{"table without limit", conntrackFull, table(0, 0), refused, false},
		{"table absurd", conntrackFull, table(1<<63, 1<<62), refused, true},
		{"table full, not refused", conntrackFull, table(100, 100), slow, false},
		{"throttled", cpuThrottled, cpu(100, oftenThrottled), slow, true},
		{"hardly throttled", cpuThrottled, cpu(100, oftenThrottled-1), slow, false},
		{"no limit", cpuThrottled, cpu(0, 0), slow, false},
		{"throttled, not slow", cpuThrottled, cpu(100, 100), Evidence{Wakeup: &Latency{5, 0, 1, slowWakeup - 0.1}}, false},
		{"throttled, late", cpuThrottled, cpu(100, 100), Evidence{Late: 1}, true},
		{"slow kernel", slowPath, platform.Facts{}, kernel(enough, slowKernel), true},
		{"quick kernel", slowPath, platform.Facts{}, kernel(enough, slowKernel-0.001), false},
		{"slow machine", slowPath, platform.Facts{}, Evidence{Method: "icmp-dgram", Kernel: &Latency{enough, 0.3, 0.4, 9},
			Pace: platform.Know(0.031)}, false},
		{"pace unknown", slowPath, platform.Facts{}, Evidence{Method: "icmp-dgram", Kernel: &Latency{enough, 9, 9, 9}}, false},
		{"one quick probe", slowPath, platform.Facts{}, Evidence{Method: "icmp-dgram", Kernel: &Latency{5, 0.08, 9, 9}}, false},
		{"few samples", slowPath, platform.Facts{}, kernel(enough-1, 9), false},
		{"no stamps", slowPath, platform.Facts{}, Evidence{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, got := tt.find(tt.f, tt.e); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestSendForbidden holds that a send is forbidden only where nothing on the way can have refused it.
func TestSendForbidden(t *testing.T) {
	none := platform.Counters{XfrmCounted: true}
	for _, tt := range []struct {
		name, method, errno string
		counted             platform.Counters
		want                bool
	}{
		{"nothing moved", "icmp-dgram", "EPERM", none, true},
		{"raw", "icmp-raw", "EPERM", none, true},
		{"IPsec not counted", "icmp-raw", "EPERM", platform.Counters{}, false},
		{"IPsec", "icmp-raw", "EPERM", platform.Counters{XfrmCounted: true, XfrmBlocks: 1}, false},
		{"at output", "icmp-raw", "EPERM", platform.Counters{XfrmCounted: true, OutEchos: 1, OutDiscards: 1}, false},
		{"another error", "icmp-raw", "EACCES", none, false},
		{"UDP", "udp", "EPERM", none, true},
		{"UDP, other traffic", "udp", "EPERM", platform.Counters{XfrmCounted: true, OutRequests: 1}, false},
		{"TCP", "tcp", "EPERM", none, false},
	} {
		e := Evidence{Method: tt.method, SendErrors: 5, Probe: &Probe{Errno: tt.errno, Counted: platform.Know(tt.counted)}}
		if got := sendForbidden(e); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestEvidenceText holds the words for what was counted.
func TestEvidenceText(t *testing.T) {
	e := Evidence{Family: 4, Method: "icmp-dgram", Bind: "EADDRNOTAVAIL", Sent: 9, Received: 1, Lost: 2, SendErrors: 6,
		Refused: []Refusal{{Errno: "EPERM", Count: 4}}, Reports: []Report{{3, 13, 2}}, UDP: &Datagram{Errno: "EPERM"},
		Probe: counted(platform.Counters{OutEchos: 1, OutDiscards: 2, XfrmBlocks: 3, XfrmInBlocks: 7, XfrmDefaultBlocks: 8, XfrmUnprotected: 9, QueueDrops: 4, FilterDrops: 6, SocketDrops: 5})}
	queued := platform.Facts{Queues: platform.Know([]platform.Queue{{Kind: "tbf", Drops: 7, Backlog: 2}, {Kind: "clsact", Ingress: true}})}
	for _, tt := range []struct{ name, got, want string }{
		{"sends", e.sends(), "4 sends got EPERM, 2 ICMP errors of type 3 code 13, bind got EADDRNOTAVAIL"},
		{"sends of the probe", Evidence{Probe: &Probe{Errno: "EIO"}}.sends(), "send got EIO"},
		{"no sends", Evidence{}.sends(), ""},
		{"moved", e.moved(), "one probe moved OutEchos +1, OutDiscards +2, qdisc drops +4, tc filter drops +6, XfrmOutPolBlock +3, XfrmInPolBlock +7, XfrmInNoPols +8, XfrmInTmplMismatch or XfrmOutNoStates +9, socket drops +5"},
		{"nothing moved", Evidence{Probe: counted(platform.Counters{})}.moved(), "one probe moved no counter"},
		{"not counted", Evidence{Probe: &Probe{}}.moved(), ""},
		{"no probe", Evidence{}.moved(), ""},
		{"tally", tally(e), "9 sent, 1 received, 2 lost, 6 send errors"},
		{"udp refused", e.udp(), "UDP to the same address got EPERM"},
		{"udp answered", Evidence{UDP: &Datagram{Answered: true}}.udp(), "UDP to the same address works"},
		{"udp silent", Evidence{UDP: &Datagram{}}.udp(), "UDP to the same address is lost too"},
		{"no udp", Evidence{}.udp(), ""},
		{"queues out", queues(queued, false), "qdisc tbf dropped 7 and holds 2, qdisc clsact dropped 0"},
		{"queues in", queues(queued, true), "qdisc clsact dropped 0"},
		{"queues unknown", queues(platform.Facts{}, true), "qdisc unknown: not read"},
		{"local table unknown", localTable(platform.Family{}), "local table unknown: not read"},
		{"lookup unknown", lookup(platform.Family{}), ""},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

// TestChains holds which chains are named: those that see packets of the family at the hook.
func TestChains(t *testing.T) {
	f := platform.Facts{Firewall: platform.Know([]platform.Chain{
		{Family: "ip", Table: "raw"}, {Family: "ip", Table: "nat"}, {Family: "ip6", Table: "filter"},
		{Family: "inet", Table: "a", Name: "in", Hook: "input", Policy: "drop"},
		{Family: "inet", Table: "a", Name: "out", Hook: "output", Policy: "accept"},
		{Family: "netdev", Table: "n", Name: "in", Hook: "ingress", Devices: []string{"eth0"}},
	})}
	four := Evidence{Family: 4}
	if got, want := chains(f, four, "input"), "chains there: ip raw, inet a in (policy drop)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := accept(f, four, "input"), "accept lo first in input (nft list ruleset; iptables -S)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := accept(f, Evidence{Family: 6}, "output", "input"), "accept lo first in output or input (nft list ruleset; ip6tables -S)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if c, ok := linkChain(f, "ingress", "lo"); ok {
		t.Errorf("got %+v, which is not on lo", c)
	}
	if c, ok := linkChain(f, "ingress", "eth0"); !ok {
		t.Errorf("got %+v, want the chain on eth0", c)
	}
}

// TestDroppers holds that the fix goes to the chains that can drop, and to each of them: what one accepts the next can drop.
func TestDroppers(t *testing.T) {
	drops, not := platform.Know(true), platform.Know(false)
	chain := func(table, policy string, drops platform.Known[bool]) platform.Chain {
		return platform.Chain{Family: "inet", Table: table, Name: "o", Hook: "output", Policy: policy, Drops: drops}
	}
	fixOf := func(table string) string { return fmt.Sprintf("nft insert rule inet %s o oifname lo accept", table) }
	const generic = "accept lo first in output (nft list ruleset; iptables -S)"
	for _, tt := range []struct {
		name   string
		chains []platform.Chain
		want   string
	}{
		{"one policy", []platform.Chain{chain("a", "accept", not), chain("b", "drop", not)}, fixOf("b")},
		{"one rule", []platform.Chain{chain("a", "accept", drops), chain("b", "accept", not)}, fixOf("a")},
		{"a rule and a policy", []platform.Chain{chain("a", "accept", drops), chain("b", "drop", not), chain("c", "accept", not)},
			fixOf("a") + " && " + fixOf("b")},
		{"rules unknown", []platform.Chain{chain("a", "accept", platform.Known[bool]{}), chain("b", "accept", not)}, fixOf("a")},
		{"none is known to", []platform.Chain{chain("a", "accept", not), chain("b", "accept", not)}, fixOf("a") + " && " + fixOf("b")},
		{"many", []platform.Chain{chain("a", "drop", not), chain("b", "drop", not), chain("c", "drop", not)}, generic},
		{"an older table as well", []platform.Chain{chain("a", "drop", not), {Family: "ip", Table: "filter"}}, generic},
	} {
		f := platform.Facts{Firewall: platform.Know(tt.chains)}
		if got := accept(f, Evidence{Family: 4}, "output"); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	f := platform.Facts{Firewall: platform.Know([]platform.Chain{chain("a", "accept", drops), chain("b", "drop", not), chain("c", "accept", not)})}
	want := "chains there: inet a o (has rules that drop), inet b o (policy drop), inet c o"
	if got := chains(f, Evidence{Family: 4}, "output"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestNoIPv6 holds that both kinds of socket must say so.
func TestNoIPv6(t *testing.T) {
	e := Evidence{Family: 6, Asked: true, Datagram: "EAFNOSUPPORT", Raw: "EAFNOSUPPORT"}
	if got := codes(Diagnose(platform.Facts{}, e)); !slices.Equal(got, []string{"ipv6_disabled"}) {
		t.Errorf("got %q", got)
	}
	e.Raw = "EPERM"
	if got := codes(Diagnose(platform.Facts{}, e)); slices.Contains(got, "ipv6_disabled") {
		t.Errorf("got %q without ipv6_disabled", got)
	}
}

func TestSuspicious(t *testing.T) {
	for name, e := range map[string]Evidence{
		"duplicates": {Duplicates: 1}, "corrupted": {Corrupted: 1}, "clock": {ClockStep: -3},
		"kernel": {Method: "icmp-raw", Kernel: &Latency{5, slowKernel, 0.2, 1}}, "wake-up": {Wakeup: &Latency{5, 0, 0, slowWakeup}},
	} {
		if !e.Suspicious() {
			t.Errorf("%s: got false", name)
		}
	}
	if (Evidence{Sent: 5, Received: 5, Kernel: &Latency{5, 0.001, 0.002, 0.01}, Wakeup: &Latency{5, 0, 0.01, 1}}).Suspicious() {
		t.Error("an ordinary run is suspicious")
	}
}

func TestTakes(t *testing.T) {
	for _, tt := range []struct {
		at, to string
		only   bool
		want   bool
	}{
		{"127.0.0.1", "127.0.0.1", false, true}, {"127.0.0.2", "127.0.0.1", false, false},
		{"0.0.0.0", "127.0.0.1", false, true}, {"0.0.0.0", "::1", false, false},
		{"::", "::1", true, true}, {"::", "::1", false, true},
		{"::", "127.0.0.1", false, true}, {"::", "127.0.0.1", true, false},
		{"::1", "127.0.0.1", false, false}, {"fe80::1", "fe80::1%lo", false, true},
	} {
		l := platform.Listener{Address: netip.MustParseAddr(tt.at), IPv6Only: tt.only}
		if got := l.Takes(netip.MustParseAddr(tt.to)); got != tt.want {
			t.Errorf("%s, IPv6 only %v, for %s: got %v, want %v", tt.at, tt.only, tt.to, got, tt.want)
		}
	}
}
