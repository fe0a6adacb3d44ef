package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"lping/platform/diagnose"
	"lping/stats"
)

// Cause is why a verdict is as it is: a value that becomes words when a renderer writes it. Nil means that all is well.
type Cause interface{ String() string }

// Breach is the limit that a run did not keep.
type Breach struct {
	stats.Breach
	// Errnos are what the refused probes got from the system, if it was the system that refused them.
	Errnos []string
	// Answers says that the probes asked a service for something.
	Answers bool
	// MayBeSilent says that the probes went to a service that need not answer.
	MayBeSilent bool
	// Outages is how many there were, and Longest how long one took at most; 0 if that is of no interest.
	Outages uint64
	Longest time.Duration
}

// Unfinished is a deadline that came before the replies that were asked for, which ping calls a failure, too.
type Unfinished struct{ Received, Count uint64 }

// Failure is the error by which a target could not be probed to the end.
type Failure struct{ Err error }

// Found is what a finding says.
type Found struct{ diagnose.Finding }

// Sweep says at which size a sweep failed first, and how.
type Sweep string

// Explained is a cause, and what explains it.
type Explained struct{ What, Why Cause }

func (u Unfinished) String() string {
	return fmt.Sprintf("%d of %d replies by the deadline", u.Received, u.Count)
}

func (f Failure) String() string { return f.Err.Error() }

func (f Found) String() string { return f.Cause }

func (s Sweep) String() string { return string(s) }

func (e Explained) String() string { return e.What.String() + ": " + e.Why.String() }

func (b Breach) String() string {
	switch b.Kind {
	case stats.NothingDecided:
		return "nothing was decided"
	case stats.LossBreach:
		return b.lossText()
	case stats.RTTUnmeasured:
		return b.lossWords() + ", so no RTT to judge"
	case stats.MedianBreach:
		return b.rttText("median")
	case stats.P99Breach:
		return b.rttText("p99")
	case stats.WarnBreach:
		return b.thresholdText("warning")
	case stats.CritBreach:
		return b.thresholdText("critical")
	}
	return ""
}

// lossText is the loss, and what it is above if some is allowed.
func (b Breach) lossText() string {
	words := b.lossWords()
	switch {
	case b.Most > 0:
		got, most := figures(b.Percent, b.Most, 'g', 6)
		return fmt.Sprintf("%s: %s%% is above %s%%", words, got, most)
	case b.Loss.Class == stats.RefusedLoss && len(b.Errnos) > 0:
		return words + " (" + strings.Join(b.Errnos, ", ") + ")"
	}
	return words
}

// lossWords counts the loss, and names its class if there is but one.
func (b Breach) lossWords() string {
	what := "without a right answer"
	switch b.Loss.Class {
	case stats.LostLoss:
		what = "lost"
		if b.MayBeSilent {
			what = "open or silent"
		}
	case stats.LateLoss:
		what = "late"
	case stats.CorruptedLoss:
		what = "corrupted"
		if b.Answers {
			what = "answered wrong"
		}
	case stats.RefusedLoss:
		what = "refused"
		if b.Answers && !slices.Contains(b.Errnos, "ECONNREFUSED") {
			what = "failed"
		}
	}
	return fmt.Sprintf("%d of %d probes %s%s", b.Loss.Count, b.Loss.Decided, what, b.outageWords())
}

// outageWords counts the outages.
func (b Breach) outageWords() string {
	switch b.Outages {
	case 0:
		return ""
	case 1:
		return " in an outage of " + lengthOf(b.Longest)
	}
	return fmt.Sprintf(" in %d outages of up to %s", b.Outages, lengthOf(b.Longest))
}

func (b Breach) rttText(name string) string {
	got, most := figures(b.RTT, b.Most, 'f', 3)
	return fmt.Sprintf("%s RTT %s ms is above %s ms", name, got, most)
}

// thresholdText tells of each range that is broken.
func (b Breach) thresholdText(name string) string {
	var parts []string
	if r := b.Ranges.Loss; r != nil {
		parts = append(parts, fmt.Sprintf("%.6g%% loss is beyond %s %s%%", b.Percent, name, r.Text))
	}
	switch r := b.Ranges.RTA; {
	case r == nil:
	case b.Unmeasured:
		parts = append(parts, fmt.Sprintf("no RTT to hold against %s %s", name, r.Text))
	default:
		parts = append(parts, fmt.Sprintf("mean RTT %.3f ms is beyond %s %s", b.RTT, name, r.Text))
	}
	return strings.Join(parts, ", ")
}

// figures formats a figure and the limit that it breaks, with more digits if they would look the same.
func figures(got, most float64, format byte, precision int) (string, string) {
	a, b := strconv.FormatFloat(got, format, precision, 64), strconv.FormatFloat(most, format, precision, 64)
	if a == b {
		a, b = strconv.FormatFloat(got, format, -1, 64), strconv.FormatFloat(most, format, -1, 64)
	}
	return a, b
}
