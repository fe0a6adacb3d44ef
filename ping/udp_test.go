package ping

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// udpService answers each datagram on the target's address with what answer gives, and returns its port.
func udpService(t *testing.T, address netip.Addr, answer func(request []byte) [][]byte) uint16 {
	t.Helper()
	needAddress(t, address)
	socket, err := listenNetUDP(Config{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		socket.Close()
		<-done
	})
	go func() {
		defer close(done)
		b := make([]byte, maxDatagram)
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

func kindsOf(methods ...string) (kinds []methodKind) {
	for _, k := range methodKinds() {
		for _, method := range methods {
			if k.method == method {
				kinds = append(kinds, k)
			}
		}
	}
	return kinds
}

// TestUDPService: any answer counts, whatever it holds and however long it is.
func TestUDPService(t *testing.T) {
	for _, k := range udpKinds() {
		for name, word := range map[string][]byte{
			"nothing": {}, "a byte": {7}, "a word": []byte("pong"), "much": bytes.Repeat([]byte("all "), 2000),
		} {
			t.Run(k.String()+"/"+name, func(t *testing.T) {
				port := udpService(t, k.address, func([]byte) [][]byte { return [][]byte{word} })
				p := k.open(t, Config{Port: port, Count: 5, Size: 56, Interval: ms, Timeout: longEnough})
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
			p := k.open(t, Config{Port: port, Count: 100, Size: 20, Flood: true, Pattern: []byte{0xaa}, Timeout: longEnough})
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
			p := k.open(t, Config{Port: port, Count: 3, Interval: 20 * ms, Timeout: longEnough})
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
			p := k.open(t, Config{Port: port, Count: 3, Interval: 10 * ms, Timeout: 100 * ms})
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
	k.need(t)
	if k.method == MethodUDP {
		s, err := listenNetUDP(Config{Address: k.address})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		return portOf(s.LocalAddr())
	}
	s, err := listenNetTCP(Config{Address: k.address})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return portOf(s.Addr())
}

// TestRefused: where nobody listens each probe is refused, at once and whatever the pace.
func TestRefused(t *testing.T) {
	for _, k := range kindsOf(MethodUDP, MethodConnect) {
		t.Run(k.String(), func(t *testing.T) {
			for _, c := range []Config{{Interval: ms}, {Flood: true}, {Preload: 5}, {Adaptive: true}} {
				c.Port, c.Count, c.Size, c.Timeout = freePort(t, k), 5, 56, longEnough
				if k.method == MethodConnect || k.native() {
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

// opaque brings a word of a service after each delay.
func opaque(delays ...time.Duration) script {
	return func(f *fakeConn, _ attempt) error {
		for _, d := range delays {
			f.deliver(d, arrival{packet: packet{msg: []byte("some words"), from: f.sock.Local, opaque: true}})
		}
		return nil
	}
}

// unnamed brings a report that quotes nothing.
func unnamed(d time.Duration) script {
	return func(f *fakeConn, _ attempt) error {
		fault := Fault{Errno: syscall.ECONNREFUSED}
		f.deliver(d, arrival{packet: packet{from: f.sock.Local, opaque: true, fault: fault}})
		return nil
	}
}

// sendsBack is a service that is an echo, some time later.
func sendsBack(d time.Duration) script {
	return func(f *fakeConn, a attempt) error {
		f.deliver(d, arrival{packet: packet{msg: a.msg, from: f.sock.Local, opaque: true}})
		return nil
	}
}

// TestOpaque: a word of a service answers the probe that it quotes, or else the oldest in flight.
func TestOpaque(t *testing.T) {
	one := Config{Count: 1, Size: 56}
	expectAll(t, []runCase{
		{"at once", one, opaque(0), "0s sent 1\n0s reply 1 rtt=0s\n0s end"},
		{"later", one, opaque(ms), "0s sent 1\n1ms reply 1 rtt=1ms\n1ms end"},
		{"twice", Config{Count: 2, Size: 56}, inTurn(opaque(ms, 2*ms), opaque(0)), `
			0s sent 1
			1ms reply 1 rtt=1ms
			2ms foreign 0
			50ms sent 2
			50ms reply 2 rtt=0s
			50ms end`},
		{"after the timeout", Config{Count: 2, Size: 56, Timeout: 10 * ms}, inTurn(opaque(20*ms), opaque(0)), `
			0s sent 1
			10ms timeout 1
			20ms late 1 rtt=20ms
			50ms sent 2
			50ms reply 2 rtt=0s
			50ms end`},
		{"a slow echo, each to its probe", Config{Count: 3, Size: 56, Timeout: 100 * ms},
			inTurn(sendsBack(90*ms), sendsBack(10*ms), sendsBack(110*ms)), `
			0s sent 1
			50ms no-answer 1
			50ms sent 2
			60ms reply 2 rtt=10ms
			90ms reply 1 rtt=90ms
			100ms sent 3
			200ms timeout 3
			200ms end`},
		{"the oldest first", Config{Count: 3, Size: 56, Preload: 3}, inTurn(silence, silence, opaque(ms, 2*ms, 3*ms)), `
			0s sent 1
			0s no-answer 1
			0s sent 2
			0s no-answer 2
			0s sent 3
			1ms reply 1 rtt=1ms
			2ms reply 2 rtt=2ms
			3ms reply 3 rtt=3ms
			3ms end`},
		{"one answers for the other", Config{Count: 2, Size: 56, Interval: 20 * ms, Timeout: 30 * ms},
			inTurn(silence, opaque(ms, 15*ms)), `
			0s sent 1
			20ms no-answer 1
			20ms sent 2
			21ms reply 1 rtt=21ms
			35ms reply 2 rtt=15ms
			35ms end`},
		{"refused, no word of whom", Config{Count: 2, Size: 56, Preload: 2},
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
		p := play(t.Context(), Config{Count: 1, Size: 56}, func(f *fakeConn, _ attempt) error {
			f.deliver(0, arrival{packet: packet{msg: []byte("yes"), from: loopback4, ttl: 64, opaque: true}})
			return nil
		})
		got := p.events[len(p.events)-1]
		want := Event{Kind: Reply, Seq: 1, Time: p.start, From: loopback4, TTL: 64, Bytes: 3, Ident: fakeIdent}
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}
