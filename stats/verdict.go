package stats

import (
	"fmt"
	"strconv"
	"time"
)

// Verdict is the judgement over a run. The order is not a ranking; see Worse.
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

// Worse combines two verdicts: the one that stands later in healthy, degraded, unknown, unhealthy.
func Worse(a, b Verdict) Verdict {
	if a.rank() > b.rank() {
		return a
	}
	return b
}

func (v Verdict) rank() int {
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
	// Crit makes a run Unhealthy, Warn makes it Degraded. Where one of them holds the loss, it does so in the place of
	// MaxLoss; a run without any reply is Unhealthy then unless Crit says otherwise.
	Warn, Crit Threshold
}

// Judge holds a run against the limits. The verdict is Healthy, Unhealthy, or Unknown where nothing was decided;
// the string says in a few words why it is not Healthy and is empty where it is. Loss is judged first. Where all
// loss is allowed and no reply came, a MaxRTT makes the run Unhealthy: what could not be measured was not kept.
func (l Limits) Judge(s Summary) (Verdict, string) {
	if s.Decided() == 0 {
		return Unknown, "nothing was decided"
	}
	if cause := l.Crit.broken("critical", s); cause != "" {
		return Unhealthy, cause
	}
	if v, cause := l.judgeMost(s); v != Healthy {
		return v, cause
	}
	if cause := l.Warn.broken("warning", s); cause != "" {
		return Degraded, cause
	}
	return Healthy, ""
}

// judgeMost holds a run against MaxLoss and MaxRTT.
func (l Limits) judgeMost(s Summary) (Verdict, string) {
	switch {
	case l.Crit.Loss != nil:
		l.MaxLoss = 100
	case l.Warn.Loss != nil && s.Received == 0:
		return Unhealthy, lossCause(s)
	case l.Warn.Loss != nil:
		l.MaxLoss = 100
	}
	switch {
	case s.LossPercent > l.MaxLoss && l.MaxLoss > 0:
		got, limit := figures(s.LossPercent, l.MaxLoss, 'g', 6)
		return Unhealthy, fmt.Sprintf("%s: %s%% is above %s%%", lossCause(s), got, limit)
	case s.LossPercent > l.MaxLoss:
		return Unhealthy, lossCause(s)
	case l.MaxRTT <= 0:
		return Healthy, ""
	case s.Received == 0:
		return Unhealthy, lossCause(s) + ", so no RTT to judge"
	}
	return l.judgeRTT(s)
}

// judgeRTT is Judge for a run with replies and without a loss too many.
func (l Limits) judgeRTT(s Summary) (Verdict, string) {
	name, rtt := "median", s.RTT.P50
	if s.Received >= minForP99 {
		name, rtt = "p99", s.RTT.P99
	}
	if rtt <= l.MaxRTT {
		return Healthy, ""
	}
	got, limit := figures(millis(rtt), millis(l.MaxRTT), 'f', 3)
	return Unhealthy, fmt.Sprintf("%s RTT %s ms is above %s ms", name, got, limit)
}

// lossCause counts the loss, and names its class where there is but one.
func lossCause(s Summary) string {
	what := "without a right answer"
	switch s.loss() {
	case s.Lost:
		what = "lost"
	case s.Late:
		what = "late"
	case s.Corrupted:
		what = "corrupted"
	case s.SendErrors:
		what = "refused"
	}
	return fmt.Sprintf("%d of %d probes %s", s.loss(), s.Decided(), what)
}

// figures formats a figure and the limit that it breaks, with more digits where they would look the same.
func figures(got, limit float64, format byte, precision int) (string, string) {
	a, b := strconv.FormatFloat(got, format, precision, 64), strconv.FormatFloat(limit, format, precision, 64)
	if a == b {
		a, b = strconv.FormatFloat(got, format, -1, 64), strconv.FormatFloat(limit, format, -1, 64)
	}
	return a, b
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
