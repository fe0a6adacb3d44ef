package serve

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

// isEnd says that a connection was reset or closed, and did not just stand still.
func isEnd(err error) bool { return err != nil && !errors.Is(err, os.ErrDeadlineExceeded) }

// tryEcho makes a connection for one byte. The error is why that did not come back.
func tryEcho(to netip.AddrPort) error {
	c, err := net.DialTimeout("tcp", to.String(), enough)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(enough))
	if _, err := io.WriteString(c, "z"); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 1))
	return err
}

func TestMaxConnections(t *testing.T) {
	s, end := start(t, Config{Addresses: []netip.Addr{loopback4}, Protocols: both})
	var list []net.Conn
	for range maxConnections {
		c := dialTCP(t, s.addresses()[0])
		exchange(t, c, "x")
		list = append(list, c)
	}
	if err := tryEcho(s.addresses()[0]); !isEnd(err) {
		t.Errorf("one too many: got %v, want the end of the connection", err)
	}
	for _, c := range list {
		exchange(t, c, "y")
	}
	list[0].Close()
	for begin := time.Now(); tryEcho(s.addresses()[0]) != nil; { // its place is free a little later
		if time.Since(begin) > enough {
			t.Fatal("the place of a connection that ended stays taken")
		}
	}
	got := end()
	if !strings.Contains(got, "\n129 connections, 257 bytes, 0 datagrams echoed, ") || !strings.Contains(got, " connections refused") {
		t.Errorf("counts are wrong: %q", got[max(0, len(got)-200):])
	}
}

func TestIdle(t *testing.T) {
	s, _ := start(t, Config{Addresses: []netip.Addr{loopback4}, Protocols: both, Idle: 10 * time.Millisecond})
	c := dialTCP(t, s.addresses()[0])
	if _, err := c.Read(make([]byte, 1)); !isEnd(err) {
		t.Errorf("got %v, want the end of the connection", err)
	}
}

// TestClientDoesNotRead: it holds up nobody, and is reset.
func TestClientDoesNotRead(t *testing.T) {
	t.Parallel()
	s, _ := start(t, Config{Addresses: []netip.Addr{loopback4}, Protocols: both, Idle: 5 * time.Second})
	stuck := dialTCP(t, s.addresses()[0])
	ended := make(chan error)
	go func() {
		var err error
		for err == nil {
			_, err = stuck.Write(make([]byte, 1<<20))
		}
		ended <- err
	}()
	for {
		select {
		case err := <-ended:
			if !isEnd(err) {
				t.Errorf("got %v, want the end of the connection", err)
			}
			if got := s.bytes.Load(); got > 64<<20 {
				t.Errorf("the system took %d bytes for a client that does not read", got)
			}
			return
		default:
			for _, c := range []net.Conn{dialTCP(t, s.addresses()[0]), dialUDP(t, s.addresses()[0])} {
				exchange(t, c, "x")
				c.Close()
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// TestEnd: connections that stand still, and one that is stuck, do not hold up the end.
func TestEnd(t *testing.T) {
	s, end := start(t, Config{Addresses: []netip.Addr{loopback4}, Protocols: both})
	quiet, stuck := dialTCP(t, s.addresses()[0]), dialTCP(t, s.addresses()[0])
	exchange(t, quiet, "x")
	go io.CopyN(stuck, zeros{}, 1<<40)
	for s.bytes.Load() < 2 {
		time.Sleep(time.Millisecond)
	}
	end()
	if _, err := quiet.Read(make([]byte, 1)); !isEnd(err) {
		t.Errorf("got %v, want the end of the connection", err)
	}
}

// zeros has no end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }
