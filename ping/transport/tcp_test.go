package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"
)

const (
	ms = time.Millisecond
	// longEnough is how long a test waits for what must come, on however slow a machine.
	longEnough = 30 * time.Second
)

// request is an echo request with a counter as its data.
func request(address netip.Addr, ident, seq uint16, size int) []byte {
	msg := make([]byte, HeaderLen+size)
	if msg[0] = TypeEchoRequestV4; address.Is6() {
		msg[0] = TypeEchoRequestV6
	}
	binary.BigEndian.PutUint16(msg[4:], ident)
	binary.BigEndian.PutUint16(msg[6:], seq)
	for i := range size {
		msg[HeaderLen+i] = byte(i) ^ byte(seq)
	}
	return msg
}

// replyTo is the right reply to a request.
func replyTo(request []byte) []byte {
	msg := bytes.Clone(request)
	if msg[0] = TypeEchoReplyV4; request[0] == TypeEchoRequestV6 {
		msg[0] = TypeEchoReplyV6
	}
	return msg
}

// TestTypes: only the type of a message changes, there and back; what is neither request nor reply stays as it is.
func TestTypes(t *testing.T) {
	for _, address := range []netip.Addr{loopback4, loopback6} {
		msg := request(address, 1, 2, 9)
		got := bytes.Clone(msg)
		if makeReply(got); !bytes.Equal(got, replyTo(msg)) {
			t.Errorf("got %x, want %x", got, replyTo(msg))
		}
		if makeRequest(got); !bytes.Equal(got, msg) {
			t.Errorf("got %x, want %x", got, msg)
		}
	}
	for _, other := range [][]byte{{}, {3, 3}, {1}} {
		got := bytes.Clone(other)
		makeReply(got)
		if makeRequest(got); !bytes.Equal(got, other) {
			t.Errorf("got %x, want %x", got, other)
		}
	}
}

// inSteps is a connection that reads and writes so many bytes at a time.
type inSteps struct {
	net.Conn
	step int
}

func (c inSteps) Read(b []byte) (int, error) { return c.Conn.Read(b[:min(len(b), c.step)]) }

func (c inSteps) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var wrote int
		wrote, err = c.Conn.Write(b[n:min(len(b), n+c.step)])
		n += wrote
	}
	return n, err
}

// recognizes knows a message by its header.
func recognizes(msg []byte) func(header) (int, bool) {
	return func(h header) (int, bool) { return len(msg), h == header(msg) }
}

// FuzzTCP lets both ends of a connection talk in steps of any size: the reply comes whole and right, and neither end waits
// for the other for ever.
func FuzzTCP(f *testing.F) {
	f.Add(uint16(0), uint8(1), uint8(1))
	f.Add(uint16(56), uint8(3), uint8(200))
	f.Add(uint16(65507), uint8(255), uint8(7))
	f.Fuzz(func(t *testing.T, size uint16, here, there uint8) {
		msg := request(loopback4, 7, 9, int(min(size, MaxSizeTCP)))
		near, far := net.Pipe()
		near.SetDeadline(time.Now().Add(longEnough))
		served := make(chan struct{})
		go func() {
			defer close(served)
			serveEcho(inSteps{far, 1 + int(there)}, make([]byte, len(msg)+9), recognizes(msg))
			far.Close()
		}()
		reply := make([]byte, len(msg)+1)
		n, err := echo(inSteps{near, 1 + int(here)}, reply, msg, replyTo(msg)[:HeaderLen])
		if err != nil || !bytes.Equal(reply[:n], replyTo(msg)) {
			t.Errorf("got %x, %v; want %x", reply[:n], err, replyTo(msg))
		}
		near.Close()
		<-served
	})
}

// TestEcho: what comes back decides how a connection ends.
func TestEcho(t *testing.T) {
	msg := request(loopback4, 7, 9, 20)
	right := replyTo(msg)
	otherSeq := bytes.Clone(right)
	otherSeq[7]++
	changed := append(bytes.Clone(right[:20]), make([]byte, 8)...)
	for _, tt := range []struct {
		name string
		back []byte
		want []byte
		err  error
	}{
		{"right", right, right, nil},
		{"changed data", changed, changed, nil},
		{"longer", append(bytes.Clone(right), 1), append(bytes.Clone(right), 1), nil},
		{"shorter, and closed", right[:27], right[:27], io.EOF},
		{"closed", nil, nil, io.EOF},
		{"the request", msg, msg, errNotReply},
		{"another sequence number", otherSeq, otherSeq, errNotReply},
		{"a word", []byte("220"), []byte("220"), errNotReply},
	} {
		t.Run(tt.name, func(t *testing.T) {
			near, far := net.Pipe()
			near.SetDeadline(time.Now().Add(longEnough))
			heard := make(chan []byte, 1)
			go func() {
				b := make([]byte, len(msg))
				io.ReadFull(far, b)
				heard <- b
				far.Write(tt.back)
				far.Close()
			}()
			reply := make([]byte, len(msg)+1)
			n, err := echo(near, reply, msg, right[:HeaderLen])
			if !errors.Is(err, tt.err) || !bytes.Equal(reply[:n], tt.want) {
				t.Errorf("got %x, %v; want %x, %v", reply[:n], err, tt.want, tt.err)
			}
			if got := <-heard; !bytes.Equal(got, msg) {
				t.Errorf("wrote %x, want %x", got, msg)
			}
			near.Close()
		})
	}
}

// TestServeEcho: only a request of ours is answered, byte for byte; whoever says anything else is turned away.
func TestServeEcho(t *testing.T) {
	msg := request(loopback6, 7, 9, 20)
	changed := append(bytes.Clone(msg[:20]), make([]byte, 8)...)
	for _, tt := range []struct {
		name       string
		says, want []byte
	}{
		{"a request", msg, replyTo(msg)},
		{"nothing", nil, nil},
		{"a part", msg[:27], nil},
		{"less than a header", msg[:7], nil},
		{"another header", request(loopback6, 7, 8, 20), nil},
		{"a word", []byte("GET / HTTP/1.0"), nil},
		{"changed data", changed, replyTo(changed)},
		{"a request and more", append(bytes.Clone(msg), 1), replyTo(msg)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			near, far := net.Pipe()
			served := make(chan struct{})
			go func() {
				defer close(served)
				serveEcho(far, make([]byte, len(msg)), recognizes(msg))
				far.Close()
			}()
			near.SetDeadline(time.Now().Add(longEnough))
			near.Write(tt.says[:min(len(tt.says), len(msg))])
			got := make([]byte, len(tt.want))
			if _, err := io.ReadFull(near, got); err != nil || !bytes.Equal(got, tt.want) {
				t.Errorf("got %x, %v; want %x", got, err, tt.want)
			}
			if len(tt.says) > len(msg) {
				near.Write(tt.says[len(msg):])
				if n, err := near.Read(make([]byte, 1)); n > 0 || err != io.EOF {
					t.Errorf("after more than a request: %d bytes, %v", n, err)
				}
			}
			near.Close()
			<-served
		})
	}
}

// redirect lets a conn's connections go to somebody else than its listener.
func redirect(conn Conn, port uint16) {
	tc := conn.(*tcpConn)
	tc.to = netip.AddrPortFrom(tc.to.Addr(), port)
}

// needAddress skips a test on a host without an address.
func needAddress(t testing.TB, address netip.Addr) {
	t.Helper()
	s, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(address, 0)))
	if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Skipf("this host has no %v (ip addr add it to lo, or sysctl net.ipv6.conf.lo.disable_ipv6=0): %v", address, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

// open opens a conn that is closed when the test ends.
func open(t testing.TB, c Config) (Conn, Socket) {
	t.Helper()
	needAddress(t, c.Address)
	conn, s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn, s
}

// roundTrips sends count requests, each when the one before is answered, and wants the right reply to each.
func roundTrips(t testing.TB, conn Conn, s Socket, address netip.Addr, count, size int) {
	t.Helper()
	b := make([]byte, size+200)
	for seq := range uint16(count) {
		msg := request(address, s.Ident, seq, size)
		if err := conn.Send(msg); err != nil {
			t.Fatalf("message %d: %v", seq, err)
		}
		var p Packet
		err := conn.Recv(&p, b, time.Now().Add(longEnough))
		if len(p.Msg) > 4 && s.Port == 0 {
			p.Msg[2], p.Msg[3] = 0, 0 // the system computes the checksum
		}
		if err != nil || !bytes.Equal(p.Msg, replyTo(msg)) {
			t.Fatalf("message %d: got %x, %v; want %x", seq, p.Msg, err, replyTo(msg))
		}
	}
}

// farEnd accepts connections in place of our own listener, gives each to handle, and returns its port.
func farEnd(t testing.TB, address netip.Addr, handle func(far *net.TCPConn)) uint16 {
	t.Helper()
	needAddress(t, address)
	listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(address, 0)))
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
				far.SetDeadline(time.Now().Add(longEnough))
				handle(far)
				far.Close()
			}
		}
	}()
	return listener.Addr().(*net.TCPAddr).AddrPort().Port()
}

// TestTCPFarEnds: what somebody else makes of a message is told as what it is.
func TestTCPFarEnds(t *testing.T) {
	const size = 56
	heard := func(far *net.TCPConn) []byte {
		b := make([]byte, HeaderLen+size)
		io.ReadFull(far, b)
		return b
	}
	untilClosed := func(far *net.TCPConn) { io.Copy(io.Discard, far) }
	for _, tt := range []struct {
		name   string
		handle func(far *net.TCPConn)
		edit   func(reply []byte) []byte // nil: there is none
		want   []syscall.Errno
	}{
		{"an echo", func(far *net.TCPConn) { far.Write(replyTo(heard(far))); untilClosed(far) },
			func(b []byte) []byte { return b }, []syscall.Errno{0}},
		{"in pieces", func(far *net.TCPConn) {
			for _, b := range replyTo(heard(far)) {
				far.Write([]byte{b})
				time.Sleep(100 * time.Microsecond)
			}
			untilClosed(far)
		}, func(b []byte) []byte { return b }, []syscall.Errno{0}},
		{"a changed byte", func(far *net.TCPConn) {
			b := replyTo(heard(far))
			b[40] ^= 1
			far.Write(b)
			untilClosed(far)
		}, func(b []byte) []byte { b[40] ^= 1; return b }, []syscall.Errno{0}},
		{"one byte more", func(far *net.TCPConn) { far.Write(append(replyTo(heard(far)), 7)); untilClosed(far) },
			func(b []byte) []byte { return append(b, 7) }, []syscall.Errno{0}},
		{"the request", func(far *net.TCPConn) { far.Write(heard(far)); untilClosed(far) }, nil, []syscall.Errno{syscall.EPROTO}},
		{"a greeting", func(far *net.TCPConn) { far.Write([]byte("220 hello\r\n")); untilClosed(far) },
			nil, []syscall.Errno{syscall.EPROTO}},
		{"a close", func(far *net.TCPConn) { heard(far); far.CloseWrite(); untilClosed(far) }, nil, []syscall.Errno{syscall.EPIPE}},
		{"a close in the middle", func(far *net.TCPConn) { far.Write(replyTo(heard(far))[:30]); far.CloseWrite(); untilClosed(far) },
			nil, []syscall.Errno{syscall.EPIPE}},
		{"a reset", func(far *net.TCPConn) { heard(far); far.SetLinger(0) }, nil, []syscall.Errno{syscall.ECONNRESET}},
		{"a reset at once", func(far *net.TCPConn) { far.SetLinger(0) }, nil, []syscall.Errno{syscall.ECONNRESET, syscall.EPIPE}},
	} {
		for _, address := range []netip.Addr{loopback4, loopback6} {
			t.Run(tt.name+"/"+address.String(), func(t *testing.T) {
				conn, s := open(t, Config{Address: address, Proto: ProtoTCP, Size: size, Timeout: longEnough})
				redirect(conn, farEnd(t, address, tt.handle))
				for seq := range uint16(3) {
					msg := request(address, s.Ident, seq, size)
					if err := conn.Send(msg); err != nil {
						t.Fatal(err)
					}
					var p Packet
					if err := conn.Recv(&p, make([]byte, 200), time.Now().Add(longEnough)); err != nil {
						t.Fatal(err)
					}
					ok := false
					for _, e := range tt.want {
						ok = ok || p.Fault.Errno == e
					}
					want := msg
					if tt.edit != nil {
						want = tt.edit(replyTo(msg))
					}
					if !ok && runtime.GOOS == "linux" || !bytes.Equal(p.Msg, want) {
						t.Errorf("got %x, %v; want %x, %v", p.Msg, p.Fault.Errno, want, tt.want)
					}
				}
			})
		}
	}
}

// TestTCPSilence: a far end that says nothing is neither an answer nor a fault, and Close does not wait for it.
func TestTCPSilence(t *testing.T) {
	port := farEnd(t, loopback4, func(far *net.TCPConn) { io.Copy(io.Discard, far) })
	conn, s := open(t, Config{Address: loopback4, Proto: ProtoTCP, Size: 56, Timeout: time.Hour})
	redirect(conn, port)
	if err := conn.Send(request(loopback4, s.Ident, 1, 56)); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := conn.Recv(new(Packet), make([]byte, 200), start.Add(20*ms)); err != ErrTimeout || time.Since(start) < 20*ms {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

// TestTCPStrangers: whoever else connects to our listener, and however often, is turned away, and no probe suffers.
func TestTCPStrangers(t *testing.T) {
	for _, address := range []netip.Addr{loopback4, loopback6} {
		t.Run(address.String(), func(t *testing.T) {
			conn, s := open(t, Config{Address: address, Proto: ProtoTCP, Size: 56, Timeout: longEnough})
			to := netip.AddrPortFrom(address, s.Port).String()
			var strangers []net.Conn
			for i := range 2 * maxConnects {
				stranger, err := net.DialTimeout("tcp", to, 100*ms)
				if err != nil {
					break // the backlog is full of those before
				}
				defer stranger.Close()
				strangers = append(strangers, stranger)
				if i%2 == 1 {
					stranger.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
				}
				if i%32 == 0 {
					roundTrips(t, conn, s, address, 3, 56)
				}
			}
			roundTrips(t, conn, s, address, 50, 56)
			for i, stranger := range strangers {
				if i%2 == 0 {
					continue // it has said nothing, and may stay as long as a probe may take
				}
				stranger.SetReadDeadline(time.Now().Add(longEnough))
				if n, err := stranger.Read(make([]byte, 10)); n > 0 || err == nil || errors.Is(err, syscall.EAGAIN) {
					t.Errorf("stranger %d got %d bytes, %v", i, n, err)
				}
			}
		})
	}
}
