// Package service asks a service over TCP how it is, without harm: it fills no more than half of the queue in which connections
// wait to be accepted, it closes in order, and it sends nothing unless that is what the service is for. Package transport makes
// the connections.
package service

import (
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

const (
	// maxInOrder is how many connections of a run are closed in order. Each keeps a port in TIME_WAIT for a minute, so a long run
	// would use them up: those after it are reset.
	maxInOrder = 1000
	// queuePause is between two looks at a queue that has no room.
	queuePause = 5 * time.Millisecond
	// firstLook is how long a service may take to close its end before the kernel is asked whether it has accepted; the pauses
	// between further looks double up to lastLook.
	firstLook, lastLook = time.Millisecond, 16 * time.Millisecond
	// farewell is how long a service that has accepted may take to close its end or to reset.
	farewell = 100 * time.Millisecond
	// maxPage is how long a response over HTTP may take to its end.
	maxPage = time.Second
	// patience is how long a service may take before a connection to it counts as waiting.
	patience = 150 * time.Millisecond
	// maxBanner is how much of what a service says unasked is read, in bytes, and maxRest how much of an answer after what is of
	// interest: a server that cannot send a whole page writes that into its log.
	maxBanner, maxRest = 64 << 10, 16 << 20
)

// Peers tells what the kernel knows of the far ends of TCP connections on this host. ok is false if it cannot be told.
type Peers interface {
	// Queue is how many connections wait at a service to be accepted, and for how many there is room.
	Queue(service netip.AddrPort) (waiting, room int, ok bool)
	// Waits says whether the service's end of a connection is still to be accepted.
	Waits(client, service netip.AddrPort) (waits, ok bool)
}

// Unserved counts the connections to a service that wait at the moment, or waited to their end.
type Unserved struct {
	// Unaccepted are those that were made and not accepted.
	Unaccepted uint64
	// Unanswered are those that may have been accepted, and had no answer to what was asked.
	Unanswered uint64
	// Held are those that were not begun, since the service's queue had no room for them.
	Held uint64
}

// Answer is what a service did or said.
type Answer struct {
	// Reset says that it accepted the connection and reset it.
	Reset bool
	// Status is that of HTTP; 0 if there is none. Text is the reason that goes with it, or what was said instead.
	Status int
	Text   string
}

// Wrong says that the status is not one of success: 200 to 399.
func (a *Answer) Wrong() bool { return a != nil && a.Status != 0 && (a.Status < 200 || a.Status > 399) }

// Service is what is known of the service at To. Its answers may take Timeout, which is not 0. Peers may be nil.
type Service struct {
	To      netip.AddrPort
	Timeout time.Duration
	Peers   Peers

	// mu guards what follows.
	mu sync.Mutex
	// made counts the connections, opening those whose handshake is under way, open those that are not closed.
	made, opening, open int
	unserved            Unserved
	// unanswered are the connections that were made and have no answer yet.
	unanswered []call
}

// call is a connection to a service.
type call struct {
	socket net.Conn
	made   time.Time
}

// Admit waits until the service's queue has room for one more connection, or reports false when ctx ends. inOrder says how to
// close it.
func (s *Service) Admit(ctx context.Context) (inOrder, ok bool) {
	before, held := 0, false
	for {
		waiting, room, known := s.queue()
		if inOrder, ok = s.enter(waiting, room, known, waiting < before); ok {
			break
		}
		if !held {
			s.count(&s.unserved.Held, 1)
		}
		before, held = waiting, true
		select {
		case <-ctx.Done():
			return false, false
		case <-time.After(queuePause):
		}
	}
	if held {
		s.count(&s.unserved.Held, ^uint64(0))
	}
	return inOrder, true
}

// queue is that of the service, if it is known.
func (s *Service) queue() (waiting, room int, known bool) {
	if s.Peers == nil {
		return 0, 0, false
	}
	return s.Peers.Queue(s.To)
}

// enter takes a place in the queue if that leaves half of it free. While the service takes connections out of the queue, or if
// nothing is known of it, one at a time may enter.
func (s *Service) enter(waiting, room int, known, accepting bool) (inOrder, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ahead := waiting + s.opening
	switch {
	case !known:
		ok = s.open == 0
	case ahead == 0 || ahead < room/2:
		ok = true
	default:
		ok = accepting && waiting <= room && s.opening == 0
	}
	if ok {
		s.made, s.opening, s.open = s.made+1, s.opening+1, s.open+1
	}
	return s.made <= maxInOrder, ok
}

// count adds to one of the counts of unserved; ^0 takes one away.
func (s *Service) count(n *uint64, add uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n += add
}

// Opened notes that a handshake is over.
func (s *Service) Opened() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opening--
}

// Closed notes that a connection is over.
func (s *Service) Closed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
}

// Begin notes a connection that was made and has no answer yet.
func (s *Service) Begin(socket net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unanswered = append(s.unanswered, call{socket, time.Now()})
}

// End notes that a connection has its answer, or will get none.
func (s *Service) End(socket net.Conn, answered bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.unanswered, func(c call) bool { return c.socket == socket })
	if !answered {
		s.unserved.add(s.waits(socket))
	}
	s.unanswered = slices.Delete(s.unanswered, i, i+1)
}

// add counts one more connection.
func (u *Unserved) add(waits bool) {
	if waits {
		u.Unaccepted++
	} else {
		u.Unanswered++
	}
}

// Waiting are the connections without an answer that had time for one.
func (s *Service) Waiting() Unserved {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.unserved
	for _, c := range s.unanswered {
		if time.Since(c.made) >= min(patience, s.Timeout/10*9) {
			all.add(s.waits(c.socket))
		}
	}
	return all
}

// waits says that the service has not accepted a connection, as far as that can be told.
func (s *Service) waits(socket net.Conn) bool {
	client, ok := socket.LocalAddr().(*net.TCPAddr)
	if !ok || s.Peers == nil {
		return false
	}
	from := client.AddrPort()
	waits, known := s.Peers.Waits(netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), s.To)
	return waits && known
}

// Visit finds out whether the service accepts a connection, and sends nothing over it. What it says unasked, as a mail server
// does, is read. The error is that of a reset, or says that the connection was given up.
func (s *Service) Visit(socket net.Conn, start time.Time, inOrder bool) error {
	if inOrder {
		_ = socket.(*net.TCPConn).CloseWrite() // a connection that is reset by now says so when it is read
	}
	late, end := start.Add(s.Timeout/10*9), start.Add(s.Timeout+time.Second)
	var accepted time.Time
	for pause := firstLook; time.Now().Before(end); pause = min(2*pause, lastLook) {
		err := drain(socket, time.Now().Add(pause), maxBanner)
		switch {
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case accepted.IsZero() && !s.waits(socket):
			accepted = time.Now()
		}
		now := time.Now()
		if !accepted.IsZero() && (!inOrder || now.Sub(accepted) >= farewell || now.After(late)) {
			return nil
		}
	}
	return syscall.EAGAIN
}

// Part ends a connection in order, after its answer to what was asked: the service has some time to send the rest and to close
// its end. What it sends after that would be answered by a reset. Over HTTP it closes first: a proxy takes the end of a client's
// half for the end of the client, and aborts.
func (s *Service) Part(socket net.Conn, start time.Time, http bool) {
	if http {
		_ = drain(socket, start.Add(min(s.Timeout, maxPage)), maxRest)
	}
	_ = socket.(*net.TCPConn).CloseWrite()
	_ = drain(socket, time.Now().Add(farewell), maxRest)
}

// drain reads what a service says, to its end or until it has said enough. The error is nil then, and else that of the read.
func drain(socket net.Conn, until time.Time, enough int) error {
	_ = socket.SetReadDeadline(until)
	b := make([]byte, 4<<10)
	for left := enough; left > 0; {
		n, err := socket.Read(b)
		left -= n
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
