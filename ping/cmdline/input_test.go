package cmdline

import (
	"slices"
	"strings"
	"testing"

	"lping/stats"
)

// environ is an environment of "NAME=value" pairs with spaces between them.
func environ(pairs string) func(string) (string, bool) {
	env := map[string]string{}
	for _, pair := range strings.Fields(pairs) {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}

// readLine reads a command line of words without spaces.
func readLine(line, env string) Input { return Read(strings.Fields(line), environ(env)) }

func TestReadEnviron(t *testing.T) {
	tests := []struct{ name, env, want, err string }{
		{"nothing", "", "", ""},
		{"value", "LPING_COUNT=3", "--count=3", ""},
		{"dash", "LPING_MAX_LOSS=60%", "--max-loss=60%", ""},
		{"value kept", "LPING_OUTPUT=a=b", "--output=a=b", ""},
		{"empty is unset", "LPING_COUNT= LPING_QUIET=", "", ""},
		{"switches", "LPING_IPV4=1 LPING_IPV6=0 LPING_QUIET=Yes LPING_JSON=off", "--ipv4=true --ipv6=false --quiet=true --json=false", ""},
		{"renamed", "LPING_PORT=tcp://10.0.0.1:7 LPING_TARGET_PORT=7", "--port=7", ""},
		{"a Service lping-target", "LPING_TARGET_PORT=tcp://10.0.0.1:7", "", ""},
		{"typed only", "LPING_HELP=x LPING_VERSION=1.2.3", "", ""},
		{"other prefix", "COUNT=3 PING_COUNT=3", "", ""},
		{"bad switch", "LPING_QUIET=x LPING_FORMAT=json", "--quiet=true --format=json", `LPING_QUIET is true or false, not "x"; LPING_QUIET=1 or LPING_QUIET=0`},
		{"the first one counts", "LPING_QUIET=x LPING_IPV6=y", "--ipv6=true --quiet=true", `LPING_IPV6 is true or false, not "y"; LPING_IPV6=1 or LPING_IPV6=0`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := readLine("lping", tt.env)
			if got := strings.Join(spell(in.Given), " "); got != tt.want || text(in.Err) != tt.err {
				t.Errorf("got %q, %q, want %q, %q", got, text(in.Err), tt.want, tt.err)
			}
			for _, g := range in.Given {
				if !strings.Contains(tt.env, g.Variable+"=") || g.label() != g.Variable {
					t.Errorf("--%s is said to come from %q", g.Long, g.Variable)
				}
			}
		})
	}
}

// What is typed overrules the variables of the same option and of those that it contradicts.
func TestReadPrecedence(t *testing.T) {
	tests := []struct{ name, args, env, want string }{
		{"the same option", "-c 3", "LPING_COUNT=x LPING_SIZE=9", "--size=9 --count=3"},
		{"a switch off", "--quiet=false", "LPING_QUIET=1", "--quiet=false"},
		{"both in their order", "-c 7 -c 2", "LPING_TTL=9", "--ttl=9 --count=7 --count=2"},
		{"family", "-4", "LPING_IPV6=1", "--ipv4=true"},
		{"other family", "-6", "LPING_IPV4=1 LPING_IPV6=x", "--ipv6=true"},
		{"an address is of a family", "::1", "LPING_IPV4=1 LPING_IPV6=x", ""},
		{"a name is of any", "localhost", "LPING_IPV6=1", "--ipv6=true"},
		{"two addresses", "::1 localhost", "LPING_IPV4=1", ""},
		{"format", "--format text", "LPING_JSON=1 LPING_HEALTH=1", "--format=text"},
		{"json", "-j", "LPING_FORMAT=xml LPING_HEALTH=x", "--json=true"},
		{"health", "--health", "LPING_FORMAT=xml LPING_JSON=x LPING_EXIT=x", "--health=true"},
		{"exit leaves the format", "--exit ping", "LPING_HEALTH=1 LPING_EXIT=x", "--health=true --exit=ping"},
		{"proto", "--proto icmp", "LPING_SOCKET=x", "--proto=icmp"},
		{"socket", "--socket auto", "LPING_PROTO=x", "--socket=auto"},
		{"ICMP has no port", "--proto icmp", "LPING_TARGET_PORT=x", "--proto=icmp"},
		{"neither has auto", "--proto=auto", "LPING_TARGET_PORT=x", "--proto=auto"},
		{"a kind of ICMP socket has no port", "--socket raw", "LPING_TARGET_PORT=x", "--socket=raw"},
		{"UDP has a port", "--proto udp", "LPING_TARGET_PORT=9", "--port=9 --proto=udp"},
		{"TCP has a port", "--proto tcp", "LPING_TARGET_PORT=9", "--port=9 --proto=tcp"},
		{"size", "-s 3", "LPING_SWEEP=x LPING_PATTERN=ff", "--pattern=ff --size=3"},
		{"sweep", "--sweep 3", "LPING_SIZE=x", "--sweep=3"},
		{"a service gets no data", "--proto tcp --port 9", "LPING_SIZE=x LPING_PATTERN=x LPING_SWEEP=x", "--proto=tcp --port=9"},
		{"TCP has data", "--proto tcp", "LPING_SIZE=3 LPING_PATTERN=ff LPING_SWEEP=x", "--size=3 --pattern=ff --sweep=x --proto=tcp"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := readLine("lping "+tt.args, tt.env)
			if got := strings.Join(spell(in.Given), " "); got != tt.want || in.Err != nil {
				t.Errorf("got %q, %v, want %q", got, in.Err, tt.want)
			}
		})
	}
}

func TestReadOperands(t *testing.T) {
	tests := []struct {
		name, args, env string
		command         Command
		want            string
	}{
		{"none", "lping -q", "", "", ""},
		{"typed", "lping ::1 -q localhost", "LPING_ADDRESS=127.0.0.2", "", "::1 localhost"},
		{"variable", "lping", "LPING_ADDRESS=127.0.0.2", "", "127.0.0.2"},
		{"empty variable", "lping", "LPING_ADDRESS=", "", ""},
		{"doctor", "lping -4 doctor", "LPING_ADDRESS=127.0.0.2", Doctor, ""},
		{"doctor with an operand", "lping doctor ::1", "", Doctor, "::1"},
		{"doctor as an operand", "lping ::1 doctor", "", "", "::1 doctor"},
		{"serve", "lping -q serve 8080", "LPING_ADDRESS=127.0.0.2", Serve, "8080"},
		{"serve alone", "lping serve", "LPING_ADDRESS=127.0.0.2 LPING_QUIET=x", Serve, ""},
		{"explain", "lping explain lo_down fw_output", "LPING_ADDRESS=127.0.0.2 LPING_COUNT=x", Explain, "lo_down fw_output"},
		{"ping knows no explain", "ping explain", "", "", "explain"},
		{"ping knows no doctor", "ping doctor", "", "", "doctor"},
		{"ping knows no serve", "ping serve", "", "", "serve"},
		{"doctor is no address", "lping", "LPING_ADDRESS=doctor", "", "doctor"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := readLine(tt.args, tt.env)
			if got := strings.Join(wordsOf(in), " "); got != tt.want || in.Command != tt.command || in.Err != nil {
				t.Errorf("operands %q, command %q, %v, want %q, %q", got, in.Command, in.Err, tt.want, tt.command)
			}
		})
	}
}

// wordsOf are the operands as they were written.
func wordsOf(in Input) (words []string) {
	for _, o := range in.operands {
		words = append(words, o.word)
	}
	return words
}

func TestReadProgram(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{{nil, "lping"}, {[]string{"/bin/ping6"}, "ping6"}, {[]string{"ping.exe"}, "ping"}, {[]string{"./check"}, "check"}} {
		if got := Read(tt.args, environ("")).program; got != tt.want {
			t.Errorf("%q is %q, want %q", tt.args, got, tt.want)
		}
	}
}

// Format and scheme hold for every error, so that they are found whatever else is wrong.
func TestReadFormat(t *testing.T) {
	const unknown = `"x" is unknown; text, line, json, prometheus or nagios`
	tests := []struct {
		name, args, env string
		format          Format
		scheme          stats.Scheme
		err             string
	}{
		{"nothing", "", "", Text, stats.SchemePing, ""},
		{"line", "--format line", "", Line, stats.SchemeHealth, ""},
		{"nagios", "--format nagios", "", Nagios, stats.SchemeNagios, ""},
		{"prometheus", "--format prometheus", "", Prometheus, stats.SchemePing, ""},
		{"json", "-j", "", JSON, stats.SchemePing, ""},
		{"json off", "--format line --json=false", "", Line, stats.SchemeHealth, ""},
		{"health", "--health", "", Line, stats.SchemeHealth, ""},
		{"health off", "--health=false", "", Text, stats.SchemePing, ""},
		{"exit beats the format", "--exit ping --format nagios", "", Nagios, stats.SchemePing, ""},
		{"the last one holds", "--health --exit nagios -j", "", JSON, stats.SchemeNagios, ""},
		{"health is a scheme", "--exit nagios --health", "", Line, stats.SchemeHealth, ""},
		{"variables", "", "LPING_FORMAT=json LPING_EXIT=health", JSON, stats.SchemeHealth, ""},
		{"one variable overrules another", "", "LPING_FORMAT=json LPING_JSON=1 LPING_EXIT=nagios LPING_HEALTH=1", Line, stats.SchemeHealth, ""},
		{"typed beats a variable", "-j", "LPING_HEALTH=1", JSON, stats.SchemePing, ""},
		{"bad format", "--format x", "", Text, stats.SchemePing, "--format: " + unknown},
		{"bad format after a good one", "--format line --format x", "", Line, stats.SchemeHealth, "--format: " + unknown},
		{"bad variable", "--exit health", "LPING_FORMAT=x", Text, stats.SchemeHealth, "LPING_FORMAT: " + unknown},
		{"bad exit", "--health --exit x", "", Line, stats.SchemeHealth, `--exit: "x" is unknown; ping, health or nagios`},
		{"bad exit alone", "--exit x --format nagios", "", Nagios, stats.SchemeNagios, `--exit: "x" is unknown; ping, health or nagios`},
		{"the first error counts", "--exit x --format x", "", Text, stats.SchemePing, `--exit: "x" is unknown; ping, health or nagios`},
		{"after an unknown option", "-Z --ex nagios", "", Text, stats.SchemeNagios, "unknown option -Z; lping -h lists the options"},
		{"before a missing value", "-jc", "", JSON, stats.SchemePing, "option -c needs a value; for example -c 5"},
		{"bad switch counts as meant", "--health=x", "", Line, stats.SchemeHealth, `option --health is true or false, not "x"; --health or --health=false`},
		{"bad switch variable", "", "LPING_HEALTH=x", Line, stats.SchemeHealth, `LPING_HEALTH is true or false, not "x"; LPING_HEALTH=1 or LPING_HEALTH=0`},
		{"what is typed is told first", "-Z", "LPING_QUIET=x LPING_FORMAT=x", Text, stats.SchemePing, "unknown option -Z; lping -h lists the options"},
		{"a variable is told before the format", "--format x", "LPING_QUIET=x", Text, stats.SchemePing, `LPING_QUIET is true or false, not "x"; LPING_QUIET=1 or LPING_QUIET=0`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := readLine("lping "+tt.args, tt.env)
			if in.Format != tt.format || in.Scheme != tt.scheme || text(in.Err) != tt.err {
				t.Errorf("got %v, %d, %q, want %v, %d, %q", in.Format, in.Scheme, text(in.Err), tt.format, tt.scheme, tt.err)
			}
		})
	}
}

// What the environment sets may be typed as well.
func FuzzEnviron(f *testing.F) {
	f.Add(uint8(3), "5", "yes")
	f.Add(uint8(7), "", "x\n")
	f.Add(uint8(13), "\xff", "oN")
	f.Fuzz(func(t *testing.T, odd uint8, a, b string) {
		calls := 0
		in := Read([]string{"lping"}, func(string) (string, bool) {
			calls++
			if calls%(int(odd)+1) == 0 {
				return a, true
			}
			return b, calls%2 == 0
		})
		checkError(t, in.Err)
		checkGiven(t, in.Given)
		if again, _, err := parseArgs(options, spell(in.Given)); err != nil || !slices.Equal(spell(again), spell(in.Given)) {
			t.Fatalf("%q became %q, %v", spell(in.Given), spell(again), err)
		}
	})
}

func TestLabel(t *testing.T) {
	in := readLine("lping -c 3", "LPING_TARGET_PORT=7 LPING_MAX_LOSS=5")
	for long, want := range map[string]string{
		"count": "--count", "port": "LPING_TARGET_PORT", "max-loss": "LPING_MAX_LOSS", "ttl": "--ttl",
	} {
		if got := in.Label(long); got != want {
			t.Errorf("%s is %q, want %q", long, got, want)
		}
	}
}

// The help and the errors rely on these.
func TestOptions(t *testing.T) {
	names := map[string]bool{"": true}
	for _, o := range options {
		if names[o.Long] || o.Short != "" && names[o.Short] || o.Usage == "" || (o.Takes == "") != (o.Example == "") {
			t.Errorf("option %+v lacks something, or is there twice", *o)
		}
		names[o.Long], names[o.Short] = true, true
		for _, rival := range o.rivals {
			if !slices.ContainsFunc(options, func(o *Option) bool { return o.Long == rival }) {
				t.Errorf("--%s has a rival that is no option: %s", o.Long, rival)
			}
		}
	}
	for line := range strings.Lines(Help()) {
		if len(line) > 81 {
			t.Errorf("a line of the help is wider than 80 columns: %q", line)
		}
	}
}

// TestVariables: the table spells out what follows from the long name, but where another program sets that variable.
func TestVariables(t *testing.T) {
	others := map[string]string{
		"port": "LPING_TARGET_PORT", // Kubernetes sets LPING_PORT if it has a Service of the name lping
		"help": "", "version": "",   // images set LPING_VERSION to the version of the lping that they hold
	}
	for _, o := range options {
		want, ok := others[o.Long]
		if !ok {
			want = "LPING_" + strings.ToUpper(strings.ReplaceAll(o.Long, "-", "_"))
		}
		if o.Variable != want {
			t.Errorf("--%s has the variable %q, want %q", o.Long, o.Variable, want)
		}
	}
}
