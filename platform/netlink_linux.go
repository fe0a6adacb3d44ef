package platform

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"lping/platform/netlink"
)

const (
	// netlinkWait bounds one read in milliseconds. The kernel answers within the send, so no read ever waits for it.
	netlinkWait = 50
	// maxDump bounds the answer to one request, in bytes: a router has millions of routes.
	maxDump = 1 << 20
	// netlinkBuffer holds the largest datagram of a dump (netlink_dump in net/netlink/af_netlink.c).
	netlinkBuffer = 32 << 10
)

var (
	errTooMuch = errors.New("netlink answer is too large")
	errNoReply = errors.New("netlink gave no answer")
)

// netlinkSocket is a socket for one question at a time (netlink(7)).
type netlinkSocket struct {
	fd  int
	seq uint32
}

func openNetlink(protocol int) (*netlinkSocket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, os.NewSyscallError("netlink socket", err)
	}
	// Linux has filters since 4.20; without them an answer holds more than was asked for.
	unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	wait := unix.NsecToTimeval(netlinkWait * 1e6)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("setsockopt", err)
	}
	return &netlinkSocket{fd: fd}, nil
}

func (n *netlinkSocket) close() { unix.Close(n.fd) }

// get asks for one object. A refusal is a syscall.Errno in the error.
func (n *netlinkSocket) get(r netlink.Request) (netlink.Message, error) {
	list, err := n.ask(r, nil)
	if err != nil {
		return netlink.Message{}, err
	}
	if len(list) == 0 {
		return netlink.Message{}, errNoReply
	}
	return list[0], nil
}

// ask sends a request and reads until the end of the answer or, if enough is not nil, until enough returns true. After that
// the socket can only be closed, since the rest of the answer is still on its way.
func (n *netlinkSocket) ask(r netlink.Request, enough func([]netlink.Message) bool) ([]netlink.Message, error) {
	var list []netlink.Message
	err := n.stream(r, maxDump, func(more []netlink.Message) bool {
		list = append(list, more...)
		return enough != nil && enough(list)
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// list asks for objects of one kind, and returns those that keep reads and returns true for. enough is that of ask.
func list[T any](n *netlinkSocket, r netlink.Request, enough func([]netlink.Message) bool,
	keep func([]byte) (T, bool)) ([]T, error) {
	all, err := n.ask(r, enough)
	if err != nil {
		return nil, err
	}
	kept := []T{}
	for _, m := range all {
		if v, ok := keep(m.Data); ok {
			kept = append(kept, v)
		}
	}
	return kept, nil
}

// stream sends a request and gives the answer, of at most limit bytes, to f part by part, until f returns true.
func (n *netlinkSocket) stream(r netlink.Request, limit int, f func([]netlink.Message) bool) error {
	n.seq++
	if err := unix.Sendto(n.fd, r.Append(nil, n.seq), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("netlink send", err)
	}
	for size := 0; size < limit; {
		b, err := n.read()
		if err != nil {
			return err
		}
		size += len(b)
		more, done, err := netlink.ParseMessages(b, n.seq)
		if err != nil {
			return err
		}
		if f(more) || done {
			return nil
		}
	}
	return errTooMuch
}

// read returns one datagram. It tries a few times, since a signal of the Go runtime may interrupt it.
func (n *netlinkSocket) read() ([]byte, error) {
	b := make([]byte, netlinkBuffer)
	for try := 0; ; try++ {
		got, _, flags, _, err := unix.Recvmsg(n.fd, b, nil, 0)
		switch {
		case err == unix.EINTR && try < 10:
			continue
		case err != nil:
			return nil, os.NewSyscallError("netlink receive", err)
		case flags&unix.MSG_TRUNC != 0:
			return nil, errTooMuch
		}
		return b[:got], nil
	}
}
