package doctor

import (
	"strings"
	"testing"
	"unicode"

	"lping/platform/diagnose"
)

// checkPageLine demands 80 columns, but for a single word, with or without a mark in front.
func checkPageLine(t *testing.T, line string) {
	columns := 0
	for _, r := range line {
		columns++
		if unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana) {
			columns++
		}
	}
	if strings.HasSuffix(line, " ") {
		t.Errorf("ends with a blank: %q", line)
	}
	if columns <= 80 {
		return
	}
	for _, word := range []string{"ok", "info", "??", "warn", "fail"} {
		if rest, ok := strings.CutPrefix(line, word+" "); ok {
			line = rest
			break
		}
	}
	if strings.Contains(strings.TrimSpace(line), " ") {
		t.Errorf("%d columns: %q", columns, line)
	}
}

// TestFix holds that a fix is whole: on one line, however long, since a shell takes two for two commands.
func TestFix(t *testing.T) {
	for _, fix := range []string{
		"ip link set lo up",
		`docker run --sysctl a="0 1" --sysctl some.rather.long.name.of.a.setting.here="0 2147483647" image`,
		"x " + strings.Repeat("y", 90) + " z",
	} {
		pic := rootHost()
		pic.Results[0].Findings = []diagnose.Finding{{Code: "code", Severity: diagnose.Error, Cause: "cause", Fix: fix}}
		if text, want := pageOf(t, pic, false), "\n      fix:\n          "+fix+"\n"; !strings.Contains(text, want) {
			t.Errorf("got\n%s\nwant in it\n%s", text, want)
		}
	}
}
