package check

import (
	"math/rand/v2"
	"testing"
	"time"

	"lping/platform"
)

// lostAtInput is how far one probe moves the counters that is dropped at INPUT, in a burst of so many.
func lostAtInput(probes uint64) platform.Counters {
	return platform.Counters{OutEchos: probes, OutRequests: probes, OutTransmits: probes, LinkSent: probes, InReceives: probes}
}

// add adds what others send: echoes over lo, pings from outside, and datagrams to a closed port.
func add(c platform.Counters, echoes, pings, refused uint64) platform.Counters {
	c.OutEchos += echoes
	c.InEchos += echoes + pings
	c.OutEchoReps += echoes + pings
	c.InEchoReps += echoes
	c.NoPorts += refused
	c.OutDestUnreachs += refused
	c.InDestUnreachs += refused
	sent := 2*echoes + 2*refused
	c.OutRequests += sent + pings
	c.OutTransmits += sent + pings
	c.OthersSent += pings
	c.LinkSent += sent
	c.InReceives += sent + pings
	c.InDelivers += sent + pings
	return c
}

// windows makes so many pairs, beside others whose number differs from window to window.
func windows(pairs, probes int, noise func(c platform.Counters) platform.Counters) (with, without []window) {
	for range pairs {
		with = append(with, window{noise(lostAtInput(uint64(probes))), time.Millisecond, probes})
		without = append(without, window{noise(platform.Counters{}), time.Millisecond, 0})
	}
	return with, without
}

func TestPerProbe(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	upTo := func(n int) uint64 { return uint64(random.IntN(n + 1)) }
	for _, tt := range []struct {
		name  string
		noise func(c platform.Counters) platform.Counters
		ok    bool
	}{
		{"still", func(c platform.Counters) platform.Counters { return c }, true},
		{"echoes", func(c platform.Counters) platform.Counters { return add(c, upTo(200), 0, 0) }, true},
		{"refused", func(c platform.Counters) platform.Counters { return add(c, 0, 0, upTo(50)) }, true},
		{"few pings from outside", func(c platform.Counters) platform.Counters { return add(c, upTo(200), upTo(1), upTo(50)) }, true},
		{"many pings from outside", func(c platform.Counters) platform.Counters { return add(c, 0, upTo(500), 0) }, false},
		{"others are lost, too", func(c platform.Counters) platform.Counters {
			c.OutEchos += upTo(300)
			return c
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			with, without := windows(maxWindows, 16, tt.noise)
			got, ok := perProbe(with, without, true, false)
			if ok != tt.ok {
				t.Fatalf("told: %v, want %v", ok, tt.ok)
			}
			got.InDestUnreachs, got.OthersSent = 0, 0 // which nobody can tell
			if want := lostAtInput(1); ok && got != want {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
		})
	}
}

// TestPerProbeFew holds that one window with a probe tells only if all is still without, or three do if they agree.
func TestPerProbeFew(t *testing.T) {
	still := func(c platform.Counters) platform.Counters { return c }
	for moved, want := range map[int]bool{0: true, 2: true, 3: false, 6: false} {
		with, without := windows(minWindows, 1, still)
		for i := range moved {
			without[i].OutEchos = 1
		}
		got, ok := perProbe(with[:1], without, true, false)
		if ok != want || ok && got != lostAtInput(1) {
			t.Errorf("%d windows moved: told: %v, want %v; got %+v", moved, ok, want, got)
		}
	}
}

// TestPerProbeRefused holds that of a send that failed only what IP discarded and what ICMP sent is asked.
func TestPerProbeRefused(t *testing.T) {
	with, without := windows(minWindows, 4, func(c platform.Counters) platform.Counters { return add(c, uint64(rand.IntN(100)), 0, 0) })
	for i := range with {
		with[i].OutDiscards, with[i].OutEchos = 4, with[i].OutEchos+uint64(rand.IntN(100))
	}
	if got, ok := perProbe(with, without, true, true); !ok || got.OutDiscards != 1 || got.OutEchos != 1 || got.OutDestUnreachs != 0 {
		t.Errorf("told: %v, got %+v, want one discard of one echo", ok, got)
	}
}
