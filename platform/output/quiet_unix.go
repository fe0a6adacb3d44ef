//go:build unix

package output

import (
	"io"
	"os"
	"syscall"
)

// quietFile goes round package os, which lets SIGPIPE kill the process if the descriptor is 1 or 2.
type quietFile struct {
	name string
	conn syscall.RawConn
	// write hands left to the system. It is made once, and so are its results, so that no write allocates.
	write func(fd uintptr) (done bool)
	left  []byte
	n     int
	err   error
}

func quiet(f *os.File) io.Writer {
	conn, err := f.SyscallConn()
	if err != nil {
		return f
	}
	q := &quietFile{name: f.Name(), conn: conn}
	q.write = func(fd uintptr) bool {
		q.n, q.err = syscall.Write(int(fd), q.left)
		return q.err != syscall.EAGAIN
	}
	return q
}

func (q *quietFile) Write(b []byte) (int, error) {
	for q.left = b; len(q.left) > 0; {
		if err := q.conn.Write(q.write); err != nil {
			return len(b) - len(q.left), err
		}
		if q.err != nil && q.err != syscall.EINTR {
			return len(b) - len(q.left), &os.PathError{Op: "write", Path: q.name, Err: q.err}
		}
		q.left = q.left[max(q.n, 0):]
	}
	return len(b), nil
}
