// Package stats turns what happened to the probes of a run into numbers, in constant memory, and holds them against
// limits. It knows no sockets and no output.
package stats

import "time"

// Distribution describes a set of durations. With Count 0 nothing was measured and every other field is 0 and
// means nothing; with Count 1 the standard deviation and the jitter are 0.
type Distribution struct {
	Count uint64
	// Min, Mean, Max are exact, Mean rounded down. StdDev is the population standard deviation (Welford).
	Min, Mean, Max, StdDev time.Duration
	// Percentiles are nearest-rank, to three significant digits up to a minute, and within Min and Max.
	P50, P90, P99, P999 time.Duration
	// Jitter is the smoothed mean deviation of consecutive values (RFC 3550, section 6.4.1).
	Jitter time.Duration
}

// Summary is the state of a run. Each probe is in one class, so
// Sent = Received + Late + Lost + Corrupted + SendErrors + InFlight.
type Summary struct {
	Sent, Received, Late, Lost, Corrupted, SendErrors, InFlight uint64
	// Duplicates and Foreign count packets that are no probes.
	Duplicates, Foreign uint64
	// ClockSteps counts how often the wall clock was set during the run.
	ClockSteps uint64
	// LossPercent is (Late + Lost + Corrupted + SendErrors) of (Sent - InFlight), 0 to 100; 0 if nothing is decided.
	LossPercent float64
	// Outages counts the outages; Latest is the last of them, Longest the first of those that took longest.
	Outages         uint64
	Latest, Longest Outage
	// LongestLoss is how many probes that count as loss one outage has at most.
	LongestLoss uint64
	// Duration runs from the first send to the last decision, SendSpan from the first to the last send.
	Duration, SendSpan time.Duration
	// Stamped counts the RTTs that end with the kernel's receive stamp; the others end with the return of the read.
	Stamped uint64
	// RTT holds replies and, as in ping, duplicates.
	RTT Distribution
	// Send, Kernel and Wakeup split round trips that have both kernel stamps: from just before the send to the
	// kernel's transmit stamp, from there to its receive stamp, and from there to the return of the read.
	Send, Kernel, Wakeup Distribution
	// EWMA is the smoothed RTT as ping keeps it (weight 1/8).
	EWMA time.Duration
	// Pipe is how many probes were under way at most when an answer came, from the one answered to the latest.
	Pipe int
}

// Decided is how many probes have an outcome.
func (s Summary) Decided() uint64 { return s.Sent - s.InFlight }

// loss is how many probes count as loss.
func (s Summary) loss() uint64 { return s.Late + s.Lost + s.Corrupted + s.SendErrors }

// LossClass is what became of the probes that count as loss.
type LossClass uint8

const (
	MixedLoss     LossClass = iota // in more than one way
	LostLoss                       // no answer
	LateLoss                       // an answer after the timeout
	CorruptedLoss                  // an answer with other data than was sent
	RefusedLoss                    // a send error
)

// Loss counts the probes that are one, of those that have an outcome, and says of which class all of them are.
type Loss struct {
	Count, Decided uint64
	Class          LossClass
}

// Loss is the loss of the run so far.
func (s Summary) Loss() Loss {
	l := Loss{Count: s.loss(), Decided: s.Decided()}
	switch l.Count {
	case s.Lost:
		l.Class = LostLoss
	case s.Late:
		l.Class = LateLoss
	case s.Corrupted:
		l.Class = CorruptedLoss
	case s.SendErrors:
		l.Class = RefusedLoss
	}
	return l
}
