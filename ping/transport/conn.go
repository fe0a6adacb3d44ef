// Package transport carries echo messages over ICMP, UDP and TCP, and asks services: it opens, sends and receives. It knows no run, no event
// and no window: package ping does, and whoever wants to probe something should use that.
//
// # ICMP
//
// Open tries an ICMP datagram socket first (Linux: net/ipv4/ping.c, allowed by net.ipv4.ping_group_range; macOS:
// always allowed) and a raw socket next (CAP_NET_RAW or root). It is bound to the target's own address, so that an
// echo cannot leave this host. On a datagram socket the Linux kernel chooses the identifier and rewrites the
// checksum; on a raw socket the identifier is random and a filter lets only its replies through. Windows has an API
// for echo requests. If the system permits no ICMP socket, ProtoAuto goes over UDP, and Socket.Denied says why.
//
// # UDP
//
// UDP needs no privilege. A socket of ours on the target's address, at a port that the system chooses, sends back
// what the client's socket sent. Neither hears anybody but the other. The data of a datagram is an echo message
// without a checksum of its own: its 8-byte header takes that much from the largest Size (Config.MaxSize). On Linux the
// echo runs in the thread of the run and the kernel's stamps are those of the client's socket; elsewhere it is a goroutine.
//
// With Port the datagram goes to a service instead, which need not know what it says: what comes back is Opaque. If
// nobody has the port the message ends with ECONNREFUSED, from the ICMP error (port unreachable). On Linux an ICMP error
// quotes its message; elsewhere it names none, and of several at once the system keeps one.
//
// # TCP
//
// Each message has a connection of its own to a listener of ours, which sends the message back; anybody else who connects
// is turned away. ECONNREFUSED (nobody listens, or a firewall rejects), ETIMEDOUT and EADDRNOTAVAIL (no port is left) come
// from connect, EPIPE after a close, ECONNRESET after a reset, EPROTO if what comes back does not begin as the reply must. A
// full backlog or a firewall that drops is silence. TCP repeats what is lost: loss shows as an RTT of 200 ms and more.
//
// With Port the handshake with a service is all, and no data is sent, unless it is an echo (Config.Echo) or asked over HTTP.
// Package service says how that is done without harm. A connection that the system made with itself, since it chose the port
// that was asked for, counts as refused.
//
// A connection to our own listener is reset (SO_LINGER 0): a close in order would keep a port for a minute each, and a long run
// would use them up. At most 128 connections are under way at once (Limiter).
package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"lping/ping/transport/service"
)

// What Conn.Recv returns if it has read nothing.
var (
	ErrTimeout = errors.New("nothing arrived in time")
	ErrWoken   = errors.New("woken")
)

// Conn carries the messages of one run: echo requests there, replies and error reports back. It is used by one
// goroutine; only Wake may be called from another.
type Conn interface {
	// Send hands one echo request to the system.
	Send(msg []byte) error
	// Recv reads one message into b, or one report of the system about a message sent earlier, and sets p, which is
	// large, to what it was. It waits until the given time; the zero time means not at all. It returns ErrTimeout,
	// ErrWoken, or what the system said.
	Recv(p *Packet, b []byte, until time.Time) error
	// Wake makes a Recv that waits, or else the next one that would wait, return ErrWoken.
	Wake()
	Close() error
}

// Stamper is a Conn that takes the kernel's time stamps: of each send, and (Packet.Kernel) of each arrival.
type Stamper interface {
	// Transmitted is when the message with this sequence number on the wire left, on the wall clock in ns since
	// 1970; 0 if the kernel did not tell.
	Transmitted(wire uint16) int64
}

// DropCounter is a Conn that knows how often the receive queue of its socket was full.
type DropCounter interface {
	// Drops counts since Open; ok is false if the system does not tell.
	Drops() (n uint64, ok bool)
}

// Queue is a Conn that knows how much its receive queue holds.
type Queue interface {
	// Room is how many answers with so many data bytes are sure to fit; 0 if the system does not tell.
	Room(size int) int
}

// Waiter is a Conn that knows which connections a service keeps waiting.
type Waiter interface {
	Unserved() service.Unserved
}

// Rewriter is a Conn to our own echo, which sees where its messages come from.
type Rewriter interface {
	// Rewritten is that address if it is not the one that they were sent from, as NAT does it; else it is not valid.
	Rewritten() netip.Addr
}

// Limiter is a Conn on which only so many messages may be under way: one more makes it give up the oldest. Answers come in
// any order.
type Limiter interface {
	Limit() int
}

// Packet is what Recv read.
type Packet struct {
	// Msg is the echo message, or the start of our own request if Fault is set.
	Msg  []byte
	From netip.Addr
	// TTL is 0 if the system did not tell.
	TTL int
	// At is when the read returned; the zero time if the conn leaves that to its caller.
	At time.Time
	// RTT is the round trip if the conn has a better start or clock for it than its caller; else 0.
	RTT time.Duration
	// Connect is the part of RTT until the TCP handshake was done; 0 if there was none, or nothing after it.
	Connect time.Duration
	// Kernel is when it arrived by the kernel's stamp: the wall clock in ns since 1970; 0 if there is none.
	Kernel int64
	// Fault is set (Errno is not 0) if this is a report about a message of ours.
	Fault Fault
	// Opaque is set if this names no message of ours: Msg is in a service's own words, or Fault is all there is.
	Opaque bool
	// Answer is what a service did or said, if there is more to it than that it answered.
	Answer *service.Answer
}

// Fault is why a message could not be delivered.
type Fault struct {
	// Errno is the system's error number: from send or connect, or the one that it derives from an ICMP error.
	Errno syscall.Errno
	// Call is the system call that a policy may have denied; empty for a send, and for other errors.
	Call string
	// ICMP is set if an ICMP error message came back; Type and Code are its fields (RFC 792, RFC 4443).
	ICMP       bool
	Type, Code uint8
}

// Methods of Socket.
const (
	MethodDgram = "icmp-dgram"
	MethodRaw   = "icmp-raw"
	MethodUDP   = "udp"
	MethodTCP   = "tcp"
	MethodHTTP  = "http"
)

// Socket is what Open found.
type Socket struct {
	// Method is one of those above.
	Method string
	// Local is the address that the socket is bound to.
	Local netip.Addr
	// Ident is the echo identifier that requests must have.
	Ident uint16
	// Stamps says that the conn is a Stamper, and has stamps.
	Stamps bool
	// Checksum says that the sender must compute the checksum of requests.
	Checksum bool
	// Port is the port that UDP and TCP go to; 0 for ICMP.
	Port uint16
	// Denied is set if ProtoAuto fell back to UDP: what the system said to each kind of ICMP socket.
	Denied *OpenError
}

// timeLeft is how long a Recv may wait; not at all if until is the zero time.
func timeLeft(until time.Time) time.Duration {
	if until.IsZero() {
		return 0
	}
	return time.Until(until)
}

// errno is the system's error number in err, or 0.
func errno(err error) syscall.Errno {
	var e syscall.Errno
	errors.As(err, &e)
	return e
}

// Over UDP and TCP the messages are echo messages like those of ICMP, so that one engine knows them all. Whoever echoes
// a message makes its type that of a reply: our own request, if it ever came back, would not pass for one.

// ICMP message types (RFC 792, RFC 4443).
const (
	TypeEchoReplyV4   = 0
	TypeEchoRequestV4 = 8
	TypeEchoRequestV6 = 128
	TypeEchoReplyV6   = 129
)

// HeaderLen is the length of an echo header in bytes: type, code, checksum (2), identifier (2), sequence number (2).
const HeaderLen = 8

// heads are the beginnings of the latest messages, header and nonce, by which our own echo knows them wherever a NAT rule says
// that they come from. The zero value is ready.
type heads struct {
	ring [maxConnects]struct {
		head   [2 * HeaderLen]byte
		length int
	}
	next int
}

func (h *heads) add(msg []byte) {
	x := &h.ring[h.next%len(h.ring)]
	x.length = copy(x.head[:], msg)
	h.next++
}

// has says whether a message begins as one of them.
func (h *heads) has(msg []byte) bool {
	for i := range h.ring[:min(h.next, len(h.ring))] {
		if x := &h.ring[i]; bytes.HasPrefix(msg, x.head[:x.length]) {
			return true
		}
	}
	return false
}

// maxDatagram is room for the data of any datagram.
const maxDatagram = 1 << 16

// maxAttempts bounds each loop over what others send us, such as packets that came before a filter was set.
const maxAttempts = 1024

// makeReply makes the reply of an echo request, in place.
func makeReply(msg []byte) {
	setType(msg, TypeEchoRequestV4, TypeEchoReplyV4, TypeEchoRequestV6, TypeEchoReplyV6)
}

// makeRequest undoes makeReply.
func makeRequest(msg []byte) {
	setType(msg, TypeEchoReplyV4, TypeEchoRequestV4, TypeEchoReplyV6, TypeEchoRequestV6)
}

func setType(msg []byte, from4, to4, from6, to6 byte) {
	switch {
	case len(msg) == 0:
	case msg[0] == from4:
		msg[0] = to4
	case msg[0] == from6:
		msg[0] = to6
	}
}

// errNotReply says that what came back does not begin as the reply must.
var errNotReply = os.NewSyscallError("read", syscall.EPROTO)

// echo sends a request and reads what comes back, which must begin with head, until it is as long as the request. It returns
// the length.
func echo(socket net.Conn, reply, request, head []byte) (n int, err error) {
	if _, err := socket.Write(request); err != nil {
		return 0, err
	}
	for n < len(request) {
		got, err := socket.Read(reply[n:])
		n += got
		if !bytes.HasPrefix(head, reply[:min(n, HeaderLen)]) {
			return n, errNotReply
		}
		if err != nil && n < len(request) {
			return n, err
		}
	}
	return n, nil
}

// serveEcho is the listener's end of a connection. It knows its client by the header of the request, since a NAT rule may change
// where that comes from; whoever sends another is a stranger. It reads a whole request before it writes the reply: so neither
// end ever waits for room while the other does. Then it waits for the client to reset.
func serveEcho(socket net.Conn, msg []byte, recognize func(header) (int, bool)) {
	if _, err := io.ReadFull(socket, msg[:HeaderLen]); err != nil {
		return
	}
	n, ok := recognize(header(msg))
	if !ok {
		return
	}
	if _, err := io.ReadFull(socket, msg[HeaderLen:n]); err != nil {
		return
	}
	makeReply(msg)
	if _, err := socket.Write(msg[:n]); err == nil {
		_, _ = socket.Read(msg[:1])
	}
}
