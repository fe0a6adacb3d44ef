package ping

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestNewWindow(t *testing.T) {
	for _, tt := range []struct {
		count uint64
		want  int
	}{
		{0, 65536}, {1, 8}, {8, 8}, {9, 16}, {1000, 1024}, {65535, 65536}, {65536, 65536}, {65537, 65536}, {1 << 63, 65536},
	} {
		w := newWindow(tt.count)
		if len(w.sent) != tt.want || len(w.state) != tt.want {
			t.Errorf("count %d: room for %d, want %d", tt.count, len(w.sent), tt.want)
		}
		if _, ok := w.first(); ok || w.full() || w.next != 1 {
			t.Errorf("count %d: a new window is not empty: %+v", tt.count, *w)
		}
	}
}

func TestWindowFind(t *testing.T) {
	const million = 1 << 20
	for _, tt := range []struct {
		name  string
		count uint64 // what the window is made for
		sent  uint64
		wire  uint16
		want  uint64 // 0: none
	}{
		{"nothing sent", 0, 0, 0, 0},
		{"nothing sent, one asked for", 0, 0, 1, 0},
		{"first", 0, 5, 1, 1},
		{"last", 0, 5, 5, 5},
		{"not sent yet", 0, 5, 6, 0},
		{"there is no probe 0", 0, 5, 0, 0},
		{"0 after the wrap", 0, 65536, 0, 65536},
		{"before the wrap", 0, 65540, 65535, 65535},
		{"after the wrap", 0, 65540, 3, 65539},
		{"one turn behind", 0, 65540, 5, 5},
		{"far", 0, million + 7, 7, million + 7},
		{"far, before the last wrap", 0, million + 7, 8, million - 65536 + 8},
		{"beyond a small window", 8, 20, 12, 0},
		{"the oldest of a small window", 8, 20, 13, 13},
	} {
		w := newWindow(tt.count)
		w.next = tt.sent + 1
		got, ok := w.find(tt.wire)
		if ok != (tt.want != 0) || got != tt.want {
			t.Errorf("%s: got %d, %v; want %d", tt.name, got, ok, tt.want)
		}
	}
}

// TestWindowAgainstMap plays random sends and outcomes and holds the window against a plain map.
func TestWindowAgainstMap(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 20 {
		w := newWindow(uint64(1 + r.IntN(64)))
		open := map[uint64]time.Duration{}
		for now := time.Duration(1); now < 5000; now++ {
			stepWindow(t, r, w, open, now)
			checkWindow(t, w, open)
			if t.Failed() {
				t.Fatalf("seed %d, step %d", seed, now)
			}
		}
	}
}

// stepWindow sends a probe or settles one.
func stepWindow(t *testing.T, r *rand.Rand, w *window, open map[uint64]time.Duration, now time.Duration) {
	_, taken := open[w.next-min(w.next, uint64(len(w.sent)))]
	if w.full() != taken {
		t.Errorf("full is %v with %d open before probe %d", w.full(), len(open), w.next)
	}
	if !taken && r.IntN(2) == 0 {
		seq := w.add()
		w.noteSent(seq, now, int64(now)+7)
		open[seq] = now
		return
	}
	for seq := range open {
		w.settle(seq, pick(r, answered, lost, failed))
		w.settle(seq, answered) // a second outcome does not count again
		delete(open, seq)
		return
	}
}

func checkWindow(t *testing.T, w *window, open map[uint64]time.Duration) {
	if w.inFlight != len(open) {
		t.Errorf("%d in flight, want %d", w.inFlight, len(open))
	}
	oldest := w.next
	for seq, at := range open {
		oldest = min(oldest, seq)
		if w.stateOf(seq) != inFlight || w.sentAt(seq) != at || w.wallOf(seq) != int64(at)+7 {
			t.Errorf("probe %d: state %d, left at %v, %d; want %v", seq, w.stateOf(seq), w.sentAt(seq), w.wallOf(seq), at)
		}
		if found, ok := w.find(uint16(seq)); !ok || found != seq {
			t.Errorf("probe %d: found %d, %v", seq, found, ok)
		}
	}
	if seq, ok := w.first(); ok != (len(open) > 0) || ok && seq != oldest {
		t.Errorf("first is %d, %v; want %d of %d", seq, ok, oldest, len(open))
	}
}
