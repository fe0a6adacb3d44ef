package ping

import (
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"lping/ping/transport"
)

// receive reads and handles one packet, waiting until the given time. It reports whether there was one.
func (r *run) receive(until time.Time) (bool, error) {
	p := &r.in
	err := r.conn.Recv(p, r.buf, until)
	switch {
	case err == nil:
		r.readErrors = 0
		if p.At.IsZero() {
			r.read = time.Since(r.start)
			p.At = r.start.Add(r.read)
		} else {
			r.read = p.At.Sub(r.start)
		}
		r.handle(p)
		return true, nil
	case err == transport.ErrTimeout || err == transport.ErrWoken:
		return false, nil
	}
	r.reports++
	if r.readErrors++; r.readErrors < maxReadErrors && errno(err) != 0 {
		return true, nil
	}
	return false, fmt.Errorf("receive: %w", err)
}

// handle matches one packet with its probe.
func (r *run) handle(p *transport.Packet) {
	if p.Fault.Errno != 0 {
		r.handleFault(p)
		return
	}
	if p.Opaque {
		r.handleOpaque(p)
		return
	}
	m, err := parseEcho(p.Msg, r.reply)
	if err != nil {
		return // not a reply: our own request on a raw socket, for one
	}
	var e Event // set field by field: a literal would be made elsewhere and copied
	e.Time, e.From, e.Ident = p.At, p.From, m.ident
	e.TTL, e.Bytes, e.Answer = max(p.TTL, int(m.ttl)), headerLen+len(m.data), p.Answer
	seq, ok := r.window.find(m.seq)
	if !ok || m.ident != r.ident || !sameHost(p.From, r.config.Address) {
		r.foreign(&e)
		return
	}
	e.Seq = seq
	r.measure(&e, p)
	like := r.probe.compare(m.data, seq)
	if p.Answer.Wrong() {
		like = corrupted
	}
	r.classify(&e, like, m.data)
}

// handleOpaque finds the probe that a service answers: the one whose header it sent back, else the oldest in flight or,
// if none is, the latest of all. What a service says cannot be compared; an echo that says something else is wrong.
func (r *run) handleOpaque(p *transport.Packet) {
	e := Event{Time: p.At, From: p.From, TTL: p.TTL, Bytes: len(p.Msg)}
	seq, ok := r.echoed(p.Msg)
	if !ok {
		seq, ok = r.window.first()
	}
	if !ok {
		seq, ok = r.window.next-1, r.window.next > 1
	}
	if !ok || r.window.stateOf(seq) == answered {
		r.foreign(&e) // it said more than one word
		return
	}
	e.Seq = seq
	r.measure(&e, p)
	if r.config.Echo {
		r.classify(&e, corrupted, p.Msg)
		return
	}
	r.classify(&e, same, nil)
}

// echoed is the probe whose request stands in what came: a service may be an echo.
func (r *run) echoed(msg []byte) (seq uint64, ok bool) {
	m, err := parseEcho(msg, r.request)
	if err != nil || m.ident != r.ident {
		return 0, false
	}
	return r.window.find(m.seq)
}

// measure sets the RTT of an answer. It ends with the kernel's receive stamp if there is one and the wall clock
// was not set meanwhile, and with the return of the read otherwise.
func (r *run) measure(e *Event, p *transport.Packet) {
	e.RTT = r.read - r.window.sentAt(e.Seq)
	if p.RTT > 0 {
		e.RTT, e.Connect = p.RTT, p.Connect
	}
	if r.stamps == nil || p.Kernel == 0 {
		return
	}
	steady, step := r.clock.steady(p.At, time.Now)
	if step != 0 {
		r.tell(&Event{Kind: ClockStep, Time: p.At, Step: step})
	}
	sent, read := r.window.wallOf(e.Seq), p.At.UnixNano()
	if !steady || p.Kernel < sent || p.Kernel > read {
		return
	}
	e.RTT, e.Stamped = time.Duration(p.Kernel-sent), true
	if left := r.stamps.Transmitted(uint16(e.Seq)); left >= sent && left <= p.Kernel {
		e.Split = Split{time.Duration(left - sent), time.Duration(p.Kernel - left), time.Duration(read - p.Kernel)}
		e.Divided = true
	}
}

// classify gives a reply to probe e.Seq its class, by how its data compares with what was sent.
func (r *run) classify(e *Event, like likeness, data []byte) {
	was := r.window.stateOf(e.Seq)
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
		e.Kind, e.RTT, e.Connect, e.Wrong = Corrupt, 0, 0, r.probe.mismatch(data, e.Seq)
	default:
		r.foreign(e)
		return
	}
	r.latestAnswered = max(r.latestAnswered, e.Seq)
	r.tell(e)
}

// foreign tells of a reply that is no right answer to an open probe.
func (r *run) foreign(e *Event) {
	e.Kind, e.Seq, e.RTT, e.Connect = Foreign, 0, 0, 0
	r.tell(e)
}

// handleFault matches an ICMP error with the probe that it quotes. One that quotes none is about the oldest in flight.
func (r *run) handleFault(p *transport.Packet) {
	r.reports++
	if p.Opaque {
		if seq, ok := r.window.first(); ok {
			r.fail(seq, p)
		}
		return
	}
	m, err := parseEcho(p.Msg, r.request)
	if err != nil || m.ident != r.ident {
		return
	}
	seq, ok := r.window.find(m.seq)
	if ok && r.window.stateOf(seq) == inFlight && r.probe.quotes(m.data, seq) {
		r.fail(seq, p)
	}
}

// fail settles a probe that could not be delivered, as the packet reports.
func (r *run) fail(seq uint64, p *transport.Packet) {
	f := p.Fault
	r.window.settle(seq, failed)
	r.tell(&Event{Kind: SendError, Seq: seq, Time: p.At, From: p.From, Fault: f, Answer: p.Answer})
	if r.received == 0 && !f.ICMP && permanent(f.Errno) {
		// The next size of a sweep may be small enough.
		r.gaveUp = f.Errno != syscall.EMSGSIZE || len(r.config.Sizes) == 0
	}
}

// sameHost compares addresses; a system may leave the zone out.
func sameHost(a, b netip.Addr) bool {
	return a == b || a.Unmap().WithZone("") == b.Unmap().WithZone("")
}
