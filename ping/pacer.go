package ping

import "time"

// floodFloor is the longest pause between two probes of a flood, as in ping.
const floodFloor = 10 * time.Millisecond

// catchUp is how far a steady interval may fall behind and still make up for it: the probes that are due then leave in a burst.
// A service gets none, whose backlog may have room for one.
const catchUp = 10 * time.Millisecond

// pacer says when the next probe is due. It is pure: it reads no clock. Times are since the start of the run.
type pacer struct {
	interval        time.Duration
	flood, adaptive bool
	catchUp         time.Duration
	preload         uint64
	// room is how many unanswered probes the socket's queue has room for.
	room uint64

	sent uint64        // how many of the preload have left
	last time.Duration // when the last probe left
	next time.Duration // when the next is due, at a steady interval
	srtt time.Duration // smoothed RTT (RFC 6298, section 2: weight 1/8)
}

func newPacer(c Config, room uint64) pacer {
	p := pacer{interval: c.Interval, flood: c.Flood, adaptive: c.Adaptive, preload: uint64(c.Preload), room: room}
	if c.Port == 0 {
		p.catchUp = catchUp
	}
	return p
}

// preloading says that probes of the preload are still to leave.
func (p *pacer) preloading() bool { return p.sent < p.preload }

// mayBurst says that one more probe may leave without a pause, with so many unanswered. On a busy machine the answers
// may come all at once, later: the queue must hold them.
func (p *pacer) mayBurst(unanswered uint64) bool { return unanswered < min(p.preload, p.room) }

// due is when the next probe may leave, with so many unanswered.
func (p *pacer) due(unanswered uint64) time.Duration {
	burst := p.mayBurst(unanswered)
	switch {
	case burst && (p.preloading() || p.flood):
		return 0
	case p.preloading() || p.flood:
		return p.last + floodFloor
	case p.adaptive && burst:
		return p.last + min(p.srtt, p.interval)
	case p.adaptive:
		return p.last + p.interval
	case unanswered >= p.room: // no burst into a queue that nobody reads
		return max(p.next, p.last+p.interval)
	}
	return p.next
}

// noteSent notes that a probe left at now. A run that fell behind by an interval and by catchUp goes on from there.
func (p *pacer) noteSent(now time.Duration) {
	if p.sent < p.preload {
		p.sent++
		p.next = now
	}
	if now-p.next >= max(p.interval, p.catchUp) {
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
