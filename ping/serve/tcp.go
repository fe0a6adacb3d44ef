package serve

import (
	"context"
	"errors"
	"io"
	"net"
	"time"
)

const (
	// maxConnections is how many there may be at once. One more is refused: a new client takes no place from another.
	maxConnections = 128
	// bufferSize is how much of a connection is read at once.
	bufferSize = 16 << 10
	// systemBuffer is what the system may hold of a connection in each direction, where it would let that grow to megabytes.
	systemBuffer = 64 << 10
)

// accept takes each connection that comes.
func (s *Server) accept(ctx context.Context, l *net.TCPListener) {
	s.repeat(ctx, func() error {
		c, err := l.AcceptTCP()
		if err != nil {
			return err
		}
		if !s.admit(ctx, c) {
			s.refused.Add(1)
			_ = c.SetLinger(0) // a reset
			c.Close()
		}
		return nil
	})
}

// admit gives a connection a goroutine if it is a local one, and there are not too many.
func (s *Server) admit(ctx context.Context, c *net.TCPConn) bool {
	from := addrPort(c.RemoteAddr())
	if !isLocal(from.Addr(), addrPort(c.LocalAddr()).Addr()) {
		return false
	}
	select {
	case s.slots <- struct{}{}:
	default:
		return false
	}
	s.connections.Add(1)
	s.say("connection from " + from.String())
	s.workers.Go(func() {
		s.echo(ctx, c)
		<-s.slots
	})
	return true
}

// echo sends back what comes until the client has sent all. If either direction stands still for too long it resets the
// connection, so that the system keeps nothing of it.
func (s *Server) echo(ctx context.Context, c *net.TCPConn) {
	defer context.AfterFunc(ctx, func() { c.Close() })()
	defer c.Close()
	_ = c.SetReadBuffer(systemBuffer)
	_ = c.SetWriteBuffer(systemBuffer)
	buf, err := make([]byte, bufferSize), error(nil)
	for n := 0; err == nil; {
		_ = c.SetDeadline(time.Now().Add(s.config.Idle))
		if n, err = c.Read(buf); err == nil {
			_ = c.SetDeadline(time.Now().Add(s.config.Idle))
			n, err = c.Write(buf[:n])
			s.bytes.Add(uint64(n))
		}
	}
	if !errors.Is(err, io.EOF) {
		_ = c.SetLinger(0)
	}
}
