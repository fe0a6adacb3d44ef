package ping

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// tcpService accepts connections on the target's address, gives each to handle, and returns its port.
func tcpService(t *testing.T, address netip.Addr, handle func(far *net.TCPConn)) uint16 {
	t.Helper()
	needAddress(t, address)
	listener, err := listenNetTCP(Config{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			far, err := listener.AcceptTCP()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				handle(far)
			}
		}
	}()
	return portOf(listener.Addr())
}

// TestTCPService: a connection that stands is an answer, whatever the service makes of it.
func TestTCPService(t *testing.T) {
	for _, k := range kindsOf(MethodConnect) {
		t.Run(k.String(), func(t *testing.T) {
			port := tcpService(t, k.address, func(far *net.TCPConn) { far.Close() })
			c := Config{Proto: ProtoTCP, Port: port, Count: 50, Size: 56, Interval: ms, Timeout: longEnough}
			p := k.open(t, c)
			wantReplies(t, history(t, p), 50)
			if s := p.Socket(); s.Port != port || s.Method != MethodConnect {
				t.Errorf("%+v", s)
			}
		})
	}
}

// fullBacklog is a port whose listener takes no more connections.
func fullBacklog(t *testing.T, address netip.Addr) uint16 {
	t.Helper()
	needAddress(t, address)
	listener, err := listenNetTCP(Config{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	if err := shrinkBacklog(listener); err != nil {
		t.Fatal(err)
	}
	for range 64 {
		client, err := net.DialTimeout("tcp", listener.Addr().String(), 100*ms)
		if err != nil {
			return portOf(listener.Addr())
		}
		t.Cleanup(func() { client.Close() })
	}
	t.Skip("a listener of this system takes any number of connections")
	return 0
}

// TestTCPBacklog: where nobody accepts, the connection neither stands nor is refused: it is lost.
func TestTCPBacklog(t *testing.T) {
	for _, k := range kindsOf(MethodConnect) {
		t.Run(k.String(), func(t *testing.T) {
			p := k.open(t, Config{Port: fullBacklog(t, k.address), Count: 3, Interval: 10 * ms, Timeout: 50 * ms})
			l := tallyOf(t, history(t, p))
			if l.sent != 3 || l.lost != 3 {
				t.Error(l.sums())
			}
		})
	}
}

// TestTCPUnderway: no more connections than maxConnects are under way at once; what is beyond is refused, as by a full
// queue, and room comes with the timeouts.
func TestTCPUnderway(t *testing.T) {
	for _, k := range kindsOf(MethodConnect) {
		t.Run(k.String(), func(t *testing.T) {
			const more = 10
			c := Config{Port: fullBacklog(t, k.address), Count: maxConnects + more, Preload: maxConnects + more, Timeout: 600 * ms}
			p := k.open(t, c)
			l := tallyOf(t, history(t, p))
			if l.sent != maxConnects+more || l.sendErrors != more || l.lost != maxConnects {
				t.Error(l.sums())
			}
			if !k.native() {
				return // it makes room a second after the timeout
			}
			c.Count = more
			p.config.Count, p.config.Preload = more, more
			if l := tallyOf(t, history(t, p)); l.lost != more {
				t.Errorf("after the timeout: %d of %d lost, %d send errors", l.lost, more, l.sendErrors)
			}
		})
	}
}

// TestTCPCancelUnderway: connections that neither stand nor fail do not hold up a cancel or a close.
func TestTCPCancelUnderway(t *testing.T) {
	for _, k := range kindsOf(MethodConnect) {
		t.Run(k.String(), func(t *testing.T) {
			p, err := k.tryOpen(Config{Port: fullBacklog(t, k.address), Preload: 5, Interval: time.Hour, Timeout: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*ms)
			defer cancel()
			start, l := time.Now(), newLedger()
			if err := p.Run(ctx, l.take); err != context.DeadlineExceeded {
				t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
			}
			p.Close()
			if took := time.Since(start); took > longEnough || l.inFlight != 5 {
				t.Errorf("after %v: %d sent, %d in flight", took, l.sent, l.inFlight)
			}
		})
	}
}

// overStream is a run whose far end is handle's.
func overStream(t *testing.T, k methodKind, c Config, handle func(far *net.TCPConn, message int)) *Pinger {
	t.Helper()
	c = k.of(c).withDefaults()
	ends := make(chan *net.TCPConn, 1)
	port := tcpService(t, k.address, func(far *net.TCPConn) { ends <- far })
	client, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(netip.AddrPortFrom(k.address, port)))
	if err != nil {
		t.Fatal(err)
	}
	far := <-ends
	done := make(chan struct{})
	go func() {
		defer close(done)
		handle(far, headerLen+c.Size)
	}()
	p := &Pinger{config: c, conn: streamOver(t, k, c, client)}
	t.Cleanup(func() {
		p.Close()
		far.Close()
		<-done
	})
	return p
}

// streamOver is the conn of MethodTCP over a connection to somebody else.
func streamOver(t *testing.T, k methodKind, c Config, client *net.TCPConn) conn {
	t.Helper()
	port := portOf(client.RemoteAddr())
	if !k.portable {
		return nativeStream(t, c, client, port)
	}
	tc := newTCPConn(c, port)
	tc.keep(client)
	close(tc.ready)
	tc.workers.Go(func() { tc.carry(client) })
	return tc
}

// serveStream reads messages and writes what answer makes of each; nil ends it. It leaves the connection open.
func serveStream(answer func(n int, reply []byte) []byte) func(*net.TCPConn, int) {
	return func(far *net.TCPConn, length int) {
		b := make([]byte, length)
		for n := 1; ; n++ {
			if _, err := io.ReadFull(far, b); err != nil {
				return
			}
			reply := answer(n, replyTo(b))
			if reply == nil {
				return
			}
			if _, err := far.Write(reply); err != nil {
				return
			}
		}
	}
}

// onEachStream runs a test for each kind of MethodTCP.
func onEachStream(t *testing.T, test func(t *testing.T, k methodKind)) {
	for _, k := range kindsOf(MethodTCP) {
		t.Run(k.String(), func(t *testing.T) { test(t, k) })
	}
}

// TestStreamHonest: the far end of the tests does what our own does.
func TestStreamHonest(t *testing.T) {
	onEachStream(t, func(t *testing.T, k methodKind) {
		for _, size := range []int{0, 56, MaxSizeTCP} {
			c := Config{Count: 20, Size: size, Preload: 4, Flood: true, Timeout: longEnough}
			p := overStream(t, k, c, serveStream(func(_ int, reply []byte) []byte { return reply }))
			wantReplies(t, history(t, p), 20)
		}
	})
}

// TestStreamCloses: what is in flight when the far end closes or resets fails, and so does every later probe; the run
// ends by its own rules.
func TestStreamCloses(t *testing.T) {
	for name, want := range map[string]syscall.Errno{"closes": syscall.EPIPE, "resets": syscall.ECONNRESET} {
		t.Run(name, func(t *testing.T) {
			onEachStream(t, func(t *testing.T, k methodKind) {
				c := Config{Count: 6, Size: 56, Interval: 5 * ms, Timeout: longEnough}
				p := overStream(t, k, c, func(far *net.TCPConn, length int) {
					serveStream(func(n int, reply []byte) []byte {
						if n == 3 {
							return nil
						}
						return reply
					})(far, length)
					if name == "closes" { // and hears out the client, or the system would make it a reset
						far.CloseWrite()
						io.Copy(io.Discard, far)
					}
					far.SetLinger(0)
					far.Close()
				})
				start := time.Now()
				events := history(t, p)
				l := tallyOf(t, events)
				if l.received != 2 || l.sendErrors != 4 {
					t.Error(l.sums())
				}
				if took := time.Since(start); took < 25*ms {
					t.Errorf("the run took %v: it did not keep its pace", took)
				}
				for _, e := range events {
					if e.Kind == SendError && e.Fault.Errno != want && runtime.GOOS == "linux" {
						t.Errorf("probe %d: %v, want %v", e.Seq, e.Fault.Errno, want)
					}
				}
			})
		})
	}
}

// TestStreamFloodAfterEnd: a flood over a connection that is gone does not spin.
func TestStreamFloodAfterEnd(t *testing.T) {
	onEachStream(t, func(t *testing.T, k methodKind) {
		p := overStream(t, k, Config{Count: 8, Size: 56, Flood: true, Timeout: longEnough},
			func(far *net.TCPConn, _ int) { far.Close() })
		start := time.Now()
		l := tallyOf(t, history(t, p))
		if took := time.Since(start); l.sendErrors != 8 || took < 60*ms {
			t.Errorf("after %v: %s", took, l.sums())
		}
	})
}

// TestStreamStalls: a far end that reads no more takes what the queues hold, and then each probe is refused.
func TestStreamStalls(t *testing.T) {
	onEachStream(t, func(t *testing.T, k methodKind) {
		release := make(chan struct{})
		c := Config{Count: 300, Size: MaxSizeTCP, Preload: 300, Timeout: 100 * ms}
		p := overStream(t, k, c, func(*net.TCPConn, int) { <-release })
		defer close(release)
		l := tallyOf(t, history(t, p))
		if l.received != 0 || l.lost == 0 || l.sendErrors == 0 || l.lost+l.sendErrors != 300 {
			t.Error(l.sums())
		}
	})
}

// TestStreamLate: an answer that comes in pieces and after its timeout is late, and those behind it keep their order.
func TestStreamLate(t *testing.T) {
	onEachStream(t, func(t *testing.T, k methodKind) {
		var held []byte
		c := Config{Count: 3, Size: 56, Interval: 100 * ms, Timeout: 30 * ms}
		p := overStream(t, k, c, serveStream(func(n int, reply []byte) []byte {
			if n == 1 {
				held = bytes.Clone(reply[10:])
				return reply[:10]
			}
			reply = append(held, reply...)
			held = nil
			return reply
		}))
		l := tallyOf(t, history(t, p))
		if l.class[1] != Late || l.foreign != 0 || l.corrupted != 0 || l.received+l.late+l.lost != 3 {
			t.Errorf("the first is %v; %s", l.class[1], l.sums())
		}
	})
}

// TestStreamFlips: a byte that comes back changed is told with its place.
func TestStreamFlips(t *testing.T) {
	onEachStream(t, func(t *testing.T, k methodKind) {
		p := overStream(t, k, Config{Count: 3, Size: 56, Interval: ms, Timeout: longEnough},
			serveStream(func(n int, reply []byte) []byte {
				if n == 2 {
					reply[headerLen+40] ^= 1
				}
				return reply
			}))
		events := history(t, p)
		l := tallyOf(t, events)
		if l.received != 2 || l.corrupted != 1 {
			t.Error(l.sums())
		}
		for _, e := range events {
			want := Mismatch{Offset: 40, Want: 40, Got: 41, WantLen: 56, GotLen: 56}
			if e.Kind == Corrupt && (e.Seq != 2 || e.Wrong != want) {
				t.Errorf("probe %d: %+v, want %+v", e.Seq, e.Wrong, want)
			}
		}
	})
}

// TestStreamSurplus: more than was sent cannot be told apart from what follows, so the connection is given up.
func TestStreamSurplus(t *testing.T) {
	onEachStream(t, func(t *testing.T, k methodKind) {
		for _, surplus := range []int{1, 100} {
			p := overStream(t, k, Config{Count: 4, Size: 56, Interval: 20 * ms, Timeout: longEnough},
				serveStream(func(n int, reply []byte) []byte {
					if n == 2 {
						return append(reply, make([]byte, surplus)...)
					}
					return reply
				}))
			events := history(t, p)
			l := tallyOf(t, events)
			if l.received != 2 || l.sendErrors != 2 {
				t.Errorf("%d bytes more: %s", surplus, l.sums())
			}
			for _, e := range events {
				if e.Kind == SendError && e.Fault.Errno != syscall.EPROTO {
					t.Errorf("%d bytes more: probe %d: %v", surplus, e.Seq, e.Fault.Errno)
				}
			}
		}
	})
}

// TestStreamEcho: our own request that comes back as it is does not pass for a reply: the connection is out of step.
func TestStreamEcho(t *testing.T) {
	onEachStream(t, func(t *testing.T, k methodKind) {
		p := overStream(t, k, Config{Count: 2, Size: 56, Interval: ms, Timeout: longEnough},
			serveStream(func(_ int, reply []byte) []byte {
				reply[0] ^= turnOf(Config{Address: k.address})
				return reply
			}))
		wantFaults(t, history(t, p), 2, syscall.EPROTO)
	})
}

// FuzzStream cuts the answers to requests at any place, and spoils some: each request has one outcome, in order.
func FuzzStream(f *testing.F) {
	f.Add(uint8(0), []byte{1, 8, 200}, false)
	f.Add(uint8(56), []byte{64, 64, 1, 2, 3}, true)
	f.Add(uint8(9), []byte{}, true)
	f.Add(uint8(3), []byte{255, 255, 255, 255}, false)
	f.Fuzz(func(t *testing.T, size uint8, cuts []byte, surplus bool) {
		const count = 5
		c := Config{Address: loopback4, Size: int(size)}
		s := newStream(c)
		probes := probeOf(false, 1, c.Size, nil, 7, false)
		var sent []byte
		for seq := range uint64(count) {
			msg := probes.request(seq + 1)
			if e := s.accept(msg); e != 0 {
				t.Fatal(e)
			}
			sent = append(sent, replyTo(msg)...)
		}
		s.wrote(len(s.unsent))
		if surplus {
			sent = append(sent, 1, 2, 3)
		}
		var got []byte
		b := make([]byte, headerLen+c.Size)
		messages := 0
		for i := 0; len(sent) > 0 && !s.over(); i++ {
			n := len(sent)
			if i < len(cuts) {
				n = min(n, int(cuts[i])+1)
			}
			n = copy(s.room(), sent[:n])
			sent = sent[n:]
			s.read(n)
			for p, ok := s.next(b); ok; p, ok = s.next(b) {
				got = append(got, p.msg...)
				messages++
			}
		}
		if messages != count || len(got) != count*(headerLen+c.Size) || s.over() != surplus {
			t.Fatalf("%d messages, %d bytes, over: %v", messages, len(got), s.over())
		}
		for i := range count {
			want := replyTo(probes.request(uint64(i + 1)))
			if at := i * len(want); !bytes.Equal(got[at:at+len(want)], want) {
				t.Fatalf("message %d: got %x, want %x", i+1, got[at:at+len(want)], want)
			}
		}
	})
}

// TestStreamAccept: what is not written yet is bounded, but one message always fits.
func TestStreamAccept(t *testing.T) {
	s := newStream(Config{Address: loopback4, Size: MaxSizeTCP})
	msg := make([]byte, headerLen+MaxSizeTCP)
	n := 0
	for ; s.accept(msg) == 0; n++ {
	}
	if n != maxUnsent/len(msg) || len(s.unsent) != n*len(msg) || s.waiting.len() != n {
		t.Errorf("%d messages, %d bytes", n, len(s.unsent))
	}
	s.wrote(len(msg) + 1)
	if s.accept(msg) != 0 || s.accept(msg) != syscall.EAGAIN {
		t.Error("room for one message takes none, or two")
	}
	s.end(Fault{Errno: syscall.ECONNRESET})
	s.end(Fault{Errno: syscall.EPIPE})
	if e := s.accept(msg); e != syscall.ECONNRESET {
		t.Errorf("after the end: %v, want %v", e, syscall.ECONNRESET)
	}
	b := make([]byte, len(msg))
	faults := 0
	for p, ok := s.next(b); ok; p, ok = s.next(b) {
		if p.fault.Errno != syscall.ECONNRESET || len(p.msg) != headerLen {
			t.Fatalf("got %+v", p)
		}
		faults++
	}
	if faults != n+1 {
		t.Errorf("%d requests ended, want %d", faults, n+1)
	}
}
