package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"lping/ping"
	"lping/stats"
)

// nagios writes one line for monitoring systems of that family: state, text, and after a bar the figures
// (Monitoring Plugins Development Guidelines).
type nagios struct {
	lines
	limits stats.Limits
}

// NewNagios is the format nagios.
func NewNagios(w io.Writer, o Options) Renderer { return &nagios{newLines(w), o.Limits} }

// Start writes nothing.
func (n *nagios) Start(Target) error { return nil }

// Event writes nothing.
func (n *nagios) Event(Target, ping.Event) error { return nil }

// NagiosUnknown is the line for what could not be checked.
func NagiosUnknown(why string) string { return "LPING UNKNOWN - " + plain(why) + "\n" }

// Finish writes the line.
func (n *nagios) Finish(r Report) error {
	state := "CRITICAL"
	switch {
	case r.Unchecked:
		state = "UNKNOWN"
	case r.Verdict == stats.Healthy:
		state = "OK"
	case r.Verdict == stats.Degraded:
		state = "WARNING"
	}
	results := r.byNeed()
	text := strings.TrimPrefix(headline(r.Verdict, results, maxOutput), r.Verdict.String()+" ")
	if more := further(results, text); len(more) > 0 && r.Verdict != stats.Healthy {
		text += "; " + more[0]
	}
	b := fmt.Appendf(n.buf[:0], "LPING %s - %s", state, plain(cut(text, maxOutput)))
	separator := byte('|')
	for _, result := range r.Results {
		if result.Summary.Decided() == 0 {
			continue // a loss of 0 % would be a lie
		}
		suffix := ""
		if len(r.Results) > 1 {
			suffix = "_v" + strconv.Itoa(Family(result.Target.Address))
		}
		b = n.appendFigures(append(b, separator), result.Summary, suffix)
		separator = ' '
	}
	return n.put(b)
}

// appendFigures appends the mean RTT, if one was measured, and the loss, each with its thresholds.
func (n *nagios) appendFigures(b []byte, s stats.Summary, suffix string) []byte {
	warn, crit := n.limits.Warn, n.limits.Crit
	if s.RTT.Count > 0 {
		b = threeDecimals(fmt.Appendf(b, "rta%s=", suffix), s.RTT.Mean)
		b = fmt.Appendf(b, "ms;%s;%s;0 ", rangeOf(warn.RTA), rangeOf(crit.RTA))
	}
	loss := rangeOf(crit.Loss)
	if crit.Loss == nil && warn.Loss == nil {
		loss = strconv.FormatFloat(n.limits.MaxLoss, 'f', -1, 64)
	}
	b = lossPercent(append(b, "pl"+suffix+"="...), s.LossPercent)
	return append(b, "%;"+rangeOf(warn.Loss)+";"+loss+";0;100"...)
}

func rangeOf(r *stats.Range) string {
	if r == nil {
		return ""
	}
	return r.Text
}

// plain is text without the bar, which would start the figures.
func plain(s string) string { return strings.ReplaceAll(Clean(s), "|", "/") }
