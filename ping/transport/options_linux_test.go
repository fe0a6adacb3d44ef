//go:build !portable

package transport

import (
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inNamespace moves the calling goroutine, and no other, into a network namespace of its own, where lo is up and ICMP
// datagram sockets are open to all.
func inNamespace(t testing.TB) {
	t.Helper()
	runtime.LockOSThread() // for good: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		t.Skipf("no network namespace of our own (it needs CAP_SYS_ADMIN: run as root, or in a privileged container): %v", err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Skipf("no ip(8) (Debian: apt install iproute2): %v: %s", err, out)
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 2147483647"), 0); err != nil {
		t.Fatal(err)
	}
}

// clientFD calls f with the descriptor of the client's socket.
func clientFD(t *testing.T, conn Conn, f func(fd int)) {
	t.Helper()
	switch conn := conn.(type) {
	case *icmpConn:
		f(conn.fd)
	case *udpConn:
		f(conn.fd)
	case *tcpConn:
		socket, fault := conn.connect(t.Context())
		if fault.Errno != 0 {
			t.Fatal(fault.Errno)
		}
		defer socket.Close()
		raw, err := socket.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) { f(int(fd)) })
	default:
		t.Fatalf("%T has no client", conn)
	}
}

// TestOptions: what the configuration asks for is set, and the echo still works.
func TestOptions(t *testing.T) {
	for _, address := range []netip.Addr{loopback4, loopback6} {
		for _, kind := range []Config{
			{Socket: SocketDgram}, {Socket: SocketRaw}, {Socket: SocketRaw, UserTime: true, NoTTL: true}, {Proto: ProtoUDP}, {Proto: ProtoTCP},
		} {
			kind.Address, kind.Size = address, 56
			t.Run(address.String(), func(t *testing.T) { testOptions(t, kind) })
		}
	}
}

func testOptions(t *testing.T, kind Config) {
	inNamespace(t)
	level, ttl, tos, discover, reports := unix.IPPROTO_IP, unix.IP_TTL, unix.IP_TOS, unix.IP_MTU_DISCOVER, unix.IP_RECVERR
	if kind.Address.Is6() {
		level, ttl, tos = unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, unix.IPV6_TCLASS
		discover, reports = unix.IPV6_MTU_DISCOVER, unix.IPV6_RECVERR
	}
	for _, tt := range []struct {
		name         string
		set          func(c *Config)
		option, want int
	}{
		{"reports", func(*Config) {}, reports, 1},
		{"TTL", func(c *Config) { c.TTL = 7 }, ttl, 7},
		{"largest TTL", func(c *Config) { c.TTL = 255 }, ttl, 255},
		{"TOS", func(c *Config) { c.TOS = 0x48 }, tos, 0x48},
		{"path MTU do", func(c *Config) { c.PathMTU = PathMTUDo }, discover, unix.IP_PMTUDISC_DO},
		{"path MTU want", func(c *Config) { c.PathMTU = PathMTUWant }, discover, unix.IP_PMTUDISC_WANT},
		{"path MTU dont", func(c *Config) { c.PathMTU = PathMTUDont }, discover, unix.IP_PMTUDISC_DONT},
		{"path MTU probe", func(c *Config) { c.PathMTU = PathMTUProbe }, discover, unix.IP_PMTUDISC_PROBE},
		{"interface", func(c *Config) { c.Interface = "lo" }, reports, 1},
	} {
		c := kind
		tt.set(&c)
		conn, s := open(t, c)
		clientFD(t, conn, func(fd int) {
			if got, err := unix.GetsockoptInt(fd, level, tt.option); err != nil || got != tt.want {
				t.Errorf("%s, %s: got %d, %v; want %d", s.Method, tt.name, got, err, tt.want)
			}
		})
		if s.Method == MethodRaw && c.Address.Is4() || s.Method == MethodTCP {
			continue // the sender computes the checksum; TCP connects in other threads, and so in another namespace
		}
		roundTrips(t, conn, s, c.Address, 2, c.Size)
	}
	kind.Interface = "none"
	if _, s, err := Open(kind); errno(err) != unix.ENODEV {
		t.Errorf("an interface that is not there: %+v, %v; want %v", s, err, unix.ENODEV)
	}
}

// TestUDPFarEnd: what a far end that is not ours makes of a message is handed over byte for byte.
func TestUDPFarEnd(t *testing.T) {
	for _, address := range []netip.Addr{loopback4, loopback6} {
		inNamespace(t)
		far, err := bindSocket(unix.SOCK_DGRAM, netip.AddrPortFrom(address, 0), noOptions)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(far)
		local, err := localAddress(far)
		if err != nil {
			t.Fatal(err)
		}
		uc := &udpConn{echo: -1}
		s, err := uc.dial(Config{Address: address}.WithDefaults(), local.Port())
		if err != nil {
			t.Fatal(err)
		}
		defer uc.Close()
		msg := request(address, s.Ident, 1, 56)
		if err := uc.Send(msg); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 200)
		if n, e := recvBytes(far, b); e != 0 || string(b[:n]) != string(msg) {
			t.Errorf("the far end got %x, %v; want %x", b[:n], e, msg)
		}
		client, err := unix.Getsockname(uc.fd)
		if err != nil {
			t.Fatal(err)
		}
		for _, said := range [][]byte{replyTo(msg), msg[:20], append(replyTo(msg), 1, 2, 3), {}} {
			if err := unix.Sendto(far, said, 0, client); err != nil {
				t.Fatal(err)
			}
			var p Packet
			if err := uc.Recv(&p, b, time.Now().Add(longEnough)); err != nil || string(p.Msg) != string(said) || p.Opaque {
				t.Errorf("got %x, %v; want %x", p.Msg, err, said)
			}
		}
	}
}
