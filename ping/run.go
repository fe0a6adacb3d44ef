package ping

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"time"
)

const (
	// maxReadErrors bounds how often in a row a read may fail without telling anything about a probe.
	maxReadErrors = 64
	// maxDrain bounds one round of reading without waiting, so that a storm of packets cannot stop the clock.
	maxDrain = 1024
	// slack is what a reply may be longer than what was sent and still be seen as longer.
	slack = 64
)

// Pinger sends probes to one address by one method.
type Pinger struct {
	config Config
	conn   conn
	denied *OpenError
	last   *run
}

// Open validates c and opens its socket: that of c.Proto, or ICMP datagram, ICMP raw, then UDP. The error of a socket
// that could not be had is an *OpenError that holds what the system said to each kind.
func Open(c Config) (*Pinger, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	cn, denied, err := openAuto(c, listenOn)
	if err != nil {
		return nil, err
	}
	return &Pinger{config: c, conn: cn, denied: denied}, nil
}

// Socket is what Open found.
func (p *Pinger) Socket() Socket {
	s := p.conn.socket()
	s.Denied = p.denied
	return s
}

// Waiting is how many probes of the last run had no outcome when it ended, and had left at least so long before.
func (p *Pinger) Waiting(age time.Duration) uint64 {
	r := p.last
	if r == nil || r.window.inFlight == 0 {
		return 0
	}
	n := uint64(0)
	for seq := r.window.oldest; seq < r.window.next; seq++ {
		if r.window.of(seq) == inFlight && r.ended-r.window.sentAt(seq) >= age {
			n++
		}
	}
	return n
}

// QueueDrops is how many messages found the queue of the socket full since Open; ok is false where the system does
// not tell.
func (p *Pinger) QueueDrops() (n uint64, ok bool) {
	if c, can := p.conn.(dropCounter); can {
		return c.drops()
	}
	return 0, false
}

// Close closes the socket. It must not be called while Run runs.
func (p *Pinger) Close() error { return p.conn.close() }

// Run sends probes and calls emit for each event, on the calling goroutine, until the count is reached and every
// probe is decided, the deadline passes, an error comes that cannot heal (its event says which), or ctx ends: then
// it returns the context's cause at once, and what is in flight stays undecided.
func (p *Pinger) Run(ctx context.Context, emit func(Event)) error {
	r := newRun(p, emit)
	p.last = r
	defer func() { r.ended = time.Since(r.start) }()
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		p.conn.wake()
	})
	defer func() {
		if !stop() {
			<-woken // so that wake never meets a closed socket
		}
	}()
	for ctx.Err() == nil {
		more, err := r.step()
		if err != nil || !more {
			return err
		}
	}
	return context.Cause(ctx)
}

// run is the state of one call of Run.
type run struct {
	config Config
	conn   conn
	emit   func(Event)
	probe  *probe
	window *window
	pacer  pacer
	ident  uint16
	v6     bool
	buf    []byte
	// in is what was read last, read when that was.
	in    packet
	read  time.Duration
	start time.Time
	ended time.Duration
	// stamps and clock are set where the kernel gives time stamps.
	stamps stamper
	clock  *stampClock

	received uint64
	// acked is the latest probe that an answer came for.
	acked uint64
	// reports counts what the kernel told about probes that were sent before.
	reports    uint64
	readErrors int
	// lasting says that Lasting was told.
	lasting bool
	// hopeless is set by a send error that cannot heal while nothing was ever answered.
	hopeless bool
}

func newRun(p *Pinger, emit func(Event)) *run {
	c, s := p.config, p.conn.socket()
	v6 := c.Address.Is6()
	room := c.Count
	if c.Deadline > 0 {
		room = 0 // losses are sent again
	}
	r := &run{
		config: c, conn: p.conn, emit: emit,
		probe:  newProbe(c, s.Ident, rand.Uint64(), s.Sum),
		window: newWindow(room),
		pacer:  newPacer(c),
		ident:  s.Ident,
		v6:     v6,
		buf:    make([]byte, arrivalRoom(c)),
		start:  time.Now(),
	}
	if st, ok := p.conn.(stamper); ok && s.Stamps {
		r.stamps, r.clock = st, newStampClock(r.start)
	}
	return r
}

// arrivalRoom is what the largest message that a run wants to see whole may take. A service answers as it likes.
func arrivalRoom(c Config) int {
	if c.Port != 0 {
		return maxDatagram
	}
	return ipv4Max + headerLen + c.Size + slack
}

// step does what is due and waits for what comes next. It reports whether the run goes on.
func (r *run) step() (bool, error) {
	now := r.now()
	if first, ok := r.window.first(); ok && now >= r.window.sentAt(first)+r.config.Timeout {
		return true, r.expire(now)
	}
	if r.over(now) {
		return false, r.finish(now)
	}
	if !r.lasting && r.window.next > 1 {
		r.lasting = true
		r.tell(&Event{Kind: Lasting, Time: r.start.Add(now)})
	}
	if r.maySend() && now >= r.pacer.due(r.unanswered()) {
		if err := r.send(now); err != nil || r.preloading() {
			return true, err
		}
		return true, r.drainInFlight()
	}
	_, err := r.receive(r.start.Add(r.wakeAt()))
	return true, err
}

// now is the time since the start. While every probe of a flood is answered the next is due at once, whatever the time
// is: that of the last read is near enough, and saves one reading of the clock in three.
func (r *run) now() time.Duration {
	if r.read > 0 && r.window.inFlight == 0 && r.unanswered() == 0 && r.config.Flood && r.config.Deadline == 0 {
		return r.read
	}
	return time.Since(r.start)
}

// finish ends a run: a duplicate of the last reply may be waiting, and what a deadline leaves open is lost. What is
// open when the last of count replies came is not.
func (r *run) finish(now time.Duration) error {
	if err := r.drain(); err != nil || now < r.config.Deadline {
		return err
	}
	for seq, ok := r.window.first(); ok; seq, ok = r.window.first() {
		r.lose(seq, time.Now())
	}
	return nil
}

// preloading says that the next probe leaves before anything is read, as in ping, and as long as the socket's queue
// is sure to hold the answers.
func (r *run) preloading() bool {
	const room = 128 << 10 // of the 208 KiB that a socket has; a small reply takes 768 bytes of it
	return r.pacer.preloading() && r.maySend() && (r.window.inFlight+1)*(r.config.Size+1024) <= room
}

// over says that nothing is left to do, or no time to do it.
func (r *run) over(now time.Duration) bool {
	c := &r.config
	if c.Deadline > 0 && (now >= c.Deadline || c.Count > 0 && r.received >= c.Count) {
		return true
	}
	return r.sentAll() && r.window.inFlight == 0
}

// sentAll says that no further probe will leave. With a deadline it is replies that are counted, as in ping.
func (r *run) sentAll() bool {
	return r.hopeless || r.config.Deadline == 0 && r.config.Count > 0 && r.window.next > r.config.Count
}

func (r *run) maySend() bool { return !r.sentAll() && !r.window.full() }

// unanswered is how many probes left after the latest that was answered. Flood and adaptive go by it, as in ping: one
// loss does not slow them down until its timeout, and a kernel that refuses every probe does not speed them up.
func (r *run) unanswered() uint64 { return r.window.next - 1 - r.acked }

// wakeAt is when something is due even if nothing arrives.
func (r *run) wakeAt() time.Duration {
	at := time.Duration(1<<63 - 1)
	if r.config.Deadline > 0 {
		at = r.config.Deadline
	}
	if first, ok := r.window.first(); ok {
		at = min(at, r.window.sentAt(first)+r.config.Timeout)
	}
	if r.maySend() {
		at = min(at, r.pacer.due(r.unanswered()))
	}
	return at
}

// send sends the next probe. It is told before it leaves, so that nothing stands between the send and the read.
func (r *run) send(now time.Duration) error {
	if last := r.window.next - 1; last > 0 && r.window.of(last) == inFlight {
		r.tell(&Event{Kind: NoAnswer, Seq: last, Time: r.start.Add(now)})
	}
	seq := r.window.add()
	r.tell(&Event{Kind: Sent, Seq: seq, Time: r.start.Add(now)})
	err := r.transmit(seq)
	r.pacer.left(r.window.sentAt(seq))
	if err != nil {
		return r.sendFailed(seq, err)
	}
	return nil
}

// transmit hands a probe to the kernel and notes when.
func (r *run) transmit(seq uint64) error {
	msg := r.probe.request(seq)
	if r.stamps == nil {
		r.window.left(seq, time.Since(r.start), 0)
	} else {
		now := time.Now()
		r.window.left(seq, now.Sub(r.start), now.UnixNano())
	}
	return r.conn.send(msg)
}

// sendFailed finds out what the error of a send is about. A report about an earlier probe makes the kernel refuse
// the next send with that report's errno, once: only where such a report was waiting is the probe sent again, once.
func (r *run) sendFailed(seq uint64, err error) error {
	reports := r.reports
	if err := r.drain(); err != nil {
		return err
	}
	if r.reports != reports && r.window.of(seq) == inFlight {
		if err = r.transmit(seq); err == nil {
			return nil
		}
		if err := r.drain(); err != nil {
			return err
		}
	}
	if r.window.of(seq) != inFlight {
		return nil // the report was about this probe
	}
	fault := Fault{Errno: errno(err)}
	if fault.Errno == 0 {
		return fmt.Errorf("send: %w", err)
	}
	r.fail(seq, r.config.Address, fault, time.Now())
	if r.received == 0 && permanent(fault.Errno) {
		// The next size of a sweep may be small enough.
		r.hopeless = fault.Errno != syscall.EMSGSIZE || len(r.config.Sizes) == 0
	}
	return nil
}

// errno is the system's error number in err, or 0.
func errno(err error) syscall.Errno {
	var e syscall.Errno
	errors.As(err, &e)
	return e
}

// permanent says that sending again will not help: no route, no address, forbidden by a rule, too large. Firewalls
// (EPERM) and full queues (ENOBUFS) may let the next probe pass.
func permanent(e syscall.Errno) bool {
	switch e {
	case syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, syscall.EACCES,
		syscall.EINVAL, syscall.EMSGSIZE, syscall.ENETDOWN, syscall.ENODEV:
		return true
	}
	return false
}

// drain reads what is there without waiting.
func (r *run) drain() error {
	for range maxDrain {
		if got, err := r.receive(time.Time{}); err != nil || !got {
			return err
		}
	}
	return nil
}

// drainInFlight reads until every probe is decided or nothing is there: on loopback the reply is there when send
// returns, and one read is enough.
func (r *run) drainInFlight() error {
	for range maxDrain {
		if r.window.inFlight == 0 {
			return nil
		}
		if got, err := r.receive(time.Time{}); err != nil || !got {
			return err
		}
	}
	return nil
}

// expire calls the probes lost whose time is over, after one more read: a reply may have come while we slept.
func (r *run) expire(now time.Duration) error {
	if err := r.drain(); err != nil {
		return err
	}
	for {
		seq, ok := r.window.first()
		if !ok || r.window.sentAt(seq)+r.config.Timeout > now {
			return nil
		}
		r.lose(seq, time.Now())
	}
}

func (r *run) lose(seq uint64, at time.Time) {
	r.window.settle(seq, lost)
	r.tell(&Event{Kind: Timeout, Seq: seq, Time: at})
}

// receive reads and handles one packet, waiting until the given time. It reports whether there was one.
func (r *run) receive(until time.Time) (bool, error) {
	p := &r.in
	err := r.conn.recv(p, r.buf, until)
	switch {
	case err == nil:
		r.readErrors = 0
		if p.at.IsZero() {
			r.read = time.Since(r.start)
			p.at = r.start.Add(r.read)
		} else {
			r.read = p.at.Sub(r.start)
		}
		r.handle(p)
		return true, nil
	case err == errTimeout || err == errWoken:
		return false, nil
	}
	r.reports++
	if r.readErrors++; r.readErrors < maxReadErrors && errno(err) != 0 {
		return true, nil
	}
	return false, fmt.Errorf("receive: %w", err)
}

// handle matches one packet with its probe.
func (r *run) handle(p *packet) {
	if p.fault.Errno != 0 {
		r.handleFault(p)
		return
	}
	if p.opaque {
		r.handleOpaque(p)
		return
	}
	typ := byte(typeEchoReplyV4)
	if r.v6 {
		typ = typeEchoReplyV6
	}
	m, err := parseEcho(p.msg, typ)
	if err != nil {
		return // not a reply: our own request on a raw socket, for one
	}
	var e Event // set field by field: a literal would be made elsewhere and copied
	e.Time, e.From, e.Ident = p.at, p.from, m.ident
	e.TTL, e.Bytes = max(p.ttl, int(m.ttl)), headerLen+len(m.data)
	seq, ok := r.window.find(m.seq)
	if !ok || m.ident != r.ident || !sameHost(p.from, r.config.Address) {
		r.foreign(&e)
		return
	}
	e.Seq = seq
	r.measure(&e, p)
	r.judge(&e, r.probe.compare(m.data, seq), m.data)
}

// handleOpaque finds the probe that a service answers: the one whose header it sent back, else the oldest in flight or,
// where none is, the latest of all. Nothing in its words can be compared.
func (r *run) handleOpaque(p *packet) {
	e := Event{Time: p.at, From: p.from, TTL: p.ttl, Bytes: len(p.msg)}
	seq, ok := r.echoed(p.msg)
	if !ok {
		seq, ok = r.window.first()
	}
	if !ok {
		seq, ok = r.window.next-1, r.window.next > 1
	}
	if !ok || r.window.of(seq) == answered {
		r.foreign(&e) // it said more than one word
		return
	}
	e.Seq = seq
	r.measure(&e, p)
	r.judge(&e, same, nil)
}

// echoed is the probe whose request stands in what came: a service may be an echo.
func (r *run) echoed(msg []byte) (seq uint64, ok bool) {
	typ := byte(typeEchoRequestV4)
	if r.v6 {
		typ = typeEchoRequestV6
	}
	m, err := parseEcho(msg, typ)
	if err != nil || m.ident != r.ident {
		return 0, false
	}
	return r.window.find(m.seq)
}

// measure sets the RTT of an answer. It ends with the kernel's receive stamp where there is one and the wall clock
// was not set meanwhile, and with the return of the read otherwise.
func (r *run) measure(e *Event, p *packet) {
	e.RTT = r.read - r.window.sentAt(e.Seq)
	if p.rtt > 0 {
		e.RTT = p.rtt
	}
	if r.stamps == nil || p.kernel == 0 {
		return
	}
	steady, step := r.clock.steady(p.at, time.Now)
	if step != 0 {
		r.tell(&Event{Kind: ClockStep, Time: p.at, Step: step})
	}
	sent, read := r.window.wallOf(e.Seq), p.at.UnixNano()
	if !steady || p.kernel < sent || p.kernel > read {
		return
	}
	e.RTT, e.Stamped = time.Duration(p.kernel-sent), true
	if left := r.stamps.transmitted(uint16(e.Seq)); left >= sent && left <= p.kernel {
		e.Split = Split{time.Duration(left - sent), time.Duration(p.kernel - left), time.Duration(read - p.kernel)}
		e.Divided = true
	}
}

// judge gives a reply to probe e.Seq its class, by how its data compares with what was sent.
func (r *run) judge(e *Event, like likeness, data []byte) {
	was := r.window.of(e.Seq)
	if like == same && was == inFlight && e.Stamped && e.RTT > r.config.Timeout {
		r.lose(e.Seq, e.Time) // it came too late, but we were later still
		was = lost
	}
	switch {
	case like == same && was == inFlight:
		r.window.settle(e.Seq, answered)
		r.received++
		r.pacer.replied(e.RTT)
		e.Kind = Reply
	case like == same && was == lost:
		r.window.settle(e.Seq, answered)
		e.Kind = Late
	case like == same && was == answered:
		e.Kind = Duplicate
	case like == corrupted && was == inFlight:
		r.window.settle(e.Seq, answered)
		e.Kind, e.RTT, e.Wrong = Corrupt, 0, r.probe.mismatch(data, e.Seq)
	default:
		r.foreign(e)
		return
	}
	r.acked = max(r.acked, e.Seq)
	r.tell(e)
}

// foreign tells of a reply that is no right answer to an open probe.
func (r *run) foreign(e *Event) {
	e.Kind, e.Seq, e.RTT = Foreign, 0, 0
	r.tell(e)
}

// handleFault matches an ICMP error with the probe that it quotes. One that quotes none is about the oldest in flight.
func (r *run) handleFault(p *packet) {
	r.reports++
	if p.opaque {
		if seq, ok := r.window.first(); ok {
			r.fail(seq, p.from, p.fault, p.at)
		}
		return
	}
	typ := byte(typeEchoRequestV4)
	if r.v6 {
		typ = typeEchoRequestV6
	}
	m, err := parseEcho(p.msg, typ)
	if err != nil || m.ident != r.ident {
		return
	}
	seq, ok := r.window.find(m.seq)
	if ok && r.window.of(seq) == inFlight && r.probe.quotes(m.data, seq) {
		r.fail(seq, p.from, p.fault, p.at)
	}
}

// fail settles a probe that could not be delivered.
func (r *run) fail(seq uint64, from netip.Addr, f Fault, at time.Time) {
	r.window.settle(seq, failed)
	r.tell(&Event{Kind: SendError, Seq: seq, Time: at, From: from, Fault: f})
}

// tell completes an event and hands it over.
func (r *run) tell(e *Event) {
	if !e.From.IsValid() {
		e.From = r.config.Address
	}
	if e.Kind != Foreign {
		e.Ident = r.ident
	}
	e.InFlight = r.window.inFlight
	r.emit(*e)
}

// sameHost compares addresses; a system may leave the zone out.
func sameHost(a, b netip.Addr) bool {
	return a == b || a.Unmap().WithZone("") == b.Unmap().WithZone("")
}
