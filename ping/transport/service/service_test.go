package service

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const (
	ms = time.Millisecond
	// longEnough is how long a test waits for what must come, on however slow a machine.
	longEnough = 30 * time.Second
)

// queue is a service's queue as the kernel would tell of it.
type queue struct {
	mu sync.Mutex
	state
}

// state is what is told of a queue.
type state struct {
	waiting, room int
	unknown       bool
}

func (q *queue) Queue(netip.AddrPort) (waiting, room int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting, q.room, !q.unknown
}

func (q *queue) Waits(client, service netip.AddrPort) (waits, ok bool) { return false, false }

// move lets connections enter the queue, or leave it if n is negative.
func (q *queue) move(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting += n
}

func TestEnter(t *testing.T) {
	for _, tt := range []struct {
		name          string
		opening, open int
		waiting, room int
		unknown       bool
		accepting     bool
		want          bool
	}{
		{name: "empty", room: 128, want: true},
		{name: "empty, of one", room: 1, want: true},
		{name: "empty, of none", room: 0, want: true},
		{name: "empty, one is under way", opening: 1, room: 1},
		{name: "one of one", waiting: 1, room: 1},
		{name: "one of two", waiting: 1, room: 2},
		{name: "one of three", waiting: 1, room: 3},
		{name: "one of four", waiting: 1, room: 4, want: true},
		{name: "below half", waiting: 63, room: 128, want: true},
		{name: "half", waiting: 64, room: 128},
		{name: "half, with what is under way", waiting: 60, opening: 4, open: 4, room: 128},
		{name: "below half, with what is under way", waiting: 60, opening: 3, open: 9, room: 128, want: true},
		{name: "full", waiting: 128, room: 128},
		{name: "more than full", waiting: 129, room: 128},
		{name: "beyond half, and it accepts", waiting: 100, room: 128, accepting: true, want: true},
		{name: "beyond half, it accepts, one is under way", waiting: 100, opening: 1, open: 1, room: 128, accepting: true},
		{name: "the last place, and it accepts", waiting: 128, room: 128, accepting: true, want: true},
		{name: "full, and it accepts", waiting: 129, room: 128, accepting: true},
		{name: "unknown", unknown: true, want: true},
		{name: "unknown, one is open", open: 1, unknown: true},
		{name: "unknown, one is open, and it accepts", open: 1, unknown: true, accepting: true},
	} {
		s := &Service{opening: tt.opening, open: tt.open}
		inOrder, got := s.enter(tt.waiting, tt.room, !tt.unknown, tt.accepting)
		if got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
		more := map[bool]int{true: 1}[tt.want]
		if s.made != more || s.opening != tt.opening+more || s.open != tt.open+more || !inOrder {
			t.Errorf("%s: %d made, %d opening, %d open, in order %v", tt.name, s.made, s.opening, s.open, inOrder)
		}
	}
}

// TestInOrder: only so many connections of a run keep a port in TIME_WAIT.
func TestInOrder(t *testing.T) {
	s := &Service{}
	for i := 1; i <= maxInOrder+2; i++ {
		inOrder, ok := s.Admit(t.Context())
		s.Opened()
		s.Closed()
		if !ok || inOrder != (i <= maxInOrder) {
			t.Fatalf("connection %d: in order %v, %v", i, inOrder, ok)
		}
	}
}

// TestAdmit: who finds no room waits until there is some, and is counted as held meanwhile.
func TestAdmit(t *testing.T) {
	for _, tt := range []struct {
		name string
		// queue is what there is at first, and after 22 ms and 42 ms.
		queue [3]state
		// want is when the connection may be made; 0 is at once, and -1 never.
		want time.Duration
	}{
		{"at once", [3]state{{waiting: 3, room: 8}}, 0},
		{"room after some time", [3]state{{waiting: 6, room: 8}, {waiting: 7, room: 8}, {waiting: 3, room: 8}}, 45 * ms},
		{"it accepts", [3]state{{waiting: 9, room: 8}, {waiting: 7, room: 8}}, 25 * ms},
		{"it accepts, and is full yet", [3]state{{waiting: 20, room: 8}, {waiting: 9, room: 8}, {waiting: 8, room: 8}}, 45 * ms},
		{"it is gone", [3]state{{waiting: 9, room: 8}, {unknown: true}}, 25 * ms},
		{"never", [3]state{{waiting: 4, room: 8}, {waiting: 8, room: 8}, {waiting: 9, room: 8}}, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				now := &queue{state: tt.queue[0]}
				for i, at := range []time.Duration{22 * ms, 42 * ms} {
					next := tt.queue[i+1]
					if next == (state{}) {
						break
					}
					time.AfterFunc(at, func() {
						now.mu.Lock()
						defer now.mu.Unlock()
						now.state = next
					})
				}
				s := &Service{Peers: now, Timeout: time.Second}
				ctx, cancel := context.WithTimeout(t.Context(), 100*ms)
				defer cancel()
				start, done := time.Now(), make(chan bool, 1)
				go func() {
					_, ok := s.Admit(ctx)
					done <- ok
				}()
				time.Sleep(12 * ms)
				synctest.Wait()
				if got, want := s.Waiting().Held, map[bool]uint64{true: 1}[tt.want != 0]; got != want {
					t.Errorf("after 12 ms %d are held, want %d", got, want)
				}
				ok := <-done
				want, held := max(12*ms, tt.want), uint64(0)
				if tt.want < 0 {
					want, held = 100*ms, 1
				}
				if took := time.Since(start); ok != (tt.want >= 0) || took != want {
					t.Errorf("admitted: %v after %v, want %v", ok, took, want)
				}
				if got := s.Waiting(); got != (Unserved{Held: held}) {
					t.Errorf("in the end: %+v, want %d held", got, held)
				}
			})
		})
	}
}

// TestAdmitUnknown: to a service of whose queue nothing is known there is one connection at a time.
func TestAdmitUnknown(t *testing.T) {
	for name, peers := range map[string]Peers{"no peers": nil, "unknown": &queue{state: state{unknown: true}}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &Service{Peers: peers, Timeout: time.Second}
				var open, most atomic.Int32
				var all sync.WaitGroup
				for range 9 {
					all.Go(func() {
						if _, ok := s.Admit(t.Context()); !ok {
							t.Error("a connection was not admitted")
						}
						most.Store(max(most.Load(), open.Add(1)))
						time.Sleep(ms)
						s.Opened()
						time.Sleep(20 * ms)
						open.Add(-1)
						s.Closed()
					})
				}
				all.Wait()
				if most.Load() != 1 || s.Waiting() != (Unserved{}) {
					t.Errorf("%d at once, %+v", most.Load(), s.Waiting())
				}
			})
		})
	}
}

// TestAdmitHalf: however many connections want to be made at once, no more than half of the queue is theirs.
func TestAdmitHalf(t *testing.T) {
	for _, room := range []int{0, 1, 2, 5, 128} {
		synctest.Test(t, func(t *testing.T) {
			q := &queue{state: state{room: room}}
			s := &Service{Peers: q, Timeout: time.Second}
			var mu sync.Mutex
			under, most := 0, 0
			var all sync.WaitGroup
			for range 200 {
				all.Go(func() {
					if _, ok := s.Admit(t.Context()); !ok {
						t.Error("a connection was not admitted")
					}
					mu.Lock()
					under++
					most = max(most, under)
					mu.Unlock()
					time.Sleep(ms) // the handshake
					q.move(1)
					s.Opened()
				})
			}
			accepting := time.NewTicker(7 * ms)
			defer accepting.Stop()
			done := make(chan struct{})
			go func() {
				all.Wait()
				close(done)
			}()
			for left := true; left; {
				select {
				case <-done:
					left = false
				case <-accepting.C:
					mu.Lock()
					if n, _, _ := q.Queue(netip.AddrPort{}); n > 0 {
						q.move(-1)
						under--
					}
					mu.Unlock()
				}
			}
			if want := max(1, room/2); most != want {
				t.Errorf("room for %d: %d were in the queue or on their way to it, want %d", room, most, want)
			}
		})
	}
}

// accepts is what the kernel tells of connections: they wait until the time is over and the channel is closed, or for ever.
type accepts struct {
	queue
	from  time.Time
	until <-chan struct{}
	never bool
}

func (a *accepts) Waits(client, service netip.AddrPort) (waits, ok bool) {
	waits = a.never || time.Now().Before(a.from)
	if a.until != nil {
		select {
		case <-a.until:
		default:
			waits = true
		}
	}
	return waits, client.IsValid() && client.Port() != 0 && service.IsValid()
}

// dial connects to a listener. If serve is not nil it gets the other end, once the connection stands, and served is closed when
// it has returned and that end is closed.
func dial(t *testing.T, serve func(far *net.TCPConn)) (near *net.TCPConn, to netip.AddrPort, served chan struct{}) {
	t.Helper()
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	served = make(chan struct{})
	connected := make(chan struct{})
	go func() {
		defer close(served)
		if <-connected; serve == nil {
			return
		}
		far, err := l.AcceptTCP()
		if err != nil {
			t.Error(err)
			return
		}
		defer far.Close()
		far.SetDeadline(time.Now().Add(longEnough))
		serve(far)
	}()
	near, err = net.DialTCP("tcp4", nil, l.Addr().(*net.TCPAddr))
	close(connected)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); <-served; l.Close() })
	return near, l.Addr().(*net.TCPAddr).AddrPort(), served
}

// isReset says that an error is that of a reset, whose number differs from system to system.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || runtime.GOOS == "windows" && err != nil && !errors.Is(err, syscall.EAGAIN)
}

// TestVisit: what a service does with a connection over which nothing is sent.
func TestVisit(t *testing.T) {
	untilEnd := func(far *net.TCPConn) { io.Copy(io.Discard, far) }
	for _, tt := range []struct {
		name  string
		serve func(far *net.TCPConn)
		reset bool
	}{
		{"it closes when we do", untilEnd, false},
		{"it closes at once", func(far *net.TCPConn) { far.Close() }, false},
		{"it has a banner", func(far *net.TCPConn) { far.Write([]byte("220 ready\r\n")); untilEnd(far) }, false},
		{"it says very much", func(far *net.TCPConn) { io.CopyN(far, &endless{text: "x"}, 1<<22) }, false},
		{"it resets", func(far *net.TCPConn) { far.SetLinger(0) }, true},
		{"it resets when we close", func(far *net.TCPConn) { untilEnd(far); far.SetLinger(0) }, true},
		{"it resets some time after we close", func(far *net.TCPConn) { untilEnd(far); time.Sleep(30 * ms); far.SetLinger(0) }, true},
		{"it has a banner and resets", func(far *net.TCPConn) {
			far.Write([]byte("too many connections\r\n"))
			untilEnd(far)
			far.SetLinger(0)
		}, true},
	} {
		near, to, served := dial(t, tt.serve)
		s := &Service{To: to, Timeout: longEnough, Peers: &accepts{until: served}} // however late this machine is
		start := time.Now()
		err := s.Visit(near, start, true)
		if took := time.Since(start); (err != nil || tt.reset) && !(tt.reset && isReset(err)) || took >= longEnough {
			t.Errorf("%s: %v after %v, want a reset: %v", tt.name, err, took, tt.reset)
		}
		near.Close()
	}
}

// TestVisitClosed: a service that closes its end and resets what comes after it has closed, whenever that is noticed.
func TestVisitClosed(t *testing.T) {
	near, to, served := dial(t, func(far *net.TCPConn) { far.CloseWrite(); far.SetLinger(0) })
	<-served
	s := &Service{To: to, Timeout: longEnough}
	if err := s.Visit(near, time.Now(), true); err != nil {
		t.Error(err)
	}
}

// TestVisitHolds: a service that keeps the connection has accepted it. It sees an end that is in order.
func TestVisitHolds(t *testing.T) {
	over := make(chan struct{})
	ended := make(chan error, 1)
	near, to, served := dial(t, func(far *net.TCPConn) {
		_, err := far.Read(make([]byte, 1))
		ended <- err
		<-over
	})
	s := &Service{To: to, Timeout: longEnough, Peers: &accepts{}}
	start := time.Now()
	if err := s.Visit(near, start, true); err != nil || time.Since(start) < farewell || time.Since(start) >= longEnough {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	if err := <-ended; err != io.EOF {
		t.Errorf("the service got %v", err)
	}
	close(over)
	<-served
}

// TestVisitOutOfOrder: a connection that is to be reset is not closed before, and is over as soon as it is accepted.
func TestVisitOutOfOrder(t *testing.T) {
	fastest := longEnough
	for range 20 {
		ended := make(chan error, 1)
		near, to, _ := dial(t, func(far *net.TCPConn) {
			_, err := far.Read(make([]byte, 1))
			ended <- err
		})
		s := &Service{To: to, Timeout: longEnough, Peers: &accepts{}}
		start := time.Now()
		if err := s.Visit(near, start, false); err != nil {
			t.Error(err)
		}
		fastest = min(fastest, time.Since(start))
		near.SetLinger(0)
		near.Close()
		if err := <-ended; err == io.EOF {
			t.Error("the service got an end in order")
		}
	}
	if fastest >= farewell {
		t.Errorf("the fastest took %v", fastest)
	}
}

// TestVisitUnaccepted: a connection that nobody accepts is given up a second after the timeout, and accepted late it is late.
func TestVisitUnaccepted(t *testing.T) {
	const timeout = 100 * ms
	for _, tt := range []struct {
		name  string
		after time.Duration // 0 is never
	}{{"never", 0}, {"late", 3 * timeout}} {
		for _, inOrder := range []bool{true, false} {
			start := time.Now()
			peers := &accepts{from: start.Add(tt.after), never: tt.after == 0}
			near, to, _ := dial(t, nil)
			s := &Service{To: to, Timeout: timeout, Peers: peers}
			err := s.Visit(near, start, inOrder)
			took := time.Since(start)
			switch {
			case tt.after > 0 && err == nil && took >= tt.after:
			case tt.after > 0 && err == syscall.EAGAIN && took >= timeout+time.Second: // this machine slept meanwhile
			case tt.after == 0 && err == syscall.EAGAIN && took >= timeout+time.Second:
			default:
				t.Errorf("%s, in order %v: %v after %v", tt.name, inOrder, err, took)
			}
		}
	}
}

// TestPart: the service may send the rest, and sees an end that is in order; one that never ends is left.
func TestPart(t *testing.T) {
	ended := make(chan error, 1)
	near, to, served := dial(t, func(far *net.TCPConn) {
		far.Write(make([]byte, maxBanner/2))
		_, err := far.Read(make([]byte, 1))
		ended <- err
	})
	(&Service{To: to, Timeout: longEnough}).Part(near, time.Now(), false)
	if _, err := near.Read(make([]byte, 1)); err == nil {
		t.Error("something is left to be read")
	}
	if err := <-ended; err != io.EOF {
		t.Errorf("the service got %v", err)
	}
	<-served

	over := make(chan struct{})
	near, to, served = dial(t, func(far *net.TCPConn) { <-over })
	start := time.Now()
	(&Service{To: to, Timeout: longEnough}).Part(near, time.Now(), false)
	if took := time.Since(start); took < farewell || took > longEnough {
		t.Errorf("a service that does not end was left after %v", took)
	}
	close(over)
	<-served
}

// TestWaiting: a connection counts while it has no answer and had time for one, and to the end of the run if it got none.
func TestWaiting(t *testing.T) {
	for _, tt := range []struct {
		name  string
		peers Peers
		want  Unserved
	}{
		{"not accepted", &accepts{never: true}, Unserved{Unaccepted: 2}},
		{"accepted", &accepts{}, Unserved{Unanswered: 2}},
		{"nobody tells", nil, Unserved{Unanswered: 2}},
	} {
		a, to, _ := dial(t, nil)
		b, _, _ := dial(t, nil)
		c, _, _ := dial(t, nil)
		s := &Service{To: to, Timeout: time.Hour, Peers: tt.peers}
		for _, socket := range []net.Conn{a, b, c} {
			s.Begin(socket)
		}
		if got := s.Waiting(); got != (Unserved{}) && time.Since(s.unanswered[0].made) < patience {
			t.Errorf("%s: %+v at once", tt.name, got)
		}
		for i := range s.unanswered {
			s.unanswered[i].made = s.unanswered[i].made.Add(-time.Minute)
		}
		s.End(b, true)
		if got := s.Waiting(); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
		s.End(a, false)
		s.End(c, true)
		one := tt.want
		one.Unaccepted, one.Unanswered = one.Unaccepted/2, one.Unanswered/2
		if got := s.Waiting(); got != one {
			t.Errorf("%s, in the end: %+v, want %+v", tt.name, got, one)
		}
	}
}

// TestWaitingShort: with a short timeout a connection counts before that is over.
func TestWaitingShort(t *testing.T) {
	near, to, _ := dial(t, nil)
	s := &Service{To: to, Timeout: 10 * ms, Peers: &accepts{never: true}}
	s.Begin(near)
	s.unanswered[0].made = time.Now().Add(-9 * ms)
	if got := s.Waiting(); got.Unaccepted != 1 {
		t.Errorf("%+v", got)
	}
}
