// Package check runs the check of addresses and services from the sockets to the verdict: it feeds the events of a run
// to the statistics and to a renderer, looks for causes if a run is not well, and judges. It knows no flags.
package check

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"lping/ping"
	"lping/ping/report"
	"lping/platform"
	"lping/platform/diagnose"
	"lping/stats"
)

const (
	// silence is how long the first reply may take before somebody looks for a cause. On loopback it is there when send returns.
	silence = 20 * time.Millisecond
	// silenceAtEnd is what a service must have been silent for, at most, to be blamed in a run that was ended before its time.
	silenceAtEnd = 200 * time.Millisecond
)

// ErrInterrupted is the cause of a context that ends because the user wants to see the summary.
var ErrInterrupted = errors.New("interrupted")

// Config is what to check. Its zero value checks nothing.
type Config struct {
	// Targets are checked side by side. Address and Name must be set.
	Targets []report.Target
	Limits  stats.Limits
	// Renderer is told of the start and of every event, not of the end; nil shows nothing.
	Renderer report.Renderer
	// Buckets puts the RTTs in classes, too.
	Buckets bool
	// Quiet keeps events from the renderer.
	Quiet bool
	// Thorough looks at this host however well the run goes.
	Thorough bool
	// Exit says which exit status a verdict has.
	Exit stats.Scheme
}

// Check is one check: Start and then Run, each once.
type Check struct {
	config Config
	begun  time.Time
	// mu guards the jobs and the renderer: targets run side by side.
	mu   sync.Mutex
	jobs []*job
	// writeErr is the first failed write; stop ends the runs then.
	writeErr     error
	stop         context.CancelCauseFunc
	investigator investigator
	// patient says that nobody is to look for causes yet.
	patient bool
	// cut says that the run ended before all answers came that were waited for.
	cut bool
}

// job is the check of one target.
type job struct {
	target   report.Target
	pinger   *ping.Pinger
	recorder *stats.Recorder
	tally    tally
	// missing says that an answer has not come.
	missing bool
	trouble
	evidence diagnose.Evidence
	// openErr is why there is no socket, runErr why the run ended before its time.
	openErr, runErr error
}

// ErrNoTarget is the reason of a check without a target.
var ErrNoTarget = errors.New("no target to check")

// UncheckedError says that no target could be checked: this process may not, or the system failed.
type UncheckedError struct {
	Err error
	// Fix is what mends it here; empty if that is not known.
	Fix string
}

func (e *UncheckedError) Error() string { return e.Err.Error() }

// Unwrap gives the reason.
func (e *UncheckedError) Unwrap() error { return e.Err }

// New prepares a check.
func New(c Config) *Check {
	k := &Check{config: c, investigator: investigator{thorough: c.Thorough}}
	for _, t := range c.Targets {
		t.NoTTL = c.Quiet
		if t.Peers == nil {
			t.Peers = platform.Peers{}
		}
		if len(t.Sizes) > 0 {
			t.Size = slices.Max(t.Sizes) // what the evidence is about
		}
		j := &job{target: t}
		j.recorder = stats.NewRecorder(func(o stats.Outage) { k.outage(j, o) })
		k.jobs = append(k.jobs, j)
	}
	return k
}

// Status prints the state of the run, at any time.
func (k *Check) Status(w io.Writer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, j := range k.jobs {
		name := ""
		if len(k.jobs) > 1 {
			name = report.Address(report.Result{Target: j.target})
		}
		_ = report.Status(w, name, j.recorder.Summary()) // a status nobody can read is no reason to stop
	}
}

// Start opens the sockets, announces the targets, sends their first probes and reads what is there without waiting. It says
// whether anything is left to wait for: what a check that is over at once can do without, such as catching signals, can be
// done then.
func (k *Check) Start() (more bool) {
	k.begun = time.Now()
	for _, j := range k.jobs {
		if k.open(j); k.writeErr != nil {
			return false
		}
	}
	for _, j := range k.jobs {
		if j.pinger != nil {
			again, err := j.pinger.Start(k.listener(j))
			k.mu.Lock()
			j.runErr, more = err, more || again
			k.mu.Unlock()
		}
	}
	return more
}

// Run goes on after Start until all targets are done or ctx ends, and judges. If no target could be checked the error is an
// *UncheckedError, beside a report that says so; any other error is one of the renderer.
func (k *Check) Run(ctx context.Context) (report.Report, error) {
	defer k.close()
	if len(k.jobs) == 0 {
		return report.Report{ExitCode: k.config.Exit.Status(stats.Unknown, false), Unchecked: true}, &UncheckedError{Err: ErrNoTarget}
	}
	if err := k.runAll(ctx); err != nil {
		return report.Report{}, err
	}
	return k.report()
}

// probe is Start and Run without the judgement.
func (k *Check) probe(ctx context.Context) error {
	k.Start()
	return k.runAll(ctx)
}

// runAll runs all jobs to their end, side by side. The error is one of the renderer.
func (k *Check) runAll(ctx context.Context) error {
	if k.writeErr != nil {
		return k.writeErr
	}
	ctx, k.stop = context.WithCancelCause(ctx)
	defer k.stop(nil)
	var others sync.WaitGroup
	for _, j := range k.jobs[1:] {
		others.Go(func() { k.run(ctx, j) })
	}
	k.run(ctx, k.jobs[0])
	others.Wait()
	return k.writeErr
}

// glance is the verdict over all jobs before anybody looks for causes.
func (k *Check) glance() (v stats.Verdict, checked bool) {
	var list []judgement
	for _, j := range k.jobs {
		list = append(list, judge(k.outcome(j), k.config.Limits, nil))
	}
	return judgeAll(list)
}

// Evidence is what Run judged, one entry a target.
func (k *Check) Evidence() []diagnose.Evidence {
	var list []diagnose.Evidence
	for _, j := range k.jobs {
		list = append(list, j.evidence)
	}
	return list
}

// Facts are those about this host that Run read; only a thorough one always reads them.
func (k *Check) Facts() platform.Facts {
	for _, j := range k.jobs {
		if j.investigation != nil {
			return j.investigation.wait().facts
		}
	}
	return platform.Facts{}
}

// open opens the socket of a job and announces its run.
func (k *Check) open(j *job) {
	if j.pinger, j.openErr = ping.Open(j.target.Config); j.openErr != nil {
		k.investigate(j)
		return
	}
	s := j.pinger.Socket()
	j.target.Method, j.target.Stamps, j.target.Begun = s.Method, s.Stamps, time.Now()
	if j.target.ConnectsOnly() {
		j.target.Size = 0
	}
	if k.config.Renderer != nil {
		k.writeErr = k.config.Renderer.Start(j.target)
	}
}

func (k *Check) close() {
	for _, j := range k.jobs {
		if j.pinger != nil {
			j.pinger.Close()
		}
	}
}

// run runs one job to its end.
func (k *Check) run(ctx context.Context, j *job) {
	if j.pinger != nil && j.runErr == nil {
		k.ping(ctx, j)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	j.recorder.End()
	j.ended = true
}

// ping sends the probes of a job, and looks for a cause if no reply comes at first.
func (k *Check) ping(ctx context.Context, j *job) {
	if j.recorder.Received() == 0 {
		over := make(chan struct{})
		silent := time.AfterFunc(j.silence(), func() {
			defer close(over)
			k.mu.Lock()
			defer k.mu.Unlock()
			if j.recorder.Received() == 0 {
				j.missing = true
				k.investigate(j)
			}
		})
		defer func() {
			if !silent.Stop() {
				<-over
			}
		}()
	}
	err := j.pinger.Run(ctx, k.listener(j))
	k.mu.Lock() // an investigation may look at what is known
	defer k.mu.Unlock()
	j.runErr = err
}

// listener passes the events of a job on to those who want them.
func (k *Check) listener(j *job) func(ping.Event) {
	return func(e ping.Event) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.event(j, &e)
	}
}

// event takes in an event. The statistics come last: what they tell of an outage rests on the tally, and follows on the event.
func (k *Check) event(j *job, e *ping.Event) {
	troubled := false
	switch e.Kind {
	case ping.SendError, ping.Timeout, ping.Corrupt:
		j.tally.event(e)
		j.missing = j.missing || e.Kind != ping.Corrupt
		troubled = true
	case ping.ClockStep, ping.Sent, ping.Late:
		j.tally.event(e)
	case ping.Reply:
		if e.Answer != nil {
			j.tally.event(e)
		}
	case ping.NoAnswer:
		troubled = e.Time.Sub(j.tally.sent) >= j.silence()
		j.missing = j.missing || troubled
	}
	if !k.config.Quiet {
		k.show(func(r report.Renderer) error { return r.Event(j.target, *e) })
	}
	report.Record(j.recorder, e)
	over := e.Kind == ping.Timeout && j.latest.Lost > 0 && !j.latest.Lasts() // answers to later probes came before
	if troubled && (!over || j.investigation == nil) {
		k.investigate(j)
	}
}

// silence is how long the first reply may take before somebody looks for a cause. A service may have more to do: nobody asks it
// again before its time is over.
func (j *job) silence() time.Duration {
	if j.target.Port != 0 {
		return cmp.Or(j.target.Timeout, ping.DefaultTimeout)
	}
	return silence
}

// report judges all jobs.
func (k *Check) report() (report.Report, error) {
	r := report.Report{Begun: k.begun}
	var list []judgement
	for _, j := range k.jobs {
		result, verdict := k.result(j)
		r.Results, list = append(r.Results, result), append(list, verdict)
	}
	verdict, checked := judgeAll(list)
	r.Verdict, r.ByNeed, r.Unchecked = verdict, byNeed(list), !checked
	r.ExitCode = k.config.Exit.Status(verdict, checked)
	if checked {
		return r, nil
	}
	return r, &UncheckedError{Err: list[0].failure, Fix: firstFix(r.Results[0].Findings)}
}

// firstFix is how to mend the most basic error.
func firstFix(list []diagnose.Finding) string {
	for _, f := range list {
		if f.Fix != "" && isError(f) {
			return f.Fix
		}
	}
	return ""
}

// result is how the check of one target ended, and the judgement over it.
func (k *Check) result(j *job) (report.Result, judgement) {
	o := k.outcome(j)
	before, _ := o.measure(k.config.Limits)
	findings := k.diagnose(j, o, before)
	verdict := judge(o, k.config.Limits, findings)
	r := report.Result{
		Target: j.target, Summary: o.summary, Verdict: verdict.verdict, Cause: verdict.cause, Reason: verdict.reason,
		Findings: findings, Excused: verdict.excused,
	}
	if !verdict.excused {
		r.ExitCode = k.config.Exit.Status(verdict.verdict, verdict.failure == nil)
	}
	if k.config.Buckets {
		r.Buckets = j.recorder.Buckets()
	}
	return r, verdict
}

// diagnose says why a run was not well, as far as the limits go. If they are kept, nobody looks for more than what a name may
// hide, unless the check is thorough, or nothing was answered and the limits allow it.
func (k *Check) diagnose(j *job, o outcome, v stats.Verdict) []diagnose.Finding {
	c := k.config
	j.evidence = j.gather(o.summary, v)
	if j.evidence.LooksSlow() || c.Thorough && j.evidence.Kernel != nil {
		j.evidence.Pace = platform.ReadPace("/")
	}
	well := v == stats.Healthy && !j.evidence.Unanswered() && !c.Thorough
	if well && !j.evidence.Suspicious() {
		return j.diagnoseName()
	}
	if well && j.evidence.Delayed() && !j.named() && j.investigation == nil {
		return diagnose.Diagnose(platform.ReadLimits("/"), j.evidence)
	}
	if j.investigation == nil {
		k.investigate(j)
	}
	if j.about.Lost == 0 {
		j.about = o.summary.Latest
	}
	list := j.diagnose(j.evidence)
	if !j.evidence.LossAllowed {
		list = j.withPast(list)
	}
	if v == stats.Healthy && !c.Thorough {
		list = slices.DeleteFunc(list, func(f diagnose.Finding) bool {
			return f.Code == diagnose.HostsLocalhost && !j.named() || f.Code == diagnose.PortSilent // which the limits allow
		})
	}
	return list
}
