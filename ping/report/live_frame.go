package report

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/guptarohit/asciigraph"

	"lping/stats"
)

const (
	// labelWidth is that of the axis of a chart with its labels, in columns.
	labelWidth = 11
	// chartLines is the least height of a pane that has a chart; a lower one is a single line.
	chartLines = 7
	// minWidth is the least width that tells anything.
	minWidth = 20
)

// Colours (ECMA-48, SGR).
const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	faint  = "\x1b[2m"
	reset  = "\x1b[m"
)

// paint is s in a colour, if there are colours.
func (o Options) paint(color, s string) string {
	if !o.Color || s == "" {
		return s
	}
	return color + s + reset
}

// frame is what stands on a terminal of this size: as many lines as it has.
func (l *live) frame(width, height int, now time.Time) []string {
	at := now.Sub(l.begun)
	body := max(height-1, 0)
	var lines []string
	each := body / max(len(l.panes), 1)
	for i, p := range l.panes {
		switch {
		case width < minWidth:
		case each >= chartLines:
			lines = append(lines, p.chart(l.o, width, each, at, now)...)
		case i == body-1 && len(l.panes) > body:
			lines = append(lines, cut(fmt.Sprintf("and %d more", len(l.panes)-i), width))
		case i < body:
			lines = append(lines, p.line(l.o, width, at, now))
		}
	}
	for len(lines) < body {
		lines = append(lines, "")
	}
	foot := fmt.Sprintf("%s  q ends", clock(at))
	if len(l.panes) > 0 && width >= 60 {
		foot += fmt.Sprintf("  a column is the worst of %v", l.panes[0].each)
	}
	if width < minWidth {
		foot = "too narrow"
	}
	return append(lines, l.o.paint(faint, cut(foot, width)))
}

// clock is a time as 1:02:03, or 02:03.
func clock(d time.Duration) string {
	s := int(d.Seconds())
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%02d:%02d", s/60, s%60)
}

// chart is a pane of this size: a title, the chart, marks of probes that failed, and the figures.
func (p *pane) chart(o Options, width, height int, at time.Duration, now time.Time) []string {
	title, state := Address(Result{Target: p.target}), p.state(now)
	used := utf8.RuneCountInString(title) + utf8.RuneCountInString(state)
	if method := "  " + Method(p.target); used+len(method) < width {
		title, used = title+method, used+len(method)
	}
	title = cut(title, max(width-utf8.RuneCountInString(state)-1, 0)) + strings.Repeat(" ", max(width-used, 1))
	lines := []string{title + p.painted(o, state)}
	columns := p.latest(width-labelWidth, at)
	lines = append(lines, plot(o, columns, height-3)...)
	lines = append(lines, strings.Repeat(" ", labelWidth)+o.paint(red, marks(o, columns)))
	if p.cause != "" && !p.silent.IsZero() { // which says more than the figures of before
		why := p.cause
		if fix := "; fix: " + p.fix; p.fix != "" && len(why)+len(fix) <= width {
			why += fix
		}
		return append(lines, o.paint(red, cut(why, width)))
	}
	return append(lines, p.figures(width))
}

// state says whether the target answers.
func (p *pane) state(now time.Time) string {
	switch {
	case !p.silent.IsZero():
		return "no answer for " + seconds(max(0, now.Sub(p.silent)))
	case p.rtt == 0:
		return "waiting"
	}
	return "answers"
}

// painted is a state in its colour.
func (p *pane) painted(o Options, state string) string {
	switch {
	case !p.silent.IsZero():
		return o.paint(red, state)
	case p.rtt == 0:
		return state
	}
	return o.paint(green, state)
}

// plot is the chart alone, of exactly so many lines.
func plot(o Options, columns []column, height int) []string {
	series := make([]float64, 0, len(columns)+1)
	answered := false
	for _, c := range columns {
		v := math.NaN()
		if c.worst > 0 {
			v, answered = float64(c.worst)/float64(time.Millisecond), true
		}
		series = append(series, v)
	}
	var lines []string
	if answered {
		options := []asciigraph.Option{
			asciigraph.Height(height - 1), asciigraph.LowerBound(0),
			asciigraph.YAxisValueFormatter(func(ms float64) string {
				return fmt.Sprintf("%*s", labelWidth-3, string(pingTime(nil, time.Duration(ms*1e6), false))+" ms")
			}),
		}
		if o.Color {
			options = append(options, asciigraph.SeriesColors(asciigraph.Green))
		}
		// A segment joins a point with the next one, and the last one has none.
		text := asciigraph.Plot(append(series, series[len(series)-1]), options...)
		lines = strings.Split(o.ascii(text), "\n")
	}
	for len(lines) < height {
		lines = append(lines, "")
	}
	return lines[:height]
}

// ascii is a chart without the characters of boxes, if the terminal has none.
func (o Options) ascii(chart string) string {
	if o.Unicode {
		return chart
	}
	return strings.NewReplacer("┤", "|", "┼", "+", "─", "-", "│", "|", "╭", ".", "╮", ".", "╰", "'", "╯", "'",
		"╴", "-", "╶", "-").Replace(chart)
}

// marks has one for each column with a probe that failed.
func marks(o Options, columns []column) string {
	mark := "x"
	if o.Unicode {
		mark = "×"
	}
	var b strings.Builder
	for _, c := range columns {
		if c.lost {
			b.WriteString(mark)
		} else {
			b.WriteByte(' ')
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// figures are those of the run so far, as many as fit.
func (p *pane) figures(width int) string {
	s := p.recorder.Summary()
	now, unit := "now ", " ms"
	if width < 60 {
		now, unit = "", ""
	}
	text := now + figure(p.rtt, unit) + "  p50 " + figure(s.RTT.P50, unit) + "  p99 " + figure(s.RTT.P99, unit) + "  loss " + loss(s)
	if more := fmt.Sprintf("  %d sent", s.Sent); len(text)+len(more) <= width {
		text += more
	}
	return cut(text, width)
}

// figure is an RTT; a dash if there is none.
func figure(d time.Duration, unit string) string {
	if d == 0 {
		return "-"
	}
	return string(pingTime(nil, d, false)) + unit
}

// loss is that of the run so far.
func loss(s stats.Summary) string { return fmt.Sprintf("%.3g%%", s.LossPercent) }

// bars are the heights of a small chart.
func (o Options) bars() []rune {
	if o.Unicode {
		return []rune("▁▂▃▄▅▆▇█")
	}
	return []rune("_.-:=+*#")
}

// line is a pane in a single line: the name, the figures and a small chart.
func (p *pane) line(o Options, width int, at time.Duration, now time.Time) string {
	s := p.recorder.Summary()
	figures := figure(p.rtt, " ms") + "  loss " + loss(s)
	if !p.silent.IsZero() {
		figures = p.state(now)
	}
	figures = fmt.Sprintf("  %-19s  ", figures)
	name := Address(Result{Target: p.target})
	const most = 24
	name = cut(name, min(most, max(width-len(figures), 1)))
	head := name + strings.Repeat(" ", max(0, min(most, width/3)-utf8.RuneCountInString(name)))
	room := width - utf8.RuneCountInString(head) - len(figures)
	if room < 1 {
		return cut(head+figures, width)
	}
	return head + p.painted(o, figures) + p.spark(o, room, at)
}

// spark is a small chart, of one line.
func (p *pane) spark(o Options, width int, at time.Duration) string {
	columns := p.latest(width, at)
	var most time.Duration
	for _, c := range columns {
		most = max(most, c.worst)
	}
	var b strings.Builder
	set := o.bars()
	for i, c := range columns {
		switch {
		case c.lost:
			b.WriteString(o.paint(red, strings.TrimSpace(marks(o, columns[i:i+1]))))
		case c.worst == 0:
			b.WriteByte(' ')
		default:
			b.WriteRune(set[int(c.worst)*(len(set)-1)/int(most)])
		}
	}
	return b.String()
}
