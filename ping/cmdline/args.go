package cmdline

import (
	"strings"
	"unicode/utf8"
)

// parseArgs reads args, without the program's name, by the rules of getopt_long: -c5, -qnc3, -46, --cou 3, and options
// after the operands. It returns the options and the operands in their order; a switch has the value "true" or "false".
//
// The error is an *Error about the first thing that is wrong. What could be understood before and after it is returned
// even then, so that the caller still finds the output format. Left out are: an option that is unknown, ambiguous or
// lacks its value (if an unknown option was meant to have a value, that is among the operands), and in a cluster with
// an unknown letter what follows from the first option on that takes a value, or from "=". A switch with a value that
// is no boolean counts as meant. A long name behind a single dash is an error if it is no cluster, and is then read as
// if it had two.
func parseArgs(table []*Option, args []string) (given []Given, operands []string, err error) {
	p := parser{table: table, rest: args}
	for len(p.rest) > 0 {
		p.argument()
	}
	return p.given, p.operands, p.err
}

// parser is the state of one parseArgs.
type parser struct {
	table    []*Option
	rest     []string // not yet read
	given    []Given
	operands []string
	err      error // the first one
}

// next takes the next argument; there must be one.
func (p *parser) next() string {
	arg := p.rest[0]
	p.rest = p.rest[1:]
	return arg
}

// add notes that an option was given.
func (p *parser) add(o *Option, value string) {
	p.given = append(p.given, Given{Option: o, Value: value})
}

// fail keeps the first error.
func (p *parser) fail(message, hint string) {
	if p.err == nil {
		p.err = &Error{Message: message, Hint: hint}
	}
}

// argument reads one argument and, if it is an option that needs one, its value.
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
	found := byPrefix(p.table, name)
	switch {
	case len(found) == 0:
		p.fail("unknown option "+show("--"+name), suggest(p.table, name))
	case len(found) > 1:
		p.ambiguous(name, found)
	case found[0].IsSwitch():
		p.longSwitch(found[0], value, attached)
	case attached:
		p.add(found[0], value)
	default:
		p.separate(found[0], "--"+found[0].Long)
	}
}

// ambiguous says which options a prefix may stand for.
func (p *parser) ambiguous(name string, found []*Option) {
	var names []string
	for _, o := range found {
		names = append(names, "--"+o.Long)
	}
	p.fail("option "+show("--"+name)+" is ambiguous: "+strings.Join(names, ", "), "write "+strings.Join(names, " or "))
}

// longSwitch reads a switch with or without "=value".
func (p *parser) longSwitch(o *Option, value string, attached bool) {
	on, ok := boolean(value)
	if !attached {
		on, ok = "true", true
	}
	p.add(o, on)
	if !ok {
		p.fail("option --"+o.Long+" is true or false, not "+quote(value), "--"+o.Long+" or --"+o.Long+"=false")
	}
}

// separate takes the next argument as the value, even if it starts with a dash. typed is the option as an error names it.
func (p *parser) separate(o *Option, typed string) {
	if len(p.rest) == 0 {
		p.fail("option "+typed+" needs a value", "for example "+typed+" "+o.Example)
		return
	}
	p.add(o, p.next())
}

// cluster reads short options behind one dash. The first that needs a value takes the rest of the letters or, if none
// are left, the next argument.
func (p *parser) cluster(letters string) {
	if i := p.unknownLetter(letters); i >= 0 {
		p.badCluster(letters, i)
		return
	}
	for letters != "" {
		o := byShort(p.table, letters)
		letters = letters[len(o.Short):]
		switch {
		case o.IsSwitch():
			p.add(o, "true")
		case letters != "":
			p.add(o, letters)
			return
		default:
			p.separate(o, "-"+o.Short)
		}
	}
}

// unknownLetter is the index of the first letter of a cluster that is no option, or -1. What follows an option that
// needs a value is no letter but that value.
func (p *parser) unknownLetter(letters string) int {
	for i := 0; i < len(letters); {
		o := byShort(p.table, letters[i:])
		switch {
		case o == nil:
			return i
		case !o.IsSwitch():
			return -1
		}
		i += len(o.Short)
	}
	return -1
}

// badCluster reports a cluster whose letter at i is no option, and takes from it what is certain.
func (p *parser) badCluster(letters string, i int) {
	_, n := utf8.DecodeRuneInString(letters[i:])
	bad := letters[i : i+n]
	name, _, _ := strings.Cut(letters, "=")
	found := byPrefix(p.table, name)
	switch {
	case len(found) == 1 && found[0].Long == name:
		p.fail("unknown option "+show("-"+bad), "did you mean --"+name+"?")
		p.long(letters)
	case bad == "=" && i > 0:
		p.attachedToSwitch(name)
	default:
		hint := listHint
		if len(name) >= 4 { // what is shorter is no mistyped long name
			hint = suggest(p.table, name)
		}
		p.fail("unknown option "+show("-"+bad), hint)
		p.switches(name)
	}
}

// attachedToSwitch reports "-q=false": letters are the switches before the "=".
func (p *parser) attachedToSwitch(letters string) {
	_, n := utf8.DecodeLastRuneInString(letters)
	last := letters[len(letters)-n:]
	o := byShort(p.table, last)
	p.fail("option -"+last+" takes no value", "-"+last+" or --"+o.Long+"=false")
	p.switches(letters)
}

// switches takes the switches of a cluster that has unknown letters, up to the first option that needs a value.
func (p *parser) switches(letters string) {
	for _, letter := range letters {
		o := byShort(p.table, string(letter))
		switch {
		case o == nil:
		case !o.IsSwitch():
			return
		default:
			p.add(o, "true")
		}
	}
}

// byShort finds the option that letters starts with; nil if there is none.
func byShort(table []*Option, letters string) *Option {
	for _, o := range table {
		if o.Short != "" && strings.HasPrefix(letters, o.Short) {
			return o
		}
	}
	return nil
}

// byPrefix finds the options whose long name starts with name; the one whose long name is just that is the only one.
func byPrefix(table []*Option, name string) (found []*Option) {
	for _, o := range table {
		switch {
		case o.Long == name:
			return []*Option{o}
		case name != "" && strings.HasPrefix(o.Long, name):
			found = append(found, o)
		}
	}
	return found
}

// suggest is the hint for an unknown name: the nearest option, or the help.
func suggest(table []*Option, name string) string {
	name = strings.ToLower(name)
	var names []string
	for _, o := range table {
		if o.Short != "" && o.Short == name {
			return "did you mean -" + o.Short + "?"
		}
		names = append(names, o.Long)
	}
	best := nearest(names, name)
	if best == "" {
		return listHint
	}
	return "did you mean --" + best + "?"
}

// nearest is the name that was most likely meant; empty if none is near enough.
func nearest(names []string, name string) (best string) {
	least := maxEdits(name) + 1
	for _, s := range names {
		if d := distance(name, s); d < least {
			best, least = s, d
		}
	}
	return best
}

// maxEdits is how many edits make a mistyped name of another one; -1 says that no name is near enough.
func maxEdits(name string) int {
	switch n := len(name); {
	case n < 2 || n > 30:
		return -1
	case n < 5:
		return 1
	}
	return 2
}

// distance is the edit distance in bytes, in which two neighbours that changed places are one edit (optimal string
// alignment). If the lengths differ by more than any suggestion allows, it is not computed but large.
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
			replaced := row[j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			next[j] = min(row[j]+1, next[j-1]+1, replaced)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
