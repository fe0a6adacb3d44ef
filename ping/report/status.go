package report

import (
	"io"
	"strconv"

	"lping/stats"
)

// Status writes the line that ping prints on SIGQUIT, over whatever the terminal echoed.
func Status(w io.Writer, s stats.Summary) error {
	b := strconv.AppendUint([]byte{'\r'}, s.Received, 10)
	b = strconv.AppendUint(append(b, '/'), s.Sent, 10)
	b = strconv.AppendInt(append(b, " packets, "...), int64(s.LossPercent), 10)
	b = append(b, "% loss"...)
	if s.Received > 0 {
		b = threeDecimals(append(b, ", min/avg/ewma/max = "...), s.RTT.Min)
		b = threeDecimals(append(b, '/'), s.RTT.Mean)
		b = threeDecimals(append(b, '/'), s.EWMA)
		b = append(threeDecimals(append(b, '/'), s.RTT.Max), " ms"...)
	}
	_, err := w.Write(append(b, '\n'))
	return err
}
