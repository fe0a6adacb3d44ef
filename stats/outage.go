package stats

import "time"

// maxWindow is how many probes may lie between the oldest undecided one and the newest, both counted.
const maxWindow = 1 << 16

// Outage is a time without an answer. It begins when the first probe left that counts as loss, and ends with the answer to the
// next probe that has one, in the order in which the probes left, not in that in which they were decided.
type Outage struct {
	// Since is when it began, Until when it was over. Until is zero while it lasts; both are if there was none.
	Since, Until time.Time
	// Length is how long it took; of one that lasts, until the latest decision about a probe.
	Length time.Duration
	// Lost is how many of its probes count as loss.
	Lost uint64
}

// Lasts says that no answer has come yet.
func (o Outage) Lasts() bool { return o.Lost > 0 && o.Until.IsZero() }

// outcome is what a probe means for an outage.
type outcome uint8

const (
	undecided outcome = iota
	answered
	missed
)

// outages finds the outages of a run, whatever the order in which probes are decided. Probes below first are done with; those from
// first to next-1 stand in a ring, which grows to maxWindow at most. A probe that is given up undecided, as those in flight at
// the end are, neither ends an outage nor counts in it.
type outages struct {
	outcomes []outcome
	// times are since start: when an answered probe was answered, and when any other one left.
	times       []time.Duration
	start       time.Time
	first, next uint64

	count           uint64
	latest, longest Outage
	most            uint64 // probes of one outage that count as loss
	// told is called when an outage begins and when it is over.
	told func(Outage)
}

// newOutages has room for a short run.
func newOutages(told func(Outage)) outages {
	return outages{outcomes: make([]outcome, 64), times: make([]time.Duration, 64), first: 1, next: 1, told: told}
}

func (s *outages) slot(seq uint64) uint64 { return seq & uint64(len(s.outcomes)-1) }

// add enters the next probe.
func (s *outages) add(at time.Time) {
	if s.next == 1 {
		s.start = at
	}
	if s.next-s.first == uint64(len(s.outcomes)) {
		s.makeRoom()
	}
	i := s.slot(s.next)
	s.outcomes[i], s.times[i] = undecided, at.Sub(s.start)
	s.next++
}

// makeRoom doubles the ring, or gives up on the oldest probe if it may grow no more.
func (s *outages) makeRoom() {
	if len(s.outcomes) == maxWindow {
		s.pass()
		s.advance()
		return
	}
	grown := *s
	grown.outcomes, grown.times = make([]outcome, 2*len(s.outcomes)), make([]time.Duration, 2*len(s.times))
	for seq := s.first; seq < s.next; seq++ {
		grown.outcomes[grown.slot(seq)], grown.times[grown.slot(seq)] = s.outcomes[s.slot(seq)], s.times[s.slot(seq)]
	}
	*s = grown
}

// decide notes an outcome, which advance takes in. It reports whether the probe was undecided, and changes nothing if it was not.
func (s *outages) decide(seq uint64, o outcome, at time.Time) bool {
	i := s.slot(seq)
	if seq < s.first || seq >= s.next || s.outcomes[i] != undecided {
		return false
	}
	s.outcomes[i] = o
	if o == answered {
		s.times[i] = at.Sub(s.start)
	}
	return true
}

// advance passes what is decided at the low end.
func (s *outages) advance() {
	for s.first < s.next && s.outcomes[s.slot(s.first)] != undecided {
		s.pass()
	}
}

// pass is done with the lowest probe.
func (s *outages) pass() {
	i := s.slot(s.first)
	s.first++
	switch {
	case s.outcomes[i] == missed && s.latest.Lasts():
		s.latest.Lost++
	case s.outcomes[i] == missed:
		s.count++
		s.latest = Outage{Since: s.start.Add(s.times[i]), Lost: 1}
		s.tell()
	case s.outcomes[i] == answered && s.latest.Lasts():
		s.latest.Until = s.start.Add(s.times[i])
		s.latest.Length = s.latest.Until.Sub(s.latest.Since)
		s.settle()
		s.tell()
	}
}

func (s *outages) tell() {
	if s.told != nil {
		s.told(s.latest)
	}
}

// settle compares the latest outage with those before.
func (s *outages) settle() {
	s.most = max(s.most, s.latest.Lost)
	if s.latest.Length > s.longest.Length || s.longest.Lost == 0 {
		s.longest = s.latest
	}
}

// end gives up on all that is undecided.
func (s *outages) end() {
	for s.first < s.next {
		s.pass()
	}
}

// soFar is the state as it would be if the run ended now, with its latest decision at this time. It works on a copy.
func (s outages) soFar(decided time.Time) outages {
	s.told = nil
	s.end()
	if s.latest.Lasts() {
		s.latest.Length = max(decided.Sub(s.latest.Since), 0)
		s.settle()
	}
	return s
}
