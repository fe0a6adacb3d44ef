package report

import (
	"fmt"
	"io"

	"lping/stats"
)

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
