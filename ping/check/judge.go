package check

import (
	"cmp"
	"errors"
	"slices"

	"lping/ping"
	"lping/ping/report"
	"lping/platform/diagnose"
	"lping/stats"
)

// outcome is what is known of one target when its run is over, before anyone looks for causes.
type outcome struct {
	summary stats.Summary
	// openErr is why there is no socket, runErr why the run ended before its time.
	openErr, runErr error
	// count is how many replies were asked for by a deadline; 0 without one.
	count uint64
	// errnos are what the system said to the sends that it refused.
	errnos []string
	// answers says that the target is a service that is asked for something.
	answers bool
	// mayBeSilent says that the target is a service that need not answer.
	mayBeSilent bool
	// sweep says at which size a sweep failed first; empty if none did. sweeping says that there is one.
	sweep    string
	sweeping bool
	// lasted says that the run lasted, or told of an outage meanwhile, so that the verdict counts them.
	lasted bool
	// asked says that the user wants this target to be there.
	asked bool
	// choice is that of the target: one of those with the same number is enough; 0 is no choice. required says that it is not.
	choice   int
	required bool
}

// outcome is what is to be judged of a job whose run is over.
func (k *Check) outcome(j *job) outcome {
	o := outcome{
		summary: j.recorder.Summary(), openErr: j.openErr, runErr: j.runErr, errnos: j.tally.errnos(), asked: !j.target.Optional,
		choice:      j.target.Choice,
		required:    j.target.Required,
		answers:     j.target.Echo || j.target.Proto == ping.ProtoHTTP,
		mayBeSilent: j.target.Port != 0 && j.target.Method == ping.MethodUDP,
		sweep:       j.tally.sweep(j.target.Config), sweeping: len(j.target.Sizes) > 0,
	}
	o.lasted = j.told || o.summary.Duration > brief
	if j.target.Deadline > 0 || k.cut {
		o.count = j.target.Count
	}
	if k.cut && errors.Is(o.runErr, ErrInterrupted) {
		o.runErr = nil // the end of the time that there was
	}
	return o
}

// judgement is the verdict over one target.
type judgement struct {
	verdict stats.Verdict
	cause   report.Cause
	reason  report.Reason
	// failure is why the target could not be checked; nil if it was, even in vain.
	failure error
	// excused says that the target is no part of the verdict over all: nobody asked for it, and it is switched off.
	excused bool
	// choice is that of the target; required says that the others of it are not enough.
	choice   int
	required bool
}

// judge weighs what happened against the limits and what was found. It changes nothing, and depends on nothing else.
func judge(o outcome, l stats.Limits, findings []diagnose.Finding) judgement {
	verdict, cause := o.measure(l)
	j := judgement{failure: o.failure(), choice: o.choice, required: o.required}
	j.verdict, j.cause = weigh(verdict, cause, findings)
	if o.sweep != "" { // of interest even if the limits allow the loss
		j.cause = report.Sweep(o.sweep)
	}
	if o.pardoned(findings) {
		if j.verdict, j.cause = weigh(stats.Healthy, nil, findings); j.verdict == stats.Healthy {
			j.verdict, j.cause, j.excused = stats.Unknown, report.Found{Finding: findings[0]}, true
		}
	}
	if diagnose.Absent(findings) {
		j.failure = nil // there is nothing to check: that is an answer
	}
	if diagnose.Denied(findings) && o.openErr != nil {
		j.failure = o.openErr // whatever the policy calls that
	}
	j.reason = chooseReason(j.cause, findings, o.sweeping)
	return j
}

// measure holds the run against the limits and its deadline. An error that kept it from being a run makes it unhealthy.
func (o outcome) measure(l stats.Limits) (stats.Verdict, report.Cause) {
	if err := cmp.Or(o.failure(), o.openErr); err != nil {
		return stats.Unhealthy, report.Failure{Err: err}
	}
	verdict, breach := l.Judge(o.summary)
	switch {
	case breach.Kind != stats.NoBreach:
		b := report.Breach{Breach: breach, Errnos: o.errnos, MayBeSilent: o.mayBeSilent, Answers: o.answers}
		if o.lasted {
			b.Outages, b.Longest = o.summary.Outages, o.summary.Longest.Length
		}
		return verdict, b
	case o.summary.Received < o.count && o.runErr == nil:
		return stats.Unhealthy, report.Unfinished{Received: o.summary.Received, Count: o.count}
	}
	return verdict, nil
}

// failure is why the target could not be checked; nil if it was, even in vain.
func (o outcome) failure() error {
	var open *ping.OpenError
	switch {
	case errors.As(o.openErr, &open) && (open.NoAddress() || open.NoPort()):
		return nil
	case o.openErr != nil:
		return o.openErr
	case errors.Is(o.runErr, ErrInterrupted):
		return nil
	}
	return o.runErr
}

// pardoned says that nobody asked for a target which did not answer, and that nothing found about it is an error.
func (o outcome) pardoned(findings []diagnose.Finding) bool {
	return !o.asked && o.summary.Received == 0 && len(findings) > 0 && !slices.ContainsFunc(findings, isError)
}

func isError(f diagnose.Finding) bool { return f.Severity == diagnose.Error }

// weigh lets findings make a verdict worse: an error unhealthy, a warning degraded.
func weigh(v stats.Verdict, cause report.Cause, findings []diagnose.Finding) (stats.Verdict, report.Cause) {
	for _, f := range findings {
		worse := stats.Healthy
		switch f.Severity {
		case diagnose.Error:
			worse = stats.Unhealthy
		case diagnose.Warning:
			worse = stats.Degraded
		}
		if stats.Worse(v, worse) != v {
			v, cause = worse, report.Found{Finding: f}
		}
	}
	return v, cause
}

// chooseReason is the first of the most severe findings, if it can be a reason, else the cause alone.
func chooseReason(cause report.Cause, findings []diagnose.Finding, sweeping bool) report.Reason {
	at := -1
	for i, f := range findings {
		if at < 0 || f.Severity > findings[at].Severity {
			at = i
		}
	}
	if at < 0 || findings[at].Severity == diagnose.Info && cause != nil {
		return report.Reason{Cause: cause}
	}
	r := report.Reason{Finding: &findings[at], Cause: report.Found{Finding: findings[at]}}
	switch {
	case cause == nil:
	case r.Finding.Cause == diagnose.NoCause:
		r.Cause = cause // says more than that no rule knows it
	case sweeping && cause.String() != r.Finding.Cause:
		r.Cause = report.Explained{What: cause, Why: r.Cause} // at which size comes first
	}
	return r
}

// judgeAll is the verdict over all targets, and whether any of them could be checked. Of a choice one target that answers is
// enough: what is wrong with another degrades.
func judgeAll(list []judgement) (v stats.Verdict, checked bool) {
	v = stats.Healthy
	for _, j := range list {
		checked = checked || j.failure == nil
		switch {
		case j.excused:
		case !j.well() && !j.required && slices.ContainsFunc(list, func(other judgement) bool {
			return other.choice != 0 && other.choice == j.choice && other.well()
		}):
			v = stats.Worse(v, stats.Degraded)
		default:
			v = stats.Worse(v, j.verdict)
		}
	}
	return v, checked
}

// well says that the target answers as it should, or nearly so.
func (j judgement) well() bool { return j.verdict == stats.Healthy || j.verdict == stats.Degraded }

// byNeed are the places of the judgements in the order in which they need attention: the worst verdict first, and of one
// verdict the most basic cause, those without a finding last.
func byNeed(list []judgement) []int {
	places := make([]int, len(list))
	for i := range places {
		places[i] = i
	}
	slices.SortStableFunc(places, func(a, b int) int {
		return cmp.Or(list[b].verdict.Rank()-list[a].verdict.Rank(), list[a].basis()-list[b].basis())
	})
	return places
}

// basis is how basic the finding is that explains a judgement, 0 for the most basic.
func (j judgement) basis() int {
	if j.reason.Finding == nil {
		return diagnose.Place("")
	}
	return diagnose.Place(j.reason.Finding.Code)
}
