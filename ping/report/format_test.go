package report

import (
	"encoding/json"
	"io"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"lping/ping"
	"lping/platform/diagnose"
	"lping/stats"
)

func TestPingTime(t *testing.T) {
	for _, c := range []struct {
		d       time.Duration
		want    string
		precise string
	}{
		{-time.Second, "0.000", "0.000"},
		{0, "0.000", "0.000"},
		{499, "0.000", "0.000"},
		{500, "0.001", "0.001"},
		{45_000, "0.045", "0.045"},
		{999_499, "0.999", "0.999"},
		{999_500, "1.00", "1.000"},
		{1_004_000, "1.00", "1.004"},
		{1_004_500, "1.01", "1.005"},
		{1_005_000, "1.01", "1.005"},
		{9_994_000, "9.99", "9.994"},
		{9_994_500, "10.0", "9.995"},
		{9_995_000, "10.0", "9.995"},
		{12_350_000, "12.4", "12.350"},
		{99_949_000, "99.9", "99.949"},
		{99_950_000, "100", "99.950"},
		{100_499_000, "100", "100.499"},
		{100_500_000, "101", "100.500"},
		{1_234_567_000, "1235", "1234.567"},
	} {
		if got := string(pingTime(nil, c.d, false)); got != c.want {
			t.Errorf("pingTime(%d) = %s, want %s", c.d, got, c.want)
		}
		if got := string(pingTime(nil, c.d, true)); got != c.precise {
			t.Errorf("pingTime(%d, precise) = %s, want %s", c.d, got, c.precise)
		}
	}
}

func TestLossPercent(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0", 100: "100", 40: "40", 100.0 / 3: "33.3333", 200.0 / 3: "66.6667", 0.00001: "1e-05", 99.99999: "100",
	} {
		if got := string(lossPercent(nil, x)); got != want {
			t.Errorf("lossPercent(%v) = %s, want %s", x, got, want)
		}
	}
}

func TestExactMillis(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0", 1: "0.000001", 1_000_000: "1", 1_500_000: "1.5", 45_010: "0.04501", -1_000_001: "-1.000001",
		3600 * time.Second: "3600000", math.MaxInt64: "9223372036854.775807",
	} {
		if got := string(exactMillis(nil, d)); got != want {
			t.Errorf("exactMillis(%d) = %s, want %s", d, got, want)
		}
	}
}

func TestStatus(t *testing.T) {
	s := stats.Summary{Sent: 3, Received: 3, EWMA: 17_000}
	s.RTT = stats.Distribution{Count: 3, Min: 11_000, Mean: 30_000, Max: 42_000}
	for _, c := range []struct {
		name    string
		summary stats.Summary
		want    string
	}{
		{"", s, "\r3/3 packets, 0% loss, min/avg/ewma/max = 0.011/0.030/0.017/0.042 ms\n"},
		{"[::1]:80", s, "\r[::1]:80: 3/3 packets, 0% loss, min/avg/ewma/max = 0.011/0.030/0.017/0.042 ms\n"},
		{"", stats.Summary{Sent: 3, Lost: 2, InFlight: 1, LossPercent: 100}, "\r0/3 packets, 100% loss\n"},
		{"", stats.Summary{}, "\r0/0 packets, 0% loss\n"},
	} {
		var b strings.Builder
		if err := Status(&b, c.name, c.summary); err != nil || b.String() != c.want {
			t.Errorf("got %q, %v, want %q", b.String(), err, c.want)
		}
	}
}

func TestBanner(t *testing.T) {
	lo2 := netip.MustParseAddr("127.0.0.2")
	for _, c := range []struct {
		target Target
		want   string
	}{
		{Target{Name: "127.0.0.1", Config: ping.Config{Transport: ping.Transport{Address: v4, Size: 56}}}, "PING 127.0.0.1 (127.0.0.1) 56(84) bytes of data."},
		{Target{Name: "localhost", Config: ping.Config{Transport: ping.Transport{Address: v4, Size: 0}}}, "PING localhost (127.0.0.1) 0(28) bytes of data."},
		{Target{Name: "::1", Config: ping.Config{Transport: ping.Transport{Address: v6, Size: 56}}}, "PING ::1 (::1) 56 data bytes"},
		{Target{Name: "localhost", Config: ping.Config{Transport: ping.Transport{Address: v6, Size: 56}}}, "PING localhost (::1) 56 data bytes"},
		{
			Target{Name: "127.0.0.1", Config: ping.Config{Transport: ping.Transport{Address: v4, Source: v4, Interface: "lo", Size: 56}}},
			"PING 127.0.0.1 (127.0.0.1) from 127.0.0.1 lo: 56(84) bytes of data.",
		},
		{
			Target{Name: "127.0.0.1", Config: ping.Config{Transport: ping.Transport{Address: v4, Interface: "lo", Size: 56}}},
			"PING 127.0.0.1 (127.0.0.1) from 127.0.0.1 lo: 56(84) bytes of data.",
		},
		{
			Target{Name: "127.0.0.1", Config: ping.Config{Transport: ping.Transport{Address: v4, Source: lo2, Size: 56}}},
			"PING 127.0.0.1 (127.0.0.1) from 127.0.0.2 : 56(84) bytes of data.",
		},
		{
			Target{Name: "::1", Config: ping.Config{Transport: ping.Transport{Address: v6, Source: v6, Interface: "lo", Size: 56}}},
			"PING ::1 (::1) from ::1 lo: 56 data bytes",
		},
	} {
		if got := string(appendBanner(nil, c.target)); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestICMPWords(t *testing.T) {
	for _, c := range []struct {
		target    netip.Addr
		typ, code uint8
		want      string
	}{
		{v4, 3, 1, "Destination Host Unreachable"},
		{v4, 3, 3, "Destination Port Unreachable"},
		{v4, 3, 13, "Packet filtered"},
		{v4, 3, 99, "Dest Unreachable, Bad Code: 99"},
		{v4, 11, 0, "Time to live exceeded"},
		{v4, 12, 0, "Parameter problem"},
		{v4, 200, 1, "Bad ICMP type: 200"},
		{v6, 1, 0, "Destination unreachable: No route"},
		{v6, 1, 4, "Destination unreachable: Port unreachable"},
		{v6, 1, 9, "Destination unreachable: Unknown code 9"},
		{v6, 2, 0, "Packet too big"},
		{v6, 3, 0, "Time exceeded: Hop limit"},
		{v6, 4, 7, "Parameter problem: code 7"},
		{v6, 99, 0, "unknown icmp type: 99"},
	} {
		if got := string(icmpWords(nil, c.target, c.typ, c.code)); got != c.want {
			t.Errorf("%v %d/%d: got %q, want %q", c.target, c.typ, c.code, got, c.want)
		}
	}
}

func FuzzQuoted(f *testing.F) {
	for _, s := range []string{"", `a"b\c`, "\x00\n\x7f", "\xff\xfe", "é\u2028", "operation not permitted"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got, want string
		if err := json.Unmarshal(appendQuoted(nil, s), &got); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		b, _ := json.Marshal(s)
		if err := json.Unmarshal(b, &want); err != nil || got != want {
			t.Errorf("%q: got %q, want %q, %v", s, got, want, err)
		}
	})
}

// FuzzLines feeds absurd texts to all formats and holds their laws: limits, no stray lines, valid JSON.
func FuzzLines(f *testing.F) {
	long := strings.Repeat("Ünfug ", 100)
	f.Add("lo_down", "interface lo is down", "flags", "ip link set lo up", "lo", uint8(3), uint8(3), uint64(5))
	f.Add("", "", "", "", "", uint8(0), uint8(1), uint64(0))
	f.Add(long, long, long, long, long, uint8(2), uint8(2), uint64(math.MaxUint64))
	f.Add("code", long, long, long, "lo", uint8(3), uint8(2), uint64(1<<40))
	f.Add(strings.Repeat("\x0f", 240), long, long, long, "lo", uint8(2), uint8(2), uint64(1<<40))
	f.Add("0:", "=", "0", "", "lo", uint8(1), uint8(1), uint64(1))
	f.Add("a\nb", "1\r = x", "\x1b[31m time time ", " =  = time", "\xff", uint8(1), uint8(3), uint64(1))
	f.Fuzz(func(t *testing.T, code, cause, evidence, fix, zone string, severity, verdict uint8, n uint64) {
		v := stats.Verdict(verdict % 4)
		a := diagnose.Finding{
			Code: diagnose.Code(code), Severity: diagnose.Severity(severity), Cause: cause, Evidence: evidence, Fix: fix,
		}
		b := a
		b.Code, b.Fix = diagnose.Code(fix), cause
		t6 := target6()
		t6.Address = t6.Address.WithZone(zone)
		first, second := healthy(target4()), healthy(t6)
		first.Verdict, first.Cause, first.Findings = v, said(cause), []diagnose.Finding{a, b, loDown()}
		first.Summary.Sent, first.Summary.Received = n, n/2
		second.Verdict, second.Findings = stats.Verdict(severity%4), []diagnose.Finding{b, a}
		first, second = because(first, 0, first.Cause), because(second, 1, nil)
		for _, r := range []Report{
			one(first), one(second),
			{Results: []Result{first, second}, ByNeed: []int{0, 1}, Verdict: v},
			{Results: []Result{second, first}, ByNeed: []int{1, 0}, Verdict: v},
		} {
			checkLine(t, r)
			checkNagios(t, r)
			checkPrometheus(t, r)
			checkText(t, r)
			checkJSON(t, r)
		}
	})
}

func checkLine(t *testing.T, r Report) {
	var out strings.Builder
	if err := NewLine(&out, Options{}).Finish(r); err != nil {
		t.Fatal(err)
	}
	s := out.String()
	if len(s) >= 500 || !utf8.ValidString(s) || !strings.HasPrefix(s, r.Verdict.String()+" ") {
		t.Errorf("%d bytes: %q", len(s), s)
	}
	for i, line := range strings.Split(strings.TrimSuffix(s, "\n"), "\n") {
		if len(line) >= 200 || strings.ContainsFunc(line, unprintable) || i > 0 && !strings.HasPrefix(line, "  ") {
			t.Errorf("line of %d bytes: %q", len(line), line)
		}
	}
}

// checkNagios holds that there is one line with one bar, before figures that a program can read.
func checkNagios(t *testing.T, r Report) {
	var out strings.Builder
	if err := NewNagios(&out, Options{}).Finish(r); err != nil {
		t.Fatal(err)
	}
	s := strings.TrimSuffix(out.String(), "\n")
	text, figures, some := strings.Cut(s, "|")
	if !strings.HasPrefix(text, "LPING ") || len(text) > maxOutput+31 || strings.ContainsFunc(s, unprintable) {
		t.Errorf("%q", out.String())
	}
	for figure := range strings.SplitSeq(figures, " ") {
		if some && !figureForm.MatchString(figure) {
			t.Errorf("no figure: %q", figure)
		}
	}
}

var figureForm = regexp.MustCompile(`^(rta|pl)(_v[46])?=[0-9.e+]+(ms|%);[0-9.@~:]*;[0-9.@~:]*;0(;100)?$`)

// checkPrometheus holds that every line is a comment or a sample, and that no sample stands twice.
func checkPrometheus(t *testing.T, r Report) {
	var out strings.Builder
	if err := NewPrometheus(&out, Options{}).Finish(r); err != nil {
		t.Fatal(err)
	}
	if !utf8.ValidString(out.String()) || !strings.HasSuffix(out.String(), "\n") {
		t.Errorf("%q", out.String())
	}
	seen := map[string]bool{}
	for line := range strings.SplitSeq(strings.TrimSuffix(out.String(), "\n"), "\n") {
		m := sampleForm.FindStringSubmatch(line)
		switch {
		case strings.HasPrefix(line, "# HELP lping_") || strings.HasPrefix(line, "# TYPE lping_"):
		case m == nil || seen[m[1]]:
			t.Errorf("no sample, or one more of the same: %q", line)
		default:
			seen[m[1]] = true
		}
	}
}

var sampleForm = regexp.MustCompile(`^(lping_overall_healthy|lping_[a-z_]+\{(?:[a-z]+="(?:[^"\\]|\\[\\"n])*",?)+\}) [-+.e0-9]+$`)

func checkText(t *testing.T, r Report) {
	for _, result := range r.Results {
		s := string((&text{}).appendOutcome(nil, result, true, nil))
		for line := range strings.Lines(s) {
			line = strings.TrimSuffix(line, "\n")
			if strings.Contains(line, " = ") || strings.Contains(line, " time ") || line == "" ||
				strings.ContainsFunc(line, unprintable) {
				t.Errorf("%q", line)
			}
		}
	}
}

func checkJSON(t *testing.T, r Report) {
	var out strings.Builder
	j := NewJSON(&out, Options{})
	target, n := r.Results[0].Target, r.Results[0].Summary.Sent
	if err := j.Event(target, answer(ping.Reply, n, target.Address, time.Duration(n))); err != nil {
		t.Fatal(err)
	}
	if err := j.Finish(r); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
}

// TestTextTellsOnce: what both families have is told once, although each has its own evidence; what only one has, with it.
func TestTextTellsOnce(t *testing.T) {
	finding := func(code diagnose.Code, evidence string) diagnose.Finding {
		return diagnose.Finding{Code: code, Severity: diagnose.Warning, Cause: "so", Evidence: evidence, Fix: "that"}
	}
	r := Report{Results: []Result{
		{Findings: []diagnose.Finding{finding(diagnose.SlowPath, "0.4 ms")}},
		{Findings: []diagnose.Finding{finding(diagnose.SlowPath, "0.5 ms"), finding(diagnose.DuplicateReplies, "7")}},
	}}
	var out strings.Builder
	if err := NewText(&out, Options{}).Finish(r); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.Count(got, "slow_path: so") != 1 || strings.Count(got, "duplicate_replies: so (7)") != 1 {
		t.Errorf("got %q", got)
	}
}

// TestLineKeepsVerdictAndCode cuts what is long and keeps what matters.
func TestLineKeepsVerdictAndCode(t *testing.T) {
	f := loDown()
	f.Cause, f.Fix = strings.Repeat("c", 180), strings.Repeat("f", 180)
	worse := silent(target6(), f)
	got := headline(stats.Unhealthy, []Result{worse, healthy(target4())}, maxLine)
	if len(got) > maxLine || !strings.HasPrefix(got, "unhealthy ::1 0/5 lo_down: ccc") ||
		!strings.HasSuffix(got, "…; 127.0.0.1 healthy 5/5 p50=0.045ms") {
		t.Errorf("%d bytes: %s", len(got), got)
	}
	r := healthy(target4())
	r.Verdict, r.Findings = stats.Degraded, []diagnose.Finding{f}
	got = headline(stats.Degraded, []Result{because(r, 0, nil)}, maxLine)
	if len(got) > maxLine || !strings.HasSuffix(got, "c…; p50=0.045ms") {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}

// TestFixInFull has each fix whole where the output has room for it, and once, however the first line was cut.
func TestFixInFull(t *testing.T) {
	f := diagnose.Finding{
		Code: "icmp_not_permitted", Severity: diagnose.Error, Cause: "ICMP sockets are not permitted here",
		Fix: `pod securityContext.sysctls: {name: net.ipv4.ping_group_range, value: "0 2147483647"}`,
	}
	mild := f
	mild.Severity = diagnose.Info
	r := Report{Verdict: stats.Unhealthy, Results: []Result{silent(target4(), f), silent(target6(), mild)}, ByNeed: []int{0, 1}}
	for name, newRenderer := range map[string]func(io.Writer, Options) Renderer{"line": NewLine, "nagios": NewNagios} {
		var out strings.Builder
		if err := newRenderer(&out, Options{}).Finish(r); err != nil {
			t.Fatal(err)
		}
		if strings.Count(out.String(), f.Fix) != 1 {
			t.Errorf("%s: %s", name, out.String())
		}
	}
}

func TestSplitWords(t *testing.T) {
	for _, c := range []struct {
		s    string
		want []string
	}{
		{"", nil},
		{"  a   b ", []string{"  a", "   b"}},
		{`a="b  c" d`, []string{`a="b  c"`, " d"}},
		{`a "b c`, []string{"a", ` "b c`}},
		{`"12345 67890 abc" d`, []string{` "12345`, " 67890", ` abc"`, " d"}},
	} {
		if got := splitWords(c.s, 12); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.s, got, c.want)
		}
	}
}

func TestTextWidth(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "é": 2, "漢字": 4, "a\U0001f600b": 4, "\ufffd": 2} {
		if got := TextWidth(s); got != want {
			t.Errorf("%q: got %d, want %d", s, got, want)
		}
	}
}
