package ping

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// maxDatagram is room for the data of any datagram.
const maxDatagram = 1 << 16

// udpConn is the portable conn of MethodUDP. One goroutine reads the client's socket, another is the echo.
type udpConn struct {
	mailbox
	sock   Socket
	target netip.Addr
	client *net.UDPConn
	// echo is nil where a service answers.
	echo *net.UDPConn
	turn byte
}

// openUDP opens the sockets of a udpConn and starts its goroutines.
func openUDP(c Config) (conn, error) {
	uc := &udpConn{target: c.Address, turn: turnOf(c)}
	uc.init(arrivalRoom(c))
	if err := uc.open(c); err != nil {
		uc.close()
		return nil, plainError(err)
	}
	uc.workers.Go(uc.receive)
	if uc.echo != nil {
		uc.workers.Go(uc.serve)
	}
	return uc, nil
}

func (uc *udpConn) open(c Config) (err error) {
	port := c.Port
	if port != 0 {
		err = netOnThisHost(c)
	} else if uc.echo, err = listenNetUDP(c); err == nil {
		port = portOf(uc.echo.LocalAddr())
	}
	if err != nil {
		return err
	}
	uc.sock = echoSocket(c, port)
	if uc.client, err = dialNetUDP(c, port); err == nil && portOf(uc.client.LocalAddr()) == port && source(c) == c.Address {
		// The system chose the very port that is asked for, and a socket would answer itself.
		self := uc.client
		uc.client, err = dialNetUDP(c, port)
		self.Close()
	}
	if err == nil && headerLen+c.Size > smallDatagram {
		uc.enlarge(headerLen + c.Size)
	}
	if err == nil {
		err = wantUntaken(uc.client)
	}
	return err
}

// smallDatagram is what every system sends without being asked to (macOS and FreeBSD: net.inet.udp.maxdgram).
const smallDatagram = 9000

// enlarge makes room for a few datagrams of n bytes. A system that refuses will say so when they are sent.
func (uc *udpConn) enlarge(n int) {
	for _, socket := range []*net.UDPConn{uc.client, uc.echo} {
		if socket != nil {
			_ = socket.SetWriteBuffer(4 * n)
			_ = socket.SetReadBuffer(4 * n)
		}
	}
}

// listenNetUDP opens a socket on the target's address and a port that the system chooses.
func listenNetUDP(c Config) (*net.UDPConn, error) {
	return net.ListenUDP(netNetwork(c, "udp"), net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.Address, 0)))
}

// dialNetUDP opens the client's socket, connected to a port of the target.
func dialNetUDP(c Config, port uint16) (*net.UDPConn, error) {
	d := netDialer(c)
	from, to := netip.AddrPortFrom(source(c), 0), netip.AddrPortFrom(c.Address, port)
	return d.DialUDP(context.Background(), netNetwork(c, "udp"), from, to)
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

func (uc *udpConn) send(msg []byte) error {
	_, err := uc.client.Write(msg)
	if e := untaken(err); e != 0 { // the system refuses a send to report on the one before it
		select {
		case uc.arrived <- uc.report():
		default: // the run has enough to read
		}
		_, err = uc.client.Write(msg)
	}
	return plainError(err)
}

// untaken is ECONNREFUSED where err says that nobody took a datagram. Windows calls it a reset.
func untaken(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	switch plainErrno(errno(err)) {
	case syscall.ECONNREFUSED, syscall.ECONNRESET:
		return syscall.ECONNREFUSED
	}
	return 0
}

// report is the letter that nobody took a request; the system does not say which.
func (uc *udpConn) report() letter {
	return letter{packet: packet{from: uc.target, opaque: true, fault: Fault{Errno: syscall.ECONNREFUSED}}}
}

// receive reads the client's socket.
func (uc *udpConn) receive() {
	for {
		b := uc.buffer()
		n, err := uc.client.Read(b)
		l := letter{
			packet: packet{msg: b[:n], from: uc.target, opaque: uc.echo == nil},
			err:    plainError(err),
		}
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case untaken(err) != 0:
			uc.release(b)
			l = uc.report()
		}
		if !uc.put(l) {
			return
		}
	}
}

// serve echoes what the client sends, and nothing that comes from elsewhere.
func (uc *udpConn) serve() {
	client := uc.client.LocalAddr().(*net.UDPAddr).AddrPort()
	b := make([]byte, maxDatagram)
	for failed := 0; failed < maxReadErrors; {
		n, from, err := uc.echo.ReadFromUDPAddrPort(b)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			failed++
			continue
		}
		failed = 0
		if n > 0 && from.Port() == client.Port() && sameHost(from.Addr(), client.Addr()) {
			b[0] ^= uc.turn
			_, _ = uc.echo.WriteToUDPAddrPort(b[:n], from) // what does not leave is a probe without an answer
		}
	}
}

func (uc *udpConn) socket() Socket { return uc.sock }

func (uc *udpConn) close() error {
	close(uc.done)
	for _, socket := range []*net.UDPConn{uc.client, uc.echo} {
		if socket != nil {
			socket.Close()
		}
	}
	uc.workers.Wait()
	return nil
}
