package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"lping/ping/transport/service"
)

// Over TCP each message has a connection of its own. To our own listener, and to a service that is an echo, it carries the echo
// request there and the reply back; over HTTP it is a GET, and to another service the handshake is all. This is the same on all systems, by package net. System calls of our own, in the
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
	// listener is ours, or else nil; service is what is known of another, or else nil.
	listener net.Listener
	service  *service.Service
	// parting are the connections that have their answer and are being closed.
	parting sync.WaitGroup
	// ctx ends what is under way when the conn is closed.
	ctx    context.Context
	cancel context.CancelFunc

	// mu guards what follows.
	mu sync.Mutex
	// underway are the connections without an outcome, the oldest first.
	underway []*connection
	// unknown are the sockets at the listener of which it is not known whose they are, the oldest first.
	unknown []net.Conn
	// rewritten is where our own connections seem to come from, if that is not so.
	rewritten netip.Addr
	// denied is why our listener may not accept, if a policy denies it that.
	denied Fault
	// closing says that Close was called.
	closing bool
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

func openTCP(c Config, method string) (Conn, Socket, error) {
	tc := &tcpConn{config: c, to: netip.AddrPortFrom(c.Address, c.Port)}
	tc.prepare(HeaderLen + c.Size + 1)
	tc.ctx, tc.cancel = context.WithCancel(context.Background())
	err := bindable(c) // what no message could do is found out now
	switch {
	case err != nil:
	case c.Port == 0:
		err = tc.listen()
	default:
		tc.service = &service.Service{To: tc.to, Timeout: c.Timeout, Peers: c.Peers}
	}
	if err != nil {
		return nil, Socket{}, plainError(err)
	}
	return tc, describeSocket(c, method, tc.to.Port()), nil
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
		if fault := faultOfNet(err); fault.Call != "" {
			tc.refuse(fault)
			return
		}
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

// refuse ends what is under way, and what is sent later, with a fault of our listener.
func (tc *tcpConn) refuse(f Fault) {
	tc.mu.Lock()
	defer tc.mu.Unlock()
	tc.denied = f
	for _, x := range tc.underway {
		x.cancel()
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
			if from := endOf(socket.RemoteAddr()); !sameAddress(from, tc.config.source()) {
				tc.rewritten = from
			}
			return len(x.request), true
		}
	}
	return 0, false
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
	if tc.denied.Errno != 0 {
		x.cancel()
	}
	tc.workers.Go(func() {
		p := Packet{Msg: tc.buffer(), From: tc.config.Address}
		leave := tc.run(x, &p)
		tc.mu.Lock()
		if tc.denied.Errno != 0 {
			p.Msg, p.Fault = append(p.Msg[:0], x.request...), tc.denied
		}
		tc.underway = without(tc.underway, x)
		tc.mu.Unlock()
		if p.Fault.Errno != syscall.EAGAIN { // nobody waits for one that was given up
			tc.put(arrival{packet: p})
		}
		leave()
		x.cancel()
	})
	return nil
}

// run makes a connection and does with it what the far end is for. What became of it is in p, whose message has room for the
// reply and one byte more, so that a longer one shows. The result closes the connection, if it is still open.
func (tc *tcpConn) run(x *connection, p *Packet) (leave func()) {
	if tc.service != nil {
		return tc.call(x, p)
	}
	start := time.Now()
	socket := tc.open(x, p, start)
	if socket == nil {
		return func() {}
	}
	defer tc.use(x.ctx, socket)()
	tc.exchange(socket, x.request, start, p)
	return func() {}
}

// open makes the connection of a request. If there is none, p says why.
func (tc *tcpConn) open(x *connection, p *Packet, start time.Time) *net.TCPConn {
	socket, fault := tc.connect(x.ctx)
	p.RTT = time.Since(start)
	p.Msg = append(p.Msg[:0], x.request...)
	switch {
	case fault.Errno == syscall.ECONNRESET && tc.service != nil && tc.config.Proto == ProtoTCP && !tc.config.Echo:
		p.Answer = &service.Answer{Reset: true} // as soon as the handshake was done
		makeReply(p.Msg)
	case fault.Errno != 0:
		p.Fault = fault
	}
	return socket
}

// call is run for a service.
func (tc *tcpConn) call(x *connection, p *Packet) (leave func()) {
	s, begun := tc.service, time.Now()
	inOrder, ok := s.Admit(x.ctx)
	if !ok {
		p.Fault.Errno = syscall.EAGAIN
		return func() {}
	}
	start := time.Now()
	socket := tc.open(x, p, start)
	s.Opened()
	if socket == nil {
		return s.Closed
	}
	end := tc.use(x.ctx, socket)
	if inOrder {
		_ = socket.SetLinger(-1)
	}
	s.Begin(socket)
	tc.ask(socket, x.request, start, inOrder, p)
	s.End(socket, tc.answered(p))
	if took := time.Since(begun); took > tc.config.Timeout && p.Fault.Errno == 0 {
		p.RTT = took // the run calls it late, whoever made it wait
	}
	if inOrder && (tc.config.Echo || tc.config.Proto == ProtoHTTP) && tc.mayPart() {
		return func() {
			defer tc.parting.Done()
			s.Part(socket, begun, tc.config.Proto == ProtoHTTP)
			end()
			s.Closed()
		}
	}
	return func() {
		end()
		s.Closed()
	}
}

// answered says that a run hears of an answer: of one that is too late and wrong it does not, so that is none.
func (tc *tcpConn) answered(p *Packet) bool {
	right := p.Fault.Errno == 0 && !p.Answer.Wrong() && !tc.config.Echo
	return p.Fault.Errno != syscall.EAGAIN && (right || p.RTT <= tc.config.Timeout)
}

// mayPart says that Close will wait while a connection is closed in order.
func (tc *tcpConn) mayPart() bool {
	tc.mu.Lock()
	defer tc.mu.Unlock()
	if !tc.closing {
		tc.parting.Add(1)
	}
	return !tc.closing
}

// ask does with a connection to a service what the service is for.
func (tc *tcpConn) ask(socket net.Conn, request []byte, start time.Time, inOrder bool, p *Packet) {
	switch {
	case tc.config.Proto == ProtoHTTP:
		p.Connect = p.RTT
		var err error
		p.Answer, err = service.Get(socket, tc.config.Path, tc.config.Host, tc.config.Agent)
		p.RTT = time.Since(start)
		tc.conclude(request, err, p)
	case tc.config.Echo:
		tc.exchange(socket, request, start, p)
	default:
		err := tc.service.Visit(socket, start, inOrder)
		if faultOfNet(err).Errno == syscall.ECONNRESET {
			p.Answer, err = &service.Answer{Reset: true}, nil
		}
		tc.conclude(request, err, p)
	}
}

// conclude makes a packet of the answer to a request, or of the error that came instead.
func (tc *tcpConn) conclude(request []byte, err error, p *Packet) {
	p.Msg = append(p.Msg[:0], request...)
	if p.Fault = faultOfNet(err); err == nil {
		makeReply(p.Msg)
	}
	if said, ok := errors.AsType[service.NotHTTP](err); ok {
		p.Answer = &service.Answer{Text: string(said)}
	}
}

// exchange sends a request over a connection and reads what is sent back. A service sends back the very request.
func (tc *tcpConn) exchange(socket net.Conn, request []byte, start time.Time, p *Packet) {
	p.Connect = p.RTT
	head := bytes.Clone(request[:HeaderLen])
	if tc.service == nil {
		makeReply(head)
	}
	n, err := echo(socket, p.Msg[:len(request)+1], request, head)
	p.RTT = time.Since(start)
	switch {
	case tc.service != nil && err == io.EOF && n >= HeaderLen: // a part of it, whose data is too short
	case errors.Is(err, errNotReply):
		p.Answer = &service.Answer{Text: service.Printable(string(p.Msg[:n]))}
		fallthrough
	case err != nil:
		tc.conclude(request, err, p)
		return
	}
	makeReply(p.Msg[:n])
	p.Msg = p.Msg[:n]
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

// Unserved is what the service keeps waiting.
func (tc *tcpConn) Unserved() service.Unserved {
	if tc.service == nil {
		return service.Unserved{}
	}
	return tc.service.Waiting()
}

// Rewritten is the address that our listener saw last, if no connection was made from there.
func (tc *tcpConn) Rewritten() netip.Addr {
	tc.mu.Lock()
	defer tc.mu.Unlock()
	return tc.rewritten
}

// Limit is how many connections may be under way.
func (*tcpConn) Limit() int { return maxConnects }

func (tc *tcpConn) Close() error {
	close(tc.closed)
	tc.mu.Lock()
	tc.closing = true
	tc.mu.Unlock()
	tc.parting.Wait()
	tc.cancel()
	if tc.listener != nil {
		tc.listener.Close()
	}
	tc.workers.Wait()
	return nil
}
