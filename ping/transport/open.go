package transport

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"syscall"
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

// NotPermitted says that each kind that was tried was refused for lack of permission, or does not exist here. A policy may call
// that what it likes: systemd says EAFNOSUPPORT, others ENOSYS.
func (e *OpenError) NotPermitted() bool {
	for _, err := range e.Unwrap() {
		var call *os.SyscallError
		unsupported := errors.As(err, &call) && call.Syscall == "socket" && slices.ContainsFunc([]error{
			syscall.ENOSYS, syscall.EINVAL, syscall.EAFNOSUPPORT, syscall.ESOCKTNOSUPPORT,
		}, func(e error) bool { return errors.Is(err, e) })
		if !unsupported && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EPROTONOSUPPORT) {
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

// Open opens the socket of c.Proto, or ICMP datagram, ICMP raw, then UDP. c must be valid. The error is an *OpenError.
func Open(c Config) (Conn, Socket, error) { return openAny(c.WithDefaults(), openMethod) }

// opener opens the conn of a method.
type opener func(c Config, method string) (Conn, Socket, error)

// openMethod opens the conn of a method. A new one stands here, in openProto, and among the constants Method and Proto.
func openMethod(c Config, method string) (Conn, Socket, error) {
	descriptors := 4 // two, beside those of the runtime
	if method == MethodUDP {
		descriptors = 3
	}
	if err := Spare(descriptors); err != nil {
		return nil, Socket{}, err
	}
	switch method {
	case MethodUDP:
		return openUDP(c)
	case MethodTCP, MethodHTTP:
		return openTCP(c, method)
	}
	return openICMP(c, method)
}

// openAny is openProto with UDP as the last resort of ProtoAuto, if the system permits no kind of ICMP socket. Then
// Socket.Denied says so.
func openAny(c Config, open opener) (Conn, Socket, error) {
	conn, s, denied := openProto(c, open)
	if denied == nil {
		return conn, s, nil
	}
	if c.Proto != ProtoAuto || c.Socket != SocketAuto || !denied.NotPermitted() {
		return nil, Socket{}, denied
	}
	c.Proto = ProtoUDP
	failure := *denied
	if failure.UDP = c.Validate(); failure.UDP == nil {
		conn, s, failure.UDP = open(c, MethodUDP)
	}
	if failure.UDP != nil {
		return nil, Socket{}, &failure
	}
	s.Denied = denied
	return conn, s, nil
}

// openProto opens the first kind of socket that c allows and the system permits.
func openProto(c Config, open opener) (conn Conn, s Socket, failure *OpenError) {
	said := &OpenError{Address: c.Address}
	for _, try := range []struct {
		method  string
		allowed bool
		err     *error
	}{
		{MethodUDP, c.Proto == ProtoUDP, &said.UDP},
		{MethodTCP, c.Proto == ProtoTCP, &said.TCP},
		{MethodHTTP, c.Proto == ProtoHTTP, &said.TCP},
		{MethodDgram, c.Proto <= ProtoICMP && c.Socket != SocketRaw, &said.Dgram},
		{MethodRaw, c.Proto <= ProtoICMP && c.Socket != SocketDgram, &said.Raw},
	} {
		if !try.allowed {
			continue
		}
		if conn, s, *try.err = open(c, try.method); *try.err == nil {
			return conn, s, nil
		}
	}
	return nil, Socket{}, said
}

// describeSocket describes a socket for c, with an identifier that the system does not choose.
func describeSocket(c Config, method string, port uint16) Socket {
	return Socket{Method: method, Local: c.source(), Ident: uint16(rand.Uint32()), Port: port}
}
