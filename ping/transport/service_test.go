package transport

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lping/ping/transport/service"
)

// ask sends a message of so many data bytes and gives it, and what came of it.
func ask(t testing.TB, conn Conn, address netip.Addr, ident, seq uint16, size int) (msg []byte, p Packet) {
	t.Helper()
	msg = request(address, ident, seq, size)
	if err := conn.Send(msg); err != nil {
		t.Fatal(err)
	}
	if err := conn.Recv(&p, make([]byte, 1<<16), time.Now().Add(longEnough)); err != nil {
		t.Fatalf("message %d: %v", seq, err)
	}
	return msg, p
}

// failedBy says that an error number is one of those that are meant. They differ on other systems than Linux.
func failedBy(got syscall.Errno, want ...syscall.Errno) bool {
	for _, e := range want {
		if got == e || runtime.GOOS != "linux" && got != 0 && e != 0 {
			return true
		}
	}
	return false
}

// TestUDPServiceEcho: what an echo sends back is the reply, however it was changed; anything else is in a service's own words.
func TestUDPServiceEcho(t *testing.T) {
	const size = 20
	for _, tt := range []struct {
		name   string
		answer func(request []byte) []byte
		opaque bool
	}{
		{"right", func(b []byte) []byte { return b }, false},
		{"changed data", func(b []byte) []byte { b[15] ^= 1; return b }, false},
		{"cut", func(b []byte) []byte { return b[:HeaderLen+3] }, false},
		{"the header alone", func(b []byte) []byte { return b[:HeaderLen] }, false},
		{"longer", func(b []byte) []byte { return append(b, 7, 8, 9) }, false},
		{"less than the header", func(b []byte) []byte { return b[:HeaderLen-1] }, true},
		{"nothing", func(b []byte) []byte { return nil }, true},
		{"a reply", func(b []byte) []byte { return replyTo(b) }, true},
		{"words", func(b []byte) []byte { return []byte("no such command") }, true},
	} {
		for _, address := range []netip.Addr{loopback4, loopback6} {
			for _, echo := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%v/%v", tt.name, address, echo), func(t *testing.T) {
					needAddress(t, address)
					far, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(address, 0)))
					if err != nil {
						t.Fatal(err)
					}
					served := make(chan struct{})
					t.Cleanup(func() { far.Close(); <-served })
					go func() {
						defer close(served)
						b := make([]byte, 1<<16)
						for {
							n, from, err := far.ReadFromUDPAddrPort(b)
							if errors.Is(err, net.ErrClosed) {
								return
							}
							far.WriteToUDPAddrPort(tt.answer(bytes.Clone(b[:n])), from)
						}
					}()
					port := far.LocalAddr().(*net.UDPAddr).AddrPort().Port()
					conn, s := open(t, Config{Address: address, Proto: ProtoUDP, Port: port, Echo: echo, Size: size, Timeout: longEnough})
					for seq := range uint16(3) {
						msg, p := ask(t, conn, address, s.Ident, seq, size)
						want := tt.answer(bytes.Clone(msg))
						if echo && !tt.opaque {
							want = replyTo(want)
						}
						if !bytes.Equal(p.Msg, want) || p.Opaque != (tt.opaque || !echo) || p.Fault != (Fault{}) || p.From != address {
							t.Errorf("got %x, opaque %v, %+v from %v; want %x", p.Msg, p.Opaque, p.Fault, p.From, want)
						}
					}
				})
			}
		}
	}
}

// TestTCPServiceEcho: the same over connections, which close in order.
func TestTCPServiceEcho(t *testing.T) {
	const size = 56
	whole := func(far *net.TCPConn) []byte {
		b := make([]byte, HeaderLen+size)
		io.ReadFull(far, b)
		return b
	}
	says := func(b []byte) func(far *net.TCPConn) {
		return func(far *net.TCPConn) { whole(far); far.Write(b) }
	}
	for _, tt := range []struct {
		name   string
		handle func(far *net.TCPConn)
		edit   func(reply []byte) []byte // nil: there is none
		want   []syscall.Errno
		said   string
	}{
		{"right", func(far *net.TCPConn) { far.Write(whole(far)) }, func(b []byte) []byte { return b }, []syscall.Errno{0}, ""},
		{"in pieces", func(far *net.TCPConn) {
			for _, b := range whole(far) {
				far.Write([]byte{b})
			}
		}, func(b []byte) []byte { return b }, []syscall.Errno{0}, ""},
		{"changed data", func(far *net.TCPConn) { b := whole(far); b[40] ^= 1; far.Write(b) },
			func(b []byte) []byte { b[40] ^= 1; return b }, []syscall.Errno{0}, ""},
		{"one byte more", func(far *net.TCPConn) { far.Write(append(whole(far), 7)) },
			func(b []byte) []byte { return append(b, 7) }, []syscall.Errno{0}, ""},
		{"short, then closed", func(far *net.TCPConn) { far.Write(whole(far)[:30]); far.CloseWrite() },
			func(b []byte) []byte { return b[:30] }, []syscall.Errno{0}, ""},
		{"the header, then closed", func(far *net.TCPConn) { far.Write(whole(far)[:HeaderLen]); far.CloseWrite() },
			func(b []byte) []byte { return b[:HeaderLen] }, []syscall.Errno{0}, ""},
		{"less than the header, then closed", func(far *net.TCPConn) { far.Write(whole(far)[:HeaderLen-1]); far.CloseWrite() },
			nil, []syscall.Errno{syscall.EPIPE}, ""},
		{"closed", func(far *net.TCPConn) { whole(far); far.CloseWrite() }, nil, []syscall.Errno{syscall.EPIPE}, ""},
		{"a reset", func(far *net.TCPConn) { whole(far); far.SetLinger(0); far.Close() }, nil, []syscall.Errno{syscall.ECONNRESET}, ""},
		{"a reset at once", func(far *net.TCPConn) { far.SetLinger(0); far.Close() },
			nil, []syscall.Errno{syscall.ECONNRESET, syscall.EPIPE}, ""},
		{"a reply", func(far *net.TCPConn) { far.Write(replyTo(whole(far))) }, nil, []syscall.Errno{syscall.EPROTO}, "?"},
		{"words", says([]byte("-ERR unknown\x1b command\r\n")), nil, []syscall.Errno{syscall.EPROTO}, "-ERR unknown  command"},
		{"words before anything is asked", func(far *net.TCPConn) { far.Write([]byte("220 hello\r\n")); whole(far) },
			nil, []syscall.Errno{syscall.EPROTO}, "220 hello"},
	} {
		for _, address := range []netip.Addr{loopback4, loopback6} {
			t.Run(tt.name+"/"+address.String(), func(t *testing.T) {
				ends := make(chan error, 3)
				port := farEnd(t, address, func(far *net.TCPConn) {
					tt.handle(far)
					_, err := io.Copy(io.Discard, far)
					ends <- err
				})
				conn, s := open(t, Config{Address: address, Proto: ProtoTCP, Port: port, Echo: true, Size: size, Timeout: longEnough})
				for seq := range uint16(3) {
					msg, p := ask(t, conn, address, s.Ident, seq, size)
					want := msg
					if tt.edit != nil {
						want = tt.edit(replyTo(msg))
					}
					if !bytes.Equal(p.Msg, want) || !failedBy(p.Fault.Errno, tt.want...) {
						t.Errorf("got %x, %v; want %x, %v", p.Msg, p.Fault.Errno, want, tt.want)
					}
					said := ""
					if p.Answer != nil {
						said = p.Answer.Text
					}
					if tt.said == "?" && p.Answer == nil || tt.said != "?" && said != tt.said || p.Opaque {
						t.Errorf("it said %q, want %q; opaque %v", said, tt.said, p.Opaque)
					}
					if tt.edit != nil && (p.Connect <= 0 || p.RTT < p.Connect) {
						t.Errorf("connected after %v of %v", p.Connect, p.RTT)
					}
					if err := <-ends; err != nil && tt.edit != nil {
						t.Errorf("the service got %v, want an end in order", err)
					}
				}
			})
		}
	}
}

// TestTCPHTTP: the status is the answer, and the service sees the request that was configured.
func TestTCPHTTP(t *testing.T) {
	for _, tt := range []struct {
		name, says string
		want       syscall.Errno
		answer     *service.Answer
	}{
		{"healthy", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 0, &service.Answer{Status: 200, Text: "OK"}},
		{"elsewhere", "HTTP/1.1 301 Moved Permanently\r\nLocation: /x\r\n\r\n", 0, &service.Answer{Status: 301, Text: "Moved Permanently"}},
		{"1xx first", "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.0 204\r\n\r\n", 0, &service.Answer{Status: 204}},
		{"ill", "HTTP/1.1 503 Service Unavailable\r\n\r\n", 0, &service.Answer{Status: 503, Text: "Service Unavailable"}},
		{"no HTTP", "220 mail.example ESMTP\r\n", syscall.EPROTO, &service.Answer{Text: "220 mail.example ESMTP"}},
		{"a reset", "reset", syscall.ECONNRESET, nil},
		{"nothing", "", syscall.EPIPE, nil},
		{"1xx alone", "HTTP/1.1 100 Continue\r\n\r\n", syscall.EPIPE, nil},
	} {
		for _, address := range []netip.Addr{loopback4, loopback6} {
			t.Run(tt.name+"/"+address.String(), func(t *testing.T) {
				ends := make(chan error, 3)
				port := farEnd(t, address, func(far *net.TCPConn) {
					asked := bufio.NewReader(far)
					r, err := http.ReadRequest(asked)
					if err != nil || r.Method != "GET" || r.RequestURI != "/live?a=b" || r.Host != "localhost:80" || r.UserAgent() != "lping/0" || !r.Close {
						t.Errorf("asked %+v, %v", r, err)
					}
					if tt.says == "reset" {
						far.SetLinger(0)
						far.Close()
						ends <- nil
						return
					}
					io.WriteString(far, tt.says)
					far.CloseWrite()
					n, err := io.Copy(io.Discard, asked)
					if n > 0 {
						t.Errorf("%d bytes after the request", n)
					}
					ends <- err
				})
				conn, s := open(t, Config{Address: address, Proto: ProtoHTTP, Port: port, Path: "/live?a=b", Host: "localhost:80", Agent: "lping/0", Timeout: longEnough})
				if s.Method != MethodHTTP || s.Port != port {
					t.Errorf("%+v", s)
				}
				for seq := range uint16(3) {
					msg, p := ask(t, conn, address, s.Ident, seq, 0)
					if tt.want == 0 {
						msg = replyTo(msg)
					}
					if !bytes.Equal(p.Msg, msg) || !failedBy(p.Fault.Errno, tt.want) {
						t.Errorf("got %x, %v; want %x, %v", p.Msg, p.Fault.Errno, msg, tt.want)
					}
					if (p.Answer == nil) != (tt.answer == nil) || p.Answer != nil && *p.Answer != *tt.answer {
						t.Errorf("answer %+v, want %+v", p.Answer, tt.answer)
					}
					if p.Connect <= 0 || p.RTT < p.Connect {
						t.Errorf("connected after %v of %v", p.Connect, p.RTT)
					}
					if err := <-ends; err != nil {
						t.Errorf("the service got %v, want an end in order", err)
					}
				}
			})
		}
	}
}

// peers is what the kernel tells of a service with a queue for very many; those connections wait that are not in handled.
type peers struct {
	waiting int
	handled sync.Map
}

func (p *peers) Queue(netip.AddrPort) (waiting, room int, ok bool) { return p.waiting, 1 << 20, true }

func (p *peers) Waits(client, _ netip.AddrPort) (waits, ok bool) {
	_, handled := p.handled.Load(client)
	return !handled, true
}

// TestTCPServiceResets: a connection that is accepted and reset is one and the same answer, whenever the reset comes.
func TestTCPServiceResets(t *testing.T) {
	for _, address := range []netip.Addr{loopback4, loopback6} {
		for _, later := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v/%v", address, later), func(t *testing.T) {
				var known peers
				port := farEnd(t, address, func(far *net.TCPConn) {
					if later {
						io.Copy(io.Discard, far)
					}
					client := far.RemoteAddr().(*net.TCPAddr).AddrPort()
					far.SetLinger(0)
					far.Close()
					known.handled.Store(netip.AddrPortFrom(client.Addr().Unmap(), client.Port()), true)
				})
				conn, s := open(t, Config{Address: address, Proto: ProtoTCP, Port: port, Timeout: longEnough, Peers: &known})
				for seq := range uint16(100) {
					msg, p := ask(t, conn, address, s.Ident, seq, 0)
					if !bytes.Equal(p.Msg, replyTo(msg)) || p.Fault.Errno != 0 || p.Answer == nil || *p.Answer != (service.Answer{Reset: true}) {
						t.Fatalf("message %d: got %x, %v, %+v", seq, p.Msg, p.Fault.Errno, p.Answer)
					}
				}
				if got := conn.(Waiter).Unserved(); got != (service.Unserved{}) {
					t.Errorf("%+v", got)
				}
			})
		}
	}
}

// TestTCPServiceMany: the first thousand connections close in order, and those after them are reset.
func TestTCPServiceMany(t *testing.T) {
	const inOrder, after = 1000, 5
	ends := make(chan error, 1)
	port := farEnd(t, loopback4, func(far *net.TCPConn) {
		_, err := far.Read(make([]byte, 1))
		ends <- err
	})
	conn, s := open(t, Config{Address: loopback4, Proto: ProtoTCP, Port: port, Timeout: longEnough})
	for i := range uint16(inOrder + after) {
		if _, p := ask(t, conn, loopback4, s.Ident, i, 0); p.Fault.Errno != 0 || p.Answer != nil {
			t.Fatalf("connection %d: %v, %+v", i+1, p.Fault.Errno, p.Answer)
		}
		if err := <-ends; (err == io.EOF) != (i < inOrder) {
			t.Fatalf("connection %d: the service got %v", i+1, err)
		}
	}
}

// TestTCPServiceUnaccepted: a connection that nobody accepts is no answer and no fault, and is known to wait.
func TestTCPServiceUnaccepted(t *testing.T) {
	listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(loopback4, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).AddrPort().Port()
	conn, s := open(t, Config{Address: loopback4, Proto: ProtoTCP, Port: port, Timeout: 20 * ms, Peers: &peers{}})
	for seq := range uint16(2) {
		if err := conn.Send(request(loopback4, s.Ident, seq, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Recv(new(Packet), make([]byte, 99), time.Now().Add(1500*ms)); err != ErrTimeout {
		t.Error(err)
	}
	if got := conn.(Waiter).Unserved(); got != (service.Unserved{Unaccepted: 2}) {
		t.Errorf("%+v", got)
	}
}

// TestTCPServiceHeld: no connection is begun while there is no room for it.
func TestTCPServiceHeld(t *testing.T) {
	port := farEnd(t, loopback4, func(far *net.TCPConn) { t.Error("a connection was made") })
	conn, s := open(t, Config{Address: loopback4, Proto: ProtoTCP, Port: port, Timeout: time.Hour, Peers: &peers{waiting: 1 << 20}})
	for seq := range uint16(3) {
		if err := conn.Send(request(loopback4, s.Ident, seq, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Recv(new(Packet), make([]byte, 99), time.Now().Add(50*ms)); err != ErrTimeout {
		t.Error(err)
	}
	for start := time.Now(); conn.(Waiter).Unserved().Held < 3 && time.Since(start) < longEnough; {
		time.Sleep(ms)
	}
	if got := conn.(Waiter).Unserved(); got != (service.Unserved{Held: 3}) {
		t.Errorf("%+v", got)
	}
}

// TestTCPServiceClose: Close waits until connections that have their answer are closed in order, and for nothing else, also if
// nobody reads what arrived.
func TestTCPServiceClose(t *testing.T) {
	const response = "HTTP/1.1 200 OK\r\n\r\n"
	for _, tt := range []struct {
		name  string
		sends int
		// serve reports if the end of the connection is to be in order.
		serve func(far *net.TCPConn, ends chan<- error)
		// answers is how many connections have their answer before Close is called.
		answers int
	}{
		{"one", 1, func(far *net.TCPConn, ends chan<- error) {
			io.ReadFull(far, make([]byte, 4))
			io.WriteString(far, response+strings.Repeat("x", 32<<10))
			_, err := io.Copy(io.Discard, far)
			ends <- err
		}, 1},
		{"as many as may be under way", maxConnects, func(far *net.TCPConn, ends chan<- error) {
			io.ReadFull(far, make([]byte, 4))
			io.WriteString(far, response+strings.Repeat("x", 8<<10))
			_, err := io.Copy(io.Discard, far)
			ends <- err
		}, maxConnects},
		{"it never reads", maxConnects, func(far *net.TCPConn, ends chan<- error) {
			io.WriteString(far, response)
			ends <- nil
		}, maxConnects},
		{"it never answers", 9, func(far *net.TCPConn, ends chan<- error) { io.Copy(io.Discard, far) }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var serving sync.WaitGroup
			ends, over := make(chan error, tt.sends), make(chan struct{})
			listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(loopback4, 0)))
			if err != nil {
				t.Fatal(err)
			}
			serving.Go(func() {
				for {
					far, err := listener.AcceptTCP()
					if err != nil {
						return
					}
					serving.Go(func() {
						defer far.Close()
						far.SetDeadline(time.Now().Add(longEnough))
						tt.serve(far, ends)
						<-over
					})
				}
			})
			port := listener.Addr().(*net.TCPAddr).AddrPort().Port()
			conn, s, err := Open(Config{Address: loopback4, Proto: ProtoHTTP, Port: port, Path: "/", Host: "h", Agent: "a", Timeout: time.Hour, Peers: &peers{}})
			if err != nil {
				t.Fatal(err)
			}
			for seq := range uint16(tt.sends) {
				if err := conn.Send(request(loopback4, s.Ident, seq, 0)); err != nil {
					t.Fatal(err)
				}
			}
			waitFor(t, func() bool { return underway(conn) == tt.sends-tt.answers })
			start := time.Now()
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
			if took := time.Since(start); took > longEnough {
				t.Errorf("Close took %v", took)
			}
			for range tt.answers {
				if err := <-ends; err != nil {
					t.Errorf("the service got %v, want an end in order", err)
				}
			}
			close(over)
			listener.Close()
			serving.Wait()
		})
	}
}

// TestTCPServiceCloseWaits: the service may send the rest of its answer after Close was called.
func TestTCPServiceCloseWaits(t *testing.T) {
	for try := range 9 { // this machine may sleep longer than a service is waited for
		closing, end := make(chan struct{}), make(chan error, 1)
		port := farEnd(t, loopback4, func(far *net.TCPConn) {
			io.WriteString(far, "HTTP/1.1 200 OK\r\n")
			<-closing
			time.Sleep(5 * ms)
			_, err := io.WriteString(far, "\r\nthe rest")
			time.Sleep(5 * ms)
			_, again := io.WriteString(far, "of it") // after a reset nobody may write
			end <- errors.Join(err, again)
		})
		conn, s, err := Open(Config{Address: loopback4, Proto: ProtoHTTP, Port: port, Path: "/", Host: "h", Agent: "a", Timeout: longEnough})
		if err != nil {
			t.Fatal(err)
		}
		_, p := ask(t, conn, loopback4, s.Ident, 1, 0)
		close(closing)
		conn.Close()
		err = <-end
		if p.Answer != nil && p.Answer.Status == 200 && err == nil {
			return
		}
		t.Logf("try %d: %+v, the service got %v", try, p.Answer, err)
	}
	t.Error("no connection was closed in order")
}

// TestTCPServiceKept: a service that keeps its end may still write when ours is closed, for it was not reset.
func TestTCPServiceKept(t *testing.T) {
	for _, c := range []Config{{Proto: ProtoTCP}, {Proto: ProtoHTTP, Path: "/", Host: "h", Agent: "a"}, {Proto: ProtoTCP, Echo: true}} {
		closed, wrote := make(chan struct{}), make(chan error, 1)
		c.Port = farEnd(t, loopback4, func(far *net.TCPConn) {
			switch {
			case c.Proto == ProtoHTTP:
				io.WriteString(far, "HTTP/1.1 200 OK\r\n\r\n")
			case c.Echo:
				io.CopyN(far, far, HeaderLen)
			}
			<-closed
			_, err := far.Write([]byte("x"))
			wrote <- err
		})
		c.Address, c.Timeout = loopback4, longEnough
		conn, s, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, p := ask(t, conn, loopback4, s.Ident, 1, 0); p.Fault.Errno != 0 {
			t.Errorf("%+v: %v", c, p.Fault.Errno)
		}
		conn.Close()
		close(closed)
		if err := <-wrote; err != nil {
			t.Errorf("%v, an echo: %v: the service got %v", c.Proto, c.Echo, err)
		}
	}
}

// TestTCPServiceLate: a connection that is accepted after the timeout is as late as that.
func TestTCPServiceLate(t *testing.T) {
	const timeout = 200 * ms
	var known peers
	port := farEnd(t, loopback4, func(far *net.TCPConn) {
		time.Sleep(2 * timeout)
		client := far.RemoteAddr().(*net.TCPAddr).AddrPort()
		known.handled.Store(netip.AddrPortFrom(client.Addr().Unmap(), client.Port()), true)
		io.Copy(io.Discard, far)
	})
	conn, s := open(t, Config{Address: loopback4, Proto: ProtoTCP, Port: port, Timeout: timeout, Peers: &known})
	if _, p := ask(t, conn, loopback4, s.Ident, 1, 0); p.Fault.Errno != 0 || p.RTT < timeout {
		t.Errorf("%v after %v", p.Fault.Errno, p.RTT)
	}
}

// waitFor waits until something is so.
func waitFor(t *testing.T, so func() bool) {
	t.Helper()
	for start := time.Now(); !so(); time.Sleep(ms) {
		if time.Since(start) > longEnough {
			t.Fatal("it did not come to that")
		}
	}
}

// underway is how many connections have no outcome.
func underway(conn Conn) int {
	tc := conn.(*tcpConn)
	tc.mu.Lock()
	defer tc.mu.Unlock()
	return len(tc.underway)
}
