package transport

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Some conns use package net, whose calls wait: goroutines make them, and bring what arrives.

// arrivals is the receiving half of such a conn.
type arrivals struct {
	queue   chan arrival
	free    chan []byte
	woken   chan struct{}
	closed  chan struct{} // closed by Close: nobody reads any more
	workers sync.WaitGroup
	timer   *time.Timer
	room    int
}

// maxArrivals is how many arrivals may wait; more waits in the kernel, with those who bring it.
const maxArrivals = 64

// arrival is what one Recv returns. The packet's message is a buffer of arrivals.
type arrival struct {
	packet Packet
	err    error
}

// prepare makes room for messages of so many bytes.
func (a *arrivals) prepare(room int) {
	a.queue, a.free = make(chan arrival, maxArrivals), make(chan []byte, maxArrivals)
	a.woken, a.closed = make(chan struct{}, 1), make(chan struct{})
	a.timer, a.room = time.NewTimer(time.Hour), room
	a.timer.Stop()
}

// buffer is room for one message.
func (a *arrivals) buffer() []byte {
	select {
	case b := <-a.free:
		return b
	default:
		return make([]byte, a.room)
	}
}

// put hands over what arrived; it waits while the queue is full and reports false if nobody will read it.
func (a *arrivals) put(x arrival) bool {
	select {
	case a.queue <- x:
		return true
	case <-a.closed:
		return false
	}
}

func (a *arrivals) Recv(p *Packet, b []byte, until time.Time) error {
	select {
	case x := <-a.queue:
		return a.take(x, p, b)
	default:
	}
	left := timeLeft(until)
	if left <= 0 {
		return ErrTimeout
	}
	a.timer.Reset(left)
	defer a.timer.Stop()
	select {
	case x := <-a.queue:
		return a.take(x, p, b)
	case <-a.woken:
		return ErrWoken
	case <-a.timer.C:
		return ErrTimeout
	}
}

// take copies a message to b, and its buffer is free again.
func (a *arrivals) take(x arrival, p *Packet, b []byte) error {
	*p = x.packet
	p.Msg = b[:copy(b, x.packet.Msg)]
	a.release(x.packet.Msg)
	return x.err
}

// release makes a buffer free for another message.
func (a *arrivals) release(b []byte) {
	if b == nil {
		return
	}
	select {
	case a.free <- b[:cap(b)]:
	default:
	}
}

// Wake makes a Recv that waits, or else the next one that would wait, return ErrWoken.
func (a *arrivals) Wake() {
	select {
	case a.woken <- struct{}{}:
	default: // a wake is waiting already
	}
}

// networkOf is the name by which package net knows the sockets of c; kind is udp or tcp.
func networkOf(c Config, kind string) string {
	if c.Address.Is6() {
		return kind + "6"
	}
	return kind + "4"
}

// dialerOf sets what c asks for on the sockets of the client.
func dialerOf(c Config) net.Dialer {
	return net.Dialer{Control: func(_, _ string, rc syscall.RawConn) error {
		var err error
		if failed := rc.Control(func(fd uintptr) { err = setClientOptions(int(fd), c) }); failed != nil {
			return failed
		}
		return err
	}}
}

// listenUDP opens a socket on the target's address and a port that the system chooses.
func listenUDP(c Config) (*net.UDPConn, error) {
	return net.ListenUDP(networkOf(c, "udp"), net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.Address, 0)))
}

// onThisHost is an error if the target's address is not one of this host: nothing else would notice in time, if the source is
// another address.
func onThisHost(c Config) error {
	there, err := listenUDP(c)
	if err != nil {
		return err
	}
	return there.Close()
}

// portOf is the port of a local address of package net.
func portOf(a net.Addr) uint16 {
	switch a := a.(type) {
	case *net.UDPAddr:
		return a.AddrPort().Port()
	case *net.TCPAddr:
		return a.AddrPort().Port()
	}
	return 0
}

// endOf is the address of a TCP socket's end.
func endOf(a net.Addr) netip.Addr {
	if a, ok := a.(*net.TCPAddr); ok {
		return a.AddrPort().Addr()
	}
	return netip.Addr{}
}

// sameAddress compares addresses; a system may leave the zone out.
func sameAddress(a, b netip.Addr) bool { return a.Unmap().WithZone("") == b.Unmap().WithZone("") }

// plainError is an error of package net as the system call put it.
func plainError(err error) error {
	if err == nil {
		return nil
	}
	var call *os.SyscallError
	if e := errno(err); e != 0 && errors.As(err, &call) {
		return os.NewSyscallError(call.Syscall, plainErrno(e))
	}
	return err
}

// faultOfNet is what an error of package net means; EAGAIN if the lifetime or the run is over.
func faultOfNet(err error) Fault {
	switch e := plainErrno(errno(err)); {
	case err == nil:
		return Fault{}
	case errors.Is(err, io.EOF):
		return Fault{Errno: syscall.EPIPE}
	case deniable(e):
		return Fault{Errno: e, Call: callOf(err)}
	case e != 0:
		return Fault{Errno: e}
	}
	return Fault{Errno: syscall.EAGAIN}
}

// deniable says that an errno may come from a policy, such as a seccomp filter.
func deniable(e syscall.Errno) bool {
	switch e {
	case syscall.EPERM, syscall.EACCES, syscall.ENOSYS, syscall.EAFNOSUPPORT, syscall.ESOCKTNOSUPPORT, syscall.EPROTONOSUPPORT:
		return true
	}
	return false
}

// callOf is the system call that an error came from; empty if that is not known.
func callOf(err error) string {
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		return call.Syscall
	}
	return ""
}

// without is a list without one of its elements.
func without[T comparable](list []T, x T) []T {
	if i := slices.Index(list, x); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}
