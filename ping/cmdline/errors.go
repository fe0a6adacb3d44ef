package cmdline

import (
	"cmp"
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// listHint is the hint if no better one is known.
const listHint = "lping -h lists the options"

// maxQuoted is how many runes of the user's input an error repeats.
const maxQuoted = 60

// Error is bad input: Message says what is wrong, Hint the corrected form. Each is one line without control characters.
type Error struct {
	Message string
	Hint    string
}

// Error returns the Message; who prints it prints the Hint on its own line.
func (e *Error) Error() string { return e.Message }

// Wrap puts "option: " in front of the message of err and keeps its hint, or else points to the help; nil stays nil.
// The result is an *Error.
func Wrap(option string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Message: oneLine(option + ": " + err.Error()), Hint: oneLine(HintOf(err))}
}

// hinted is an error of the system with a hint.
type hinted struct {
	error
	hint string
}

func (e *hinted) Unwrap() error { return e.error }

// WithHint is an error of the system with what to do about it; an empty hint points to the help.
func WithHint(err error, hint string) error { return &hinted{err, hint} }

// HintOf is the hint of an error: what to write instead, or what to do about it.
func HintOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return cmp.Or(e.Hint, listHint)
	}
	if e, ok := errors.AsType[*hinted](err); ok {
		return cmp.Or(e.hint, listHint)
	}
	return listHint
}

// oneLine replaces what does not print: an error of the system may hold anything.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}

// quote is %q cut after maxQuoted runes, never inside an escape.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for width := 0; s != ""; {
		_, n := utf8.DecodeRuneInString(s)
		escaped := strconv.Quote(s[:n])
		escaped = escaped[1 : len(escaped)-1]
		if width += utf8.RuneCountInString(escaped); width > maxQuoted {
			b.WriteString("…")
			break
		}
		b.WriteString(escaped)
		s = s[n:]
	}
	b.WriteByte('"')
	return b.String()
}

// show is s as it stands if it is short, visible ASCII, and quoted otherwise.
func show(s string) string {
	odd := func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }
	if s == "" || len(s) > maxQuoted || strings.ContainsFunc(s, odd) {
		return quote(s)
	}
	return s
}
