// Package check runs the check of one or two addresses from the sockets to the verdict: it feeds the events of a run
// to the statistics and to a renderer, looks for causes where a run is not well, and judges. It knows no flags.
package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"lping/ping"
	"lping/ping/report"
	"lping/platform"
	"lping/platform/diagnose"
	"lping/stats"
)

// silence is how long the first reply may take before there is reason to look for a cause: on loopback an answer is
// there when send returns.
const silence = 20 * time.Millisecond

// ErrInterrupted is the cause of a context that ends because the user wants to see the summary.
var ErrInterrupted = errors.New("interrupted")

// Config is what to check.
type Config struct {
	// Ping is what all targets have in common; its Address is not used.
	Ping ping.Config
	// Targets are checked side by side. Address and Name must be set; New takes the rest from Ping.
	Targets []report.Target
	Limits  stats.Limits
	// Renderer is told of the start and of every event, not of the end; nil shows nothing.
	Renderer report.Renderer
	// Buckets puts the RTTs in classes, too.
	Buckets bool
	// Quiet keeps events from the renderer.
	Quiet bool
	// Asked says that the user wants each target to be there. Where it is not set, a family that is switched off is a
	// fact and no fault.
	Asked bool
	// Any says that one target which answers is enough: what is wrong with another then degrades.
	Any bool
	// Thorough looks at this host however well the run goes.
	Thorough bool
	// Lasting, where set, is called once, before anything is shown, if the check is not sure to be over at once; the
	// result is called when it is over. It is for what a check of one probe can do without, such as catching signals.
	Lasting func() (done func())
	// Exit says which exit status a verdict has.
	Exit stats.Scheme
}

// Check is one check. Run may be called once.
type Check struct {
	config Config
	// mu holds the jobs and the renderer: targets run side by side.
	mu   sync.Mutex
	jobs []*job
	// writeErr is the first failed write; it ends the run.
	writeErr error
	stop     context.CancelCauseFunc
	// done undoes what Config.Lasting did; nil before.
	done func()
	// lookout looks for causes, for all jobs.
	lookout lookout
}

// job is the check of one target.
type job struct {
	target   report.Target
	config   ping.Config
	pinger   *ping.Pinger
	recorder *stats.Recorder
	tally    tally
	// look gives what was found out about this host; nil while nobody looked.
	look     func() findings
	evidence diagnose.Evidence
	// impatience is the timer for the first reply.
	impatience *time.Timer
	// openErr is why there is no socket, runErr why the run ended before its time.
	openErr, runErr error
}

// UncheckedError says that no target could be checked: this process may not, or the system failed.
type UncheckedError struct {
	Err error
	// Fix is what mends it here; empty where that is not known.
	Fix string
}

func (e *UncheckedError) Error() string { return e.Err.Error() }

// Unwrap gives the reason.
func (e *UncheckedError) Unwrap() error { return e.Err }

// New prepares a check.
func New(c Config) *Check {
	k := &Check{config: c}
	for _, t := range c.Targets {
		config := c.Ping
		config.Address, config.NoTTL = t.Address, c.Quiet
		if len(config.Sizes) > 0 {
			config.Size = slices.Max(config.Sizes) // what the evidence is about
		}
		t.Size, t.Sizes, t.Pattern, t.Port = config.Size, config.Sizes, config.Pattern, config.Port
		t.Source, t.Interface, t.Proto = config.Source, config.Interface, config.Proto
		k.jobs = append(k.jobs, &job{target: t, config: config, recorder: stats.NewRecorder()})
	}
	return k
}

// Status prints the state of the run, at any time.
func (k *Check) Status(w io.Writer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, j := range k.jobs {
		_ = report.Status(w, j.recorder.Summary()) // a status nobody can read is no reason to stop
	}
}

// Run opens the sockets, runs all jobs and judges. Where no target could be checked the error is an *UncheckedError,
// beside a report that says so; any other error is one of the renderer.
func (k *Check) Run(ctx context.Context) (report.Report, error) {
	ctx, k.stop = context.WithCancelCause(ctx)
	defer k.stop(nil)
	defer k.close()
	defer func() {
		if k.done != nil {
			k.done()
		}
	}()
	if c := k.config.Ping; c.Count != 1 || c.Deadline > 0 {
		k.prepare()
	}
	if err := k.open(ctx); err != nil {
		return report.Report{}, err
	}
	var others sync.WaitGroup
	for _, j := range k.jobs[1:] {
		others.Go(func() { k.run(ctx, j) })
	}
	k.run(ctx, k.jobs[0])
	others.Wait()
	if k.writeErr != nil {
		return report.Report{}, k.writeErr
	}
	return k.report(ctx)
}

// Evidence is what Run judged, a target each.
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
		if j.look != nil {
			return j.look().facts
		}
	}
	return platform.Facts{}
}

// open opens the sockets and announces the runs that will be.
func (k *Check) open(ctx context.Context) error {
	for _, j := range k.jobs {
		if j.pinger, j.openErr = ping.Open(j.config); j.openErr != nil {
			k.startLook(ctx, j)
			continue
		}
		s := j.pinger.Socket()
		j.target.Method, j.target.Stamps = s.Method, s.Stamps
		if s.Method == ping.MethodTCP && j.target.Port != 0 {
			j.target.Size = 0
		}
		if k.config.Renderer == nil {
			continue
		}
		if err := k.config.Renderer.Start(j.target); err != nil {
			return err
		}
	}
	return nil
}

func (k *Check) close() {
	for _, j := range k.jobs {
		if j.pinger != nil {
			j.pinger.Close()
		}
	}
}

// run runs one job, and starts to look for a cause where no reply comes.
func (k *Check) run(ctx context.Context, j *job) {
	if j.pinger == nil {
		return
	}
	emit := func(e ping.Event) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.event(ctx, j, &e)
	}
	more := true
	if ctx.Err() == nil {
		more, j.runErr = j.pinger.Start(emit)
	}
	if more {
		k.last(ctx, j)
		j.runErr = j.pinger.Run(ctx, emit)
	}
	if j.impatience != nil {
		j.impatience.Stop()
	}
}

// lookIfSilent starts to look for a cause where no reply came so far.
func (k *Check) lookIfSilent(ctx context.Context, j *job) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !j.recorder.Answered() {
		k.startLook(ctx, j)
	}
}

// event passes an event on to those who want it.
func (k *Check) event(ctx context.Context, j *job, e *ping.Event) {
	record(j.recorder, e)
	switch e.Kind {
	case ping.SendError, ping.Timeout, ping.Corrupt:
		k.startLook(ctx, j)
		j.tally.event(e)
	case ping.ClockStep:
		j.tally.event(e)
	case ping.NoAnswer:
		if e.Time.Sub(j.tally.sent) >= silence {
			k.startLook(ctx, j)
		}
	case ping.Sent:
		j.tally.event(e)
	}
	if k.writeErr != nil || k.config.Quiet || k.config.Renderer == nil {
		return
	}
	if err := k.config.Renderer.Event(j.target, *e); err != nil {
		k.writeErr = err
		k.stop(err)
	}
}

// last prepares for a run that is not over at once.
func (k *Check) last(ctx context.Context, j *job) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.prepare()
	j.impatience = time.AfterFunc(silence, func() { k.lookIfSilent(ctx, j) })
}

func (k *Check) prepare() {
	if k.done == nil && k.config.Lasting != nil {
		k.done = k.config.Lasting()
	}
}

// startLook starts to look for causes beside the run, unless that was done before.
func (k *Check) startLook(ctx context.Context, j *job) {
	if j.look == nil {
		k.prepareLook(ctx, j)
		go j.look()
	}
}

// prepareLook says how to look for causes. An interrupt does not stop it: it takes less than a person notices.
func (k *Check) prepareLook(ctx context.Context, j *job) {
	ctx, config, method := context.WithoutCancel(ctx), j.config, j.target.Method
	j.look = sync.OnceValue(func() findings { return k.lookout.look(ctx, config, method) })
}

// report judges all jobs.
func (k *Check) report(ctx context.Context) (report.Report, error) {
	r := report.Report{Verdict: stats.Healthy}
	checked, answers := false, false
	for _, j := range k.jobs {
		result, failure, counts := k.judge(ctx, j)
		r.Results = append(r.Results, result)
		if counts {
			r.Verdict = stats.Worse(r.Verdict, result.Verdict)
		}
		checked = checked || failure == nil
		answers = answers || result.Verdict == stats.Healthy || result.Verdict == stats.Degraded
	}
	if k.config.Any && answers && r.Verdict != stats.Healthy {
		r.Verdict = stats.Degraded
	}
	r.ExitCode, r.Unchecked = k.config.Exit.Status(r.Verdict, checked), !checked
	if checked {
		return r, nil
	}
	return r, &UncheckedError{Err: k.jobs[0].failure(), Fix: firstFix(r.Results[0].Findings)}
}

// firstFix is how to mend the most basic error.
func firstFix(list []diagnose.Finding) string {
	for _, f := range list {
		if f.Fix != "" && f.Severity == diagnose.Error {
			return f.Fix
		}
	}
	return ""
}

// failure is why the job could not check its target; nil where it did, even if in vain.
func (j *job) failure() error {
	var open *ping.OpenError
	switch {
	case errors.As(j.openErr, &open) && (open.NoAddress() || open.NoPort()):
		return nil
	case j.openErr != nil:
		return j.openErr
	case errors.Is(j.runErr, ErrInterrupted):
		return nil
	}
	return j.runErr
}

// judge gives the result of one target, why it could not be checked, and whether it counts: a family that nobody asked
// for may be switched off.
func (k *Check) judge(ctx context.Context, j *job) (r report.Result, failure error, counts bool) {
	c := k.config
	r = report.Result{Target: j.target, Summary: j.recorder.Summary()}
	if c.Buckets {
		r.Buckets = j.recorder.Buckets()
	}
	r.Verdict, r.Cause = c.Limits.Judge(r.Summary)
	if j.target.Port != 0 && j.target.Method == ping.MethodUDP {
		r.Cause = strings.Replace(r.Cause, " probes lost", " probes open or silent", 1) // a service need not answer
	}
	if errnos := j.tally.errnos(); errnos != "" && strings.HasSuffix(r.Cause, " refused") {
		r.Cause += " (" + errnos + ")"
	}
	failure = j.failure()
	if err := cmp.Or(failure, j.openErr); err != nil {
		r.Verdict, r.Cause = stats.Unhealthy, err.Error()
	}
	if r.Verdict == stats.Healthy && j.unfinished(r.Summary) {
		r.Verdict = stats.Unhealthy
		r.Cause = fmt.Sprintf("%d of %d replies by the deadline", r.Summary.Received, j.config.Count)
	}
	r.Findings = k.diagnose(ctx, j, r.Verdict)
	r.Verdict, r.Cause = weigh(r.Verdict, r.Cause, r.Findings)
	r.Cause = cmp.Or(j.evidence.Sweep, r.Cause) // even where the limits allow it
	if !c.Asked && r.Summary.Received == 0 && excused(r.Findings) {
		if r.Verdict, r.Cause = weigh(stats.Healthy, "", r.Findings); r.Verdict == stats.Healthy {
			r.Verdict, r.Cause = stats.Unknown, r.Findings[0].Cause
			return r, failure, false
		}
	}
	if diagnose.Absent(r.Findings) {
		failure = nil // there is nothing to check: that is an answer
	}
	r.ExitCode = c.Exit.Status(r.Verdict, failure == nil)
	return r, failure, true
}

// unfinished says that a deadline came before the replies that were asked for, which ping calls a failure, too.
func (j *job) unfinished(s stats.Summary) bool {
	return j.config.Deadline > 0 && s.Received < j.config.Count && j.runErr == nil
}

// excused says that there are findings, and none is an error.
func excused(list []diagnose.Finding) bool {
	for _, f := range list {
		if f.Severity == diagnose.Error {
			return false
		}
	}
	return len(list) > 0
}

// diagnose says why a run was not well. Of a healthy one nobody looks for more than what its name may hide, unless asked
// to be thorough, or nothing was answered and the limits allow it.
func (k *Check) diagnose(ctx context.Context, j *job, v stats.Verdict) []diagnose.Finding {
	c := k.config
	j.evidence = j.ownEvidence()
	j.evidence.Asked, j.evidence.Named = c.Asked, !j.literal()
	j.evidence.LossAllowed = v == stats.Healthy || v == stats.Degraded
	well := v == stats.Healthy && !j.evidence.Unanswered() && !c.Thorough
	if well && !j.evidence.Suspicious() {
		return j.diagnoseName()
	}
	if well && j.evidence.Delayed() && j.literal() && j.look == nil {
		return diagnose.Diagnose(platform.ReadLimits("/"), j.evidence)
	}
	if j.look == nil {
		k.prepareLook(ctx, j)
	}
	found := j.look()
	found.addTo(&j.evidence)
	list := diagnose.Diagnose(found.facts, j.evidence)
	if v == stats.Healthy && !c.Thorough {
		list = slices.DeleteFunc(list, func(f diagnose.Finding) bool {
			return f.Code == diagnose.HostsLocalhost && j.literal() || f.Code == diagnose.PortSilent // which the limits allow
		})
	}
	return list
}

// literal says that the target was asked for by its address, so that no name is to blame.
func (j *job) literal() bool {
	_, err := netip.ParseAddr(j.target.Name)
	return err == nil
}

// diagnoseName finds out whether other programs would have come to the same address by the name that was asked for.
func (j *job) diagnoseName() []diagnose.Finding {
	if j.literal() {
		return nil
	}
	list := diagnose.Diagnose(platform.ReadNames("/"), j.evidence)
	return slices.DeleteFunc(list, func(f diagnose.Finding) bool { return f.Code != diagnose.HostsLocalhost })
}

// ownEvidence is what the run itself showed.
func (j *job) ownEvidence() diagnose.Evidence {
	e := j.tally.evidence(j.target, j.config, j.recorder.Summary())
	open, _ := errors.AsType[*ping.OpenError](j.openErr)
	if j.pinger != nil {
		open = j.pinger.Socket().Denied
		e.Silent = j.pinger.Waiting(silence)
		if n, ok := j.pinger.QueueDrops(); ok {
			e.QueueDrops = platform.Know(n)
		}
	}
	if open != nil {
		e.Datagram, e.Raw = errnoName(open.Dgram), errnoName(open.Raw)
		e.Stream = errnoName(cmp.Or(open.UDP, open.TCP))
	}
	return e
}

// weigh lets findings make a verdict worse: an error unhealthy, a warning degraded.
func weigh(v stats.Verdict, cause string, list []diagnose.Finding) (stats.Verdict, string) {
	for _, f := range list {
		worse := stats.Healthy
		switch f.Severity {
		case diagnose.Error:
			worse = stats.Unhealthy
		case diagnose.Warning:
			worse = stats.Degraded
		}
		if stats.Worse(v, worse) != v {
			v, cause = worse, f.Cause
		}
	}
	return v, cause
}
