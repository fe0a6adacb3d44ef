package stats

import (
	"math/rand/v2"
	"testing"
	"time"
)

// model drives a recorder and remembers everything.
type model struct {
	recorder   *Recorder
	start, now time.Time // of the first send, and at this moment
	// fates are those of probes 1, 2, ...; open and lost are the numbers of the undecided and the lost ones.
	fates      []fate
	open, lost []uint64
	rtts, send []time.Duration
	want       Summary
}

func newModel() *model {
	start := noon
	return &model{recorder: NewRecorder(nil), start: start, now: start}
}

// take removes one of the numbers.
func take(from *[]uint64, which int) uint64 {
	s := *from
	i := which % len(s)
	seq := s[i]
	*from = append(s[:i], s[i+1:]...)
	return seq
}

// step does the thing that the operation stands for, where it is possible; which and rtt say to whom and how long.
func (m *model) step(operation, which int, rtt time.Duration) {
	switch r := m.recorder; operation % 12 {
	case 0, 1, 2, 3:
		m.probe()
	case 4, 5:
		m.decide(which, answered, &m.want.Received, func(seq uint64) { r.Reply(seq, rtt, m.now) }, rtt)
	case 6:
		m.lose(which)
	case 7:
		m.decide(which, missed, &m.want.Corrupted, func(seq uint64) { r.Corrupt(seq, m.now) })
	case 8:
		m.decide(which, missed, &m.want.SendErrors, func(seq uint64) { r.SendError(seq, m.now) })
	case 9:
		m.late(which, rtt)
	case 10:
		m.strays(rtt)
	case 11:
		m.nonsense(which)
	}
}

func (m *model) probe() {
	m.fates = append(m.fates, fate{undecided, m.now.Sub(noon)})
	m.open = append(m.open, uint64(len(m.fates)))
	m.want.Sent++
	m.want.SendSpan = m.now.Sub(m.start)
	if m.want.Sent == 1 {
		m.start, m.want.SendSpan = m.now, 0
	}
	m.recorder.Sent(m.now)
}

func (m *model) decide(which int, o outcome, class *uint64, record func(uint64), rtts ...time.Duration) {
	if len(m.open) == 0 {
		return
	}
	seq := take(&m.open, which)
	record(seq)
	if class != &m.want.Lost && class != &m.want.SendErrors {
		m.acknowledge(seq)
	}
	m.fates[seq-1].outcome = o
	if o == answered {
		m.fates[seq-1].at = m.now.Sub(noon)
	}
	m.rtts = append(m.rtts, rtts...)
	m.want.Duration = m.now.Sub(m.start)
	*class++
}

func (m *model) acknowledge(seq uint64) { m.want.Pipe = max(m.want.Pipe, len(m.fates)-int(seq)+1) }

func (m *model) lose(which int) {
	m.decide(which, missed, &m.want.Lost, func(seq uint64) {
		m.recorder.Lost(seq, m.now)
		m.lost = append(m.lost, seq)
	})
}

// late is about a lost probe, or about one in flight where none is lost.
func (m *model) late(which int, rtt time.Duration) {
	if len(m.lost) == 0 {
		m.decide(which, missed, &m.want.Late, func(seq uint64) { m.recorder.Late(seq, m.now) })
		return
	}
	seq := take(&m.lost, which)
	m.recorder.Late(seq, m.now)
	m.acknowledge(seq)
	m.want.Duration = m.now.Sub(m.start)
	m.want.Lost--
	m.want.Late++
}

// strays are packets that decide nothing, and the parts of some round trip.
func (m *model) strays(rtt time.Duration) {
	m.recorder.Duplicate(rtt)
	m.recorder.Foreign()
	m.recorder.ClockStep()
	m.recorder.Split(rtt, 2, 3)
	m.want.Duplicates++
	m.want.Foreign++
	m.want.ClockSteps++
	m.rtts, m.send = append(m.rtts, rtt), append(m.send, rtt)
}

// nonsense decides probes that are decided or were never sent.
func (m *model) nonsense(which int) {
	seqs := []uint64{0, m.want.Sent + 1, m.want.Sent + uint64(which) + 1}
	for i, f := range m.fates {
		if f.outcome != undecided {
			seqs = append(seqs, uint64(i+1))
			break
		}
	}
	for _, seq := range seqs {
		m.recorder.Reply(seq, time.Hour, m.now)
		m.recorder.Lost(seq, m.now)
		m.recorder.Corrupt(seq, m.now)
		m.recorder.SendError(seq, m.now)
	}
	for _, seq := range seqs[:3] {
		m.recorder.Late(seq, m.now)
	}
}

// check compares the recorder's summary with what must be.
func (m *model) check(t *testing.T) {
	t.Helper()
	got, want := m.recorder.Summary(), m.want
	want.InFlight = uint64(len(m.open))
	list := outagesOf(m.fates)
	want.Outages, want.LongestLoss = uint64(len(list)), mostLost(list)
	want.Latest, want.Longest = got.Latest, got.Longest // TestOutagesAgainstBruteForce
	if decided := want.Sent - want.InFlight; decided > 0 {
		want.LossPercent = 100 * float64(decided-want.Received) / float64(decided)
	}
	checkDistribution(t, got.RTT, m.rtts)
	checkDistribution(t, got.Send, m.send)
	checkNear(t, "ewma", got.EWMA, pingEWMA(m.rtts))
	want.RTT, want.EWMA, want.Send, want.Kernel, want.Wakeup = got.RTT, got.EWMA, got.Send, got.Kernel, got.Wakeup
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if sum := got.Received + got.Late + got.Lost + got.Corrupted + got.SendErrors + got.InFlight; sum != got.Sent {
		t.Errorf("the classes have %d probes, %d were sent", sum, got.Sent)
	}
	if v, breach := (Limits{MaxRTT: 1}).Judge(got); (v == Healthy) != (breach.Kind == NoBreach) {
		t.Errorf("%v because of %+v", v, breach)
	}
}

// pingEWMA is rts->rtt / 8 of iputils' ping_common.c.
func pingEWMA(rtts []time.Duration) float64 {
	rtt8 := 0.0
	for _, v := range rtts {
		v := float64(min(max(v, 0), 1<<62))
		if rtt8 == 0 {
			rtt8 = v * 8
		} else {
			rtt8 += v - rtt8/8
		}
	}
	return rtt8 / 8
}

func TestRecorderOnRandomSchedules(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 11))
	for range 50 {
		m := newModel()
		m.check(t)
		for range random.IntN(2000) {
			m.now = m.now.Add(time.Duration(random.IntN(1_000_000)))
			m.step(random.IntN(12), random.IntN(1<<20), time.Duration(30_000*random.ExpFloat64()))
			if random.IntN(100) == 0 {
				m.check(t)
			}
		}
		m.check(t)
	}
}

// FuzzRecorder reads each three bytes as an operation, whom it is about, and a duration.
func FuzzRecorder(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 6, 1, 0, 4, 0, 9, 9, 0, 9, 10, 3, 9, 11, 1, 1})
	f.Add([]byte{0, 0, 0, 4, 0, 255, 0, 0, 0, 4, 0, 254, 0, 0, 0, 4, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 8, 0, 0})
	f.Fuzz(func(t *testing.T, program []byte) {
		m := newModel()
		for len(program) >= 3 && len(m.fates) < 1000 {
			operation, which, size := int(program[0]), int(program[1]), uint(program[2])
			program = program[3:]
			m.now = m.now.Add(time.Duration(size))
			m.step(operation, which, time.Duration(uint64(1+which)<<(size%64)-1)) // some are negative
		}
		m.check(t)
	})
}

func TestLateIsNoRTT(t *testing.T) {
	r, now := NewRecorder(nil), time.Now()
	r.Sent(now)
	r.Lost(1, now.Add(time.Second))
	r.Late(1, now.Add(2*time.Second))
	s := r.Summary()
	if s.Late != 1 || s.Lost != 0 || s.LossPercent != 100 || s.LongestLoss != 1 || s.RTT.Count != 0 || s.EWMA != 0 {
		t.Errorf("after a late reply: %+v", s)
	}
	if s.Duration != 2*time.Second {
		t.Errorf("duration is %v, want that of the last decision", s.Duration)
	}
}

// TestSummaryOfOutages: the answer to probe 4 comes while 2 and 3 are open, and ends the outage of these when they are lost.
func TestSummaryOfOutages(t *testing.T) {
	var told []Outage
	var r *Recorder
	r = NewRecorder(func(o Outage) {
		told = append(told, o)
		if s := r.Summary(); s.Lost < o.Lost {
			t.Errorf("told of %v when the summary had %d lost", o, s.Lost)
		}
	})
	for i := range 5 {
		r.Sent(noon.Add(time.Duration(i) * time.Second))
	}
	r.Reply(1, 1, noon)
	r.Reply(4, 1, noon.Add(3*time.Second+1))
	if s := r.Summary(); s.Outages != 0 || s.Latest != s.Longest || s.Latest.Lasts() || told != nil {
		t.Errorf("nothing is lost yet: %+v, told %v", s, told)
	}
	r.Lost(3, noon.Add(5*time.Second))
	r.Lost(2, noon.Add(5*time.Second))
	first := Outage{Since: noon.Add(time.Second), Until: noon.Add(3*time.Second + 1), Length: 2*time.Second + 1, Lost: 2}
	if s := r.Summary(); s.Outages != 1 || s.Latest != first || s.Longest != first || len(told) != 2 || told[1] != first {
		t.Errorf("%+v, told %v, want %v", s, told, first)
	}
	r.Lost(5, noon.Add(10*time.Second))
	second := Outage{Since: noon.Add(4 * time.Second), Length: 6 * time.Second, Lost: 1}
	if s := r.Summary(); s.Outages != 2 || s.Latest != second || s.Longest != second || !s.Latest.Lasts() || len(told) != 3 {
		t.Errorf("%+v, told %v, want %v", s, told, second)
	}
}

// TestEnd: what is in flight at the end neither ends an outage nor counts in it.
func TestEnd(t *testing.T) {
	var told []Outage
	r := NewRecorder(func(o Outage) { told = append(told, o) })
	for range 4 {
		r.Sent(noon)
	}
	r.Lost(2, noon)
	r.Reply(4, 1, noon)
	r.End()
	if s := r.Summary(); len(told) != 2 || told[1].Lost != 1 || told[1].Lasts() || s.Outages != 1 || s.InFlight != 2 {
		t.Errorf("told %v, %+v", told, s)
	}
}

func TestLateNeedsALoss(t *testing.T) {
	r, now := NewRecorder(nil), time.Now()
	r.Sent(now)
	r.Reply(1, 1, now)
	r.Late(1, now)
	if s := r.Summary(); s.Received != 1 || s.Late != 0 || s.Lost != 0 || s.InFlight != 0 {
		t.Errorf("a late reply to an answered probe: %+v", s)
	}
}

func TestDurationEndsWithTheLastDecision(t *testing.T) {
	r, now := NewRecorder(nil), time.Now()
	r.Sent(now)
	r.Sent(now.Add(time.Second))
	if s := r.Summary(); s.Duration != 0 || s.SendSpan != time.Second {
		t.Errorf("nothing decided: duration %v, send span %v; want 0s, 1s", s.Duration, s.SendSpan)
	}
	r.Reply(2, 1, now.Add(3*time.Second))
	r.Lost(1, now.Add(2*time.Second))
	if s := r.Summary(); s.Duration != 3*time.Second {
		t.Errorf("duration is %v, want 3s", s.Duration)
	}
}

func TestSplit(t *testing.T) {
	r := NewRecorder(nil)
	r.Split(3, 5, 7)
	r.Split(-1, 5, 9)
	s := r.Summary()
	if s.Send.Count != 2 || s.Send.Min != 0 || s.Send.Max != 3 || s.Kernel.Mean != 5 || s.Wakeup.P50 != 7 {
		t.Errorf("send %+v, kernel %+v, wakeup %+v", s.Send, s.Kernel, s.Wakeup)
	}
	if s.RTT.Count != 0 {
		t.Errorf("parts are no round trips: %+v", s.RTT)
	}
}

func TestStaysInFlightBeyondTheWindow(t *testing.T) {
	const extra = 1000
	r, now := NewRecorder(nil), time.Now()
	for range maxWindow + extra {
		r.Sent(now)
	}
	for seq := uint64(1); seq <= maxWindow+extra; seq++ {
		r.Lost(seq, now)
	}
	if s := r.Summary(); s.InFlight != extra || s.Lost != maxWindow || s.LongestLoss != maxWindow || s.Outages != 1 {
		t.Errorf("in flight %d, lost %d, longest loss %d; want %d, %d, %d", s.InFlight, s.Lost, s.LongestLoss,
			extra, maxWindow, maxWindow)
	}
}

func TestRecordingAllocatesNothing(t *testing.T) {
	r, now, seq := NewRecorder(nil), time.Now(), uint64(0)
	probe := func() {
		for range 4 {
			r.Sent(now)
		}
		r.Reply(seq+4, 31_000, now)
		r.Duplicate(32_000)
		r.Split(1000, 2000, 3000)
		r.Lost(seq+2, now)
		r.Late(seq+2, now)
		r.Corrupt(seq+1, now)
		r.SendError(seq+3, now)
		r.Foreign()
		seq += 4
	}
	for range fewValues + 1 { // so that the histograms stand
		probe()
	}
	if n := testing.AllocsPerRun(1000, probe); n != 0 {
		t.Errorf("4 probes allocate %v times, want 0", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	now := time.Now()
	b.Run("reply", func(b *testing.B) {
		r, seq := NewRecorder(nil), uint64(0)
		b.ReportAllocs()
		for b.Loop() {
			seq++
			r.Sent(now)
			r.Reply(seq, time.Duration(30_000+seq%1024), now)
		}
	})
	b.Run("reply and split", func(b *testing.B) {
		r, seq := NewRecorder(nil), uint64(0)
		b.ReportAllocs()
		for b.Loop() {
			seq++
			r.Sent(now)
			r.Reply(seq, time.Duration(30_000+seq%1024), now)
			r.Split(1000, 1500, time.Duration(2000+seq%1024))
		}
	})
}

// BenchmarkShortRun is what the statistics add to the default run.
func BenchmarkShortRun(b *testing.B) {
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		r := NewRecorder(nil)
		for seq := range uint64(5) {
			r.Sent(now)
			r.Reply(seq+1, 31_000, now)
		}
		if r.Summary().Received != 5 {
			b.Fatal("lost")
		}
	}
}
