package report

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"

	"lping/ping"
	"lping/platform/diagnose"
	"lping/stats"
)

const (
	// frameTime is the time between two frames.
	frameTime = 100 * time.Millisecond
	// columnTime is what a column of a chart stands for, unless the probes are farther apart.
	columnTime = 500 * time.Millisecond
	// maxColumns is how many a chart remembers: as many as the widest terminal shows.
	maxColumns = 512
)

// What a terminal understands (ECMA-48, and the private modes of xterm): another screen without a cursor, and back.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	clearScreen = "\x1b[2J"
	toLineEnd   = "\x1b[K"
)

// live draws a chart of each target while the run lasts. At its end it writes what quiet text is.
type live struct {
	// mu guards all below: frames are drawn beside the events.
	mu    sync.Mutex
	w     io.Writer
	o     Options
	after Renderer
	panes []*pane
	begun time.Time
	// last is the latest frame, of the size width and height.
	last          []byte
	width, height int
	err           error
	stop          chan struct{}
	drawer        sync.WaitGroup
}

// pane is what is shown of one target.
type pane struct {
	target   Target
	recorder *stats.Recorder
	// columns are a ring: the column of a time is at its number modulo their length. newest is the number of the latest.
	columns [maxColumns]column
	newest  int
	each    time.Duration
	// rtt is that of the latest answer. silent is when the first probe failed that no answer followed; zero if one did.
	rtt    time.Duration
	silent time.Time
	// cause is why no answer comes, as far as it is known; fix mends it.
	cause, fix string
}

// column is what happened in a part of the run.
type column struct {
	// worst is the longest RTT; 0 if no answer came.
	worst time.Duration
	lost  bool
}

// NewLive is the chart on a terminal, whose size o.Size tells.
func NewLive(w io.Writer, o Options) Renderer {
	quiet := o
	quiet.Quiet = true
	return &live{w: w, o: o, after: NewText(w, quiet), stop: make(chan struct{})}
}

// Start shows a target. The first one changes the screen.
func (l *live) Start(t Target) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.begun.IsZero() {
		l.begun = time.Now()
		if _, l.err = io.WriteString(l.w, enterScreen); l.err != nil {
			return l.err
		}
		l.drawer.Go(l.draw)
	}
	return l.add(t)
}

func (l *live) add(t Target) error {
	l.panes = append(l.panes, &pane{target: t, recorder: stats.NewRecorder(nil), each: max(columnTime, t.Interval)})
	return l.err
}

// Event enters what happened.
func (l *live) Event(t Target, e ping.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.pane(t); p != nil {
		p.event(&e, e.Time.Sub(l.begun))
	}
	return l.err
}

// pane is that of a target; nil if it has none.
func (l *live) pane(t Target) *pane {
	for _, p := range l.panes {
		if p.target.Address == t.Address && p.target.Port == t.Port && p.target.Proto == t.Proto && p.target.Path == t.Path {
			return p
		}
	}
	return nil
}

// Finding shows why no answer comes. The first one is the most basic.
func (l *live) Finding(t Target, f diagnose.Finding) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.pane(t); p != nil && p.cause == "" && f.Severity == diagnose.Error {
		p.cause, p.fix = Clean(f.Cause), Clean(f.Fix)
	}
	return l.err
}

// Outage takes the cause away: answers come again.
func (l *live) Outage(t Target, _ Outage) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.pane(t); p != nil {
		p.cause, p.fix = "", ""
	}
	return l.err
}

// event enters what happened at a time after the start.
func (p *pane) event(e *ping.Event, at time.Duration) {
	Record(p.recorder, e)
	switch e.Kind {
	case ping.Reply:
		c := p.column(at)
		c.worst = max(c.worst, e.RTT, 1)
		p.rtt, p.silent = e.RTT, time.Time{}
	case ping.Timeout:
		p.fail(at-p.target.Timeout, e.Time.Add(-p.target.Timeout))
	case ping.SendError, ping.Corrupt:
		p.fail(at, e.Time)
	}
}

// fail enters a probe that failed: it left at a time after the start, which was then.
func (p *pane) fail(at time.Duration, then time.Time) {
	if c := p.column(at); c != nil {
		c.lost = true
	}
	if p.silent.IsZero() {
		p.silent = then
	}
}

// column is that of a time after the start; nil if it is forgotten. Those up to it are empty if nothing happened in them.
func (p *pane) column(at time.Duration) *column {
	n := int(max(at, 0) / p.each)
	if n <= p.newest-maxColumns {
		return nil
	}
	for p.newest < n {
		p.newest++
		p.columns[p.newest%maxColumns] = column{}
	}
	return &p.columns[n%maxColumns]
}

// latest are the last n columns up to a time, the oldest first; fewer if the run is younger.
func (p *pane) latest(n int, at time.Duration) []column {
	p.column(at)
	var list []column
	for i := max(0, p.newest-min(n, maxColumns)+1); i <= p.newest; i++ {
		list = append(list, p.columns[i%maxColumns])
	}
	return list
}

// draw draws until the run ends.
func (l *live) draw() {
	tick := time.NewTicker(frameTime)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case now := <-tick.C:
			l.mu.Lock()
			if l.err == nil {
				l.err = l.show(now)
			}
			l.mu.Unlock()
		}
	}
}

// show writes a frame if it differs from the latest, in one piece, so that nothing flickers.
func (l *live) show(now time.Time) error {
	width, height := l.o.Size()
	var b bytes.Buffer
	for i, line := range l.frame(width, height, now) {
		fmt.Fprintf(&b, "\x1b[%d;1H%s%s", i+1, line, toLineEnd)
	}
	switch {
	case width != l.width || height != l.height:
		l.width, l.height = width, height
		if _, err := io.WriteString(l.w, clearScreen); err != nil {
			return err
		}
	case bytes.Equal(b.Bytes(), l.last):
		return nil
	}
	l.last = b.Bytes()
	_, err := l.w.Write(l.last)
	return err
}

// Finish gives the screen back and writes the report.
func (l *live) Finish(r Report) error {
	close(l.stop)
	l.drawer.Wait()
	if !l.begun.IsZero() {
		if _, err := io.WriteString(l.w, leaveScreen); err != nil {
			return err
		}
	}
	for _, p := range l.panes {
		if err := l.after.Start(p.target); err != nil {
			return err
		}
	}
	return l.after.Finish(r)
}
