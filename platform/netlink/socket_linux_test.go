package platform

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// diagMessage is struct inet_diag_msg.
func diagMessage(family byte, port uint16, address []byte, device, queue, backlog uint32) []byte {
	b := make([]byte, sizeofDiagMessage)
	b[0] = family
	binary.BigEndian.PutUint16(b[4:], port)
	copy(b[8:], address)
	binary.NativeEndian.PutUint32(b[40:], device)
	binary.NativeEndian.PutUint32(b[56:], queue)
	binary.NativeEndian.PutUint32(b[60:], backlog)
	return b
}

func TestParseSocket(t *testing.T) {
	only := attribute(diagIPv6Only, []byte{1})
	tests := []struct {
		name string
		in   []byte
		want socket
		err  error
	}{
		{"IPv4", diagMessage(unix.AF_INET, 8080, ip("127.0.0.1"), 0, 2, 1),
			socket{Listener{Address: netip.MustParseAddr("127.0.0.1"), Queue: 2, Backlog: 1}, 8080}, nil},
		{"IPv6 alone", slices.Concat(diagMessage(unix.AF_INET6, 53, ip("::"), 3, 0, 128), only),
			socket{Listener{Address: netip.IPv6Unspecified(), IPv6Only: true, Interface: 3, Backlog: 128}, 53}, nil},
		{"IPv4 by an IPv6 socket", diagMessage(unix.AF_INET6, 53, ip("::ffff:127.0.0.1"), 0, 0, 0),
			socket{Listener{Address: netip.MustParseAddr("127.0.0.1")}, 53}, nil},
		{"short", diagMessage(unix.AF_INET, 1, nil, 0, 0, 0)[:71], socket{}, errShort},
		{"another family", diagMessage(unix.AF_UNIX, 1, nil, 0, 0, 0), socket{}, errShort},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := parseSocket(tt.in); got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %+v, %v, want %+v, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

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
		used, beside = ReadPortsInUse(TCP, Range{40000, 40002}), ReadPortsInUse(TCP, Range{40001, 40001})
		udp = ReadPortsInUse(UDP, Range{0, 65535})
		for _, fd := range all {
			unix.Close(fd)
		}
	}, "ip link set lo up")
	if used != Know(2) || beside != Know(0) || udp != Know(0) {
		t.Errorf("got %+v, %+v and %+v, want 2, 0 and 0", used, beside, udp)
	}
}

func FuzzSocket(f *testing.F) {
	f.Add(diagMessage(unix.AF_INET, 8080, ip("127.0.0.1"), 0, 2, 1))
	f.Add(slices.Concat(diagMessage(unix.AF_INET6, 53, ip("::"), 3, 0, 128), attribute(diagIPv6Only, []byte{1})))
	f.Add(diagMessage(unix.AF_INET6, 53, ip("::ffff:127.0.0.1"), 0, 0, 0)[:71])
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseSocket(b)
		if err == nil != s.Address.IsValid() || s.Address.Is4In6() {
			t.Errorf("got %+v, %v", s, err)
		}
	})
}
