package ping

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lping/ping/transport"
)

// udpService answers each datagram on the target's address with what answer gives, and returns its port.
func udpService(t *testing.T, address netip.Addr, answer func(request []byte) [][]byte) uint16 {
	t.Helper()
	socket := listenUDP(t, address)
	done := make(chan struct{})
	t.Cleanup(func() {
		socket.Close()
		<-done
	})
	go func() {
		defer close(done)
		b := make([]byte, 1<<16)
		for {
			n, from, err := socket.ReadFromUDPAddrPort(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				for _, word := range answer(b[:n]) {
					socket.WriteToUDPAddrPort(word, from)
				}
			}
		}
	}()
	return portOf(socket.LocalAddr())
}

// udpKinds are the kinds of MethodUDP.
func udpKinds() []methodKind { return kindsOf(MethodUDP) }

// listenUDP opens a socket on an address and a port that the system chooses.
func listenUDP(t testing.TB, address netip.Addr) *net.UDPConn {
	t.Helper()
	needAddress(t, address)
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(address, 0)))
	if err != nil {
		t.Fatal(err)
	}
	return socket
}

// listenTCP opens a listener in the same way.
func listenTCP(t testing.TB, address netip.Addr) *net.TCPListener {
	t.Helper()
	needAddress(t, address)
	listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(address, 0)))
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// portOf is the port of a local address.
func portOf(a net.Addr) uint16 {
	if a, ok := a.(*net.TCPAddr); ok {
		return a.AddrPort().Port()
	}
	return a.(*net.UDPAddr).AddrPort().Port()
}

// TestUDPService: any answer counts, whatever it holds and however long it is.
func TestUDPService(t *testing.T) {
	for _, k := range udpKinds() {
		for name, word := range map[string][]byte{
			"nothing": {}, "a byte": {7}, "a word": []byte("pong"), "much": bytes.Repeat([]byte("all "), 2000),
		} {
			t.Run(k.String()+"/"+name, func(t *testing.T) {
				port := udpService(t, k.address, func([]byte) [][]byte { return [][]byte{word} })
				p := k.open(t, Config{Transport: Transport{Port: port, Size: 56, Timeout: longEnough}, Count: 5, Interval: ms})
				events := history(t, p)
				wantReplies(t, events, 5)
				if s := p.Socket(); s.Port != port || s.Method != MethodUDP {
					t.Errorf("%+v", s)
				}
				if last := events[len(events)-1]; last.Bytes != len(word) || last.From != k.address {
					t.Errorf("%d bytes from %v, want %d", last.Bytes, last.From, len(word))
				}
			})
		}
	}
}

// TestUDPServiceEcho: an echo (RFC 862) sends the request itself back.
func TestUDPServiceEcho(t *testing.T) {
	for _, k := range udpKinds() {
		t.Run(k.String(), func(t *testing.T) {
			requests := make(chan []byte, 100)
			port := udpService(t, k.address, func(request []byte) [][]byte {
				requests <- bytes.Clone(request)
				return [][]byte{request}
			})
			p := k.open(t, Config{Transport: Transport{Port: port, Size: 20, Timeout: longEnough}, Count: 100, Flood: true,
				Pattern: []byte{0xaa}})
			wantReplies(t, history(t, p), 100)
			for range 100 {
				got := <-requests
				if len(got) != headerLen+20 || !bytes.Equal(got[headerLen+nonceLen:], bytes.Repeat([]byte{0xaa}, 12)) {
					t.Errorf("got %x", got)
				}
			}
		})
	}
}

// TestUDPServiceWords: a second answer to a probe is no duplicate, and answers no other.
func TestUDPServiceWords(t *testing.T) {
	for _, k := range udpKinds() {
		t.Run(k.String(), func(t *testing.T) {
			port := udpService(t, k.address, func([]byte) [][]byte { return [][]byte{{1}, {2}} })
			p := k.open(t, Config{Transport: Transport{Port: port, Timeout: longEnough}, Count: 3, Interval: 20 * ms})
			l := tallyOf(t, history(t, p))
			// The second word to the last probe may come when the run is over.
			if l.received != 3 || l.duplicates != 0 || l.foreign < 2 || l.foreign > 3 {
				t.Error(l.sums())
			}
		})
	}
}

// TestUDPSilence: silence is a timeout, and an answer after it is late.
func TestUDPSilence(t *testing.T) {
	for _, k := range udpKinds() {
		t.Run(k.String(), func(t *testing.T) {
			n := 0
			port := udpService(t, k.address, func([]byte) [][]byte {
				if n++; n < 3 {
					return nil
				}
				return [][]byte{{1}}
			})
			p := k.open(t, Config{Transport: Transport{Port: port, Timeout: 100 * ms}, Count: 3, Interval: 10 * ms})
			l := tallyOf(t, history(t, p))
			if l.lost != 2 || l.received+l.late+l.lost != 3 {
				t.Error(l.sums())
			}
		})
	}
}

// freePort is a port of the address that nobody has; its socket is closed.
func freePort(t *testing.T, k methodKind) uint16 {
	t.Helper()
	if k.method == MethodUDP {
		s := listenUDP(t, k.address)
		defer s.Close()
		return portOf(s.LocalAddr())
	}
	s := listenTCP(t, k.address)
	defer s.Close()
	return portOf(s.Addr())
}

// TestRefused: where nobody listens each probe is refused, at once and whatever the pace.
func TestRefused(t *testing.T) {
	for _, k := range methodKinds() {
		t.Run(k.String(), func(t *testing.T) {
			for _, c := range []Config{{Interval: ms}, {Flood: true}, {Preload: 5}, {Adaptive: true}} {
				c.Port, c.Count, c.Size, c.Timeout = freePort(t, k), 5, 56, longEnough
				if k.method == MethodTCP || native {
					wantFaults(t, history(t, k.open(t, c)), 5, syscall.ECONNREFUSED)
					continue
				}
				c.Timeout = 50 * ms // of many reports at once the system keeps one
				if l := tallyOf(t, history(t, k.open(t, c))); l.sendErrors == 0 || l.sendErrors+l.lost != 5 {
					t.Error(l.sums())
				}
			}
		})
	}
}

// tcpService accepts connections on the target's address, gives each to handle, and returns its port.
func tcpService(t *testing.T, address netip.Addr, handle func(far *net.TCPConn)) uint16 {
	t.Helper()
	listener := listenTCP(t, address)
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
	for _, k := range kindsOf(MethodTCP) {
		t.Run(k.String(), func(t *testing.T) {
			port := tcpService(t, k.address, func(far *net.TCPConn) { far.Close() })
			c := Config{Transport: Transport{Proto: ProtoTCP, Port: port, Size: 56, Timeout: longEnough}, Count: 50, Interval: ms}
			p := k.open(t, c)
			wantReplies(t, history(t, p), 50)
			if s := p.Socket(); s.Port != port || s.Method != MethodTCP {
				t.Errorf("%+v", s)
			}
		})
	}
}

// fullBacklog is a port whose listener takes no more connections.
func fullBacklog(t *testing.T, address netip.Addr) uint16 {
	t.Helper()
	listener := listenTCP(t, address)
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
	for _, k := range kindsOf(MethodTCP) {
		t.Run(k.String(), func(t *testing.T) {
			p := k.open(t, Config{Transport: Transport{Port: fullBacklog(t, k.address), Timeout: 50 * ms}, Count: 3, Interval: 10 * ms})
			l := tallyOf(t, history(t, p))
			if l.sent != 3 || l.lost != 3 {
				t.Error(l.sums())
			}
		})
	}
}

// TestTCPUnderway: no more connections than 128 are under way at once; what is beyond waits, and room comes with the timeouts.
func TestTCPUnderway(t *testing.T) {
	for _, k := range kindsOf(MethodTCP) {
		t.Run(k.String(), func(t *testing.T) {
			const more, most = 10, 128
			c := Config{Transport: Transport{Port: fullBacklog(t, k.address), Timeout: 600 * ms}, Count: most + more, Preload: most + more}
			p := k.open(t, c)
			events := history(t, p)
			inFlight := 0
			for _, e := range events {
				inFlight = max(inFlight, e.InFlight)
			}
			if l := tallyOf(t, events); l.lost != most+more || inFlight != most {
				t.Errorf("%s; %d in flight at once", l.sums(), inFlight)
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
	for _, k := range kindsOf(MethodTCP) {
		t.Run(k.String(), func(t *testing.T) {
			p, err := k.tryOpen(Config{Transport: Transport{Port: fullBacklog(t, k.address), Timeout: time.Hour}, Preload: 5, Interval: time.Hour})
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

// opaque brings a word of a service after each delay.
func opaque(delays ...time.Duration) script {
	return func(f *fakeConn, _ attempt) error {
		for _, d := range delays {
			f.deliver(d, arrival{packet: transport.Packet{Msg: []byte("some words"), From: f.sock.Local, Opaque: true}})
		}
		return nil
	}
}

// unnamed brings a report that quotes nothing.
func unnamed(d time.Duration) script {
	return func(f *fakeConn, _ attempt) error {
		fault := Fault{Errno: syscall.ECONNREFUSED}
		f.deliver(d, arrival{packet: transport.Packet{From: f.sock.Local, Opaque: true, Fault: fault}})
		return nil
	}
}

// sendsBack is a service that is an echo, some time later.
func sendsBack(d time.Duration) script {
	return func(f *fakeConn, a attempt) error {
		f.deliver(d, arrival{packet: transport.Packet{Msg: a.msg, From: f.sock.Local, Opaque: true}})
		return nil
	}
}

// TestOpaque: a word of a service answers the probe that it quotes, or else the oldest in flight.
func TestOpaque(t *testing.T) {
	one := Config{Transport: Transport{Size: 56}, Count: 1}
	expectAll(t, []runCase{
		{"at once", one, opaque(0), "0s sent 1\n0s reply 1 rtt=0s\n0s end"},
		{"later", one, opaque(ms), "0s sent 1\n1ms reply 1 rtt=1ms\n1ms end"},
		{"twice", Config{Transport: Transport{Size: 56}, Count: 2}, inTurn(opaque(ms, 2*ms), opaque(0)), `
			0s sent 1
			1ms reply 1 rtt=1ms
			2ms foreign 0
			50ms sent 2
			50ms reply 2 rtt=0s
			50ms end`},
		{"after the timeout", Config{Transport: Transport{Size: 56, Timeout: 10 * ms}, Count: 2}, inTurn(opaque(20*ms), opaque(0)), `
			0s sent 1
			10ms timeout 1
			20ms late 1 rtt=20ms
			50ms sent 2
			50ms reply 2 rtt=0s
			50ms end`},
		{"a slow echo, each to its probe", Config{Transport: Transport{Size: 56, Timeout: 100 * ms}, Count: 3},
			inTurn(sendsBack(90*ms), sendsBack(10*ms), sendsBack(110*ms)), `
			0s sent 1
			50ms no-answer 1
			50ms sent 2
			60ms reply 2 rtt=10ms
			90ms reply 1 rtt=90ms
			100ms sent 3
			200ms timeout 3
			200ms end`},
		{"the oldest first", Config{Transport: Transport{Size: 56}, Count: 3, Preload: 3}, inTurn(silence, silence, opaque(ms,
			2*ms, 3*ms)), `
			0s sent 1
			0s no-answer 1
			0s sent 2
			0s no-answer 2
			0s sent 3
			1ms reply 1 rtt=1ms
			2ms reply 2 rtt=2ms
			3ms reply 3 rtt=3ms
			3ms end`},
		{"one answers for the other", Config{Transport: Transport{Size: 56, Timeout: 30 * ms}, Count: 2, Interval: 20 * ms},
			inTurn(silence, opaque(ms, 15*ms)), `
			0s sent 1
			20ms no-answer 1
			20ms sent 2
			21ms reply 1 rtt=21ms
			35ms reply 2 rtt=15ms
			35ms end`},
		{"refused, no word of whom", Config{Transport: Transport{Size: 56}, Count: 2, Preload: 2},
			inTurn(silence, all(unnamed(ms), unnamed(2*ms), unnamed(3*ms))), `
			0s sent 1
			0s no-answer 1
			0s sent 2
			1ms error 1 ECONNREFUSED
			2ms error 2 ECONNREFUSED
			2ms end`},
		{"refused, then a word", one, all(reports(0, asIs), opaque(0)), `
			0s sent 1
			0s error 1 ECONNREFUSED
			0s foreign 0
			0s end`},
	})
}

// TestOpaqueFields: the answer is told as it came.
func TestOpaqueFields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t.Context(), Config{Transport: Transport{Size: 56}, Count: 1}, func(f *fakeConn, _ attempt) error {
			f.deliver(0, arrival{packet: transport.Packet{Msg: []byte("yes"), From: loopback4, TTL: 64, Opaque: true}})
			return nil
		})
		got := p.events[len(p.events)-1]
		want := Event{Kind: Reply, Seq: 1, Time: p.start, From: loopback4, TTL: 64, Bytes: 3, Ident: fakeIdent}
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}
