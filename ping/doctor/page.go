package doctor

import (
	"fmt"
	"strings"

	"lping/ping/report"
	"lping/platform/diagnose"
	"lping/stats"
)

const (
	// columns is the width of the page.
	columns = 79
	// gutter is the width of the column of marks.
	gutter = 6
	// hang is the further indent of a line that continues or belongs to the one before.
	hang = 4
)

// mark is the word in front of a section or a finding. If a section has reasons for several, it shows the greatest.
type mark uint8

const (
	markOK mark = iota
	markInfo
	markUnknown
	markWarn
	markFail
)

// markOf is the mark of a finding.
func markOf(s diagnose.Severity) mark {
	switch s {
	case diagnose.Info:
		return markInfo
	case diagnose.Warning:
		return markWarn
	case diagnose.Error:
		return markFail
	}
	return markUnknown
}

func markOfVerdict(v stats.Verdict) mark {
	switch v {
	case stats.Healthy:
		return markOK
	case stats.Degraded:
		return markWarn
	case stats.Unhealthy:
		return markFail
	}
	return markUnknown
}

// label is the word of a mark, and the parameter that paints it (ECMA-48, SGR); empty if it is not painted.
func (m mark) label() (word, paint string) {
	switch m {
	case markOK:
		return "ok", "32"
	case markInfo:
		return "info", ""
	case markWarn:
		return "warn", "33"
	case markFail:
		return "fail", "31"
	}
	return "??", ""
}

// page is the text as it grows.
type page struct {
	b     []byte
	color bool
}

func (p *page) blank() { p.b = append(p.b, '\n') }

// put adds a line that starts at a column, wrapped to the width of the page; nothing if it is blank.
func (p *page) put(column int, s string) {
	if s = strings.TrimSpace(report.Clean(s)); s == "" {
		return
	}
	p.b = appendBlanks(p.b, column)
	p.b = report.AppendWrapped(p.b, column, column+hang, columns, s)
}

// marked adds a line with a mark in front.
func (p *page) marked(m mark, s string) {
	word, paint := m.label()
	if p.color && paint != "" {
		p.b = append(p.b, "\x1b["+paint+"m"+word+"\x1b[0m"...)
	} else {
		p.b = append(p.b, word...)
	}
	p.b = appendBlanks(p.b, gutter-len(word))
	p.b = report.AppendWrapped(p.b, gutter, gutter+hang, columns, strings.TrimSpace(report.Clean(s)))
}

// briefColumn is where the line of a folded section goes on after its title.
const briefColumn = gutter + len("Connection tracking") + 2

// section adds a section, or a single line for it.
func (p *page) section(s section, fold bool) {
	if fold {
		p.marked(s.mark, fmt.Sprintf("%-*s", briefColumn-gutter, s.title))
		p.b = p.b[:len(p.b)-1] // the line goes on
		p.b = appendBlanks(p.b, briefColumn-gutter-len(s.title))
		p.b = report.AppendWrapped(p.b, briefColumn, briefColumn, columns, report.Clean(s.summary()))
		return
	}
	p.marked(s.mark, s.title+": "+s.about)
	for _, r := range s.rows {
		p.put(gutter+r.column, r.text)
	}
	for _, u := range s.unknowns {
		p.put(gutter, strings.Join(u.facts, ", ")+": unknown, because "+u.reason)
	}
	if len(s.codes) > 0 {
		p.put(gutter, "found: "+strings.Join(s.codes, ", ")+" (see above)")
	}
}

func appendBlanks(b []byte, n int) []byte {
	for range n {
		b = append(b, ' ')
	}
	return b
}
