package ping

import (
	"testing"
	"time"

	"lping/ping/transport"
)

// echoConn answers each request at once and allocates nothing.
type echoConn struct {
	sock    Socket
	msg     [headerLen + 1500]byte
	n       int // length of the answer that waits; 0: none
	reads   int
	stamped bool
	left    int64
}

func (c *echoConn) Send(msg []byte) error {
	c.n = copy(c.msg[:], msg)
	c.msg[0] = transport.TypeEchoReplyV4
	c.left = time.Now().UnixNano()
	return nil
}

// recv never waits: it lets the engine ask again.
func (c *echoConn) Recv(p *transport.Packet, b []byte, _ time.Time) error {
	c.reads++
	if c.n == 0 {
		return transport.ErrTimeout
	}
	*p = transport.Packet{Msg: b[:copy(b, c.msg[:c.n])], From: c.sock.Local, TTL: 64}
	if c.stamped {
		p.Kernel = time.Now().UnixNano()
	}
	c.n = 0
	return nil
}

func (c *echoConn) Transmitted(uint16) int64 { return c.left }

func (c *echoConn) Wake() {}

func (c *echoConn) socket() Socket { return c.sock }

func (c *echoConn) Close() error { return nil }

// TestAllocs: a run of any length allocates what it needs at its start, and nothing a probe.
func TestAllocs(t *testing.T) {
	for _, tt := range []struct {
		name    string
		config  Config
		stamped bool
	}{
		{"flood", Config{Transport: Transport{Size: 56}, Flood: true}, false},
		{"flood, stamped", Config{Transport: Transport{Size: 56}, Flood: true}, true},
		{"adaptive", Config{Transport: Transport{Size: 56}, Adaptive: true}, false},
		{"paced", Config{Transport: Transport{Size: 56}, Interval: 10 * time.Microsecond}, false},
		{"paced, stamped", Config{Transport: Transport{Size: 56}, Interval: 10 * time.Microsecond}, true},
		{"no data", Config{Flood: true}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn := &echoConn{sock: Socket{Local: loopback4, Ident: fakeIdent, Checksum: true, Stamps: tt.stamped}, stamped: tt.stamped}
			checkAllocs(t, pingerOver(tt.config.withDefaults(), conn))
		})
	}
}

// TestReads: where the answer is there when the send returns, a flood reads once a probe.
func TestReads(t *testing.T) {
	conn := &echoConn{sock: Socket{Local: loopback4, Ident: fakeIdent}}
	l := newLedger()
	pinger := pingerOver(Config{Transport: Transport{Size: 56}, Count: 1000, Flood: true}.withDefaults(), conn)
	if err := pinger.Run(t.Context(), l.take); err != nil || l.received != 1000 || conn.reads > 1001 {
		t.Errorf("%v: %d received with %d reads, want 1000 with one more at the end", err, l.received, conn.reads)
	}
}

// checkAllocs runs p with few probes and with many, and compares.
func checkAllocs(t *testing.T, p *Pinger) {
	t.Helper()
	const few, many = 100, 5100
	allocs := func(count uint64) float64 {
		p.config.Count = count
		received := uint64(0)
		return testing.AllocsPerRun(2, func() {
			received = 0
			if err := p.Run(t.Context(), func(e Event) {
				if e.Kind == Reply {
					received++
				}
			}); err != nil || received != count {
				t.Fatalf("%v: %d of %d received", err, received, count)
			}
		})
	}
	// The runtime allocates a little now and then; one allocation a probe would be 5000 more.
	if less, more := allocs(few), allocs(many); more-less >= (many-few)/100 {
		t.Errorf("%v allocations for %d probes, %v for %d", less, few, more, many)
	}
}
