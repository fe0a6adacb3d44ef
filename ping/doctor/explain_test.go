package doctor

import (
	"errors"
	"strings"
	"testing"

	"lping/platform/diagnose"
)

// TestExplain holds that the list and each page are plain text of at most 80 columns, and that a page has all its parts.
func TestExplain(t *testing.T) {
	list := explanations(nil)
	for line := range strings.Lines(list) {
		checkPageLine(t, strings.TrimSuffix(line, "\n"))
	}
	for i, line := range strings.Split(strings.TrimSpace(list), "\n") {
		code := diagnose.Codes()[i]
		if name, _, _ := strings.Cut(line, " "); name != code {
			t.Errorf("line %d of the list is about %s, want %s", i, name, code)
		}
		page := explanations([]string{code})
		for line := range strings.Lines(page) {
			checkPageLine(t, strings.TrimSuffix(line, "\n"))
		}
		for _, want := range []string{code + " (", "\n\n  How it is told\n    ", "\n\n  Not to be confused with\n    ", "\n\n  What mends it\n    "} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: got %q, want %q in it", code, page, want)
			}
		}
	}
	refusal := errors.New("no code")
	if err := Explain(func([]string) ([]string, error) { return nil, refusal }, nil); err != refusal {
		t.Errorf("got %v, want %v", err, refusal)
	}
	two := explanations([]string{"lo_down", "lo_missing"})
	if two != explanations([]string{"lo_down"})+"\n"+explanations([]string{"lo_missing"}) {
		t.Errorf("got %q, want both pages with a blank line between them", two)
	}
}
