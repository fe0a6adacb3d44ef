package ping

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"lping/ping/transport"
)

const (
	// maxReadErrors bounds how often in a row a read may fail without telling anything about a probe.
	maxReadErrors = 64
	// maxDrain bounds one round of reading without waiting, so that a storm of packets cannot stop the clock.
	maxDrain = 1024
	// linger is how long after the first loss a run goes on at least that has no answer from a service: a late one tells a slow
	// service from a silent one.
	linger = 200 * time.Millisecond
	// ownPatience is how long an answer of the kernel or of our own echo may take on a busy machine.
	ownPatience = 100 * time.Millisecond
	// extraRoom is for replies that are longer than what was sent, so that they are seen to be.
	extraRoom = 64
)

// run is the state of one run.
type run struct {
	config Config
	conn   transport.Conn
	emit   func(Event)
	probe  *probe
	window *window
	pacer  pacer
	ident  uint16
	// request and reply are the types of our messages.
	request, reply byte
	buf            []byte
	// in is what was read last, read when that was.
	in    transport.Packet
	read  time.Duration
	start time.Time
	ended time.Duration
	// done says that the run was over when Start returned err.
	done bool
	err  error
	// stamps and clock are set if the kernel gives time stamps.
	stamps transport.Stamper
	clock  *stampClock

	// limit is how many probes may be in flight; 0 is no limit. If there is one, answers come in any order.
	limit int

	received uint64
	// lostAt is when the first probe was lost.
	lostAt time.Duration
	// latestAnswered is the latest probe that was answered.
	latestAnswered uint64
	// reports counts what the kernel told about probes that were sent before.
	reports    uint64
	readErrors int
	// gaveUp is set by an error of this host that cannot heal, if nothing was answered before.
	gaveUp bool
}

func newRun(p *Pinger, emit func(Event)) *run {
	c, s := p.config, p.socket
	room := c.Count
	if c.Deadline > 0 {
		room = 0 // losses are sent again
	}
	r := &run{
		config: c, conn: p.conn,
		probe:   newProbe(c, s.Ident, rand.Uint64(), s.Checksum),
		window:  newWindow(room),
		pacer:   newPacer(c, roomOf(p.conn, c)),
		ident:   s.Ident,
		request: transport.TypeEchoRequestV4, reply: transport.TypeEchoReplyV4,
		buf:   make([]byte, arrivalRoom(c)),
		start: time.Now(),
	}
	if c.Address.Is6() {
		r.request, r.reply = transport.TypeEchoRequestV6, transport.TypeEchoReplyV6
	}
	if st, ok := p.conn.(transport.Stamper); ok && s.Stamps {
		r.stamps, r.clock = st, newStampClock(r.start)
	}
	if l, ok := p.conn.(transport.Limiter); ok {
		r.limit = l.Limit()
	}
	r.setEmit(emit)
	return r
}

// setEmit says who is told of events.
func (r *run) setEmit(emit func(Event)) {
	if r.emit = emit; emit == nil {
		r.emit = func(Event) {}
	}
}

// roomOf is how many answers the socket's queue is sure to hold. A system that does not tell has at least 64 KiB.
func roomOf(conn transport.Conn, c Config) uint64 {
	if l, ok := conn.(transport.Limiter); ok {
		return uint64(l.Limit()) // each answer has a queue of its own
	}
	if q, ok := conn.(transport.Queue); ok {
		if room := q.Room(c.Size); room > 0 {
			return uint64(room)
		}
	}
	return uint64(max(1, 64<<10/(2*c.Size+1024)))
}

// arrivalRoom is what the largest message that a run wants to see whole may take. A service answers as it likes.
func arrivalRoom(c Config) int {
	if c.Port != 0 {
		return 1 << 16
	}
	return ipv4Max + headerLen + c.Size + extraRoom
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

// finish ends a run: a duplicate of the last reply may be waiting, and what a deadline leaves open is lost, unless it is too
// young for that in a run that had answers. What is open when the last of count replies came is not lost.
func (r *run) finish(now time.Duration) error {
	if err := r.drain(); err != nil || now < r.config.Deadline {
		return err
	}
	enough := r.config.Timeout
	if r.config.Port == 0 {
		enough = min(enough, ownPatience)
	}
	for seq, ok := r.window.first(); ok; seq, ok = r.window.first() {
		if r.latestAnswered > 0 && now-r.window.sentAt(seq) < enough {
			return nil // and so are those after it
		}
		r.lose(seq, time.Now())
	}
	return nil
}

// preloading says that the next probe leaves before anything is read, as in ping, and as long as the socket's queue
// is sure to hold the answers.
func (r *run) preloading() bool {
	return r.pacer.preloading() && r.maySend() && r.pacer.mayBurst(r.unanswered())
}

// over says that nothing is left to do, or no time to do it.
func (r *run) over(now time.Duration) bool {
	c := &r.config
	if c.Deadline > 0 && (now >= c.Deadline || c.Count > 0 && r.received >= c.Count) {
		return true
	}
	return r.sentAll() && r.window.inFlight == 0 && !(r.lingers() && now < r.lostAt+linger)
}

// lingers says that a service has let all time pass without an answer.
func (r *run) lingers() bool {
	return r.config.Port != 0 && r.lostAt > 0 && r.latestAnswered == 0 && !r.gaveUp
}

// sentAll says that no further probe will leave. With a deadline it is replies that are counted, as in ping.
func (r *run) sentAll() bool {
	return r.gaveUp || r.config.Deadline == 0 && r.config.Count > 0 && r.window.next > r.config.Count
}

func (r *run) maySend() bool {
	return !r.sentAll() && !r.window.full() && (r.limit == 0 || r.window.inFlight < r.limit)
}

// unanswered is how many probes left after the latest that was answered. Flood and adaptive go by it, as in ping: one
// loss does not slow them down until its timeout, and a kernel that refuses every probe does not speed them up.
func (r *run) unanswered() uint64 {
	n := r.window.next - 1 - r.latestAnswered
	if r.limit > 0 {
		return max(n, uint64(r.window.inFlight))
	}
	return n
}

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
	if r.lingers() && r.sentAll() {
		at = min(at, r.lostAt+linger)
	}
	return at
}

// send sends the next probe. It is told before it leaves, so that nothing stands between the send and the read.
func (r *run) send(now time.Duration) error {
	if last := r.window.next - 1; last > 0 && r.window.stateOf(last) == inFlight {
		r.tell(&Event{Kind: NoAnswer, Seq: last, Time: r.start.Add(now)})
	}
	seq := r.window.add()
	r.tell(&Event{Kind: Sent, Seq: seq, Time: r.start.Add(now)})
	err := r.transmit(seq)
	r.pacer.noteSent(r.window.sentAt(seq))
	if err != nil {
		return r.sendFailed(seq, err)
	}
	return nil
}

// transmit hands a probe to the kernel and notes when.
func (r *run) transmit(seq uint64) error {
	msg := r.probe.request(seq)
	if r.stamps == nil {
		r.window.noteSent(seq, time.Since(r.start), 0)
	} else {
		now := time.Now()
		r.window.noteSent(seq, now.Sub(r.start), now.UnixNano())
	}
	return r.conn.Send(msg)
}

// sendFailed finds out what the error of a send is about. A report about an earlier probe makes the kernel refuse
// the next send with that report's errno, once: only if such a report was waiting is the probe sent again, once.
func (r *run) sendFailed(seq uint64, err error) error {
	reports := r.reports
	if err := r.drain(); err != nil {
		return err
	}
	if r.reports != reports && r.window.stateOf(seq) == inFlight {
		if err = r.transmit(seq); err == nil {
			return nil
		}
		if err := r.drain(); err != nil {
			return err
		}
	}
	if r.window.stateOf(seq) != inFlight {
		return nil // the report was about this probe
	}
	fault := Fault{Errno: errno(err)}
	if fault.Errno == 0 {
		return fmt.Errorf("send: %w", err)
	}
	r.fail(seq, &transport.Packet{At: time.Now(), From: r.config.Address, Fault: fault})
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
	if r.lostAt == 0 {
		r.lostAt = at.Sub(r.start)
	}
	r.tell(&Event{Kind: Timeout, Seq: seq, Time: at})
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
