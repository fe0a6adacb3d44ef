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
	// recv reads one message into b, or one report of the kernel about a message sent earlier, and sets p, which is
	// large, to what it was. It waits until the given time; the zero time means not at all. It returns errTimeout,
	// errWoken, or what the system said.
	recv(p *packet, b []byte, until time.Time) error
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
	// opaque is set where this names no probe: msg is what a service said in its own words, or fault is all there is.
	opaque bool
}

// Socket is what Open found.
type Socket struct {
	// Method is one of those below.
	Method string
	// Local is the address that the socket is bound to.
	Local netip.Addr
	// Ident is the echo identifier.
	Ident uint16
	// Stamps says that RTTs end with the kernel's receive stamp, where the wall clock allows it.
	Stamps bool
	// Sum says that the checksum of requests is not computed by the kernel.
	Sum bool
	// Port is where probes over UDP and TCP go; 0 for ICMP.
	Port uint16
	// Denied is set where ProtoAuto fell back to UDP: what the system said to each kind of ICMP socket.
	Denied *OpenError
}

// Methods of Socket.
const (
	MethodDgram   = "icmp-dgram"
	MethodRaw     = "icmp-raw"
	MethodUDP     = "udp"
	MethodTCP     = "tcp"         // one connection
	MethodConnect = "tcp-connect" // a connection a probe
)

// OpenError is why no socket could be had: what the system said to each kind that was tried.
type OpenError struct {
	Address netip.Addr
	// Dgram, Raw, UDP and TCP are nil for a kind that was not tried.
	Dgram, Raw, UDP, TCP error
}

func (e *OpenError) Error() string {
	what := "socket"
	if e.UDP == nil && e.TCP == nil {
		what = "ICMP socket"
	}
	text := fmt.Sprintf("no %s on %v", what, e.Address)
	separator := ": "
	for _, k := range e.kinds() {
		if k.err != nil {
			text += separator + k.name + ": " + k.err.Error()
			separator = "; "
		}
	}
	return text
}

// openKind is a kind of socket and what the system said to it.
type openKind struct {
	name string
	err  error
}

func (e *OpenError) kinds() [4]openKind {
	return [4]openKind{{"datagram", e.Dgram}, {"raw", e.Raw}, {"UDP", e.UDP}, {"TCP", e.TCP}}
}

// Unwrap gives every error to errors.Is and errors.As.
func (e *OpenError) Unwrap() []error {
	var errs []error
	for _, k := range e.kinds() {
		if k.err != nil {
			errs = append(errs, k.err)
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

// NoPort says that every port which the system gives to sockets without one of their own is taken.
func (e *OpenError) NoPort() bool {
	return errors.Is(e.UDP, syscall.EADDRINUSE) || errors.Is(e.TCP, syscall.EADDRINUSE)
}

// listenOn opens the conn of a method.
func listenOn(c Config, method string) (conn, error) {
	switch method {
	case MethodUDP:
		return listenUDP(c)
	case MethodTCP:
		return listenTCP(c)
	case MethodConnect:
		return listenConnect(c)
	}
	return listen(c, method)
}

// openAuto is openConn with UDP as the last resort of ProtoAuto, where the system permits no kind of ICMP socket.
// denied says so then.
func openAuto(c Config, listen func(Config, string) (conn, error)) (cn conn, denied *OpenError, err error) {
	cn, err = openConn(c, listen)
	if c.Proto != ProtoAuto || c.Socket != SocketAuto || !errors.As(err, &denied) || !denied.NotPermitted() {
		return cn, nil, err
	}
	c.Proto = ProtoUDP
	failure := *denied
	if failure.UDP = c.Validate(); failure.UDP == nil {
		cn, failure.UDP = listen(c, MethodUDP)
	}
	if failure.UDP != nil {
		return nil, nil, &failure
	}
	return cn, denied, nil
}

// openConn opens the first kind of socket that c allows and the system permits.
func openConn(c Config, listen func(Config, string) (conn, error)) (cn conn, err error) {
	failure := &OpenError{Address: c.Address}
	switch method := c.method(); method {
	case MethodUDP:
		cn, failure.UDP = listen(c, method)
	case MethodTCP, MethodConnect:
		cn, failure.TCP = listen(c, method)
	default:
		cn = openICMP(c, listen, failure)
	}
	if cn == nil {
		return nil, failure
	}
	return cn, nil
}

// openICMP tries datagram, then raw, and notes in failure what the system said to each; nil where neither works.
func openICMP(c Config, listen func(Config, string) (conn, error), failure *OpenError) (cn conn) {
	if c.Socket != SocketRaw {
		if cn, failure.Dgram = listen(c, MethodDgram); failure.Dgram == nil {
			return cn
		}
	}
	if c.Socket != SocketDgram {
		if cn, failure.Raw = listen(c, MethodRaw); failure.Raw == nil {
			return cn
		}
	}
	return nil
}
