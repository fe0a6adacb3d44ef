package ping

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// longEnough is how long a test waits for what must come, on however slow a machine.
const longEnough = 30 * time.Second

// methodKind is one way to send probes over UDP or TCP: all of them must do the same.
type methodKind struct {
	address  netip.Addr
	method   string
	portable bool // the conn of other systems, on this one
}

func methodKinds() []methodKind {
	var kinds []methodKind
	for _, address := range []netip.Addr{loopback4, loopback6} {
		for _, method := range []string{MethodUDP, MethodTCP, MethodConnect} {
			kinds = append(kinds, methodKind{address, method, false})
			if runtime.GOOS == "linux" {
				kinds = append(kinds, methodKind{address, method, true})
			}
		}
	}
	return kinds
}

func (k methodKind) String() string {
	s := k.address.String() + "/" + k.method
	if k.portable {
		s += "/portable"
	}
	return s
}

// native says that the conn is Linux's own.
func (k methodKind) native() bool { return !k.portable && runtime.GOOS == "linux" }

// size is n where the method carries data.
func (k methodKind) size(n int) int {
	if k.method == MethodConnect {
		return 0
	}
	return n
}

// of is c for this kind.
func (k methodKind) of(c Config) Config {
	c.Address, c.Proto = k.address, ProtoTCP
	if k.method == MethodUDP {
		c.Proto = ProtoUDP
	}
	c.Connect = k.method == MethodConnect
	return c
}

func (k methodKind) tryOpen(c Config) (*Pinger, error) {
	c = k.of(c)
	if !k.portable {
		return Open(c)
	}
	c = c.withDefaults()
	cn, err := portableConn(c)
	if err != nil {
		return nil, err
	}
	return &Pinger{config: c, conn: cn}, nil
}

// portableConn is the conn of systems other than Linux.
func portableConn(c Config) (conn, error) {
	switch c.method() {
	case MethodUDP:
		return openUDP(c)
	case MethodTCP:
		return openTCP(c)
	}
	return openConnect(c)
}

// need skips a test where this host has no such address.
func (k methodKind) need(t testing.TB) {
	t.Helper()
	needAddress(t, k.address)
}

func needAddress(t testing.TB, address netip.Addr) {
	t.Helper()
	err := plainError(netOnThisHost(Config{Address: address}))
	if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Skipf("this host has no %v (ip addr add it to lo, or sysctl net.ipv6.conf.lo.disable_ipv6=0): %v", address, err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// open opens a pinger that is closed when the test ends.
func (k methodKind) open(t testing.TB, c Config) *Pinger {
	t.Helper()
	k.need(t)
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

// onEachMethod runs a test for each kind.
func onEachMethod(t *testing.T, test func(t *testing.T, k methodKind)) {
	for _, k := range methodKinds() {
		t.Run(k.String(), func(t *testing.T) { test(t, k) })
	}
}

// history runs p to its end and returns what it told.
func history(t testing.TB, p *Pinger) []Event {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), longEnough, errors.New("the run does not end"))
	defer cancel()
	var events []Event
	if err := p.Run(ctx, func(e Event) { events = append(events, e) }); err != nil {
		t.Fatal(err)
	}
	return events
}

// tally is the accounting of events, as a ledger takes them: a service may answer in fewer bytes than a header has.
func tallyOf(t *testing.T, events []Event) *ledger {
	t.Helper()
	l := newLedger()
	for _, e := range events {
		if e.Kind == Reply || e.Kind == Late || e.Kind == Foreign {
			e.Bytes = max(e.Bytes, headerLen)
		}
		l.take(e)
	}
	l.check(t)
	return l
}

// sums are the numbers of a ledger.
func (l *ledger) sums() string {
	const format = "%d sent, %d received, %d late, %d lost, %d corrupted, %d send errors, %d in flight, %d duplicates, %d foreign"
	return fmt.Sprintf(format,
		l.sent, l.received, l.late, l.lost, l.corrupted, l.sendErrors, l.inFlight, l.duplicates, l.foreign)
}

// wantReplies reports anything but count replies.
func wantReplies(t *testing.T, events []Event, count int) {
	t.Helper()
	l := tallyOf(t, events)
	if l.sent != count || l.received != count || l.duplicates != 0 || l.foreign != 0 {
		t.Errorf("%s; want %d received", l.sums(), count)
	}
}

// wantFaults reports anything but count probes that ended with an errno.
func wantFaults(t *testing.T, events []Event, count int, want syscall.Errno) {
	t.Helper()
	l := tallyOf(t, events)
	if l.sent != count || l.sendErrors != count {
		t.Errorf("%s; want %d send errors", l.sums(), count)
	}
	for _, e := range events {
		if e.Kind == SendError && e.Fault.Errno != want {
			t.Errorf("probe %d: %v, want %v", e.Seq, e.Fault.Errno, want)
		}
	}
}

func TestMethods(t *testing.T) {
	onEachMethod(t, func(t *testing.T, k methodKind) {
		size := k.size(56)
		p := k.open(t, Config{Count: 20, Size: 56, Interval: ms, Timeout: longEnough})
		events := history(t, p)
		wantReplies(t, events, 20)
		s := p.Socket()
		if s.Method != k.method || s.Local != k.address || s.Port == 0 || s.Denied != nil {
			t.Errorf("socket: %+v", s)
		}
		for _, e := range events {
			if e.From != k.address || e.Kind != Lasting && e.Ident != s.Ident {
				t.Errorf("%+v", e)
			}
			if e.Kind == Reply && (e.Bytes != headerLen+size || e.RTT <= 0) {
				t.Errorf("%+v", e)
			}
		}
	})
}

func TestMethodSizes(t *testing.T) {
	onEachMethod(t, func(t *testing.T, k methodKind) {
		most := k.of(Config{}).MaxSize()
		sizes := []int{56, 1472, 8192, 8193, 32768, most - 1, most}
		for size := range 17 {
			sizes = append(sizes, size)
		}
		for _, size := range sizes {
			p := k.open(t, Config{Count: 3, Size: size, Pattern: []byte{0xff, 0}, Interval: ms, Timeout: longEnough})
			events := history(t, p)
			wantReplies(t, events, 3)
			if got := events[len(events)-1].Bytes; got != headerLen+k.size(size) {
				t.Errorf("size %d: a message of %d bytes", size, got)
			}
		}
	})
}

// TestMethodFlood is long enough for the number on the wire to matter, and for ports to run out.
func TestMethodFlood(t *testing.T) {
	onEachMethod(t, func(t *testing.T, k methodKind) {
		count := 10000
		if k.method == MethodConnect && !k.native() {
			count = 1000 // a goroutine each
		}
		p := k.open(t, Config{Count: uint64(count), Size: 56, Flood: true, Preload: 3, Timeout: longEnough})
		wantReplies(t, history(t, p), count)
	})
}

func TestMethodPreload(t *testing.T) {
	onEachMethod(t, func(t *testing.T, k methodKind) {
		p := k.open(t, Config{Count: 64, Size: 1000, Preload: 64, Timeout: longEnough})
		wantReplies(t, history(t, p), 64)
	})
}

// TestMethodRunAgain: a pinger may run more than once.
func TestMethodRunAgain(t *testing.T) {
	onEachMethod(t, func(t *testing.T, k methodKind) {
		p := k.open(t, Config{Count: 3, Size: 56, Interval: ms, Timeout: longEnough})
		for range 3 {
			wantReplies(t, history(t, p), 3)
		}
	})
}

// TestMethodWake: wake ends a recv that waits, or the next one that would.
func TestMethodWake(t *testing.T) {
	onEachMethod(t, func(t *testing.T, k methodKind) {
		cn := k.open(t, Config{}).conn
		b := make([]byte, 128)
		recv := func(wait time.Duration) (time.Duration, error) {
			start := time.Now()
			err := cn.recv(new(packet), b, start.Add(wait))
			return time.Since(start), err
		}
		time.AfterFunc(5*ms, cn.wake)
		if took, err := recv(2 * longEnough); err != errWoken || took > longEnough {
			t.Errorf("woken while it waits: %v after %v", err, took)
		}
		cn.wake()
		cn.wake()
		if err := cn.recv(new(packet), b, time.Time{}); err != errTimeout {
			t.Errorf("without waiting: %v", err)
		}
		if took, err := recv(-time.Second); err != errTimeout || took > longEnough {
			t.Errorf("time over: %v after %v", err, took)
		}
		if took, err := recv(2 * longEnough); err != errWoken || took > longEnough {
			t.Errorf("woken before it waits: %v after %v", err, took)
		}
		if took, err := recv(20 * ms); err != errTimeout || took < 20*ms {
			t.Errorf("not woken: %v after %v", err, took)
		}
	})
}

// TestMethodCancel cancels runs at any moment and closes the conn at once.
func TestMethodCancel(t *testing.T) {
	onEachMethod(t, func(t *testing.T, k methodKind) {
		k.need(t)
		cancelAnytime(t, k.tryOpen, Config{Interval: 50 * time.Microsecond, Timeout: time.Hour})
	})
}

// TestMethodGoroutines: nothing runs on when a pinger is closed, whether it ran or not.
func TestMethodGoroutines(t *testing.T) {
	onEachMethod(t, func(t *testing.T, k methodKind) {
		k.need(t)
		before := runtime.NumGoroutine()
		for i := range 20 {
			p, err := k.tryOpen(Config{Count: 2, Interval: 10 * time.Microsecond, Timeout: longEnough})
			if err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 {
				wantReplies(t, history(t, p), 2)
			}
			p.Close()
		}
		deadline := time.Now().Add(longEnough)
		for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
			time.Sleep(ms)
		}
		if after := runtime.NumGoroutine(); after > before {
			t.Errorf("%d goroutines, %d before", after, before)
		}
	})
}

// TestMethodsAtOnce: many runs side by side do not hear each other.
func TestMethodsAtOnce(t *testing.T) {
	const count = 200
	var pingers []*Pinger
	for range 2 {
		for _, k := range methodKinds() {
			pingers = append(pingers, k.open(t, Config{Count: count, Size: 56, Flood: true, Timeout: longEnough}))
		}
	}
	results := make(chan []Event, len(pingers))
	for _, p := range pingers {
		go func() {
			var events []Event
			if err := p.Run(t.Context(), func(e Event) { events = append(events, e) }); err != nil {
				t.Errorf("%+v: %v", p.Socket(), err)
			}
			results <- events
		}()
	}
	for range pingers {
		wantReplies(t, <-results, count)
	}
}

// TestMethodAllocs: no probe costs an allocation, unless it is a connection of the portable conn.
func TestMethodAllocs(t *testing.T) {
	onEachMethod(t, func(t *testing.T, k methodKind) {
		if k.method == MethodConnect && !k.native() {
			return
		}
		configs := []Config{{Flood: true}}
		if k.method == MethodUDP && k.native() {
			configs = append(configs, Config{Flood: true, UserTime: true}, Config{Interval: 10 * time.Microsecond})
		}
		for _, c := range configs {
			c.Size, c.Timeout = 56, longEnough
			checkAllocs(t, k.open(t, c))
		}
	})
}

// TestMethodErrors: what cannot be had is an *OpenError under the method's name.
func TestMethodErrors(t *testing.T) {
	for _, k := range methodKinds() {
		if k.portable {
			continue
		}
		k.address = netip.MustParseAddr("192.0.2.1") // of no host (RFC 5737)
		for _, port := range []uint16{0, 9} {
			for _, source := range []netip.Addr{{}, loopback4} {
				p, err := k.tryOpen(Config{Port: port, Source: source})
				var failure *OpenError
				if !errors.As(err, &failure) {
					t.Fatalf("%v: %v, %v", k, p, err)
				}
				said := failure.TCP
				if k.method == MethodUDP {
					said = failure.UDP
				}
				if said == nil || !failure.NoAddress() || failure.NotPermitted() || failure.NoPort() || failure.Dgram != nil {
					t.Errorf("%v, port %d, source %v: %v", k, port, source, err)
				}
			}
		}
	}
}

func TestHeads(t *testing.T) {
	var q heads
	next, oldest := head(1), head(1)
	for _, step := range []int{3, -2, 5, -6, 1, -1, 100, -50, 30, -80} {
		for ; step > 0; step-- {
			q.push(next)
			next++
		}
		for ; step < 0; step++ {
			if got := q.pop(); got != oldest {
				t.Fatalf("got %d, want %d", got, oldest)
			}
			oldest++
		}
		if q.len() != int(next-oldest) {
			t.Fatalf("%d heads, want %d", q.len(), next-oldest)
		}
	}
	if q.len() != 0 {
		t.Errorf("%d heads are left", q.len())
	}
	for range 100000 { // a queue that is never empty does not grow
		q.push(next)
		q.push(next)
		q.pop()
		q.push(next)
		q.pop()
		q.pop()
	}
	if cap(q.list) > 1000 {
		t.Errorf("room for %d heads where at most 3 wait", cap(q.list))
	}
}

// TestHeadPut: a request turns into its reply, and nothing else of its header changes.
func TestHeadPut(t *testing.T) {
	for _, c := range []Config{{Address: loopback4}, {Address: loopback6}} {
		request := probeOf(c.Address.Is6(), 0xbeef, 0, nil, 7, false).request(0x1234)
		b := make([]byte, 20)
		if got := headOf(request).put(b, 0); !bytes.Equal(got, request) {
			t.Errorf("got %x, want %x", got, request)
		}
		if got := headOf(request).put(b, turnOf(c)); !bytes.Equal(got, replyTo(request)) {
			t.Errorf("got %x, want %x", got, replyTo(request))
		}
	}
}

func TestValidateProto(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config Config
		want   string // part of the error; empty: none
	}{
		{"UDP", Config{Proto: ProtoUDP, Port: 53}, ""},
		{"TCP", Config{Proto: ProtoTCP}, ""},
		{"TCP, connecting", Config{Proto: ProtoTCP, Connect: true, Port: 80}, ""},
		{"ICMP, raw", Config{Proto: ProtoICMP, Socket: SocketRaw}, ""},
		{"unknown", Config{Proto: ProtoTCP + 1}, "protocol 4"},
		{"connecting, by default", Config{Connect: true}, "needs TCP"},
		{"UDP, connecting", Config{Proto: ProtoUDP, Connect: true}, "needs TCP"},
		{"ICMP, connecting", Config{Proto: ProtoICMP, Connect: true}, "needs TCP"},
		{"port, by default", Config{Port: 53}, "port 53 needs UDP or TCP"},
		{"ICMP, port", Config{Proto: ProtoICMP, Port: 53}, "port 53"},
		{"UDP, raw", Config{Proto: ProtoUDP, Socket: SocketRaw}, "kind of ICMP socket"},
		{"TCP, datagram", Config{Proto: ProtoTCP, Socket: SocketDgram}, "kind of ICMP socket"},
		{"UDP, largest", Config{Proto: ProtoUDP, Size: 65499}, ""},
		{"UDP, one more", Config{Proto: ProtoUDP, Size: 65500}, "outside 0 to 65499"},
		{"UDP, largest on IPv6", Config{Proto: ProtoUDP, Address: loopback6, Size: 65519}, ""},
		{"UDP, one more on IPv6", Config{Proto: ProtoUDP, Address: loopback6, Size: 65520}, "outside 0 to 65519"},
		{"TCP, largest", Config{Proto: ProtoTCP, Address: loopback6, Size: 65507}, ""},
		{"TCP, one more", Config{Proto: ProtoTCP, Size: 65508}, "outside 0 to 65507"},
		{"connecting, no data is sent", Config{Proto: ProtoTCP, Connect: true, Size: 70000}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.config.Validate()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestOpenAuto: UDP comes last, and only where each kind of ICMP socket was refused for lack of permission.
func TestOpenAuto(t *testing.T) {
	allowed := map[string]error{}
	denied := map[string]error{MethodDgram: syscall.EACCES, MethodRaw: syscall.EPERM}
	gone := map[string]error{MethodDgram: syscall.EADDRNOTAVAIL, MethodRaw: syscall.EPERM}
	none := map[string]error{MethodDgram: syscall.EACCES, MethodRaw: syscall.EPERM, MethodUDP: syscall.EADDRINUSE}
	for _, tt := range []struct {
		name   string
		config Config
		says   map[string]error
		want   string // the method, or the error
	}{
		{"ICMP works", Config{}, allowed, MethodDgram},
		{"raw works", Config{}, map[string]error{MethodDgram: syscall.EACCES}, MethodRaw},
		{"nothing is permitted", Config{}, denied, MethodUDP},
		{"ICMP alone is asked for", Config{Proto: ProtoICMP}, denied, "no ICMP socket"},
		{"a kind is asked for", Config{Socket: SocketDgram}, denied, "no ICMP socket"},
		{"the address is gone", Config{}, gone, "no ICMP socket"},
		{"UDP does not work either", Config{}, none,
			"no socket on 127.0.0.1: datagram: permission denied; raw: operation not permitted; UDP: "},
		{"too large for UDP", Config{Size: MaxSizeIPv4}, denied, "UDP: size 65507 is outside 0 to 65499"},
		{"UDP is asked for", Config{Proto: ProtoUDP}, allowed, MethodUDP},
		{"UDP is asked for in vain", Config{Proto: ProtoUDP}, none, "no socket on 127.0.0.1: UDP: "},
		{"TCP is asked for", Config{Proto: ProtoTCP}, denied, MethodTCP},
		{"connections are asked for", Config{Proto: ProtoTCP, Connect: true}, denied, MethodConnect},
		{"a port is asked for", Config{Proto: ProtoTCP, Port: 80}, denied, MethodConnect},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cn, refused, err := openAuto(tt.config.withDefaults(), func(_ Config, method string) (conn, error) {
				if e := tt.says[method]; e != nil {
					return nil, e
				}
				return &fakeConn{sock: Socket{Method: method}}, nil
			})
			if err != nil {
				_, ok := errors.AsType[*OpenError](err)
				if !ok || cn != nil || refused != nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, %v, %v; want %q", cn, refused, err, tt.want)
				}
				return
			}
			if got := cn.socket().Method; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			fell := tt.config.Proto == ProtoAuto && tt.want == MethodUDP
			if fell != (refused != nil) {
				t.Errorf("denied: %v", refused)
			}
			if want := (OpenError{Address: loopback4, Dgram: syscall.EACCES, Raw: syscall.EPERM}); fell && *refused != want {
				t.Errorf("denied: %v, want %v", refused, &want)
			}
		})
	}
}
