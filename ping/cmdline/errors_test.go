package cmdline

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// isLine reports a text that can stand as one line of output.
func isLine(s string) bool {
	return s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// checkError fails unless err is nil or an *Error of two good lines.
func checkError(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	e, ok := err.(*Error)
	if !ok || e == nil {
		t.Fatalf("error is a %T, want *Error: %v", err, err)
	}
	if !isLine(e.Message) || !isLine(e.Hint) {
		t.Fatalf("message %q or hint %q is no good line", e.Message, e.Hint)
	}
	if n := utf8.RuneCountInString(e.Message); n > 300 {
		t.Fatalf("message has %d runes: %q", n, e.Message)
	}
}

// text is an error as "message; hint", or "".
func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error() + "; " + err.(*Error).Hint
}

func TestErrorIsOneLine(t *testing.T) {
	long := strings.Repeat("é\n", 200)
	for _, args := range [][]string{{"--a\nb\x1b[31m"}, {"-\n"}, {"-\xff"}, {"--" + long}, {"--quiet=" + long}, {"--\u2028"}} {
		_, _, err := parseArgs(table, args)
		if err == nil {
			t.Errorf("%q: no error", args)
		}
		checkError(t, err)
		if n := utf8.RuneCountInString(err.Error()); n > 100 {
			t.Errorf("%q: %d runes", err, n)
		}
	}
}

func TestWrap(t *testing.T) {
	if err := Wrap("-c", nil); err != nil {
		t.Errorf("nil became %v", err)
	}
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"ours", &Error{"bad", "good"}, "-c: bad; good"},
		{"ours inside", fmt.Errorf("so: %w", &Error{"bad", "good"}), "-c: so: bad; good"},
		{"foreign", errors.New("two\nlines"), "-c: two lines; lping -h lists the options"},
		{"no hint", &Error{Message: "bad"}, "-c: bad; lping -h lists the options"},
	}
	for _, tt := range tests {
		if got := text(Wrap("-c", tt.err)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
