package stats

import "time"

// Recorder counts what happens to the probes of one run. Its memory is constant, whatever the count, and recording
// allocates nothing once the histograms stand. One goroutine at a time may use it.
//
// Probes are numbered from 1 in the order of Sent and may be decided in any order, as long as no more than 65536 lie
// from the oldest undecided one to the newest: an older one stays in flight for good. Deciding a probe that is not
// undecided changes nothing, but for Late after Lost.
type Recorder struct {
	counts       Summary // the counters and Pipe only
	first, last  time.Time
	decided      time.Time
	outages      outages
	rtt          distribution
	ewma         float64
	send, kernel distribution
	wakeup       distribution
}

// NewRecorder is a recorder without a probe. told, if it is not nil, is called for each outage when it is known to have begun and
// again when it is known to be over, by the method that decides the probe which settles that.
func NewRecorder(told func(Outage)) *Recorder { return &Recorder{outages: newOutages(told)} }

// Sent enters the next probe.
func (r *Recorder) Sent(at time.Time) {
	if r.counts.Sent == 0 {
		r.first = at
	}
	r.last = at
	r.counts.Sent++
	r.outages.add(at)
}

// Reply decides a probe: the right answer came in time.
func (r *Recorder) Reply(seq uint64, rtt time.Duration, at time.Time) {
	if r.decide(seq, answered, at, &r.counts.Received) {
		r.acknowledge(seq)
		r.measure(rtt)
	}
}

// Duplicate adds one more right answer to the RTT, as ping does, and to no class of probes.
func (r *Recorder) Duplicate(rtt time.Duration) {
	r.counts.Duplicates++
	r.measure(rtt)
}

// Lost decides a probe: no answer came in time.
func (r *Recorder) Lost(seq uint64, at time.Time) {
	r.decide(seq, missed, at, &r.counts.Lost)
}

// Late moves a probe that was called lost to those whose right answer came too late, or decides one as such. It stays
// a loss, and unlike in ping its RTT is in no figure: the RTT is that of the probes that count as answered.
func (r *Recorder) Late(seq uint64, at time.Time) {
	switch {
	case r.decide(seq, missed, at, &r.counts.Late):
		r.acknowledge(seq)
	case r.counts.Lost > 0 && seq-1 < r.counts.Sent:
		r.acknowledge(seq)
		r.counts.Lost--
		r.counts.Late++
		r.decidedAt(at)
	}
}

// Corrupt decides a probe: an answer came with other data than was sent.
func (r *Recorder) Corrupt(seq uint64, at time.Time) {
	if r.decide(seq, missed, at, &r.counts.Corrupted) {
		r.acknowledge(seq)
	}
}

// SendError decides a probe: the kernel refused it, or an ICMP error came back for it.
func (r *Recorder) SendError(seq uint64, at time.Time) {
	r.decide(seq, missed, at, &r.counts.SendErrors)
}

// Foreign counts a packet that answers no probe of this run.
func (r *Recorder) Foreign() { r.counts.Foreign++ }

// Stamped counts that the latest RTT ended with the kernel's receive stamp.
func (r *Recorder) Stamped() { r.counts.Stamped++ }

// ClockStep counts that the wall clock was set.
func (r *Recorder) ClockStep() { r.counts.ClockSteps++ }

// Split adds the parts of one round trip: from just before the send to the kernel's transmit stamp, from there to its
// receive stamp, and from there to the return of the read.
func (r *Recorder) Split(send, kernel, wakeup time.Duration) {
	r.send.record(send)
	r.kernel.record(kernel)
	r.wakeup.record(wakeup)
}

// acknowledge notes how far the sends are ahead of an answer, as acknowledge of iputils' ping_common.c does.
func (r *Recorder) acknowledge(seq uint64) {
	r.counts.Pipe = max(r.counts.Pipe, int(r.counts.Sent-seq+1))
}

// decide counts a probe in its class, and then looks for outages: whoever is told of one may ask for the summary.
func (r *Recorder) decide(seq uint64, o outcome, at time.Time, class *uint64) bool {
	if !r.outages.decide(seq, o, at) {
		return false
	}
	*class++
	r.decidedAt(at)
	r.outages.advance()
	return true
}

func (r *Recorder) decidedAt(at time.Time) {
	if at.After(r.decided) {
		r.decided = at
	}
}

// measure adds an RTT. The first is the smoothed RTT, and each later one moves that by 1/8 of the difference: as in
// gather_statistics of iputils' ping_common.c, duplicates included.
func (r *Recorder) measure(rtt time.Duration) {
	r.rtt.record(rtt)
	v := float64(r.rtt.last)
	if r.ewma == 0 {
		r.ewma = v
	}
	r.ewma += (v - r.ewma) / 8
}

// End says that no probe will be decided any more.
func (r *Recorder) End() { r.outages.end() }

// Received is how many probes had a right answer in time.
func (r *Recorder) Received() uint64 { return r.counts.Received }

// Summary is the state of the run so far.
func (r *Recorder) Summary() Summary {
	s := r.counts
	s.InFlight = s.Sent - s.Received - s.loss()
	if s.Decided() > 0 {
		s.LossPercent = 100 * float64(s.loss()) / float64(s.Decided())
		s.Duration = max(r.decided.Sub(r.first), 0)
	}
	s.SendSpan = max(r.last.Sub(r.first), 0)
	o := r.outages.soFar(r.decided)
	s.Outages, s.Latest, s.Longest, s.LongestLoss = o.count, o.latest, o.longest, o.most
	s.RTT, s.EWMA = r.rtt.summary(), time.Duration(r.ewma)
	s.Send, s.Kernel, s.Wakeup = r.send.summary(), r.kernel.summary(), r.wakeup.summary()
	return s
}
