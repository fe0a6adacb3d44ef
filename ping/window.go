package ping

import "time"

// maxWindow is how many probes can be told apart by the 16-bit sequence number on the wire.
const maxWindow = 1 << 16

// state is what became of a probe.
type state uint8

const (
	unused state = iota
	inFlight
	answered // right or corrupted
	lost
	failed // a send error
)

// window remembers the latest probes: when each left and what became of it. Its size is fixed, whatever the count.
// A slot is used again only when its probe is decided, so a wire sequence number never stands for two open probes.
type window struct {
	sent  []time.Duration // since the start of the run
	wall  []int64         // the same moment on the wall clock, in ns since 1970; 0 if nobody needs it
	state []state
	// next is the number of the next probe; all probes below oldest are decided.
	next, oldest uint64
	inFlight     int
}

// newWindow has room for count probes, or for as many as the wire can tell apart.
func newWindow(count uint64) *window {
	size := uint64(8)
	for size < count && size < maxWindow {
		size *= 2
	}
	if count == 0 {
		size = maxWindow
	}
	return &window{
		sent: make([]time.Duration, size), wall: make([]int64, size), state: make([]state, size), next: 1, oldest: 1,
	}
}

func (w *window) slot(seq uint64) uint64 { return seq & uint64(len(w.sent)-1) }

// full says that the next probe must wait for the outcome of an earlier one.
func (w *window) full() bool { return w.state[w.slot(w.next)] == inFlight }

// add enters the next probe and returns its number.
func (w *window) add() uint64 {
	seq := w.next
	w.state[w.slot(seq)] = inFlight
	w.next++
	w.inFlight++
	return seq
}

// noteSent notes when a probe left: since the start of the run, and on the wall clock.
func (w *window) noteSent(seq uint64, at time.Duration, wall int64) {
	w.sent[w.slot(seq)], w.wall[w.slot(seq)] = at, wall
}

// find is the latest probe with this sequence number on the wire, if the window still holds it.
func (w *window) find(wire uint16) (uint64, bool) {
	last := w.next - 1
	back := uint64(uint16(last) - wire)
	if back >= last || back >= uint64(len(w.sent)) {
		return 0, false
	}
	return last - back, true
}

// stateOf is the state of a probe that the window holds.
func (w *window) stateOf(seq uint64) state { return w.state[w.slot(seq)] }

// sentAt is when a probe that the window holds left.
func (w *window) sentAt(seq uint64) time.Duration { return w.sent[w.slot(seq)] }

// wallOf is sentAt on the wall clock.
func (w *window) wallOf(seq uint64) int64 { return w.wall[w.slot(seq)] }

// settle notes what became of a probe.
func (w *window) settle(seq uint64, s state) {
	if w.stateOf(seq) == inFlight {
		w.inFlight--
	}
	w.state[w.slot(seq)] = s
}

// first is the oldest probe in flight.
func (w *window) first() (uint64, bool) {
	if w.inFlight == 0 {
		w.oldest = w.next
		return 0, false
	}
	for w.stateOf(w.oldest) != inFlight {
		w.oldest++
	}
	return w.oldest, true
}
