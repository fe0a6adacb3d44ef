package platform

import (
	"encoding/binary"
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// netlinkWait bounds one read in milliseconds. The kernel answers within the send, so it never comes to that.
	netlinkWait = 50
	// maxDump bounds what one request may bring, in bytes: a router has millions of routes.
	maxDump = 1 << 20
	// netlinkBuffer holds the largest datagram of a dump (netlink_dump in net/netlink/af_netlink.c).
	netlinkBuffer = 32 << 10
	// attributeType masks the two flags of nla_type (NLA_TYPE_MASK of linux/netlink.h).
	attributeType = 0x3fff
)

var (
	errShort   = errors.New("netlink message is cut short")
	errTooMuch = errors.New("netlink answer is too large")
	errNoReply = errors.New("netlink gave no answer")
)

// netlink is a socket for one question at a time (netlink(7)).
type netlink struct {
	fd  int
	seq uint32
}

// message is one netlink message without its header.
type message struct {
	Type uint16
	Data []byte
}

func openNetlink(protocol int) (*netlink, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, os.NewSyscallError("netlink socket", err)
	}
	// Before Linux 4.20 there are no filters: then the answers hold more than was asked for.
	unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	wait := unix.NsecToTimeval(netlinkWait * 1e6)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("setsockopt", err)
	}
	return &netlink{fd: fd}, nil
}

func (n *netlink) close() { unix.Close(n.fd) }

// get asks for one object. A refusal is a syscall.Errno in the error.
func (n *netlink) get(typ uint16, body []byte) (message, error) {
	list, err := n.ask(typ, unix.NLM_F_REQUEST|unix.NLM_F_ACK, body, nil)
	if err != nil {
		return message{}, err
	}
	if len(list) == 0 {
		return message{}, errNoReply
	}
	return list[0], nil
}

// dump asks for all objects that the body selects.
func (n *netlink) dump(typ uint16, body []byte) ([]message, error) {
	return n.ask(typ, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, body, nil)
}

// ask sends a request and reads until its end or, where that is given, until enough says so. After that the socket
// can only be closed: the rest of the answer is still on its way.
func (n *netlink) ask(typ, flags uint16, body []byte, enough func([]message) bool) ([]message, error) {
	var list []message
	err := n.stream(typ, flags, body, maxDump, func(more []message) bool {
		list = append(list, more...)
		return enough != nil && enough(list)
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// stream is ask for an answer of at most limit bytes that nobody keeps: f gets it part by part, and ends it with true.
func (n *netlink) stream(typ, flags uint16, body []byte, limit int, f func([]message) bool) error {
	n.seq++
	request := appendHeader(nil, typ, flags, n.seq, len(body))
	if err := unix.Sendto(n.fd, append(request, body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("netlink send", err)
	}
	for size := 0; size < limit; {
		b, err := n.read()
		if err != nil {
			return err
		}
		size += len(b)
		more, done, err := parseMessages(b, n.seq)
		if err != nil {
			return err
		}
		if f(more) || done {
			return nil
		}
	}
	return errTooMuch
}

// read returns one datagram. A signal of the Go runtime may interrupt it, so it tries a few times.
func (n *netlink) read() ([]byte, error) {
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

// appendHeader appends struct nlmsghdr for a body of this many bytes.
func appendHeader(b []byte, typ, flags uint16, seq uint32, body int) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(unix.SizeofNlMsghdr+body))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	return binary.NativeEndian.AppendUint32(b, 0)
}

// appendAttribute appends struct nlattr and its value, padded to four bytes.
func appendAttribute(b []byte, typ uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofNlAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, value...)
	return append(b, make([]byte, align(len(value))-len(value))...)
}

// parseMessages splits a datagram into the messages that answer request seq, and says whether they are the last.
// A refusal by the kernel is a syscall.Errno.
func parseMessages(b []byte, seq uint32) (list []message, done bool, err error) {
	for len(b) >= unix.SizeofNlMsghdr {
		length := int(binary.NativeEndian.Uint32(b))
		if length < unix.SizeofNlMsghdr || length > len(b) {
			return nil, false, errShort
		}
		m := message{Type: binary.NativeEndian.Uint16(b[4:]), Data: b[unix.SizeofNlMsghdr:length]}
		ours := binary.NativeEndian.Uint32(b[8:]) == seq
		b = b[min(align(length), len(b)):]
		switch {
		case !ours:
		case m.Type == unix.NLMSG_DONE:
			return list, true, refusal(m.Data)
		case m.Type == unix.NLMSG_ERROR:
			return list, true, refusal(m.Data)
		default:
			list = append(list, m)
		}
	}
	return list, false, nil
}

// refusal is the error number of NLMSG_ERROR and NLMSG_DONE: 0, or a negated errno.
func refusal(b []byte) error {
	if len(b) < 4 {
		return nil
	}
	code := int32(binary.NativeEndian.Uint32(b))
	if code >= 0 || code < -4095 {
		return nil
	}
	return syscall.Errno(-code)
}

// attributes calls f with every attribute (struct nlattr) in b; what is cut short is left out.
func attributes(b []byte, f func(typ uint16, value []byte)) {
	for len(b) >= unix.SizeofNlAttr {
		length := int(binary.NativeEndian.Uint16(b))
		if length < unix.SizeofNlAttr || length > len(b) {
			return
		}
		f(binary.NativeEndian.Uint16(b[2:])&attributeType, b[unix.SizeofNlAttr:length])
		b = b[min(align(length), len(b)):]
	}
}

// align rounds up to the four bytes that netlink counts in.
func align(n int) int { return (n + 3) &^ 3 }

// number is an attribute that is an unsigned integer of one, two, four or eight bytes; else 0.
func number(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.NativeEndian.Uint16(b))
	case 4:
		return uint64(binary.NativeEndian.Uint32(b))
	case 8:
		return binary.NativeEndian.Uint64(b)
	}
	return 0
}

// text is an attribute that is a string with a zero at its end.
func text(b []byte) string { return unix.ByteSliceToString(b) }
