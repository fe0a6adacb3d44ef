package ping

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// maxConnects is how many connections may be under way at once; on a healthy loopback it is one.
const maxConnects = 128

// dialConn is the portable conn of MethodConnect: each connection is made by a goroutine of its own.
type dialConn struct {
	mailbox
	config Config
	sock   Socket
	turn   byte
	// listener is nil where a service listens.
	listener *net.TCPListener
	dialer   net.Dialer
	// slots holds one entry for each connection under way.
	slots  chan struct{}
	ctx    context.Context
	cancel context.CancelFunc
}

// openConnect opens the listener of a dialConn.
func openConnect(c Config) (conn, error) {
	dc := &dialConn{config: c, turn: turnOf(c), dialer: netDialer(c), slots: make(chan struct{}, maxConnects)}
	dc.init(headerLen)
	dc.ctx, dc.cancel = context.WithCancel(context.Background())
	dc.dialer.Timeout = c.Timeout + time.Second // a little longer than its probe, which may yet be late
	port := c.Port
	if port != 0 {
		if err := netOnThisHost(c); err != nil {
			return nil, plainError(err)
		}
	} else {
		listener, err := listenNetTCP(c)
		if err != nil {
			return nil, plainError(err)
		}
		dc.listener, port = listener, portOf(listener.Addr())
		dc.workers.Go(dc.turnAway)
	}
	dc.sock = echoSocket(c, port)
	return dc, nil
}

// turnAway closes every connection to our own listener.
func (dc *dialConn) turnAway() {
	for failed := 0; failed < maxReadErrors; {
		far, err := dc.listener.AcceptTCP()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			failed++
			continue
		}
		failed = 0
		far.Close() // not with a reset: the client may not have seen yet that it is connected
	}
}

func (dc *dialConn) send(msg []byte) error {
	select {
	case dc.slots <- struct{}{}:
	default:
		return os.NewSyscallError("connect", syscall.EAGAIN)
	}
	request := headOf(msg)
	dc.workers.Go(func() {
		dc.dial(request)
		<-dc.slots
	})
	return nil
}

// dial makes one connection and hands over what became of it. One that this host gave up after its timeout is lost.
func (dc *dialConn) dial(request head) {
	from := netip.AddrPortFrom(dc.sock.Local, 0)
	to := netip.AddrPortFrom(dc.config.Address, dc.sock.Port)
	start := time.Now()
	client, err := dc.dialer.DialTCP(dc.ctx, netNetwork(dc.config, "tcp"), from, to)
	p := packet{from: dc.config.Address, rtt: time.Since(start)}
	if err == nil {
		if client.LocalAddr().String() == client.RemoteAddr().String() { // see selfConnected
			p.fault.Errno = syscall.ECONNREFUSED
		}
		_ = client.SetLinger(0) // no port stays taken by TIME_WAIT
		client.Close()
	} else if p.fault.Errno = plainErrno(errno(err)); p.fault.Errno == 0 {
		return
	}
	turn := dc.turn
	if p.fault.Errno != 0 {
		turn = 0
	}
	p.msg = request.put(dc.buffer(), turn)
	dc.put(letter{packet: p})
}

func (dc *dialConn) socket() Socket { return dc.sock }

func (dc *dialConn) close() error {
	dc.cancel()
	close(dc.done)
	if dc.listener != nil {
		dc.listener.Close()
	}
	dc.workers.Wait()
	return nil
}
