package ping

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lping/ping/transport"
)

var (
	loopback4 = netip.MustParseAddr("127.0.0.1")
	loopback6 = netip.MustParseAddr("::1")
)

// fakeIdent is the echo identifier of every fakeConn.
const fakeIdent = 0xbeef

// fakeConn is a conn without a socket. Its script says what each send brings. What it brings comes through a channel,
// so that a wait takes no real time under testing/synctest.
type fakeConn struct {
	sock    Socket
	script  script
	sends   int
	room    int // how many answers its queue holds
	arrived chan arrival
	// unnoticed is what only a read that does not wait finds, as when a reply comes while the reader wakes up.
	unnoticed chan arrival
	woken     chan struct{}
}

// arrival is what one recv returns.
type arrival struct {
	packet transport.Packet
	err    error
}

// attempt is one call of send.
type attempt struct {
	n   int // how many there were, with this one
	seq uint16
	msg []byte
}

// script says what one send brings: errors at once, packets through deliver.
type script func(f *fakeConn, a attempt) error

func newFake(address netip.Addr, s script) *fakeConn {
	return &fakeConn{
		sock:      Socket{Method: MethodDgram, Local: address, Ident: fakeIdent},
		script:    s,
		room:      maxWindow,
		arrived:   make(chan arrival, maxWindow),
		unnoticed: make(chan arrival, 64),
		woken:     make(chan struct{}, 1),
	}
}

func (f *fakeConn) Send(msg []byte) error {
	f.sends++
	return f.script(f, attempt{n: f.sends, seq: binary.BigEndian.Uint16(msg[6:]), msg: bytes.Clone(msg)})
}

func (f *fakeConn) Recv(p *transport.Packet, b []byte, until time.Time) error {
	select {
	case a := <-f.arrived:
		return a.read(p, b)
	case a := <-f.unnoticed:
		return a.read(p, b)
	default:
	}
	if until.IsZero() {
		return transport.ErrTimeout
	}
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case a := <-f.arrived:
		return a.read(p, b)
	case <-f.woken:
		return transport.ErrWoken
	case <-timer.C:
		return transport.ErrTimeout
	}
}

// read copies what arrived into b, as much as fits.
func (a arrival) read(p *transport.Packet, b []byte) error {
	*p = a.packet
	p.Msg = b[:copy(b, p.Msg)]
	return a.err
}

func (f *fakeConn) Wake() {
	select {
	case f.woken <- struct{}{}:
	default:
	}
}

func (f *fakeConn) Close() error { return nil }

func (f *fakeConn) socket() Socket { return f.sock }

func (f *fakeConn) Room(int) int { return f.room }

// pingerOver is a Pinger over a conn of the tests.
func pingerOver(c Config, conn interface {
	transport.Conn
	socket() Socket
}) *Pinger {
	return &Pinger{config: c, conn: conn, socket: conn.socket()}
}

// deliver makes a arrive after d; at once where d is 0.
func (f *fakeConn) deliver(d time.Duration, a arrival) {
	if d == 0 {
		f.arrived <- a
		return
	}
	time.AfterFunc(d, func() { f.arrived <- a })
}

// answer is the reply to a from this host, changed by edit.
func (f *fakeConn) answer(a attempt, edit func(msg []byte) []byte) arrival {
	return arrival{packet: transport.Packet{Msg: edit(replyTo(a.msg)), From: f.sock.Local, TTL: 64}}
}

// report is an ICMP error (port unreachable) that quotes the message of a, changed by edit.
func (f *fakeConn) report(a attempt, edit func(msg []byte) []byte) arrival {
	fault := Fault{Errno: syscall.ECONNREFUSED, ICMP: true, Type: 3, Code: 3}
	return arrival{packet: transport.Packet{Msg: edit(bytes.Clone(a.msg)), From: f.sock.Local, Fault: fault}}
}

// replyTo is the right echo reply to a request.
func replyTo(request []byte) []byte {
	msg := bytes.Clone(request)
	msg[0] = transport.TypeEchoReplyV4
	if request[0] == transport.TypeEchoRequestV6 {
		msg[0] = transport.TypeEchoReplyV6
	}
	return msg
}

// Edits of a message.

func asIs(msg []byte) []byte { return msg }

// flipped inverts the data byte at offset i.
func flipped(i int) func([]byte) []byte {
	return func(msg []byte) []byte { msg[headerLen+i] ^= 0xff; return msg }
}

// cutTo leaves n data bytes.
func cutTo(n int) func([]byte) []byte { return func(msg []byte) []byte { return msg[:headerLen+n] } }

// longer adds n bytes.
func longer(n int) func([]byte) []byte {
	return func(msg []byte) []byte { return append(msg, make([]byte, n)...) }
}

func otherIdent(msg []byte) []byte { msg[4] ^= 1; return msg }

// otherSeq moves the sequence number by d.
func otherSeq(d int) func([]byte) []byte {
	return func(msg []byte) []byte {
		binary.BigEndian.PutUint16(msg[6:], binary.BigEndian.Uint16(msg[6:])+uint16(d))
		return msg
	}
}

func otherType(typ byte) func([]byte) []byte {
	return func(msg []byte) []byte { msg[0] = typ; return msg }
}

// Scripts.

// silence is a network that drops everything.
func silence(*fakeConn, attempt) error { return nil }

// replies answers after d; at once where d is 0.
func replies(d time.Duration) script { return brings(d, asIs) }

// brings answers after d with a reply that edit changed.
func brings(d time.Duration, edit func([]byte) []byte) script {
	return func(f *fakeConn, a attempt) error {
		f.deliver(d, f.answer(a, edit))
		return nil
	}
}

// reports answers after d with an ICMP error whose quotation edit changed.
func reports(d time.Duration, edit func([]byte) []byte) script {
	return func(f *fakeConn, a attempt) error {
		f.deliver(d, f.report(a, edit))
		return nil
	}
}

// refuses lets the send fail.
func refuses(err error) script { return func(*fakeConn, attempt) error { return err } }

// failsToRead lets n reads fail after d.
func failsToRead(d time.Duration, n int, err error) script {
	return func(f *fakeConn, _ attempt) error {
		for range n {
			f.deliver(d, arrival{err: err})
		}
		return nil
	}
}

// inTurn plays one script a send; the last goes on for ever.
func inTurn(scripts ...script) script {
	return func(f *fakeConn, a attempt) error { return scripts[min(a.n, len(scripts))-1](f, a) }
}

// all plays every script at each send; the last error counts.
func all(scripts ...script) script {
	return func(f *fakeConn, a attempt) (err error) {
		for _, s := range scripts {
			err = s(f, a)
		}
		return err
	}
}

// played is what one run did.
type played struct {
	start  time.Time
	events []Event
	took   time.Duration
	err    error
	conn   *fakeConn
}

// play runs c over a fake conn. It must be called in a bubble.
func play(ctx context.Context, c Config, s script) played {
	c = c.withDefaults()
	p := played{start: time.Now(), conn: newFake(c.Address, s)}
	pinger := pingerOver(c, p.conn)
	p.err = pinger.Run(ctx, collect(&p.events))
	p.took = time.Since(p.start)
	return p
}

// String is one line an event, with its time since the start, and one for the end.
func (p played) String() string {
	var b strings.Builder
	for _, e := range p.events {
		fmt.Fprintf(&b, "%v %s\n", e.Time.Sub(p.start), describe(e))
	}
	fmt.Fprintf(&b, "%v end", p.took)
	if p.err != nil {
		fmt.Fprintf(&b, ": %v", p.err)
	}
	return b.String()
}

// describe is the kind, the number and what belongs to the kind.
func describe(e Event) string {
	s := fmt.Sprintf("%v %d", e.Kind, e.Seq)
	switch e.Kind {
	case Reply, Duplicate, Late:
		s += fmt.Sprintf(" rtt=%v", e.RTT)
	case Corrupt:
		s += fmt.Sprintf(" at=%d", e.Wrong.Offset)
	case SendError:
		s += " " + errnoName(e.Fault.Errno)
	}
	return s
}

// errnoName is how errno(3) calls e; the numbers and texts differ from system to system.
func errnoName(e syscall.Errno) string {
	names := map[syscall.Errno]string{
		syscall.EPERM: "EPERM", syscall.ECONNREFUSED: "ECONNREFUSED", syscall.ENOBUFS: "ENOBUFS", syscall.EACCES: "EACCES",
	}
	if name, ok := names[e]; ok {
		return name
	}
	return fmt.Sprintf("errno=%d", int(e))
}

// ledger is the accounting of a run as its events tell it.
type ledger struct {
	sent, received, late, lost, corrupted, sendErrors, duplicates, foreign int
	inFlight                                                               int // what the latest event says
	class                                                                  map[uint64]Kind
	latest                                                                 time.Time
	wrong                                                                  []string
}

func newLedger() *ledger { return &ledger{class: map[uint64]Kind{}} }

// take enters an event and notes what is wrong with it.
func (l *ledger) take(e Event) {
	was := l.class[e.Seq]
	switch {
	case e.Kind == Sent && e.Seq == uint64(l.sent)+1 && was == 0:
		l.sent++
		l.class[e.Seq] = Sent
	case e.Kind == NoAnswer && e.Seq == uint64(l.sent) && was == Sent:
	case e.Kind == Foreign && e.Seq == 0:
		l.foreign++
	case e.Kind == ClockStep && e.Seq == 0:
	case e.Kind == Duplicate && (was == Reply || was == Late || was == Corrupt):
		l.duplicates++
	case e.Kind == Late && was == Timeout:
		l.lost--
		l.late++
		l.class[e.Seq] = Late
	case was == Sent && l.settle(e.Kind):
		l.class[e.Seq] = e.Kind
	default:
		l.complain("%s: the probe was %q", describe(e), was)
	}
	l.inFlight = e.InFlight
	l.compare(e)
}

// settle counts the end of a probe in flight.
func (l *ledger) settle(k Kind) bool {
	switch k {
	case Reply:
		l.received++
	case Timeout:
		l.lost++
	case Corrupt:
		l.corrupted++
	case SendError:
		l.sendErrors++
	default:
		return false
	}
	return true
}

// compare holds an event against what the ones before it add up to.
func (l *ledger) compare(e Event) {
	decided := l.received + l.late + l.lost + l.corrupted + l.sendErrors
	if l.sent != decided+e.InFlight {
		l.complain("%s: %d sent, %d decided, %d in flight", describe(e), l.sent, decided, e.InFlight)
	}
	if e.Time.Before(l.latest) {
		l.complain("%s: %v before the event before it", describe(e), l.latest.Sub(e.Time))
	}
	l.latest = e.Time
	arrived := e.Kind == Reply || e.Kind == Duplicate || e.Kind == Late || e.Kind == Corrupt || e.Kind == Foreign
	if arrived != (e.Bytes >= headerLen) || !e.From.IsValid() || e.RTT < 0 || (e.Kind == SendError) != (e.Fault.Errno != 0) {
		l.complain("%s: incomplete: %+v", describe(e), e)
	}
}

func (l *ledger) complain(format string, args ...any) {
	if len(l.wrong) < 10 {
		l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
	}
}

// check reports what is wrong with the events of a run.
func (l *ledger) check(t *testing.T) {
	t.Helper()
	for _, s := range l.wrong {
		t.Error(s)
	}
}

// sums are the numbers of a ledger.
func (l *ledger) sums() string {
	const format = "%d sent, %d received, %d late, %d lost, %d corrupted, %d send errors, %d in flight, %d duplicates, %d foreign"
	return fmt.Sprintf(format,
		l.sent, l.received, l.late, l.lost, l.corrupted, l.sendErrors, l.inFlight, l.duplicates, l.foreign)
}

// ledgerOf enters all events.
func ledgerOf(events []Event) *ledger {
	l := newLedger()
	for _, e := range events {
		l.take(e)
	}
	return l
}

// expect plays a run in a bubble and compares its events with want, one a line.
func expect(t *testing.T, c Config, s script, want string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := play(t.Context(), c, s)
		if got, want := p.String(), trimLines(want); got != want {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
		ledgerOf(p.events).check(t)
	})
}

// trimLines removes the indentation and the empty lines at both ends.
func trimLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "\n")
}

// collect appends events to list.
func collect(list *[]Event) func(Event) {
	return func(e Event) { *list = append(*list, e) }
}

// probeOf is newProbe for tests that need no Config of their own.
func probeOf(v6 bool, ident uint16, size int, pattern []byte, key uint64, sum bool) *probe {
	c := Config{Transport: Transport{Size: size}, Pattern: pattern}
	if v6 {
		c.Address = netip.IPv6Loopback()
	}
	return newProbe(c, ident, key, sum)
}

// cancelAnytime cancels runs at any moment and closes their conns at once.
func cancelAnytime(t *testing.T, open func(Config) (*Pinger, error), c Config) {
	t.Helper()
	for i := range 30 {
		p, err := open(c)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Duration(i)*20*time.Microsecond, cancel)
		if err := p.Run(ctx, func(Event) {}); err != context.Canceled {
			t.Errorf("round %d: %v", i, err)
		}
		if err := p.Close(); err != nil {
			t.Errorf("round %d: %v", i, err)
		}
	}
}
