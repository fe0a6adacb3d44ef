// Package cmdline turns what people type, and the environment, into one
// canonical argument list, and parses the values with errors that carry a
// hint.
//
// People type options as getopt_long takes them: -c5, -qnc3, -46, --cou 3, and
// after the address. urfave/cli/v2 takes none of these, but it does take
// --count=5 in front of the operands, and that is what [Normalize] and
// [Environ] return. The package knows no particular option: the table comes
// from the caller.
package cmdline

import (
	"strings"
	"unicode/utf8"
)

// Flag is one option as the parser must know it.
type Flag struct {
	Short   string // one character without its dash; empty: only a long name
	Long    string // name without dashes or "="; required and unique
	Switch  bool   // takes no value; false: the value is required
	Example string // a value for hints, "5" in "for example -c 5"; empty: "VALUE"
}

// Normalize reads args, without the program's name, by the rules of
// getopt_long and returns the options in their order as "--long=value" (a
// switch as "--long=true" or "--long=false") and the operands in theirs.
// Fed back as options, "--", operands, the result is the same.
//
// The error is an *Error and speaks of the first thing that is wrong. What
// could be understood is returned even then, before and after the bad argument,
// so that the caller still finds the output format. Left out are: an option
// that is unknown, ambiguous or lacks its value (an argument that was meant as
// the value of an unknown option is among the operands), a switch with a value
// that is no boolean, and in a cluster with an unknown letter what follows from
// the first option on that takes a value, or from "=". A long name behind a single dash is an
// error if it is no cluster, and is then read as if it had two.
func Normalize(flags []Flag, args []string) (options, operands []string, err error) {
	p := parser{flags: flags, rest: args}
	for len(p.rest) > 0 {
		p.argument()
	}
	return p.options, p.operands, p.err
}

// parser is the state of one Normalize.
type parser struct {
	flags             []Flag
	rest              []string // not yet read
	options, operands []string
	err               error // the first one
}

// next takes the next argument; there must be one.
func (p *parser) next() string {
	arg := p.rest[0]
	p.rest = p.rest[1:]
	return arg
}

// add appends an option in its canonical form.
func (p *parser) add(f Flag, value string) {
	p.options = append(p.options, canonical(f, value))
}

// fail keeps the first error.
func (p *parser) fail(message, hint string) {
	if p.err == nil {
		p.err = &Error{Message: message, Hint: hint}
	}
}

// argument reads one argument and, where it takes one, its value.
func (p *parser) argument() {
	switch arg := p.next(); {
	case arg == "--":
		p.operands = append(p.operands, p.rest...)
		p.rest = nil
	case strings.HasPrefix(arg, "--"):
		p.long(arg[2:])
	case len(arg) > 1 && arg[0] == '-':
		p.cluster(arg[1:])
	default:
		p.operands = append(p.operands, arg)
	}
}

// long reads "name" or "name=value".
func (p *parser) long(arg string) {
	name, value, attached := strings.Cut(arg, "=")
	found := byPrefix(p.flags, name)
	switch {
	case len(found) == 0:
		p.fail("unknown option "+show("--"+name), suggest(p.flags, name))
	case len(found) > 1:
		p.ambiguous(name, found)
	case found[0].Switch:
		p.longSwitch(found[0], value, attached)
	case attached:
		p.add(found[0], value)
	default:
		p.separate(found[0], "--"+found[0].Long)
	}
}

// ambiguous says which options a prefix may stand for.
func (p *parser) ambiguous(name string, found []Flag) {
	var names []string
	for _, f := range found {
		names = append(names, "--"+f.Long)
	}
	p.fail("option "+show("--"+name)+" is ambiguous: "+strings.Join(names, ", "),
		"write "+strings.Join(names, " or "))
}

// longSwitch reads a switch with or without "=value". One with a bad value counts as meant: how its error is told may
// depend on it.
func (p *parser) longSwitch(f Flag, value string, attached bool) {
	on, ok := boolean(value)
	switch {
	case !attached:
		p.add(f, "true")
	case ok:
		p.add(f, on)
	default:
		p.add(f, "true")
		p.fail("option --"+f.Long+" is true or false, not "+Quote(value),
			"--"+f.Long+" or --"+f.Long+"=false")
	}
}

// separate takes the next argument as the value, even if it starts with a
// dash. typed is the option's name as it goes into an error.
func (p *parser) separate(f Flag, typed string) {
	if len(p.rest) == 0 {
		example := f.Example
		if example == "" {
			example = "VALUE"
		}
		p.fail("option "+typed+" needs a value", "for example "+typed+" "+example)
		return
	}
	p.add(f, p.next())
}

// cluster reads short options behind one dash; the first that takes a value
// has the rest of the letters as its value or, if none are left, the next
// argument.
func (p *parser) cluster(letters string) {
	if i := p.stray(letters); i >= 0 {
		p.strayLetter(letters, i)
		return
	}
	for letters != "" {
		f, _ := byShort(p.flags, letters)
		letters = letters[len(f.Short):]
		switch {
		case f.Switch:
			p.add(f, "true")
		case letters != "":
			p.add(f, letters)
			return
		default:
			p.separate(f, "-"+f.Short)
		}
	}
}

// stray returns the index of the first letter of a cluster that is no option,
// or -1. What follows an option that takes a value is its value.
func (p *parser) stray(letters string) int {
	for i := 0; i < len(letters); {
		f, ok := byShort(p.flags, letters[i:])
		switch {
		case !ok:
			return i
		case !f.Switch:
			return -1
		}
		i += len(f.Short)
	}
	return -1
}

// strayLetter reports a cluster whose letter at i is no option, and takes from
// it what is certain.
func (p *parser) strayLetter(letters string, i int) {
	_, n := utf8.DecodeRuneInString(letters[i:])
	bad := letters[i : i+n]
	name, _, _ := strings.Cut(letters, "=")
	switch {
	case exact(p.flags, name):
		p.fail("unknown option "+show("-"+bad), "did you mean --"+name+"?")
		p.long(letters)
	case bad == "=" && i > 0:
		p.attachedToSwitch(name)
	default:
		p.fail("unknown option "+show("-"+bad), suggest(p.flags, longEnough(name)))
		p.switches(name)
	}
}

// attachedToSwitch reports "-q=false": letters are the switches before the "=".
func (p *parser) attachedToSwitch(letters string) {
	_, n := utf8.DecodeLastRuneInString(letters)
	last := letters[len(letters)-n:]
	f, _ := byShort(p.flags, last)
	p.fail("option -"+last+" takes no value", "-"+last+" or --"+f.Long+"=false")
	p.switches(letters)
}

// switches takes the switches of a cluster that has unknown letters, up to the
// first option that takes a value: that value may be anything.
func (p *parser) switches(letters string) {
	for letters != "" {
		f, ok := byShort(p.flags, letters)
		switch {
		case !ok:
			_, n := utf8.DecodeRuneInString(letters)
			letters = letters[n:]
			continue
		case !f.Switch:
			return
		}
		p.add(f, "true")
		letters = letters[len(f.Short):]
	}
}

// canonical is the form that Normalize and Environ return.
func canonical(f Flag, value string) string { return "--" + f.Long + "=" + value }

// byShort finds the option that letters starts with.
func byShort(flags []Flag, letters string) (Flag, bool) {
	for _, f := range flags {
		if f.Short != "" && strings.HasPrefix(letters, f.Short) {
			return f, true
		}
	}
	return Flag{}, false
}

// exact reports whether name is a whole long name.
func exact(flags []Flag, name string) bool {
	found := byPrefix(flags, name)
	return len(found) == 1 && found[0].Long == name
}

// byPrefix finds the options whose long name starts with name; an exact match
// is the only one.
func byPrefix(flags []Flag, name string) []Flag {
	if name == "" {
		return nil
	}
	var found []Flag
	for _, f := range flags {
		switch {
		case f.Long == name:
			return []Flag{f}
		case strings.HasPrefix(f.Long, name):
			found = append(found, f)
		}
	}
	return found
}

// longEnough drops a cluster that is too short to be a mistyped long name.
func longEnough(name string) string {
	if len(name) < 4 {
		return ""
	}
	return name
}

// suggest is the hint for an unknown name: the nearest option, or the help.
func suggest(flags []Flag, name string) string {
	name = strings.ToLower(name)
	best, nearest := "", allowedEdits(name)+1
	for _, f := range flags {
		if f.Short != "" && f.Short == name {
			return "did you mean -" + f.Short + "?"
		}
		if d := distance(name, f.Long); d < nearest {
			best, nearest = f.Long, d
		}
	}
	if best == "" {
		return listHint
	}
	return "did you mean --" + best + "?"
}

// allowedEdits is how many edits still make a near miss; -1 is none at all.
func allowedEdits(name string) int {
	switch n := len(name); {
	case n < 2 || n > 30:
		return -1
	case n < 5:
		return 1
	}
	return 2
}

// distance is the edit distance with neighbours swapped as one edit (optimal
// string alignment), over bytes. It gives up at once on a difference in length
// that no suggestion allows.
func distance(a, b string) int {
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return len(a) + len(b)
	}
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+differ(a[i-1], b[j-1]))
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}

// differ is the price of a replacement.
func differ(a, b byte) int {
	if a == b {
		return 0
	}
	return 1
}
