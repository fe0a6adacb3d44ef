package ping

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"syscall"
	"time"
)

var (
	errTimeout = errors.New("nothing arrived in time")
	errWoken   = errors.New("woken")
)

// conn carries the messages of one run. It is used by one goroutine; only wake may be called from another.
type conn interface {
	// send hands one ICMP message to the kernel.
	send(msg []byte) error
	// recv reads one message into b, or one report of the kernel about a message sent earlier. It waits until the
	// given time; the zero time means not at all. It returns errTimeout, errWoken, or what the system said.
	recv(b []byte, until time.Time) (packet, error)
	// wake makes a recv that waits, or else the next one that would, return errWoken.
	wake()
	socket() Socket
	close() error
}

// dropCounter is a conn that knows how often the queue of its socket was full.
type dropCounter interface {
	drops() (n uint64, ok bool)
}

// packet is what recv read.
type packet struct {
	// msg is the ICMP message, or the start of our own request where fault is set.
	msg  []byte
	from netip.Addr
	// ttl is 0 where the system did not tell.
	ttl int
	// at is when the read returned; the zero time where the conn leaves that to its caller.
	at time.Time
	// rtt is the round trip as the conn measured it, with a better clock than ours; 0 where it did not.
	rtt time.Duration
	// kernel is when it arrived, or left, by the kernel's stamp: the wall clock in ns since 1970; 0 where there is none.
	kernel int64
	// fault is set (Errno is not 0) where this is a report about a message of ours.
	fault Fault
}

// Socket is what Open found.
type Socket struct {
	// Method is icmp-dgram or icmp-raw.
	Method string
	// Local is the address that the socket is bound to.
	Local netip.Addr
	// Ident is the echo identifier.
	Ident uint16
	// Stamps says that RTTs end with the kernel's receive stamp, where the wall clock allows it.
	Stamps bool
	// Sum says that the checksum of requests is not computed by the kernel.
	Sum bool
}

// Methods of Socket.
const (
	MethodDgram = "icmp-dgram"
	MethodRaw   = "icmp-raw"
)

// OpenError is why no ICMP socket could be had: what the system said to each kind that was tried.
type OpenError struct {
	Address netip.Addr
	// Dgram and Raw are nil for a kind that was not tried.
	Dgram, Raw error
}

func (e *OpenError) Error() string {
	switch {
	case e.Raw == nil:
		return fmt.Sprintf("no ICMP socket on %v: datagram: %v", e.Address, e.Dgram)
	case e.Dgram == nil:
		return fmt.Sprintf("no ICMP socket on %v: raw: %v", e.Address, e.Raw)
	}
	return fmt.Sprintf("no ICMP socket on %v: datagram: %v; raw: %v", e.Address, e.Dgram, e.Raw)
}

// Unwrap gives both errors to errors.Is and errors.As.
func (e *OpenError) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Dgram, e.Raw} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// NotPermitted says that each kind that was tried was refused for lack of permission, or does not exist here.
func (e *OpenError) NotPermitted() bool {
	for _, err := range e.Unwrap() {
		if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EPROTONOSUPPORT) {
			return false
		}
	}
	return true
}

// NoAddress says that a socket was refused because the address, its family or its interface is not there: what is
// wrong is the loopback itself, not what this process may do.
func (e *OpenError) NoAddress() bool {
	for _, absent := range []syscall.Errno{
		syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EHOSTUNREACH, syscall.ENODEV,
	} {
		if errors.Is(e, absent) {
			return true
		}
	}
	return false
}

// openConn opens the first kind of socket that c allows and the system permits.
func openConn(c Config, listen func(Config, string) (conn, error)) (conn, error) {
	failure := &OpenError{Address: c.Address}
	if c.Socket != SocketRaw {
		cn, err := listen(c, MethodDgram)
		if err == nil {
			return cn, nil
		}
		failure.Dgram = err
	}
	if c.Socket != SocketDgram {
		cn, err := listen(c, MethodRaw)
		if err == nil {
			return cn, nil
		}
		failure.Raw = err
	}
	return nil, failure
}
