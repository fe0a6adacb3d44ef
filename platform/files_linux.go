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

	"golang.org/x/sys/unix"
)

// maxFile bounds what is read of a file, in bytes.
const maxFile = 1 << 20

var (
	errNotRegular = errors.New("is no regular file")
	errDirectory  = errors.New("is a directory")
	errTooLarge   = errors.New("is too large")
	errEmpty      = errors.New("is empty")
)

// host reads files below a root, which is / but for tests.
type host struct{ root string }

// read returns a whole file. It never waits: a pipe in the place of a file is an error.
func (h host) read(name string) ([]byte, error) {
	fd, err := unix.Open(path.Join(h.root, name), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, named(name, err)
	}
	f := file(fd)
	defer f.Close()
	var info unix.Stat_t
	if err := unix.Fstat(fd, &info); err != nil {
		return nil, named(name, err)
	}
	switch info.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		return nil, named(name, errDirectory)
	default:
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

// file is the descriptor of an open file. One of package os would start the poller of the runtime, which ends the process if
// it gets no descriptors of its own.
type file int

func (f file) Read(b []byte) (int, error) {
	for {
		switch n, err := unix.Read(int(f), b); {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (f file) Close() error { return unix.Close(int(f)) }

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
