package stats

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// noon is when the first probe of these tests leaves.
var noon = time.Unix(1700000000, 0)

// fate is what became of a probe: at is when it left or, if it was answered, when that was.
type fate struct {
	outcome outcome
	at      time.Duration
}

// outagesOf lists the outages in the fates of probes 1, 2, ..., the last of which may last.
func outagesOf(fates []fate) (list []Outage) {
	lasts := false
	for _, f := range fates {
		at := noon.Add(f.at)
		switch {
		case f.outcome == missed && !lasts:
			list, lasts = append(list, Outage{Since: at, Lost: 1}), true
		case f.outcome == missed:
			list[len(list)-1].Lost++
		case f.outcome == answered && lasts:
			o := &list[len(list)-1]
			o.Until, o.Length, lasts = at, at.Sub(o.Since), false
		}
	}
	return list
}

// mostLost is how many probes that count as loss one of them has.
func mostLost(list []Outage) (most uint64) {
	for _, o := range list {
		most = max(most, o.Lost)
	}
	return most
}

func TestOutagesAgainstBruteForce(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 5))
	for round := range 200 {
		var begun, over []Outage
		s := newOutages(func(o Outage) {
			if o.Lasts() {
				begun = append(begun, o)
			} else {
				over = append(over, o)
			}
		})
		var fates []fate
		var open []int
		var now, decided time.Duration
		spread := 1 + random.IntN(1+4*round) // how many may be undecided
		for range 400 {
			if len(fates) > 0 {
				now += time.Duration(random.IntN(1000))
			}
			if len(open) < spread && random.IntN(3) > 0 {
				s.add(noon.Add(now))
				fates = append(fates, fate{undecided, now})
				open = append(open, len(fates))
			} else if len(open) > 0 {
				i := random.IntN(len(open))
				seq, f := open[i], fate{answered, now}
				if random.IntN(3) > 0 {
					f = fate{missed, fates[open[i]-1].at}
				}
				if !s.decide(uint64(seq), f.outcome, noon.Add(now)) || s.decide(uint64(seq), answered, noon) {
					t.Fatalf("probe %d was not decided once", seq)
				}
				s.advance()
				fates[seq-1], decided = f, now
				open[i] = open[len(open)-1]
				open = open[:len(open)-1]
			}
			checkOutages(t, s.soFar(noon.Add(decided)), outagesOf(fates), decided)
		}
		s.end()
		want := outagesOf(fates)
		if len(begun) != len(want) {
			t.Fatalf("%d outages were told of, want %d", len(begun), len(want))
		}
		if want = slices.DeleteFunc(want, Outage.Lasts); !slices.Equal(over, want) {
			t.Fatalf("told that these are over:\n%v\nwant\n%v", over, want)
		}
	}
}

// checkOutages holds a state against the list of all outages, when the latest decision was so long after the start.
func checkOutages(t *testing.T, got outages, want []Outage, decided time.Duration) {
	t.Helper()
	var latest, longest Outage
	if n := len(want); n > 0 {
		if o := &want[n-1]; o.Lasts() {
			o.Length = max(noon.Add(decided).Sub(o.Since), 0)
		}
		latest = want[n-1]
		longest = slices.MaxFunc(want, func(a, b Outage) int { return int(a.Length - b.Length) })
	}
	if got.count != uint64(len(want)) || got.latest != latest || got.longest != longest || got.most != mostLost(want) {
		t.Fatalf("%d outages, latest %v, longest %v, %d lost\nwant %v", got.count, got.latest, got.longest, got.most, want)
	}
}

func TestOutagesAcrossTheWholeWindow(t *testing.T) {
	s := newOutages(nil)
	for range maxWindow {
		s.add(noon)
	}
	for seq := uint64(maxWindow); seq > 0; seq-- {
		if !s.decide(seq, missed, noon) {
			t.Fatalf("probe %d of %d is not in the window", seq, maxWindow)
		}
	}
	s.advance()
	if s.latest.Lost != maxWindow || s.count != 1 || len(s.outcomes) != maxWindow || len(s.times) != maxWindow {
		t.Errorf("%d outages, the latest of %d probes, in a ring of %d, want 1 of %d", s.count, s.latest.Lost, len(s.outcomes), maxWindow)
	}
}

func TestOutagesForgetBeyondTheWindow(t *testing.T) {
	s := newOutages(nil)
	for range maxWindow {
		s.add(noon)
	}
	for seq := uint64(2); seq < 10; seq++ {
		s.decide(seq, missed, noon)
	}
	s.add(noon)
	if s.first != 10 || s.latest.Lost != 8 || len(s.outcomes) != maxWindow {
		t.Errorf("oldest is %d, outage of %d, ring %d; want 10, 8, %d", s.first, s.latest.Lost, len(s.outcomes), maxWindow)
	}
	if s.decide(1, missed, noon) {
		t.Error("a probe beyond the window was decided")
	}
}

func TestOutagesRefuseOtherNumbers(t *testing.T) {
	s := newOutages(nil)
	s.add(noon)
	for _, seq := range []uint64{0, 2, 65, 1 << 63} {
		if s.decide(seq, missed, noon) {
			t.Errorf("probe %d was decided, only 1 was sent", seq)
		}
	}
}
