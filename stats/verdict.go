package stats

// Verdict is the judgement over a run. The order is not a ranking; see Worse.
type Verdict uint8

const (
	Unknown   Verdict = iota // nothing was decided
	Healthy                  //
	Degraded                 // usable, with a warning
	Unhealthy                // a threshold is broken
)
