package ping

import (
	"context"
	"net/netip"
	"time"

	"lping/ping/transport"
)

// Pinger sends probes to one address by one method.
type Pinger struct {
	config Config
	conn   transport.Conn
	socket Socket
	// run is the latest; started says that Start began it and Run has yet to go on with it.
	run     *run
	started bool
}

// Spare is an error if so many more file descriptors cannot be had, where that is known. Without two for the Go runtime the first timer or
// socket of package net ends the program: it takes them here, if they are few.
func Spare(n int) error { return transport.Spare(n) }

// Open validates c and opens its socket: that of c.Proto, or ICMP datagram, ICMP raw, then UDP. The error of a socket
// that could not be had is an *OpenError that holds what the system said to each kind.
func Open(c Config) (*Pinger, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	c.SampleStamps = c.SampleStamps || c.Flood
	c.Precise = c.Precise || c.Interval < time.Millisecond && !c.Flood
	conn, socket, err := transport.Open(c.Transport)
	if err != nil {
		return nil, err
	}
	return &Pinger{config: c, conn: conn, socket: socket}, nil
}

// Socket is what Open found.
func (p *Pinger) Socket() Socket { return p.socket }

// Waiting is how many probes of the last run had no outcome when it ended, and had left at least so long before.
func (p *Pinger) Waiting(age time.Duration) uint64 {
	r := p.run
	if r == nil || r.window.inFlight == 0 {
		return 0
	}
	n := uint64(0)
	for seq := r.window.oldest; seq < r.window.next; seq++ {
		if r.window.stateOf(seq) == inFlight && r.ended-r.window.sentAt(seq) >= age {
			n++
		}
	}
	return n
}

// QueueDrops is how many messages found the queue of the socket full since Open, if the system tells.
func (p *Pinger) QueueDrops() (n uint64, ok bool) {
	if c, can := p.conn.(transport.DropCounter); can {
		return c.Drops()
	}
	return 0, false
}

// Unserved is which connections a service keeps waiting, if it is one over TCP.
func (p *Pinger) Unserved() Unserved {
	if c, can := p.conn.(transport.Waiter); can {
		return c.Unserved()
	}
	return Unserved{}
}

// Rewritten is the address from which our own echo got the probes, if it is not the one that they were sent from.
func (p *Pinger) Rewritten() netip.Addr {
	if c, can := p.conn.(transport.Rewriter); can {
		return c.Rewritten()
	}
	return netip.Addr{}
}

// Close closes the socket. It must not be called while Run runs.
func (p *Pinger) Close() error { return p.conn.Close() }

// Start begins a run: it sends the first probe, or all of a preload that may leave at once, reads without waiting, and
// calls emit for each event. more says that Run is to go on; it is false if the run is over already.
func (p *Pinger) Start(emit func(Event)) (more bool, err error) {
	p.run, p.started = newRun(p, emit), true
	more, err = p.run.step()
	for more && err == nil && p.run.preloading() {
		more, err = p.run.step()
	}
	if more && err == nil && p.run.over(p.run.now()) {
		more, err = p.run.step()
	}
	more = more && err == nil
	p.run.done, p.run.err, p.run.ended = !more, err, time.Since(p.run.start)
	return more, err
}

// Run goes on with the run that Start began, or begins one. It sends probes and calls emit, if it is not nil, for each
// event, on the calling goroutine, until the count is reached and every probe is decided, the deadline passes, an error
// comes that cannot heal (its event says which), or ctx ends: then it returns the context's cause at once, and what is in
// flight stays undecided.
func (p *Pinger) Run(ctx context.Context, emit func(Event)) error {
	if !p.started {
		p.run = newRun(p, emit)
	}
	r := p.run
	p.started = false
	if r.done {
		return r.err
	}
	r.setEmit(emit)
	defer func() { r.ended = time.Since(r.start) }()
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		p.conn.Wake()
	})
	defer func() {
		if !stop() {
			<-woken // so that Wake never meets a closed socket
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
