package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// enough is longer than anything here takes on a slow machine.
const enough = time.Minute

var (
	loopback4 = netip.MustParseAddr("127.0.0.1")
	loopback6 = netip.IPv6Loopback()
	both      = []string{"TCP", "UDP"}
)

// output is what a server wrote.
type output struct {
	mu     sync.Mutex
	text   strings.Builder
	writes int
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writes++
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// start runs a server. Its result ends it, and returns what it wrote.
func start(t *testing.T, c Config) (s *Server, end func() string) {
	t.Helper()
	s, err := Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	out, done := &output{}, make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- s.Run(ctx, out) }()
	end = sync.OnceValue(func() string {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if lines := strings.Count(out.String(), "\n"); lines != out.writes {
			t.Errorf("%d lines in %d writes", lines, out.writes)
		}
		return out.String()
	})
	t.Cleanup(func() { end() })
	return s, end
}

// places are where a server is.
func (s *Server) addresses() (list []netip.AddrPort) {
	for _, p := range s.places {
		list = append(list, netip.MustParseAddrPort(p))
	}
	return list
}

func dialTCP(t *testing.T, to netip.AddrPort) *net.TCPConn {
	t.Helper()
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(enough))
	return c
}

func dialUDP(t *testing.T, to netip.AddrPort) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(enough))
	return c
}

// exchange fails unless data comes back.
func exchange(t *testing.T, c net.Conn, data string) {
	t.Helper()
	got := make([]byte, len(data)+1)
	if _, err := io.WriteString(c, data); err != nil {
		t.Fatal(err)
	}
	n, err := c.Read(got)
	if err != nil || string(got[:n]) != data {
		t.Fatalf("%d bytes of %d came back: %v", n, len(data), err)
	}
}

func TestEcho(t *testing.T) {
	s, end := start(t, Config{Addresses: []netip.Addr{loopback4, loopback6}, Some: true, Protocols: both})
	data := strings.Repeat("0123456789", 100_000)
	for _, at := range s.addresses() {
		c := dialTCP(t, at)
		go func() { // the half that is closed is ours: all must come back
			io.WriteString(c, data)
			c.CloseWrite()
		}()
		if got, err := io.ReadAll(c); err != nil || string(got) != data {
			t.Errorf("%v: %d bytes of %d came back: %v", at, len(got), len(data), err)
		}
		u := dialUDP(t, at)
		exchange(t, u, "")
		exchange(t, u, "x")
		exchange(t, u, data[:9000])
	}
	n := len(s.places)
	want := fmt.Sprintf("\n%d connections, %d bytes, %d datagrams echoed\n", n, n*len(data), n*3)
	if got := end(); !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want %q at the end", got, want)
	}
}

func TestOutput(t *testing.T) {
	tests := []struct {
		name   string
		config Config
		want   string // P is the port, T and U are the clients
	}{
		{"all", Config{Protocols: both}, "P\necho on 127.0.0.1:P, TCP and UDP\nconnection from T\ndatagrams from U\n1 connections, 2 bytes, 2 datagrams echoed\n"},
		{"quiet", Config{Protocols: both, Quiet: true}, "P\n1 connections, 2 bytes, 2 datagrams echoed\n"},
		{"TCP", Config{Protocols: []string{"TCP"}}, "P\necho on 127.0.0.1:P, TCP\nconnection from T\n1 connections, 2 bytes, 0 datagrams echoed\n"},
		{"UDP", Config{Protocols: []string{"UDP"}}, "P\necho on 127.0.0.1:P, UDP\ndatagrams from U\n0 connections, 0 bytes, 2 datagrams echoed\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.config.Addresses = []netip.Addr{loopback4}
			s, end := start(t, tt.config)
			names := []string{"P", strconv.Itoa(int(s.port))}
			for _, protocol := range tt.config.Protocols {
				var c net.Conn
				if protocol == "TCP" {
					c = dialTCP(t, s.addresses()[0])
				} else {
					c = dialUDP(t, s.addresses()[0])
				}
				exchange(t, c, "a")
				exchange(t, c, "b")
				names = append(names, protocol[:1], c.LocalAddr().String())
			}
			want := regexp.MustCompile(`\bP\b|\bT\n|\bU\n`).ReplaceAllStringFunc(tt.want, func(name string) string {
				return strings.NewReplacer(names...).Replace(name)
			})
			if got := end(); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestListen(t *testing.T) {
	missing := netip.MustParseAddr("192.0.2.1")
	s, _ := start(t, Config{Addresses: []netip.Addr{missing, loopback4}, Some: true, Protocols: both})
	if want := fmt.Sprintf("[127.0.0.1:%d]", s.port); fmt.Sprint(s.places) != want {
		t.Errorf("got %v, want %v", s.places, want)
	}
	for _, c := range []Config{
		{Addresses: []netip.Addr{loopback4, missing}, Protocols: both},
		{Addresses: []netip.Addr{missing, missing}, Some: true, Protocols: both},
	} {
		if _, err := Listen(c); !isMissing(err) {
			t.Errorf("%v: got %v, want a missing address", c, err)
		}
	}
}

// TestListenTaken: a port that is taken for one protocol is not taken for the other afterwards; a free one is free for both.
func TestListenTaken(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c := Config{Addresses: []netip.Addr{loopback4}, Protocols: both, Port: addrPort(taken.LocalAddr()).Port()}
	if _, err = Listen(c); !strings.Contains(fmt.Sprint(err), taken.LocalAddr().String()) {
		t.Errorf("got %v, want an error with the address", err)
	}
	c.Protocols = []string{"TCP"}
	if s, err := Listen(c); err != nil {
		t.Errorf("TCP is taken too: %v", err)
	} else {
		s.close()
	}
}

func TestWriteFails(t *testing.T) {
	s, err := Listen(Config{Addresses: []netip.Addr{loopback4}, Protocols: both})
	if err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	r.CloseWithError(syscall.EPIPE)
	if err := s.Run(t.Context(), w); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("got %v, want EPIPE", err)
	}
}

// TestWriteStuck: nobody reads the output, and the echo works and ends.
func TestWriteStuck(t *testing.T) {
	s, err := Listen(Config{Addresses: []netip.Addr{loopback4}, Protocols: both})
	if err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	defer r.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx, w) }()
	for range 2 * maxLines {
		exchange(t, dialUDP(t, s.addresses()[0]), "x")
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("got %v, want no error", err)
	}
	if got := s.lines.lost.Load(); got < maxLines-3 {
		t.Errorf("%d lines were lost, want those that had no room", got)
	}
}

func TestLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		l := startLines(w, func(err error) { t.Errorf("failed: %v", err) })
		for i := range maxLines + 1 {
			l.print(strconv.Itoa(i) + "\n")
			synctest.Wait()
		}
		l.print("lost\n")
		begin := time.Now()
		l.end("end\n")
		if took := time.Since(begin); took != patience || l.lost.Load() != 1 {
			t.Errorf("the end took %v, %d lines were lost, want %v and 1", took, l.lost.Load(), patience)
		}
		go func() {
			<-l.done
			w.Close()
		}()
		got, _ := io.ReadAll(r)
		if n := bytes.Count(got, []byte("\n")); n != maxLines+1 || !bytes.HasSuffix(got, []byte("\n64\n")) {
			t.Errorf("%d lines came late, want %d: %q", n, maxLines+1, got)
		}
	})
}

// TestErrors: an error may pass, but not for ever.
func TestErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken, steps := errors.New("broken"), 0
		s := &Server{failed: make(chan error, 1)}
		begin := time.Now()
		s.repeat(t.Context(), func() error {
			if steps++; steps == maxErrors {
				return nil
			}
			return broken
		})
		if err := <-s.failed; err != broken || steps != 2*maxErrors+1 || time.Since(begin) < DefaultIdle {
			t.Errorf("%v after %d steps and %v", err, steps, time.Since(begin))
		}
	})
}

func TestIsLocal(t *testing.T) {
	for _, tt := range []struct {
		peer, own string
		want      bool
	}{
		{"127.0.0.1", "127.0.0.1", true},
		{"127.9.9.9", "127.0.0.1", true},
		{"::1", "::1", true},
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.2", "192.0.2.1", false},
		{"fe80::1%lo", "fe80::1%lo", true},
		{"fe80::2%lo", "fe80::1%lo", false},
	} {
		if got := isLocal(netip.MustParseAddr(tt.peer), netip.MustParseAddr(tt.own)); got != tt.want {
			t.Errorf("%s to %s: got %v", tt.peer, tt.own, got)
		}
	}
}
