package ping

import (
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// connectConn makes a TCP connection of every probe. The end of its handshake is the reply; no data follows.
type connectConn struct {
	waiter
	config Config
	sock   Socket
	turn   byte
	// listener is our own; -1 where a service listens.
	listener int
	from, to *rawAddr
	// failed is why the listener takes no connection any more; 0 while it does.
	failed syscall.Errno
	// underway are the connections without an outcome, the oldest first.
	underway []handshake
}

// handshake is a connection under way.
type handshake struct {
	fd    int
	head  head
	start time.Time
}

// listenConnect opens the conn of MethodConnect.
func listenConnect(c Config) (conn, error) {
	w, err := newWaiter()
	if err != nil {
		return nil, err
	}
	cc := &connectConn{waiter: w, config: c, turn: turnOf(c), listener: -1, underway: make([]handshake, 0, maxConnects)}
	if err := cc.open(c); err != nil {
		cc.close()
		return nil, err
	}
	return cc, nil
}

func (cc *connectConn) open(c Config) (err error) {
	port := c.Port
	if port == 0 {
		if cc.listener, err = openListener(c, maxConnects); err != nil {
			return err
		}
		local, err := localAddress(cc.listener)
		if err != nil {
			return err
		}
		port = local.Port()
	} else if err := onThisHost(c, unix.SOCK_STREAM); err != nil {
		return err
	}
	cc.sock = echoSocket(c, port)
	if cc.from, err = rawAddress(netip.AddrPortFrom(source(c), 0)); err != nil {
		return err
	}
	if cc.to, err = rawAddress(netip.AddrPortFrom(c.Address, port)); err != nil {
		return err
	}
	fd, err := cc.newSocket() // what no probe could do is found out now
	closeAll(fd)
	return err
}

// newSocket is a socket bound to the source without a port: connect chooses one that is free for its target
// (ip(7), IP_BIND_ADDRESS_NO_PORT), and close gives it back at once.
func (cc *connectConn) newSocket() (int, error) {
	fd, err := newSocket(unix.SOCK_STREAM, cc.from)
	if err != nil {
		return -1, err
	}
	if err = cc.prepare(fd); err == nil {
		err = cc.from.bind(fd)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (cc *connectConn) prepare(fd int) error {
	// Where the system has no such options bind chooses the port, and a firewall's refusal is known by its errno alone.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	_ = setReports(fd, cc.config.Address.Is6(), true)
	if err := setReset(fd); err != nil {
		return err
	}
	return setClientOptions(fd, cc.config)
}

func (cc *connectConn) send(msg []byte) error {
	if cc.failed != 0 {
		return os.NewSyscallError("accept4", cc.failed)
	}
	if len(cc.underway) == maxConnects && !cc.abandon() {
		return os.NewSyscallError("connect", unix.EAGAIN)
	}
	fd, err := cc.newSocket()
	if err != nil {
		return err
	}
	a := handshake{fd: fd, head: headOf(msg), start: time.Now()}
	if e := cc.to.connect(fd); e != 0 && e != unix.EINPROGRESS {
		unix.Close(fd)
		return os.NewSyscallError("connect", e)
	}
	cc.underway = append(cc.underway, a)
	return nil
}

// abandon makes room by giving up the oldest connection, if the timeout of its probe is over.
func (cc *connectConn) abandon() bool {
	if time.Since(cc.underway[0].start) < cc.config.Timeout {
		return false
	}
	unix.Close(cc.take(0).fd)
	return true
}

// take takes a connection off the list.
func (cc *connectConn) take(i int) handshake {
	a := cc.underway[i]
	cc.underway = append(cc.underway[:i], cc.underway[i+1:]...)
	return a
}

func (cc *connectConn) recv(p *packet, b []byte, until time.Time) error {
	for {
		cc.watch()
		if cc.failed == 0 {
			cc.add(cc.listener, unix.POLLIN)
		} else {
			cc.add(-1, 0)
		}
		first := len(cc.polled)
		for _, a := range cc.underway {
			cc.add(a.fd, unix.POLLOUT)
		}
		if err := cc.wait(timeLeft(until)); err != nil {
			return err
		}
		now := time.Now()
		cc.turnAway()
		for i, polled := range cc.polled[first:] {
			if got, ok := cc.outcome(i, polled.Revents, b); ok {
				*p = got
				p.at, p.rtt = now, now.Sub(got.at)
				return nil
			}
		}
		if timeLeft(until) <= 0 { // what came was for the listener
			return errTimeout
		}
	}
}

// outcome is what became of a connection, once that is known, with the time when it began.
func (cc *connectConn) outcome(i int, events int16, b []byte) (p packet, ok bool) {
	if events == 0 {
		return packet{}, false
	}
	fd := cc.underway[i].fd
	f := cc.faultOf(fd, events)
	if f.Errno == 0 && events&unix.POLLOUT == 0 {
		return packet{}, false
	}
	a := cc.take(i)
	unix.Close(fd)
	p = packet{from: cc.config.Address, at: a.start, fault: f}
	if f.Errno != 0 {
		p.msg = a.head.put(b, 0)
	} else {
		p.msg = a.head.put(b, cc.turn)
	}
	return p, true
}

// faultOf is why a connection does not stand; its Errno is 0 where it does, or where that is not known yet.
func (cc *connectConn) faultOf(fd int, events int16) Fault {
	switch {
	case events&(unix.POLLERR|unix.POLLHUP) != 0:
		return socketFault(fd)
	case cc.listener < 0 && cc.selfConnected(fd):
		return Fault{Errno: unix.ECONNREFUSED}
	}
	return Fault{}
}

// selfConnected says that a socket is its own peer: the system chose the very port that is asked for, and nobody
// listens there (RFC 9293, section 3.5: simultaneous open).
func (cc *connectConn) selfConnected(fd int) bool {
	var local unix.RawSockaddrAny
	length := uint32(unsafe.Sizeof(local))
	_, _, e := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&local)),
		uintptr(unsafe.Pointer(&length)))
	return e == 0 && sameSocket(&local, &cc.to.sa)
}

// sameSocket compares address and port.
func sameSocket(a, b *unix.RawSockaddrAny) bool {
	if a.Addr.Family == unix.AF_INET {
		x, y := (*unix.RawSockaddrInet4)(unsafe.Pointer(a)), (*unix.RawSockaddrInet4)(unsafe.Pointer(b))
		return x.Port == y.Port && x.Addr == y.Addr
	}
	x, y := (*unix.RawSockaddrInet6)(unsafe.Pointer(a)), (*unix.RawSockaddrInet6)(unsafe.Pointer(b))
	return x.Port == y.Port && x.Addr == y.Addr
}

// turnAway takes what waits at our own listener, so that there is room for more, and closes it.
func (cc *connectConn) turnAway() {
	if cc.polled[1].Revents == 0 {
		return
	}
	for range maxConnects {
		fd, _, e := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(cc.listener), 0, 0, unix.SOCK_CLOEXEC, 0, 0)
		switch {
		case idle(e) || e == unix.ECONNABORTED:
			return
		case e != 0:
			cc.failed = e
			return
		}
		unix.Close(int(fd))
	}
}

func (cc *connectConn) socket() Socket { return cc.sock }

func (cc *connectConn) close() error {
	for _, a := range cc.underway {
		unix.Close(a.fd)
	}
	closeAll(cc.listener, cc.wakeFD)
	return nil
}
