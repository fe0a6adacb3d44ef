package check

import (
	"net/netip"
	"reflect"
	"syscall"
	"testing"
	"time"

	"lping/ping"
	"lping/ping/report"
	"lping/platform/diagnose"
	"lping/stats"
)

func TestTally(t *testing.T) {
	var got tally
	refused := func(e syscall.Errno) ping.Event {
		return ping.Event{Kind: ping.SendError, Fault: ping.Fault{Errno: e}}
	}
	rejected := ping.Event{Kind: ping.SendError, Fault: ping.Fault{Errno: syscall.ECONNREFUSED, ICMP: true, Type: 3, Code: 3}}
	for _, e := range []ping.Event{
		refused(syscall.EPERM), rejected, refused(syscall.EPERM), refused(syscall.ENOBUFS), rejected,
		{Kind: ping.ClockStep, Step: -1500 * time.Microsecond}, {Kind: ping.ClockStep, Step: 3 * time.Second},
		{Kind: ping.Timeout}, {Kind: ping.Reply},
	} {
		got.event(&e)
	}
	e := got.evidence(report.Target{Method: "icmp-raw", Config: ping.Config{Transport: ping.Transport{Address: netip.IPv6Loopback()}}}, stats.Summary{Sent: 9, Lost: 2})
	want := diagnose.Evidence{
		Family: 6, Target: netip.IPv6Loopback(), Method: "icmp-raw", Sent: 9, Lost: 2, ClockStep: 2998.5, Timeout: 400,
		Refused: []diagnose.Refusal{{Errno: "EPERM", Count: 2}, {Errno: "ENOBUFS", Count: 1}},
		Reports: []diagnose.Report{{Type: 3, Code: 3, Count: 2}},
	}
	if !reflect.DeepEqual(e, want) {
		t.Errorf("got  %+v\nwant %+v", e, want)
	}
}

// TestTallyBound: whatever comes, the memory is bounded.
func TestTallyBound(t *testing.T) {
	var got tally
	for i := range 1000 {
		got.event(&ping.Event{Kind: ping.SendError, Fault: ping.Fault{Errno: syscall.Errno(i + 1)}})
		got.event(&ping.Event{Kind: ping.SendError, Fault: ping.Fault{Errno: 1, ICMP: true, Type: uint8(i), Code: uint8(i / 256)}})
	}
	if len(got.refused) != maxKinds || len(got.reports) != maxKinds {
		t.Errorf("%d errnos and %d ICMP errors are kept apart, want %d", len(got.refused), len(got.reports), maxKinds)
	}
}

func TestLag(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name string
		c    ping.Config
		at   []time.Duration
		want float64
	}{
		{"nothing sent", ping.Config{}, nil, 0},
		{"one", ping.Config{}, []time.Duration{time.Hour}, 0},
		{"in time", ping.Config{Interval: 10 * ms}, []time.Duration{0, 10 * ms, 20 * ms}, 0},
		{"early", ping.Config{Interval: 10 * ms}, []time.Duration{0, 9 * ms, 18 * ms}, 0},
		{"once", ping.Config{Interval: 10 * ms}, []time.Duration{0, 10 * ms, 65 * ms, 70 * ms}, 45},
		{"often a little", ping.Config{Interval: ms}, []time.Duration{0, 2 * ms, 4 * ms, 6 * ms, 8 * ms}, 1},
		{"default interval", ping.Config{}, []time.Duration{0, 80500 * time.Microsecond}, 30.5},
		{"flood", ping.Config{Flood: true}, []time.Duration{0, time.Hour}, 0},
		{"adaptive", ping.Config{Adaptive: true}, []time.Duration{0, time.Hour}, 0},
		{"preload", ping.Config{Preload: 3}, []time.Duration{0, time.Hour}, 0},
	} {
		var tally tally
		start := time.Now()
		for _, at := range tt.at {
			tally.event(&ping.Event{Kind: ping.Sent, Time: start.Add(at)})
		}
		if got := tally.lag(tt.c); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
