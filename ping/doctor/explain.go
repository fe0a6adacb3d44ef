package doctor

import (
	"fmt"
	"strings"

	"lping/ping/report"
	"lping/platform/diagnose"
)

// Columns of the page of explain.
const (
	partColumn = 2
	textColumn = 4
)

// Explain lets choose some of all codes, and writes what they mean, how they are told, what they are confused with and what mends
// them. If none is chosen it lists all codes, one a line. The error is that of choose or write.
func Explain(choose func(all []string) ([]string, error), write func(string) error) error {
	codes, err := choose(diagnose.Codes())
	if err != nil {
		return err
	}
	return write(explanations(codes))
}

func explanations(codes []string) string {
	p := page{}
	if len(codes) == 0 {
		for _, e := range diagnose.Entries() {
			p.put(0, fmt.Sprintf("%-18s  %-7s  %s", e.Code, e.Severity, e.Words))
		}
	}
	for i, c := range codes {
		if i > 0 {
			p.blank()
		}
		p.explain(diagnose.Code(c))
	}
	return string(p.b)
}

func (p *page) explain(c diagnose.Code) {
	e, t, _ := diagnose.Explain(c)
	p.put(0, fmt.Sprintf("%s (%s): %s", e.Code, e.Severity, e.Words))
	p.blank()
	p.b = appendBlanks(p.b, partColumn)
	p.b = report.AppendWrapped(p.b, partColumn, partColumn, columns, e.Explanation)
	p.part("How it is told")
	for told := range strings.SplitSeq(t.Told, "; ") {
		p.put(textColumn, told)
	}
	p.part("Not to be confused with")
	for _, c := range t.Confused {
		p.put(textColumn, string(c.Code)+": "+c.How)
	}
	p.part("What mends it")
	for _, r := range t.Remedies() {
		p.put(textColumn, r.Place+": "+r.Fix)
	}
}

// part begins a part of an explanation.
func (p *page) part(title string) {
	p.blank()
	p.put(partColumn, title)
}
