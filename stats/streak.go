package stats

// maxWindow is how many probes may lie between the oldest undecided one and the newest, both counted.
const maxWindow = 1 << 16

// outcome is what a probe means for a run of losses.
type outcome uint8

const (
	undecided outcome = iota
	answered
	missed
)

// streak finds the longest run of losses, whatever the order in which probes are decided. Probes below first are done
// with; those from first to next-1 stand in a ring, which grows to maxWindow at most.
type streak struct {
	ring         []outcome
	first, next  uint64
	run, longest uint64
}

// newStreak has room for a short run.
func newStreak() streak { return streak{ring: make([]outcome, 64), first: 1, next: 1} }

func (s *streak) slot(seq uint64) *outcome { return &s.ring[seq&uint64(len(s.ring)-1)] }

// add enters the next probe.
func (s *streak) add() {
	if s.next-s.first == uint64(len(s.ring)) {
		s.makeRoom()
	}
	*s.slot(s.next) = undecided
	s.next++
}

// makeRoom doubles the ring, or gives up on the oldest probe if it may grow no more.
func (s *streak) makeRoom() {
	if len(s.ring) == maxWindow {
		s.pass()
		s.advance()
		return
	}
	grown := *s
	grown.ring = make([]outcome, 2*len(s.ring))
	for seq := s.first; seq < s.next; seq++ {
		*grown.slot(seq) = *s.slot(seq)
	}
	*s = grown
}

// decide notes an outcome. It reports whether the probe was undecided, and changes nothing if it was not.
func (s *streak) decide(seq uint64, o outcome) bool {
	if seq < s.first || seq >= s.next || *s.slot(seq) != undecided {
		return false
	}
	*s.slot(seq) = o
	s.advance()
	return true
}

// advance passes what is decided at the low end.
func (s *streak) advance() {
	for s.first < s.next && *s.slot(s.first) != undecided {
		s.pass()
	}
}

// pass is done with the lowest probe.
func (s *streak) pass() {
	s.run++
	if *s.slot(s.first) != missed {
		s.run = 0
	}
	s.longest = max(s.longest, s.run)
	s.first++
}

// soFar is the longest run, with what is decided beyond the oldest probe in flight. It works on a copy.
func (s streak) soFar() uint64 {
	for s.first < s.next {
		s.pass()
	}
	return s.longest
}
