// Package report writes what a run found: one renderer a format, one file a renderer. A renderer gets data and
// writes it. It computes nothing, opens nothing and knows no flags.
package report

import (
	"io"
	"time"

	"lping/ping"
	"lping/platform/diagnose"
	"lping/stats"
)

// Target is what one run probes, as far as the output shows it. It is known before the first send.
type Target struct {
	// Name is what the user typed for the address: an address, or localhost.
	Name string
	// Config is what is sent there; its Address is set.
	ping.Config
	// Optional says that nobody asked for this family, so that it is no fault if it is switched off.
	Optional bool
	// Choice is the same number for the two addresses of one name, of which one that answers is enough; 0 is no choice.
	Choice int
	// Ambiguous says that another target differs by the protocol alone.
	Ambiguous bool
	// Required says that it was named for itself, too, so that the other address of its choice is not enough.
	Required bool
	// Method is how the probes travel (ping.Socket); empty if no socket could be opened.
	Method string
	// Begun is when its socket was opened.
	Begun time.Time
	// Stamps says that the RTT ends with the kernel's receive stamp, not with the return of the read.
	Stamps bool
}

// Result is how one run ended.
type Result struct {
	Target  Target
	Summary stats.Summary
	Verdict stats.Verdict
	// Cause is why the verdict is not healthy; nil if it is.
	Cause Cause
	// Reason is what to say first of a result.
	Reason   Reason
	Findings []diagnose.Finding
	// Excused says that the result is no part of the verdict over all: nobody asked for this family, and it is switched off.
	Excused bool
	// ExitCode is the status of this family alone.
	ExitCode int
	// Buckets are the RTTs in classes, if a renderer needs them.
	Buckets []stats.Bucket
}

// Reason is why a result is not healthy, in the form to say first.
type Reason struct {
	// Finding is the one of the result's that explains the verdict best; nil if none does.
	Finding *diagnose.Finding
	// Cause is that of the finding, or says more; nil if all is well.
	Cause Cause
}

// Report is the outcome of the whole command: a result a target, and the verdict over all of them.
type Report struct {
	Results []Result
	// ByNeed are the places of the results in the order in which they need attention.
	ByNeed   []int
	Verdict  stats.Verdict
	ExitCode int
	// Begun is when the check began.
	Begun time.Time
	// Waited is how long it took until all was well, or until that was given up; 0 if nobody waited.
	Waited time.Duration
	// Unchecked says that no target could be checked at all.
	Unchecked bool
}

// byNeed are the results in the order in which they need attention.
func (r Report) byNeed() []Result {
	list := make([]Result, len(r.ByNeed))
	for i, place := range r.ByNeed {
		list[i] = r.Results[place]
	}
	return list
}

// Why is the cause in words; empty if all is well.
func (r Result) Why() string { return causeText(r.Cause) }

// causeText is a cause in words; empty without one.
func causeText(c Cause) string {
	if c == nil {
		return ""
	}
	return c.String()
}

// Outage is an outage that is over.
type Outage struct {
	stats.Outage
	// Told says that Finding told why it came, while it lasted.
	Told bool
}

// Renderer writes one format. Its methods are called one at a time: Start once a target, Event for each event
// in its order, Finish once. In a run that lasts Finding tells why there is an outage as soon as that is known; Outage is called
// for each outage when it is over, in its place among the events. An error is a failed write, and ends the run.
type Renderer interface {
	Start(Target) error
	Event(Target, ping.Event) error
	Finding(Target, diagnose.Finding) error
	Outage(Target, Outage) error
	Finish(Report) error
}

// New is the renderer of a format: text, which is the default, line, json, prometheus or nagios.
func New(format string, w io.Writer, o Options) Renderer {
	switch format {
	case "line":
		return NewLine(w, o)
	case "json":
		return NewJSON(w, o)
	case "prometheus":
		return NewPrometheus(w, o)
	case "nagios":
		return NewNagios(w, o)
	}
	if o.Live {
		return NewLive(w, o)
	}
	return NewText(w, o)
}

// atTheEnd is what a format does that writes nothing before Finish.
type atTheEnd struct{ lines }

// Start writes nothing.
func (atTheEnd) Start(Target) error { return nil }

// Event writes nothing.
func (atTheEnd) Event(Target, ping.Event) error { return nil }

// Finding writes nothing.
func (atTheEnd) Finding(Target, diagnose.Finding) error { return nil }

// Outage writes nothing.
func (atTheEnd) Outage(Target, Outage) error { return nil }

// Options are what the user asked of the output.
type Options struct {
	// Quiet leaves out what happens to single probes.
	Quiet bool
	// Verbose shows the identifier in replies, and foreign packets.
	Verbose bool
	// Timestamp puts the Unix time before each line about a probe, or before the first line of the format line.
	Timestamp bool
	// Outstanding shows probes without an answer when the next one leaves.
	Outstanding bool
	// Audible rings the terminal's bell at each reply.
	Audible bool
	// Precise prints every time in ms with three decimals.
	Precise bool
	// Flood replaces the lines about probes by dots and backspaces, which stand on a terminal only.
	Flood bool
	// Live draws a chart of the RTT while the run lasts, instead of lines about probes.
	Live bool
	// PacingShown adds ipg/ewma to the statistics, as ping does for flood, adaptive and interval 0.
	PacingShown bool
	// PingOnly leaves out every line that ping does not print.
	PingOnly bool
	// Limits are those that the verdict rests on.
	Limits stats.Limits
	// Color says that the terminal has colours, Unicode that it shows more than ASCII. Size is how many columns and lines it has;
	// nil if the output is no terminal.
	Color, Unicode bool
	Size           func() (width, height int)
	// Now is the clock for what has no time of its own; nil means time.Now.
	Now func() time.Time
}

// now is the time, by the clock of the options.
func (o *Options) now() time.Time {
	if o.Now == nil {
		return time.Now()
	}
	return o.Now()
}
