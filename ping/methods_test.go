package ping

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"lping/ping/transport"
)

// longEnough is how long a test waits for what must come, on however slow a machine.
const longEnough = 30 * time.Second

// methodKind is one way to send probes over UDP or TCP: all of them must do the same. go test -tags portable tests what
// other systems run on this one.
type methodKind struct {
	address netip.Addr
	method  string
}

func methodKinds() []methodKind { return kindsOf(MethodUDP, MethodTCP) }

func kindsOf(methods ...string) (kinds []methodKind) {
	for _, address := range []netip.Addr{loopback4, loopback6} {
		for _, method := range methods {
			kinds = append(kinds, methodKind{address, method})
		}
	}
	return kinds
}

func (k methodKind) String() string { return k.address.String() + "/" + k.method }

// of is c for this kind.
func (k methodKind) of(c Config) Config {
	c.Address, c.Proto = k.address, ProtoTCP
	if k.method == MethodUDP {
		c.Proto = ProtoUDP
	}
	return c
}

func (k methodKind) tryOpen(c Config) (*Pinger, error) { return Open(k.of(c)) }

// need skips a test where this host has no such address.
func (k methodKind) need(t testing.TB) {
	t.Helper()
	needAddress(t, k.address)
}

func needAddress(t testing.TB, address netip.Addr) {
	t.Helper()
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(address, 0)))
	if err == nil {
		socket.Close()
		return
	}
	if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Skipf("this host has no %v (ip addr add it to lo, or sysctl net.ipv6.conf.lo.disable_ipv6=0): %v", address, err)
	}
	t.Fatal(err)
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
		p := k.open(t, Config{Transport: Transport{Size: 56, Timeout: longEnough}, Count: 20, Interval: ms})
		events := history(t, p)
		wantReplies(t, events, 20)
		s := p.Socket()
		if s.Method != k.method || s.Local != k.address || s.Port == 0 || s.Denied != nil {
			t.Errorf("socket: %+v", s)
		}
		for _, e := range events {
			if e.From != k.address || e.Ident != s.Ident {
				t.Errorf("%+v", e)
			}
			if (e.Connect > 0) != (e.Kind == Reply && k.method == MethodTCP) || e.Connect > e.RTT {
				t.Errorf("connected after %v of %v: %+v", e.Connect, e.RTT, e)
			}
			if e.Kind == Reply && (e.Bytes != headerLen+56 || e.RTT <= 0) {
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
			p := k.open(t, Config{Transport: Transport{Size: size, Timeout: longEnough}, Count: 3, Pattern: []byte{0xff, 0},
				Interval: ms})
			events := history(t, p)
			wantReplies(t, events, 3)
			if got := events[len(events)-1].Bytes; got != headerLen+size {
				t.Errorf("size %d: a message of %d bytes", size, got)
			}
		}
	})
}

// TestMethodFlood is long enough for the number on the wire to matter, and for ports to run out.
func TestMethodFlood(t *testing.T) {
	onEachMethod(t, func(t *testing.T, k methodKind) {
		count := 10000
		p := k.open(t, Config{Transport: Transport{Size: 56, Timeout: longEnough}, Count: uint64(count), Flood: true, Preload: 3})
		wantReplies(t, history(t, p), count)
	})
}

func TestMethodPreload(t *testing.T) {
	onEachMethod(t, func(t *testing.T, k methodKind) {
		p := k.open(t, Config{Transport: Transport{Size: 1000, Timeout: longEnough}, Count: 64, Preload: 64})
		wantReplies(t, history(t, p), 64)
	})
}

// TestMethodRunAgain: a pinger may run more than once.
func TestMethodRunAgain(t *testing.T) {
	onEachMethod(t, func(t *testing.T, k methodKind) {
		p := k.open(t, Config{Transport: Transport{Size: 56, Timeout: longEnough}, Count: 3, Interval: ms})
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
			err := cn.Recv(new(transport.Packet), b, start.Add(wait))
			return time.Since(start), err
		}
		time.AfterFunc(5*ms, cn.Wake)
		if took, err := recv(2 * longEnough); err != transport.ErrWoken || took > longEnough {
			t.Errorf("woken while it waits: %v after %v", err, took)
		}
		cn.Wake()
		cn.Wake()
		if err := cn.Recv(new(transport.Packet), b, time.Time{}); err != transport.ErrTimeout {
			t.Errorf("without waiting: %v", err)
		}
		if took, err := recv(-time.Second); err != transport.ErrTimeout || took > longEnough {
			t.Errorf("time over: %v after %v", err, took)
		}
		if took, err := recv(2 * longEnough); err != transport.ErrWoken || took > longEnough {
			t.Errorf("woken before it waits: %v after %v", err, took)
		}
		if took, err := recv(20 * ms); err != transport.ErrTimeout || took < 20*ms {
			t.Errorf("not woken: %v after %v", err, took)
		}
	})
}

// TestMethodCancel cancels runs at any moment and closes the conn at once.
func TestMethodCancel(t *testing.T) {
	onEachMethod(t, func(t *testing.T, k methodKind) {
		k.need(t)
		cancelAnytime(t, k.tryOpen, Config{Transport: Transport{Timeout: time.Hour}, Interval: 50 * time.Microsecond})
	})
}

// TestMethodGoroutines: nothing runs on when a pinger is closed, whether it ran or not.
func TestMethodGoroutines(t *testing.T) {
	onEachMethod(t, func(t *testing.T, k methodKind) {
		k.need(t)
		before := runtime.NumGoroutine()
		for i := range 20 {
			p, err := k.tryOpen(Config{Transport: Transport{Timeout: longEnough}, Count: 2, Interval: 10 * time.Microsecond})
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
			pingers = append(pingers, k.open(t, Config{Transport: Transport{Size: 56, Timeout: longEnough}, Count: count, Flood: true}))
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

// TestMethodAllocs: no probe costs an allocation, unless it is a connection.
func TestMethodAllocs(t *testing.T) {
	onEachMethod(t, func(t *testing.T, k methodKind) {
		if k.method == MethodTCP {
			return
		}
		configs := []Config{{Flood: true}}
		if k.method == MethodUDP && native {
			configs = append(configs, Config{Transport: Transport{UserTime: true}, Flood: true}, Config{Interval: 10 * time.Microsecond})
		}
		if k.address == loopback4 && native {
			configs = append(configs, Config{Interval: 250 * time.Microsecond}) // long enough for the netpoller
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
		k.address = netip.MustParseAddr("192.0.2.1") // of no host (RFC 5737)
		for _, port := range []uint16{0, 9} {
			for _, source := range []netip.Addr{{}, loopback4} {
				p, err := k.tryOpen(Config{Transport: Transport{Port: port, Source: source}})
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

func TestValidateProto(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config Config
		want   string // part of the error; empty: none
	}{
		{"UDP", Config{Transport: Transport{Proto: ProtoUDP, Port: 53}}, ""},
		{"TCP", Config{Transport: Transport{Proto: ProtoTCP}}, ""},
		{"ICMP, raw", Config{Transport: Transport{Proto: ProtoICMP, Socket: SocketRaw}}, ""},
		{"unknown", Config{Transport: Transport{Proto: ProtoHTTP + 1}}, "protocol 5"},
		{"port, by default", Config{Transport: Transport{Port: 53}}, "port 53 needs UDP or TCP"},
		{"ICMP, port", Config{Transport: Transport{Proto: ProtoICMP, Port: 53}}, "port 53"},
		{"UDP, raw", Config{Transport: Transport{Proto: ProtoUDP, Socket: SocketRaw}}, "kind of ICMP socket"},
		{"TCP, datagram", Config{Transport: Transport{Proto: ProtoTCP, Socket: SocketDgram}}, "kind of ICMP socket"},
		{"UDP, largest", Config{Transport: Transport{Proto: ProtoUDP, Size: 65499}}, ""},
		{"UDP, one more", Config{Transport: Transport{Proto: ProtoUDP, Size: 65500}}, "outside 0 to 65499"},
		{"UDP, largest on IPv6", Config{Transport: Transport{Proto: ProtoUDP, Address: loopback6, Size: 65519}}, ""},
		{"UDP, one more on IPv6", Config{Transport: Transport{Proto: ProtoUDP, Address: loopback6, Size: 65520}},
			"outside 0 to 65519"},
		{"TCP, largest", Config{Transport: Transport{Proto: ProtoTCP, Address: loopback6, Size: 65507}}, ""},
		{"TCP, one more", Config{Transport: Transport{Proto: ProtoTCP, Size: 65508}}, "outside 0 to 65507"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.config.Validate()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
