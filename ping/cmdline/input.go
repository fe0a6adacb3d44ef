package cmdline

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"lping/stats"
)

// Given is an option that was given.
type Given struct {
	*Option
	// Value is as it was written; of a switch it is "true" or "false".
	Value string
	// Variable is the environment variable that gave it; empty if it was typed.
	Variable string
}

// Input is what the command line and the environment say, as far as it can be understood.
type Input struct {
	// Given are the options in the order in which they count: of two that contradict each other the last one holds.
	Given []Given
	// Command is empty for a check.
	Command Command
	// Format and Scheme are known even if Err is set: the error is written in that format, with that exit status.
	Format Format
	Scheme stats.Scheme
	// Err is the first thing that is wrong with the options.
	Err error

	program  string // the name by which lping was called
	operands []operand
	unTyped  bool // the operands are those of LPING_ADDRESS
}

// Command is a word in the place of the address that asks for something else than a check.
type Command string

// The commands.
const (
	Doctor  Command = "doctor"  // the whole picture
	Serve   Command = "serve"   // an echo to test against; it reads no variables
	Explain Command = "explain" // what the codes mean; it reads no variables
)

var commands = []Command{Doctor, Serve, Explain}

// Format is an output format.
type Format string

// The formats of the output.
const (
	Text       Format = "text"
	Line       Format = "line"
	JSON       Format = "json"
	Prometheus Format = "prometheus"
	Nagios     Format = "nagios"
)

var (
	formats = words[Format]{{"text", Text}, {"line", Line}, {"json", JSON}, {"prometheus", Prometheus}, {"nagios", Nagios}}
	schemes = words[stats.Scheme]{{"ping", stats.SchemePing}, {"health", stats.SchemeHealth}, {"nagios", stats.SchemeNagios}}
)

// scheme is the exit scheme that goes with a format if no other is asked for.
func (f Format) scheme() stats.Scheme {
	switch f {
	case Line:
		return stats.SchemeHealth
	case Nagios:
		return stats.SchemeNagios
	}
	return stats.SchemePing
}

// Read reads the arguments, with the program's name, and the environment through lookup, which is os.LookupEnv. What is
// typed overrules a variable; an empty variable is unset.
func Read(args []string, lookup func(string) (string, bool)) Input {
	in := Input{program: "lping", Format: Text}
	if len(args) > 0 {
		in.program = strings.TrimSuffix(filepath.Base(args[0]), ".exe")
		args = args[1:]
	}
	var words []string
	in.Given, words, in.Err = parseArgs(options, args)
	if len(words) > 0 && slices.Contains(commands, Command(words[0])) && !in.isPing() {
		in.Command, words = Command(words[0]), words[1:]
	}
	if in.Command == Serve || in.Command == Explain {
		for _, word := range words {
			in.operands = append(in.operands, operand{word: word, host: word})
		}
		return in
	}
	if address, ok := lookup("LPING_ADDRESS"); ok && len(words) == 0 && in.Command == "" {
		words, in.unTyped = strings.Fields(address), true
	}
	err := cmp.Or(in.Err, in.readTargets(words))
	variables, variableErr := in.readEnviron(lookup)
	in.Given = slices.Concat(variables, in.Given)
	in.Err = cmp.Or(err, variableErr, in.checkServices(), in.findFormat())
	return in
}

// isPing says that lping is called by the name of ping, and is to be ping.
func (in *Input) isPing() bool {
	return slices.Contains([]string{"ping", "ping4", "ping6"}, in.program)
}

// settled says that the variable of an option does not count, because of what was typed. proto is what LPING_PROTO says.
func (in *Input) settled(o *Option, proto string) bool {
	service := in.Has("port") || in.namesService()
	switch o.Long {
	case "ipv4", "ipv6":
		if slices.ContainsFunc(in.operands, func(o operand) bool { return isAddress(o.host) }) {
			return true
		}
	case "port":
		if in.namesService() && !in.unTyped || in.Has("proto", "icmp", "auto") || in.Has("socket", "dgram", "raw") {
			return true
		}
	case "socket":
		if service {
			return true
		}
	case "proto":
		if in.namesScheme("") || service && (proto == "icmp" || proto == "auto") {
			return true
		}
	case "size", "sweep", "pattern":
		overUDP := in.namesScheme("udp") || in.Has("proto", "udp") || proto == "udp" && !in.Has("proto") && !in.namesScheme("")
		if service && !overUDP && !in.Has("echo", "true") {
			return true
		}
	}
	return in.Has(o.Long) || slices.ContainsFunc(o.rivals, func(long string) bool { return in.Has(long) })
}

// Has says that an option was given: with one of these values or, if there are none, with any.
func (in *Input) Has(long string, values ...string) bool {
	return slices.ContainsFunc(in.Given, func(g Given) bool {
		return g.Long == long && (len(values) == 0 || slices.Contains(values, g.Value))
	})
}

// readEnviron returns the options that the environment sets, in the order of the table, but for those that are settled.
// A switch takes 1, 0, true, false, yes, no, on, off in any case. The error is an *Error about the first bad variable; the
// options are returned even then.
func (in *Input) readEnviron(lookup func(string) (string, bool)) (given []Given, err error) {
	proto, _ := lookup("LPING_PROTO")
	for _, o := range options {
		if o.Variable == "" {
			continue
		}
		value, ok := lookup(o.Variable)
		injected := o.Long == "port" && strings.Contains(value, "://") // by Kubernetes, for a Service lping-target
		if !ok || value == "" || injected || in.settled(o, proto) {
			continue
		}
		g := Given{Option: o, Value: value, Variable: o.Variable}
		if o.IsSwitch() {
			if g.Value, ok = boolean(value); !ok && err == nil {
				err = &Error{o.Variable + " is true or false, not " + quote(value), o.Variable + "=1 or " + o.Variable + "=0"}
			}
		}
		given = append(given, g)
	}
	return given, err
}

// boolean reads a switch's value as "true" or "false". A bad one counts as "true": --health=x is an error whose exit
// status is that of --health.
func boolean(s string) (value string, ok bool) {
	switch strings.ToLower(s) {
	case "1", "true", "yes", "on":
		return "true", true
	case "0", "false", "no", "off":
		return "false", true
	}
	return "true", false
}

// findFormat finds the output format and the exit scheme. The error is about the first bad value.
func (in *Input) findFormat() (err error) {
	chosen := false
	for _, g := range in.Given {
		var bad error
		switch {
		case g.Long == "format":
			bad = set(&in.Format, g.Value, formats.parse)
		case g.Long == "json" && g.Value == "true":
			in.Format = JSON
		case g.Long == "health" && g.Value == "true":
			in.Format, in.Scheme, chosen = Line, stats.SchemeHealth, true
		case g.Long == "exit":
			bad = set(&in.Scheme, g.Value, schemes.parse)
			chosen = chosen || bad == nil
		}
		err = cmp.Or(err, Wrap(g.label(), bad))
	}
	if !chosen {
		in.Scheme = in.Format.scheme()
	}
	return err
}

// label is what the user wrote to give an option: its long name, or its variable.
func (g Given) label() string { return cmp.Or(g.Variable, "--"+g.Long) }

// Label is what the user wrote to give the option of this long name.
func (in *Input) Label(long string) string {
	for _, g := range in.Given {
		if g.Long == long {
			return g.label()
		}
	}
	return "--" + long
}

// typed says that an option was given on the command line.
func (in *Input) typed(long string) bool {
	return slices.ContainsFunc(in.Given, func(g Given) bool { return g.Long == long && g.Variable == "" })
}

// values are all values of an option that may be given more than once.
func (in *Input) values(long string) (list []string) {
	for _, g := range in.Given {
		if g.Long == long {
			list = append(list, g.Value)
		}
	}
	return list
}
