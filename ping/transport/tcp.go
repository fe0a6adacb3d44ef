package transport

import (
	"bytes"
	"context"
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

// Over TCP each message has a connection of its own. To our own listener it carries the echo request there and the reply
// back; to a service the handshake is all. This is the same on all systems, by package net. System calls of our own, in the
// thread of the run, would take 22 us of RTT and not 97, and a third of the CPU, for 600 lines more that are for Linux only.

// maxConnects is how many connections may be under way at once; on a healthy loopback it is one.
const maxConnects = 128

// acceptPause is between two tries to accept a connection.
const acceptPause = 5 * time.Millisecond

// tcpConn makes a TCP connection of every message: a goroutine has our end of it, another one the listener's.
type tcpConn struct {
	arrivals
	config Config
	to     netip.AddrPort
	// listener is nil if a service listens.
	listener net.Listener
	// ctx ends what is under way when the conn is closed.
	ctx    context.Context
	cancel context.CancelFunc

	// mu guards what follows.
	mu sync.Mutex
	// underway are the connections without an outcome, the oldest first.
	underway []*connection
	// unknown are the sockets at the listener of which it is not known whose they are, the oldest first.
	unknown []net.Conn
}

// connection is our end of a connection.
type connection struct {
	request []byte
	// ctx ends when the connection is given up.
	ctx    context.Context
	cancel context.CancelFunc
}

// header is an echo header, by which a message is known.
type header [HeaderLen]byte

func openTCP(c Config) (Conn, Socket, error) {
	tc := &tcpConn{config: c, to: netip.AddrPortFrom(c.Address, c.Port)}
	tc.prepare(HeaderLen + c.Size + 1)
	tc.ctx, tc.cancel = context.WithCancel(context.Background())
	err := bindable(c) // what no message could do is found out now
	if err == nil && c.Port == 0 {
		err = tc.listen()
	}
	if err != nil {
		return nil, Socket{}, plainError(err)
	}
	return tc, describeSocket(c, MethodTCP, tc.to.Port()), nil
}

// listen opens our own listener, at a port that the system chooses.
func (tc *tcpConn) listen() (err error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // package net would prefer it, and then it is another protocol that is checked
	if tc.listener, err = lc.Listen(tc.ctx, networkOf(tc.config, "tcp"), tc.to.String()); err != nil {
		return err
	}
	tc.to = netip.AddrPortFrom(tc.to.Addr(), portOf(tc.listener.Addr()))
	tc.workers.Go(tc.accept)
	return nil
}

// accept gives each connection at our own listener a goroutine. The oldest one that may be a stranger's makes room.
func (tc *tcpConn) accept() {
	for tc.ctx.Err() == nil {
		socket, err := tc.listener.Accept()
		if err != nil { // closed, or there is no descriptor at the moment
			select {
			case <-tc.ctx.Done():
			case <-time.After(acceptPause):
			}
			continue
		}
		tc.mu.Lock()
		if tc.unknown = append(tc.unknown, socket); len(tc.unknown) > maxConnects {
			tc.unknown[0].Close()
		}
		tc.mu.Unlock()
		tc.workers.Go(func() {
			defer tc.use(tc.ctx, socket)()
			serveEcho(socket, make([]byte, HeaderLen+tc.config.Size), func(h header) (int, bool) { return tc.recognize(socket, h) })
			tc.mu.Lock()
			tc.unknown = without(tc.unknown, socket)
			tc.mu.Unlock()
		})
	}
}

// use has a socket closed by its result or when ctx ends, with a reset: no port stays taken by TIME_WAIT.
func (tc *tcpConn) use(ctx context.Context, socket net.Conn) func() {
	_ = socket.(*net.TCPConn).SetLinger(0)
	_ = socket.SetDeadline(time.Now().Add(tc.lifetime()))
	stop := context.AfterFunc(ctx, func() { socket.Close() })
	return func() {
		stop()
		socket.Close()
	}
}

// lifetime is a little longer than the timeout of a message, which may yet be late.
func (tc *tcpConn) lifetime() time.Duration { return tc.config.Timeout + time.Second }

// recognize says whether a header is that of a message under way, and how long that is.
func (tc *tcpConn) recognize(socket net.Conn, h header) (n int, ok bool) {
	tc.mu.Lock()
	defer tc.mu.Unlock()
	for _, x := range tc.underway {
		if h == header(x.request) {
			tc.unknown = without(tc.unknown, socket)
			return len(x.request), true
		}
	}
	return 0, false
}

// without is a list without one of its elements.
func without[T comparable](list []T, x T) []T {
	if i := slices.Index(list, x); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// serveEcho is the listener's end of a connection. It knows its client by the header of the request, since a NAT rule may change
// where that comes from; whoever sends another is a stranger. It reads a whole request before it writes the reply: so neither
// end ever waits for room while the other does. Then it waits for the client to reset.
func serveEcho(socket net.Conn, msg []byte, recognize func(header) (int, bool)) {
	if _, err := io.ReadFull(socket, msg[:HeaderLen]); err != nil {
		return
	}
	n, ok := recognize(header(msg))
	if !ok {
		return
	}
	if _, err := io.ReadFull(socket, msg[HeaderLen:n]); err != nil {
		return
	}
	makeReply(msg)
	if _, err := socket.Write(msg[:n]); err == nil {
		_, _ = socket.Read(msg[:1])
	}
}

func (tc *tcpConn) Send(msg []byte) error {
	x := &connection{request: bytes.Clone(msg)}
	x.ctx, x.cancel = context.WithCancel(tc.ctx)
	tc.mu.Lock()
	defer tc.mu.Unlock()
	if len(tc.underway) == maxConnects {
		tc.underway[0].cancel()
		tc.underway = slices.Delete(tc.underway, 0, 1)
	}
	tc.underway = append(tc.underway, x)
	tc.workers.Go(func() {
		p := Packet{Msg: tc.buffer(), From: tc.config.Address}
		tc.run(x, &p)
		x.cancel()
		tc.mu.Lock()
		tc.underway = without(tc.underway, x)
		tc.mu.Unlock()
		if p.Fault.Errno != syscall.EAGAIN { // nobody waits for one that was given up
			tc.put(arrival{packet: p})
		}
	})
	return nil
}

// run makes a connection and, to our own listener, sends the request over it and reads the reply. What became of it is
// in p, whose message has room for the reply and one byte more, so that a longer one shows.
func (tc *tcpConn) run(x *connection, p *Packet) {
	start := time.Now()
	socket, fault := tc.connect(x.ctx)
	p.RTT = time.Since(start)
	if fault.Errno != 0 {
		p.Fault, p.Msg = fault, append(p.Msg[:0], x.request...)
		return
	}
	defer tc.use(x.ctx, socket)()
	if tc.listener == nil {
		p.Msg = append(p.Msg[:0], x.request...)
		makeReply(p.Msg)
		return
	}
	p.Connect = p.RTT
	n, err := echo(socket, p.Msg[:len(x.request)+1], x.request)
	p.RTT = time.Since(start)
	if p.Fault = faultOfNet(err); err != nil {
		n = copy(p.Msg, x.request)
	}
	p.Msg = p.Msg[:n]
}

// errNotReply says that what came back does not begin as the reply must.
var errNotReply = os.NewSyscallError("read", syscall.EPROTO)

// echo sends a request and reads what comes back, until it is as long as the request. It returns the length.
func echo(socket net.Conn, reply, request []byte) (n int, err error) {
	if _, err := socket.Write(request); err != nil {
		return 0, err
	}
	head := bytes.Clone(request[:HeaderLen])
	makeReply(head)
	for n < len(request) {
		got, err := socket.Read(reply[n:])
		n += got
		if !bytes.HasPrefix(head, reply[:min(n, HeaderLen)]) {
			return n, errNotReply
		}
		if err != nil && n < len(request) {
			return n, err
		}
	}
	return n, nil
}

// connect makes a connection. One that the system made with itself, since it chose the very port that is asked for, counts as
// refused (RFC 9293, section 3.5: simultaneous open).
func (tc *tcpConn) connect(ctx context.Context) (*net.TCPConn, Fault) {
	var r reporter
	defer r.close()
	d := dialerOf(tc.config)
	d.Timeout, d.KeepAlive = tc.lifetime(), -1
	setOptions := d.Control
	d.Control = func(network, address string, rc syscall.RawConn) error {
		r.prepare(rc, tc.config.Address.Is6())
		return setOptions(network, address, rc)
	}
	from := netip.AddrPortFrom(tc.config.source(), 0)
	socket, err := d.DialTCP(ctx, networkOf(tc.config, "tcp"), from, tc.to)
	switch {
	case err != nil:
		return nil, r.explain(faultOfNet(err))
	case socket.LocalAddr().String() == socket.RemoteAddr().String():
		socket.Close()
		return nil, Fault{Errno: syscall.ECONNREFUSED}
	}
	return socket, Fault{}
}

// Limit is how many connections may be under way.
func (*tcpConn) Limit() int { return maxConnects }

func (tc *tcpConn) Close() error {
	tc.cancel()
	close(tc.closed)
	if tc.listener != nil {
		tc.listener.Close()
	}
	tc.workers.Wait()
	return nil
}

// faultOfNet is what an error of package net means; EAGAIN if the lifetime or the run is over.
func faultOfNet(err error) Fault {
	switch e := plainErrno(errno(err)); {
	case err == nil:
		return Fault{}
	case errors.Is(err, io.EOF):
		return Fault{Errno: syscall.EPIPE}
	case e != 0:
		return Fault{Errno: e}
	}
	return Fault{Errno: syscall.EAGAIN}
}
