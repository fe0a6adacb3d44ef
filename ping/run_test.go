package ping

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lping/ping/transport"
)

const ms = time.Millisecond

// runCase is one run from outside: what it is told to do, what its sends bring, and what its events say.
type runCase struct {
	name   string
	config Config
	script script
	want   string
}

func expectAll(t *testing.T, tests []runCase) {
	t.Helper()
	for _, tt := range tests {
		for _, address := range []netip.Addr{loopback4, loopback6} {
			tt.config.Address = address
			t.Run(fmt.Sprintf("%s/%v", tt.name, address), func(t *testing.T) {
				expect(t, tt.config, tt.script, tt.want)
			})
		}
	}
}

func TestRun(t *testing.T) {
	expectAll(t, []runCase{
		{"plain", Config{Transport: Transport{Size: 56}, Count: 3}, replies(ms), `
			0s sent 1
			1ms reply 1 rtt=1ms
			50ms sent 2
			51ms reply 2 rtt=1ms
			100ms sent 3
			101ms reply 3 rtt=1ms
			101ms end`},
		{"at once", Config{Transport: Transport{Size: 56}, Count: 2}, replies(0), `
			0s sent 1
			0s reply 1 rtt=0s
			50ms sent 2
			50ms reply 2 rtt=0s
			50ms end`},
		{"no data", Config{Count: 2}, replies(ms), `
			0s sent 1
			1ms reply 1 rtt=1ms
			50ms sent 2
			51ms reply 2 rtt=1ms
			51ms end`},
		{"default timeout", Config{Transport: Transport{Size: 56}, Count: 1}, silence, `
			0s sent 1
			400ms timeout 1
			400ms end`},
		{"loss", Config{Transport: Transport{Size: 56, Timeout: 25 * ms}, Count: 3, Interval: 10 * ms}, silence, `
			0s sent 1
			10ms no-answer 1
			10ms sent 2
			20ms no-answer 2
			20ms sent 3
			25ms timeout 1
			35ms timeout 2
			45ms timeout 3
			45ms end`},
		{"timeout before the next", Config{Transport: Transport{Size: 56, Timeout: 20 * ms}, Count: 2, Interval: 20 * ms}, silence, `
			0s sent 1
			20ms timeout 1
			20ms sent 2
			40ms timeout 2
			40ms end`},
		{"late", Config{Transport: Transport{Size: 56, Timeout: 25 * ms}, Count: 3, Interval: 20 * ms}, inTurn(replies(30*ms),
			replies(ms)), `
			0s sent 1
			20ms no-answer 1
			20ms sent 2
			21ms reply 2 rtt=1ms
			25ms timeout 1
			30ms late 1 rtt=30ms
			40ms sent 3
			41ms reply 3 rtt=1ms
			41ms end`},
		{"late twice", Config{Transport: Transport{Size: 56, Timeout: 10 * ms}, Count: 2}, inTurn(all(replies(20*ms),
			replies(30*ms)), replies(0)), `
			0s sent 1
			10ms timeout 1
			20ms late 1 rtt=20ms
			30ms duplicate 1 rtt=30ms
			50ms sent 2
			50ms reply 2 rtt=0s
			50ms end`},
		{"duplicate", Config{Transport: Transport{Size: 56}, Count: 2}, all(replies(ms), replies(2*ms)), `
			0s sent 1
			1ms reply 1 rtt=1ms
			2ms duplicate 1 rtt=2ms
			50ms sent 2
			51ms reply 2 rtt=1ms
			51ms end`},
		{"duplicate of the last", Config{Transport: Transport{Size: 56}, Count: 1}, all(replies(0), replies(0), replies(0)), `
			0s sent 1
			0s reply 1 rtt=0s
			0s duplicate 1 rtt=0s
			0s duplicate 1 rtt=0s
			0s end`},
		{"reorder", Config{Transport: Transport{Size: 56}, Count: 3, Preload: 3}, inTurn(replies(3*ms), replies(2*ms), replies(ms)), `
			0s sent 1
			0s no-answer 1
			0s sent 2
			0s no-answer 2
			0s sent 3
			1ms reply 3 rtt=1ms
			2ms reply 2 rtt=2ms
			3ms reply 1 rtt=3ms
			3ms end`},
	})
}

// TestOneMoreRead: a reply that came before the timeout and was not noticed in time is an answer.
func TestOneMoreRead(t *testing.T) {
	unnoticed := func(f *fakeConn, a attempt) error {
		time.AfterFunc(9*ms, func() { f.unnoticed <- f.answer(a, asIs) })
		return nil
	}
	expectAll(t, []runCase{
		{"at the timeout", Config{Transport: Transport{Size: 56, Timeout: 10 * ms}, Count: 1}, unnoticed, `
			0s sent 1
			10ms reply 1 rtt=10ms
			10ms end`},
		{"at the deadline", Config{Transport: Transport{Size: 56, Timeout: time.Second}, Deadline: 10 * ms}, unnoticed, `
			0s sent 1
			10ms reply 1 rtt=10ms
			10ms end`},
	})
}

func TestForgeries(t *testing.T) {
	one := Config{Transport: Transport{Size: 56, Timeout: 10 * ms}, Count: 1}
	corrupt := func(at string) string { return "0s sent 1\n1ms corrupt 1 " + at + "\n1ms end" }
	foreign := "0s sent 1\n1ms foreign 0\n10ms timeout 1\n10ms end"
	ignored := "0s sent 1\n10ms timeout 1\n10ms end"
	expectAll(t, []runCase{
		{"wrong last byte", one, brings(ms, flipped(55)), corrupt("at=55")},
		{"wrong first byte after the nonce", one, brings(ms, flipped(8)), corrupt("at=8")},
		{"wrong byte in the nonce", one, brings(ms, flipped(3)), corrupt("at=3")},
		{"truncated", one, brings(ms, cutTo(20)), corrupt("at=20")},
		{"truncated in the nonce", one, brings(ms, cutTo(5)), corrupt("at=5")},
		{"truncated to the header", one, brings(ms, cutTo(0)), corrupt("at=0")},
		{"longer by one", one, brings(ms, longer(1)), corrupt("at=56")},
		{"longer than the buffer", one, brings(ms, longer(5000)), corrupt("at=56")},
		{"other nonce", one, brings(ms, func(b []byte) []byte { copy(b[headerLen:], "nonsense"); return b }), foreign},
		{"wrong id", one, brings(ms, otherIdent), foreign},
		{"sequence not sent yet", one, brings(ms, otherSeq(1)), foreign},
		{"sequence never sent", one, brings(ms, otherSeq(-1)), foreign},
		{"our own request", one, brings(ms, otherType(transport.TypeEchoRequestV4)), ignored},
		{"our own request v6", one, brings(ms, otherType(transport.TypeEchoRequestV6)), ignored},
		{"wrong type", one, brings(ms, otherType(3)), ignored},
		{"wrong code", one, brings(ms, func(b []byte) []byte { b[1] = 1; return b }), ignored},
		{"shorter than a header", one, brings(ms, func(b []byte) []byte { return b[:7] }), ignored},
		{"empty", one, brings(ms, func(b []byte) []byte { return b[:0] }), ignored},
		{"right after corrupted", one, all(brings(0, flipped(9)), replies(0)), `
			0s sent 1
			0s corrupt 1 at=9
			0s duplicate 1 rtt=0s
			0s end`},
		{"corrupted after right", one, all(replies(0), brings(0, flipped(9))), `
			0s sent 1
			0s reply 1 rtt=0s
			0s foreign 0
			0s end`},
		{"corrupted after the timeout", Config{Transport: Transport{Size: 56, Timeout: 10 * ms}, Count: 2},
			inTurn(brings(20*ms, flipped(9)), replies(0)), `
			0s sent 1
			10ms timeout 1
			20ms foreign 0
			50ms sent 2
			50ms reply 2 rtt=0s
			50ms end`},
		{"the one before", Config{Transport: Transport{Size: 56, Timeout: 20 * ms}, Count: 2}, inTurn(replies(0), all(brings(0,
			otherSeq(-1)), replies(ms))), `
			0s sent 1
			0s reply 1 rtt=0s
			50ms sent 2
			50ms foreign 0
			51ms reply 2 rtt=1ms
			51ms end`},
	})
}

// TestFromAnotherHost: only the target answers.
func TestFromAnotherHost(t *testing.T) {
	stranger := func(f *fakeConn, a attempt) error {
		answer := f.answer(a, asIs)
		answer.packet.From = netip.MustParseAddr("127.0.0.2")
		f.deliver(ms, answer)
		answer.packet.From = netip.Addr{}
		f.deliver(2*ms, answer)
		return nil
	}
	expect(t, Config{Transport: Transport{Size: 56, Timeout: 10 * ms}, Count: 1}, stranger, `
		0s sent 1
		1ms foreign 0
		2ms foreign 0
		10ms timeout 1
		10ms end`)
}

// TestMappedAddress: an IPv4 address in IPv6 form is the same host, whichever side writes it so; a zone is no matter.
func TestMappedAddress(t *testing.T) {
	for _, tt := range []struct{ target, answers string }{
		{"::ffff:127.0.0.1", "127.0.0.1"},
		{"127.0.0.1", "::ffff:127.0.0.1"},
		{"fe80::1%lo", "fe80::1"},
	} {
		s := func(f *fakeConn, a attempt) error {
			answer := f.answer(a, asIs)
			answer.packet.From = netip.MustParseAddr(tt.answers)
			f.deliver(0, answer)
			return nil
		}
		expect(t, Config{Transport: Transport{Address: netip.MustParseAddr(tt.target), Size: 8}, Count: 1}, s, `
			0s sent 1
			0s reply 1 rtt=0s
			0s end`)
	}
}

func TestDeadline(t *testing.T) {
	expectAll(t, []runCase{
		{"ends an endless run", Config{Transport: Transport{Size: 56}, Interval: 30 * ms, Deadline: 70 * ms}, replies(ms), `
			0s sent 1
			1ms reply 1 rtt=1ms
			30ms sent 2
			31ms reply 2 rtt=1ms
			60ms sent 3
			61ms reply 3 rtt=1ms
			70ms end`},
		{"count replies end it", Config{Transport: Transport{Size: 56}, Count: 2, Deadline: time.Second}, replies(ms), `
			0s sent 1
			1ms reply 1 rtt=1ms
			50ms sent 2
			51ms reply 2 rtt=1ms
			51ms end`},
		{"loss does not stop at the count",
			Config{Transport: Transport{Size: 56, Timeout: 10 * ms}, Count: 2, Interval: 20 * ms, Deadline: time.Second},
			inTurn(silence, replies(ms), silence, replies(ms)), `
			0s sent 1
			10ms timeout 1
			20ms sent 2
			21ms reply 2 rtt=1ms
			40ms sent 3
			50ms timeout 3
			60ms sent 4
			61ms reply 4 rtt=1ms
			61ms end`},
		{"silence ends at the deadline", Config{Transport: Transport{Size: 56, Timeout: 10 * ms}, Count: 1, Interval: 20 * ms,
			Deadline: 35 * ms}, silence, `
			0s sent 1
			10ms timeout 1
			20ms sent 2
			30ms timeout 2
			35ms end`},
		{"what is younger than the timeout is lost", Config{Transport: Transport{Size: 56, Timeout: 30 * ms},
			Interval: 20 * ms, Deadline: 35 * ms}, silence, `
			0s sent 1
			20ms no-answer 1
			20ms sent 2
			30ms timeout 1
			35ms timeout 2
			35ms end`},
		{"at the timeout", Config{Transport: Transport{Size: 56, Timeout: 30 * ms}, Deadline: 30 * ms}, silence, `
			0s sent 1
			30ms timeout 1
			30ms end`},
		{"at the interval", Config{Transport: Transport{Size: 56}, Deadline: 50 * ms}, replies(ms), `
			0s sent 1
			1ms reply 1 rtt=1ms
			50ms end`},
		{"what is open at the last reply stays open", Config{Transport: Transport{Size: 56}, Count: 2, Preload: 3,
			Deadline: time.Second},
			inTurn(replies(ms), replies(2*ms), replies(3*ms)), `
			0s sent 1
			0s no-answer 1
			0s sent 2
			0s no-answer 2
			0s sent 3
			1ms reply 1 rtt=1ms
			2ms reply 2 rtt=2ms
			2ms end`},
		{"send errors go on", Config{Transport: Transport{Size: 56}, Count: 1, Deadline: 120 * ms},
			inTurn(refuses(syscall.EPERM), refuses(syscall.EPERM), replies(0)), `
			0s sent 1
			0s error 1 EPERM
			50ms sent 2
			50ms error 2 EPERM
			100ms sent 3
			100ms reply 3 rtt=0s
			100ms end`},
	})
}

func TestPace(t *testing.T) {
	quick := Config{Transport: Transport{Size: 56, Timeout: 40 * ms}, Count: 4}
	flood, adaptive := quick, quick
	flood.Flood, adaptive.Adaptive = true, true
	preload := flood
	preload.Preload = 2
	paced := quick
	paced.Preload, paced.Interval = 2, 20*ms
	expectAll(t, []runCase{
		{"flood follows the replies", flood, replies(2 * ms), `
			0s sent 1
			2ms reply 1 rtt=2ms
			2ms sent 2
			4ms reply 2 rtt=2ms
			4ms sent 3
			6ms reply 3 rtt=2ms
			6ms sent 4
			8ms reply 4 rtt=2ms
			8ms end`},
		{"flood waits 10 ms at most", flood, replies(12 * ms), `
			0s sent 1
			10ms no-answer 1
			10ms sent 2
			12ms reply 1 rtt=12ms
			20ms no-answer 2
			20ms sent 3
			22ms reply 2 rtt=12ms
			30ms no-answer 3
			30ms sent 4
			32ms reply 3 rtt=12ms
			42ms reply 4 rtt=12ms
			42ms end`},
		{"flood is not held up by one loss", flood, inTurn(silence, replies(ms)), `
			0s sent 1
			10ms no-answer 1
			10ms sent 2
			11ms reply 2 rtt=1ms
			11ms sent 3
			12ms reply 3 rtt=1ms
			12ms sent 4
			13ms reply 4 rtt=1ms
			40ms timeout 1
			40ms end`},
		{"flood does not spin on refusals", flood, refuses(syscall.EPERM), `
			0s sent 1
			0s error 1 EPERM
			10ms sent 2
			10ms error 2 EPERM
			20ms sent 3
			20ms error 3 EPERM
			30ms sent 4
			30ms error 4 EPERM
			30ms end`},
		{"flood does not spin on ICMP errors", flood, reports(0, asIs), `
			0s sent 1
			0s error 1 ECONNREFUSED
			10ms sent 2
			10ms error 2 ECONNREFUSED
			20ms sent 3
			20ms error 3 ECONNREFUSED
			30ms sent 4
			30ms error 4 ECONNREFUSED
			30ms end`},
		{"flood with preload keeps so many open", preload, inTurn(replies(2*ms), replies(3*ms)), `
			0s sent 1
			0s no-answer 1
			0s sent 2
			2ms reply 1 rtt=2ms
			2ms no-answer 2
			2ms sent 3
			3ms reply 2 rtt=3ms
			3ms no-answer 3
			3ms sent 4
			5ms reply 3 rtt=3ms
			6ms reply 4 rtt=3ms
			6ms end`},
		{"adaptive follows the RTT", adaptive, replies(3 * ms), `
			0s sent 1
			3ms reply 1 rtt=3ms
			3ms sent 2
			6ms reply 2 rtt=3ms
			6ms sent 3
			9ms reply 3 rtt=3ms
			9ms sent 4
			12ms reply 4 rtt=3ms
			12ms end`},
		{"adaptive is no faster than the smoothed RTT", adaptive, inTurn(replies(8*ms), replies(0)), `
			0s sent 1
			8ms reply 1 rtt=8ms
			8ms sent 2
			8ms reply 2 rtt=0s
			15ms sent 3
			15ms reply 3 rtt=0s
			21.125ms sent 4
			21.125ms reply 4 rtt=0s
			21.125ms end`},
		{"adaptive waits the interval at most", adaptive, inTurn(silence, replies(ms)), `
			0s sent 1
			40ms timeout 1
			50ms sent 2
			51ms reply 2 rtt=1ms
			51ms sent 3
			52ms reply 3 rtt=1ms
			52ms sent 4
			53ms reply 4 rtt=1ms
			53ms end`},
		{"adaptive does not spin on refusals", adaptive, refuses(syscall.ENOBUFS), `
			0s sent 1
			0s error 1 ENOBUFS
			50ms sent 2
			50ms error 2 ENOBUFS
			100ms sent 3
			100ms error 3 ENOBUFS
			150ms sent 4
			150ms error 4 ENOBUFS
			150ms end`},
		{"preload, then the interval", paced, inTurn(replies(2*ms), replies(ms)), `
			0s sent 1
			0s no-answer 1
			0s sent 2
			1ms reply 2 rtt=1ms
			2ms reply 1 rtt=2ms
			20ms sent 3
			21ms reply 3 rtt=1ms
			40ms sent 4
			41ms reply 4 rtt=1ms
			41ms end`},
		{"preload beyond the count", Config{Transport: Transport{Size: 56}, Count: 2, Preload: 9}, replies(0), `
			0s sent 1
			0s no-answer 1
			0s sent 2
			0s reply 1 rtt=0s
			0s reply 2 rtt=0s
			0s end`},
	})
}

// TestSlowScheduler: a run that could not run in time does not send a burst.
func TestSlowScheduler(t *testing.T) {
	stalls := func(f *fakeConn, a attempt) error {
		time.Sleep(125 * ms)
		return replies(0)(f, a)
	}
	expect(t, Config{Transport: Transport{Size: 56}, Count: 4}, inTurn(stalls, replies(0)), `
		0s sent 1
		125ms reply 1 rtt=125ms
		125ms sent 2
		125ms reply 2 rtt=0s
		175ms sent 3
		175ms reply 3 rtt=0s
		225ms sent 4
		225ms reply 4 rtt=0s
		225ms end`)
}

// TestSendErrors: each errno becomes the end of its probe, and one that cannot heal the end of the run.
func TestSendErrors(t *testing.T) {
	permanent := []syscall.Errno{
		syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, syscall.EACCES,
		syscall.EINVAL, syscall.EMSGSIZE, syscall.ENETDOWN, syscall.ENODEV,
	}
	passing := []syscall.Errno{
		syscall.EPERM, syscall.ENOBUFS, syscall.ENOMEM, syscall.EAGAIN, syscall.EINTR, syscall.ECONNREFUSED,
		syscall.EIO,
	}
	for _, e := range permanent {
		t.Run(fmt.Sprintf("permanent/%v", e), func(t *testing.T) { testPermanent(t, e) })
	}
	for _, e := range passing {
		t.Run(fmt.Sprintf("passing/%v", e), func(t *testing.T) { testPassing(t, e) })
	}
}

func testPermanent(t *testing.T, e syscall.Errno) {
	err := os.NewSyscallError("sendto", e)
	end := fmt.Sprintf("0s sent 1\n0s error 1 %s\n0s end", errnoName(e))
	for _, c := range []Config{
		{Count: 3}, {}, {Flood: true}, {Adaptive: true}, {Preload: 9}, {Deadline: time.Hour}, {Count: 3, Deadline: time.Hour},
	} {
		c.Size = 56
		expect(t, c, refuses(err), end)
	}
	expect(t, Config{Transport: Transport{Size: 56, Timeout: 10 * ms}, Count: 3, Preload: 2}, inTurn(silence, refuses(err)),
		fmt.Sprintf(`
		0s sent 1
		0s no-answer 1
		0s sent 2
		0s error 2 %s
		10ms timeout 1
		10ms end`, errnoName(e)))
	expect(t, Config{Transport: Transport{Size: 56}, Count: 3}, inTurn(replies(0), refuses(err), replies(0)), fmt.Sprintf(`
		0s sent 1
		0s reply 1 rtt=0s
		50ms sent 2
		50ms error 2 %s
		100ms sent 3
		100ms reply 3 rtt=0s
		100ms end`, errnoName(e)))
}

func testPassing(t *testing.T, e syscall.Errno) {
	err := os.NewSyscallError("sendto", e)
	expect(t, Config{Transport: Transport{Size: 56}, Count: 3}, inTurn(refuses(err), refuses(err), replies(0)), fmt.Sprintf(`
		0s sent 1
		0s error 1 %s
		50ms sent 2
		50ms error 2 %[1]s
		100ms sent 3
		100ms reply 3 rtt=0s
		100ms end`, errnoName(e)))
}

// TestSendsAreBounded: no errno, mode or report makes the engine send a probe more than twice or faster than every
// 10 ms.
func TestSendsAreBounded(t *testing.T) {
	stale := func(err error) script {
		return all(reports(0, otherIdent), refuses(err))
	}
	for _, e := range []syscall.Errno{syscall.EACCES, syscall.EPERM, syscall.ENOBUFS, syscall.ECONNREFUSED, syscall.EAGAIN} {
		for _, s := range []script{inTurn(replies(0), refuses(e)), inTurn(replies(0), stale(e))} {
			for _, c := range []Config{{Flood: true}, {Adaptive: true, Interval: 10 * ms}, {Interval: 10 * ms}} {
				c.Deadline = time.Second
				synctest.Test(t, func(t *testing.T) {
					p := play(t.Context(), c, s)
					if p.err != nil || p.took != time.Second {
						t.Errorf("%v %+v: ended after %v: %v", e, c, p.took, p.err)
					}
					if l := ledgerOf(p.events); l.sent > 102 || p.conn.sends > 204 {
						t.Errorf("%v %+v: %d probes, %d sends in a second", e, c, l.sent, p.conn.sends)
					}
				})
			}
		}
	}
}

// TestPendingReport: an errno that belongs to an earlier probe costs the next one nothing but a second send.
func TestPendingReport(t *testing.T) {
	refused := os.NewSyscallError("sendto", syscall.ECONNREFUSED)
	pending := func(f *fakeConn, _ attempt) error { return refused }
	// aboutFirst queues the report about the first probe and refuses the second with its errno.
	var first attempt
	remember := func(_ *fakeConn, a attempt) error { first = a; return nil }
	aboutFirst := func(f *fakeConn, _ attempt) error {
		f.unnoticed <- f.report(first, asIs)
		return refused
	}
	two := Config{Transport: Transport{Size: 56, Timeout: time.Second}, Count: 2}
	expectAll(t, []runCase{
		{"resent", two, inTurn(remember, aboutFirst, replies(ms)), `
			0s sent 1
			50ms no-answer 1
			50ms sent 2
			50ms error 1 ECONNREFUSED
			51ms reply 2 rtt=1ms
			51ms end`},
		{"resent once", two, inTurn(remember, aboutFirst, refuses(syscall.EPERM)), `
			0s sent 1
			50ms no-answer 1
			50ms sent 2
			50ms error 1 ECONNREFUSED
			50ms error 2 EPERM
			50ms end`},
		{"no report was waiting", two, inTurn(replies(0), pending, replies(0)), `
			0s sent 1
			0s reply 1 rtt=0s
			50ms sent 2
			50ms error 2 ECONNREFUSED
			50ms end`},
		{"about the probe itself", two, inTurn(replies(0), all(reports(0, asIs), refuses(syscall.EPERM)), replies(0)), `
			0s sent 1
			0s reply 1 rtt=0s
			50ms sent 2
			50ms error 2 ECONNREFUSED
			50ms end`},
		{"about the second send", two, inTurn(remember, aboutFirst, all(reports(0, asIs), refuses(syscall.EPERM))), `
			0s sent 1
			50ms no-answer 1
			50ms sent 2
			50ms error 1 ECONNREFUSED
			50ms error 2 ECONNREFUSED
			50ms end`},
		{"a read error", two, inTurn(replies(0), all(failsToRead(0, 1, refused), refuses(refused)), replies(0)), `
			0s sent 1
			0s reply 1 rtt=0s
			50ms sent 2
			50ms reply 2 rtt=0s
			50ms end`},
	})
}

// TestResentTimeout: the timeout of a probe that left twice counts from the second send.
func TestResentTimeout(t *testing.T) {
	slow := func(f *fakeConn, _ attempt) error {
		time.Sleep(5 * ms)
		f.unnoticed <- arrival{err: syscall.ECONNREFUSED}
		return syscall.ECONNREFUSED
	}
	expect(t, Config{Transport: Transport{Size: 56, Timeout: 10 * ms}, Count: 1}, inTurn(slow, silence), `
		0s sent 1
		15ms timeout 1
		15ms end`)
	expect(t, Config{Transport: Transport{Size: 56, Timeout: 10 * ms}, Count: 1}, inTurn(slow, replies(ms)), `
		0s sent 1
		6ms reply 1 rtt=1ms
		6ms end`)
}

func TestReports(t *testing.T) {
	one := Config{Transport: Transport{Size: 56, Timeout: 10 * ms}, Count: 1}
	refused := "0s sent 1\n1ms error 1 ECONNREFUSED\n1ms end"
	ignored := "0s sent 1\n10ms timeout 1\n10ms end"
	expectAll(t, []runCase{
		{"whole", one, reports(ms, asIs), refused},
		{"eight bytes of data", one, reports(ms, cutTo(8)), refused},
		{"no data", one, reports(ms, cutTo(0)), refused},
		{"other id", one, reports(ms, otherIdent), ignored},
		{"other probe", one, reports(ms, otherSeq(1)), ignored},
		{"other nonce", one, reports(ms, flipped(0)), ignored},
		{"a reply quoted", one, reports(ms, replyTo), ignored},
		{"nothing quoted", one, reports(ms, func([]byte) []byte { return nil }), ignored},
		{"after the reply", one, all(replies(0), reports(0, asIs)), "0s sent 1\n0s reply 1 rtt=0s\n0s end"},
		{"before the reply", one, all(reports(0, asIs), replies(0)), "0s sent 1\n0s error 1 ECONNREFUSED\n0s foreign 0\n0s end"},
	})
}

// TestReportFields: a SendError says who reported and what.
func TestReportFields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t.Context(), Config{Transport: Transport{Size: 8}, Count: 1}, reports(0, asIs))
		got := p.events[len(p.events)-1]
		want := Fault{Errno: syscall.ECONNREFUSED, ICMP: true, Type: 3, Code: 3}
		if got.Kind != SendError || got.From != loopback4 || got.Fault != want || got.Ident != fakeIdent {
			t.Errorf("got %+v, want fault %+v", got, want)
		}
	})
}

// TestReplyFields: an answer is told with all that it brought.
func TestReplyFields(t *testing.T) {
	header := []byte{0x45, 0, 0, 44, 0, 0, 0, 0, 33, 1, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1}
	withHeader := func(msg []byte) []byte { return append(append([]byte{}, header...), msg...) }
	for _, tt := range []struct {
		name string
		edit func([]byte) []byte
		ttl  int // what the socket tells
		want int
	}{
		{"told", asIs, 64, 64},
		{"not told", asIs, 0, 0},
		{"in the header", withHeader, 0, 33},
	} {
		s := func(f *fakeConn, a attempt) error {
			answer := f.answer(a, tt.edit)
			answer.packet.TTL = tt.ttl
			f.deliver(0, answer)
			return nil
		}
		synctest.Test(t, func(t *testing.T) {
			p := play(t.Context(), Config{Transport: Transport{Size: 16}, Count: 1}, s)
			got := p.events[len(p.events)-1]
			want := Event{
				Kind: Reply, Seq: 1, Time: p.start, From: loopback4, TTL: tt.want, Bytes: headerLen + 16, Ident: fakeIdent,
			}
			if got != want {
				t.Errorf("%s: got %+v, want %+v", tt.name, got, want)
			}
		})
	}
}

func TestReadErrors(t *testing.T) {
	refused := os.NewSyscallError("recvmsg", syscall.ECONNREFUSED)
	one := Config{Transport: Transport{Size: 56, Timeout: 10 * ms}, Count: 1}
	expectAll(t, []runCase{
		{"passing", one, all(failsToRead(0, maxReadErrors-1, refused), replies(ms)), "0s sent 1\n1ms reply 1 rtt=1ms\n1ms end"},
		{"too many", one, failsToRead(0, maxReadErrors, refused), "0s sent 1\n0s end: receive: " + refused.Error()},
		{"too many while waiting", one, failsToRead(ms, maxReadErrors, refused),
			"0s sent 1\n1ms end: receive: " + refused.Error()},
		{"too many after the last reply", one, all(replies(0), failsToRead(0, maxReadErrors, refused)),
			"0s sent 1\n0s reply 1 rtt=0s\n0s end: receive: " + refused.Error()},
		{"too many after a refused send", one, all(failsToRead(0, maxReadErrors, refused), refuses(refused)),
			"0s sent 1\n0s end: receive: " + refused.Error()},
		{"not the system's", one, failsToRead(ms, 1, net.ErrClosed),
			"0s sent 1\n1ms end: receive: use of closed network connection"},
		{"not the system's, on send", one, refuses(net.ErrClosed), "0s sent 1\n0s end: send: use of closed network connection"},
		{"a packet between starts the count again", Config{Transport: Transport{Size: 56}, Count: 2},
			all(failsToRead(0, maxReadErrors-1, refused), replies(0)), `
			0s sent 1
			0s reply 1 rtt=0s
			50ms sent 2
			50ms reply 2 rtt=0s
			50ms end`},
	})
}

// cancelAt plays a run whose context ends after d.
func cancelAt(t *testing.T, d time.Duration, c Config, s script) played {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	stop := errors.New("stopped by hand")
	time.AfterFunc(d, func() { cancel(stop) })
	p := play(ctx, c, s)
	if p.err != stop || p.took != d {
		t.Errorf("ended after %v with %v, want %v and %v", p.took, p.err, d, stop)
	}
	ledgerOf(p.events).check(t)
	return p
}

// TestCancel: whatever a run waits for, the end of its context ends it at once and leaves open what is open.
func TestCancel(t *testing.T) {
	slow := Config{Transport: Transport{Size: 56, Timeout: time.Hour}, Interval: time.Hour}
	full := slow
	full.Preload, full.Flood = MaxPreload, true
	tests := []struct {
		name     string
		config   Config
		script   script
		sent     int
		inFlight int
	}{
		{"waiting for the interval", slow, replies(ms), 1, 0},
		{"waiting for a reply", Config{Transport: Transport{Size: 56, Timeout: time.Hour}, Count: 1}, silence, 1, 1},
		{"waiting for both", slow, silence, 1, 1},
		{"waiting for the deadline", Config{Transport: Transport{Size: 56}, Interval: time.Hour, Deadline: time.Hour},
			replies(0), 1, 0},
		{"waiting after a send error", slow, refuses(syscall.EPERM), 1, 0},
		{"waiting for room in the window", full, silence, maxWindow, maxWindow},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := cancelAt(t, time.Minute, tt.config, tt.script)
				l := ledgerOf(p.events)
				if l.sent != tt.sent || l.inFlight != tt.inFlight || l.lost != 0 {
					t.Errorf("%d sent, %d in flight, %d lost; want %d, %d, 0", l.sent, l.inFlight, l.lost, tt.sent, tt.inFlight)
				}
			})
		})
	}
}

// TestCancelBefore: a context that is over lets nothing out.
func TestCancelBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	synctest.Test(t, func(t *testing.T) {
		p := play(ctx, Config{Count: 3}, replies(0))
		if p.err != context.Canceled || len(p.events) != 0 || p.conn.sends != 0 {
			t.Errorf("%v after %d events and %d sends", p.err, len(p.events), p.conn.sends)
		}
	})
}

// TestCancelFromEmit: emit may end the run; nothing is sent after that.
func TestCancelFromEmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		conn := newFake(loopback4, replies(0))
		pinger := pingerOver(Config{Flood: true}.withDefaults(), conn)
		err := pinger.Run(ctx, func(e Event) {
			if e.Kind == Reply && e.Seq == 5 {
				cancel()
			}
		})
		if err != context.Canceled || conn.sends != 5 {
			t.Errorf("%v after %d sends; want %v after 5", err, conn.sends, context.Canceled)
		}
	})
}

// TestRunAgain: a Pinger runs as often as one likes, and the wake of a run that was cancelled does no harm to the next.
func TestRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*ms)
		defer cancel()
		conn := newFake(loopback4, inTurn(silence, replies(ms)))
		pinger := pingerOver(Config{Transport: Transport{Size: 56}, Count: 2}.withDefaults(), conn)
		if err := pinger.Run(ctx, func(Event) {}); err != context.DeadlineExceeded {
			t.Errorf("first run: %v, want %v", err, context.DeadlineExceeded)
		}
		conn.Wake()
		l := newLedger()
		if err := pinger.Run(t.Context(), l.take); err != nil || l.received != 2 || l.foreign != 0 {
			t.Errorf("second run: %v with %+v, want 2 received", err, l)
		}
		l.check(t)
	})
}

// TestWakeRace cancels at any moment, in real time: Run must come back, and wake must never meet a closed conn.
func TestWakeRace(t *testing.T) {
	for i := range 500 {
		conn := newFake(loopback4, inTurn(replies(0), replies(0), silence))
		pinger := pingerOver(Config{Transport: Transport{Size: 8, Timeout: time.Hour},
			Interval: time.Microsecond}.withDefaults(), conn)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Duration(i)*time.Microsecond, cancel)
		if err := pinger.Run(ctx, func(Event) {}); err != context.Canceled {
			t.Fatalf("round %d: %v", i, err)
		}
	}
}

// TestWrap: the wire's sequence number starts again at 65536 probes, the engine's does not.
func TestWrap(t *testing.T) {
	deep := Config{Transport: Transport{Size: 8, Timeout: time.Second}, Count: 140_000, Flood: true, Preload: MaxPreload}
	tests := []struct {
		name   string
		config Config
		script script
	}{
		{"one at a time", Config{Transport: Transport{Size: 8}, Count: 140_000, Flood: true}, replies(0)},
		{"without data", Config{Count: 140_000, Flood: true}, replies(0)},
		{"65535 in flight", deep, replies(100 * ms)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLedger()
				pinger := pingerOver(tt.config.withDefaults(), newFake(loopback4, tt.script))
				if err := pinger.Run(t.Context(), l.take); err != nil {
					t.Fatal(err)
				}
				l.check(t)
				if l.received != int(tt.config.Count) || l.duplicates+l.foreign+l.lost != 0 {
					t.Errorf("received %d of %d: %+v", l.received, tt.config.Count, [3]int{l.duplicates, l.foreign, l.lost})
				}
			})
		})
	}
}

// TestWrapWithLoss: an answer that comes one turn of the wire's sequence number too late is nobody's.
func TestWrapWithLoss(t *testing.T) {
	var first arrival
	s := func(f *fakeConn, a attempt) error {
		switch a.n {
		case 1:
			first = f.answer(a, asIs)
			return nil
		case maxWindow + 1: // the same number on the wire as the first
			f.deliver(0, first)
		}
		return replies(0)(f, a)
	}
	synctest.Test(t, func(t *testing.T) {
		p := play(t.Context(), Config{Transport: Transport{Size: 8, Timeout: ms}, Count: maxWindow + 10, Flood: true}, s)
		l := ledgerOf(p.events)
		l.check(t)
		if p.err != nil || l.lost != 1 || l.foreign != 1 || l.received != maxWindow+9 || l.duplicates+l.late != 0 {
			t.Errorf("%v: lost %d, foreign %d, received %d, duplicates %d, late %d",
				p.err, l.lost, l.foreign, l.received, l.duplicates, l.late)
		}
	})
}

// TestFullWindow: an open probe holds its number; the next one with the same must wait for its end.
func TestFullWindow(t *testing.T) {
	c := Config{Transport: Transport{Size: 8, Timeout: time.Minute}, Count: maxWindow + 10, Flood: true, Preload: MaxPreload}
	synctest.Test(t, func(t *testing.T) {
		p := play(t.Context(), c, inTurn(silence, replies(0)))
		l := ledgerOf(p.events)
		l.check(t)
		// Probe 1 stays open for a minute, so 65536 leave before its end and the rest after it.
		var before int
		for _, e := range p.events {
			if e.Kind == Sent && e.Time.Sub(p.start) < time.Minute {
				before++
			}
		}
		if before != maxWindow || l.sent != maxWindow+10 || l.lost != 1 {
			t.Errorf("%d of %d sent before the first probe's end, %d lost; want %d and 1", before, l.sent, l.lost, maxWindow)
		}
	})
}

// TestSweep: each probe has the next size, the last is followed by the first, and one that is too large ends nothing.
func TestSweep(t *testing.T) {
	sizes := []int{1400, 0, 3, 56}
	c := Config{Transport: Transport{Sizes: sizes}, Count: 6, Flood: true}
	var sent []int
	s := func(f *fakeConn, a attempt) error {
		n := len(a.msg) - headerLen
		if sent = append(sent, n); n > 1000 {
			return os.NewSyscallError("sendto", syscall.EMSGSIZE)
		}
		return replies(0)(f, a)
	}
	synctest.Test(t, func(t *testing.T) {
		p := play(t.Context(), c, s)
		l := ledgerOf(p.events)
		if want := []int{1400, 0, 3, 56, 1400, 0}; p.err != nil || !slices.Equal(sent, want) || l.received != 4 {
			t.Errorf("%v: sizes %v, want %v; %d replies, want 4", p.err, sent, want, l.received)
		}
		for _, e := range p.events {
			if size := c.SizeOf(e.Seq); e.Kind == Reply && e.Bytes != headerLen+size || e.Kind == SendError && size != 1400 {
				t.Errorf("%v of probe %d with %d data bytes: %d", e.Kind, e.Seq, size, e.Bytes)
			}
		}
	})
	// The right data of another size is not the right answer.
	synctest.Test(t, func(t *testing.T) {
		cut := func(f *fakeConn, a attempt) error {
			f.deliver(0, f.answer(a, func(msg []byte) []byte { return msg[:min(len(msg), headerLen+56)] }))
			return nil
		}
		p := play(t.Context(), Config{Transport: Transport{Sizes: []int{56, 57}}, Count: 2}, cut)
		if l := ledgerOf(p.events); l.received != 1 || l.corrupted != 1 {
			t.Errorf("%d right, %d corrupted; want 1 and 1", l.received, l.corrupted)
		}
	})
}

// TestWaiting: after an interrupt a Pinger knows how long what is open has been so.
func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 120*ms)
		defer cancel()
		p := pingerOver(Config{Transport: Transport{Timeout: time.Hour}}.withDefaults(), newFake(loopback4, silence))
		if got := p.Waiting(0); got != 0 {
			t.Errorf("before a run %d wait", got)
		}
		if err := p.Run(ctx, func(Event) {}); err != context.DeadlineExceeded {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // what passes after the run does not count
		for age, want := range map[time.Duration]uint64{0: 3, 20 * ms: 3, 21 * ms: 2, 70 * ms: 2, 120 * ms: 1, 121 * ms: 0} {
			if got := p.Waiting(age); got != want {
				t.Errorf("%d wait for %v or more, want %d", got, age, want)
			}
		}
		p.conn = newFake(loopback4, replies(0))
		p.config.Count = 2
		if err := p.Run(t.Context(), func(Event) {}); err != nil || p.Waiting(0) != 0 {
			t.Errorf("%v: %d wait after a run that ended by itself", err, p.Waiting(0))
		}
	})
}

// TestQueueRoom: answers that are held up never find the queue full, however many probes may leave at once.
func TestQueueRoom(t *testing.T) {
	for name, c := range map[string]Config{
		"preload":         {Count: 40, Preload: 40},
		"flood":           {Count: 40, Preload: 40, Flood: true},
		"adaptive":        {Count: 40, Preload: 40, Adaptive: true, Interval: ms},
		"larger than all": {Count: 40, Preload: MaxPreload, Flood: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const room = 4
				most, l := 0, newLedger()
				var mu sync.Mutex
				var held []arrival
				conn := newFake(loopback4, func(f *fakeConn, a attempt) error {
					mu.Lock()
					defer mu.Unlock()
					if held = append(held, f.answer(a, asIs)); len(held) > 1 {
						return nil
					}
					time.AfterFunc(5*ms, func() { // what left meanwhile comes back at once
						mu.Lock()
						defer mu.Unlock()
						for _, a := range held {
							f.arrived <- a
						}
						held = nil
					})
					return nil
				})
				conn.room = room
				err := pingerOver(c.withDefaults(), conn).Run(t.Context(), func(e Event) {
					l.take(e)
					most = max(most, e.InFlight)
				})
				l.check(t)
				if err != nil || l.received != 40 || most != room {
					t.Errorf("%v: %s; %d in flight at once, with room for %d", err, l.sums(), most, room)
				}
			})
		})
	}
}

// limitedConn takes so many messages at a time, and answers the latest first.
type limitedConn struct {
	*fakeConn
	limit int
}

func (c limitedConn) Limit() int { return c.limit }

// TestLimit: no more probes are in flight than the conn takes, in whatever order they are answered.
func TestLimit(t *testing.T) {
	for name, c := range map[string]Config{
		"preload":  {Count: 40, Preload: 40},
		"flood":    {Count: 40, Preload: 40, Flood: true},
		"adaptive": {Count: 40, Preload: 40, Adaptive: true, Interval: ms},
		"steady":   {Count: 40, Interval: ms},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const limit = 4
				most, l := 0, newLedger()
				conn := newFake(loopback4, func(f *fakeConn, a attempt) error {
					f.deliver(time.Duration(30-a.seq%limit)*ms, f.answer(a, asIs))
					return nil
				})
				err := pingerOver(c.withDefaults(), limitedConn{conn, limit}).Run(t.Context(), func(e Event) {
					l.take(e)
					most = max(most, e.InFlight)
				})
				l.check(t)
				if err != nil || l.received != 40 || most != limit {
					t.Errorf("%v: %s; %d in flight at once, with room for %d", err, l.sums(), most, limit)
				}
			})
		})
	}
}

// TestStart: Start does what can be done without waiting and says whether Run is to go on; then Run tells the rest.
func TestStart(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config Config
		script script
		more   bool
		sent   int // by Start
	}{
		{"one", Config{Count: 1}, replies(0), false, 1},
		{"one, not at once", Config{Count: 1}, replies(ms), true, 1},
		{"silent", Config{Count: 1}, silence, true, 1},
		{"no route", Config{Count: 2}, refuses(syscall.ENETUNREACH), false, 1},
		{"refused", Config{Count: 2}, refuses(syscall.EPERM), true, 1},
		{"two", Config{Count: 2}, replies(0), true, 1},
		{"flood", Config{Count: 100, Flood: true}, replies(0), true, 1},
		{"preload", Config{Count: 9, Preload: 9}, silence, true, 9},
		{"preload, all answered", Config{Count: 9, Preload: 9}, replies(0), false, 9},
		{"part of a preload", Config{Count: 9, Preload: 4}, replies(0), true, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, l := time.Now(), newLedger()
				p := pingerOver(tt.config.withDefaults(), newFake(loopback4, tt.script))
				more, err := p.Start(l.take)
				if took := time.Since(start); err != nil || more != tt.more || l.sent != tt.sent || took != 0 {
					t.Errorf("%v, %v: %d sent after %v; want %v and %d", more, err, l.sent, took, tt.more, tt.sent)
				}
				if err := p.Run(t.Context(), l.take); err != nil {
					t.Error(err)
				}
				l.check(t)
				want := newLedger()
				again := pingerOver(tt.config.withDefaults(), newFake(loopback4, tt.script))
				if err := again.Run(t.Context(), want.take); err != nil {
					t.Error(err)
				}
				if l.sums() != want.sums() {
					t.Errorf("started: %s; at once: %s", l.sums(), want.sums())
				}
			})
		})
	}
}

// TestStartAgain: each Start begins a run, and Run without one does too; nobody needs to listen.
func TestStartAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newFake(loopback4, replies(ms))
		p := pingerOver(Config{Count: 3}.withDefaults(), conn)
		for range 2 {
			if more, err := p.Start(nil); !more || err != nil {
				t.Errorf("%v, %v", more, err)
			}
			if err := p.Run(t.Context(), nil); err != nil {
				t.Error(err)
			}
		}
		if err := p.Run(t.Context(), nil); err != nil || conn.sends != 9 {
			t.Errorf("%v after %d sends, want 9", err, conn.sends)
		}
	})
}

// TestStartFails: an error that ends the run is told by Start, and by Run if it is called all the same.
func TestStartFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		p := pingerOver(Config{}.withDefaults(), newFake(loopback4, refuses(broken)))
		if more, err := p.Start(nil); more || !errors.Is(err, broken) {
			t.Errorf("%v, %v; want %v", more, err, broken)
		}
		if err := p.Run(t.Context(), nil); !errors.Is(err, broken) {
			t.Errorf("Run: %v, want %v", err, broken)
		}
	})
}
