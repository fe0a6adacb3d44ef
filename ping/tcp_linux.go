package ping

import (
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// admitBacklog is how many connections may wait for a listener that wants only one: strangers may be faster.
const admitBacklog = 16

// streamConn carries echo messages over one TCP connection. The far end is ours too, and works in the thread of the
// run: no scheduler stands between a request and its reply.
type streamConn struct {
	waiter
	stream
	sock   Socket
	target netip.Addr
	fd     int
	// listener waits for the client, whose address is known; then it is closed and far is the other end.
	listener, far int
	client        netip.AddrPort
	// echo is what the far end has read and not yet written; echoed is where in a message that is.
	echo   []byte
	buf    []byte
	echoed int
}

// listenTCP opens the conn of MethodTCP. On loopback the connection stands when it returns; where it does not, the
// first probes find out why.
func listenTCP(c Config) (conn, error) {
	w, err := newWaiter()
	if err != nil {
		return nil, err
	}
	sc := &streamConn{waiter: w, stream: newStream(c), target: c.Address, fd: -1, listener: -1, far: -1}
	sc.buf = make([]byte, headerLen+c.Size)
	if err := sc.open(c); err != nil {
		sc.close()
		return nil, err
	}
	sc.admit()
	return sc, nil
}

// open makes both sockets and starts to connect them.
func (sc *streamConn) open(c Config) (err error) {
	if sc.listener, err = openListener(c, admitBacklog); err != nil {
		return err
	}
	remote, err := localAddress(sc.listener)
	if err != nil {
		return err
	}
	sc.sock = echoSocket(c, remote.Port())
	sc.fd, err = bindSocket(unix.SOCK_STREAM, netip.AddrPortFrom(source(c), 0), func(fd int) error {
		if err := setStreamOptions(fd); err != nil {
			return err
		}
		_ = setReports(fd, c.Address.Is6(), true) // a run can do without
		return setClientOptions(fd, c)
	})
	if err != nil {
		return err
	}
	if sc.client, err = localAddress(sc.fd); err != nil {
		return err
	}
	to, err := rawAddress(netip.AddrPortFrom(c.Address, remote.Port()))
	if err != nil {
		return err
	}
	if e := to.connect(sc.fd); e != 0 && e != unix.EINPROGRESS {
		sc.end(Fault{Errno: e}) // every probe will say so
		sc.closeSockets()
	}
	return nil
}

// openListener opens a listener on the target's address and a port that the system chooses.
func openListener(c Config, backlog int) (int, error) {
	fd, err := bindSocket(unix.SOCK_STREAM, netip.AddrPortFrom(c.Address, 0), noOptions)
	if err != nil {
		return -1, err
	}
	if err := unix.Listen(fd, backlog); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("listen", err)
	}
	return fd, nil
}

// setStreamOptions sends each message at once, and closes with a reset: no port stays taken by TIME_WAIT.
func setStreamOptions(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return os.NewSyscallError("setsockopt TCP_NODELAY", err)
	}
	return setReset(fd)
}

// setReset makes close end a connection at once (socket(7), SO_LINGER).
func setReset(fd int) error {
	err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	return os.NewSyscallError("setsockopt SO_LINGER", err)
}

func (sc *streamConn) send(msg []byte) error {
	if e := sc.accept(msg); e != 0 {
		return os.NewSyscallError("send", e)
	}
	sc.move()
	return nil
}

func (sc *streamConn) recv(p *packet, b []byte, until time.Time) error {
	for {
		if got, ok := sc.next(b); ok {
			*p = got
			p.from = sc.target
			return nil
		}
		if sc.fill() || sc.move() {
			continue
		}
		if err := sc.await(until); err != nil {
			return err
		}
	}
}

// await waits for what moves something.
func (sc *streamConn) await(until time.Time) error {
	left := timeLeft(until)
	if left <= 0 {
		return errTimeout
	}
	if sc.over() {
		sc.closeSockets() // nothing they say matters any more
	}
	sc.watch()
	events := int16(unix.POLLIN)
	if len(sc.unsent) > 0 {
		events |= unix.POLLOUT
	}
	own := sc.add(sc.fd, events)
	events = unix.POLLIN
	if len(sc.echo) > 0 {
		events = unix.POLLOUT
	}
	sc.add(sc.far, events)
	sc.add(sc.listener, unix.POLLIN)
	if err := sc.wait(left); err != nil {
		return err
	}
	if sc.polled[own].Revents&unix.POLLERR != 0 {
		if f := socketFault(sc.fd); f.Errno != 0 {
			sc.giveUp(f)
		}
	}
	return nil
}

// move lets the far end in, writes what is to be written, and echoes what is there. It says whether anything moved.
func (sc *streamConn) move() bool {
	moved := sc.listener >= 0 && sc.admit()
	moved = sc.flush() || moved
	return sc.turnAround() || moved
}

// admit accepts the client, and turns away whoever else found the port.
func (sc *streamConn) admit() bool {
	for range admitBacklog {
		fd, peer, err := unix.Accept4(sc.listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		switch e := errno(err); {
		case idle(e) || e == unix.ECONNABORTED:
			return false
		case e != 0:
			sc.giveUp(Fault{Errno: e})
			return true
		case addrPortOf(peer) != sc.client:
			unix.Close(fd)
			continue
		}
		// Without the options an echo comes later. What stands outlives an ICMP error (RFC 5461).
		_ = setStreamOptions(fd)
		_ = setReports(sc.fd, sc.client.Addr().Is6(), false)
		sc.far = fd
		closeAll(sc.listener)
		sc.listener = -1
		return true
	}
	return false
}

// flush writes to the far end.
func (sc *streamConn) flush() bool {
	if len(sc.unsent) == 0 {
		return false
	}
	n, e := sendBytes(sc.fd, sc.unsent)
	switch {
	case idle(e):
		return false
	case e != 0:
		sc.giveUp(Fault{Errno: e})
	default:
		sc.wrote(n)
	}
	return true
}

// fill reads from the far end.
func (sc *streamConn) fill() bool {
	if sc.over() {
		return false
	}
	n, e := recvBytes(sc.fd, sc.room())
	switch {
	case idle(e):
		return false
	case e != 0 || n == 0:
		sc.end(faultOfRead(e))
	default:
		sc.read(n)
	}
	if sc.over() {
		sc.closeSockets()
	}
	return true
}

// faultOfRead is why a read brought nothing: its errno, or the end of the stream.
func faultOfRead(e syscall.Errno) Fault {
	if e == 0 {
		e = unix.EPIPE
	}
	return Fault{Errno: e}
}

// turnAround is the far end: it reads and writes once, as much as it can. What it reads after a whole message can wait.
func (sc *streamConn) turnAround() bool {
	if sc.far < 0 {
		return false
	}
	if len(sc.echo) == 0 {
		n, e := recvBytes(sc.far, sc.buf)
		switch {
		case idle(e):
			return false
		case e != 0 || n == 0:
			sc.giveUp(faultOfRead(e))
			return true
		}
		sc.echo = sc.buf[:n]
		sc.mark()
	}
	n, e := sendBytes(sc.far, sc.echo)
	switch {
	case idle(e):
		return false
	case e != 0:
		sc.giveUp(Fault{Errno: e})
	default:
		sc.echo = sc.echo[n:]
	}
	return true
}

// mark makes replies of the requests that begin in echo.
func (sc *streamConn) mark() {
	length := len(sc.in)
	for i := (length - sc.echoed) % length; i < len(sc.echo); i += length {
		sc.echo[i] ^= sc.turn
	}
	sc.echoed = (sc.echoed + len(sc.echo)) % length
}

// giveUp ends the connection: nothing is written any more. What has come is still read, and then the end.
func (sc *streamConn) giveUp(f Fault) {
	sc.fail(f)
	unix.Shutdown(sc.fd, unix.SHUT_RDWR)
	closeAll(sc.far, sc.listener)
	sc.far, sc.listener = -1, -1
}

func (sc *streamConn) closeSockets() {
	closeAll(sc.fd, sc.far, sc.listener)
	sc.fd, sc.far, sc.listener = -1, -1, -1
}

func (sc *streamConn) socket() Socket { return sc.sock }

func (sc *streamConn) close() error {
	sc.closeSockets()
	closeAll(sc.wakeFD)
	return nil
}
