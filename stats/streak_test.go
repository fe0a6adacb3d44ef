package stats

import (
	"math/rand/v2"
	"testing"
)

// longestRun is the longest run of misses in the outcomes of probes 1, 2, ...
func longestRun(outcomes []outcome) uint64 {
	var run, most uint64
	for _, o := range outcomes {
		if run++; o != missed {
			run = 0
		}
		most = max(most, run)
	}
	return most
}

func TestStreakAgainstBruteForce(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 5))
	for round := range 200 {
		s := newStreak()
		var outcomes []outcome
		var open []uint64
		spread := 1 + random.IntN(1+4*round) // how many may be undecided
		for range 400 {
			if len(open) < spread && random.IntN(3) > 0 {
				s.add()
				outcomes = append(outcomes, undecided)
				open = append(open, uint64(len(outcomes)))
			} else if len(open) > 0 {
				i, o := random.IntN(len(open)), answered
				if random.IntN(3) > 0 {
					o = missed
				}
				if !s.decide(open[i], o) || s.decide(open[i], answered) {
					t.Fatalf("probe %d was not decided once", open[i])
				}
				outcomes[open[i]-1] = o
				open[i] = open[len(open)-1]
				open = open[:len(open)-1]
			}
			if got, want := s.soFar(), longestRun(outcomes); got != want {
				t.Fatalf("longest run is %d, want %d in %v", got, want, outcomes)
			}
		}
	}
}

func TestStreakAcrossTheWholeWindow(t *testing.T) {
	s := newStreak()
	for range maxWindow {
		s.add()
	}
	for seq := uint64(maxWindow); seq > 0; seq-- {
		if !s.decide(seq, missed) {
			t.Fatalf("probe %d of %d is not in the window", seq, maxWindow)
		}
	}
	if s.longest != maxWindow || len(s.ring) != maxWindow {
		t.Errorf("longest run is %d in a ring of %d, want %d in as many", s.longest, len(s.ring), maxWindow)
	}
}

func TestStreakForgetsBeyondTheWindow(t *testing.T) {
	s := newStreak()
	for range maxWindow {
		s.add()
	}
	for seq := uint64(2); seq < 10; seq++ {
		s.decide(seq, missed)
	}
	s.add()
	if s.first != 10 || s.longest != 8 || len(s.ring) != maxWindow {
		t.Errorf("oldest is %d, longest run %d, ring %d; want 10, 8, %d", s.first, s.longest, len(s.ring), maxWindow)
	}
	if s.decide(1, missed) {
		t.Error("a probe beyond the window was decided")
	}
}

func TestStreakRefusesOtherNumbers(t *testing.T) {
	s := newStreak()
	s.add()
	for _, seq := range []uint64{0, 2, 65, 1 << 63} {
		if s.decide(seq, missed) {
			t.Errorf("probe %d was decided, only 1 was sent", seq)
		}
	}
}
