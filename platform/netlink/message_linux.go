package netlink

import (
	"encoding/binary"
	"errors"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributeType masks the two flags of nla_type (NLA_TYPE_MASK of linux/netlink.h).
const attributeType = 0x3fff

// errShort is the error of a message that lacks a part or holds nonsense.
var errShort = errors.New("netlink message is cut short")

// Message is one netlink message without its header.
type Message struct {
	Type uint16
	Data []byte
}

// Request is a question to the kernel.
type Request struct {
	Type, Flags uint16
	Body        []byte
}

// get asks for one object.
func get(typ uint16, body []byte) Request {
	return Request{typ, unix.NLM_F_REQUEST | unix.NLM_F_ACK, body}
}

// dump asks for all objects that the body selects.
func dump(typ uint16, body []byte) Request {
	return Request{typ, unix.NLM_F_REQUEST | unix.NLM_F_DUMP, body}
}

// Append appends the request as the one with this number: struct nlmsghdr and the body.
func (r Request) Append(b []byte, seq uint32) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(unix.SizeofNlMsghdr+len(r.Body)))
	b = binary.NativeEndian.AppendUint16(b, r.Type)
	b = binary.NativeEndian.AppendUint16(b, r.Flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	return append(b, r.Body...)
}

// ParseMessages splits a datagram into the messages that answer request seq, and says whether they are the last.
// A refusal by the kernel is a syscall.Errno.
func ParseMessages(b []byte, seq uint32) (list []Message, done bool, err error) {
	for len(b) >= unix.SizeofNlMsghdr {
		length := int(binary.NativeEndian.Uint32(b))
		if length < unix.SizeofNlMsghdr || length > len(b) {
			return nil, false, errShort
		}
		m := Message{Type: binary.NativeEndian.Uint16(b[4:]), Data: b[unix.SizeofNlMsghdr:length]}
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

// appendAttribute appends struct nlattr and its value, padded to four bytes.
func appendAttribute(b []byte, typ uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofNlAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, value...)
	return append(b, make([]byte, align(len(value))-len(value))...)
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

// nameOf is the name of a number, and its decimal form if it has none.
func nameOf[T byte | uint32](n T, names map[T]string) string {
	if name, ok := names[n]; ok {
		return name
	}
	return strconv.FormatUint(uint64(n), 10)
}
