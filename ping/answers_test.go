package ping

import (
	"context"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lping/ping/transport"
)

// says answers after d as a service that did or said something.
func says(d time.Duration, a *Answer) script {
	return func(f *fakeConn, s attempt) error {
		x := f.answer(s, asIs)
		x.packet.Answer = a
		f.deliver(d, x)
		return nil
	}
}

// fails brings an error of the connection, with what the service said instead of an answer.
func fails(e syscall.Errno, a *Answer) script {
	return func(f *fakeConn, s attempt) error {
		f.deliver(0, arrival{packet: transport.Packet{Msg: s.msg, From: f.sock.Local, Fault: Fault{Errno: e}, Answer: a}})
		return nil
	}
}

// TestAnswers: what a service did or said is told with the event, and a status that is none of success is a wrong answer.
func TestAnswers(t *testing.T) {
	one := Config{Transport: Transport{Port: 80, Timeout: 100 * ms}, Count: 1}
	for _, tt := range []struct {
		name   string
		script func(a *Answer) script
		answer *Answer
		want   string
	}{
		{"nothing", func(a *Answer) script { return says(ms, a) }, nil, "0s sent 1\n1ms reply 1 rtt=1ms\n1ms end"},
		{"a reset", func(a *Answer) script { return says(ms, a) }, &Answer{Reset: true}, "0s sent 1\n1ms reply 1 rtt=1ms\n1ms end"},
		{"success", func(a *Answer) script { return says(ms, a) }, &Answer{Status: 204, Text: "No Content"},
			"0s sent 1\n1ms reply 1 rtt=1ms\n1ms end"},
		{"elsewhere", func(a *Answer) script { return says(ms, a) }, &Answer{Status: 399}, "0s sent 1\n1ms reply 1 rtt=1ms\n1ms end"},
		{"ill", func(a *Answer) script { return says(ms, a) }, &Answer{Status: 503, Text: "no"}, "0s sent 1\n1ms corrupt 1 at=0\n1ms end"},
		{"late", func(a *Answer) script { return says(150*ms, a) }, &Answer{Status: 200},
			"0s sent 1\n100ms timeout 1\n150ms late 1 rtt=150ms\n150ms end"},
		{"ill and late", func(a *Answer) script { return says(150*ms, a) }, &Answer{Status: 500},
			"0s sent 1\n100ms timeout 1\n150ms foreign 0\n300ms end"},
		{"no HTTP", func(a *Answer) script { return fails(syscall.EPERM, a) }, &Answer{Text: "220 hello"}, "0s sent 1\n0s error 1 EPERM\n0s end"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expect(t, one, tt.script(tt.answer), tt.want)
			synctest.Test(t, func(t *testing.T) {
				p := play(t.Context(), one, tt.script(tt.answer))
				for _, e := range p.events {
					told := e.Kind != Sent && e.Kind != Timeout
					switch {
					case told && (e.Answer == nil) != (tt.answer == nil) || told && e.Answer != nil && *e.Answer != *tt.answer:
						t.Errorf("%s: answer %+v, want %+v", describe(e), e.Answer, tt.answer)
					case !told && e.Answer != nil:
						t.Errorf("%s: answer %+v", describe(e), e.Answer)
					case e.Kind == Corrupt && (e.RTT != 0 || e.Connect != 0):
						t.Errorf("%s: rtt %v, connected after %v", describe(e), e.RTT, e.Connect)
					}
				}
			})
		})
	}
}

// TestAnswerOfEach: the answer of one probe is not told with the next.
func TestAnswerOfEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Config{Transport: Transport{Port: 80}, Count: 3}
		p := play(t.Context(), c, inTurn(says(ms, &Answer{Status: 503}), says(ms, nil), says(ms, &Answer{Status: 200})))
		var got []int
		for _, e := range p.events {
			switch {
			case e.Kind == Sent:
			case e.Answer == nil:
				got = append(got, 0)
			default:
				got = append(got, e.Answer.Status)
			}
		}
		if len(got) != 3 || got[0] != 503 || got[1] != 0 || got[2] != 200 {
			t.Errorf("got %v", got)
		}
		if l := ledgerOf(p.events); l.received != 2 || l.corrupted != 1 {
			t.Error(l.sums())
		}
	})
}

// TestOpaqueEcho: an echo that says something else is wrong, and to whom it says that is found as for any service.
func TestOpaqueEcho(t *testing.T) {
	c := Config{Transport: Transport{Port: 7, Echo: true, Size: 56, Timeout: 30 * ms}, Count: 1}
	two := c
	two.Count, two.Preload = 2, 2
	expectAll(t, []runCase{
		{"words", c, opaque(ms), "0s sent 1\n1ms corrupt 1 at=0\n1ms end"},
		{"words after the reply", c, all(replies(0), opaque(0)), "0s sent 1\n0s reply 1 rtt=0s\n0s foreign 0\n0s end"},
		{"words after the timeout", c, opaque(40 * ms), "0s sent 1\n30ms timeout 1\n40ms foreign 0\n230ms end"},
		{"words for the oldest", two, inTurn(silence, opaque(ms)), `
			0s sent 1
			0s no-answer 1
			0s sent 2
			1ms corrupt 1 at=0
			30ms timeout 2
			30ms end`},
		{"changed data", c, brings(ms, flipped(20)), "0s sent 1\n1ms corrupt 1 at=20\n1ms end"},
		{"cut", c, brings(ms, cutTo(30)), "0s sent 1\n1ms corrupt 1 at=30\n1ms end"},
		{"right", c, replies(ms), "0s sent 1\n1ms reply 1 rtt=1ms\n1ms end"},
	})
}

// TestLinger: a run that has no answer from a service at all waits some time longer for one: a late one tells a slow service
// from a silent one.
func TestLinger(t *testing.T) {
	service := Config{Transport: Transport{Port: 80, Timeout: 100 * ms}, Count: 1}
	with := func(change func(c *Config)) Config {
		c := service
		change(&c)
		return c
	}
	expectAll(t, []runCase{
		{"late", service, replies(250 * ms), "0s sent 1\n100ms timeout 1\n250ms late 1 rtt=250ms\n250ms end"},
		{"later than that", service, replies(301 * ms), "0s sent 1\n100ms timeout 1\n300ms end"},
		{"never", service, silence, "0s sent 1\n100ms timeout 1\n300ms end"},
		{"the kernel's own echo", with(func(c *Config) { c.Port, c.Size = 0, 56 }), replies(250 * ms), "0s sent 1\n100ms timeout 1\n100ms end"},
		{"of several", with(func(c *Config) { c.Count = 3 }), inTurn(silence, silence, replies(150*ms)), `
			0s sent 1
			50ms no-answer 1
			50ms sent 2
			100ms timeout 1
			100ms no-answer 2
			100ms sent 3
			150ms timeout 2
			200ms timeout 3
			250ms late 3 rtt=150ms
			250ms end`},
		{"since the first loss", with(func(c *Config) { c.Count = 3 }), silence, `
			0s sent 1
			50ms no-answer 1
			50ms sent 2
			100ms timeout 1
			100ms no-answer 2
			100ms sent 3
			150ms timeout 2
			200ms timeout 3
			300ms end`},
		{"one was answered", with(func(c *Config) { c.Count = 2 }), inTurn(replies(ms), silence), `
			0s sent 1
			1ms reply 1 rtt=1ms
			50ms sent 2
			150ms timeout 2
			150ms end`},
		{"one was answered wrong", with(func(c *Config) { c.Count = 2 }), inTurn(says(ms, &Answer{Status: 500}), silence), `
			0s sent 1
			1ms corrupt 1 at=0
			50ms sent 2
			150ms timeout 2
			150ms end`},
		{"one was answered late", with(func(c *Config) { c.Count = 2 }), inTurn(replies(120*ms), silence), `
			0s sent 1
			50ms no-answer 1
			50ms sent 2
			100ms timeout 1
			120ms late 1 rtt=120ms
			150ms timeout 2
			150ms end`},
		{"refused", service, refuses(syscall.ECONNREFUSED), "0s sent 1\n0s error 1 ECONNREFUSED\n0s end"},
		{"an error that cannot heal", with(func(c *Config) { c.Count, c.Timeout = 2, 20*ms }), inTurn(silence, refuses(syscall.EACCES)), `
			0s sent 1
			20ms timeout 1
			50ms sent 2
			50ms error 2 EACCES
			50ms end`},
		{"a deadline", with(func(c *Config) { c.Deadline = 150 * ms; c.Interval = time.Second }), replies(180 * ms), `
			0s sent 1
			100ms timeout 1
			150ms end`},
	})
}

// TestLingerEnds: a run that waits for a late answer ends with its context.
func TestLingerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 170*ms)
		defer cancel()
		p := play(ctx, Config{Transport: Transport{Port: 80, Timeout: 100 * ms}, Count: 1}, silence)
		if want := "0s sent 1\n100ms timeout 1\n170ms end: context deadline exceeded"; p.String() != want {
			t.Errorf("got:\n%s\nwant:\n%s", p, want)
		}
	})
}
