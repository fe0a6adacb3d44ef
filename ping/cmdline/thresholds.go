package cmdline

import (
	"math"
	"strconv"
	"strings"

	"lping/stats"
)

// parseThreshold parses "rta,pl%": a range for the mean RTT in ms, and one for the loss in percent. Each may stand
// alone, by its percent sign or the lack of one.
func parseThreshold(s string) (t stats.Threshold, err error) {
	const sample = "the mean RTT in ms and the loss, for example 5,20%"
	first, second, both := strings.Cut(s, ",")
	first, second = strings.TrimSpace(first), strings.TrimSpace(second)
	switch {
	case both && (strings.HasSuffix(first, "%") || !strings.HasSuffix(second, "%")):
		return t, &Error{quote(s) + " is no threshold", sample}
	case !both && strings.HasSuffix(first, "%"):
		first, second = "", first
	}
	if first != "" || !both && second == "" {
		t.RTA, err = alertRange(first, math.MaxInt64)
	}
	if second != "" && err == nil {
		t.Loss, err = alertRange(strings.TrimSuffix(second, "%"), 100)
	}
	return t, err
}

// alertRange parses one range: "10" is 0 to 10, "10:" from there on, "~:10" up to there, and "@" turns it inside out.
func alertRange(s string, most float64) (*stats.Range, error) {
	bad := &Error{quote(s) + " is no range", "10, 5:10, 5:, or @5:10 for an alert inside, as in Nagios"}
	r := stats.Range{Text: s, High: math.Inf(1)}
	rest, inside := strings.CutPrefix(s, "@")
	r.Inside = inside
	low, high, both := strings.Cut(rest, ":")
	if !both {
		low, high = "0", rest
	}
	lowOK, highOK := true, true
	if low == "~" {
		r.Low = math.Inf(-1)
	} else {
		r.Low, lowOK = bound(low)
	}
	if high != "" || !both {
		r.High, highOK = bound(high)
	}
	switch {
	case !lowOK || !highOK:
		return nil, bad
	case r.Low > most || r.High > most && !math.IsInf(r.High, 1):
		return nil, &Error{quote(s) + " is out of range (0 to " + strconv.FormatFloat(most, 'f', -1, 64) + ")", bad.Hint}
	case r.High < r.Low:
		return nil, &Error{quote(s) + " ends before it starts", "the lower bound first"}
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
