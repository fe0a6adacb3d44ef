package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"lping/platform/diagnose"
	"lping/stats"
)

// hundred is how many replies a 99th percentile needs: below it would be the maximum.
const hundred = 100

// indent is that of what belongs to the line above.
const indent = len("  ")

// finishForPerson writes ping's statistics and then lping's answer: on a terminal nobody parses, and who looks at it looks at
// its end. The last line of a fault is its fix.
func (t *text) finishForPerson(r Report) error {
	b := t.buf[:0]
	if t.dots > 0 {
		b, t.dots = append(b, '\n'), 0
	}
	for _, result := range r.Results {
		b = t.appendStatistics(b, result)
	}
	width, _ := t.o.Size()
	return t.putRaw(t.appendAnswer(append(b, '\n'), r, width))
}

// appendAnswer appends a line for each target, the worst first, and what was found.
func (t *text) appendAnswer(b []byte, r Report, width int) []byte {
	results := r.byNeed()
	verdicts, names, ratios := 0, 0, 0
	for _, result := range results {
		verdicts = max(verdicts, len(result.Verdict.String()))
		names, ratios = max(names, len(Address(result))), max(ratios, len(Ratio(result)))
	}
	for i, result := range results {
		mark, color := t.o.mark(result.Verdict)
		line := fmt.Sprintf("%-*s  %-*s  %s", names, Address(result), ratios, Ratio(result), strings.Join(mainFigures(result), "  "))
		if i == 0 && r.Waited > 0 {
			line += "  waited " + seconds(r.Waited)
		}
		b = append(b, t.o.paint(color, mark+" "+result.Verdict.String())...)
		gap := verdicts - len(result.Verdict.String()) + len("  ")
		b = append(b, strings.Repeat(" ", gap)...)
		b = AppendWrapped(b, len("x ")+verdicts+len("  "), indent, width, strings.TrimRight(line, " "))
		if result.Reason.Finding == nil && result.Why() != "" {
			b = AppendWrapped(append(b, "  "...), indent, indent, width, Clean(result.Why()))
		}
		if t.o.Verbose && result.Summary.RTT.Count > 0 {
			b = t.appendDetails(b, result.Summary, width)
		}
	}
	if len(results) > 1 && r.Verdict != results[0].Verdict {
		b = append(b, "  overall "+r.Verdict.String()+"\n"...)
	}
	return t.appendFindings(b, results, width)
}

// mark is the sign of a verdict, and its colour.
func (o Options) mark(v stats.Verdict) (sign, color string) {
	signs := [...]string{"✓", "!", "✗", "?"}
	if !o.Unicode {
		signs = [...]string{"+", "!", "x", "?"}
	}
	switch v {
	case stats.Healthy:
		return signs[0], green
	case stats.Degraded:
		return signs[1], yellow
	case stats.Unhealthy:
		return signs[2], red
	}
	return signs[3], yellow
}

// mainFigures are what a person asks of a run first.
func mainFigures(r Result) []string {
	var list []string
	if d := r.Summary.RTT; d.Count > 0 {
		list = append(list, "p50 "+Milliseconds(d.P50)+" ms")
		if d.Count >= hundred {
			list = append(list, "p99 "+Milliseconds(d.P99)+" ms")
		}
		list = append(list, "max "+Milliseconds(d.Max)+" ms")
	}
	return append(list, Method(r.Target))
}

// appendDetails appends the other percentiles and the split.
func (t *text) appendDetails(b []byte, s stats.Summary, width int) []byte {
	rtt := []string{"p90 " + Milliseconds(s.RTT.P90) + " ms"}
	if s.RTT.Count >= hundred {
		rtt = append(rtt, "p99.9 "+Milliseconds(s.RTT.P999)+" ms")
	}
	rows := []string{strings.Join(append(rtt, "jitter "+Milliseconds(s.RTT.Jitter)+" ms"), "  ")}
	if s.Kernel.Count > 0 {
		part := func(name string, d stats.Distribution) string { return name + " " + Milliseconds(d.P50) + " ms" }
		split := part("send", s.Send) + "  " + part("kernel path", s.Kernel) + "  " + part("wake-up", s.Wakeup) + "  (medians"
		if s.Kernel.Count < s.Stamped {
			split += fmt.Sprintf(" of a sample of %d", s.Kernel.Count)
		}
		rows = append(rows, split+")")
	}
	for _, row := range rows {
		b = AppendWrapped(append(b, "  "...), indent, indent, width, row)
	}
	return b
}

// appendFindings appends the cause and the fix of each finding, errors with a fix last: what stands last is read first. One that
// several targets have stands there once. A fix is never broken into lines, which a shell would take for several commands.
func (t *text) appendFindings(b []byte, results []Result, width int) []byte {
	var told []diagnose.Finding
	var list []diagnose.Finding
	for _, r := range results {
		for _, f := range r.Findings {
			bare := f
			bare.Evidence, bare.Since, bare.Until = "", time.Time{}, time.Time{}
			if !slices.Contains(told, bare) {
				told, list = append(told, bare), append(list, f)
			}
		}
	}
	mended := map[bool]int{true: 1}
	slices.SortStableFunc(list, func(a, b diagnose.Finding) int {
		return cmp.Or(int(a.Severity)-int(b.Severity), mended[a.Fix != ""]-mended[b.Fix != ""])
	})
	for _, f := range list {
		b = AppendWrapped(append(b, "  "...), indent, indent+len("fix: "), width, Clean(string(f.Code)+": "+f.Cause))
		if t.o.Verbose && f.Evidence != "" {
			b = AppendWrapped(append(b, "  "...), indent, indent+len("fix: "), width, "evidence: "+Clean(f.Evidence))
		}
		if f.Fix != "" {
			b = append(b, "  fix: "+Clean(f.Fix)+"\n"...)
		}
	}
	return b
}
