package ping

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lping/ping/transport"
)

// patience is how long a test waits for what must come, on however slow a machine.
const patience = 30 * time.Second

// socketKind is one way to open a socket: all of them must do the same.
type socketKind struct {
	address netip.Addr
	mode    SocketMode
	quick   bool // without stamps and TTLs
}

func socketKinds() []socketKind {
	var kinds []socketKind
	for _, address := range []netip.Addr{loopback4, loopback6} {
		for _, mode := range []SocketMode{SocketDgram, SocketRaw} {
			kinds = append(kinds, socketKind{address, mode, false}, socketKind{address, mode, true})
		}
	}
	return kinds
}

func (k socketKind) method() string {
	if k.mode == SocketRaw {
		return MethodRaw
	}
	return MethodDgram
}

func (k socketKind) String() string {
	s := fmt.Sprintf("%v/%s", k.address, k.method())
	if k.quick {
		s += "/quick"
	}
	return s
}

// open is Open for this kind of socket.
func (k socketKind) open(t testing.TB, c Config) *Pinger {
	t.Helper()
	p, err := k.tryOpen(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// tryOpen keeps an address that c has.
func (k socketKind) tryOpen(c Config) (*Pinger, error) {
	if !c.Address.IsValid() {
		c.Address = k.address
	}
	c.Socket, c.UserTime, c.NoTTL = k.mode, k.quick, k.quick
	return Open(c)
}

// onEachSocket runs a test for each kind of socket, in a namespace of its own.
func onEachSocket(t *testing.T, test func(t *testing.T, k socketKind)) {
	for _, k := range socketKinds() {
		t.Run(k.String(), func(t *testing.T) {
			inNamespace(t)
			test(t, k)
		})
	}
}

// runAll runs p to its end and returns what it told.
func runAll(t testing.TB, p *Pinger) []Event {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, errors.New("the run does not end"))
	defer cancel()
	var events []Event
	if err := p.Run(ctx, collect(&events)); err != nil {
		t.Fatal(err)
	}
	return events
}

// wantAll reports anything but count replies.
func wantAll(t testing.TB, events []Event, count int) {
	t.Helper()
	l := ledgerOf(events)
	for _, s := range l.wrong {
		t.Error(s)
	}
	if l.sent != count || l.received != count || l.duplicates != 0 {
		t.Errorf("%d sent, %d received, %d duplicates, %d late, %d lost, %d corrupted, %d send errors; want %d received",
			l.sent, l.received, l.duplicates, l.late, l.lost, l.corrupted, l.sendErrors, count)
	}
}

func TestSocketEcho(t *testing.T) {
	onEachSocket(t, func(t *testing.T, k socketKind) {
		p := k.open(t, Config{Transport: Transport{Size: 56, Timeout: patience}, Count: 20, Interval: ms})
		events := runAll(t, p)
		wantAll(t, events, 20)
		s := p.Socket()
		if s.Method != k.method() || s.Local != k.address {
			t.Errorf("socket: %+v", s)
		}
		for _, e := range events {
			answer := e.Kind == Reply && (e.TTL == 64 || k.quick && e.TTL == 0) && e.Bytes == 64 && e.RTT > 0
			still := e.Kind == NoAnswer // a loaded machine may take longer than the interval
			if e.Kind != Sent && !still && !answer || e.From != k.address || e.Ident != s.Ident {
				t.Errorf("%+v", e)
			}
		}
	})
}

func TestSocketFlood(t *testing.T) {
	onEachSocket(t, func(t *testing.T, k socketKind) {
		p := k.open(t, Config{Transport: Transport{Size: 56, Timeout: patience}, Count: 2000, Flood: true, Preload: 3})
		wantAll(t, runAll(t, p), 2000)
	})
}

// TestSocketOnHost uses lo as it is, where other programs ping too.
func TestSocketOnHost(t *testing.T) {
	for _, address := range []netip.Addr{loopback4, loopback6} {
		for _, quick := range []bool{false, true} {
			k := socketKind{address, SocketRaw, quick}
			t.Run(k.String(), func(t *testing.T) {
				p, err := k.tryOpen(Config{Transport: Transport{Address: address, Socket: SocketRaw, Size: 56, Timeout: patience},
					Count: 20, Interval: ms})
				switch {
				case errors.Is(err, syscall.EPERM):
					t.Skipf("no raw socket (it needs CAP_NET_RAW: run as root): %v", err)
				case errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT):
					t.Skipf("this host has no %v (ip addr add it to lo, or sysctl net.ipv6.conf.lo.disable_ipv6=0): %v", address, err)
				case err != nil:
					t.Fatal(err)
				}
				defer p.Close()
				wantAll(t, runAll(t, p), 20)
			})
		}
	}
}

func TestSocketSizes(t *testing.T) {
	onEachSocket(t, func(t *testing.T, k socketKind) {
		sizes := []int{56, 1472, 8192, (Transport{Address: k.address}).MaxSize()}
		for size := range 17 {
			sizes = append(sizes, size)
		}
		for _, size := range sizes {
			p := k.open(t, Config{Transport: Transport{Size: size, Timeout: patience}, Count: 2, Interval: ms})
			events := runAll(t, p)
			wantAll(t, events, 2)
			if got := events[len(events)-1].Bytes; got != headerLen+size {
				t.Errorf("size %d: a message of %d bytes", size, got)
			}
		}
	})
}

// TestSocketTimeout: nobody answers.
func TestSocketTimeout(t *testing.T) {
	onEachSocket(t, func(t *testing.T, k socketKind) {
		ignoreEcho(t)
		start := time.Now()
		events := runAll(t, k.open(t, Config{Transport: Transport{Size: 56, Timeout: 30 * ms}, Count: 2, Interval: 10 * ms}))
		if took := time.Since(start); took < 40*ms {
			t.Errorf("ended after %v", took)
		}
		l := ledgerOf(events)
		l.check(t)
		if l.sent != 2 || l.lost != 2 || l.foreign+l.duplicates != 0 {
			t.Errorf("%d sent, %d lost, %d foreign", l.sent, l.lost, l.foreign)
		}
	})
}

// TestSocketCancel: a run that waits for a reply ends with its context.
func TestSocketCancel(t *testing.T) {
	onEachSocket(t, func(t *testing.T, k socketKind) {
		ignoreEcho(t)
		p := k.open(t, Config{Transport: Transport{Size: 56, Timeout: time.Hour}, Interval: time.Hour})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		start, l := time.Now(), newLedger()
		err := p.Run(ctx, func(e Event) {
			if l.take(e); e.Kind == Sent {
				time.AfterFunc(10*ms, cancel)
			}
		})
		if err != context.Canceled {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
		if took := time.Since(start); took > patience || l.sent != 1 || l.inFlight != 1 {
			t.Errorf("after %v: %d sent, %d in flight", took, l.sent, l.inFlight)
		}
		l.check(t)
	})
}

// TestSocketWake: wake ends a recv that waits, or the next one that would.
func TestSocketWake(t *testing.T) {
	onEachSocket(t, func(t *testing.T, k socketKind) {
		conn := k.open(t, Config{}).conn
		b := make([]byte, 128)
		recv := func(wait time.Duration) (time.Duration, error) {
			start := time.Now()
			err := conn.Recv(new(transport.Packet), b, start.Add(wait))
			return time.Since(start), err
		}
		time.AfterFunc(5*ms, conn.Wake)
		if took, err := recv(2 * patience); err != transport.ErrWoken || took > patience {
			t.Errorf("woken while it waits: %v after %v", err, took)
		}
		conn.Wake()
		conn.Wake()
		if took, err := recv(2 * patience); err != transport.ErrWoken || took > patience {
			t.Errorf("woken before it waits: %v after %v", err, took)
		}
		if took, err := recv(20 * ms); err != transport.ErrTimeout || took < 20*ms {
			t.Errorf("not woken: %v after %v", err, took)
		}
		if took, err := recv(-time.Second); err != transport.ErrTimeout || took > patience {
			t.Errorf("time over: %v after %v", err, took)
		}
		if err := conn.Recv(new(transport.Packet), b, time.Time{}); err != transport.ErrTimeout {
			t.Errorf("without waiting: %v", err)
		}
	})
}

// TestSocketWakeRace cancels runs at any moment and closes the conn at once.
func TestSocketWakeRace(t *testing.T) {
	onEachSocket(t, func(t *testing.T, k socketKind) {
		cancelAnytime(t, k.tryOpen, Config{Transport: Transport{Address: k.address, Socket: k.mode, Timeout: time.Hour},
			Interval: 50 * time.Microsecond})
	})
}

// TestSocketsAtOnce: many runs side by side do not hear each other.
func TestSocketsAtOnce(t *testing.T) {
	// A raw socket hears the replies to all runs of its family. Its queue holds some 270, so that no run loses one
	// however long its reader is kept waiting.
	const copies, queue = 3, 240
	kinds := socketKinds()
	count := uint64(queue / (copies * len(kinds) / 2))
	if !native {
		count /= 2 // it hears the requests too
	}
	inNamespace(t)
	var pingers []*Pinger
	for range copies {
		for _, k := range kinds {
			pingers = append(pingers, k.open(t, Config{Transport: Transport{Size: 56, Timeout: patience}, Count: count, Flood: true}))
		}
	}
	var wg sync.WaitGroup
	ledgers := make([]*ledger, len(pingers))
	for i, p := range pingers {
		ledgers[i] = newLedger()
		wg.Go(func() {
			if err := p.Run(t.Context(), ledgers[i].take); err != nil {
				t.Errorf("%+v: %v", p.Socket(), err)
			}
		})
	}
	wg.Wait()
	for i, l := range ledgers {
		l.check(t)
		if l.received != int(count) || l.duplicates != 0 {
			t.Errorf("%+v: %d of %d received, %d duplicates", pingers[i].Socket(), l.received, count, l.duplicates)
		}
	}
}

// TestSocketRoom: as many answers as the conn promises find room in the queue, whatever their size, though nobody reads
// meanwhile: on a busy machine they come all at once, after the last send.
func TestSocketRoom(t *testing.T) {
	onEachSocket(t, func(t *testing.T, k socketKind) {
		if !native {
			return // nobody knows the queues of other systems
		}
		for _, size := range []int{0, 56, 64, 150, 200, 500, 600, 1000, 1472, 1600, 3600, 4000, 9000, 16000, 30000, 65507} {
			p := k.open(t, Config{Transport: Transport{Size: size, Timeout: patience}})
			room, r := roomOf(p.conn, p.config), newRun(p, nil)
			for seq := range room {
				if err := p.conn.Send(r.probe.request(seq + 1)); err != nil {
					t.Fatal(err)
				}
			}
			got := uint64(0)
			for p.conn.Recv(new(transport.Packet), r.buf, time.Now().Add(10*ms)) == nil {
				got++
			}
			if n, _ := p.QueueDrops(); got != room || n != 0 || room < 1 {
				t.Errorf("size %d: %d of %d answers, %d drops", size, got, room, n)
			}
		}
	})
}

// TestSocketStamps: where the kernel stamps, replies carry its time, and its parts add up; who asks for none gets none.
func TestSocketStamps(t *testing.T) {
	onEachSocket(t, func(t *testing.T, k socketKind) {
		p := k.open(t, Config{Transport: Transport{Size: 56, Timeout: patience}, Count: 50, Interval: ms})
		events := runAll(t, p)
		wantAll(t, events, 50)
		stamps := p.Socket().Stamps
		if stamps && (k.quick || !native) {
			t.Errorf("%+v", p.Socket())
		}
		stamped := 0
		for _, e := range events {
			if e.Stamped {
				stamped++
			}
			if e.Divided && (e.Split.Send+e.Split.Kernel != e.RTT || min(e.Split.Send, e.Split.Kernel, e.Split.Wakeup) < 0) {
				t.Errorf("%v is not the sum of %+v", e.RTT, e.Split)
			}
		}
		if stamps != (stamped > 0) {
			t.Errorf("%d replies are stamped, the socket says %v", stamped, stamps)
		}
	})
}

// TestSocketAllocs: no probe costs an allocation on the sockets of this system.
func TestSocketAllocs(t *testing.T) {
	onEachSocket(t, func(t *testing.T, k socketKind) {
		if !native {
			return // the netpoller's addresses are allocated
		}
		checkAllocs(t, k.open(t, Config{Transport: Transport{Size: 56, Timeout: patience}, Flood: true}))
		checkAllocs(t, k.open(t, Config{Transport: Transport{Size: 56, Timeout: patience}, Interval: 10 * time.Microsecond}))
	})
}

// TestSocketDrops: what finds the queue full is counted, where the conn can tell.
func TestSocketDrops(t *testing.T) {
	onEachSocket(t, func(t *testing.T, k socketKind) {
		p := k.open(t, Config{Transport: Transport{Size: 56}})
		if n, ok := p.QueueDrops(); n != 0 || ok != native {
			t.Fatalf("before the first send: %d, %v", n, ok)
		}
		// With nobody reading, the default buffer holds a few hundred. A full raw socket counts our own requests too.
		r := newRun(p, func(Event) {})
		for seq := range uint64(5000) {
			if err := p.conn.Send(r.probe.request(seq + 1)); err != nil {
				t.Fatal(err)
			}
		}
		if n, ok := p.QueueDrops(); ok != native || ok && (n == 0 || n > 10000) {
			t.Errorf("after 5000 sends without a read: %d, %v", n, ok)
		}
	})
}

// TestSocketSource: another local address may ask, a target that is not on this host may not be asked.
func TestSocketSource(t *testing.T) {
	onEachSocket(t, func(t *testing.T, k socketKind) {
		source, away := netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("192.0.2.1")
		if k.address.Is6() {
			source, away = netip.MustParseAddr("fd00::2"), netip.MustParseAddr("2001:db8::1")
			addAddress(t, "fd00::2")
			waitForRoute(t, source)
		}
		p := k.open(t, Config{Transport: Transport{Source: source, Size: 56, Timeout: patience}, Count: 3, Interval: ms})
		wantAll(t, runAll(t, p), 3)
		if got := p.Socket().Local; got != source {
			t.Errorf("the source is %v, want %v", got, source)
		}
		for _, c := range []Config{{Transport: Transport{Address: away}}, {Transport: Transport{Address: away,
			Source: k.address}}, {Transport: Transport{Address: k.address, Source: away}}} {
			c.Socket = k.mode
			if p, err := k.tryOpen(c); !errors.Is(err, unix.EADDRNOTAVAIL) {
				t.Errorf("from %v to %v: %v, %v; want %v", c.Source, c.Address, p, err, unix.EADDRNOTAVAIL)
			}
		}
	})
}

// waitForRoute waits until the kernel, which does this beside the call that adds an IPv6 address, takes it for its own.
func waitForRoute(t testing.TB, a netip.Addr) {
	t.Helper()
	for start := time.Now(); time.Since(start) < patience; time.Sleep(5 * ms) {
		if out, err := exec.Command("ip", "route", "get", a.String()).Output(); err == nil && bytes.HasPrefix(out, []byte("local ")) {
			return
		}
	}
	t.Fatalf("%v never became an address of this host", a)
}

// TestSocketZone: a link-local address of lo needs its zone to be found, and replies come without one or with it.
func TestSocketZone(t *testing.T) {
	for _, k := range socketKinds() {
		if k.address.Is4() {
			continue
		}
		k.address = netip.MustParseAddr("fe80::1%lo")
		t.Run(k.String(), func(t *testing.T) {
			inNamespace(t)
			addAddress(t, "fe80::1")
			wantAll(t, runAll(t, k.open(t, Config{Transport: Transport{Size: 56, Timeout: patience}, Count: 3, Interval: ms})), 3)
			if p, err := k.tryOpen(Config{Transport: Transport{Address: k.address.WithZone("none"), Socket: k.mode}}); err == nil {
				t.Errorf("a zone that is not there: %+v", p.Socket())
			}
		})
	}
}

// ip runs ip(8) in this goroutine's namespace and returns what it prints.
func ip(t testing.TB, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skipf("no ip(8) (Debian: apt install iproute2): %v", err)
	}
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %v: %v: %s", args, err, out)
	}
	return string(out)
}

// addAddress gives lo an IPv6 address. The kernel adds the route by which it is reached a little later.
func addAddress(t testing.TB, address string) {
	t.Helper()
	ip(t, "addr", "add", address+"/128", "dev", "lo", "nodad")
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(ms) {
		if strings.Contains(ip(t, "-6", "route", "show", "table", "local"), "local "+address+" ") {
			return
		}
	}
	t.Fatalf("no local route to %s after %v", address, patience)
}

// TestOpenRefused: a closed range and no capability are two errnos in one error, and not permitted.
func TestOpenRefused(t *testing.T) {
	inNamespace(t)
	writeSysctl(t, "net/ipv4/ping_group_range", "1 0")
	for _, address := range []netip.Addr{loopback4, loopback6} {
		p, err := Open(Config{Transport: Transport{Address: address, Timeout: patience}, Count: 1})
		if err != nil {
			t.Fatalf("as root there is still the raw socket: %v", err)
		}
		if got := p.Socket().Method; got != MethodRaw {
			t.Errorf("method %s, want %s", got, MethodRaw)
		}
		wantAll(t, runAll(t, p), 1)
		p.Close()
	}
	dropCapabilities(t)
	for _, address := range []netip.Addr{loopback4, loopback6} {
		p, err := Open(Config{Transport: Transport{Address: address, Proto: ProtoICMP}})
		got, ok := errors.AsType[*OpenError](err)
		if !ok || !errors.Is(got.Dgram, syscall.EACCES) || !errors.Is(got.Raw, syscall.EPERM) || !got.NotPermitted() {
			t.Errorf("%v: got %v, %v; want EACCES for datagram and EPERM for raw", address, p, err)
		}
	}
}

// dropCapabilities takes all capabilities from the thread of this goroutine, which must be locked to it.
func dropCapabilities(t *testing.T) {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		t.Fatal(os.NewSyscallError("capset", err))
	}
}

// TestOpenWithoutAddress: where lo never was up there is nothing to bind to, which is no lack of permission.
func TestOpenWithoutAddress(t *testing.T) {
	inEmptyNamespace(t)
	writeSysctl(t, "net/ipv4/ping_group_range", "0 2147483647")
	for _, k := range socketKinds() {
		p, err := k.tryOpen(Config{Transport: Transport{Address: k.address, Socket: k.mode, Size: 56}})
		if err == nil && k.address.Is4() && k.mode == SocketRaw {
			// The kernel takes any address for a broadcast before its first route (__inet_dev_addr_type, fib_frontend.c).
			wantFirstRefused(t, p, unix.ENETUNREACH)
			p.Close()
			continue
		}
		if !errors.Is(err, unix.EADDRNOTAVAIL) {
			t.Errorf("%v: got %v, %v; want %v", k, p, err, unix.EADDRNOTAVAIL)
		}
		if got, ok := errors.AsType[*OpenError](err); native && (!ok || got.NotPermitted()) {
			t.Errorf("%v: %v counts as not permitted", k, err)
		}
	}
}

// wantFirstRefused runs p, whose first probe must be refused and be the last.
func wantFirstRefused(t *testing.T, p *Pinger, want syscall.Errno) {
	t.Helper()
	events := runAll(t, p)
	last := events[len(events)-1]
	if len(events) != 2 || last.Kind != SendError || last.Fault.Errno != want || last.Fault.ICMP {
		t.Errorf("%d events, the last is %+v; want the first probe refused with %v", len(events), last, want)
	}
}

// TestSocketDown: lo is set down under a socket that is open.
func TestSocketDown(t *testing.T) {
	onEachSocket(t, func(t *testing.T, k socketKind) {
		p := k.open(t, Config{Transport: Transport{Size: 56, Timeout: 20 * ms}, Count: 3, Interval: 10 * ms})
		setLoopback(t, false)
		l := ledgerOf(runAll(t, p))
		l.check(t)
		if l.received != 0 || l.lost+l.sendErrors != l.sent || l.sent == 0 {
			t.Errorf("%d sent, %d lost, %d send errors", l.sent, l.lost, l.sendErrors)
		}
	})
}

// TestSocketForbidden: a rule that forbids ends the run at its first probe, whatever the pace.
func TestSocketForbidden(t *testing.T) {
	rules := []struct {
		action string
		want   syscall.Errno
	}{{"prohibit", unix.EACCES}, {"blackhole", unix.EINVAL}, {"unreachable", unix.ENETUNREACH}}
	for _, rule := range rules {
		t.Run(rule.action, func(t *testing.T) {
			onEachSocket(t, func(t *testing.T, k socketKind) {
				p := k.open(t, Config{Transport: Transport{Size: 56}, Flood: true})
				forbid(t, k.address, rule.action)
				wantFirstRefused(t, p, rule.want)
			})
		})
	}
}

// forbid puts a rule before the one that finds local addresses.
func forbid(t *testing.T, address netip.Addr, action string) {
	t.Helper()
	family := "-4"
	if address.Is6() {
		family = "-6"
	}
	ip(t, family, "rule", "add", "pref", "10", "lookup", "local")
	ip(t, family, "rule", "add", "pref", "5", action)
	ip(t, family, "rule", "del", "pref", "0")
}

// TestSocketForbiddenLater: once something was answered an error does not end a run, and does not make it spin.
func TestSocketForbiddenLater(t *testing.T) {
	onEachSocket(t, func(t *testing.T, k socketKind) {
		p := k.open(t, Config{Transport: Transport{Size: 56, Timeout: patience}, Flood: true})
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		var refused []time.Time
		err := p.Run(ctx, func(e Event) {
			switch {
			case e.Kind == Reply && e.Seq == 3:
				forbid(t, k.address, "prohibit")
			case e.Kind == SendError:
				refused = append(refused, e.Time)
			}
			if len(refused) == 5 {
				cancel()
			}
		})
		if err != context.Canceled || len(refused) != 5 {
			t.Fatalf("%v after %d send errors", err, len(refused))
		}
		// The 10 ms are from send to send, and these are the moments when each was refused.
		if took := refused[4].Sub(refused[0]); took < 35*ms {
			t.Errorf("5 send errors in %v", took)
		}
	})
}
