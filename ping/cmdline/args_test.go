package cmdline

import (
	"slices"
	"strings"
	"testing"
)

// table has every kind of option.
var table = []*Option{
	{Short: "4", Long: "ipv4"},
	{Short: "6", Long: "ipv6"},
	{Short: "3", Long: "precision"},
	{Short: "c", Long: "count", Takes: "N", Example: "5"},
	{Short: "i", Long: "interval", Takes: "T", Example: "0.2"},
	{Short: "p", Long: "pattern", Takes: "HEX", Example: "ff"},
	{Short: "q", Long: "quiet"},
	{Short: "n", Long: "numeric"},
	{Short: "j", Long: "json"},
	{Short: "h", Long: "help"},
	{Short: "é", Long: "accent"},
	{Long: "health"},
	{Long: "connect"},
	{Long: "format", Takes: "F", Example: "json"},
	{Long: "port", Takes: "N", Example: "7"},
	{Long: "port-range", Takes: "N-M", Example: "7-9"},
	{Long: "max-loss", Takes: "P", Example: "60%"},
}

// spell writes options as they may be typed again: "--count=3".
func spell(given []Given) (list []string) {
	for _, g := range given {
		list = append(list, "--"+g.Long+"="+g.Value)
	}
	return list
}

func TestArgs(t *testing.T) {
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
			given, operands, err := parseArgs(table, strings.Fields(tt.args))
			if got := strings.Join(spell(given), " "); got != tt.want || err != nil {
				t.Errorf("options %q, %v, want %q", got, err, tt.want)
			}
			if got := strings.Join(operands, " "); got != tt.operands {
				t.Errorf("operands %q, want %q", got, tt.operands)
			}
		})
	}
}

func TestArgsKeepEmptyArguments(t *testing.T) {
	given, operands, err := parseArgs(table, []string{"-c", "", "", "--pattern", ""})
	if options := spell(given); !slices.Equal(options, []string{"--count=", "--pattern="}) || !slices.Equal(operands, []string{""}) || err != nil {
		t.Errorf("got %q, %q, %v", options, operands, err)
	}
}

// The rest is understood although something is wrong: the output format must
// be found.
func TestArgsError(t *testing.T) {
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
		{"switch with a value", "--quiet=x -j", "--quiet=true --json=true", "", `option --quiet is true or false, not "x"; --quiet or --quiet=false`},
		{"switch with no value", "--quiet=", "--quiet=true", "", `option --quiet is true or false, not ""; --quiet or --quiet=false`},
		{"short switch with a value", "-4q=false -j", "--ipv4=true --quiet=true --json=true", "", "option -q takes no value; -q or --quiet=false"},
		{"the first one counts", "-x --cuont -c", "", "", "unknown option -x; lping -h lists the options"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			given, operands, err := parseArgs(table, strings.Fields(tt.args))
			checkError(t, err)
			if got := text(err); got != tt.err {
				t.Errorf("error %q, want %q", got, tt.err)
			}
			if got := strings.Join(spell(given), " "); got != tt.want {
				t.Errorf("options %q, want %q", got, tt.want)
			}
			if got := strings.Join(operands, " "); got != tt.operands {
				t.Errorf("operands %q, want %q", got, tt.operands)
			}
		})
	}
}

func FuzzArgs(f *testing.F) {
	for _, seed := range []string{
		"-c3 -qn46", "::1 -c -1 -- -x", "--cou 3", "--quiet=x", "-q=1", "-format json", "--\n", "-\xff", "-é=é",
		"--port- -- --", "-c", "--=", "-=", "-x-c", "--nonsense=\x1b", "-healthx",
	} {
		f.Add(strings.ReplaceAll(seed, " ", "\x00"))
	}
	f.Fuzz(func(t *testing.T, line string) {
		given, operands, err := parseArgs(table, strings.Split(line, "\x00"))
		checkError(t, err)
		checkGiven(t, given)
		again := slices.Concat(spell(given), []string{"--"}, operands)
		given2, operands2, err := parseArgs(table, again)
		if err != nil || !slices.Equal(given, given2) || !slices.Equal(operands, operands2) {
			t.Fatalf("%q became %q, %q, %v", again, spell(given2), operands2, err)
		}
	})
}

// checkGiven fails unless each switch has a boolean.
func checkGiven(t *testing.T, given []Given) {
	t.Helper()
	for _, g := range given {
		if g.IsSwitch() && g.Value != "true" && g.Value != "false" {
			t.Fatalf("switch --%s is %q", g.Long, g.Value)
		}
	}
}
