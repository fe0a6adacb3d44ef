package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"lping/ping"
	"lping/ping/report"
	"lping/platform/diagnose"
	"lping/stats"
)

// The tests of this file send over UDP and TCP, which everybody may: to lping's own echo or to sockets of the test.

const ms = time.Millisecond

// overLoopback is a configuration for a short run over a protocol; port 0 is lping's own echo.
func overLoopback(proto ping.Proto, port uint16) Config {
	t := report.Target{Name: "127.0.0.1"}
	t.Address, t.Proto, t.Port = rowAddress4, proto, port
	t.Count, t.Interval, t.Size, t.Timeout = 3, ms, 56, 10*time.Second
	if proto == ping.ProtoTCP && port != 0 {
		t.Size = 0
	}
	return Config{Targets: []report.Target{t}}
}

// silentPort is the port of a socket of UDP on 127.0.0.1 that never answers.
func silentPort(t *testing.T) uint16 {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(rowAddress4, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go io.Copy(io.Discard, c) // what is not read shows that a service hangs
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

// closedPort is a port of TCP on 127.0.0.1 that nobody listens on.
func closedPort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort().Port()
}

// run runs a check from its start to its end.
func run(ctx context.Context, c Config) (report.Report, *Check, error) {
	k := New(c)
	k.Start()
	r, err := k.Run(ctx)
	return r, k, err
}

func codes(list []diagnose.Finding) (codes []string) {
	for _, f := range list {
		codes = append(codes, string(f.Code))
	}
	return codes
}

// played is a renderer that keeps what it was told. It fails from its nth call on, if fails is not 0.
type played struct {
	starts []report.Target
	kinds  []ping.Kind
	// news are the causes and the lengths of outages, in their order.
	news  []string
	fails int
	delay time.Duration
}

var errPlayed = errors.New("no room")

func (p *played) call() error {
	time.Sleep(p.delay)
	if p.fails--; p.fails == 0 {
		return errPlayed
	}
	return nil
}

func (p *played) Start(t report.Target) error {
	p.starts = append(p.starts, t)
	return p.call()
}

func (p *played) Event(_ report.Target, e ping.Event) error {
	p.kinds = append(p.kinds, e.Kind)
	return p.call()
}

func (p *played) Finding(_ report.Target, f diagnose.Finding) error {
	p.news = append(p.news, f.Cause)
	return p.call()
}

func (p *played) Outage(_ report.Target, o report.Outage) error {
	p.news = append(p.news, fmt.Sprintf("%d lost, told: %v", o.Lost, o.Told))
	return p.call()
}

func (p *played) Finish(report.Report) error { return nil }

func TestRunHealthy(t *testing.T) {
	for _, proto := range []ping.Proto{ping.ProtoUDP, ping.ProtoTCP} {
		c, p := overLoopback(proto, 0), &played{}
		c.Renderer, c.Buckets = p, true
		r, k, err := run(t.Context(), c)
		if err != nil || r.Verdict != stats.Healthy || r.ExitCode != 0 || r.Unchecked || !slices.Equal(r.ByNeed, []int{0}) {
			t.Fatalf("%v: %+v, %v", proto, r, err)
		}
		got := r.Results[0]
		if s := got.Summary; s.Sent != 3 || s.Received != 3 || got.Cause != nil || got.Reason.Cause != nil || len(got.Findings) > 0 {
			t.Errorf("%v: %+v", proto, got)
		}
		if len(got.Buckets) == 0 || len(p.starts) != 1 || p.starts[0].Method == "" || p.starts[0].Size != 56 {
			t.Errorf("%v: %d buckets, started with %+v", proto, len(got.Buckets), p.starts)
		}
		replies := slices.DeleteFunc(p.kinds, func(k ping.Kind) bool { return k != ping.Reply })
		if len(replies) != 3 || len(k.Evidence()) != 1 || k.Facts().System != "" {
			t.Errorf("%v: %d replies were told, evidence %+v, facts of %q", proto, len(replies), k.Evidence(), k.Facts().System)
		}
	}
}

func TestStart(t *testing.T) {
	one, many, silent := overLoopback(ping.ProtoUDP, 0), overLoopback(ping.ProtoUDP, 0), overLoopback(ping.ProtoUDP, silentPort(t))
	one.Targets[0].Count, silent.Targets[0].Count, silent.Targets[0].Timeout = 1, 1, 30*ms
	for _, tt := range []struct {
		name   string
		config Config
		more   bool
	}{{"one, answered", one, false}, {"several", many, true}, {"one, silent", silent, true}, {"no target", Config{}, false}} {
		if tt.name == "one, answered" && runtime.GOOS != "linux" {
			continue // the echo is a goroutine there, and may need a moment
		}
		k := New(tt.config)
		if got := k.Start(); got != tt.more {
			t.Errorf("%s: more to do: %v, want %v", tt.name, got, tt.more)
		}
		k.Run(t.Context())
	}
}

func TestRunSilent(t *testing.T) {
	c := overLoopback(ping.ProtoUDP, silentPort(t))
	c.Targets[0].Timeout, c.Targets[0].Count = 60*ms, 2
	r, k, err := run(t.Context(), c)
	got := r.Results[0]
	if err != nil || r.Verdict != stats.Unhealthy || r.ExitCode != 1 || got.Summary.Lost != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	if want := "2 of 2 probes open or silent"; got.Cause.String() != want {
		t.Errorf("cause %q, want %q", got.Cause, want)
	}
	if k.Facts().System != runtime.GOOS || k.Evidence()[0].Lost != 2 {
		t.Errorf("facts of %q, evidence %+v", k.Facts().System, k.Evidence())
	}
	if runtime.GOOS == "linux" && !slices.Equal(codes(got.Findings), []string{"port_silent"}) {
		t.Errorf("found %q", codes(got.Findings))
	}

	c.Limits.MaxLoss = 100
	if r, _, err = run(t.Context(), c); err != nil || r.Verdict != stats.Healthy || slices.Contains(codes(r.Results[0].Findings), "port_silent") {
		t.Errorf("all loss allowed: %+v, %v", r, err)
	}
}

func TestRunRefused(t *testing.T) {
	c := overLoopback(ping.ProtoTCP, closedPort(t))
	open := overLoopback(ping.ProtoTCP, 0)
	r, _, err := run(t.Context(), c)
	got := r.Results[0]
	if err != nil || r.Verdict != stats.Unhealthy || got.Summary.SendErrors != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	if want := "3 of 3 probes refused (ECONNREFUSED)"; got.Cause.String() != want {
		t.Errorf("cause %q, want %q", got.Cause, want)
	}
	if f := got.Reason.Finding; runtime.GOOS == "linux" && (f == nil || f.Code != "port_refused" || f.Fix == "") {
		t.Errorf("reason %+v", got.Reason)
	}
	c.Targets[0].Choice, c.Exit = 1, stats.SchemeNagios
	if r, _, _ = run(t.Context(), c); r.Verdict != stats.Unhealthy || r.ExitCode != 2 {
		t.Errorf("the only one of a choice: %v, status %d", r.Verdict, r.ExitCode)
	}
	open.Exit = stats.SchemeNagios
	if r, _, _ = run(t.Context(), open); r.ExitCode != 0 {
		t.Errorf("a healthy one: status %d", r.ExitCode)
	}
}

func TestRunBothFamilies(t *testing.T) {
	c := overLoopback(ping.ProtoUDP, 0)
	c.Targets = append(c.Targets, c.Targets[0])
	c.Targets[1].Name, c.Targets[1].Address = "::1", rowAddress6
	c.Targets[0].Optional, c.Targets[1].Optional = true, true
	c.Quiet = true
	p := &played{}
	c.Renderer = p
	r, _, err := run(t.Context(), c)
	if err != nil || len(r.Results) != 2 || r.Results[0].Verdict != stats.Healthy || len(p.kinds) > 0 || len(p.starts) == 0 {
		t.Fatalf("%+v, %v; told of %v", r, err, p.kinds)
	}
	if six := r.Results[1]; six.Verdict != stats.Healthy && !six.Excused {
		t.Errorf("::1: %+v", six)
	}
}

// TestRunName: what localhost means to others is looked up even if all is well.
func TestRunName(t *testing.T) {
	c := overLoopback(ping.ProtoUDP, 0)
	c.Targets[0].Name = "localhost"
	r, k, err := run(t.Context(), c)
	if err != nil || r.Results[0].Summary.Received != 3 || !k.Evidence()[0].Named {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, code := range codes(r.Results[0].Findings) {
		if code != "hosts_localhost" {
			t.Errorf("found %s", code)
		}
	}
}

func TestRunThorough(t *testing.T) {
	c := overLoopback(ping.ProtoUDP, 0)
	c.Thorough = true
	r, k, err := run(t.Context(), c)
	if err != nil || r.Results[0].Summary.Received != 3 || k.Facts().System != runtime.GOOS {
		t.Errorf("%+v, %v; facts of %q", r, err, k.Facts().System)
	}
}

// TestRunDelayed: probes that leave late are reason to look at the limits of this process, and at nothing else.
func TestRunDelayed(t *testing.T) {
	c := overLoopback(ping.ProtoUDP, 0)
	c.Renderer = &played{delay: 30 * ms}
	r, k, err := run(t.Context(), c)
	if err != nil || r.Verdict != stats.Healthy && r.Verdict != stats.Degraded || k.Evidence()[0].Lag < 20 || k.Facts().System != "" {
		t.Errorf("%+v, %v; lag %v, facts of %q", r, err, k.Evidence()[0].Lag, k.Facts().System)
	}
}

func TestRunInterrupted(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cause error
		want  int
	}{{"by the user", ErrInterrupted, 1}, {"by the system", errSystem, 2}} {
		c := overLoopback(ping.ProtoUDP, silentPort(t))
		c.Targets[0].Count = 0
		ctx, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(5*ms, func() { stop(tt.cause) })
		r, _, err := run(ctx, c)
		if unchecked, ok := errors.AsType[*UncheckedError](err); ok != (tt.want == 2) || ok && !errors.Is(unchecked, tt.cause) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if r.ExitCode != tt.want || r.Results[0].Summary.Lost > 0 {
			t.Errorf("%s: status %d, %+v", tt.name, r.ExitCode, r.Results[0].Summary)
		}
	}
}

func TestRunDeadline(t *testing.T) {
	c := overLoopback(ping.ProtoUDP, 0)
	c.Targets[0].Count, c.Targets[0].Interval, c.Targets[0].Deadline = 1000, time.Second, 50*ms
	r, _, err := run(t.Context(), c)
	if err != nil || r.Verdict != stats.Unhealthy || r.Results[0].Cause.String() != "1 of 1000 replies by the deadline" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestRunSweep(t *testing.T) {
	c := overLoopback(ping.ProtoUDP, silentPort(t))
	c.Targets[0].Sizes, c.Targets[0].Timeout, c.Targets[0].Count = []int{100, 200}, 40*ms, 2
	r, _, err := run(t.Context(), c)
	if err != nil || r.Results[0].Target.Size != 200 || r.Results[0].Cause.String() != "size 100 fails first (no answer)" {
		t.Errorf("%+v, %v", r, err)
	}
	if cause := r.Results[0].Reason.Cause.String(); !strings.HasPrefix(cause, "size 100 fails first (no answer)") {
		t.Errorf("reason %q", cause)
	}
}

// TestWriteError: the first failed write ends the run, and is its error.
func TestWriteError(t *testing.T) {
	for n := 1; n <= 5; n++ {
		c := overLoopback(ping.ProtoUDP, 0)
		c.Renderer = &played{fails: n}
		c.Targets[0].Count = 0
		if _, _, err := run(t.Context(), c); !errors.Is(err, errPlayed) {
			t.Errorf("call %d fails: %v", n, err)
		}
	}
}

func TestUnchecked(t *testing.T) {
	c := overLoopback(ping.ProtoUDP, 0)
	c.Targets[0].TTL = 300
	r, _, err := run(t.Context(), c)
	unchecked, ok := errors.AsType[*UncheckedError](err)
	if !ok || !r.Unchecked || r.ExitCode != 2 || r.Verdict != stats.Unhealthy || unchecked.Error() != r.Results[0].Cause.String() {
		t.Errorf("%+v, %v", r, err)
	}
	if r, _, err = run(t.Context(), Config{Exit: stats.SchemeNagios}); !errors.Is(err, ErrNoTarget) || !r.Unchecked || r.ExitCode != 3 {
		t.Errorf("no target: %+v, %v", r, err)
	}
}

// TestAddressMissing: an address that is not there is what lping checks, and not a reason why it could not.
func TestAddressMissing(t *testing.T) {
	c := overLoopback(ping.ProtoUDP, 0)
	c.Targets[0].Name, c.Targets[0].Address = "192.0.2.1", netip.AddrFrom4([4]byte{192, 0, 2, 1}) // RFC 5737
	r, _, err := run(t.Context(), c)
	if err != nil || r.Verdict != stats.Unhealthy || r.ExitCode != 1 || r.Results[0].Target.Method != "" {
		t.Fatalf("%+v, %v", r, err)
	}
	if got := codes(r.Results[0].Findings); runtime.GOOS == "linux" && !slices.Contains(got, "addr_missing") {
		t.Errorf("found %q", got)
	}
}

func TestStatus(t *testing.T) {
	k := New(overLoopback(ping.ProtoUDP, 0))
	var b bytes.Buffer
	k.Status(&b)
	k.Start()
	if _, err := k.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.Status(&b)
	if got := b.String(); !strings.HasPrefix(got, "\r0/0 packets, 0% loss\n\r3/3 packets, 0% loss, min/avg/ewma/max = ") {
		t.Errorf("%q", got)
	}
}

func TestFirstFix(t *testing.T) {
	warning, failure := diagnose.Finding{Severity: diagnose.Warning, Fix: "a"}, diagnose.Finding{Severity: diagnose.Error, Fix: "b"}
	noFix := diagnose.Finding{Severity: diagnose.Error}
	if got := firstFix([]diagnose.Finding{warning, noFix, failure}); got != "b" {
		t.Errorf("got %q", got)
	}
	if got := firstFix([]diagnose.Finding{warning}); got != "" {
		t.Errorf("got %q", got)
	}
}

// BenchmarkFlood is one probe of a whole check an iteration: engine, statistics and events. The profile of the release is
// made of it: go test -trimpath -run '^$' -bench Flood -benchtime 1000000x -cpuprofile .ci/default.pgo ./ping/check
func BenchmarkFlood(b *testing.B) {
	for _, quick := range []bool{false, true} {
		b.Run(map[bool]string{false: "stamps", true: "quick"}[quick], func(b *testing.B) {
			c := overLoopback(ping.ProtoAuto, 0)
			c.Targets[0].Flood, c.Targets[0].UserTime, c.Targets[0].Count, c.Quiet = true, quick, uint64(b.N), true
			b.ReportAllocs()
			r, _, err := run(b.Context(), c)
			if err != nil || r.Results[0].Summary.Received != uint64(b.N) {
				b.Fatal(err, r.Results)
			}
		})
	}
}

// TestNamed: only the name localhost is what others may have another address for.
func TestNamed(t *testing.T) {
	for name, want := range map[string]bool{"localhost": true, "LOCALHOST.": true, "a.localhost": false, "127.0.0.1": false, "::1": false} {
		if got := (&job{target: report.Target{Name: name}}).named(); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
