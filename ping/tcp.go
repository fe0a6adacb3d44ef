package ping

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// maxUnsent bounds what a stream accepts beyond what the system takes: the messages of a connection that stalls.
	maxUnsent = 1 << 20
	// openWait is how long open waits for the connection. One that takes longer is left to the timeouts of its probes.
	openWait = 50 * time.Millisecond
)

// stream is the client's side of an echo over a byte stream, without its input and output. All messages of a run have
// one length, which is how they are told apart, and a stream keeps their order.
type stream struct {
	turn byte
	// unsent is what was accepted and not yet written.
	unsent []byte
	// waiting are the requests without an answer.
	waiting heads
	// in is the message that is being read, of which got bytes are there.
	in  []byte
	got int
	// failed is why nothing can be written any more, and broken why nothing will be read; their Errno is 0 while it can.
	failed, broken Fault
}

func newStream(c Config) stream {
	return stream{turn: turnOf(c), in: make([]byte, headerLen+c.Size)}
}

// accept takes a request, to be written from unsent. A stream that cannot be written refuses it for that reason, and one
// that stalls like a full queue.
func (s *stream) accept(msg []byte) syscall.Errno {
	switch {
	case s.failed.Errno != 0:
		return s.failed.Errno
	case len(s.unsent) > 0 && len(s.unsent)+len(msg) > maxUnsent:
		return syscall.EAGAIN
	}
	s.unsent = append(s.unsent, msg...)
	s.waiting.push(headOf(msg))
	return 0
}

// wrote notes that the first n bytes of unsent were written.
func (s *stream) wrote(n int) { s.unsent = s.unsent[:copy(s.unsent, s.unsent[n:])] }

// room is where the next bytes are to be read to.
func (s *stream) room() []byte { return s.in[s.got:] }

// read notes that n bytes came. Where nobody asked for any the stream is out of step, and of no use any more.
func (s *stream) read(n int) {
	s.got += n
	if s.waiting.len() == 0 {
		s.end(Fault{Errno: syscall.EPROTO})
	}
}

func (s *stream) over() bool { return s.broken.Errno != 0 }

// fail notes why nothing can be written any more; the first reason counts. What has come is still to be read.
func (s *stream) fail(f Fault) {
	if s.failed.Errno == 0 {
		s.failed, s.unsent = f, s.unsent[:0]
	}
}

// end notes that nothing will be read any more, and why if that is not known yet.
func (s *stream) end(f Fault) {
	s.fail(f)
	s.broken = s.failed
}

// next is the next reply that is whole, or the end of the next request that a broken stream leaves without one. What
// does not begin as that reply must is out of step.
func (s *stream) next(b []byte) (p packet, ok bool) {
	if s.waiting.len() == 0 {
		return packet{}, false
	}
	if s.got == len(s.in) {
		if s.got = 0; bytes.Equal(s.in[:headerLen], s.waiting.oldest().put(b, s.turn)) {
			s.waiting.pop()
			return packet{msg: b[:copy(b, s.in)]}, true
		}
		s.end(Fault{Errno: syscall.EPROTO})
	}
	if !s.over() {
		return packet{}, false
	}
	return packet{msg: s.waiting.pop().put(b, 0), fault: s.broken}, true
}

// tcpConn is the portable conn of MethodTCP. One goroutine connects and writes, one reads, a third is the far end.
type tcpConn struct {
	mailbox
	sock     Socket
	target   netip.Addr
	listener *net.TCPListener
	// ready is closed when the connection stands or failed.
	ready chan struct{}
	// ctx ends a connect under way.
	ctx    context.Context
	cancel context.CancelFunc
	// more says that there is something to write.
	more chan struct{}

	// mu holds the stream, but for in and got, which are those of the reader, and the rest.
	mu     sync.Mutex
	stream stream
	ends   []*net.TCPConn
	closed bool
}

// openTCP opens the listener of a tcpConn and starts to connect.
func openTCP(c Config) (conn, error) {
	listener, err := listenNetTCP(c)
	if err != nil {
		return nil, plainError(err)
	}
	tc := newTCPConn(c, portOf(listener.Addr()))
	tc.listener = listener
	tc.workers.Go(func() { tc.talk(c) })
	timer := time.NewTimer(openWait)
	defer timer.Stop()
	select {
	case <-tc.ready:
	case <-timer.C:
	}
	return tc, nil
}

func newTCPConn(c Config, port uint16) *tcpConn {
	tc := &tcpConn{target: c.Address, sock: echoSocket(c, port), stream: newStream(c)}
	tc.init(headerLen + c.Size)
	tc.ready, tc.more = make(chan struct{}), make(chan struct{}, 1)
	tc.ctx, tc.cancel = context.WithCancel(context.Background())
	return tc
}

// listenNetTCP opens a listener on the target's address and a port that the system chooses.
func listenNetTCP(c Config) (*net.TCPListener, error) {
	at := net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.Address, 0))
	return net.ListenTCP(netNetwork(c, "tcp"), at)
}

// talk connects, starts the other goroutines, and writes.
func (tc *tcpConn) talk(c Config) {
	client, far, err := tc.connect(c)
	tc.listener.Close()
	if err != nil {
		tc.end(err)
		close(tc.ready)
		tc.deliver()
		return
	}
	tc.workers.Go(func() { echoStream(far, len(tc.stream.in), tc.stream.turn) })
	close(tc.ready)
	tc.carry(client)
}

// connect makes the connection, and turns away whoever else found the port.
func (tc *tcpConn) connect(c Config) (client, far *net.TCPConn, err error) {
	d := netDialer(c)
	from, to := netip.AddrPortFrom(source(c), 0), netip.AddrPortFrom(c.Address, tc.sock.Port)
	if client, err = d.DialTCP(tc.ctx, netNetwork(c, "tcp"), from, to); err != nil {
		return nil, nil, err
	}
	tc.keep(client)
	for {
		if far, err = tc.listener.AcceptTCP(); err != nil {
			return nil, nil, err
		}
		if far.RemoteAddr().String() == client.LocalAddr().String() {
			tc.keep(far)
			return client, far, nil
		}
		far.Close()
	}
}

// keep notes an end of the connection for close, which resets it: no port stays taken by TIME_WAIT.
func (tc *tcpConn) keep(end *net.TCPConn) {
	tc.mu.Lock()
	defer tc.mu.Unlock()
	_ = end.SetLinger(0)
	tc.ends = append(tc.ends, end)
	if tc.closed {
		end.Close()
	}
}

// carry reads and writes the client's end until it is over.
func (tc *tcpConn) carry(client *net.TCPConn) {
	tc.workers.Go(func() { tc.receive(client) })
	var b []byte
	for {
		select {
		case <-tc.more:
		case <-tc.done:
			return
		}
		tc.mu.Lock()
		b, tc.stream.unsent = tc.stream.unsent, b[:0]
		tc.mu.Unlock()
		if _, err := client.Write(b); err != nil {
			tc.mu.Lock()
			tc.stream.fail(faultOfEnd(err))
			tc.mu.Unlock()
			return // the reader comes to the end by itself
		}
	}
}

// receive reads the client's end and hands over what is whole.
func (tc *tcpConn) receive(client *net.TCPConn) {
	for {
		n, err := client.Read(tc.stream.room())
		if err != nil {
			tc.end(err)
		} else {
			tc.mu.Lock()
			tc.stream.read(n)
			tc.mu.Unlock()
		}
		if !tc.deliver() {
			client.Close()
			return
		}
	}
}

// deliver hands over what is whole, and the ends of what never will be. It reports whether the stream goes on.
func (tc *tcpConn) deliver() bool {
	for {
		b := tc.buffer()
		tc.mu.Lock()
		p, ok := tc.stream.next(b)
		over := tc.stream.over()
		tc.mu.Unlock()
		if !ok {
			tc.release(b)
			return !over
		}
		p.from = tc.target
		if !tc.put(letter{packet: p}) {
			return false
		}
	}
}

// end notes why the connection is over. A connection that close ended has nobody to tell.
func (tc *tcpConn) end(err error) {
	tc.mu.Lock()
	defer tc.mu.Unlock()
	tc.stream.end(faultOfEnd(err))
}

// faultOfEnd is what the error of a read or a write says about the requests that have no answer.
func faultOfEnd(err error) Fault {
	e := plainErrno(errno(err))
	switch {
	case errors.Is(err, io.EOF):
		e = syscall.EPIPE
	case e == 0:
		e = syscall.EIO
	}
	return Fault{Errno: e}
}

// echoStream is the far end: it sends back what comes, and makes replies of messages of that length.
func echoStream(far *net.TCPConn, length int, turn byte) {
	b := make([]byte, length)
	for at := 0; ; {
		n, err := far.Read(b[at:])
		if err != nil {
			far.Close()
			return
		}
		if at == 0 {
			b[0] ^= turn
		}
		if _, err := far.Write(b[at : at+n]); err != nil {
			far.Close()
			return
		}
		at = (at + n) % length
	}
}

func (tc *tcpConn) send(msg []byte) error {
	tc.mu.Lock()
	e := tc.stream.accept(msg)
	tc.mu.Unlock()
	if e != 0 {
		return os.NewSyscallError("send", e)
	}
	select {
	case tc.more <- struct{}{}:
	default: // the writer has not come to the last one yet
	}
	return nil
}

func (tc *tcpConn) socket() Socket { return tc.sock }

func (tc *tcpConn) close() error {
	tc.cancel()
	close(tc.done)
	if tc.listener != nil {
		tc.listener.Close()
	}
	tc.mu.Lock()
	tc.closed = true
	for _, end := range tc.ends {
		end.Close()
	}
	tc.mu.Unlock()
	tc.workers.Wait()
	return nil
}
