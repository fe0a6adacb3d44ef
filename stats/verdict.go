package stats

import "time"

// Verdict is the judgement over a run. The order of the constants is not a ranking; Rank is.
type Verdict uint8

const (
	Unknown   Verdict = iota // nothing was decided
	Healthy                  // every limit was kept
	Degraded                 // usable, with a warning
	Unhealthy                // a threshold is broken
)

// String is the verdict in lower case.
func (v Verdict) String() string {
	switch v {
	case Healthy:
		return "healthy"
	case Degraded:
		return "degraded"
	case Unhealthy:
		return "unhealthy"
	}
	return "unknown"
}

// Worse combines two verdicts: the one of the higher rank.
func Worse(a, b Verdict) Verdict {
	if a.Rank() > b.Rank() {
		return a
	}
	return b
}

// Rank orders verdicts by how much they need attention: healthy, degraded, unknown, unhealthy, from 0.
func (v Verdict) Rank() int {
	switch v {
	case Healthy:
		return 0
	case Degraded:
		return 1
	case Unhealthy:
		return 3
	}
	return 2
}

// minForP99 is how many replies it takes before p99 is more than another name for the slowest one.
const minForP99 = 100

// Limits are what a run must keep to be healthy. The zero value allows no loss and any RTT.
type Limits struct {
	// MaxLoss is the highest Summary.LossPercent allowed, 0 to 100.
	MaxLoss float64
	// MaxRTT is the longest RTT allowed; 0 allows any. It is held against p99 from 100 replies on, else against the
	// median.
	MaxRTT time.Duration
	// Crit makes a run Unhealthy, Warn makes it Degraded. If one of them holds the loss, it does so in the place of
	// MaxLoss; a run without any reply is Unhealthy then unless Crit says otherwise.
	Warn, Crit Threshold
}

// BreachKind says which limit a run did not keep.
type BreachKind uint8

const (
	NoBreach       BreachKind = iota
	NothingDecided            // no probe has an outcome
	LossBreach                // Loss probes, and Most percent are allowed
	RTTUnmeasured             // Loss probes are allowed, but no reply came to hold against MaxRTT
	MedianBreach              // the median is RTT, and MaxRTT is Most ms
	P99Breach                 // the p99 is RTT, and MaxRTT is Most ms
	WarnBreach                // Ranges of Warn are broken
	CritBreach                // Ranges of Crit are broken
)

// Breach is a limit that a run did not keep, in numbers. The zero value is none.
type Breach struct {
	Kind BreachKind
	Loss Loss
	// Percent is the loss, RTT the median, the p99 or (for a threshold) the mean, in ms.
	Percent, RTT float64
	// Most is the limit that Percent or RTT is above: 0 to 100, or ms.
	Most float64
	// Ranges are the broken ones of a threshold, the others are nil. Without a reply RTT means nothing (Unmeasured).
	Ranges     Threshold
	Unmeasured bool
}

// Judge holds a run against the limits. The verdict is Healthy without a breach, Unhealthy or Degraded with one, or
// Unknown if nothing was decided. Loss is judged first. If all loss is allowed and no reply came, a MaxRTT makes the run
// Unhealthy: what could not be measured was not kept.
func (l Limits) Judge(s Summary) (Verdict, Breach) {
	if s.Decided() == 0 {
		return Unknown, Breach{Kind: NothingDecided}
	}
	if b := l.Crit.breach(CritBreach, s); b.Kind != NoBreach {
		return Unhealthy, b
	}
	if b := l.breach(s); b.Kind != NoBreach {
		return Unhealthy, b
	}
	if b := l.Warn.breach(WarnBreach, s); b.Kind != NoBreach {
		return Degraded, b
	}
	return Healthy, Breach{}
}

// breach holds a run against MaxLoss and MaxRTT.
func (l Limits) breach(s Summary) Breach {
	switch {
	case l.Crit.Loss != nil:
		l.MaxLoss = 100
	case l.Warn.Loss != nil && s.Received == 0:
		return Breach{Kind: LossBreach, Loss: s.Loss()}
	case l.Warn.Loss != nil:
		l.MaxLoss = 100
	}
	switch {
	case s.LossPercent > l.MaxLoss:
		return Breach{Kind: LossBreach, Loss: s.Loss(), Percent: s.LossPercent, Most: l.MaxLoss}
	case l.MaxRTT <= 0:
		return Breach{}
	case s.Received == 0:
		return Breach{Kind: RTTUnmeasured, Loss: s.Loss()}
	}
	kind, rtt := MedianBreach, s.RTT.P50
	if s.Received >= minForP99 {
		kind, rtt = P99Breach, s.RTT.P99
	}
	if rtt <= l.MaxRTT {
		return Breach{}
	}
	return Breach{Kind: kind, RTT: millis(rtt), Most: millis(l.MaxRTT)}
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
