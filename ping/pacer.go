package ping

import "time"

// floodFloor is the longest pause between two probes of a flood, as in ping.
const floodFloor = 10 * time.Millisecond

// pacer says when the next probe is due. It is pure: it reads no clock. Times are since the start of the run.
type pacer struct {
	interval        time.Duration
	flood, adaptive bool
	preload         uint64

	sent uint64        // how many of the preload have left
	last time.Duration // when the last probe left
	next time.Duration // when the next is due, at a steady interval
	srtt time.Duration // smoothed RTT (RFC 6298, section 2: weight 1/8)
}

func newPacer(c Config) pacer {
	return pacer{interval: c.Interval, flood: c.Flood, adaptive: c.Adaptive, preload: uint64(c.Preload)}
}

// preloading says that probes of the preload are still to leave.
func (p *pacer) preloading() bool { return p.sent < p.preload }

// due is when the next probe may leave, with so many unanswered.
func (p *pacer) due(unanswered uint64) time.Duration {
	switch {
	case p.preloading():
		return 0
	case p.flood && unanswered < p.preload:
		return 0
	case p.flood:
		return p.last + floodFloor
	case p.adaptive && unanswered < p.preload:
		return p.last + min(p.srtt, p.interval)
	case p.adaptive:
		return p.last + p.interval
	}
	return p.next
}

// left notes that a probe left at now. A run that fell behind by an interval or more does not catch up in a burst.
func (p *pacer) left(now time.Duration) {
	if p.sent < p.preload {
		p.sent++
		p.next = now
	}
	if now-p.next >= p.interval {
		p.next = now
	}
	p.next += p.interval
	p.last = now
}

// replied notes the RTT of an answer.
func (p *pacer) replied(rtt time.Duration) {
	if p.srtt == 0 {
		p.srtt = rtt
	}
	p.srtt += (rtt - p.srtt) / 8
}
