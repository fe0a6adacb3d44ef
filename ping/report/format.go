package report

import (
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"lping/ping"
)

// lines writes whole lines, each in one Write: stdout is not buffered, and a reader must never see half a line.
type lines struct {
	w io.Writer
	// buf is the memory of the current line, used again for the next one.
	buf []byte
}

func newLines(w io.Writer) lines { return lines{w: w, buf: make([]byte, 0, 512)} }

// put ends the line b and writes it; b was made in l.buf[:0].
func (l *lines) put(b []byte) error { return l.putRaw(append(b, '\n')) }

// putRaw writes b as it is and keeps its memory.
func (l *lines) putRaw(b []byte) error {
	l.buf = b
	_, err := l.w.Write(b)
	return err
}

// micros is d in whole microseconds, half up; negative durations are 0.
func micros(d time.Duration) int64 {
	return max(0, int64(d.Round(time.Microsecond)/time.Microsecond))
}

// pingTime appends d in ms as ping prints one round trip: fewer decimals the longer it took, or always three.
func pingTime(b []byte, d time.Duration, precise bool) []byte {
	u := micros(d)
	switch {
	case precise || u < 1000:
		return appendMillis(b, u, 3)
	case u < 9995:
		return appendMillis(b, u+5, 2)
	case u < 99950:
		return appendMillis(b, u+50, 1)
	}
	return appendMillis(b, u+500, 0)
}

// appendMillis appends u microseconds in ms with that many decimals, up to three, and drops the rest.
func appendMillis(b []byte, u int64, decimals int) []byte {
	b = strconv.AppendInt(b, u/1000, 10)
	if decimals == 0 {
		return b
	}
	rest := u % 1000
	for range 3 - decimals {
		rest /= 10
	}
	return appendPadded(append(b, '.'), rest, decimals)
}

// threeDecimals appends d in ms with three decimals, as in ping's statistics.
func threeDecimals(b []byte, d time.Duration) []byte { return appendMillis(b, micros(d), 3) }

// Milliseconds is d in ms with three decimals.
func Milliseconds(d time.Duration) string { return string(threeDecimals(nil, d)) }

// seconds is d in seconds with one decimal, and their unit.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s" }

// lengthOf is how long an outage took: in seconds with one decimal or, below one, in ms.
func lengthOf(d time.Duration) string {
	if d < time.Second {
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	}
	return seconds(d)
}

// exactMillis appends d in ms to the nanosecond, without trailing zeros and without an exponent.
func exactMillis(b []byte, d time.Duration) []byte {
	if d < 0 {
		b = append(b, '-')
	}
	d = d.Abs()
	b = strconv.AppendInt(b, int64(d/time.Millisecond), 10)
	rest := int64(d % time.Millisecond)
	if rest == 0 {
		return b
	}
	b = appendPadded(append(b, '.'), rest, 6)
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	return b
}

// appendPadded appends n with zeros in front to make it width digits.
func appendPadded(b []byte, n int64, width int) []byte {
	digits := 1
	for m := n; m >= 10; m /= 10 {
		digits++
	}
	for ; digits < width; digits++ {
		b = append(b, '0')
	}
	return strconv.AppendInt(b, n, 10)
}

// lossPercent appends x as C's printf prints a float with %g.
func lossPercent(b []byte, x float64) []byte {
	return strconv.AppendFloat(b, float64(float32(x)), 'g', 6, 64)
}

// unixTime appends t as Unix seconds with microseconds.
func unixTime(b []byte, t time.Time) []byte {
	b = append(strconv.AppendInt(b, t.Unix(), 10), '.')
	return appendPadded(b, int64(t.Nanosecond()/1000), 6)
}

// isLiteral says that a name is an address: digits and dots, or anything with a colon.
func isLiteral(name string) bool {
	return strings.IndexByte(name, ':') >= 0 || strings.Trim(name, "0123456789.") == ""
}

// displayName is the name of the target in the banner and in the statistics.
func displayName(t Target) string {
	if t.Name == "" {
		return t.Address.String()
	}
	return Clean(t.Name)
}

// maxPath is how much of a path the name of a target has room for.
const maxPath = 30

// Address is the address of a result's target, with the port if it is a service; its name if the address is not known.
func Address(r Result) string {
	t := r.Target
	switch {
	case t.Proto == ping.ProtoHTTP:
		return "http://" + Clean(string(appendService(nil, t))) + cut(Clean(t.Path), maxPath)
	case t.Ambiguous:
		return protocol(t) + "://" + Clean(string(appendService(nil, t)))
	case t.Address.IsValid():
		return Clean(string(appendService(nil, t)))
	}
	return Clean(r.Target.Name)
}

// Ratio is how many of the probes were answered, such as 5/5.
func Ratio(r Result) string {
	return fmt.Sprintf("%d/%d", r.Summary.Received, r.Summary.Sent)
}

// Method is how a target was probed or, if there was no socket, how it should have been.
func Method(t Target) string {
	switch {
	case t.Method != "":
		return t.Method
	case t.Proto == ping.ProtoAuto:
		return ping.ProtoICMP.String()
	}
	return t.Proto.String()
}

// sender is the address that an event came from.
func sender(t Target, e ping.Event) netip.Addr {
	if e.From.IsValid() {
		return e.From
	}
	return t.Address
}

// Clean is s on one line: what is not printable becomes a space, so that data cannot end a line or move the cursor.
func Clean(s string) string {
	if utf8.ValidString(s) && strings.IndexFunc(s, unprintable) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unprintable(r) {
			return ' '
		}
		return r
	}, s)
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// AppendWrapped appends s as a line that starts at column at and is at most as wide as width, unless it is a single word. What is too
// wide goes on at column rest.
func AppendWrapped(b []byte, at, rest, width int, s string) []byte {
	if at+TextWidth(s) <= width {
		return fmt.Appendln(b, s)
	}
	for i, word := range splitWords(s, width-rest) {
		if i > 0 && at+TextWidth(word) > width {
			b, at = append(append(b, '\n'), strings.Repeat(" ", rest)...), rest
			word = strings.TrimLeft(word, " ")
		}
		b, at = append(b, word...), at+TextWidth(word)
	}
	return append(b, '\n')
}

// splitWords splits s into words with the blanks before them. It does not split within double quotes, because a command
// with a broken string is another command, unless the string is wider than room.
func splitWords(s string, room int) []string {
	var list []string
	start, quoted, inWord := 0, false, false
	for i := range len(s) + 1 {
		switch {
		case i == len(s) || s[i] == ' ' && !quoted:
			if inWord {
				list = append(list, splitIfWide(s[start:i], room)...)
				start, inWord = i, false
			}
		case s[i] == '"':
			quoted, inWord = !quoted, true
		default:
			inWord = true
		}
	}
	return list
}

// splitIfWide is the word alone if it fits into room, else its parts between blanks.
func splitIfWide(word string, room int) []string {
	if TextWidth(strings.TrimLeft(word, " ")) <= room {
		return []string{word}
	}
	list := strings.Fields(word)
	for i := range list {
		list[i] = " " + list[i]
	}
	return list
}

// TextWidth is how many columns s takes at most: what is not ASCII may take two.
func TextWidth(s string) int {
	n := len(s)
	for _, r := range s {
		if r >= utf8.RuneSelf {
			n += 2 - utf8.RuneLen(r)
		}
	}
	return n
}
