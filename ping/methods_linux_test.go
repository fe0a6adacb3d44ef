package ping

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inEachNamespace runs a test for each kind of these methods, in a namespace of its own.
func inEachNamespace(t *testing.T, kinds []methodKind, test func(t *testing.T, k methodKind)) {
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			if k.method != MethodTCP {
				inNamespace(t)
			} else if inProcessNamespace(t) {
				setUpNamespace(t)
			} else {
				return
			}
			test(t, k)
		})
	}
}

// nft loads rules into this goroutine's namespace.
func nft(t *testing.T, rules string) {
	t.Helper()
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skipf("no nft(8) (Debian: apt install nftables): %v", err)
	}
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
}

// boundSockets are the local addresses of the UDP and TCP sockets in this goroutine's namespace, as the kernel
// prints them.
func boundSockets(t *testing.T) map[string]string {
	t.Helper()
	bound := map[string]string{}
	for _, table := range []string{"udp", "udp6", "tcp", "tcp6"} {
		b, err := os.ReadFile(filepath.Join("/proc/thread-self/net", table))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(b), "\n")[1:] {
			if fields := strings.Fields(line); len(fields) > 3 {
				bound[fmt.Sprintf("%s %s to %s, state %s", table, fields[1], fields[2], fields[3])] = fields[1]
			}
		}
	}
	return bound
}

// procAddress is an address as /proc/net prints it: words in the order of this host.
func procAddress(a netip.Addr) string {
	var s strings.Builder
	for b := a.AsSlice(); len(b) > 0; b = b[4:] {
		fmt.Fprintf(&s, "%08X", binary.NativeEndian.Uint32(b))
	}
	return s.String()
}

// TestMethodSockets: nothing is bound to another address than the target's, and nothing is left after close.
func TestMethodSockets(t *testing.T) {
	inEachNamespace(t, methodKinds(), func(t *testing.T, k methodKind) {
		p, err := k.tryOpen(Config{Transport: Transport{Size: 56, Timeout: longEnough}, Count: 20, Preload: 4})
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		check := func() {
			for s, local := range boundSockets(t) {
				seen++
				if address, _, _ := strings.Cut(local, ":"); address != procAddress(k.address) {
					t.Errorf("bound elsewhere: %s", s)
				}
			}
		}
		check()
		if err := p.Run(t.Context(), func(e Event) {
			if e.Seq == 10 {
				check()
			}
		}); err != nil {
			t.Error(err)
		}
		check()
		if seen == 0 {
			t.Error("no socket was seen")
		}
		p.Close()
		for s := range boundSockets(t) {
			t.Errorf("left after close: %s", s)
		}
	})
}

// clientAddress is what the client's socket of a UDP conn is bound to: beside that of the far end it is the only one in
// this goroutine's namespace.
func clientAddress(t *testing.T, p *Pinger) netip.AddrPort {
	t.Helper()
	for _, local := range boundSockets(t) {
		_, digits, _ := strings.Cut(local, ":")
		port, err := strconv.ParseUint(digits, 16, 16)
		if err != nil {
			t.Fatal(err)
		}
		if uint16(port) != p.Socket().Port {
			return netip.AddrPortFrom(p.config.Address, uint16(port))
		}
	}
	t.Fatal("no client's socket was seen")
	return netip.AddrPort{}
}

// TestUDPForged: what another socket sends is no answer, even if it is right, and gets none.
func TestUDPForged(t *testing.T) {
	inEachNamespace(t, udpKinds(), func(t *testing.T, k methodKind) {
		p := k.open(t, Config{Transport: Transport{Size: 56, Timeout: longEnough}, Count: 10, Interval: 2 * ms})
		client, far := clientAddress(t, p), netip.AddrPortFrom(k.address, p.Socket().Port)
		forger := listenUDP(t, k.address)
		defer forger.Close()
		right := newRun(p, nil).probe // of another key, but the forger may know that too
		var events []Event
		err := p.Run(t.Context(), func(e Event) {
			events = append(events, e)
			if e.Kind == Sent {
				request := right.request(e.Seq)
				forger.WriteToUDPAddrPort(replyTo(request), client)
				forger.WriteToUDPAddrPort(request, far)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		wantReplies(t, events, 10)
		forger.SetReadDeadline(time.Now().Add(20 * ms))
		n, from, err := forger.ReadFromUDPAddrPort(make([]byte, 100))
		if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("the forger got %d bytes from %v, %v", n, from, err)
		}
	})
}

// TestMethodStamps: UDP has the kernel's stamps, and their parts add up.
func TestMethodStamps(t *testing.T) {
	if !native {
		t.Skip("only Linux's own conn has stamps: test without -tags portable")
	}
	for _, address := range []netip.Addr{loopback4, loopback6} {
		inNamespace(t)
		k := methodKind{address, MethodUDP}
		p := k.open(t, Config{Transport: Transport{Size: 56, Timeout: longEnough}, Count: 50, Interval: ms})
		events := history(t, p)
		wantReplies(t, events, 50)
		stamped := 0
		for _, e := range events {
			if e.Divided && (e.Split.Send+e.Split.Kernel != e.RTT || min(e.Split.Send, e.Split.Kernel, e.Split.Wakeup) < 0) {
				t.Errorf("%v is not the sum of %+v", e.RTT, e.Split)
			}
			if e.Stamped {
				stamped++
			}
			if e.Kind == Reply && e.TTL != 64 {
				t.Errorf("TTL %d", e.TTL)
			}
		}
		if p.Socket().Stamps != (stamped > 0) {
			t.Errorf("%d replies are stamped, the socket says %v", stamped, p.Socket().Stamps)
		}
	}
}

// TestMethodSample: a flood takes the transmit stamp of one probe in eight, and of no other, past the end of the sequence
// numbers too.
func TestMethodSample(t *testing.T) {
	if !native {
		t.Skip("only Linux's own conn has stamps: test without -tags portable")
	}
	for _, proto := range []Proto{ProtoICMP, ProtoUDP} {
		const count = 70_000
		inNamespace(t)
		p, err := Open(Config{Transport: Transport{Proto: proto, Timeout: longEnough}, Count: count, Flood: true, Preload: 3})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		divided := 0
		err = p.Run(t.Context(), func(e Event) {
			if !e.Divided {
				return
			}
			divided++
			if e.Seq%8 != 1 || e.Split.Send+e.Split.Kernel != e.RTT {
				t.Errorf("%v: probe %d took %v, in parts %+v", proto, e.Seq, e.RTT, e.Split)
			}
		})
		if err != nil || divided < count/8*9/10 || divided > count/8 {
			t.Errorf("%v: %d of %d round trips are divided, %v", proto, divided, count, err)
		}
	}
}

// TestMethodTimerSlack: the timer slack of a thread is lowered below 1 ms between probes, and only then.
func TestMethodTimerSlack(t *testing.T) {
	if !native {
		t.Skip("only Linux's own conn waits in a system call: test without -tags portable")
	}
	runtime.LockOSThread() // for good: the thread ends with the goroutine
	for _, tt := range []struct {
		interval time.Duration
		want     int
	}{{ms, 50_000}, {100 * time.Microsecond, 1000}} {
		p, err := Open(Config{Transport: Transport{Proto: ProtoUDP, Timeout: longEnough}, Count: 500, Interval: tt.interval})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 50_000, 0, 0, 0); err != nil {
			t.Fatal(err)
		}
		if err := p.Run(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if got, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); err != nil || got != tt.want {
			t.Errorf("interval %v: timer slack %d ns, want %d, %v", tt.interval, got, tt.want, err)
		}
	}
}

// firewall puts a rule into a chain of this goroutine's namespace.
func firewall(t *testing.T, hook, rule string) {
	t.Helper()
	nft(t, fmt.Sprintf("table inet f {\nchain c {\ntype filter hook %s priority 0;\n%s\n}\n}", hook, rule))
}

// outcome is what a fault does to probes.
type outcome struct {
	lost  bool
	errno syscall.Errno
}

// TestMethodFirewall: what a firewall does is told as what it is: refused where the system says so, lost where not.
func TestMethodFirewall(t *testing.T) {
	lost, refused := outcome{lost: true}, outcome{errno: unix.ECONNREFUSED}
	for _, tt := range []struct {
		name, hook, rule string
		want             map[string]outcome
	}{
		{"input drops", "input", "meta l4proto { tcp, udp } drop",
			map[string]outcome{MethodUDP: lost, MethodTCP: lost}},
		{"output drops", "output", "meta l4proto { tcp, udp } drop",
			map[string]outcome{MethodUDP: {errno: unix.EPERM}, MethodTCP: lost}},
		{"input rejects", "input", "meta l4proto { tcp, udp } reject with icmpx type port-unreachable",
			map[string]outcome{MethodUDP: refused, MethodTCP: refused}},
		{"output rejects", "output", "meta l4proto { tcp, udp } reject with icmpx type port-unreachable",
			map[string]outcome{MethodUDP: refused, MethodTCP: refused}},
		{"resets", "input", "tcp flags & rst == 0 reject with tcp reset",
			map[string]outcome{MethodTCP: refused}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inEachNamespace(t, methodKinds(), func(t *testing.T, k methodKind) {
				want, ok := tt.want[k.method]
				if !ok || !native {
					return
				}
				firewall(t, tt.hook, tt.rule)
				p := k.open(t, Config{Transport: Transport{Size: 56, Timeout: 100 * ms}, Count: 3, Interval: 20 * ms})
				start := time.Now()
				events := history(t, p)
				if took := time.Since(start); took > longEnough {
					t.Errorf("took %v", took)
				}
				l := tallyOf(t, events)
				if want.lost && l.lost != 3 || !want.lost && l.sendErrors != 3 {
					t.Error(l.sums())
				}
				for _, e := range events {
					if e.Kind == SendError && e.Fault.Errno != want.errno {
						t.Errorf("probe %d: %+v, want %v", e.Seq, e.Fault, want.errno)
					}
				}
			})
		})
	}
}

// TestUDPReplyRefused: a firewall that is in the way of the reply alone is told by the errno of the echo.
func TestUDPReplyRefused(t *testing.T) {
	for _, tt := range []struct {
		hook, verdict string
		want          syscall.Errno
	}{{"output", "drop", unix.EPERM}, {"input", "reject with icmpx type port-unreachable", unix.ECONNREFUSED}} {
		t.Run(tt.hook, func(t *testing.T) {
			inEachNamespace(t, udpKinds(), func(t *testing.T, k methodKind) {
				if !native {
					return // its echo has nobody to tell
				}
				p := k.open(t, Config{Transport: Transport{Size: 56, Timeout: longEnough}, Count: 5, Interval: 10 * ms})
				firewall(t, tt.hook, fmt.Sprintf("udp sport %d %s", p.Socket().Port, tt.verdict))
				wantFaults(t, history(t, p), 5, tt.want)
			})
		})
	}
}

// TestMethodForbidden: a rule that forbids ends the run at its first probe, whenever it came.
func TestMethodForbidden(t *testing.T) {
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprintf("first=%v", first), func(t *testing.T) {
			inEachNamespace(t, methodKinds(), func(t *testing.T, k methodKind) {
				if !native && first && k.method == MethodUDP {
					return // it connects when it opens
				}
				if first {
					forbid(t, k.address, "prohibit")
				}
				p := k.open(t, Config{Transport: Transport{Size: 56, Timeout: longEnough}, Flood: true})
				if !first {
					forbid(t, k.address, "prohibit")
				}
				wantFirstRefused(t, p, unix.EACCES)
			})
		})
	}
}

// TestMethodWithoutAddress: where lo never was up there is nothing to bind to, which is no lack of permission.
func TestMethodWithoutAddress(t *testing.T) {
	for _, k := range methodKinds() {
		t.Run(k.String(), func(t *testing.T) {
			switch {
			case k.method == MethodTCP && !inProcessNamespace(t):
				return
			case k.method == MethodUDP && !native:
				t.Skip("other systems have no namespaces: test without -tags portable")
			case k.method == MethodUDP:
				inEmptyNamespace(t)
			}
			for _, c := range []Config{{}, {Transport: Transport{Port: 9}}} {
				p, err := k.tryOpen(c)
				if k.address.Is4() && err == nil {
					// The kernel takes any address for a broadcast before its first route (__inet_dev_addr_type, fib_frontend.c).
					wantFirstRefused(t, p, unix.ENETUNREACH)
					p.Close()
					continue
				}
				if got, ok := errors.AsType[*OpenError](err); !ok || !got.NoAddress() || got.NotPermitted() || got.NoPort() {
					t.Errorf("port %d: got %v, %v; want %v", c.Port, p, err, unix.EADDRNOTAVAIL)
				}
			}
		})
	}
}

// TestMethodDown: lo is set down under a socket that is open.
func TestMethodDown(t *testing.T) {
	inEachNamespace(t, methodKinds(), func(t *testing.T, k methodKind) {
		p := k.open(t, Config{Transport: Transport{Size: 56, Timeout: 20 * ms}, Count: 3, Interval: 10 * ms})
		setLoopback(t, false)
		l := tallyOf(t, history(t, p))
		if l.received != 0 || l.lost+l.sendErrors != l.sent || l.sent == 0 {
			t.Error(l.sums())
		}
	})
}

// TestMethodPorts: where the system has no port to give, TCP and UDP say so.
func TestMethodPorts(t *testing.T) {
	inEachNamespace(t, methodKinds(), func(t *testing.T, k methodKind) {
		writeSysctl(t, "net/ipv4/ip_local_port_range", "40000 40001")
		// Two connections at once would need three.
		p, err := k.tryOpen(Config{Transport: Transport{Size: 56, Timeout: longEnough}, Count: 5, Interval: 50 * ms})
		if err != nil {
			t.Fatalf("two ports are enough: %v", err)
		}
		wantReplies(t, history(t, p), 5)
		defer p.Close()
		q, err := k.tryOpen(Config{})
		if k.method == MethodTCP && err == nil {
			q.Close() // a connection takes its port only while it lasts
			return
		}
		got, ok := errors.AsType[*OpenError](err)
		if !errors.Is(err, unix.EADDRINUSE) || ok && (!got.NoPort() || got.NoAddress()) {
			t.Errorf("with no port: %v, %v", q, err)
		}
	})
}

// TestConnectPorts: a connection that gets no port is a send error, and the first that got none ends the run.
func TestConnectPorts(t *testing.T) {
	inEachNamespace(t, kindsOf(MethodTCP), func(t *testing.T, k methodKind) {
		port := tcpService(t, k.address, func(far *net.TCPConn) { t.Cleanup(func() { far.Close() }) })
		writeSysctl(t, "net/ipv4/ip_local_port_range", "40000 40000")
		p := k.open(t, Config{Transport: Transport{Port: port, Timeout: longEnough}, Interval: time.Hour})
		taken, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(k.address, 40000)))
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		wantFirstRefused(t, p, unix.EADDRNOTAVAIL)
	})
}

// TestSelfConnect: where the system chooses the very port that is asked for, nobody listens there all the same.
func TestSelfConnect(t *testing.T) {
	inEachNamespace(t, methodKinds(), func(t *testing.T, k methodKind) {
		writeSysctl(t, "net/ipv4/ip_local_port_range", "40000 40000")
		c := Config{Transport: Transport{Port: 40000, Size: 56, Timeout: longEnough}, Count: 5, Interval: ms}
		if k.method == MethodTCP { // with one port alone a connection may meet the one before
			writeSysctl(t, "net/ipv4/ip_local_port_range", "40000 40003")
			for range 8 {
				wantFaults(t, history(t, k.open(t, c)), 5, unix.ECONNREFUSED)
			}
			return
		}
		if p, err := k.tryOpen(c); !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("with that port alone: %v, %v", p, err)
		}
		writeSysctl(t, "net/ipv4/ip_local_port_range", "40000 40001")
		for range 8 { // as often as the system takes to choose the wrong one
			p, err := k.tryOpen(c)
			if err != nil {
				t.Fatal(err)
			}
			wantFaults(t, history(t, p), 5, unix.ECONNREFUSED)
			p.Close()
		}
	})
}

// TestMethodSource: another local address may ask.
func TestMethodSource(t *testing.T) {
	inEachNamespace(t, methodKinds(), func(t *testing.T, k methodKind) {
		source := netip.MustParseAddr("127.0.0.2")
		if k.address.Is6() {
			source = netip.MustParseAddr("::1") // lo has no other
		}
		p := k.open(t, Config{Transport: Transport{Source: source, Size: 56, Timeout: longEnough}, Count: 3, Interval: ms})
		wantReplies(t, history(t, p), 3)
		if got := p.Socket().Local; got != source {
			t.Errorf("the source is %v, want %v", got, source)
		}
	})
}

// TestMethodMTU: larger messages than lo's MTU arrive in pieces, unless that is forbidden.
func TestMethodMTU(t *testing.T) {
	inEachNamespace(t, methodKinds(), func(t *testing.T, k methodKind) {
		setMTU(t, 1280)
		for _, size := range []int{56, 1224, 1225, 1300, 9000, k.of(Config{}).MaxSize()} {
			c := Config{Transport: Transport{Size: size, Timeout: longEnough}, Count: 3, Interval: ms}
			wantReplies(t, history(t, k.open(t, c)), 3)
			if k.method == MethodUDP && size > 1300 {
				c.PathMTU = PathMTUDo
				events := history(t, k.open(t, c))
				if last := events[len(events)-1]; last.Kind != SendError || last.Fault.Errno != unix.EMSGSIZE {
					t.Errorf("size %d in one piece: %+v", size, last)
				}
			}
		}
	})
}

// TestTCPSmallBuffers: a message that is larger than all buffers on its way is written and read in parts, by one thread.
func TestTCPSmallBuffers(t *testing.T) {
	inEachNamespace(t, kindsOf(MethodTCP), func(t *testing.T, k methodKind) {
		writeSysctl(t, "net/ipv4/tcp_rmem", "4096 4096 4096")
		writeSysctl(t, "net/ipv4/tcp_wmem", "4096 4096 4096")
		for _, preload := range []int{1, 20} {
			c := Config{Transport: Transport{Size: MaxSizeTCP, Timeout: longEnough}, Count: 20, Preload: preload, Interval: ms}
			wantReplies(t, history(t, k.open(t, c)), 20)
		}
	})
}

// TestTCPLate: what a firewall drops for a while TCP sends again: the answer is late, and those behind it are in time.
func TestTCPLate(t *testing.T) {
	inEachNamespace(t, kindsOf(MethodTCP), func(t *testing.T, k methodKind) {
		p := k.open(t, Config{Transport: Transport{Size: 56, Timeout: 50 * ms}, Interval: 20 * ms})
		ctx, cancel := context.WithTimeoutCause(t.Context(), longEnough, errors.New("no late answer came"))
		defer cancel()
		l := newLedger()
		err := p.Run(ctx, func(e Event) {
			l.take(e)
			switch {
			case e.Kind == Reply && e.Seq == 3:
				firewall(t, "input", "meta l4proto tcp drop")
			case e.Kind == Timeout && l.lost == 2:
				nft(t, "flush ruleset")
			case l.late >= 2:
				cancel()
			}
		})
		l.check(t)
		if context.Cause(ctx) != context.Canceled || l.sendErrors != 0 || l.received < 4 {
			t.Errorf("%v: %s", err, l.sums())
		}
	})
}

// TestOpenFallsBack: where ICMP is not permitted a run goes over UDP, and says why.
func TestOpenFallsBack(t *testing.T) {
	inNamespace(t)
	writeSysctl(t, "net/ipv4/ping_group_range", "1 0")
	dropCapabilities(t)
	for _, address := range []netip.Addr{loopback4, loopback6} {
		p, err := Open(Config{Transport: Transport{Address: address, Size: 56, Timeout: longEnough}, Count: 3, Interval: ms})
		if err != nil {
			t.Fatal(err)
		}
		s := p.Socket()
		if s.Method != MethodUDP || s.Denied == nil {
			t.Fatalf("%+v", s)
		}
		if !errors.Is(s.Denied.Dgram, unix.EACCES) || !errors.Is(s.Denied.Raw, unix.EPERM) || s.Denied.UDP != nil {
			t.Errorf("denied: %v", s.Denied)
		}
		wantReplies(t, history(t, p), 3)
		p.Close()
		for _, c := range []Config{{Transport: Transport{Proto: ProtoICMP}}, {Transport: Transport{Socket: SocketDgram}},
			{Transport: Transport{Socket: SocketRaw}}} {
			c.Address = address
			if p, err := Open(c); err == nil || p != nil {
				t.Errorf("%+v: %v", c, p.Socket())
			}
		}
	}
}
