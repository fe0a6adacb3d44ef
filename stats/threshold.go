package stats

import (
	"fmt"
	"strings"
)

// Range is one of the Nagios plug-in guidelines: a value outside Low to High, or with Inside one from Low to High, is an
// alert. Text is how it was written.
type Range struct {
	Low, High float64
	Inside    bool
	Text      string
}

func (r Range) alerts(v float64) bool { return (v < r.Low || v > r.High) != r.Inside }

// Threshold is a pair of ranges: RTA for the mean RTT in ms, Loss for Summary.LossPercent. A nil one holds nothing.
type Threshold struct{ RTA, Loss *Range }

// broken says which range a run breaks, and how; empty where it breaks none. name is what the threshold is called. An
// RTT that could not be measured breaks any range.
func (t Threshold) broken(name string, s Summary) string {
	var parts []string
	if t.Loss != nil && t.Loss.alerts(s.LossPercent) {
		parts = append(parts, fmt.Sprintf("%.6g%% loss is beyond %s %s%%", s.LossPercent, name, t.Loss.Text))
	}
	switch {
	case t.RTA == nil:
	case s.RTT.Count == 0:
		parts = append(parts, "no RTT to hold against "+name+" "+t.RTA.Text)
	case t.RTA.alerts(millis(s.RTT.Mean)):
		parts = append(parts, fmt.Sprintf("mean RTT %.3f ms is beyond %s %s", millis(s.RTT.Mean), name, t.RTA.Text))
	}
	return strings.Join(parts, ", ")
}
