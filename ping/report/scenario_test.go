package report

import (
	"net/netip"
	"syscall"
	"time"

	"lping/ping"
	"lping/platform/diagnose"
	"lping/stats"
)

// scenario is one run as the renderers see it; every golden file comes from one of these.
type scenario struct {
	name    string
	options Options
	starts  []Target
	events  []told
	report  Report
}

// told is an event and the target that it belongs to.
type told struct {
	target Target
	event  ping.Event
	// finding and outage take the place of the event if they are not nil.
	finding *diagnose.Finding
	outage  *Outage
}

var (
	v4   = netip.MustParseAddr("127.0.0.1")
	v6   = netip.MustParseAddr("::1")
	noon = time.Unix(1700000000, 50_000_700)
)

func target4() Target {
	return Target{Name: "127.0.0.1", Config: ping.Config{Transport: ping.Transport{Address: v4, Size: 56}}, Method: "icmp-dgram", Begun: noon}
}

func target6() Target {
	return Target{Name: "::1", Config: ping.Config{Transport: ping.Transport{Address: v6, Size: 56}}, Method: "icmp-dgram", Begun: noon}
}

func event(k ping.Kind, seq uint64, from netip.Addr) ping.Event {
	return ping.Event{Kind: k, Seq: seq, Time: noon.Add(time.Duration(seq) * 50 * time.Millisecond), From: from}
}

func answer(k ping.Kind, seq uint64, from netip.Addr, rtt time.Duration) ping.Event {
	e := event(k, seq, from)
	e.RTT, e.TTL, e.Bytes, e.Ident = rtt, 64, 64, 7
	if from.Is6() {
		e.Ident = 8
	}
	return e
}

func corrupt(seq uint64, bytes int, m ping.Mismatch) ping.Event {
	e := answer(ping.Corrupt, seq, v4, 0)
	e.Bytes, e.Wrong = bytes, m
	return e
}

func refused(seq uint64, from netip.Addr, f ping.Fault) ping.Event {
	e := event(ping.SendError, seq, from)
	e.Fault = f
	return e
}

// five are five sends and replies, one of them above 1 ms and one above 10.
func five(t Target) []told {
	var out []told
	for i, rtt := range []time.Duration{44_600, 31_000, 1_004_900, 12_350_000, 30_000} {
		seq := uint64(i + 1)
		out = append(out, told{target: t, event: event(ping.Sent, seq, t.Address)}, told{target: t, event: answer(ping.Reply, seq, t.Address, rtt)})
	}
	return out
}

func healthy(t Target) Result {
	return Result{Target: t, Verdict: stats.Healthy, Summary: stats.Summary{
		Sent: 5, Received: 5, Duration: 201_300_456, SendSpan: 200_400_000, Pipe: 1, EWMA: 41_000,
		RTT: stats.Distribution{
			Count: 5, Min: 30_000, Mean: 2_692_500, Max: 12_350_000, StdDev: 4_845_123,
			P50: 44_600, P90: 12_350_000, P99: 12_350_000, P999: 12_350_000, Jitter: 1_234_567,
		},
	}}
}

func loDown() diagnose.Finding {
	return diagnose.Finding{
		Code: "lo_down", Severity: diagnose.Error, Cause: "interface lo is down",
		Evidence: "flags of lo: LOOPBACK", Fix: "ip link set lo up",
	}
}

func silent(t Target, findings ...diagnose.Finding) Result {
	r := Result{
		Target: t, Verdict: stats.Unhealthy, Cause: said("5 of 5 probes lost"), Findings: findings, ExitCode: 1,
		Summary: stats.Summary{
			Sent: 5, Lost: 5, LossPercent: 100, LongestLoss: 5, Pipe: 5,
			Duration: 600_100_000, SendSpan: 200_499_999,
		},
	}
	if len(findings) > 0 {
		return because(r, 0, nil)
	}
	r.Reason.Cause = r.Cause
	return r
}

// said is a cause that is words already.
type said string

func (s said) String() string { return string(s) }

// because makes a finding the reason of a result, with its own cause or another.
func because(r Result, at int, cause Cause) Result {
	r.Reason = Reason{Finding: &r.Findings[at], Cause: cause}
	if cause == nil {
		r.Reason.Cause = Found{r.Findings[at]}
	}
	return r
}

func one(r Result) Report {
	return Report{Results: []Result{r}, ByNeed: []int{0}, Verdict: r.Verdict, ExitCode: r.ExitCode, Begun: time.Unix(1_700_000_000, 250_000_000)}
}

func healthyScenario(name string, t Target, o Options) scenario {
	return scenario{name: name, options: o, starts: []Target{t}, events: five(t), report: one(healthy(t))}
}

// troubles are all kinds of events but a plain run.
// size80 is the size of a terminal.
func size80() (width, height int) { return 80, 24 }

func troubles() []told {
	t := target4()
	nobody := answer(ping.Foreign, 0, netip.MustParseAddr("127.0.0.9"), 0)
	noTTL := answer(ping.Reply, 8, v4, 50_000)
	noTTL.TTL = 0
	var out []told
	for _, e := range []ping.Event{
		event(ping.Sent, 1, v4),
		event(ping.NoAnswer, 1, v4),
		event(ping.Sent, 2, v4),
		answer(ping.Reply, 2, v4, 40_000),
		answer(ping.Reply, 1, v4, 50_040_000),
		answer(ping.Duplicate, 2, v4, 60_000),
		event(ping.Sent, 3, v4),
		corrupt(3, 64, ping.Mismatch{Offset: 17, Want: 0x11, Got: 0x9, WantLen: 56, GotLen: 56}),
		event(ping.Sent, 4, v4),
		corrupt(4, 28, ping.Mismatch{Offset: 20, WantLen: 56, GotLen: 20}),
		event(ping.Sent, 5, v4),
		refused(5, v4, ping.Fault{Errno: syscall.ECONNREFUSED, ICMP: true, Type: 3, Code: 3}),
		event(ping.Sent, 6, v4),
		refused(6, v4, ping.Fault{Errno: syscall.EPERM}),
		event(ping.Sent, 7, v4),
		event(ping.Timeout, 7, v4),
		answer(ping.Late, 7, v4, 412_345_678),
		nobody,
		event(ping.Sent, 8, v4),
		noTTL,
		event(ping.Sent, 65537, v4),
		answer(ping.Reply, 65537, v4, 50_000),
		event(ping.Sent, 65538, v4),
		event(ping.Timeout, 65538, v4),
	} {
		out = append(out, told{target: t, event: e})
	}
	return out
}

func troubled() Result {
	return because(Result{
		Target: target4(), Verdict: stats.Unhealthy, Cause: said("6 of 10 probes without a right answer"), ExitCode: 1,
		Findings: []diagnose.Finding{
			{
				Code: "duplicate_replies", Severity: diagnose.Warning, Cause: "1 reply came twice",
				Evidence: "icmp_seq=2", Fix: "",
			},
			{
				Code: "payload_corrupted", Severity: diagnose.Error, Cause: "2 replies came back with other data",
				Evidence: "first at data byte 17 of icmp_seq=3; net.core.x = 1, at a time when nobody looked",
				Fix:      "memtest86+",
			},
		},
		Summary: stats.Summary{
			Sent: 10, Received: 4, Late: 1, Lost: 1, Corrupted: 2, SendErrors: 2, Duplicates: 1, Foreign: 1,
			LossPercent: 60, LongestLoss: 5, Duration: 1_012_345_678, SendSpan: 450_500_000, Pipe: 2, EWMA: 6_300_000,
			RTT: stats.Distribution{
				Count: 5, Min: 40_000, Mean: 10_048_000, Max: 50_040_000, StdDev: 19_996_000,
				P50: 50_000, P90: 50_040_000, P99: 50_040_000, P999: 50_040_000, Jitter: 9_000_000,
			},
		},
	}, 1, nil)
}

func noSocket() Report {
	t := target4()
	t.Method = ""
	r := one(because(Result{
		Target: t, Verdict: stats.Unhealthy, Cause: said("no ICMP socket"), ExitCode: 2,
		Findings: []diagnose.Finding{{
			Code: "icmp_not_permitted", Severity: diagnose.Error, Cause: "ICMP sockets are not permitted",
			Evidence: "datagram: EACCES, raw: EPERM; gid 1000 is outside 1 to 0",
			Fix:      `sysctl -w net.ipv4.ping_group_range="0 2147483647"`,
		}},
	}, 0, nil))
	r.Unchecked = true
	return r
}

func missing6() Result {
	r := because(Result{
		Target: target6(), Verdict: stats.Unhealthy, Cause: said("1 of 1 probes refused"), ExitCode: 1,
		Findings: []diagnose.Finding{{
			Code: "addr_missing", Severity: diagnose.Error, Cause: "::1 is not on lo",
			Evidence: "addresses of lo: 127.0.0.1/8", Fix: "ip addr add ::1/128 dev lo",
		}},
	}, 0, nil)
	r.Summary = stats.Summary{Sent: 1, SendErrors: 1, LossPercent: 100, LongestLoss: 1, Duration: 20_000}
	return r
}

func bothFamilies() scenario {
	a, b := target4(), target6()
	events := append(five(a)[:4], told{target: b, event: event(ping.Sent, 1, v6)},
		told{target: b, event: refused(1, v6, ping.Fault{Errno: syscall.ECONNREFUSED, ICMP: true, Type: 1, Code: 4})})
	events = append(events, five(a)[4:]...)
	return scenario{
		name: "both", starts: []Target{a, b}, events: events,
		report: Report{Results: []Result{healthy(a), missing6()}, ByNeed: []int{1, 0}, Verdict: stats.Unhealthy, ExitCode: 1},
	}
}

func bothHealthy() scenario {
	a, b := target4(), target6()
	a.Name, b.Name = "localhost", "localhost"
	return scenario{
		name: "both-healthy", starts: []Target{a, b}, events: append(five(a), five(b)...),
		report: Report{Results: []Result{healthy(a), healthy(b)}, ByNeed: []int{0, 1}, Verdict: stats.Healthy},
	}
}

func interrupted() scenario {
	t := target6()
	return scenario{
		name: "interrupted", starts: []Target{t}, events: []told{{target: t, event: event(ping.Sent, 1, v6)}},
		report: one(Result{
			Target: t, Verdict: stats.Unknown, Cause: said("nothing was decided"), ExitCode: 1,
			Reason:  Reason{Cause: said("nothing was decided")},
			Summary: stats.Summary{Sent: 1, InFlight: 1, Pipe: 1},
		}),
	}
}

func degraded() scenario {
	t, r := target4(), healthy(target4())
	r.Verdict, r.Cause, r.Summary.Duplicates = stats.Degraded, said("2 duplicate replies"), 2
	r.Findings = []diagnose.Finding{
		{Code: "clock_stepped", Severity: diagnose.Info, Cause: "the wall clock was set", Evidence: "by 3 s"},
		{
			Code: "duplicate_replies", Severity: diagnose.Warning, Cause: "2 replies came twice",
			Evidence: "icmp_seq=3, icmp_seq=4", Fix: "look for a second responder with tcpdump -ni lo icmp",
		},
	}
	return scenario{name: "degraded", starts: []Target{t}, events: five(t), report: one(because(r, 1, nil))}
}

func scenarios() []scenario {
	named, sourced, patterned := target6(), target4(), target4()
	named.Name = "localhost"
	sourced.Source, sourced.Interface = netip.MustParseAddr("127.0.0.2"), "lo"
	patterned.Pattern, patterned.Source = []byte{0xff, 0}, netip.MustParseAddr("127.0.0.2")
	t := target4()
	fix := diagnose.Finding{Code: "route_missing", Severity: diagnose.Error, Cause: "no route to 127.0.0.1",
		Evidence: "table local is empty", Fix: "ip route add local 127.0.0.0/8 dev lo table local"}
	flood := healthyScenario("flood", t, Options{Flood: true, Size: size80, PacingShown: true})
	flood.report.Results[0].Summary.Pipe = 3
	trouble := func(name string, o Options) scenario {
		return scenario{name: name, options: o, starts: []Target{t}, events: troubles(), report: one(troubled())}
	}
	typical := healthyScenario("typical", t, Options{})
	typical.report.Results[0].Target.Stamps = true
	typical.report.Results[0].Buckets = []stats.Bucket{{UpTo: 25_000, Count: 0}, {UpTo: 50_000, Count: 5}, {UpTo: 1e9, Count: 5}}
	typical.options.Limits = stats.Limits{
		Warn: stats.Threshold{RTA: &stats.Range{High: 5, Text: "5"}},
		Crit: stats.Threshold{RTA: &stats.Range{High: 9, Text: "9"}, Loss: &stats.Range{High: 60, Text: "60"}},
	}
	typical.report.Results[0].Summary.Send = stats.Distribution{Count: 5, P50: 2_000, P99: 12_000}
	typical.report.Results[0].Summary.Kernel = stats.Distribution{Count: 5, P50: 5_600, P99: 9_400}
	typical.report.Results[0].Summary.Wakeup = stats.Distribution{Count: 5, P50: 7_000, P99: 31_000}
	typical.report.Results[0].Summary.RTT = stats.Distribution{
		Count: 5, Min: 30_000, Mean: 33_400, Max: 45_000, StdDev: 5_834,
		P50: 31_000, P90: 45_000, P99: 45_000, P999: 45_000, Jitter: 4_000,
	}
	return append(serviceScenarios(), []scenario{
		typical,
		healthyScenario("healthy", t, Options{}),
		healthyScenario("name", named, Options{}),
		healthyScenario("source", sourced, Options{}),
		healthyScenario("pattern", patterned, Options{Audible: true}),
		healthyScenario("quiet", patterned, Options{Quiet: true, Audible: true, Outstanding: true}),
		trouble("trouble", Options{Outstanding: true}),
		trouble("verbose", Options{Outstanding: true, Verbose: true, Timestamp: true, Precise: true}),
		trouble("ping-only", Options{Outstanding: true, Verbose: true, PingOnly: true}),
		flood,
		degraded(),
		{name: "lost", starts: []Target{t}, events: lost(t), report: one(silent(t, loDown(), fix))},
		{name: "lost-no-finding", starts: []Target{t}, events: lost(t), report: one(silent(t))},
		{name: "no-socket", report: noSocket()},
		{name: "ping-only-no-socket", options: Options{PingOnly: true}, report: noSocket()},
		interrupted(),
		bothFamilies(),
		bothHealthy(),
		overUDP(),
		overTCP(),
		healthyScenario("tcp-service", over(target4(), ping.MethodTCP, 8080), Options{}),
		service(),
		sweep(),
		outage(),
		outageOfTwo(),
	}...)
}

// over is a target that is probed by another method than ICMP; port 0 is our own echo.
func over(t Target, method string, port uint16) Target {
	t.Method, t.Port = method, port
	return t
}

// overUDP is what auto comes to where no ICMP socket is permitted.
func overUDP() scenario {
	s := healthyScenario("udp", over(target4(), ping.MethodUDP, 0), Options{})
	s.report.Results[0].Findings = []diagnose.Finding{{
		Code: "icmp_not_permitted", Severity: diagnose.Info, Cause: "ICMP sockets are not permitted here",
		Evidence: "datagram socket: EACCES, raw socket: EPERM", Fix: `sysctl -w net.ipv4.ping_group_range="0 2147483647"`,
	}}
	s.report.Results[0] = because(s.report.Results[0], 0, nil)
	return s
}

// overTCP has a connection in front of each echo.
func overTCP() scenario {
	s := healthyScenario("tcp", over(target6(), ping.MethodTCP, 0), Options{})
	for i := range s.events {
		if e := &s.events[i].event; e.Kind == ping.Reply {
			e.Connect = e.RTT / 2
		}
	}
	return s
}

// service listens on one of the two addresses that localhost stands for.
func service() scenario {
	closed, open := over(target6(), ping.MethodTCP, 8080), over(target4(), ping.MethodTCP, 8080)
	closed.Name, open.Name = "localhost", "localhost"
	s := scenario{name: "service", starts: []Target{open, closed}, events: five(open)}
	for seq := range uint64(5) {
		s.events = append(s.events, told{target: closed, event: event(ping.Sent, seq+1, v6)},
			told{target: closed, event: refused(seq+1, v6, ping.Fault{Errno: syscall.ECONNREFUSED})})
	}
	bad := silent(closed)
	bad.Cause, bad.Summary.Lost, bad.Summary.SendErrors = said("5 of 5 probes refused"), 0, 5
	bad.Reason.Cause = bad.Cause
	s.report = Report{Results: []Result{healthy(open), bad}, ByNeed: []int{1, 0}, Verdict: stats.Degraded}
	return s
}

// outage is a run that lasts, in which lo was down for 2 seconds, told as it went on.
func outage() scenario {
	t, since, until := target4(), noon.Add(100*time.Millisecond), noon.Add(2150*time.Millisecond)
	s := scenario{name: "outage", options: Options{Timestamp: true}, starts: []Target{t}, events: five(t)[:2]}
	down := loDown()
	down.Since = since
	s.events = append(s.events, told{target: t, event: event(ping.Timeout, 2, v4)}, told{target: t, finding: &down})
	over := stats.Outage{Since: since, Until: until, Length: until.Sub(since), Lost: 41}
	s.events = append(s.events, told{target: t, event: answer(ping.Reply, 43, v4, 31_000)},
		told{target: t, outage: &Outage{Outage: over, Told: true}},
		told{target: t, outage: &Outage{Outage: stats.Outage{Since: until, Until: until.Add(49_000_000), Length: 49_000_000, Lost: 1}}})
	r := healthy(t)
	r.Verdict, r.ExitCode = stats.Unhealthy, 1
	r.Summary.Sent, r.Summary.Received, r.Summary.Lost, r.Summary.LossPercent = 100, 58, 42, 42
	r.Summary.LongestLoss, r.Summary.Outages, r.Summary.Latest, r.Summary.Longest = 41, 2, over, over
	r.Cause = Breach{Breach: stats.Breach{Kind: stats.LossBreach, Loss: r.Summary.Loss()}, Outages: 2, Longest: over.Length}
	was := down
	was.Cause, was.Until = "interface lo was down", until
	some := diagnose.Finding{Code: "packet_loss", Severity: diagnose.Error, Cause: "42 of 100 probes were lost", Since: until}
	r.Findings = []diagnose.Finding{was, some}
	s.report = one(because(r, 0, nil))
	return s
}

// outageOfTwo is one of two targets, and comes on a terminal on which a dot stands.
func outageOfTwo() scenario {
	s := bothHealthy()
	s.events = s.events[:len(s.events)-1]
	down := loDown()
	since, b := noon, target6()
	s.name, s.options = "outage-of-two", Options{Flood: true, Size: size80}
	s.events = append(s.events, told{target: b, finding: &down}, told{target: b, outage: &Outage{Told: true, Outage: stats.Outage{
		Since: since, Until: since.Add(2050 * time.Millisecond), Length: 2050 * time.Millisecond, Lost: 1}}})
	return s
}

// sweep fails at a size.
func sweep() scenario {
	t := target4()
	t.Size, t.Sizes = 1300, []int{100, 1300}
	r := silent(t, diagnose.Finding{
		Code: "fw_input_request", Severity: diagnose.Error, Cause: "a firewall likely drops the echo request",
		Evidence: "one probe moved OutEchos +1", Fix: "nft insert rule inet t c iifname lo accept",
	})
	r.Cause = Sweep("size 1300 fails first (no answer)")
	r = because(r, 0, Explained{r.Cause, Found{r.Findings[0]}})
	r.Summary.Sent, r.Summary.Received, r.Summary.Lost, r.Summary.LossPercent = 2, 1, 1, 50
	r.Summary.RTT = stats.Distribution{Count: 1, Min: 30_000, Mean: 30_000, Max: 30_000, P50: 30_000, P90: 30_000, P99: 30_000, P999: 30_000}
	return scenario{name: "sweep", starts: []Target{t}, events: five(t)[:2], report: one(r)}
}

func lost(t Target) []told {
	var out []told
	for seq := range uint64(5) {
		out = append(out, told{target: t, event: event(ping.Sent, seq+1, t.Address)})
	}
	for seq := range uint64(5) {
		out = append(out, told{target: t, event: event(ping.Timeout, seq+1, t.Address)})
	}
	return out
}
