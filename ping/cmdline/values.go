package cmdline

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// parseSeconds parses a time as ping takes it, in seconds ("0.2", ".5", "2"), or as a Go duration ("200ms", "1m30s").
// It is not negative, and has no sign, no exponent and no underscore. Seconds are exact to the nanosecond; digits after
// that are cut off.
func parseSeconds(s string) (time.Duration, error) {
	if d, ok := seconds(s); ok {
		return d, nil
	}
	return 0, timeError(s, "0.2 or 200ms", func(s string) bool {
		_, ok := seconds(s)
		return ok
	})
}

// parseDuration parses a Go duration above zero; a number without a unit is an error: seconds or milliseconds?
func parseDuration(s string) (time.Duration, error) {
	d, ok := units(s)
	switch {
	case ok && d > 0:
		return d, nil
	case ok:
		return 0, &Error{quote(s) + " is no time above zero", "5ms or 5s"}
	case isDecimal(s):
		return 0, &Error{quote(s) + " needs a unit", withUnits(s)}
	}
	return 0, timeError(s, "5ms or 5s", func(s string) bool {
		d, ok := units(s)
		return ok && d > 0
	})
}

// seconds is parseSeconds without its errors.
func seconds(s string) (time.Duration, bool) {
	if !isDecimal(s) {
		return units(s)
	}
	whole, fraction, _ := strings.Cut(s, ".")
	fraction = (fraction + "000000000")[:9]
	n, err := strconv.ParseInt(whole+fraction, 10, 64)
	return time.Duration(n), err == nil
}

// units parses a Go duration without a sign; unlike ParseDuration it wants a unit on zero too.
func units(s string) (time.Duration, bool) {
	if s == "" || s[0] == '-' || s[0] == '+' || isDecimal(s) {
		return 0, false
	}
	d, err := time.ParseDuration(s)
	return d, err == nil
}

// timeError says what is wrong with a time. The hint is how s should be written if that can be guessed, else example.
func timeError(s, example string, good func(string) bool) error {
	switch {
	case strings.HasPrefix(s, "-") && (good(s[1:]) || isDecimal(s[1:])):
		return &Error{quote(s) + " is negative", example}
	case tooLong(s):
		return &Error{quote(s) + " is too long a time", "at most 2562047h"}
	}
	return &Error{quote(s) + " is no time", corrected(tidy(s), example, good)}
}

// tooLong says that a time is written well but too large for a Duration: with zeros for its digits it would be a time.
func tooLong(s string) bool {
	_, ok := seconds(strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return '0'
		}
		return r
	}, s))
	return ok
}

// withUnits is the hint for a time without its unit.
func withUnits(s string) string {
	d, ok := units(s + "ms")
	if _, fits := units(s + "s"); !ok || !fits || d == 0 || len(s) > 20 {
		return "5ms or 5s"
	}
	return s + "ms or " + s + "s"
}

// parseInteger parses a decimal number from min to max; "010" is ten. Anything that another base or notation would read
// differently is an error.
func parseInteger(s string, min, max int64) (int64, error) {
	if !isDigits(strings.TrimPrefix(s, "-")) {
		return 0, &Error{quote(s) + " is no whole decimal number", integerHint(s, min, max)}
	}
	n, err := strconv.ParseInt(s, 10, 64) // out of range, n is the nearest int64
	switch {
	case n < min || err != nil && n < 0:
		return 0, rangeError(s, span(min, max), "the least is "+decimal(min))
	case n > max || err != nil:
		return 0, rangeError(s, decimal(min)+" to "+decimal(max), "the most is "+decimal(max))
	}
	return n, nil
}

// integer is parseInteger for a type that holds the bounds.
func integer[T ~int | ~uint16 | ~uint64](min, max int64) func(string) (T, error) {
	return func(s string) (T, error) {
		n, err := parseInteger(s, min, max)
		return T(n), err
	}
}

// rangeError is the error of a number that is not in its range, which span names.
func rangeError(s, span, hint string) error {
	return &Error{show(s) + " is out of range (" + span + ")", hint}
}

// span is a range in words. The largest int64 is no limit that anybody needs to know.
func span(min, max int64) string {
	if max == math.MaxInt64 {
		return decimal(min) + " or more"
	}
	return decimal(min) + " to " + decimal(max)
}

// integerHint is the decimal of a number in another notation if that is in range, else the range.
func integerHint(s string, min, max int64) string {
	if n, ok := otherNotation(s); ok && n >= min && n <= max {
		return "write " + decimal(n)
	}
	return "a whole number, " + span(min, max)
}

// otherNotation reads "+5", "1_000", "0x10", "0o17", "1e3" and "2.0".
func otherNotation(s string) (int64, bool) {
	plain := strings.ReplaceAll(strings.TrimPrefix(s, "+"), "_", "")
	if n, err := strconv.ParseInt(plain, 10, 64); err == nil {
		return n, true
	}
	if n, err := strconv.ParseInt(plain, 0, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(plain, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1e15 {
		return 0, false
	}
	return int64(f), true
}

// words are the values that an option takes, at least two, each with what it means.
type words[T any] []struct {
	word  string
	means T
}

// parse returns what the word s means.
func (w words[T]) parse(s string) (means T, err error) {
	var names []string
	for _, one := range w {
		if one.word == s {
			return one.means, nil
		}
		names = append(names, one.word)
	}
	last := len(names) - 1
	return means, &Error{quote(s) + " is unknown", strings.Join(names[:last], ", ") + " or " + names[last]}
}

// set parses s into *into, which stays as it is if s has an error.
func set[T any](into *T, s string, parse func(string) (T, error)) error {
	v, err := parse(s)
	if err == nil {
		*into = v
	}
	return err
}

// parseTOS parses ping's -Q: a decimal, or a hexadecimal with 0x, from 0 to 255.
func parseTOS(s string) (int, error) {
	digits, base := s, 10
	if rest, ok := hexPrefixed(s); ok {
		digits, base = rest, 16
	}
	n, err := strconv.ParseUint(digits, base, 64)
	switch {
	case err == nil && n <= 255:
		return int(n), nil
	case isHex(digits) && (base == 16 || isDigits(digits)):
		return 0, rangeError(s, "0 to 255", "at most 255 or 0xff")
	case isHex(s) && len(s) <= 2:
		return 0, &Error{quote(s) + " is no decimal number", "write 0x" + s + " if it is hexadecimal"}
	}
	return 0, &Error{quote(s) + " is no number from 0 to 255", "decimal or hexadecimal, for example 16 or 0x10"}
}

// parsePercent parses a plain decimal from 0 to 100, with or without "%".
func parsePercent(s string) (float64, error) {
	v, ok := percent(s)
	switch {
	case ok && v <= 100:
		return v, nil
	case ok:
		return 0, rangeError(s, "0% to 100%", "at most 100%")
	}
	hint := corrected(tidy(s), "0% to 100%, for example 60%", func(s string) bool {
		v, ok := percent(s)
		return ok && v <= 100
	})
	return 0, &Error{quote(s) + " is no percentage", hint}
}

// percent is parsePercent without its range. A number that is too large for a float64 is infinite.
func percent(s string) (float64, bool) {
	s = strings.TrimSuffix(s, "%")
	if !isDecimal(s) {
		return 0, false
	}
	v, _ := strconv.ParseFloat(s, 64) // isDecimal leaves only a range error
	return v, true
}

// parsePattern parses ping's -p: 1 to 32 hexadecimal digits, without a prefix, two a byte; an odd last digit stands
// alone: "abc" is ab 0c.
func parsePattern(s string) ([]byte, error) {
	const most, sample = 32, "1 to 32 hexadecimal digits, for example ff00"
	switch {
	case isHex(s) && len(s) <= most:
		return hexBytes(s), nil
	case isHex(s):
		return nil, &Error{quote(s) + " is longer than 16 bytes", "write " + s[:most]}
	}
	plain := strings.NewReplacer(":", "", "-", "", "_", "", " ", "", ",", "").Replace(s)
	if rest, ok := hexPrefixed(plain); ok {
		plain = rest
	}
	if isHex(plain) && len(plain) <= most {
		return nil, &Error{quote(s) + " is no pattern", "write " + plain}
	}
	return nil, &Error{quote(s) + " is no pattern", sample}
}

// hexBytes reads hexadecimal digits by twos.
func hexBytes(s string) []byte {
	b := make([]byte, 0, (len(s)+1)/2)
	for ; s != ""; s = s[min(2, len(s)):] {
		n, _ := strconv.ParseUint(s[:min(2, len(s))], 16, 8) // s has hexadecimal digits only
		b = append(b, byte(n))
	}
	return b
}

// hexPrefixed is s without its 0x or 0X, if it has one.
func hexPrefixed(s string) (string, bool) {
	if len(s) > 1 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		return s[2:], true
	}
	return s, false
}

// tidy mends what people often write in a number: spaces, capitals, a plus sign, underscores, a decimal comma.
func tidy(s string) string {
	s = strings.NewReplacer(" ", "", "_", "", ",", ".").Replace(s)
	return strings.ToLower(strings.TrimPrefix(s, "+"))
}

// corrected is the hint "write s" if s is good and short, else example.
func corrected(s, example string, good func(string) bool) string {
	if len(s) <= 20 && good(s) {
		return "write " + s
	}
	return example
}

// isDecimal reports digits with at most one dot among them: "2", "0.2", ".5".
func isDecimal(s string) bool {
	whole, fraction, _ := strings.Cut(s, ".")
	return isDigits(whole + fraction)
}

// isDigits reports one or more decimal digits.
func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// isHex reports one or more hexadecimal digits.
func isHex(s string) bool { return s != "" && strings.Trim(s, "0123456789abcdefABCDEF") == "" }

// decimal writes a number.
func decimal(n int64) string { return strconv.FormatInt(n, 10) }
