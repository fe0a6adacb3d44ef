package stats

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

// breach is the breach of this kind that the ranges make of a run. An RTT that could not be measured breaks any range.
func (t Threshold) breach(kind BreachKind, s Summary) Breach {
	b := Breach{Percent: s.LossPercent, RTT: millis(s.RTT.Mean), Unmeasured: s.RTT.Count == 0}
	if t.Loss != nil && t.Loss.alerts(s.LossPercent) {
		b.Kind, b.Ranges.Loss = kind, t.Loss
	}
	if t.RTA != nil && (b.Unmeasured || t.RTA.alerts(b.RTT)) {
		b.Kind, b.Ranges.RTA = kind, t.RTA
	}
	return b
}
