package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"lping/platform/diagnose"
	"lping/stats"
)

// What a container runtime or a person at a prompt can take in: a line, and all of the output, in bytes.
const (
	maxLine   = 199 // and the newline
	maxOutput = 499
	// maxOthers is what the results that are better than the worst are sure to have of the first line.
	maxOthers = 80
	// minFix is the room below which the start of a fix tells nothing.
	minFix = 24
)

// line writes the outcome alone: one line, verdict and cause first, and one for each further finding.
type line struct {
	atTheEnd
	o Options
}

// NewLine is the format line. It shows no single probes: of the options it knows Timestamp alone.
func NewLine(w io.Writer, o Options) Renderer { return &line{atTheEnd{newLines(w)}, o} }

// Finish writes the whole output.
func (l *line) Finish(r Report) error {
	results := r.byNeed()
	var b []byte
	if l.o.Timestamp {
		b = append(unixTime(append(b, '['), r.Begun), "] "...)
	}
	head := string(b) + headline(r.Verdict, results, maxLine-len(b))
	if r.Waited > 0 && r.Verdict == stats.Healthy { // else a fix is the last word
		head += " waited=" + strings.ReplaceAll(seconds(r.Waited), " ", "")
	}
	head = cut(head, maxLine)
	if err := l.put(append(l.buf[:0], head...)); err != nil {
		return err
	}
	left := maxOutput - len(head) - 1
	for _, s := range further(results, head) {
		s = "  " + cut(s, maxLine-len("  "))
		if left -= len(s) + 1; left < 0 {
			return nil
		}
		if err := l.put(append(l.buf[:0], s...)); err != nil {
			return err
		}
	}
	return nil
}

// headline is the first line, of at most limit bytes if a result is not well. The worst comes first, and what it says is
// cut before anything else is.
func headline(v stats.Verdict, results []Result, limit int) string {
	if len(results) == 0 {
		return v.String()
	}
	if v == stats.Healthy { // a family that does not count is told by its finding
		results = slices.DeleteFunc(slices.Clone(results), func(r Result) bool { return r.Excused })
	}
	if len(results) == 0 || results[0].Verdict == stats.Healthy {
		whole := v.String() + " " + healthyParts(results)
		for n := len(results) - 1; n > 0 && len(whole) > limit; n-- {
			whole = v.String() + " " + healthyParts(results[:n]) + more(results[n:])
		}
		return whole
	}
	left := limit - len(unwell(v, results[0], limit))
	rest := others(results[1:], max(maxOthers, left))
	return unwell(v, results[0], limit-len(rest)) + rest
}

// others describes as many results as room has space for, each whole, and counts the rest. A single one is cut.
func others(results []Result, room int) string {
	if len(results) == 1 {
		return "; " + cut(aside(results[0]), room)
	}
	var told strings.Builder
	whole := more(results)
	for i, r := range results {
		told.WriteString("; " + aside(r))
		if told.Len()+len(more(results[i+1:])) > room {
			break
		}
		whole = told.String() + more(results[i+1:])
	}
	return whole
}

// more counts results by their verdicts, such as ", 2 more unhealthy, 13 more healthy".
func more(results []Result) string {
	var b strings.Builder
	for i, r := range results {
		if i == 0 || r.Verdict != results[i-1].Verdict {
			same := slices.IndexFunc(results[i:], func(other Result) bool { return other.Verdict != r.Verdict })
			if same < 0 {
				same = len(results) - i
			}
			fmt.Fprintf(&b, ", %d more %s", same, r.Verdict)
		}
	}
	return b.String()
}

// healthyParts describes results that are all healthy. The method stands once if all of them share it.
func healthyParts(results []Result) string {
	var b strings.Builder
	for i, r := range results {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(Address(r) + " " + Ratio(r) + quantiles(r, true))
		last := i == len(results)-1
		if method := r.Target.Method; method != "" && (last || method != results[i+1].Target.Method) {
			b.WriteString(" method=" + Clean(method))
		}
	}
	return b.String()
}

// unwell describes the worst result in at most limit bytes: its fix is cut first, then its cause.
func unwell(v stats.Verdict, r Result, limit int) string {
	code, cause, fix := r.reason()
	s := v.String() + " " + Address(r) + " " + Ratio(r)
	if code != "" {
		s += " " + code + ":"
	}
	p50 := ""
	if q := quantiles(r, false); q != "" && r.Verdict == stats.Degraded {
		p50 = ";" + q
	}
	s = cut(s+" "+cause, limit-len(p50)) + p50
	if fix == "" || len(s)+minFix > limit {
		return s
	}
	return cut(s+"; fix: "+fix, limit)
}

// aside describes a result that is not the worst. Its findings follow on lines of their own.
func aside(r Result) string {
	s := Address(r) + " " + r.Verdict.String() + " " + Ratio(r) + quantiles(r, false)
	if r.Verdict == stats.Healthy {
		return s
	}
	code, cause, _ := r.reason()
	if code != "" {
		return s + " " + code
	}
	return strings.TrimSuffix(s+" "+cause, " ")
}

// reason is what to say first of a result, each part on one line; empty without a finding or a cause.
func (r Result) reason() (code, cause, fix string) {
	if f := r.Reason.Finding; f != nil {
		code, fix = Clean(string(f.Code)), Clean(f.Fix)
	}
	return code, Clean(causeText(r.Reason.Cause)), fix
}

// further are the findings that the first line does not tell, each once, although both families may have it; the last is what
// that line tells, if it had no room for all of it.
func further(results []Result, head string) []string {
	var first string
	var told, out []string
	for i, r := range results {
		if f := r.Reason.Finding; i == 0 && r.Verdict != stats.Healthy && f != nil {
			first = appendix(*f)
			told = append(told, first)
			if _, cause, fix := r.reason(); strings.Contains(head, cause) && strings.Contains(head, fix) {
				first = ""
			}
		}
		for _, f := range r.Findings {
			if s := appendix(f); !slices.Contains(told, s) {
				told, out = append(told, s), append(out, s)
			}
		}
	}
	if first != "" {
		out = append(out, first)
	}
	return out
}

func appendix(f diagnose.Finding) string {
	s := Clean(string(f.Code)) + ": " + Clean(f.Cause)
	if f.Fix != "" {
		s += "; fix: " + Clean(f.Fix)
	}
	return s
}

// quantiles are the median and, if both, the 99th percentile, each after a space; nothing if none was measured.
func quantiles(r Result, both bool) string {
	if r.Summary.RTT.Count == 0 {
		return ""
	}
	b := append(threeDecimals([]byte(" p50="), r.Summary.RTT.P50), "ms"...)
	if both {
		b = append(threeDecimals(append(b, " p99="...), r.Summary.RTT.P99), "ms"...)
	}
	return string(b)
}

// cut is s in at most limit bytes, with an ellipsis if something is missing and no rune split.
func cut(s string, limit int) string {
	const ellipsis = "…"
	if len(s) <= limit {
		return s
	}
	end := max(0, limit-len(ellipsis))
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.TrimRight(s[:end], " ") + ellipsis
}
