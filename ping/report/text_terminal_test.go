package report

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"lping/platform/diagnose"
)

// TestTerminal compares what a person sees of each scenario: on terminals of each kind, and at widths of 40, 80 and 200. No line
// is wider but those of ping and a fix, and what was found ends with its fix.
func TestTerminal(t *testing.T) {
	for _, s := range scenarios() {
		if s.options.PingOnly {
			continue
		}
		var screens bytes.Buffer
		for _, o := range []Options{{Unicode: true}, {Unicode: true, Verbose: true, Color: true}, {}} {
			for _, width := range []int{80, 40, 200} {
				if width == 200 && !o.Unicode || width != 80 && o.Verbose {
					continue
				}
				o := o
				o.Size = func() (int, int) { return width, 24 }
				answer := string((&text{o: o}).appendAnswer(nil, s.report, width))
				fmt.Fprintf(&screens, "== %d columns, Unicode %v, verbose %v\n%s", width, o.Unicode, o.Verbose, answer)
				for line := range strings.Lines(uncolored(answer)) {
					line = strings.TrimSuffix(line, "\n")
					named := !strings.HasPrefix(line, "  ") // a name is not broken
					if utf8.RuneCountInString(line) > width && !strings.HasPrefix(line, "  fix: ") && !named {
						t.Errorf("%s: %q is wider than %d columns", s.name, line, width)
					}
				}
				checkEnd(t, s, answer)
			}
		}
		compare(t, filepath.Join("testdata", s.name+".terminal"), screens.Bytes())
	}
}

// checkEnd holds that the last line is a fix if a finding that is as bad as any has one.
func checkEnd(t *testing.T, s scenario, answer string) {
	t.Helper()
	mended := map[diagnose.Severity]bool{}
	var worst diagnose.Severity
	for _, r := range s.report.Results {
		for _, f := range r.Findings {
			worst = max(worst, f.Severity)
			mended[f.Severity] = mended[f.Severity] || f.Fix != ""
		}
	}
	lines := strings.Split(strings.TrimSuffix(answer, "\n"), "\n")
	if last := lines[len(lines)-1]; mended[worst] != strings.HasPrefix(last, "  fix: ") {
		t.Errorf("%s ends with %q, and has a fix: %v", s.name, last, mended[worst])
	}
}
