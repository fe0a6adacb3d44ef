package ping

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// firstSeed repeats the schedule of a failure: go test ./ping -run TestAccounting -seed N.
var firstSeed = flag.Uint64("seed", 0, "the one schedule for TestAccounting; 0 draws some")

// TestAccounting plays random schedules of replies, losses, delays around the timeout, duplicates, forgeries, errnos,
// ICMP errors, read errors and interrupts, and holds the events of every probe against what its schedule leads to.
func TestAccounting(t *testing.T) {
	seed, rounds := *firstSeed, uint64(1)
	if seed == 0 {
		seed, rounds = rand.Uint64()>>1, 500
	}
	for n := seed; n < seed+rounds && !t.Failed(); n++ {
		synctest.Test(t, func(t *testing.T) { testSchedule(t, n) })
	}
}

func testSchedule(t *testing.T, seed uint64) {
	s := newSchedule(seed)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if s.interrupt > 0 {
		time.AfterFunc(s.interrupt, cancel)
	}
	s.start = time.Now()
	p := play(ctx, s.config, s.send)
	s.check(t, p)
	if t.Failed() {
		t.Logf("-seed %d: %+v, interrupt after %v\n%v", seed, s.config, s.interrupt, p)
	}
}

// effect is what an arrival means for the probe that it is about.
type effect uint8

const (
	right    effect = iota // the right answer
	wrong                  // an answer with other data
	stray                  // an answer to nobody
	reported               // an ICMP error about the probe
	ignored                // no answer, or an ICMP error about nothing of ours
	refused                // the errno of the send
)

// cause is one arrival.
type cause struct {
	at     time.Duration
	effect effect
}

// fate is all that happens to one probe.
type fate struct {
	left     time.Duration
	attempts int
	causes   []cause
}

// schedule is what a seed leads to.
type schedule struct {
	random    *rand.Rand
	config    Config
	interrupt time.Duration // 0: none
	// instant says that replies may come without delay: only where a count ends the run, since fake time stands still.
	instant bool
	// readErrors is how many more there may be without ending the run.
	readErrors int

	start time.Time
	fates map[uint64]*fate
}

func newSchedule(seed uint64) *schedule {
	r := rand.New(rand.NewPCG(seed, 0))
	s := &schedule{random: r, readErrors: maxReadErrors / 2, fates: map[uint64]*fate{}}
	s.config = Config{Transport: Transport{Address: pick(r, loopback4, loopback6),
		Timeout: time.Duration(1+r.IntN(50)) * ms, Size: pick(r, 0, 1, 2, 3, 7, 8, 9, 56, 200)}, Count: uint64(1 + r.IntN(60)), Interval: time.Duration(1+r.IntN(20)) * ms, Flood: r.IntN(3) == 0, Adaptive: r.IntN(3) == 0, Preload: pick(r, 0, 1, 2, 5, 20)}
	if r.IntN(3) == 0 {
		s.config.Deadline = time.Duration(1+r.IntN(200)) * ms
	}
	if r.IntN(3) == 0 {
		s.interrupt = s.between(1, 200*ms)
	}
	s.instant = s.config.Deadline == 0
	if (s.interrupt > 0 || s.config.Deadline > 0) && r.IntN(2) == 0 {
		s.config.Count, s.instant = 0, false
	}
	return s
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// between is low or more and less than high, to the nanosecond, so that two things hardly ever coincide.
func (s *schedule) between(low, high time.Duration) time.Duration {
	return low + time.Duration(s.random.Int64N(int64(high-low)))
}

// send is the script.
func (s *schedule) send(f *fakeConn, a attempt) error {
	now, seq := time.Since(s.start), uint64(a.seq)
	p := s.fates[seq]
	if p == nil {
		p = &fate{}
		s.fates[seq] = p
	}
	p.left = now
	p.attempts++
	p.causes = slices.DeleteFunc(p.causes, func(c cause) bool { return c.effect == refused }) // sent again
	for range pick(s.random, 0, 1, 1, 1, 1, 1, 1, 2, 2, 3) {
		delay := s.delay()
		for delay > 0 && slices.ContainsFunc(p.causes, func(c cause) bool { return c.at == now+delay }) {
			delay = s.delay() // which of two at one moment comes first is anyone's guess
		}
		arrival, effect := s.arrival(f, a)
		f.deliver(delay, arrival)
		p.causes = append(p.causes, cause{now + delay, effect})
	}
	if s.readErrors > 0 && s.random.IntN(10) == 0 {
		s.readErrors--
		f.deliver(s.delay(), arrival{err: syscall.ECONNREFUSED})
	}
	if s.random.IntN(8) > 0 {
		return nil
	}
	p.causes = append(p.causes, cause{now, refused})
	return pick(s.random, syscall.EPERM, syscall.EPERM, syscall.ENOBUFS, syscall.ECONNREFUSED, syscall.ENETUNREACH)
}

// delay is a time from send to arrival: often none or about the timeout.
func (s *schedule) delay() time.Duration {
	timeout := s.config.Timeout
	switch s.random.IntN(8) {
	case 0:
		return timeout - 1
	case 1:
		return timeout + 1
	case 2:
		return s.between(timeout+1, 3*timeout)
	case 3, 4:
		if s.instant {
			return 0
		}
	}
	return s.between(100*time.Microsecond, timeout)
}

// arrival is one thing that a send can bring, and its effect.
func (s *schedule) arrival(f *fakeConn, a attempt) (arrival, effect) {
	if s.random.IntN(2) == 0 {
		return f.answer(a, asIs), right
	}
	size := s.config.Size
	elsewhere := f.answer(a, asIs)
	elsewhere.packet.From = netip.MustParseAddr("127.0.0.9")
	choices := []func() (arrival, effect){
		func() (arrival, effect) { return f.answer(a, longer(1+s.random.IntN(2*extraRoom))), wrong },
		func() (arrival, effect) { return f.answer(a, otherIdent), stray },
		func() (arrival, effect) { return f.answer(a, otherSeq(30000)), stray },
		func() (arrival, effect) { return elsewhere, stray },
		func() (arrival, effect) { return f.answer(a, otherType(byte(9+s.random.IntN(100)))), ignored },
		func() (arrival, effect) { return f.answer(a, otherType(a.msg[0])), ignored },
		func() (arrival, effect) {
			return f.answer(a, func(b []byte) []byte { return b[:s.random.IntN(headerLen)] }), ignored
		},
		func() (arrival, effect) { return f.report(a, asIs), reported },
		func() (arrival, effect) { return f.report(a, cutTo(min(size, nonceLen))), reported },
		func() (arrival, effect) { return f.report(a, otherIdent), ignored },
		func() (arrival, effect) { return f.report(a, otherSeq(30000)), ignored },
	}
	if size >= 2 { // of one byte, a wrong one is all of the nonce
		choices = append(choices,
			func() (arrival, effect) { return f.answer(a, flipped(s.random.IntN(size))), wrong },
			func() (arrival, effect) { return f.answer(a, cutTo(s.random.IntN(size))), wrong })
	}
	if size >= nonceLen { // shorter nonces may be alike by chance
		choices = append(choices,
			func() (arrival, effect) { return f.answer(a, otherSeq(pick(s.random, -1, 1))), stray },
			func() (arrival, effect) { return f.report(a, flipped(0)), ignored })
	}
	return pick(s.random, choices...)()
}

// outcome is what the causes of one probe lead to until the end of the run: its events, and strays told. What arrives
// at the very end may be read or not. What a deadline leaves open is lost.
func (p *fate) outcome(timeout, end time.Duration, readAtEnd, deadline bool) (kinds []Kind, strays int) {
	slices.SortStableFunc(p.causes, func(a, b cause) int { return cmp.Compare(a.at, b.at) })
	kinds = []Kind{Sent}
	state := Sent
	settle := func(k Kind) {
		state = k
		kinds = append(kinds, k)
	}
	for _, c := range p.causes {
		if state == Sent && min(c.at, end) >= p.left+timeout {
			settle(Timeout)
		}
		if c.at > end || c.at == end && c.at > p.left && !readAtEnd {
			break
		}
		answered := state == Reply || state == Late || state == Corrupt
		switch {
		case c.effect == right && state == Sent:
			settle(Reply)
		case c.effect == right && state == Timeout:
			settle(Late)
		case c.effect == right && answered:
			kinds = append(kinds, Duplicate)
		case c.effect == wrong && state == Sent:
			settle(Corrupt)
		case (c.effect == reported || c.effect == refused) && state == Sent:
			settle(SendError)
		case c.effect == right || c.effect == wrong || c.effect == stray:
			strays++
		}
	}
	if state == Sent && (deadline || end >= p.left+timeout) {
		settle(Timeout)
	}
	return kinds, strays
}

// check holds what a run told against the schedule.
func (s *schedule) check(t *testing.T, p played) {
	t.Helper()
	l := ledgerOf(p.events)
	l.check(t)
	if sum := l.received + l.late + l.lost + l.corrupted + l.sendErrors + l.inFlight; l.sent != sum || l.sent != len(s.fates) {
		t.Errorf("%d sent of %d, but %d received + %d late + %d lost + %d corrupted + %d send errors + %d in flight",
			l.sent, len(s.fates), l.received, l.late, l.lost, l.corrupted, l.sendErrors, l.inFlight)
	}
	got := map[uint64][]Kind{}
	for _, e := range p.events {
		if e.Kind != NoAnswer && e.Kind != Foreign {
			got[e.Seq] = append(got[e.Seq], e.Kind)
		}
	}
	overdue := p.err == nil && p.took == s.config.Deadline
	answered := slices.ContainsFunc(p.events, func(e Event) bool {
		return e.Kind == Reply || e.Kind == Late || e.Kind == Duplicate || e.Kind == Corrupt
	})
	fewest, most := 0, 0
	for seq, fate := range s.fates {
		young := answered && p.took-fate.left < min(s.config.Timeout, ownPatience)
		less, n := fate.outcome(s.config.Timeout, p.took, false, overdue && !young)
		more, m := fate.outcome(s.config.Timeout, p.took, true, overdue && !young)
		fewest, most = fewest+n, most+m
		if !slices.Equal(got[seq], less) && !slices.Equal(got[seq], more) {
			t.Errorf("probe %d: %v, want %v of %+v", seq, got[seq], more, *fate)
		}
		if fate.attempts > 2 {
			t.Errorf("probe %d was sent %d times", seq, fate.attempts)
		}
	}
	if l.foreign < fewest || l.foreign > most {
		t.Errorf("%d foreign packets, want %d to %d", l.foreign, fewest, most)
	}
	if err := s.checkEnd(p, l); err != nil {
		t.Error(err)
	}
}

// checkEnd says what is wrong with the time and the reason of the end.
func (s *schedule) checkEnd(p played, l *ledger) error {
	c := s.config
	gaveUp := false
	received := 0
	for _, e := range p.events {
		switch {
		case e.Kind == Sent && gaveUp:
			return fmt.Errorf("probe %d left after an error that cannot heal", e.Seq)
		case e.Kind == Reply:
			received++
		case e.Kind == SendError && e.Fault.Errno == syscall.ENETUNREACH && received == 0:
			gaveUp = true
		}
	}
	switch {
	case p.err == context.Canceled && p.took == s.interrupt:
	case p.err != nil:
		return fmt.Errorf("ended with %w after %v", p.err, p.took)
	case c.Deadline > 0 && p.took == c.Deadline:
	case c.Deadline > 0 && c.Count > 0 && l.received >= int(c.Count):
	case c.Deadline == 0 && c.Count > 0 && l.sent == int(c.Count) && l.inFlight == 0:
	case gaveUp && l.inFlight == 0:
	default:
		return fmt.Errorf("ended after %v without a reason: %d sent, %d in flight", p.took, l.sent, l.inFlight)
	}
	return nil
}
