package report

import (
	"fmt"
	"strings"

	"lping/platform/diagnose"
)

// Finding writes why answers stay away, and what mends it.
func (t *text) Finding(target Target, f diagnose.Finding) error {
	if t.o.PingOnly {
		return nil
	}
	b := append(t.beginNews(target), safeForParsers(string(f.Code)+": "+f.Cause)...)
	return t.put(appendFix(b, f))
}

// Outage writes that answers come again, if Finding said that they stayed away.
func (t *text) Outage(target Target, o Outage) error {
	if t.o.PingOnly || !o.Told {
		return nil
	}
	return t.put(fmt.Appendf(t.beginNews(target), "back after %s, %s lost", lengthOf(o.Length), probeCount(o.Lost)))
}

// beginNews starts a line about a target, on a line of its own. It names the target if there are several.
func (t *text) beginNews(target Target) []byte {
	b := t.buf[:0]
	if t.dots > 0 {
		b, t.dots = append(b, '\n'), 0
	}
	if t.o.Timestamp {
		b = append(unixTime(append(b, '['), t.o.now()), "] "...)
	}
	if t.targets > 1 {
		b = append(append(b, Address(Result{Target: target})...), ' ')
	}
	return b
}

// probeCount is a number of probes.
func probeCount(n uint64) string {
	if n == 1 {
		return "1 probe"
	}
	return fmt.Sprintf("%d probes", n)
}

// appendFinding appends a finding and its fix. The evidence has a line of its own if the first has no room for it.
func appendFinding(b []byte, f diagnose.Finding) []byte {
	cause, evidence := safeForParsers(string(f.Code)+": "+f.Cause), safeForParsers(f.Evidence)
	b = append(b, cause...)
	switch {
	case evidence == "":
	case len(cause)+len(evidence)+len(" ()") <= columns:
		b = fmt.Appendf(b, " (%s)", evidence)
	default:
		b = fmt.Appendf(b, "\n  evidence: %s", evidence)
	}
	return append(appendFix(b, f), '\n')
}

// appendFix appends what mends a finding, if that is known, on a line of its own.
func appendFix(b []byte, f diagnose.Finding) []byte {
	if f.Fix == "" {
		return b
	}
	return fmt.Appendf(b, "\n  fix: %s", safeForParsers(f.Fix))
}

// safeForParsers is s without a lone = and a lone "time", which the parsers of ping take for a part of the statistics.
func safeForParsers(s string) string {
	s = Clean(s)
	if padded := " " + s + " "; !strings.Contains(padded, " = ") && !strings.Contains(padded, " time ") {
		return s
	}
	var b strings.Builder
	glued := true
	for _, word := range strings.Fields(s) {
		if !glued && word != "=" {
			b.WriteByte(' ')
		}
		if glued = word == "="; word == "time" {
			word = "Time"
		}
		b.WriteString(word)
	}
	return b.String()
}
