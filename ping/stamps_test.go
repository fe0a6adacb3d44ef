package ping

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// stampedConn is a fakeConn whose kernel stamps what leaves, so long after the send.
type stampedConn struct {
	*fakeConn
	wall map[uint16]int64
	lag  time.Duration // negative: it does not stamp
}

func (s *stampedConn) Send(msg []byte) error {
	if s.lag >= 0 {
		s.wall[uint16(msg[6])<<8|uint16(msg[7])] = time.Now().Add(s.lag).UnixNano()
	}
	return s.fakeConn.Send(msg)
}

func (s *stampedConn) Transmitted(wire uint16) int64 { return s.wall[wire] }

func newStamped(s script, lag time.Duration) *stampedConn {
	c := &stampedConn{fakeConn: newFake(loopback4, s), wall: map[uint16]int64{}, lag: lag}
	c.sock.Stamps = true
	return c
}

// stamped answers after d with a reply that the kernel says came at after the send.
func stamped(at, d time.Duration) script {
	return func(f *fakeConn, a attempt) error {
		answer := f.answer(a, asIs)
		answer.packet.Kernel = time.Now().Add(at).UnixNano()
		f.deliver(d, answer)
		return nil
	}
}

func TestStamps(t *testing.T) {
	stalls := func(d time.Duration, s script) script {
		return func(f *fakeConn, a attempt) error {
			err := s(f, a)
			time.Sleep(d)
			return err
		}
	}
	tests := []struct {
		name   string
		lag    time.Duration
		script script
		want   string
	}{
		{"both stamps", ms, stamped(3*ms, 5*ms), "sent 1, reply 1 rtt=3ms 1ms+2ms+2ms"},
		{"no time at all", 0, stamped(0, 0), "sent 1, reply 1 rtt=0s 0s+0s+0s"},
		{"receive stamp only", -1, stamped(3*ms, 5*ms), "sent 1, reply 1 rtt=3ms"},
		{"no receive stamp", ms, replies(5 * ms), "sent 1, reply 1 rtt=5ms unstamped"},
		{"received before it was sent", ms, stamped(-ms, 5*ms), "sent 1, reply 1 rtt=5ms unstamped"},
		{"received after it was read", ms, stamped(6*ms, 5*ms), "sent 1, reply 1 rtt=5ms unstamped"},
		{"left after it was received", 4 * ms, stamped(3*ms, 5*ms), "sent 1, reply 1 rtt=3ms"},
		{"in time, read late", ms, stalls(15*ms, stamped(9*ms, 9*ms)), "sent 1, reply 1 rtt=9ms 1ms+8ms+6ms"},
		{"at the timeout, read late", ms, stalls(15*ms, stamped(10*ms, 10*ms)), "sent 1, reply 1 rtt=10ms 1ms+9ms+5ms"},
		{"late, read later", ms, stalls(15*ms, stamped(11*ms, 11*ms)), "sent 1, timeout 1, late 1 rtt=11ms 1ms+10ms+4ms"},
		{"in time, read late, no stamp", ms, stalls(15*ms, replies(9*ms)), "sent 1, reply 1 rtt=15ms unstamped"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var events []Event
				config := Config{Transport: Transport{Size: 56, Timeout: 10 * ms}, Count: 1}.withDefaults()
				pinger := pingerOver(config, newStamped(tt.script, tt.lag))
				if err := pinger.Run(t.Context(), collect(&events)); err != nil {
					t.Fatal(err)
				}
				ledgerOf(events).check(t)
				if got := stampedEvents(events); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
			})
		})
	}
}

// stampedEvents is one phrase an event, with what the stamps tell.
func stampedEvents(events []Event) string {
	var phrases []string
	for _, e := range events {
		s := describe(e)
		switch {
		case e.Divided:
			s += fmt.Sprintf(" %v+%v+%v", e.Split.Send, e.Split.Kernel, e.Split.Wakeup)
		case e.RTT > 0 && !e.Stamped:
			s += " unstamped"
		}
		phrases = append(phrases, s)
	}
	return strings.Join(phrases, ", ")
}

// TestUnusedStamps: without Socket.Stamps the stamps of a conn are not looked at.
func TestUnusedStamps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newStamped(stamped(3*ms, 5*ms), ms)
		conn.sock.Stamps = false
		var last Event
		pinger := pingerOver(Config{Count: 1}.withDefaults(), conn)
		if err := pinger.Run(t.Context(), func(e Event) { last = e }); err != nil || last.RTT != 5*ms || last.Stamped {
			t.Errorf("%v: %+v", err, last)
		}
	})
}

// TestClockStep sets the wall clock back while probes are under way: one event, and RTTs by the monotonic clock for as
// long as the stamps cannot be trusted.
func TestClockStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []Event
		pinger := pingerOver(Config{Transport: Transport{Size: 56}, Count: 4}.withDefaults(), newStamped(stamped(3*ms, 5*ms), ms))
		r := newRun(pinger, collect(&events))
		for more, err := true, error(nil); more; {
			if more, err = r.step(); err != nil {
				t.Fatal(err)
			}
			if r.received == 2 && r.window.next == 4 && r.clock.wall == r.start.UnixNano() {
				r.clock.wall += int64(time.Hour) // as if every later reading were an hour less
			}
		}
		want := "sent 1, reply 1 rtt=3ms 1ms+2ms+2ms, sent 2, reply 2 rtt=3ms 1ms+2ms+2ms, sent 3, clock-step 0, " +
			"reply 3 rtt=5ms unstamped, sent 4, reply 4 rtt=3ms 1ms+2ms+2ms"
		if got := stampedEvents(events); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestStampClock(t *testing.T) {
	start := time.Now()
	at := func(d time.Duration) time.Time { return start.Add(d) }
	c := newStampClock(start)
	now := func() time.Time { return at(time.Second) }
	steps, sum := 0, time.Duration(0)
	steady := func(t time.Time, now func() time.Time) bool {
		ok, step := c.steady(t, now)
		if sum += step; step != 0 {
			steps++
		}
		return ok
	}
	if !steady(at(ms), now) || steps != 0 {
		t.Errorf("a steady clock stepped: %+v", c)
	}
	// adjtime slews: a little at each reading adds up, and none of it is a step.
	for i := range 100 {
		c.wall -= int64(maxDrift)
		if !steady(at(time.Duration(i)*time.Second), now) || steps != 0 {
			t.Fatalf("reading %d of a slewed clock: %+v", i, c)
		}
	}
	c.wall -= int64(2 * maxDrift)
	if steady(at(time.Minute), now) || steps != 1 {
		t.Errorf("a step went unnoticed: %+v", c)
	}
	if sum != 2*maxDrift {
		t.Errorf("the step was %v, want %v", sum, 2*maxDrift)
	}
	if !steady(at(time.Minute), now) || steps != 1 {
		t.Errorf("one step counts again: %+v", c)
	}
	c.wall += int64(time.Hour)
	if steady(at(time.Minute), now) || steps != 2 {
		t.Errorf("a step back went unnoticed: %+v", c)
	}
	// An interrupt between the two readings of one time looks like a step, until the clock is read again.
	c.wall -= int64(time.Second)
	healed := func() time.Time { c.wall += int64(time.Second); return at(time.Minute) }
	if steady(at(time.Minute), healed) || steps != 2 {
		t.Errorf("an interrupt counts as a step: %+v", c)
	}
	if !steady(at(time.Minute), now) {
		t.Errorf("the clock is not steady after an interrupt: %+v", c)
	}
	// Two interrupts differ, and a step does not.
	c.wall -= int64(time.Second)
	wall := c.wall
	twice := func() time.Time { c.wall += int64(10 * ms); return at(time.Minute) }
	if steady(at(time.Minute), twice) || steps != 2 {
		t.Errorf("two interrupts count as a step: %+v", c)
	}
	c.wall = wall + int64(time.Second)
	// An interrupt at the start makes the first reading another one, and no step.
	first := newStampClock(start)
	first.wall -= int64(2 * ms)
	if ok, step := first.steady(at(ms), now); ok || step != 0 {
		t.Errorf("an interrupt at the start: %v, %v", ok, step)
	}
	if ok, step := first.steady(at(2*ms), now); !ok || step != 0 {
		t.Errorf("after an interrupt at the start: %v, %v", ok, step)
	}
}

// TestStampedContext: a run that is stamped ends with its context as any other.
func TestStampedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		pinger := pingerOver(Config{Transport: Transport{Timeout: time.Hour}}.withDefaults(), newStamped(silence, ms))
		l := newLedger()
		if err := pinger.Run(ctx, l.take); err != context.DeadlineExceeded || l.inFlight != l.sent || l.sent == 0 {
			t.Errorf("%v: %d of %d in flight", err, l.inFlight, l.sent)
		}
	})
}
