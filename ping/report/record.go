package report

import (
	"fmt"
	"io"

	"lping/ping"
	"lping/stats"
)

// Record enters an event into the statistics.
func Record(r *stats.Recorder, e *ping.Event) {
	switch e.Kind {
	case ping.Sent:
		r.Sent(e.Time)
	case ping.Reply:
		r.Reply(e.Seq, e.RTT, e.Time)
		recordStamps(r, e)
	case ping.Duplicate:
		r.Duplicate(e.RTT)
		recordStamps(r, e)
	case ping.Timeout:
		r.Lost(e.Seq, e.Time)
	case ping.Late:
		r.Late(e.Seq, e.Time)
	case ping.Corrupt:
		r.Corrupt(e.Seq, e.Time)
	case ping.SendError:
		r.SendError(e.Seq, e.Time)
	case ping.Foreign:
		r.Foreign()
	case ping.ClockStep:
		r.ClockStep()
	}
}

// recordStamps enters what the kernel's stamps say of a round trip. A duplicate comes by another path than its split.
func recordStamps(r *stats.Recorder, e *ping.Event) {
	if e.Stamped {
		r.Stamped()
	}
	if e.Divided && e.Kind == ping.Reply {
		r.Split(e.Split.Send, e.Split.Kernel, e.Split.Wakeup)
	}
}

// Status writes the line that ping prints on SIGQUIT, over whatever the terminal echoed. A name tells one target of several.
func Status(w io.Writer, name string, s stats.Summary) error {
	b := []byte("\r")
	if name != "" {
		b = append(append(b, name...), ": "...)
	}
	b = fmt.Appendf(b, "%d/%d packets, %d%% loss", s.Received, s.Sent, int64(s.LossPercent))
	if s.Received > 0 {
		b = fmt.Appendf(b, ", min/avg/ewma/max = %s/%s/%s/%s ms",
			Milliseconds(s.RTT.Min), Milliseconds(s.RTT.Mean), Milliseconds(s.EWMA), Milliseconds(s.RTT.Max))
	}
	_, err := w.Write(append(b, '\n'))
	return err
}
