package serve

import (
	"hash/maphash"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestAnswerable(t *testing.T) {
	for _, tt := range []struct {
		from string
		want bool
	}{
		{"127.0.0.1:1024", true},
		{"127.0.0.2:65535", true},
		{"127.0.0.1:8080", false},
		{"127.0.0.2:8080", false},
		{"127.0.0.1:0", false},
		{"127.0.0.1:7", false},
		{"127.0.0.1:1023", false},
		{"192.0.2.1:5000", false},
	} {
		if got := answerable(netip.MustParseAddrPort(tt.from), netip.MustParseAddrPort("127.0.0.1:8080")); got != tt.want {
			t.Errorf("%s: got %v", tt.from, got)
		}
	}
}

func TestSources(t *testing.T) {
	var s sources
	at := func(i int) netip.AddrPort { return netip.AddrPortFrom(loopback4, uint16(2000+i)) }
	for i := range maxSources {
		if !s.add(at(i)) || s.add(at(i)) {
			t.Fatalf("source %d is not new once", i)
		}
	}
	if s.add(at(0)) || !s.add(at(maxSources)) || !s.add(at(0)) {
		t.Error("the oldest source is not the one that is forgotten")
	}
}

func TestRepetition(t *testing.T) {
	other := netip.MustParseAddrPort("127.0.0.1:3000")
	tests := []struct {
		name string
		gap  time.Duration
		each func(i int) (netip.AddrPort, string)
		want int // of 10 * maxTimes datagrams get no answer
	}{
		{"the same", time.Microsecond, func(int) (netip.AddrPort, string) { return other, "x" }, 9},
		{"the same, slowly", maxGap + 1, func(int) (netip.AddrPort, string) { return other, "x" }, 0},
		{"empty", time.Microsecond, func(int) (netip.AddrPort, string) { return other, "" }, 9},
		{"two in turn", time.Microsecond, func(i int) (netip.AddrPort, string) { return other, "xy"[i%2 : i%2+1] }, 4},
		{"others between", time.Microsecond, func(i int) (netip.AddrPort, string) { return other, strings.Repeat("x", min(i%3, 1)*i) }, 3},
		{"all differ", time.Microsecond, func(i int) (netip.AddrPort, string) { return other, strings.Repeat("x", i) }, 0},
		{"from many", time.Microsecond, func(i int) (netip.AddrPort, string) {
			return netip.AddrPortFrom(loopback4, uint16(2000+i)), "x"
		}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, now, got := repetition{seed: maphash.MakeSeed()}, time.Now(), 0
			for i := range 10 * maxTimes {
				from, data := tt.each(i)
				if now = now.Add(tt.gap); r.tooOften(from, []byte(data), now) {
					got++
				}
			}
			if got != tt.want {
				t.Errorf("%d get no answer, want %d", got, tt.want)
			}
		})
	}
}

// TestEchoOfEcho: with a peer that sends back every answer there comes an end.
func TestEchoOfEcho(t *testing.T) {
	s, end := start(t, Config{Addresses: []netip.Addr{loopback4}, Protocols: both})
	peer, buf := dialUDP(t, s.addresses()[0]), []byte("x")
	for s.dropped.Load() == 0 {
		if _, err := peer.Write(buf); err != nil {
			t.Fatal(err) // that of the deadline, too
		}
		for s.dropped.Load() == 0 {
			peer.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			if _, err := peer.Read(buf); err == nil {
				break
			}
		}
	}
	if got := end(); !strings.Contains(got, ", 1 datagrams not answered\n") {
		t.Errorf("got %q", got)
	}
}

// TestOwnPort: what comes from the echo's own port, as from one that serves another address, gets no answer.
func TestOwnPort(t *testing.T) {
	s, end := start(t, Config{Addresses: []netip.Addr{loopback4}, Protocols: both})
	own := s.addresses()[0]
	from := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), own.Port()))
	c, err := net.DialUDP("udp", from, net.UDPAddrFromAddrPort(own))
	if err != nil {
		t.Skipf("needs 127.0.0.2, as all of 127.0.0.0/8 on Linux: %v", err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	exchange(t, dialUDP(t, own), "y") // the socket takes one after the other
	if got := end(); !strings.HasSuffix(got, "\n0 connections, 0 bytes, 1 datagrams echoed, 1 datagrams not answered\n") {
		t.Errorf("got %q", got)
	}
}
