package platform

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
)

// maxFile bounds what is read of a file, in bytes.
const maxFile = 1 << 20

var (
	errNotRegular = errors.New("is no regular file")
	errTooLarge   = errors.New("is too large")
	errEmpty      = errors.New("is empty")
)

// host reads files below a root, which is / but for tests.
type host struct{ root string }

// read returns a whole file. It never waits: a pipe in the place of a file is an error.
func (h host) read(name string) ([]byte, error) {
	f, err := os.OpenFile(path.Join(h.root, name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, named(name, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, named(name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, named(name, errNotRegular)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, named(name, err)
	}
	if len(b) > maxFile {
		return nil, named(name, errTooLarge)
	}
	return b, nil
}

// exists says whether there is a file or directory of this name.
func (h host) exists(name string) bool {
	_, err := os.Stat(path.Join(h.root, name))
	return err == nil
}

// number reads a file that holds one number, as sysctls do.
func (h host) number(name string) (uint64, error) {
	n, err := h.numbers(name, 1)
	if err != nil {
		return 0, err
	}
	return uint64(n[0]), nil
}

// numbers reads a file that holds this many numbers that are not negative.
func (h host) numbers(name string, want int) ([]int64, error) {
	b, err := h.read(name)
	if err != nil {
		return nil, err
	}
	n, err := parseNumbers(b, want)
	if err != nil {
		return nil, named(name, err)
	}
	return n, nil
}

func parseNumbers(b []byte, want int) ([]int64, error) {
	var list []int64
	for f := range fields(b) {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%s is no number", quote(f))
		}
		list = append(list, n)
	}
	switch {
	case len(list) == 0:
		return nil, errEmpty
	case len(list) != want:
		return nil, fmt.Errorf("holds %d numbers, not %d", len(list), want)
	}
	return list, nil
}

// named puts the name of a file before what is wrong with it.
func named(name string, err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		err = p.Err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// quote is a piece of a file in a message: short, and without control characters.
func quote(s string) string {
	const enough = 20
	return strconv.QuoteToASCII(s[:min(len(s), enough)])
}

// line is one line of a file, without its end.
type line string

func (l line) fields() []string { return strings.Fields(string(l)) }

// cut splits "key: value" and the like.
func (l line) cut(separator string) (key, value string, ok bool) {
	key, value, ok = strings.Cut(string(l), separator)
	return strings.TrimSpace(key), strings.TrimSpace(value), ok
}

// lines are those of a text.
func lines(b []byte) iter.Seq[line] {
	return func(yield func(line) bool) {
		for l := range bytes.Lines(b) {
			if !yield(line(bytes.TrimRight(l, "\r\n"))) {
				return
			}
		}
	}
}

// fields are the words of a text.
func fields(b []byte) iter.Seq[string] { return strings.FieldsSeq(string(b)) }
