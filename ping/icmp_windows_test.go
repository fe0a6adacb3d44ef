package ping

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/windows"
)

// fakeAPI is an echoer without a network.
type fakeAPI struct {
	calls, running, most atomic.Int64
	closed               atomic.Bool
	// answer says how a call with this data ends; buf is the buffer of the call.
	answer func(data, buf []byte) answer
}

func (f *fakeAPI) echo(x *exchange) {
	f.calls.Add(1)
	running := f.running.Add(1)
	defer f.running.Add(-1)
	for most := f.most.Load(); running > most && !f.most.CompareAndSwap(most, running); {
		most = f.most.Load()
	}
	x.answer = f.answer(x.msg[headerLen:], x.buf)
}

func (f *fakeAPI) close() error {
	f.closed.Store(true)
	return nil
}

// echoAfter answers rightly after d, with an RTT that is the fake's own.
func echoAfter(d time.Duration) func(data, buf []byte) answer {
	return func(data, buf []byte) answer {
		time.Sleep(d)
		return answer{answered: true, from: loopback4, ttl: 128, data: buf[:copy(buf, data)], rtt: 123 * time.Microsecond}
	}
}

// silentFor times out after d.
func silentFor(d time.Duration) func(data, buf []byte) answer {
	return func(_, _ []byte) answer {
		time.Sleep(d)
		return answer{status: ipReqTimedOut, rtt: d}
	}
}

// playAPI runs c over a fake API and returns the events.
func playAPI(t *testing.T, c Config, f *fakeAPI) []Event {
	t.Helper()
	c = c.withDefaults()
	p := &Pinger{config: c, conn: newAPIConn(c, f)}
	var events []Event
	if err := p.Run(t.Context(), collect(&events)); err != nil {
		t.Errorf("Run: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	time.Sleep(time.Minute) // the calls that Close left
	if !f.closed.Load() {
		t.Error("the handle is open after Close")
	}
	return events
}

// countKind is how many events are of one kind.
func countKind(events []Event, k Kind) (n int) {
	for _, e := range events {
		if e.Kind == k {
			n++
		}
	}
	return n
}

// firstOf is the first event of one kind.
func firstOf(t *testing.T, events []Event, k Kind) Event {
	t.Helper()
	for _, e := range events {
		if e.Kind == k {
			return e
		}
	}
	t.Fatalf("no event %v in %v", k, events)
	return Event{}
}

func TestAPIReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeAPI{answer: echoAfter(time.Millisecond)}
		events := playAPI(t, Config{Count: 3, Size: 56}, f)
		if n := countKind(events, Reply); n != 3 {
			t.Fatalf("%d replies, want 3: %v", n, events)
		}
		e := firstOf(t, events, Reply)
		if e.Seq != 1 || e.Bytes != 64 || e.TTL != 128 || e.From != loopback4 {
			t.Errorf("reply %+v", e)
		}
		if e.RTT != 123*time.Microsecond {
			t.Errorf("RTT %v, want that of the API", e.RTT)
		}
	})
}

func TestAPISilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := playAPI(t, Config{Count: 3, Timeout: 100 * time.Millisecond}, &fakeAPI{answer: silentFor(200 * time.Millisecond)})
		if n := countKind(events, Timeout); n != 3 || len(events) > 8 {
			t.Errorf("%d timeouts, want 3: %v", n, events)
		}
	})
}

func TestAPILate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := true
		f := &fakeAPI{answer: func(data, buf []byte) answer {
			if slow {
				slow = false
				return echoAfter(150*time.Millisecond)(data, buf)
			}
			return echoAfter(time.Millisecond)(data, buf)
		}}
		events := playAPI(t, Config{Count: 5, Size: 8, Timeout: 100 * time.Millisecond}, f)
		if e := firstOf(t, events, Late); e.Seq != 1 || countKind(events, Timeout) != 1 || countKind(events, Reply) != 4 {
			t.Errorf("late %+v of %v", e, events)
		}
	})
}

// TestAPICorrupt holds the whole data against what was sent: the last byte, and the length.
func TestAPICorrupt(t *testing.T) {
	for name, edit := range map[string]func([]byte) []byte{
		"flipped":   func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"truncated": func(b []byte) []byte { return b[:len(b)-1] },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeAPI{answer: func(data, buf []byte) answer {
					a := echoAfter(0)(data, buf)
					a.data = edit(a.data)
					return a
				}}
				events := playAPI(t, Config{Count: 1, Size: 1000}, f)
				if e := firstOf(t, events, Corrupt); e.Seq != 1 || e.Wrong.Offset != 999 {
					t.Errorf("corrupt %+v", e)
				}
			})
		})
	}
}

func TestAPIFault(t *testing.T) {
	host := netip.MustParseAddr("127.0.0.9")
	tests := []struct {
		name   string
		c      Config
		answer answer
		want   Fault
		from   netip.Addr
	}{
		{"host unreachable", Config{}, answer{status: ipDestHostUnreachable, answered: true, from: host},
			Fault{Errno: syscall.EHOSTUNREACH, ICMP: true, Type: 3, Code: 1}, host},
		{"host unreachable, local", Config{}, answer{status: ipDestHostUnreachable}, Fault{Errno: syscall.EHOSTUNREACH}, loopback4},
		{"prohibited", Config{Address: loopback6}, answer{status: ipDestProtUnreachable, answered: true, from: loopback6},
			Fault{Errno: syscall.EACCES, ICMP: true, Type: 1, Code: 1}, loopback6},
		{"general failure", Config{}, answer{status: ipGeneralFailure}, Fault{Errno: syscall.EIO}, loopback4},
		{"parameter", Config{}, answer{status: uint32(windows.ERROR_INVALID_PARAMETER)}, Fault{Errno: syscall.EINVAL}, loopback4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.c.Count, tt.c.Size = 2, 56
				events := playAPI(t, tt.c, &fakeAPI{answer: func(_, _ []byte) answer { return tt.answer }})
				e := firstOf(t, events, SendError)
				if e.Seq != 1 || e.Fault != tt.want || e.From != tt.from {
					t.Errorf("got %+v, want fault %+v from %v", e, tt.want, tt.from)
				}
			})
		})
	}
}

// TestAPIBound sends more than may be on its way at once.
func TestAPIBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeAPI{answer: echoAfter(30 * time.Millisecond)}
		events := playAPI(t, Config{Count: 3*maxCalls + 1, Preload: 3 * maxCalls, Flood: true}, f)
		if n := countKind(events, Reply); n != 3*maxCalls+1 {
			t.Errorf("%d replies, want %d", n, 3*maxCalls+1)
		}
		if f.most.Load() != maxCalls {
			t.Errorf("%d calls at once, want %d", f.most.Load(), maxCalls)
		}
	})
}

// TestAPIFull sends on while nothing answers: beyond the bound a send is refused, after sendWait.
func TestAPIFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ac := newAPIConn(Config{}.withDefaults(), &fakeAPI{answer: silentFor(time.Hour)})
		msg := probeOf(false, 1, 8, nil, 1, false).request(1)
		for i := range maxCalls {
			if err := ac.send(msg); err != nil {
				t.Fatalf("send %d: %v", i, err)
			}
		}
		start := time.Now()
		if err := ac.send(msg); !errors.Is(err, syscall.ENOBUFS) || time.Since(start) != sendWait {
			t.Errorf("got %v after %v, want ENOBUFS after %v", err, time.Since(start), sendWait)
		}
		ac.close()
		time.Sleep(2 * time.Hour)
	})
}

func TestAPIRecv(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ac := newAPIConn(Config{}.withDefaults(), &fakeAPI{answer: silentFor(time.Second)})
		defer ac.close()
		b := make([]byte, 100)
		start := time.Now()
		expect := func(what string, until time.Time, want error, after time.Duration) {
			t.Helper()
			if err := ac.recv(new(packet), b, until); err != want || time.Since(start) != after {
				t.Errorf("%s: %v after %v, want %v after %v", what, err, time.Since(start), want, after)
			}
		}
		expect("without waiting", time.Time{}, errTimeout, 0)
		expect("past", start.Add(-time.Hour), errTimeout, 0)
		expect("future", start.Add(time.Minute), errTimeout, time.Minute)

		ac.wake()
		ac.wake() // two before the wait are one
		expect("without waiting, woken", time.Time{}, errTimeout, time.Minute)
		expect("woken before", start.Add(time.Hour), errWoken, time.Minute)
		expect("not woken again", start.Add(2*time.Minute), errTimeout, 2*time.Minute)

		time.AfterFunc(time.Second, ac.wake)
		expect("woken meanwhile", start.Add(time.Hour), errWoken, 2*time.Minute+time.Second)

		if err := ac.send(probeOf(false, 1, 8, nil, 1, false).request(1)); err != nil {
			t.Error(err)
		}
		expect("silence does not end a wait", start.Add(3*time.Minute), errTimeout, 3*time.Minute)
	})
}

// TestAPIShortBuffer reads into less than a message needs.
func TestAPIShortBuffer(t *testing.T) {
	for n := range 20 {
		synctest.Test(t, func(t *testing.T) {
			ac := newAPIConn(Config{}.withDefaults(), &fakeAPI{answer: echoAfter(0)})
			defer ac.close()
			if err := ac.send(probeOf(false, 1, 8, nil, 1, false).request(1)); err != nil {
				t.Fatal(err)
			}
			var p packet
			err := ac.recv(&p, make([]byte, n), time.Now().Add(time.Second))
			if err != nil || len(p.msg) != min(n, 16) {
				t.Errorf("%d bytes, %v, want %d", len(p.msg), err, min(n, 16))
			}
		})
	}
}

// TestAPICancel ends a run whose probe is in flight: Run and Close return at once, the call ends when it may.
func TestAPICancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeAPI{answer: silentFor(20 * time.Second)}
		c := Config{Timeout: 10 * time.Second, Interval: time.Minute}.withDefaults()
		p := &Pinger{config: c, conn: newAPIConn(c, f)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := p.Run(ctx, func(Event) {}); err != context.DeadlineExceeded || time.Since(start) != time.Second {
			t.Errorf("Run: %v after %v", err, time.Since(start))
		}
		if err := p.Close(); err != nil || time.Since(start) != time.Second+closeWait || f.closed.Load() {
			t.Errorf("Close: %v after %v, handle closed: %v", err, time.Since(start), f.closed.Load())
		}
		time.Sleep(time.Minute)
		if !f.closed.Load() || f.running.Load() != 0 {
			t.Errorf("after the call: handle closed: %v, %d calls", f.closed.Load(), f.running.Load())
		}
	})
}

func TestWindowsUnsupported(t *testing.T) {
	for name, c := range map[string]Config{
		"raw":                  {Socket: SocketRaw},
		"interface":            {Interface: "lo"},
		"discover":             {PathMTU: PathMTUWant},
		"probe":                {PathMTU: PathMTUProbe},
		"IPv6, don't fragment": {Address: loopback6, PathMTU: PathMTUDo},
	} {
		t.Run(name, func(t *testing.T) {
			if p, err := Open(c); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("got %v and %v, want %v", p, err, errors.ErrUnsupported)
			}
		})
	}
}

// TestWindowsNotAssigned asks addresses that are on no host (RFC 5737, RFC 3849). Open refuses them; nothing is sent.
func TestWindowsNotAssigned(t *testing.T) {
	nowhere := netip.MustParseAddr("198.51.100.1")
	for name, c := range map[string]Config{
		"target":      {Address: nowhere},
		"source":      {Source: nowhere},
		"IPv6 target": {Address: netip.MustParseAddr("2001:db8::1")},
		"IPv6 source": {Address: loopback6, Source: netip.MustParseAddr("2001:db8::1")},
	} {
		t.Run(name, func(t *testing.T) {
			if underWine() && !c.Address.Is6() {
				t.Skip("wine binds a socket to any IPv4 address")
			}
			p, err := Open(c)
			var failure *OpenError
			if !errors.As(err, &failure) {
				t.Fatalf("got %v and %v, want an *OpenError", p, err)
			}
			if e := failure.Dgram; !errors.Is(e, syscall.EADDRNOTAVAIL) && !errors.Is(e, syscall.EAFNOSUPPORT) {
				t.Errorf("%v, want that the address is not available", failure)
			}
		})
	}
}
