// Package serve is an echo over TCP and UDP to test against. It is bounded in connections, time and memory, answers local peers
// only, and gets into no endless exchange with another echo.
package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"lping/platform"
)

const (
	// DefaultIdle is how long a connection may stand still.
	DefaultIdle = time.Minute
	// maxOpens is how often a free port is tried: one that is free for TCP on one address may be taken elsewhere.
	maxOpens = 16
	// maxErrors is how many errors in a row a socket may have, with errorPause between two: a minute, after which a connection
	// that holds a descriptor has been idle for too long.
	maxErrors  = 1200
	errorPause = 50 * time.Millisecond
)

// Config is what to serve.
type Config struct {
	// Addresses are local ones, which the caller has checked.
	Addresses []netip.Addr
	// Some says that those of the addresses are enough which this host has.
	Some bool
	// Port is the same for all sockets; 0 is a free one.
	Port uint16
	// Protocols are TCP, UDP or both.
	Protocols []string
	// Quiet leaves out every line but the first and the last.
	Quiet bool
	// Idle is how long a connection may stand still; 0 is DefaultIdle.
	Idle time.Duration
}

// Server has the sockets of an echo.
type Server struct {
	config Config
	port   uint16
	// sockets are each a *net.TCPListener or a *net.UDPConn.
	sockets []io.Closer
	// places are the addresses that are served, with the port.
	places []string

	lines *lines
	// failed has the first error that ends the server.
	failed  chan error
	workers sync.WaitGroup
	// slots are as many as there are connections.
	slots chan struct{}

	connections, bytes, datagrams, refused, dropped atomic.Uint64
}

// Listen opens all sockets. The error is one of package net.
func Listen(c Config) (*Server, error) {
	c.Idle = cmp.Or(c.Idle, DefaultIdle)
	var err error
	for range maxOpens {
		s := &Server{config: c, port: c.Port, failed: make(chan error, 1), slots: make(chan struct{}, maxConnections)}
		if err = s.open(); err == nil {
			return s, nil
		}
		s.close()
		if c.Port != 0 {
			break
		}
	}
	return nil, err
}

// open opens the sockets. The first one that gets a free port gives it to all.
func (s *Server) open() error {
	var missing error
	for _, a := range s.config.Addresses {
		err := s.openAt(a)
		switch {
		case s.config.Some && isMissing(err):
			missing = err
		case err != nil:
			return err
		}
	}
	if len(s.places) == 0 {
		return missing
	}
	return nil
}

// isMissing says that a host lacks an address, or its family.
func isMissing(err error) bool {
	e, _ := errors.AsType[syscall.Errno](err)
	name := platform.ErrnoName(e)
	return name == "EADDRNOTAVAIL" || name == "EAFNOSUPPORT"
}

// openAt opens the sockets of one address.
func (s *Server) openAt(a netip.Addr) error {
	for _, protocol := range s.config.Protocols {
		socket, err := listen(protocol, netip.AddrPortFrom(a, s.port))
		if err != nil {
			return err
		}
		s.sockets = append(s.sockets, socket)
		s.port = localOf(socket).Port()
	}
	s.places = append(s.places, netip.AddrPortFrom(a, s.port).String())
	return nil
}

// listen opens one socket.
func listen(protocol string, at netip.AddrPort) (io.Closer, error) {
	if protocol == "UDP" {
		return net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	}
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // package net would prefer it, and it is another protocol
	return lc.Listen(context.Background(), "tcp", at.String())
}

// localOf is the address of a socket.
func localOf(socket io.Closer) netip.AddrPort {
	if l, ok := socket.(net.Listener); ok {
		return addrPort(l.Addr())
	}
	return addrPort(socket.(net.PacketConn).LocalAddr())
}

// addrPort is an address of package net as a value.
func addrPort(a net.Addr) netip.AddrPort {
	ap := a.(interface{ AddrPort() netip.AddrPort }).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

func (s *Server) close() {
	for _, socket := range s.sockets {
		socket.Close()
	}
}

// Run serves until ctx ends. It writes to w, a line a Write: the port, where the echo is, who comes, and the counts. A reader
// who does not read loses lines, and holds up nobody. The error is that of a write, or one of package net.
func (s *Server) Run(ctx context.Context, w io.Writer) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.lines = startLines(w, s.fail)
	s.lines.print(fmt.Sprintln(s.port))
	s.say("echo on " + strings.Join(s.places, " and ") + ", " + strings.Join(s.config.Protocols, " and "))
	for _, socket := range s.sockets {
		s.workers.Go(func() {
			if l, ok := socket.(*net.TCPListener); ok {
				s.accept(ctx, l)
			} else {
				s.answer(ctx, socket.(*net.UDPConn))
			}
		})
	}
	select {
	case <-ctx.Done():
	case err = <-s.failed:
	}
	cancel()
	s.close()
	s.workers.Wait()
	s.lines.end(s.counts())
	select {
	case late := <-s.failed:
		err = cmp.Or(err, late)
	default:
	}
	return err
}

// fail ends the server. Only the first error counts.
func (s *Server) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// say prints a line unless only the port and the counts are wanted.
func (s *Server) say(line string) {
	if !s.config.Quiet {
		s.lines.print(line + "\n")
	}
}

// counts is the last line. What was not echoed is told only if there is any.
func (s *Server) counts() string {
	text := fmt.Sprintf("%d connections, %d bytes, %d datagrams echoed", s.connections.Load(), s.bytes.Load(), s.datagrams.Load())
	tell := func(n uint64, what string) {
		if n > 0 {
			text += fmt.Sprintf(", %d %s", n, what)
		}
	}
	tell(s.refused.Load(), "connections refused")
	tell(s.dropped.Load(), "datagrams not answered")
	tell(s.lines.lost.Load(), "lines lost")
	return text + "\n"
}

// repeat does a step until ctx ends. An error may pass, as when there is no descriptor; too many in a row end the server.
func (s *Server) repeat(ctx context.Context, step func() error) {
	for n := 0; ctx.Err() == nil; {
		switch err := step(); {
		case err == nil:
			n = 0
		case ctx.Err() != nil:
		case n == maxErrors:
			s.fail(err)
			return
		default:
			n++
			time.Sleep(errorPause)
		}
	}
}

// isLocal says that a peer is on this host: an address of a loopback interface may be reached from outside.
func isLocal(peer, own netip.Addr) bool { return peer.IsLoopback() || peer == own }
