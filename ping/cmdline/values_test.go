package cmdline

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"lping/ping"
	"lping/stats"
)

// valueTest is an input and what comes of it: the value as text, or the error
// as "message; hint".
type valueTest struct{ got, want string }

// runValues runs a table through a parser.
func runValues[T any](t *testing.T, parse func(string) (T, error), tests []valueTest) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.got, func(t *testing.T) {
			v, err := parse(tt.got)
			checkError(t, err)
			got := text(err)
			if err == nil {
				got = fmt.Sprint(v)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSeconds(t *testing.T) {
	runValues(t, parseSeconds, []valueTest{
		{"0", "0s"}, {"2", "2s"}, {"0.2", "200ms"}, {".5", "500ms"}, {"5.", "5s"}, {"010", "10s"},
		{"0.000000001", "1ns"}, {"0.3333333339", "333.333333ms"}, {"123456789.123456789", "34293h33m9.123456789s"},
		{"9223372036.854775807", "2562047h47m16.854775807s"},
		{"200ms", "200ms"}, {"1m30s", "1m30s"}, {"0s", "0s"}, {"1.5h", "1h30m0s"}, {"10µs", "10µs"},
		{"9223372036.854775808", `"9223372036.854775808" is too long a time; at most 2562047h`},
		{"9999999h", `"9999999h" is too long a time; at most 2562047h`},
		{"-1", `"-1" is negative; 0.2 or 200ms`}, {"-1s", `"-1s" is negative; 0.2 or 200ms`},
		{"", `"" is no time; 0.2 or 200ms`}, {".", `"." is no time; 0.2 or 200ms`},
		{"-", `"-" is no time; 0.2 or 200ms`}, {"1.2.3", `"1.2.3" is no time; 0.2 or 200ms`},
		{"+1", `"+1" is no time; write 1`}, {"0,2", `"0,2" is no time; write 0.2`},
		{"200 MS", `"200 MS" is no time; write 200ms`}, {"1_0", `"1_0" is no time; write 10`},
		{"1e3", `"1e3" is no time; 0.2 or 200ms`}, {"0x10", `"0x10" is no time; 0.2 or 200ms`},
		{"inf", `"inf" is no time; 0.2 or 200ms`}, {"NaN", `"NaN" is no time; 0.2 or 200ms`},
		{"5\n", `"5\n" is no time; 0.2 or 200ms`}, {"=1", `"=1" is no time; 0.2 or 200ms`},
	})
}

func TestDuration(t *testing.T) {
	runValues(t, parseDuration, []valueTest{
		{"5ms", "5ms"}, {"1m30s", "1m30s"}, {"0.5s", "500ms"},
		{"5", `"5" needs a unit; 5ms or 5s`}, {"0.2", `"0.2" needs a unit; 0.2ms or 0.2s`},
		{"0", `"0" needs a unit; 5ms or 5s`}, {"99999999999", `"99999999999" needs a unit; 5ms or 5s`},
		{"0s", `"0s" is no time above zero; 5ms or 5s`}, {"-5ms", `"-5ms" is negative; 5ms or 5s`},
		{"-5", `"-5" is negative; 5ms or 5s`}, {"", `"" is no time; 5ms or 5s`},
		{"+5ms", `"+5ms" is no time; write 5ms`}, {"5 s", `"5 s" is no time; write 5s`},
		{"5d", `"5d" is no time; 5ms or 5s`}, {"9999999h", `"9999999h" is too long a time; at most 2562047h`},
	})
}

func TestInteger(t *testing.T) {
	runValues(t, func(s string) (int64, error) { return parseInteger(s, 0, 255) }, []valueTest{
		{"0", "0"}, {"-0", "0"}, {"255", "255"}, {"010", "10"},
		{"256", "256 is out of range (0 to 255); the most is 255"},
		{"-1", "-1 is out of range (0 to 255); the least is 0"},
		{"99999999999999999999", "99999999999999999999 is out of range (0 to 255); the most is 255"},
		{"0x10", `"0x10" is no whole decimal number; write 16`},
		{"1_00", `"1_00" is no whole decimal number; write 100`},
		{"+5", `"+5" is no whole decimal number; write 5`}, {"+010", `"+010" is no whole decimal number; write 10`},
		{"1e2", `"1e2" is no whole decimal number; write 100`}, {"2.0", `"2.0" is no whole decimal number; write 2`},
		{"1e3", `"1e3" is no whole decimal number; a whole number, 0 to 255`},
		{"1.5", `"1.5" is no whole decimal number; a whole number, 0 to 255`},
		{"", `"" is no whole decimal number; a whole number, 0 to 255`},
		{"-", `"-" is no whole decimal number; a whole number, 0 to 255`},
		{"inf", `"inf" is no whole decimal number; a whole number, 0 to 255`},
		{"NaN", `"NaN" is no whole decimal number; a whole number, 0 to 255`},
		{"٣", `"٣" is no whole decimal number; a whole number, 0 to 255`},
		{"=1", `"=1" is no whole decimal number; a whole number, 0 to 255`},
	})
}

func TestIntegerOpenRange(t *testing.T) {
	parse := func(s string) (int64, error) { return parseInteger(s, math.MinInt64, math.MaxInt64) }
	runValues(t, parse, []valueTest{
		{"-9223372036854775808", "-9223372036854775808"}, {"9223372036854775807", "9223372036854775807"},
		{"-9223372036854775809", "-9223372036854775809 is out of range (-9223372036854775808 or more); the least is -9223372036854775808"},
		{"9223372036854775808", "9223372036854775808 is out of range (-9223372036854775808 to 9223372036854775807); the most is 9223372036854775807"},
		{"x", `"x" is no whole decimal number; a whole number, -9223372036854775808 or more`},
	})
}

func TestTOS(t *testing.T) {
	runValues(t, parseTOS, []valueTest{
		{"0", "0"}, {"255", "255"}, {"010", "10"}, {"0x10", "16"}, {"0XfF", "255"},
		{"256", "256 is out of range (0 to 255); at most 255 or 0xff"},
		{"0x100", "0x100 is out of range (0 to 255); at most 255 or 0xff"},
		{"0xffffffffffffffffff", "0xffffffffffffffffff is out of range (0 to 255); at most 255 or 0xff"},
		{"b8", `"b8" is no decimal number; write 0xb8 if it is hexadecimal`},
		{"", `"" is no number from 0 to 255; decimal or hexadecimal, for example 16 or 0x10`},
		{"0x", `"0x" is no number from 0 to 255; decimal or hexadecimal, for example 16 or 0x10`},
		{"-1", `"-1" is no number from 0 to 255; decimal or hexadecimal, for example 16 or 0x10`},
		{"+1", `"+1" is no number from 0 to 255; decimal or hexadecimal, for example 16 or 0x10`},
		{"0x_1", `"0x_1" is no number from 0 to 255; decimal or hexadecimal, for example 16 or 0x10`},
	})
}

func TestWords(t *testing.T) {
	runValues(t, words[int]{{"auto", 7}, {"dgram", 8}, {"raw", 9}}.parse, []valueTest{
		{"auto", "7"}, {"raw", "9"}, {"", `"" is unknown; auto, dgram or raw`},
		{"Raw", `"Raw" is unknown; auto, dgram or raw`}, {"x\n", `"x\n" is unknown; auto, dgram or raw`},
	})
}

func TestPercent(t *testing.T) {
	runValues(t, parsePercent, []valueTest{
		{"60", "60"}, {"60%", "60"}, {"0.5%", "0.5"}, {".5", "0.5"}, {"0", "0"}, {"100.0%", "100"},
		{"101", "101 is out of range (0% to 100%); at most 100%"},
		{strings.Repeat("9", 400), `"` + strings.Repeat("9", 60) + `…" is out of range (0% to 100%); at most 100%`},
		{"-1", `"-1" is no percentage; 0% to 100%, for example 60%`},
		{"", `"" is no percentage; 0% to 100%, for example 60%`}, {"%", `"%" is no percentage; 0% to 100%, for example 60%`},
		{"60%%", `"60%%" is no percentage; 0% to 100%, for example 60%`},
		{"60 %", `"60 %" is no percentage; write 60%`}, {"0,5", `"0,5" is no percentage; write 0.5`},
		{"1e1", `"1e1" is no percentage; 0% to 100%, for example 60%`},
		{"NaN", `"NaN" is no percentage; 0% to 100%, for example 60%`},
	})
}

func TestPattern(t *testing.T) {
	parse := func(s string) (string, error) {
		b, err := parsePattern(s)
		return fmt.Sprintf("% x", b), err
	}
	full := strings.Repeat("0f", 16)
	runValues(t, parse, []valueTest{
		{"f", "0f"}, {"ff", "ff"}, {"abc", "ab 0c"}, {"FF00", "ff 00"}, {"0", "00"},
		{full, strings.TrimSpace(strings.Repeat("0f ", 16))}, {full[1:], strings.Repeat("f0 ", 15) + "0f"},
		{full + "1", `"` + full + `1" is longer than 16 bytes; write ` + full},
		{"", `"" is no pattern; 1 to 32 hexadecimal digits, for example ff00`},
		{"xyz", `"xyz" is no pattern; 1 to 32 hexadecimal digits, for example ff00`},
		{"0xff", `"0xff" is no pattern; write ff`}, {"de:ad", `"de:ad" is no pattern; write dead`},
		{"0x", `"0x" is no pattern; 1 to 32 hexadecimal digits, for example ff00`},
	})
}

func TestThreshold(t *testing.T) {
	parse := func(s string) (string, error) {
		threshold, err := parseThreshold(s)
		var parts []string
		for _, r := range []*stats.Range{threshold.RTA, threshold.Loss} {
			if r == nil {
				parts = append(parts, "-")
			} else {
				parts = append(parts, fmt.Sprintf("%v..%v %v %s", r.Low, r.High, r.Inside, r.Text))
			}
		}
		return strings.Join(parts, " | "), err
	}
	const sample = "the mean RTT in ms and the loss, for example 5,20%"
	const ranges = "10, 5:10, 5:, or @5:10 for an alert inside, as in Nagios"
	runValues(t, parse, []valueTest{
		{"5,20%", "0..5 false 5 | 0..20 false 20"}, {"5", "0..5 false 5 | -"}, {"20%", "- | 0..20 false 20"},
		{",20%", "- | 0..20 false 20"}, {"0.5:2.5", "0.5..2.5 false 0.5:2.5 | -"}, {"5:", "5..+Inf false 5: | -"},
		{"~:5", "-Inf..5 false ~:5 | -"}, {"@5:10", "5..10 true @5:10 | -"}, {"@5", "0..5 true @5 | -"},
		{"10:20%", "- | 10..20 false 10:20"}, {"0,100%", "0..0 false 0 | 0..100 false 100"},
		{" 5, 20%", "0..5 false 5 | 0..20 false 20"}, {"5,101:%", `"101:" is out of range (0 to 100); ` + ranges},
		{"20%,5", `"20%,5" is no threshold; ` + sample}, {"5,20", `"5,20" is no threshold; ` + sample},
		{"5,20%,1%", `"20%,1" is no range; ` + ranges}, {"", `"" is no range; ` + ranges}, {"%", `"" is no range; ` + ranges},
		{"5ms", `"5ms" is no range; ` + ranges}, {"-1", `"-1" is no range; ` + ranges}, {":5", `":5" is no range; ` + ranges},
		{"101%", `"101" is out of range (0 to 100); ` + ranges}, {"9:5", `"9:5" ends before it starts; the lower bound first`},
		{"NaN", `"NaN" is no range; ` + ranges}, {"1e3", `"1e3" is no range; ` + ranges}, {"@", `"@" is no range; ` + ranges},
	})
}

func FuzzThreshold(f *testing.F) {
	addAll(f, "5,20%", "@5:10,~:20%", "5:", ":", "~", "@", ",", "%,%", "0.1:0.2,5%")
	f.Fuzz(func(t *testing.T, s string) {
		threshold, err := parseThreshold(s)
		checkError(t, err)
		if err == nil && threshold == (stats.Threshold{}) {
			t.Fatalf("%q holds nothing", s)
		}
		for _, r := range []*stats.Range{threshold.RTA, threshold.Loss} {
			if r != nil && (!(r.Low <= r.High) || strings.ContainsAny(r.Text, " |;=%")) {
				t.Fatalf("%q is %+v", s, *r)
			}
		}
	})
}

func TestSizes(t *testing.T) {
	parse := func(s string) (string, error) {
		list, err := parseSizes(s, 65507, 100)
		return strings.Trim(fmt.Sprint(list), "[]"), err
	}
	const sample = "FROM:TO:STEP such as 0:1472:64, or a list such as 0,56,1472"
	runValues(t, parse, []valueTest{
		{"56", "56"}, {"0,56,1472", "0 56 1472"}, {"9,9", "9 9"}, {"3:5", "3 4 5"}, {"5:5", "5"}, {"0:10:5", "0 5 10"},
		{"0:9:5", "0 5 9"}, {"1:2,7:9:2,0", "1 2 7 9 0"}, {"65507", "65507"}, {"0:1:65507", "0 1"},
		{"0:10:3", "0 3 6 9 10"}, {"7:7:5", "7"}, {"0:9:8,1", "0 8 9 1"}, {"0:65507:32000", "0 32000 64000 65507"},
		{"65508", "65508 is out of range (0 to 65507); the most is 65507"},
		{"0:65508", "65508 is out of range (0 to 65507); the most is 65507"},
		{"0:5:0", "0 is out of range (1 to 65507); the least is 1"},
		{"-1", "-1 is out of range (0 to 65507); the least is 0"},
		{"5:3", `"5:3" ends before it starts; write 3:5`},
		{"0:100", `"0:100" are more than 100 sizes; fewer sizes, or a longer step`},
		{"0:199:2", `"0:199:2" are more than 100 sizes; fewer sizes, or a longer step`},
		{"0:98,1,2", `"0:98,1,2" are more than 100 sizes; fewer sizes, or a longer step`},
		{"", `"" is no range of sizes; ` + sample}, {"1,", `"" is no range of sizes; ` + sample},
		{"1::2", `"1::2" is no range of sizes; ` + sample}, {"1:2:3:4", `"1:2:3:4" is no range of sizes; ` + sample},
		{"a:b", `"a" is no whole decimal number; a whole number, 0 to 65507`},
	})
}

// The end of a range counts against the limit, too.
func TestSizesLimit(t *testing.T) {
	for s, want := range map[string]int{"0:99": 100, "0:197:2": 100, "0:198:2": 100, "0:98,7": 100, "0:196:2": 99} {
		if list, err := parseSizes(s, 65507, 100); len(list) != want || err != nil {
			t.Errorf("%s is %d sizes, %v, want %d", s, len(list), err, want)
		}
	}
	if list, err := parseSizes("0:65527", ping.MaxSizeIPv6, ping.MaxSizes); len(list) != 65528 || err != nil {
		t.Errorf("every size that there is: %d, %v", len(list), err)
	}
}

func FuzzSizes(f *testing.F) {
	addAll(f, "0:65507:1111", "1,2,3", "5:3", "0:65507", "::", "1:2:0", ",", "9:9:9,9")
	f.Fuzz(func(t *testing.T, s string) {
		const most, limit = 65507, 1000
		list, err := parseSizes(s, most, limit)
		checkError(t, err)
		if (err == nil) != (len(list) > 0) || len(list) > limit {
			t.Fatalf("%q is %d sizes, %v", s, len(list), err)
		}
		if err == nil {
			bounds := strings.Split(s[strings.LastIndexByte(s, ',')+1:], ":")
			if to, _ := strconv.Atoi(bounds[min(1, len(bounds)-1)]); list[len(list)-1] != to {
				t.Fatalf("%q ends with %d", s, list[len(list)-1])
			}
		}
		for _, n := range list {
			if n < 0 || n > most {
				t.Fatalf("%q has %d", s, n)
			}
		}
	})
}

// addAll seeds a fuzz target.
func addAll(f *testing.F, more ...string) {
	for _, s := range append(more, "", "0", "5", "-1", "+1", "0.2", ".", ".5", "5.", "1e3", "0x10", "1_0", "inf", "NaN", "\n", "\xff", "60%", "200ms", "1m30s") {
		f.Add(s)
	}
}

func FuzzSeconds(f *testing.F) {
	addAll(f, "9223372036.854775807", "9223372036.854775808", "0.0000000019", "0,2", "9999999h")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := parseSeconds(s)
		checkError(t, err)
		if d < 0 || err != nil && d != 0 {
			t.Fatalf("%q is %d, %v", s, d, err)
		}
		if want, plain := oracle(s); plain && (err == nil) != want.IsInt64() {
			t.Fatalf("%q: error %v, want %v", s, err, want)
		} else if plain && err == nil && int64(d) != want.Int64() {
			t.Fatalf("%q is %d, want %v", s, d, want)
		}
		if again, bad := parseSeconds(d.String()); err == nil && (bad != nil || again != d) {
			t.Fatalf("%v became %v, %v", d, again, bad)
		}
	})
}

// oracle is the nanoseconds, cut off, of a plain decimal.
func oracle(s string) (*big.Int, bool) {
	digits := strings.Replace(s, ".", "", 1)
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return nil, false
		}
	}
	r, ok := new(big.Rat).SetString("0" + s)
	if digits == "" || !ok {
		return nil, false
	}
	r.Mul(r, big.NewRat(1e9, 1))
	return new(big.Int).Quo(r.Num(), r.Denom()), true
}

func FuzzDuration(f *testing.F) {
	addAll(f, "0s", "5 ms", "9999999h", "-5")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := parseDuration(s)
		checkError(t, err)
		if (err == nil) != (d > 0) {
			t.Fatalf("%q is %v, %v", s, d, err)
		}
		if want, bad := time.ParseDuration(s); err == nil && (bad != nil || want != d) {
			t.Fatalf("%q is %v, want %v, %v", s, d, want, bad)
		}
		if sec, bad := parseSeconds(s); err == nil && (bad != nil || sec != d) {
			t.Fatalf("%q is %v, but %v, %v as seconds", s, d, sec, bad)
		}
	})
}

func FuzzInteger(f *testing.F) {
	for _, s := range []string{"0", "010", "-1", "+5", "0x10", "1_0", "1e3", "", "99999999999999999999", "-9223372036854775809", "inf", "\n"} {
		f.Add(s, int64(0), int64(255))
		f.Add(s, int64(math.MinInt64), int64(math.MaxInt64))
	}
	f.Fuzz(func(t *testing.T, s string, lo, hi int64) {
		n, err := parseInteger(s, lo, hi)
		checkError(t, err)
		if err != nil {
			return
		}
		want, ok := new(big.Int).SetString(s, 10)
		if n < lo || n > hi || !ok || !want.IsInt64() || want.Int64() != n {
			t.Fatalf("%q is %d in %d..%d", s, n, lo, hi)
		}
		if again, err := parseInteger(strconv.FormatInt(n, 10), lo, hi); err != nil || again != n {
			t.Fatalf("%d became %d, %v", n, again, err)
		}
	})
}

func FuzzTOS(f *testing.F) {
	addAll(f, "b8", "0x", "0xff", "256")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseTOS(s)
		checkError(t, err)
		if n < 0 || n > 255 {
			t.Fatalf("%q is %d", s, n)
		}
		for _, form := range []string{"%d", "0x%x"} {
			if again, err := parseTOS(fmt.Sprintf(form, n)); err != nil || again != n {
				t.Fatalf("%d became %d, %v", n, again, err)
			}
		}
	})
}

func FuzzPercent(f *testing.F) {
	addAll(f, "100.0", "101%", "0,5")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := parsePercent(s)
		checkError(t, err)
		if !(v >= 0 && v <= 100) {
			t.Fatalf("%q is %v", s, v)
		}
		for _, tail := range []string{"", "%"} {
			if again, err := parsePercent(strconv.FormatFloat(v, 'f', -1, 64) + tail); err != nil || again != v {
				t.Fatalf("%v became %v, %v", v, again, err)
			}
		}
	})
}

func FuzzPattern(f *testing.F) {
	addAll(f, "abc", "de:ad", strings.Repeat("f", 32), strings.Repeat("f", 33))
	f.Fuzz(func(t *testing.T, s string) {
		b, err := parsePattern(s)
		checkError(t, err)
		if err != nil {
			return
		}
		if len(b) != (len(s)+1)/2 || len(b) > 16 {
			t.Fatalf("%q is % x", s, b)
		}
		if again, err := parsePattern(fmt.Sprintf("%x", b)); err != nil || string(again) != string(b) {
			t.Fatalf("% x became % x, %v", b, again, err)
		}
	})
}
