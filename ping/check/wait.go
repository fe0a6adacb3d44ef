package check

import (
	"context"
	"io"
	"sync"
	"time"

	"lping/ping"
	"lping/ping/report"
	"lping/platform/diagnose"
	"lping/stats"
)

// The pause after an attempt that failed; it doubles each time.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
)

// Wait is a check that is made again and again until all is well, each time from the start: Start and then Run, each once.
type Wait struct {
	config Config
	limit  time.Duration
	begun  time.Time
	// mu guards now, which is the latest attempt; nil before the first.
	mu  sync.Mutex
	now *Check
}

// NewWait prepares a check that is over when all is well, or after limit. What failed before does not count: the renderer is
// told of the last attempt alone, when it is over.
func NewWait(c Config, limit time.Duration) *Wait { return &Wait{config: c, limit: limit} }

// Start begins to count the time. There is always more to do.
func (w *Wait) Start() (more bool) {
	w.begun = time.Now()
	return true
}

// Status prints the state of the latest attempt.
func (w *Wait) Status(out io.Writer) {
	w.mu.Lock()
	k := w.now
	w.mu.Unlock()
	if k != nil {
		k.Status(out)
	}
}

// Run makes attempts until one is well, the limit has passed, which ends the attempt that is under way, or ctx ends, and judges
// the last one as Check.Run does.
func (w *Wait) Run(ctx context.Context) (report.Report, error) {
	end := w.begun.Add(w.limit)
	ctx, cancel := context.WithDeadlineCause(ctx, end, ErrInterrupted)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		told := &tape{}
		k := w.attempt(told, time.Until(end) > w.longest())
		if err := k.probe(ctx); err != nil {
			return report.Report{}, err
		}
		k.cut = ctx.Err() != nil
		verdict, checked := k.glance()
		well := verdict == stats.Healthy || verdict == stats.Degraded
		if well || !checked || k.cut || !rest(ctx, pause) {
			return w.conclude(k, told)
		}
		k.close()
	}
}

// longest is the time that an attempt may take and the pause before the next one. In the last attempt causes are looked for.
func (w *Wait) longest() (most time.Duration) {
	for _, t := range w.config.Targets {
		most = max(most, t.Longest())
	}
	return most + lastPause
}

// attempt is the check that comes next. A patient one looks for no cause.
func (w *Wait) attempt(told *tape, patient bool) *Check {
	c := w.config
	c.Renderer = told
	k := New(c)
	k.patient = patient
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = k
	return k
}

// rest waits, and reports false if ctx ended.
func rest(ctx context.Context, pause time.Duration) bool {
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
	return ctx.Err() == nil
}

// conclude judges the last attempt, and tells the renderer of it.
func (w *Wait) conclude(k *Check, told *tape) (report.Report, error) {
	defer k.close()
	waited := time.Since(w.begun)
	k.patient = false
	r, err := k.report()
	if w.config.Renderer != nil {
		if err := told.play(w.config.Renderer); err != nil {
			return report.Report{}, err
		}
	}
	r.Waited = waited
	return r, err
}

// tape is a renderer that keeps what it is told, and tells another one later.
type tape struct{ calls []func(report.Renderer) error }

// Start keeps a target.
func (t *tape) Start(target report.Target) error {
	return t.keep(func(to report.Renderer) error { return to.Start(target) })
}

// Event keeps an event.
func (t *tape) Event(target report.Target, e ping.Event) error {
	return t.keep(func(to report.Renderer) error { return to.Event(target, e) })
}

// Finding keeps a finding.
func (t *tape) Finding(target report.Target, f diagnose.Finding) error {
	return t.keep(func(to report.Renderer) error { return to.Finding(target, f) })
}

// Outage keeps an outage.
func (t *tape) Outage(target report.Target, o report.Outage) error {
	return t.keep(func(to report.Renderer) error { return to.Outage(target, o) })
}

// Finish keeps nothing: the end is told by who has the report.
func (t *tape) Finish(report.Report) error { return nil }

func (t *tape) keep(call func(report.Renderer) error) error {
	t.calls = append(t.calls, call)
	return nil
}

// play tells a renderer.
func (t *tape) play(to report.Renderer) error {
	for _, call := range t.calls {
		if err := call(to); err != nil {
			return err
		}
	}
	return nil
}
