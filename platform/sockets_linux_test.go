package platform

import (
	"errors"
	"net"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestReadListeners asks the kernel about sockets of each kind, in a namespace of their own.
func TestReadListeners(t *testing.T) {
	const port = 8080
	listener := func(address string, only bool, queue uint32) Listener {
		return Listener{Address: netip.MustParseAddr(address), IPv6Only: only, Queue: queue, Backlog: 7}
	}
	var tcp, udp, none Known[[]Listener]
	inNamespace(t, func() {
		all := []int{
			listening(t, unix.AF_INET, netip.MustParseAddrPort("127.0.0.2:8080"), false),
			listening(t, unix.AF_INET6, netip.MustParseAddrPort("[::1]:8080"), true),
			listening(t, unix.AF_INET6, netip.MustParseAddrPort("[::]:8081"), false),
			unconnected(t, netip.MustParseAddrPort("127.0.0.3:8080")),
		}
		client, err := net.Dial("tcp", "127.0.0.2:8080")
		if err != nil {
			t.Error(err)
			return
		}
		udp, none = ReadListeners(UDP, port), ReadListeners(UDP, 8081)
		for range 100 { // a busy kernel queues a connection a little after connect returns
			if tcp = ReadListeners(TCP, port); len(tcp.Value) > 0 && tcp.Value[0].Queue > 0 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		client.Close()
		for _, fd := range all {
			unix.Close(fd)
		}
	}, "ip link set lo up")
	want := Know([]Listener{listener("127.0.0.2", false, 1), listener("::1", true, 0)})
	if !reflect.DeepEqual(tcp, want) {
		t.Errorf("TCP: got %+v, want %+v", tcp, want)
	}
	if want := Know([]Listener{{Address: netip.MustParseAddr("127.0.0.3")}}); !reflect.DeepEqual(udp, want) {
		t.Errorf("UDP: got %+v, want %+v", udp, want)
	}
	if want := Know([]Listener{}); !reflect.DeepEqual(none, want) {
		t.Errorf("UDP 8081: got %+v, want %+v", none, want)
	}
}

// TestHalfOpen makes a handshake whose second step is dropped, and one that comes to its end.
func TestHalfOpen(t *testing.T) {
	stuck, whole := netip.MustParseAddrPort("127.0.0.1:8080"), netip.MustParseAddrPort("[::1]:8081")
	got := map[netip.AddrPort]Known[bool]{}
	inNamespace(t, func() {
		a, b := listening(t, unix.AF_INET, stuck, false), listening(t, unix.AF_INET6, whole, true)
		if c, err := net.DialTimeout("tcp", stuck.String(), 20*time.Millisecond); err == nil {
			t.Error("connected")
			c.Close()
		}
		c, err := net.Dial("tcp", whole.String())
		if err != nil {
			t.Error(err)
			return
		}
		for _, at := range []netip.AddrPort{stuck, whole, netip.AddrPortFrom(stuck.Addr(), 0), netip.AddrPortFrom(whole.Addr(), 0),
			netip.AddrPortFrom(stuck.Addr(), 8081)} {
			got[at] = HalfOpen(at)
		}
		c.Close()
		unix.Close(a)
		unix.Close(b)
	}, "ip link set lo up", "nft 'add table ip t; add chain ip t c { type filter hook input priority 0; }; "+
		"add rule ip t c tcp flags & (syn | ack) == (syn | ack) drop'")
	for at, known := range got {
		if want := Know(at.Addr() == stuck.Addr() && at.Port() != 8081); known != want {
			t.Errorf("%s: got %+v, want %+v", at, known, want)
		}
	}
}

// listening is a TCP socket that accepts nothing.
func listening(t *testing.T, family int, at netip.AddrPort, only bool) int {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Error(err)
		return -1
	}
	to := unix.Sockaddr(&unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()})
	if family == unix.AF_INET {
		to = &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	} else if only {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err = errors.Join(err, unix.Bind(fd, to), unix.Listen(fd, 7)); err != nil {
		t.Error(err)
	}
	return fd
}

func unconnected(t *testing.T, at netip.AddrPort) int {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()})
	}
	if err != nil {
		t.Error(err)
	}
	return fd
}

// TestReadPortsInUse holds that a port counts once, whoever has it, and only within the range.
func TestReadPortsInUse(t *testing.T) {
	var used, beside, udp Known[int]
	inNamespace(t, func() {
		all := []int{
			listening(t, unix.AF_INET, netip.MustParseAddrPort("127.0.0.1:40000"), false),
			listening(t, unix.AF_INET, netip.MustParseAddrPort("127.0.0.2:40000"), false),
			listening(t, unix.AF_INET6, netip.MustParseAddrPort("[::1]:40000"), true),
			listening(t, unix.AF_INET6, netip.MustParseAddrPort("[::1]:40002"), true),
			listening(t, unix.AF_INET6, netip.MustParseAddrPort("[::1]:40003"), true),
		}
		used, beside = ReadPortsInUse(TCP, Range{Low: 40000, High: 40002}), ReadPortsInUse(TCP, Range{Low: 40001, High: 40001})
		udp = ReadPortsInUse(UDP, Range{Low: 0, High: 65535})
		for _, fd := range all {
			unix.Close(fd)
		}
	}, "ip link set lo up")
	if used != Know(2) || beside != Know(0) || udp != Know(0) {
		t.Errorf("got %+v, %+v and %+v, want 2, 0 and 0", used, beside, udp)
	}
}

// TestPeers asks about a connection before it is accepted, after that, and when it is gone.
func TestPeers(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		service := l.Addr().(*net.TCPAddr).AddrPort()
		if service.Addr().IsUnspecified() {
			service = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), service.Port())
		}
		near, err := net.Dial("tcp", service.String())
		if err != nil {
			t.Fatal(err)
		}
		defer near.Close()
		client := near.LocalAddr().(*net.TCPAddr).AddrPort()
		if waiting, room, ok := (Peers{}).Queue(service); waiting != 1 || room < 1 || !ok {
			t.Errorf("%s: %d wait, room for %d, %v", address, waiting, room, ok)
		}
		if waits, ok := (Peers{}).Waits(client, service); !waits || !ok {
			t.Errorf("%s: not accepted: %v, %v", address, waits, ok)
		}
		far, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if waits, ok := (Peers{}).Waits(client, service); waits || !ok {
			t.Errorf("%s: accepted: %v, %v", address, waits, ok)
		}
		far.(*net.TCPConn).SetLinger(0)
		far.Close()
		if waits, ok := (Peers{}).Waits(client, service); waits || ok {
			t.Errorf("%s: reset: %v, %v", address, waits, ok)
		}
		l.Close()
		if _, _, ok := (Peers{}).Queue(service); ok {
			t.Errorf("%s: nobody listens, and there is a queue", address)
		}
	}
}
