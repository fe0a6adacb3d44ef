package ping

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// udpEcho is the far end of a run over UDP: a socket on the target's address that sends back what the client's
// socket sent. It works in the thread of the run, so that no scheduler stands between a request and its reply.
type udpEcho struct {
	fd int
	// turn makes the type of a request that of a reply.
	turn byte
	buf  []byte
	// latest is the length of the latest datagram; it still stands in buf, as it was sent back.
	latest int
}

// listenUDP opens the conn of MethodUDP.
func listenUDP(c Config) (conn, error) {
	if c.Port != 0 {
		return dialService(c)
	}
	fd, err := bindSocket(unix.SOCK_DGRAM, netip.AddrPortFrom(c.Address, 0), noOptions)
	if err != nil {
		return nil, err
	}
	local, err := localAddress(fd)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	lc, err := dialUDP(c, local.Port())
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	lc.echo = &udpEcho{fd: fd, turn: turnOf(c), buf: make([]byte, maxDatagram)}
	if err := lc.pair(); err != nil {
		lc.close()
		return nil, err
	}
	return lc, nil
}

// dialService opens the conn to a service that is not ours.
func dialService(c Config) (conn, error) {
	if err := onThisHost(c, unix.SOCK_DGRAM); err != nil {
		return nil, err
	}
	lc, err := dialUDP(c, c.Port)
	if err != nil {
		return nil, err
	}
	lc.opaque = true
	return lc, nil
}

// onThisHost is an error where the target's address is not one of this host. Where the source is another address
// nothing else would notice.
func onThisHost(c Config, typ int) error {
	if source(c) == c.Address {
		return nil
	}
	fd, err := bindSocket(typ, netip.AddrPortFrom(c.Address, 0), noOptions)
	closeAll(fd)
	return err
}

// dialUDP opens the client's socket, connected to a port of the target.
func dialUDP(c Config, port uint16) (*linuxConn, error) {
	options := func(fd int) error { return setDatagramOptions(fd, c) }
	at := netip.AddrPortFrom(source(c), 0)
	fd, err := bindSocket(unix.SOCK_DGRAM, at, options)
	if err != nil {
		return nil, err
	}
	if local, err := localAddress(fd); err == nil && local.Port() == port && at.Addr() == c.Address {
		// The system chose the very port that is asked for, and a socket would answer itself.
		self := fd
		fd, err = bindSocket(unix.SOCK_DGRAM, at, options)
		unix.Close(self)
		if err != nil {
			return nil, err
		}
	}
	return newLinuxConn(fd, c, echoSocket(c, port))
}

// setDatagramOptions also asks for the TTL of answers and for what is reported about probes. A run can do without both.
func setDatagramOptions(fd int, c Config) error {
	level, hops := unix.IPPROTO_IP, unix.IP_RECVTTL
	if c.Address.Is6() {
		level, hops = unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT
	}
	if !c.NoTTL {
		_ = unix.SetsockoptInt(fd, level, hops, 1)
	}
	_ = setReports(fd, c.Address.Is6(), true)
	return setClientOptions(fd, c)
}

// pair connects the echo's socket to the client's, so that the kernel lets nothing in from elsewhere, and throws away
// what came before. Where connect is refused no echo will leave, and says so.
func (lc *linuxConn) pair() error {
	client, err := localAddress(lc.fd)
	if err != nil {
		return err
	}
	to, err := rawAddress(netip.AddrPortFrom(lc.sock.Local, client.Port()))
	if err != nil {
		return err
	}
	_ = to.connect(lc.echo.fd)
	for range maxDrain {
		if _, e := recvBytes(lc.echo.fd, lc.echo.buf); idle(e) {
			break
		}
	}
	return nil
}

// turn sends back one datagram, if one waits at the far end, and says whether there was one. While a report waits it
// does nothing, so that no report takes another's place.
func (lc *linuxConn) turn() bool {
	e := lc.echo
	if lc.report.fault.Errno != 0 {
		return false
	}
	n, errno := recvBytes(e.fd, e.buf)
	switch {
	case idle(errno):
		return false
	case errno != 0: // this is about the latest echo: a firewall refused it on its way back
		lc.blame(errno)
		return true
	case n == 0:
		return true
	}
	e.latest = n
	e.buf[0] ^= e.turn
	if _, errno := sendBytes(e.fd, e.buf[:n]); errno != 0 {
		lc.blame(errno)
	}
	return true
}

// blame reports an error of the latest echo as one of its request.
func (lc *linuxConn) blame(e syscall.Errno) {
	request := lc.reportBuf[:copy(lc.reportBuf[:], lc.echo.buf[:lc.echo.latest])]
	if len(request) > 0 {
		request[0] ^= lc.echo.turn
		lc.report = packet{msg: request, from: lc.target, fault: Fault{Errno: e}}
	}
}
