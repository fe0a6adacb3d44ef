package transport

import (
	"errors"
	"net/netip"
	"syscall"
	"time"
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

// Packet is what Recv read.
type Packet struct {
	// Msg is the echo message, or the start of our own request if Fault is set.
	Msg  []byte
	From netip.Addr
	// TTL is 0 if the system did not tell.
	TTL int
	// At is when the read returned; the zero time if the conn leaves that to its caller.
	At time.Time
	// RTT is the round trip as the conn measured it, from a better start or with a better clock than its caller has;
	// 0 if it did not.
	RTT time.Duration
	// Connect is the part of RTT until the TCP handshake was done; 0 if there was none, or nothing after it.
	Connect time.Duration
	// Kernel is when it arrived by the kernel's stamp: the wall clock in ns since 1970; 0 if there is none.
	Kernel int64
	// Fault is set (Errno is not 0) if this is a report about a message of ours.
	Fault Fault
	// Opaque is set if this names no message of ours: Msg is what a service said in its own words, or Fault is all there
	// is.
	Opaque bool
}

// Fault is why a message could not be delivered.
type Fault struct {
	// Errno is the system's error number: from send or connect, or the one that it derives from an ICMP error.
	Errno syscall.Errno
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
