package ping

import "time"

// maxDrift is what the wall clock may move against the monotonic one between two readings and still not have been
// set. It leaves room for the 500 ppm that adjtime(2) allows over a second, and for an interrupt between the readings.
const maxDrift = time.Millisecond

// stampClock tells whether the wall clock, on which the kernel's stamps are, keeps the pace of the monotonic one. No
// stamp is ever subtracted from a monotonic reading.
type stampClock struct {
	start time.Time
	wall  int64
	// offset is what the wall clock moved against the monotonic one since the start.
	offset time.Duration
	// sure says that two readings agreed: one alone, as that of the start, may have been interrupted between the two clocks.
	sure bool
}

func newStampClock(start time.Time) *stampClock {
	return &stampClock{start: start, wall: start.UnixNano()}
}

// drift is how far the wall clock moved against the monotonic one from the start of the run to t.
func (c *stampClock) drift(t time.Time) time.Duration {
	return time.Duration(t.UnixNano()-c.wall) - t.Sub(c.start)
}

// steady says whether the wall clock kept its pace up to t. If it did not, now tells a step from an interrupt
// between the two readings that make up t; step is by how much it was set. A slow machine is interrupted more than once.
func (c *stampClock) steady(t time.Time, now func() time.Time) (ok bool, step time.Duration) {
	if drift := c.drift(t); (drift - c.offset).Abs() <= maxDrift {
		c.offset, c.sure = drift, true
		return true, 0
	}
	again := c.drift(now())
	if (again-c.offset).Abs() <= maxDrift || (again-c.drift(now())).Abs() > maxDrift {
		return false, 0
	}
	step, c.offset = again-c.offset, again
	if !c.sure {
		step, c.sure = 0, true
	}
	return false, step
}

// Split is one round trip in its parts, as the kernel's stamps divide it.
type Split struct {
	// Send is from just before the send to the kernel's transmit stamp.
	Send time.Duration
	// Kernel is from the transmit stamp to the receive stamp.
	Kernel time.Duration
	// Wakeup is from the receive stamp to the return of the read.
	Wakeup time.Duration
}
