//go:build !portable

package droptrace

import (
	"bytes"
	"cmp"
	"io"
	"slices"
	"time"
)

const (
	// piece is how much is read at once. The kernel gives a page.
	piece = 1 << 14
	// enough is how many functions in a row have address 0 until it is certain that all have.
	enough = 64
	// longest is more bytes than a function of a module has.
	longest = 1 << 18
)

// symbol is an address and the function around it, as far as it is known.
type symbol struct {
	address uint64
	start   uint64
	name    []byte
}

// symbols look for the functions around addresses in the text of /proc/kallsyms: "ffffffff81000000 T name", with "\t[module]"
// behind those of modules. Functions of the kernel itself come first and by address, those of modules in any order.
type symbols struct {
	wanted []symbol // by address
	// rest is the line whose end is in the next piece.
	rest []byte
	// first is the lowest function of the kernel itself, if there is one.
	first     uint64
	functions int
	highest   uint64
	// passed says that the kernel's own functions have gone by on both sides of each address.
	passed bool
}

// newSymbols looks for the functions that return addresses are in. A call may be a function's last instruction, so that it
// is the byte before that counts.
func newSymbols(returns []uint64) *symbols {
	s := &symbols{}
	slices.Sort(returns)
	for _, address := range slices.Compact(returns) {
		s.wanted = append(s.wanted, symbol{address: address - 1})
	}
	return s
}

// read reads until everything is known, at most until a time.
func (s *symbols) read(r io.Reader, until time.Time) error {
	for b := make([]byte, piece); !s.passed; {
		n, err := r.Read(b)
		if s.add(b[:n]); s.hidden(enough) {
			return ErrHidden
		}
		switch {
		case err == io.EOF:
			if s.add([]byte("\n")); s.hidden(0) {
				return ErrHidden
			}
			return nil
		case err != nil:
			return err
		case !s.passed && time.Now().After(until):
			return ErrSlow
		}
	}
	return nil
}

// hidden says that each function has address 0, and that there are more than some.
func (s *symbols) hidden(some int) bool { return s.functions >= some && s.highest == 0 }

// add reads a piece.
func (s *symbols) add(b []byte) {
	for !s.passed {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			s.rest = append(s.rest, b...)
			return
		}
		line := b[:i]
		if len(s.rest) > 0 {
			line = append(s.rest, line...)
			s.rest = s.rest[:0]
		}
		s.addLine(line)
		b = b[i+1:]
	}
}

// addLine reads one line. It is called 100000 times, so it allocates nothing.
func (s *symbols) addLine(line []byte) {
	digits, rest, _ := bytes.Cut(line, []byte(" "))
	start, ok := parseHex(digits)
	if !ok || len(rest) < 3 || rest[1] != ' ' || bytes.IndexByte([]byte("tTwW"), rest[0]) < 0 {
		return
	}
	name, _, module := bytes.Cut(rest[2:], []byte("\t"))
	s.functions++
	s.highest = max(s.highest, start)
	i, _ := slices.BinarySearchFunc(s.wanted, start, func(w symbol, start uint64) int { return cmp.Compare(w.address, start) })
	if i < len(s.wanted) && start > s.wanted[i].start { // of several names for one address the kernel takes the first
		w := &s.wanted[i]
		w.start, w.name = start, append(w.name[:0], name...)
	}
	if module || start == 0 {
		return
	}
	if s.first == 0 {
		s.first = start
	}
	s.passed = i == len(s.wanted) && (i == 0 || s.first <= s.wanted[0].address)
}

// names are the functions by the return addresses in them.
func (s *symbols) names() map[uint64]string {
	names := map[uint64]string{}
	var nearest symbol // below
	for _, w := range s.wanted {
		if w.start > nearest.start {
			nearest = w
		}
		if nearest.name != nil && w.address-nearest.start < longest {
			name, _, _ := bytes.Cut(nearest.name, []byte(".")) // .cold, .isra.0, .constprop.0
			names[w.address+1] = string(name)
		}
	}
	return names
}

// parseHex reads a number without a prefix.
func parseHex(digits []byte) (n uint64, ok bool) {
	for _, c := range digits {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		default:
			return 0, false
		}
		n = n<<4 | uint64(c)
	}
	return n, len(digits) > 0 && len(digits) <= 16
}
