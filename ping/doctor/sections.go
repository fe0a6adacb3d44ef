package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"lping/ping/report"
	"lping/platform"
	"lping/platform/diagnose"
)

// atMost is how many entries of a list the page shows. JSON has all of them.
const atMost = 12

// section shows one part of loopback: facts, which it does not judge. Its mark is that of the findings about this part.
type section struct {
	title, about string
	// brief is what there is to say of it if all is right.
	brief    string
	mark     mark
	rows     []sectionRow
	unknowns []unknownFacts
	// codes are those of the findings about this part.
	codes []string
}

// sectionRow is a line, and its further indent in columns.
type sectionRow struct {
	column int
	text   string
}

// unknownFacts are facts that could not be read, all for the same reason.
type unknownFacts struct {
	reason string
	facts  []string
}

func (s *section) say(format string, args ...any) {
	s.rows = append(s.rows, sectionRow{text: fmt.Sprintf(format, args...)})
}

// sayBelow says something that belongs to the line before it.
func (s *section) sayBelow(format string, args ...any) {
	s.rows = append(s.rows, sectionRow{column: hang, text: fmt.Sprintf(format, args...)})
}

func (s *section) unknown(fact, reason string) {
	s.mark = max(s.mark, markUnknown)
	for i := range s.unknowns {
		if s.unknowns[i].reason == reason {
			s.unknowns[i].facts = append(s.unknowns[i].facts, fact)
			return
		}
	}
	s.unknowns = append(s.unknowns, unknownFacts{reason, []string{fact}})
}

// sayKnown says a fact if it is known, else that the fact of this name is unknown.
func sayKnown[T any](s *section, name string, k platform.Known[T], say func(T)) {
	if v, ok := k.Get(); ok {
		say(v)
		return
	}
	s.unknown(name, k.Reason())
}

// sayFirst says the first entries of a list, and how many are left out.
func sayFirst[T any](s *section, what string, list []T, say func(T)) {
	for _, v := range list[:min(len(list), atMost)] {
		say(v)
	}
	if more := len(list) - atMost; more > 0 {
		s.say("%s beyond these: %d (-j shows all)", what, more)
	}
}

// joinFirst is the first entries of a list on one line, and how many are left out.
func joinFirst(list []string) string {
	if more := len(list) - atMost; more > 0 {
		return strings.Join(list[:atMost], " ") + " and " + strconv.Itoa(more) + " more"
	}
	return strings.Join(list, " ")
}

// table says rows of cells in columns. Those from the fourth on are flush right, because they hold numbers.
func (s *section) table(cells [][]string) {
	const right = 3
	widths := make([]int, len(cells[0]))
	for _, line := range cells {
		for i := range line {
			line[i] = report.Clean(line[i])
			widths[i] = max(widths[i], report.TextWidth(line[i]))
		}
	}
	for _, line := range cells {
		var b []byte
		for i, cell := range line {
			blanks := widths[i] - report.TextWidth(cell)
			if i >= right {
				b = append(appendBlanks(b, blanks), cell...)
			} else {
				b = appendBlanks(append(b, cell...), blanks)
			}
			b = append(b, "  "...)
		}
		s.say("%s", b)
	}
}

// folds says that one line tells enough of a section: all is right, or all that is known is, for a single reason.
func (s *section) folds() bool {
	return s.mark == markOK || s.mark == markUnknown && len(s.codes) == 0 && len(s.unknowns) == 1
}

// summary is the line of a folded section.
func (s *section) summary() string {
	if len(s.unknowns) > 0 {
		u := s.unknowns[0]
		if len(u.facts) > 1 {
			return "unknown, because " + u.reason
		}
		return u.facts[0] + " unknown, because " + u.reason
	}
	return s.brief
}

// sections are those of all parts, each marked for the findings about it.
func sections(pic Picture, list []mergedFinding) []section {
	f := pic.shown()
	out := []section{
		diagnose.PartInterface: interfaceSection(f),
		diagnose.PartRoutes:    routeSection(f, pic),
		diagnose.PartSockets:   socketSection(f, pic.Sockets),
		diagnose.PartSwitches:  switchSection(f, pic),
		diagnose.PartFirewall:  firewallSection(f),
		diagnose.PartTracking:  trackingSection(f),
		diagnose.PartQueues:    queueSection(f, pic),
		diagnose.PartNames:     nameSection(f, pic),
		diagnose.PartCPU:       cpuSection(f),
		diagnose.PartProcess:   processSection(f, pic.Watches),
		diagnose.PartProbe:     probeSection(pic.Results, pic.Evidence),
	}
	for i, brief := range briefs(f, pic) {
		out[i].brief = brief
	}
	for _, finding := range list {
		for _, p := range finding.Code.Parts() {
			out[p].flag(finding)
		}
	}
	return out
}

// flag marks the section for a finding, and names its code.
func (s *section) flag(f mergedFinding) {
	s.mark = max(s.mark, markOf(f.Severity))
	if !slices.Contains(s.codes, string(f.Code)) {
		s.codes = append(s.codes, string(f.Code))
	}
}
