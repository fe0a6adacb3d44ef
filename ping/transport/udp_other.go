//go:build !linux || portable

package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// udpConn carries echo messages over UDP. One goroutine reads the client's socket, another is the far end.
type udpConn struct {
	arrivals
	target netip.Addr
	config Config
	client *net.UDPConn
	// echo is the far end; nil if a service answers.
	echo *net.UDPConn

	// mu guards what follows.
	mu sync.Mutex
	// sent are the messages that the far end knows; rewritten is where they seem to come from, if that is not the client's
	// address.
	sent      heads
	rewritten netip.Addr
}

func openUDP(c Config) (Conn, Socket, error) {
	uc := &udpConn{target: c.Address, config: c}
	uc.prepare(maxDatagram)
	port, err := uc.open(c)
	if err != nil {
		uc.Close()
		return nil, Socket{}, plainError(err)
	}
	uc.workers.Go(uc.receive)
	if uc.echo != nil {
		uc.workers.Go(uc.sendBack)
	}
	return uc, describeSocket(c, MethodUDP, port), nil
}

func (uc *udpConn) open(c Config) (port uint16, err error) {
	if port = c.Port; port != 0 {
		err = onThisHost(c)
	} else if uc.echo, err = listenUDP(c); err == nil {
		port = portOf(uc.echo.LocalAddr())
	}
	if err != nil {
		return 0, err
	}
	if uc.client, err = dialUDP(c, port); err == nil && portOf(uc.client.LocalAddr()) == port && c.source() == c.Address {
		// The system chose the very port that is asked for, and a socket would answer itself.
		self := uc.client
		uc.client, err = dialUDP(c, port)
		self.Close()
	}
	if err == nil && HeaderLen+c.Size > smallDatagram {
		uc.enlarge(HeaderLen + c.Size)
	}
	if err == nil {
		err = wantUntaken(uc.client)
	}
	return port, err
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

// recognize says whether a message is ours, wherever a NAT rule says that it comes from.
func (uc *udpConn) recognize(msg []byte, from netip.Addr) bool {
	uc.mu.Lock()
	defer uc.mu.Unlock()
	ours := uc.sent.has(msg)
	if ours && !sameAddress(from, uc.client.LocalAddr().(*net.UDPAddr).AddrPort().Addr()) {
		uc.rewritten = from.Unmap()
	}
	return ours
}

// Rewritten is the address that our messages come from, if it is not the one that they were sent from.
func (uc *udpConn) Rewritten() netip.Addr {
	uc.mu.Lock()
	defer uc.mu.Unlock()
	return uc.rewritten
}

func (uc *udpConn) Send(msg []byte) error {
	if uc.echo != nil {
		uc.mu.Lock()
		uc.sent.add(msg)
		uc.mu.Unlock()
	}
	_, err := uc.client.Write(msg)
	if e := untaken(err); e != 0 { // the system refuses a send to report on the one before it
		select {
		case uc.queue <- uc.report():
		default: // the run has enough to read
		}
		_, err = uc.client.Write(msg)
	}
	return plainError(err)
}

// untaken is ECONNREFUSED if err says that nobody took a datagram. Windows calls it a reset.
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

// report says that nobody took a request; the system does not say which.
func (uc *udpConn) report() arrival {
	return arrival{packet: Packet{From: uc.target, Opaque: true, Fault: Fault{Errno: syscall.ECONNREFUSED}}}
}

// receive reads the client's socket.
func (uc *udpConn) receive() {
	for {
		b := uc.buffer()
		n, err := uc.client.Read(b)
		x := arrival{packet: Packet{Msg: b[:n], From: uc.target, Opaque: uc.echo == nil}, err: plainError(err)}
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case untaken(err) != 0:
			uc.release(b)
			x = uc.report()
		default:
			uc.config.recognizeEcho(&x.packet)
		}
		if !uc.put(x) {
			return
		}
	}
}

// sendBack is the far end: it echoes what the client sends, and nothing that comes from elsewhere.
func (uc *udpConn) sendBack() {
	b := make([]byte, maxDatagram)
	for failed := 0; failed < maxAttempts; {
		n, from, err := uc.echo.ReadFromUDPAddrPort(b)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			failed++
			continue
		}
		failed = 0
		if n > 0 && uc.recognize(b[:n], from.Addr()) {
			makeReply(b[:n])
			_, _ = uc.echo.WriteToUDPAddrPort(b[:n], from) // what does not leave is a probe without an answer
		}
	}
}

func (uc *udpConn) Close() error {
	close(uc.closed)
	for _, socket := range []*net.UDPConn{uc.client, uc.echo} {
		if socket != nil {
			socket.Close()
		}
	}
	uc.workers.Wait()
	return nil
}

// dialUDP opens the client's socket, connected to a port of the target.
func dialUDP(c Config, port uint16) (*net.UDPConn, error) {
	d := dialerOf(c)
	from, to := netip.AddrPortFrom(c.source(), 0), netip.AddrPortFrom(c.Address, port)
	return d.DialUDP(context.Background(), networkOf(c, "udp"), from, to)
}
