package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
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
	x.answer = f.answer(x.msg[HeaderLen:], x.buf)
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

// playAPI sends count messages over a fake API, so long after each other, and returns what came back.
func playAPI(t *testing.T, c Config, f *fakeAPI, count int, interval time.Duration) []Packet {
	t.Helper()
	c = c.WithDefaults()
	ic := newICMPConn(c, f)
	var packets []Packet
	read := func(until time.Time) {
		for {
			var p Packet
			if err := ic.Recv(&p, make([]byte, HeaderLen+c.Size+100), until); err != nil {
				if err != ErrTimeout {
					t.Errorf("Recv: %v", err)
				}
				return
			}
			packets = append(packets, p)
		}
	}
	for seq := range count {
		if err := ic.Send(request(c.Address, 1, uint16(seq+1), c.Size)); err != nil {
			t.Errorf("Send: %v", err)
		}
		read(time.Now().Add(interval))
	}
	read(time.Now().Add(time.Second))
	if err := ic.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	time.Sleep(time.Minute) // the calls that Close left
	if !f.closed.Load() {
		t.Error("the handle is open after Close")
	}
	return packets
}

// seqs are the sequence numbers of packets.
func seqs(packets []Packet) (list []uint16) {
	for _, p := range packets {
		list = append(list, binary.BigEndian.Uint16(p.Msg[6:]))
	}
	return list
}

func TestAPIReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		packets := playAPI(t, Config{Size: 56}, &fakeAPI{answer: echoAfter(ms)}, 3, 50*ms)
		if got := seqs(packets); !slices.Equal(got, []uint16{1, 2, 3}) {
			t.Fatalf("replies %v, want 1 to 3", got)
		}
		p := packets[0]
		if !bytes.Equal(p.Msg, replyTo(request(loopback4, 1, 1, 56))) || p.TTL != 128 || p.From != loopback4 {
			t.Errorf("reply %+v", p)
		}
		if p.RTT != 123*time.Microsecond {
			t.Errorf("RTT %v, want that of the API", p.RTT)
		}
	})
}

func TestAPISilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeAPI{answer: silentFor(200 * ms)}
		if packets := playAPI(t, Config{Timeout: 100 * ms}, f, 3, 50*ms); len(packets) > 0 {
			t.Errorf("got %+v", packets)
		}
	})
}

func TestAPILate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := true
		f := &fakeAPI{answer: func(data, buf []byte) answer {
			if slow {
				slow = false
				return echoAfter(120*ms)(data, buf)
			}
			return echoAfter(ms)(data, buf)
		}}
		packets := playAPI(t, Config{Size: 8, Timeout: 100 * ms}, f, 5, 50*ms)
		if got := seqs(packets); !slices.Equal(got, []uint16{2, 3, 1, 4, 5}) {
			t.Errorf("replies %v", got)
		}
	})
}

// TestAPICorrupt: the data is handed over as it came, to the last byte, and in its length.
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
				packets := playAPI(t, Config{Size: 1000}, f, 1, 0)
				want := edit(replyTo(request(loopback4, 1, 1, 1000)))
				if len(packets) != 1 || !bytes.Equal(packets[0].Msg, want) {
					t.Errorf("got %+v, want % x", packets, want)
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
		{"host unreachable, local", Config{}, answer{status: ipDestHostUnreachable}, Fault{Errno: syscall.EHOSTUNREACH}, netip.Addr{}},
		{"prohibited", Config{Address: loopback6}, answer{status: ipDestProtUnreachable, answered: true, from: loopback6},
			Fault{Errno: syscall.EACCES, ICMP: true, Type: 1, Code: 1}, loopback6},
		{"general failure", Config{}, answer{status: ipGeneralFailure}, Fault{Errno: syscall.EIO}, netip.Addr{}},
		{"parameter", Config{}, answer{status: uint32(windows.ERROR_INVALID_PARAMETER)}, Fault{Errno: syscall.EINVAL}, netip.Addr{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.c.Size = 56
				packets := playAPI(t, tt.c, &fakeAPI{answer: func(_, _ []byte) answer { return tt.answer }}, 2, 50*ms)
				if got := seqs(packets); !slices.Equal(got, []uint16{1, 2}) {
					t.Fatalf("reports about %v, want 1 and 2", got)
				}
				if p := packets[0]; p.Fault != tt.want || p.From != tt.from {
					t.Errorf("got %+v, want fault %+v from %v", p, tt.want, tt.from)
				}
			})
		})
	}
}

// TestAPIBound sends more than may be on its way at once.
func TestAPIBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeAPI{answer: echoAfter(30 * ms)}
		if n := len(playAPI(t, Config{}, f, 3*maxCalls+1, 0)); n != 3*maxCalls+1 {
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
		ic := newICMPConn(Config{}.WithDefaults(), &fakeAPI{answer: silentFor(time.Hour)})
		msg := request(loopback4, 1, 1, 8)
		for i := range maxCalls {
			if err := ic.Send(msg); err != nil {
				t.Fatalf("send %d: %v", i, err)
			}
		}
		start := time.Now()
		if err := ic.Send(msg); !errors.Is(err, syscall.ENOBUFS) || time.Since(start) != sendWait {
			t.Errorf("got %v after %v, want ENOBUFS after %v", err, time.Since(start), sendWait)
		}
		ic.Close()
		time.Sleep(2 * time.Hour)
	})
}

func TestAPIRecv(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ic := newICMPConn(Config{}.WithDefaults(), &fakeAPI{answer: silentFor(time.Second)})
		defer ic.Close()
		b := make([]byte, 100)
		start := time.Now()
		expect := func(what string, until time.Time, want error, after time.Duration) {
			t.Helper()
			if err := ic.Recv(new(Packet), b, until); err != want || time.Since(start) != after {
				t.Errorf("%s: %v after %v, want %v after %v", what, err, time.Since(start), want, after)
			}
		}
		expect("without waiting", time.Time{}, ErrTimeout, 0)
		expect("past", start.Add(-time.Hour), ErrTimeout, 0)
		expect("future", start.Add(time.Minute), ErrTimeout, time.Minute)

		ic.Wake()
		ic.Wake() // two before the wait are one
		expect("without waiting, woken", time.Time{}, ErrTimeout, time.Minute)
		expect("woken before", start.Add(time.Hour), ErrWoken, time.Minute)
		expect("not woken again", start.Add(2*time.Minute), ErrTimeout, 2*time.Minute)

		time.AfterFunc(time.Second, ic.Wake)
		expect("woken meanwhile", start.Add(time.Hour), ErrWoken, 2*time.Minute+time.Second)

		if err := ic.Send(request(loopback4, 1, 1, 8)); err != nil {
			t.Error(err)
		}
		expect("silence does not end a wait", start.Add(3*time.Minute), ErrTimeout, 3*time.Minute)
	})
}

// TestAPIShortBuffer reads into less than a message needs.
func TestAPIShortBuffer(t *testing.T) {
	for n := range 20 {
		synctest.Test(t, func(t *testing.T) {
			ic := newICMPConn(Config{}.WithDefaults(), &fakeAPI{answer: echoAfter(0)})
			defer ic.Close()
			if err := ic.Send(request(loopback4, 1, 1, 8)); err != nil {
				t.Fatal(err)
			}
			var p Packet
			err := ic.Recv(&p, make([]byte, n), time.Now().Add(time.Second))
			if err != nil || len(p.Msg) != min(n, 16) {
				t.Errorf("%d bytes, %v, want %d", len(p.Msg), err, min(n, 16))
			}
		})
	}
}

// TestAPIClose closes with a request on its way: Close waits a little, and the call ends when it may.
func TestAPIClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeAPI{answer: silentFor(20 * time.Second)}
		ic := newICMPConn(Config{Timeout: 10 * time.Second}.WithDefaults(), f)
		if err := ic.Send(request(loopback4, 1, 1, 8)); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := ic.Close(); err != nil || time.Since(start) != closeWait || f.closed.Load() {
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
			if _, s, err := Open(c); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("got %+v and %v, want %v", s, err, errors.ErrUnsupported)
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
			_, s, err := Open(c)
			var failure *OpenError
			if !errors.As(err, &failure) {
				t.Fatalf("got %+v and %v, want an *OpenError", s, err)
			}
			if e := failure.Dgram; !errors.Is(e, syscall.EADDRNOTAVAIL) && !errors.Is(e, syscall.EAFNOSUPPORT) {
				t.Errorf("%v, want that the address is not available", failure)
			}
		})
	}
}
