package cmdline

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// table is a set of options as lping has it, with every kind of flag.
func table() []Flag {
	return []Flag{
		{Short: "4", Long: "ipv4", Switch: true},
		{Short: "6", Long: "ipv6", Switch: true},
		{Short: "3", Long: "precision", Switch: true},
		{Short: "c", Long: "count", Example: "5"},
		{Short: "i", Long: "interval", Example: "0.2"},
		{Short: "p", Long: "pattern", Example: "ff"},
		{Short: "t", Long: "ttl"},
		{Short: "q", Long: "quiet", Switch: true},
		{Short: "n", Long: "numeric", Switch: true},
		{Short: "j", Long: "json", Switch: true},
		{Short: "h", Long: "help", Switch: true},
		{Short: "é", Long: "accent", Switch: true},
		{Long: "health", Switch: true},
		{Long: "connect", Switch: true},
		{Long: "format", Example: "json"},
		{Long: "port", Example: "7"},
		{Long: "port-range", Example: "7-9"},
		{Long: "max-loss", Example: "60%"},
	}
}

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

func TestNormalize(t *testing.T) {
	tests := []struct{ name, args, want, operands string }{
		{"nothing", "", "", ""},
		{"separate", "-c 3", "--count=3", ""},
		{"attached", "-c1 -i0.2", "--count=1 --interval=0.2", ""},
		{"cluster with a value", "-qnc3", "--quiet=true --numeric=true --count=3", ""},
		{"cluster with a separate value", "-qnc 3", "--quiet=true --numeric=true --count=3", ""},
		{"digits", "-46", "--ipv4=true --ipv6=true", ""},
		{"digits and letters", "-4q3", "--ipv4=true --quiet=true --precision=true", ""},
		{"digit as a value", "-c3", "--count=3", ""},
		{"letters as a value", "-pff", "--pattern=ff", ""},
		{"equals sign after a short", "-c=1", "--count==1", ""},
		{"long", "--count=3 --count 4", "--count=3 --count=4", ""},
		{"long without short", "--port=7 --health", "--port=7 --health=true", ""},
		{"prefix", "--cou 3 --q", "--count=3 --quiet=true", ""},
		{"exact wins", "--port 7", "--port=7", ""},
		{"prefix of the longer", "--port-=7", "--port-range=7", ""},
		{"negative value", "-c -1 --count -q", "--count=-1 --count=-q", ""},
		{"dashes as a value", "-c -- -q", "--count=-- --quiet=true", ""},
		{"empty value", "--pattern=", "--pattern=", ""},
		{"equals sign in a value", "--format=a=b", "--format=a=b", ""},
		{"switch off", "--quiet=false --json=ON", "--quiet=false --json=true", ""},
		{"operand first", "::1 -c 3", "--count=3", "::1"},
		{"operand between", "-q doctor -4", "--quiet=true --ipv4=true", "doctor"},
		{"end of options", "-q -- -c 3", "--quiet=true", "-c 3"},
		{"second end is an operand", "-- --", "", "--"},
		{"lone dash", "- -q", "--quiet=true", "-"},
		{"not ASCII", "-qé4", "--quiet=true --accent=true --ipv4=true", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			options, operands, err := Normalize(table(), strings.Fields(tt.args))
			if got := strings.Join(options, " "); got != tt.want || err != nil {
				t.Errorf("options %q, %v, want %q", got, err, tt.want)
			}
			if got := strings.Join(operands, " "); got != tt.operands {
				t.Errorf("operands %q, want %q", got, tt.operands)
			}
		})
	}
}

func TestNormalizeKeepsEmptyArguments(t *testing.T) {
	options, operands, err := Normalize(table(), []string{"-c", "", "", "--pattern", ""})
	if !slices.Equal(options, []string{"--count=", "--pattern="}) || !slices.Equal(operands, []string{""}) || err != nil {
		t.Errorf("got %q, %q, %v", options, operands, err)
	}
}

// The rest is understood although something is wrong: the output format must
// be found.
func TestNormalizeError(t *testing.T) {
	tests := []struct{ name, args, want, operands, err string }{
		{"unknown short", "-x --format=json", "--format=json", "", "unknown option -x; lping -h lists the options"},
		{"unknown in a cluster", "-qxj ::1", "--quiet=true --json=true", "::1", "unknown option -x; lping -h lists the options"},
		{"unknown before a value", "-xqc --json", "--quiet=true --json=true", "", "unknown option -x; lping -h lists the options"},
		{"unknown with a value", "-x=jq -4", "--ipv4=true", "", "unknown option -x; lping -h lists the options"},
		{"short not ASCII", "-qö4", "--quiet=true --ipv4=true", "", `unknown option "-ö"; lping -h lists the options`},
		{"dash in a cluster", "-q-", "--quiet=true", "", "unknown option --; lping -h lists the options"},
		{"unknown long", "--nonsense 3 --format json", "--format=json", "3", "unknown option --nonsense; lping -h lists the options"},
		{"two swapped", "--cuont=3 -j", "--json=true", "", "unknown option --cuont; did you mean --count?"},
		{"one too many", "--counts 3", "", "3", "unknown option --counts; did you mean --count?"},
		{"capitals", "--COUNT=3", "", "", "unknown option --COUNT; did you mean --count?"},
		{"underscore", "--max_loss=3", "", "", "unknown option --max_loss; did you mean --max-loss?"},
		{"short behind two dashes", "--4", "", "", "unknown option --4; did you mean -4?"},
		{"no name", "--=3", "", "", "unknown option --; lping -h lists the options"},
		{"one dash", "-format json ::1", "--format=json", "::1", "unknown option -f; did you mean --format?"},
		{"one dash, equals sign", "-format=json", "--format=json", "", "unknown option -f; did you mean --format?"},
		{"one dash, switch", "-health", "--health=true", "", "unknown option -e; did you mean --health?"},
		{"one dash, near miss", "-fromat json", "", "json", "unknown option -f; did you mean --format?"},
		{"ambiguous", "--co 3 -j", "--json=true", "3", "option --co is ambiguous: --count, --connect; write --count or --connect"},
		{"no value", "-j -c", "--json=true", "", "option -c needs a value; for example -c 5"},
		{"no value in a cluster", "-jc", "--json=true", "", "option -c needs a value; for example -c 5"},
		{"no value, long", "-j --cou", "--json=true", "", "option --count needs a value; for example --count 5"},
		{"no value, no example", "-t", "", "", "option -t needs a value; for example -t VALUE"},
		{"switch with a value", "--quiet=x -j", "--quiet=true --json=true", "", `option --quiet is true or false, not "x"; --quiet or --quiet=false`},
		{"switch with no value", "--quiet=", "--quiet=true", "", `option --quiet is true or false, not ""; --quiet or --quiet=false`},
		{"short switch with a value", "-4q=false -j", "--ipv4=true --quiet=true --json=true", "", "option -q takes no value; -q or --quiet=false"},
		{"the first one counts", "-x --cuont -c", "", "", "unknown option -x; lping -h lists the options"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			options, operands, err := Normalize(table(), strings.Fields(tt.args))
			checkError(t, err)
			if got := text(err); got != tt.err {
				t.Errorf("error %q, want %q", got, tt.err)
			}
			if got := strings.Join(options, " "); got != tt.want {
				t.Errorf("options %q, want %q", got, tt.want)
			}
			if got := strings.Join(operands, " "); got != tt.operands {
				t.Errorf("operands %q, want %q", got, tt.operands)
			}
		})
	}
}

func TestErrorIsOneLine(t *testing.T) {
	long := strings.Repeat("é\n", 200)
	for _, args := range [][]string{{"--a\nb\x1b[31m"}, {"-\n"}, {"-\xff"}, {"--" + long}, {"--quiet=" + long}, {"--\u2028"}} {
		_, _, err := Normalize(table(), args)
		if err == nil {
			t.Errorf("%q: no error", args)
		}
		checkError(t, err)
		if n := utf8.RuneCountInString(err.Error()); n > 100 {
			t.Errorf("%q: %d runes", err, n)
		}
	}
}

func TestEnviron(t *testing.T) {
	rename := map[string]string{"port": "LPING_TARGET_PORT", "help": ""}
	tests := []struct{ name, env, want, err string }{
		{"nothing", "", "", ""},
		{"value", "LPING_COUNT=3", "--count=3", ""},
		{"dash", "LPING_MAX_LOSS=60%", "--max-loss=60%", ""},
		{"value kept", "LPING_FORMAT=a=b", "--format=a=b", ""},
		{"empty is unset", "LPING_COUNT= LPING_QUIET=", "", ""},
		{"switches", "LPING_IPV4=1 LPING_IPV6=0 LPING_QUIET=Yes LPING_JSON=off", "--ipv4=true --ipv6=false --quiet=true --json=false", ""},
		{"renamed", "LPING_PORT=tcp://10.0.0.1:7 LPING_TARGET_PORT=7", "--port=7", ""},
		{"renamed away", "LPING_HELP=x", "", ""},
		{"other prefix", "COUNT=3 PING_COUNT=3", "", ""},
		{"bad switch", "LPING_QUIET=x LPING_FORMAT=json", "--quiet=true --format=json", `LPING_QUIET is true or false, not "x"; LPING_QUIET=1 or LPING_QUIET=0`},
		{"the first one counts", "LPING_QUIET=x LPING_IPV6=y", "--ipv6=true --quiet=true", `LPING_IPV6 is true or false, not "y"; LPING_IPV6=1 or LPING_IPV6=0`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			env := map[string]string{}
			for _, pair := range strings.Fields(tt.env) {
				name, value, _ := strings.Cut(pair, "=")
				env[name] = value
			}
			options, err := Environ(table(), "LPING", rename, func(name string) (string, bool) {
				value, ok := env[name]
				return value, ok
			})
			if got := strings.Join(options, " "); got != tt.want || text(err) != tt.err {
				t.Errorf("got %q, %q, want %q, %q", got, text(err), tt.want, tt.err)
			}
		})
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

func FuzzNormalize(f *testing.F) {
	for _, seed := range []string{
		"-c3 -qn46", "::1 -c -1 -- -x", "--cou 3", "--quiet=x", "-q=1", "-format json", "--\n", "-\xff", "-é=é",
		"--port- -- --", "-c", "--=", "-=", "-x-c", "--nonsense=\x1b", "-healthx",
	} {
		f.Add(strings.ReplaceAll(seed, " ", "\x00"))
	}
	f.Fuzz(func(t *testing.T, line string) {
		flags := table()
		options, operands, err := Normalize(flags, strings.Split(line, "\x00"))
		checkError(t, err)
		checkOptions(t, flags, options)
		again := slices.Concat(options, []string{"--"}, operands)
		options2, operands2, err := Normalize(flags, again)
		if err != nil || !slices.Equal(options, options2) || !slices.Equal(operands, operands2) {
			t.Fatalf("%q became %q, %q, %v", again, options2, operands2, err)
		}
	})
}

// checkOptions fails unless every option has the canonical form.
func checkOptions(t *testing.T, flags []Flag, options []string) {
	t.Helper()
	for _, option := range options {
		name, value, ok := strings.Cut(strings.TrimPrefix(option, "--"), "=")
		i := slices.IndexFunc(flags, func(f Flag) bool { return f.Long == name })
		if !ok || i < 0 || !strings.HasPrefix(option, "--") {
			t.Fatalf("option %q is not canonical", option)
		}
		if flags[i].Switch && value != "true" && value != "false" {
			t.Fatalf("switch %q has no boolean", option)
		}
	}
}

func FuzzEnviron(f *testing.F) {
	f.Add(uint8(3), "5", "yes")
	f.Add(uint8(7), "", "x\n")
	f.Add(uint8(13), "\xff", "oN")
	f.Fuzz(func(t *testing.T, odd uint8, a, b string) {
		flags, calls := table(), 0
		options, err := Environ(flags, "LPING", map[string]string{"port": "X"}, func(string) (string, bool) {
			calls++
			if calls%(int(odd)+1) == 0 {
				return a, true
			}
			return b, calls%2 == 0
		})
		checkError(t, err)
		checkOptions(t, flags, options)
		if again, _, err := Normalize(flags, options); err != nil || !slices.Equal(again, options) {
			t.Fatalf("%q became %q, %v", options, again, err)
		}
	})
}
