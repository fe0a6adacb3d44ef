package cmdline

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Seconds parses a time as ping takes it, in seconds ("0.2", ".5", "2"), or as
// a Go duration ("200ms", "1m30s"). It is not negative, and has no sign, no
// exponent and no underscore. Seconds are exact to the nanosecond; digits after
// that are cut off.
func Seconds(s string) (time.Duration, error) {
	if d, ok := seconds(s); ok {
		return d, nil
	}
	return 0, timeError(s, "0.2 or 200ms", func(s string) bool {
		_, ok := seconds(s)
		return ok
	})
}

// Duration parses a Go duration above zero; a number without a unit is an
// error, since it may mean seconds or milliseconds.
func Duration(s string) (time.Duration, error) {
	d, ok := units(s)
	switch {
	case ok && d > 0:
		return d, nil
	case ok:
		return 0, &Error{Quote(s) + " is no time above zero", "5ms or 5s"}
	case isDecimal(s):
		return 0, &Error{Quote(s) + " needs a unit", withUnits(s)}
	}
	return 0, timeError(s, "5ms or 5s", func(s string) bool {
		d, ok := units(s)
		return ok && d > 0
	})
}

// seconds is Seconds without its errors.
func seconds(s string) (time.Duration, bool) {
	if !isDecimal(s) {
		return units(s)
	}
	whole, fraction, _ := strings.Cut(s, ".")
	fraction = (fraction + "000000000")[:9]
	n, err := strconv.ParseInt(whole+fraction, 10, 64)
	return time.Duration(n), err == nil
}

// units parses a Go duration without a sign; unlike ParseDuration it wants a
// unit on zero too.
func units(s string) (time.Duration, bool) {
	if s == "" || s[0] == '-' || s[0] == '+' || isDecimal(s) {
		return 0, false
	}
	d, err := time.ParseDuration(s)
	return d, err == nil
}

// timeError says what is wrong with a time. example is the hint unless a
// tidied s is good.
func timeError(s, example string, good func(string) bool) error {
	switch {
	case strings.HasPrefix(s, "-") && (good(s[1:]) || isDecimal(s[1:])):
		return &Error{Quote(s) + " is negative", example}
	case tooLong(s):
		return &Error{Quote(s) + " is too long a time", "at most 2562047h"}
	}
	return &Error{Quote(s) + " is no time", corrected(tidy(s), example, good)}
}

// tooLong reports a time that is written well but does not fit: with every
// digit a zero it would.
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

// Integer parses a decimal number from min to max; "010" is ten. Anything that
// another base or notation would read differently is an error.
func Integer(s string, min, max int64) (int64, error) {
	if !isDigits(strings.TrimPrefix(s, "-")) {
		return 0, &Error{Quote(s) + " is no whole decimal number", integerHint(s, min, max)}
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

// rangeError names the range that s is not in.
func rangeError(s, span, hint string) error {
	return &Error{show(s) + " is out of range (" + span + ")", hint}
}

// span is a range for people: without an upper end if that is as good as none.
func span(min, max int64) string {
	if max == math.MaxInt64 {
		return decimal(min) + " or more"
	}
	return decimal(min) + " to " + decimal(max)
}

// integerHint writes a number in another notation as a decimal, if that is in
// range.
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

// Word is the index of s among words, of which there are at least two; 0 with an error.
func Word(s string, words ...string) (int, error) {
	if i := slices.Index(words, s); i >= 0 {
		return i, nil
	}
	last := len(words) - 1
	return 0, &Error{Quote(s) + " is unknown", strings.Join(words[:last], ", ") + " or " + words[last]}
}

// TOS parses ping's -Q: a decimal, or a hexadecimal with 0x, from 0 to 255.
func TOS(s string) (int, error) {
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
		return 0, &Error{Quote(s) + " is no decimal number", "write 0x" + s + " if it is hexadecimal"}
	}
	return 0, &Error{Quote(s) + " is no number from 0 to 255", "decimal or hexadecimal, for example 16 or 0x10"}
}

// Percent parses a plain decimal from 0 to 100, with or without "%".
func Percent(s string) (float64, error) {
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
	return 0, &Error{Quote(s) + " is no percentage", hint}
}

// percent is Percent without its range; what no float64 holds is infinite.
func percent(s string) (float64, bool) {
	s = strings.TrimSuffix(s, "%")
	if !isDecimal(s) {
		return 0, false
	}
	v, _ := strconv.ParseFloat(s, 64) // isDecimal leaves only a range error
	return v, true
}

// Pattern parses ping's -p: 1 to 32 hexadecimal digits, without a prefix, two
// a byte; an odd last digit stands alone: "abc" is ab 0c.
func Pattern(s string) ([]byte, error) {
	const most, sample = 32, "1 to 32 hexadecimal digits, for example ff00"
	switch {
	case isHex(s) && len(s) <= most:
		return hexBytes(s), nil
	case isHex(s):
		return nil, &Error{Quote(s) + " is longer than 16 bytes", "write " + s[:most]}
	}
	plain := strings.NewReplacer(":", "", "-", "", "_", "", " ", "", ",", "").Replace(s)
	if rest, ok := hexPrefixed(plain); ok {
		plain = rest
	}
	if isHex(plain) && len(plain) <= most {
		return nil, &Error{Quote(s) + " is no pattern", "write " + plain}
	}
	return nil, &Error{Quote(s) + " is no pattern", sample}
}

// hexBytes reads hexadecimal digits by twos.
func hexBytes(s string) []byte {
	b := make([]byte, 0, (len(s)+1)/2)
	for ; s != ""; s = s[min(2, len(s)):] {
		n, _ := strconv.ParseUint(s[:min(2, len(s))], 16, 8) // isHex was asked
		b = append(b, byte(n))
	}
	return b
}

// hexPrefixed takes 0x or 0X off.
func hexPrefixed(s string) (string, bool) {
	if len(s) > 1 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		return s[2:], true
	}
	return s, false
}

// tidy mends what people often write in a number: spaces, capitals, a plus
// sign, underscores, a decimal comma.
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

// decimal is a number for people.
func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// Sizes parses a list of sizes: numbers and ranges FROM:TO or FROM:TO:STEP, with commas between them. A range holds
// FROM, and TO where a step ends there. Each is from 0 to max, and at most limit are allowed.
func Sizes(s string, max, limit int) ([]int, error) {
	var list []int
	for part := range strings.SplitSeq(s, ",") {
		from, to, step, err := sizeRange(part, int64(max))
		if err != nil {
			return nil, err
		}
		if (to-from)/step >= limit-len(list) {
			return nil, &Error{Quote(s) + " are more than " + decimal(int64(limit)) + " sizes", "fewer sizes, or a longer step"}
		}
		for size := from; size <= to; size += step {
			list = append(list, size)
		}
	}
	return list, nil
}

// sizeRange parses one part of a list of sizes; a number is a range of one.
func sizeRange(part string, max int64) (from, to, step int, err error) {
	const sample = "FROM:TO:STEP such as 0:1472:64, or a list such as 0,56,1472"
	numbers := strings.Split(part, ":")
	bounds := [3]int{0, 0, 1}
	for i, number := range numbers {
		least := int64(0)
		switch {
		case i == len(bounds) || number == "":
			return 0, 0, 0, &Error{Quote(part) + " is no range of sizes", sample}
		case i == len(bounds)-1:
			least = 1
		}
		n, err := Integer(number, least, max)
		if err != nil {
			return 0, 0, 0, err
		}
		bounds[i] = int(n)
	}
	from, to, step = bounds[0], bounds[1], bounds[2]
	if len(numbers) == 1 {
		to = from
	}
	if to < from {
		return 0, 0, 0, &Error{Quote(part) + " ends before it starts", "write " + decimal(int64(to)) + ":" + decimal(int64(from))}
	}
	return from, to, step, nil
}

// Range is a range of the Nagios plug-in guidelines. Values outside Low to High are an alert or, with Inside, those
// within. Text is how it was written, without the percent sign.
type Range struct {
	Low, High float64
	Inside    bool
	Text      string
}

// Thresholds parses "rta,pl%": a range for the mean RTT in ms, and one for the loss in percent. Each may stand alone, by
// its percent sign or the lack of one; nil is none.
func Thresholds(s string) (rta, loss *Range, err error) {
	const sample = "the mean RTT in ms and the loss, for example 5,20%"
	first, second, both := strings.Cut(s, ",")
	first, second = strings.TrimSpace(first), strings.TrimSpace(second)
	switch {
	case both && (strings.HasSuffix(first, "%") || !strings.HasSuffix(second, "%")):
		return nil, nil, &Error{Quote(s) + " is no threshold", sample}
	case !both && strings.HasSuffix(first, "%"):
		first, second = "", first
	}
	if first != "" || !both && second == "" {
		if rta, err = alertRange(first, math.MaxInt64); err != nil {
			return nil, nil, err
		}
	}
	if second != "" {
		if loss, err = alertRange(strings.TrimSuffix(second, "%"), 100); err != nil {
			return nil, nil, err
		}
	}
	return rta, loss, nil
}

// alertRange parses one range: "10" is 0 to 10, "10:" from there on, "~:10" up to there, and "@" turns it inside out.
func alertRange(s string, most float64) (*Range, error) {
	bad := &Error{Quote(s) + " is no range", "10, 5:10, 5:, or @5:10 for an alert inside, as in Nagios"}
	r := Range{Text: s, High: math.Inf(1)}
	rest, inside := strings.CutPrefix(s, "@")
	r.Inside = inside
	low, high, both := strings.Cut(rest, ":")
	if !both {
		low, high = "0", rest
	}
	var ok bool
	switch low {
	case "~":
		r.Low = math.Inf(-1)
	default:
		if r.Low, ok = bound(low); !ok {
			return nil, bad
		}
	}
	if high != "" || !both {
		if r.High, ok = bound(high); !ok {
			return nil, bad
		}
	}
	switch {
	case r.Low > most || r.High > most && !math.IsInf(r.High, 1):
		return nil, &Error{Quote(s) + " is out of range (0 to " + strconv.FormatFloat(most, 'f', -1, 64) + ")", bad.Hint}
	case r.High < r.Low:
		return nil, &Error{Quote(s) + " ends before it starts", "the lower bound first"}
	}
	return &r, nil
}

// bound parses an end of a range.
func bound(s string) (float64, bool) {
	if !isDecimal(s) {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil
}
