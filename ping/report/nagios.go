package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"lping/stats"
)

// nagios writes one line for monitoring systems of that family: state, text, and after a bar the figures
// (Monitoring Plugins Development Guidelines).
type nagios struct {
	atTheEnd
	limits stats.Limits
}

// NewNagios is the format nagios.
func NewNagios(w io.Writer, o Options) Renderer { return &nagios{atTheEnd{newLines(w)}, o.Limits} }

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
	for i, result := range r.Results {
		if result.Summary.Decided() == 0 {
			continue // a loss of 0 % would be a lie
		}
		b = n.appendFigures(append(b, separator), result.Summary, suffix(r.Results, i))
		separator = ' '
	}
	return n.put(b)
}

// suffix tells the figures of several results apart: those of two families by _v4 and _v6, others by their number.
func suffix(results []Result, i int) string {
	families := len(results) == 2 && Family(results[0].Target.Address) != Family(results[1].Target.Address)
	switch {
	case len(results) < 2:
		return ""
	case families:
		return "_v" + strconv.Itoa(Family(results[i].Target.Address))
	}
	return "_" + strconv.Itoa(i+1)
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
