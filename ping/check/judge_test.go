package check

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lping/ping"
	"lping/ping/report"
	"lping/platform/diagnose"
	"lping/stats"
)

// seen are the probes of a run by class; those that are in none are in flight. Every RTT is rtt, 50 µs if that is 0.
type seen struct {
	sent, received, lost, late, corrupted, refused int
	rtt                                            time.Duration
}

// summary is what a recorder makes of them.
func (s seen) summary() stats.Summary {
	r, at := stats.NewRecorder(nil), time.Unix(1700000000, 0)
	if s.rtt == 0 {
		s.rtt = 50 * time.Microsecond
	}
	seq := uint64(0)
	each := func(n int, enter func(uint64)) {
		for range n {
			seq++
			enter(seq)
		}
	}
	for range s.sent {
		r.Sent(at)
	}
	each(s.received, func(seq uint64) { r.Reply(seq, s.rtt, at) })
	each(s.lost, func(seq uint64) { r.Lost(seq, at) })
	each(s.late, func(seq uint64) { r.Late(seq, at) })
	each(s.corrupted, func(seq uint64) { r.Corrupt(seq, at) })
	each(s.refused, func(seq uint64) { r.SendError(seq, at) })
	return r.Summary()
}

// judgeRow is one target when its run is over. Its address is ::1 if v6, else 127.0.0.1; method is icmp-dgram if it is empty
// and there is a socket.
type judgeRow struct {
	name     string
	seen     seen
	limits   stats.Limits
	v6       bool
	method   string
	port     uint16
	count    uint64
	deadline time.Duration
	sizes    []int
	sweep    string
	errnos   []string
	// openErr is why there is no socket, runErr why the run ended before its time.
	openErr, runErr error
	unasked         bool
	findings        []diagnose.Finding
	// want is the verdict, the exit status by each scheme, "-" if the target does not count, "unchecked" if it could not be
	// checked, and the cause.
	want string
}

// findingOf is a finding with a fix.
func findingOf(code diagnose.Code, s diagnose.Severity, cause string) diagnose.Finding {
	return diagnose.Finding{Code: code, Severity: s, Cause: cause, Evidence: "it was read", Fix: "mend " + string(code)}
}

func rangeOf(text string, low, high float64, inside bool) *stats.Range {
	return &stats.Range{Low: low, High: high, Inside: inside, Text: text}
}

var (
	rowAddress4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	rowAddress6 = netip.IPv6Loopback()

	errDenied = &ping.OpenError{Address: rowAddress4, Dgram: syscall.EACCES, Raw: syscall.EPERM}
	errAbsent = &ping.OpenError{Address: rowAddress6, Dgram: syscall.EADDRNOTAVAIL, Raw: syscall.EADDRNOTAVAIL}
	errNoPort = &ping.OpenError{Address: rowAddress4, TCP: syscall.EADDRINUSE}
	errSystem = errors.New("receive: input/output error")

	loDown   = findingOf("lo_down", diagnose.Error, "interface lo is down")
	denied   = findingOf("icmp_not_permitted", diagnose.Error, "ICMP sockets are not permitted here")
	fallback = findingOf("icmp_not_permitted", diagnose.Info, "ICMP sockets are not permitted here")
	off6     = findingOf("ipv6_disabled", diagnose.Info, "IPv6 is switched off on the loopback interface")
	mtu6     = findingOf("ipv6_mtu", diagnose.Warning, "MTU 1000 of lo is too small for IPv6 (1280)")
	slow     = findingOf("slow_path", diagnose.Warning, "the kernel takes 0.200 ms from send to receive")
	firewall = findingOf("fw_input_request", diagnose.Error, "a firewall likely drops the echo request at INPUT or PREROUTING")
	allowed  = findingOf("fw_input_request", diagnose.Info, "a firewall likely drops the echo request at INPUT or PREROUTING")
	hosts    = findingOf("hosts_localhost", diagnose.Warning, "the hosts file does not name localhost")
	loss     = findingOf("packet_loss", diagnose.Error, "1 of 5 probes were lost")
	nothing  = findingOf("unknown", diagnose.Error, diagnose.NoCause)
	changed  = findingOf("payload_corrupted", diagnose.Error, "1 of 5 answers carry other data than was sent")
	doubled  = findingOf("duplicate_replies", diagnose.Warning, "2 answers came more than once")
	refusal  = findingOf("port_refused", diagnose.Error, "nobody listens on 127.0.0.1:8080")
	silence1 = findingOf("port_silent", diagnose.Error, "127.0.0.1:53 is open or silent: no answer and no refusal")
)

func maxLoss(percent float64) stats.Limits { return stats.Limits{MaxLoss: percent} }

func maxRTT(d time.Duration) stats.Limits { return stats.Limits{MaxRTT: d} }

func crit(rta, loss *stats.Range) stats.Limits {
	return stats.Limits{Crit: stats.Threshold{RTA: rta, Loss: loss}}
}

func warn(rta, loss *stats.Range) stats.Limits {
	return stats.Limits{Warn: stats.Threshold{RTA: rta, Loss: loss}}
}

var (
	well      = seen{sent: 5, received: 5}
	silent    = seen{sent: 5, lost: 5}
	oneLost   = seen{sent: 5, received: 4, lost: 1}
	refused   = seen{sent: 5, refused: 5}
	slowRTT   = seen{sent: 5, received: 5, rtt: 7 * time.Millisecond}
	manySlow  = seen{sent: 200, received: 200, rtt: 7 * time.Millisecond}
	unsettled = seen{sent: 2}
	ms5       = rangeOf("5", 0, 5, false)
	ms9       = rangeOf("9", 0, 9, false)
	percent20 = rangeOf("20", 0, 20, false)
	percent60 = rangeOf("60", 0, 60, false)
	from10    = rangeOf("10:", 10, math.Inf(1), false)
	inside5   = rangeOf("@0:5", 0, 5, true)
)

func judgeRows() []judgeRow {
	return []judgeRow{
		{name: "all answered", seen: well,
			want: "healthy 0 0 0"},
		{name: "all answered over UDP", seen: well, method: ping.MethodUDP,
			want: "healthy 0 0 0"},
		{name: "all answered on ::1", seen: well, v6: true,
			want: "healthy 0 0 0"},
		{name: "one lost", seen: oneLost,
			want: "unhealthy 1 1 2 1 of 5 probes lost"},
		{name: "one lost, explained", seen: oneLost, findings: []diagnose.Finding{loss},
			want: "unhealthy 1 1 2 1 of 5 probes lost"},
		{name: "all lost", seen: silent,
			want: "unhealthy 1 1 2 5 of 5 probes lost"},
		{name: "all lost on ::1", seen: silent, v6: true,
			want: "unhealthy 1 1 2 5 of 5 probes lost"},
		{name: "all lost, explained", seen: silent, findings: []diagnose.Finding{loDown},
			want: "unhealthy 1 1 2 5 of 5 probes lost"},
		{name: "all lost, two causes and a warning", seen: silent, findings: []diagnose.Finding{firewall, hosts},
			want: "unhealthy 1 1 2 5 of 5 probes lost"},
		{name: "all lost, no rule knows", seen: silent, findings: []diagnose.Finding{nothing},
			want: "unhealthy 1 1 2 5 of 5 probes lost"},
		{name: "all late", seen: seen{sent: 5, late: 5},
			want: "unhealthy 1 1 2 5 of 5 probes late"},
		{name: "all corrupted", seen: seen{sent: 5, corrupted: 5},
			want: "unhealthy 1 1 2 5 of 5 probes corrupted"},
		{name: "one corrupted, allowed", seen: seen{sent: 5, received: 4, corrupted: 1}, limits: maxLoss(50), findings: []diagnose.Finding{changed},
			want: "unhealthy 1 1 2 1 of 5 answers carry other data than was sent"},
		{name: "all refused", seen: refused, errnos: []string{"EPERM"},
			want: "unhealthy 1 1 2 5 of 5 probes refused (EPERM)"},
		{name: "all refused, two errnos", seen: refused, errnos: []string{"EPERM", "ENOBUFS"},
			want: "unhealthy 1 1 2 5 of 5 probes refused (EPERM, ENOBUFS)"},
		{name: "all refused by ICMP errors", seen: refused,
			want: "unhealthy 1 1 2 5 of 5 probes refused"},
		{name: "all refused, above a limit", seen: refused, errnos: []string{"EPERM"}, limits: maxLoss(60),
			want: "unhealthy 1 1 2 5 of 5 probes refused: 100% is above 60%"},
		{name: "all refused, explained", seen: refused, errnos: []string{"ECONNREFUSED"}, method: ping.MethodTCP, port: 8080, findings: []diagnose.Finding{refusal},
			want: "unhealthy 1 1 2 5 of 5 probes refused (ECONNREFUSED)"},
		{name: "lost and refused", seen: seen{sent: 5, lost: 3, refused: 2}, errnos: []string{"EPERM"},
			want: "unhealthy 1 1 2 5 of 5 probes without a right answer"},
		{name: "duplicates", seen: well, findings: []diagnose.Finding{doubled},
			want: "degraded 0 0 1 2 answers came more than once"},
		{name: "slow path", seen: well, findings: []diagnose.Finding{slow},
			want: "degraded 0 0 1 the kernel takes 0.200 ms from send to receive"},
		{name: "hosts and slow path", seen: well, findings: []diagnose.Finding{slow, hosts},
			want: "degraded 0 0 1 the kernel takes 0.200 ms from send to receive"},
		{name: "fallback to UDP", seen: well, method: ping.MethodUDP, findings: []diagnose.Finding{fallback},
			want: "healthy 0 0 0"},
		{name: "fallback to UDP, one lost", seen: oneLost, method: ping.MethodUDP, findings: []diagnose.Finding{fallback, loss},
			want: "unhealthy 1 1 2 1 of 5 probes lost"},

		{name: "loss allowed", seen: oneLost, limits: maxLoss(20),
			want: "healthy 0 0 0"},
		{name: "loss allowed, explained", seen: oneLost, limits: maxLoss(20), findings: []diagnose.Finding{allowed},
			want: "healthy 0 0 0"},
		{name: "loss above the limit", seen: silent, limits: maxLoss(60),
			want: "unhealthy 1 1 2 5 of 5 probes lost: 100% is above 60%"},
		{name: "loss just above the limit", seen: seen{sent: 3, received: 2, lost: 1}, limits: maxLoss(33.333333),
			want: "unhealthy 1 1 2 1 of 3 probes lost: 33.333333333333336% is above 33.333333%"},
		{name: "all loss allowed", seen: silent, limits: maxLoss(100), findings: []diagnose.Finding{allowed},
			want: "healthy 0 0 0"},
		{name: "all loss allowed, loopback absent", seen: silent, limits: maxLoss(100), findings: []diagnose.Finding{loDown},
			want: "unhealthy 1 1 2 interface lo is down"},
		{name: "RTT kept", seen: slowRTT, limits: maxRTT(8 * time.Millisecond),
			want: "healthy 0 0 0"},
		{name: "median too long", seen: slowRTT, limits: maxRTT(5 * time.Millisecond),
			want: "unhealthy 1 1 2 median RTT 7.000 ms is above 5.000 ms"},
		{name: "median too long by a hair", seen: seen{sent: 5, received: 5, rtt: 5*time.Millisecond + 1}, limits: maxRTT(5 * time.Millisecond),
			want: "unhealthy 1 1 2 median RTT 5.000001 ms is above 5 ms"},
		{name: "p99 too long", seen: manySlow, limits: maxRTT(5 * time.Millisecond),
			want: "unhealthy 1 1 2 p99 RTT 7.000 ms is above 5.000 ms"},
		{name: "no RTT to judge", seen: silent, limits: stats.Limits{MaxLoss: 100, MaxRTT: time.Millisecond},
			want: "unhealthy 1 1 2 5 of 5 probes lost, so no RTT to judge"},
		{name: "critical loss", seen: silent, limits: crit(nil, percent60),
			want: "unhealthy 1 1 2 100% loss is beyond critical 60%"},
		{name: "critical loss kept", seen: oneLost, limits: crit(nil, percent60),
			want: "healthy 0 0 0"},
		{name: "critical RTT", seen: slowRTT, limits: crit(ms5, nil),
			want: "unhealthy 1 1 2 mean RTT 7.000 ms is beyond critical 5"},
		{name: "critical RTT without a reply", seen: silent, limits: crit(ms5, rangeOf("100", 0, 100, false)),
			want: "unhealthy 1 1 2 no RTT to hold against critical 5"},
		{name: "critical both", seen: seen{sent: 5, received: 1, lost: 4, rtt: 10 * time.Millisecond}, limits: crit(ms9, percent60),
			want: "unhealthy 1 1 2 80% loss is beyond critical 60%, mean RTT 10.000 ms is beyond critical 9"},
		{name: "warning RTT", seen: slowRTT, limits: warn(ms5, nil),
			want: "degraded 0 0 1 mean RTT 7.000 ms is beyond warning 5"},
		{name: "warning loss", seen: seen{sent: 4, received: 3, lost: 1}, limits: warn(nil, percent20),
			want: "degraded 0 0 1 25% loss is beyond warning 20%"},
		{name: "warning loss, nothing received", seen: silent, limits: warn(nil, percent20),
			want: "unhealthy 1 1 2 5 of 5 probes lost"},
		{name: "warning both", seen: seen{sent: 4, received: 3, lost: 1, rtt: 7 * time.Millisecond}, limits: warn(ms5, percent20),
			want: "degraded 0 0 1 25% loss is beyond warning 20%, mean RTT 7.000 ms is beyond warning 5"},
		{name: "warning from below", seen: slowRTT, limits: warn(from10, nil),
			want: "degraded 0 0 1 mean RTT 7.000 ms is beyond warning 10:"},
		{name: "warning inside", seen: well, limits: warn(inside5, nil),
			want: "degraded 0 0 1 mean RTT 0.050 ms is beyond warning @0:5"},
		{name: "warning and a worse finding", seen: slowRTT, limits: warn(ms5, nil), findings: []diagnose.Finding{firewall},
			want: "unhealthy 1 1 2 a firewall likely drops the echo request at INPUT or PREROUTING"},
		{name: "warning and a warning", seen: slowRTT, limits: warn(ms5, nil), findings: []diagnose.Finding{slow},
			want: "degraded 0 0 1 mean RTT 7.000 ms is beyond warning 5"},

		{name: "interrupted before anything", seen: seen{}, runErr: ErrInterrupted,
			want: "unknown 1 1 2 nothing was decided"},
		{name: "interrupted, nothing decided", seen: unsettled, runErr: ErrInterrupted,
			want: "unknown 1 1 2 nothing was decided"},
		{name: "interrupted, silent ones explained", seen: unsettled, runErr: ErrInterrupted, findings: []diagnose.Finding{firewall},
			want: "unhealthy 1 1 2 a firewall likely drops the echo request at INPUT or PREROUTING"},
		{name: "interrupted, well so far", seen: seen{sent: 5, received: 4}, runErr: ErrInterrupted,
			want: "healthy 0 0 0"},
		{name: "interrupted, one lost", seen: seen{sent: 5, received: 3, lost: 1}, runErr: ErrInterrupted,
			want: "unhealthy 1 1 2 1 of 4 probes lost"},
		{name: "interrupted before a deadline", seen: well, runErr: ErrInterrupted, count: 9, deadline: time.Second,
			want: "healthy 0 0 0"},
		{name: "deadline before the count", seen: well, count: 9, deadline: time.Second,
			want: "unhealthy 1 1 2 5 of 9 replies by the deadline"},
		{name: "deadline before the count, loss", seen: oneLost, count: 9, deadline: time.Second,
			want: "unhealthy 1 1 2 1 of 5 probes lost"},
		{name: "deadline, count reached", seen: well, count: 5, deadline: time.Second,
			want: "healthy 0 0 0"},
		{name: "deadline alone", seen: well, deadline: time.Second,
			want: "healthy 0 0 0"},
		{name: "deadline before the count, warning broken", seen: slowRTT, limits: warn(ms5, nil), count: 9, deadline: time.Second,
			want: "degraded 0 0 1 mean RTT 7.000 ms is beyond warning 5"},
		{name: "the system failed", seen: seen{sent: 5, received: 5}, runErr: errSystem,
			want: "unhealthy 2 1 3 unchecked receive: input/output error"},
		{name: "the system failed, explained", seen: silent, runErr: errSystem, findings: []diagnose.Finding{nothing},
			want: "unhealthy 2 1 3 unchecked receive: input/output error"},

		{name: "not permitted", openErr: errDenied, findings: []diagnose.Finding{denied},
			want: "unhealthy 2 1 3 unchecked no ICMP socket on 127.0.0.1: datagram: permission denied; raw: operation not permitted"},
		{name: "not permitted, unexplained", openErr: errDenied,
			want: "unhealthy 2 1 3 unchecked no ICMP socket on 127.0.0.1: datagram: permission denied; raw: operation not permitted"},
		{name: "no socket, loopback absent", openErr: errDenied, findings: []diagnose.Finding{loDown},
			want: "unhealthy 1 1 2 no ICMP socket on 127.0.0.1: datagram: permission denied; raw: operation not permitted"},
		{name: "no address", openErr: errAbsent, v6: true, findings: []diagnose.Finding{findingOf("addr_missing", diagnose.Error, "address ::1 is not on interface lo")},
			want: "unhealthy 1 1 2 no ICMP socket on ::1: datagram: cannot assign requested address; raw: cannot assign requested address"},
		{name: "no address, unexplained", openErr: errAbsent, v6: true,
			want: "unhealthy 1 1 2 no ICMP socket on ::1: datagram: cannot assign requested address; raw: cannot assign requested address"},
		{name: "no port", openErr: errNoPort, findings: []diagnose.Finding{findingOf("ports_exhausted", diagnose.Error, "no local port is left")},
			want: "unhealthy 1 1 2 no socket on 127.0.0.1: TCP: address already in use"},
		{name: "no IPv6, asked for", openErr: errAbsent, v6: true, findings: []diagnose.Finding{findingOf("ipv6_disabled", diagnose.Error, "IPv6 is switched off on the loopback interface")},
			want: "unhealthy 1 1 2 no ICMP socket on ::1: datagram: cannot assign requested address; raw: cannot assign requested address"},
		{name: "no IPv6, nobody asked", openErr: errAbsent, v6: true, unasked: true, findings: []diagnose.Finding{off6},
			want: "unknown 0 0 0 - IPv6 is switched off on the loopback interface"},
		{name: "IPv6 on too small an MTU, nobody asked", openErr: errAbsent, v6: true, unasked: true, findings: []diagnose.Finding{mtu6},
			want: "degraded 0 0 1 MTU 1000 of lo is too small for IPv6 (1280)"},
		{name: "nobody asked, an error all the same", openErr: errAbsent, v6: true, unasked: true, findings: []diagnose.Finding{off6, loDown},
			want: "unhealthy 1 1 2 no ICMP socket on ::1: datagram: cannot assign requested address; raw: cannot assign requested address"},
		{name: "nobody asked, no finding", openErr: errAbsent, v6: true, unasked: true,
			want: "unhealthy 1 1 2 no ICMP socket on ::1: datagram: cannot assign requested address; raw: cannot assign requested address"},
		{name: "nobody asked, and it answers", seen: well, v6: true, unasked: true, findings: []diagnose.Finding{off6},
			want: "healthy 0 0 0"},

		{name: "silent UDP service", seen: silent, method: ping.MethodUDP, port: 53, findings: []diagnose.Finding{silence1},
			want: "unhealthy 1 1 2 5 of 5 probes open or silent"},
		{name: "silent UDP service, unexplained", seen: silent, method: ping.MethodUDP, port: 53,
			want: "unhealthy 1 1 2 5 of 5 probes open or silent"},
		{name: "silent UDP service, above a limit", seen: silent, method: ping.MethodUDP, port: 53, limits: maxLoss(50),
			want: "unhealthy 1 1 2 5 of 5 probes open or silent: 100% is above 50%"},
		{name: "silent UDP service, allowed", seen: silent, method: ping.MethodUDP, port: 53, limits: maxLoss(100),
			want: "healthy 0 0 0"},
		{name: "silent UDP service on ::1", seen: silent, method: ping.MethodUDP, port: 53, v6: true,
			want: "unhealthy 1 1 2 5 of 5 probes open or silent"},
		{name: "TCP service answers", seen: well, method: ping.MethodTCP, port: 8080,
			want: "healthy 0 0 0"},

		{name: "sweep well", seen: well, sizes: []int{0, 56, 1472},
			want: "healthy 0 0 0"},
		{name: "sweep fails", seen: seen{sent: 3, received: 2, lost: 1}, sizes: []int{0, 56, 1472}, sweep: "size 1472 fails first (no answer)",
			want: "unhealthy 1 1 2 size 1472 fails first (no answer)"},
		{name: "sweep fails, explained", seen: seen{sent: 3, received: 2, lost: 1}, sizes: []int{0, 56, 1472}, sweep: "size 1472 fails first (no answer)", findings: []diagnose.Finding{firewall},
			want: "unhealthy 1 1 2 size 1472 fails first (no answer)"},
		{name: "sweep fails, explained by its size", seen: seen{sent: 3, received: 2, lost: 1}, sizes: []int{0, 56, 1472}, sweep: "size 1472 fails first (no answer)",
			findings: []diagnose.Finding{findingOf("packet_loss", diagnose.Error, "size 1472 fails first (no answer)")},
			want:     "unhealthy 1 1 2 size 1472 fails first (no answer)"},
		{name: "sweep fails, no rule knows", seen: seen{sent: 3, refused: 3}, errnos: []string{"EMSGSIZE"}, sizes: []int{0, 56, 1472}, sweep: "size 0 fails first (EMSGSIZE)", findings: []diagnose.Finding{nothing},
			want: "unhealthy 1 1 2 size 0 fails first (EMSGSIZE)"},
		{name: "sweep fails, and that is allowed", seen: seen{sent: 3, received: 2, lost: 1}, limits: maxLoss(50), sizes: []int{0, 56, 1472}, sweep: "size 1472 fails first (no answer)",
			want: "healthy 0 0 0 size 1472 fails first (no answer)"},
		{name: "sweep fails, allowed and explained", seen: seen{sent: 3, received: 2, lost: 1}, limits: maxLoss(50), sizes: []int{0, 56, 1472}, sweep: "size 1472 fails first (no answer)", findings: []diagnose.Finding{allowed},
			want: "healthy 0 0 0 size 1472 fails first (no answer)"},
	}
}

// outcome is the row as judge sees it.
func (r judgeRow) outcome() outcome {
	o := outcome{
		summary: r.seen.summary(), openErr: r.openErr, runErr: r.runErr, errnos: r.errnos, asked: !r.unasked,
		mayBeSilent: r.port != 0 && r.method == ping.MethodUDP, sweep: r.sweep, sweeping: len(r.sizes) > 0,
	}
	if r.deadline > 0 {
		o.count = r.count
	}
	return o
}

// target is what the row is about.
func (r judgeRow) target() report.Target {
	t := report.Target{Name: "127.0.0.1", Config: ping.Config{Transport: ping.Transport{Address: rowAddress4, Port: r.port, Size: 56, Sizes: r.sizes}}, Method: r.method}
	if r.v6 {
		t.Name, t.Address = "::1", rowAddress6
	}
	if t.Method == "" && r.openErr == nil {
		t.Method = ping.MethodDgram
	}
	return t
}

// TestJudge holds judge to what it said of each row before it was a function of its own.
func TestJudge(t *testing.T) {
	for _, row := range judgeRows() {
		t.Run(row.name, func(t *testing.T) {
			j := judge(row.outcome(), row.limits, row.findings)
			got := j.verdict.String()
			for _, scheme := range []stats.Scheme{stats.SchemePing, stats.SchemeHealth, stats.SchemeNagios} {
				status := scheme.Status(j.verdict, j.failure == nil)
				if j.excused {
					status = 0
				}
				got += fmt.Sprintf(" %d", status)
			}
			if j.excused {
				got += " -"
			}
			if j.failure != nil {
				got += " unchecked"
			}
			if j.cause != nil {
				got += " " + j.cause.String()
			}
			if got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

// overallRow is several rows judged together, with what the verdict over all of them must be.
type overallRow struct {
	name string
	rows []string
	// choices are those of the rows; none if there are fewer.
	choices []int
	want    string
}

func overallRows() []overallRow {
	return []overallRow{
		{name: "both well", rows: []string{"all answered", "all answered on ::1"}, want: "healthy 0 0 0"},
		{name: "IPv4 lost", rows: []string{"all lost, explained", "all answered on ::1"}, want: "unhealthy 1 1 2"},
		{name: "IPv6 lost", rows: []string{"all answered", "all lost on ::1"}, want: "unhealthy 1 1 2"},
		{name: "both lost", rows: []string{"all lost, explained", "all lost on ::1"}, want: "unhealthy 1 1 2"},
		{name: "one degraded, one lost", rows: []string{"slow path", "all lost on ::1"}, want: "unhealthy 1 1 2"},
		{name: "one undecided", rows: []string{"interrupted, nothing decided", "all answered on ::1"}, want: "unknown 1 1 2"},
		{name: "one undecided, one degraded", rows: []string{"slow path", "interrupted, nothing decided"}, want: "unknown 1 1 2"},
		{name: "IPv6 off, nobody asked", rows: []string{"all answered", "no IPv6, nobody asked"}, want: "healthy 0 0 0"},
		{name: "IPv6 off, nobody asked, IPv4 lost", rows: []string{"all lost", "no IPv6, nobody asked"}, want: "unhealthy 1 1 2"},
		{name: "one of any answers", rows: []string{"all answered", "all lost on ::1"}, choices: []int{1, 1}, want: "degraded 0 0 1"},
		{name: "none of any answers", rows: []string{"all lost", "all lost on ::1"}, choices: []int{1, 1}, want: "unhealthy 1 1 2"},
		{name: "all of any answer", rows: []string{"all answered", "all answered on ::1"}, choices: []int{1, 1}, want: "healthy 0 0 0"},
		{name: "any, one slow", rows: []string{"slow path", "all answered on ::1"}, choices: []int{1, 1}, want: "degraded 0 0 1"},
		{name: "any, one not permitted", rows: []string{"not permitted", "all answered on ::1"}, choices: []int{1, 1}, want: "degraded 0 0 1"},
		{name: "two choices", rows: []string{"all answered", "all lost on ::1", "all lost on ::1", "slow path"}, choices: []int{1, 1, 3, 3}, want: "degraded 0 0 1"},
		{name: "two choices, one of which fails", rows: []string{"all answered", "all lost on ::1", "all lost", "all lost on ::1"}, choices: []int{1, 1, 3, 3}, want: "unhealthy 1 1 2"},
		{name: "a choice, and one that is none", rows: []string{"all answered", "all lost on ::1", "all lost"}, choices: []int{1, 1}, want: "unhealthy 1 1 2"},
		{name: "none permitted", rows: []string{"not permitted", "no address, unexplained"}, want: "unhealthy 1 1 2"},
		{name: "neither permitted", rows: []string{"not permitted", "not permitted, unexplained"}, want: "unhealthy 2 1 3 unchecked"},
		{name: "loopback absent for both", rows: []string{"no socket, loopback absent", "no address"}, want: "unhealthy 1 1 2"},
		{name: "the same finding twice", rows: []string{"all lost, explained", "no socket, loopback absent"}, want: "unhealthy 1 1 2"},
	}
}

// judged are the rows of these names with their judgements.
func judged(t *testing.T, names []string) (rows []judgeRow, list []judgement) {
	t.Helper()
	all := judgeRows()
	for _, name := range names {
		at := slices.IndexFunc(all, func(r judgeRow) bool { return r.name == name })
		if at < 0 {
			t.Fatalf("no row %q", name)
		}
		rows = append(rows, all[at])
		list = append(list, judge(all[at].outcome(), all[at].limits, all[at].findings))
	}
	return rows, list
}

func TestJudgeAll(t *testing.T) {
	for _, tt := range overallRows() {
		_, list := judged(t, tt.rows)
		for i, choice := range tt.choices {
			list[i].choice = choice
		}
		v, checked := judgeAll(list)
		got := v.String()
		for _, scheme := range []stats.Scheme{stats.SchemePing, stats.SchemeHealth, stats.SchemeNagios} {
			got += fmt.Sprintf(" %d", scheme.Status(v, checked))
		}
		if !checked {
			got += " unchecked"
		}
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

var update = flag.Bool("update", false, "write the golden file")

// TestCauseInFormats holds the words of each cause, in each format that is for people, to those that were written before a
// cause was a value.
func TestCauseInFormats(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the golden file holds Linux's words for error numbers")
	}
	var got bytes.Buffer
	for _, row := range judgeRows() {
		write(t, &got, row.name, []string{row.name}, row.limits, nil)
	}
	for _, row := range overallRows() {
		write(t, &got, row.name, row.rows, stats.Limits{}, row.choices)
	}
	const file = "testdata/causes.txt"
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(got.String(), "\n"), strings.Split(string(want), "\n")
	for i, line := range gotLines[:min(len(gotLines), len(wantLines))] {
		if line != wantLines[i] {
			t.Fatalf("%s:%d:\ngot  %s\nwant %s", file, i+1, line, wantLines[i])
		}
	}
	if len(gotLines) != len(wantLines) {
		t.Errorf("%s has %d lines, got %d", file, len(wantLines), len(gotLines))
	}
}

// write appends the report over some rows in each format.
func write(t *testing.T, out *bytes.Buffer, name string, names []string, l stats.Limits, choices []int) {
	t.Helper()
	rows, list := judged(t, names)
	for i, choice := range choices {
		list[i].choice = choice
	}
	v, checked := judgeAll(list)
	r := report.Report{Verdict: v, ByNeed: byNeed(list), Unchecked: !checked}
	for i, j := range list {
		r.Results = append(r.Results, report.Result{
			Target: rows[i].target(), Summary: rows[i].seen.summary(), Verdict: j.verdict, Cause: j.cause, Reason: j.reason,
			Findings: rows[i].findings, Excused: j.excused,
		})
	}
	fmt.Fprintf(out, "== %s\n", name)
	for _, format := range []struct {
		name     string
		renderer func(io.Writer, report.Options) report.Renderer
	}{{"line", report.NewLine}, {"nagios", report.NewNagios}, {"text", report.NewText}} {
		var b bytes.Buffer
		if err := format.renderer(&b, report.Options{Limits: l}).Finish(r); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			fmt.Fprintf(out, "%s: %s", format.name, line)
		}
	}
}

func TestWeigh(t *testing.T) {
	info := diagnose.Finding{Severity: diagnose.Info, Cause: "info"}
	warning := diagnose.Finding{Severity: diagnose.Warning, Cause: "warning"}
	failure := diagnose.Finding{Severity: diagnose.Error, Cause: "error"}
	for _, tt := range []struct {
		v    stats.Verdict
		list []diagnose.Finding
		want string
	}{
		{stats.Healthy, nil, "healthy was"},
		{stats.Healthy, []diagnose.Finding{info}, "healthy was"},
		{stats.Healthy, []diagnose.Finding{info, warning}, "degraded warning"},
		{stats.Healthy, []diagnose.Finding{warning, failure}, "unhealthy error"},
		{stats.Unhealthy, []diagnose.Finding{failure, warning}, "unhealthy was"},
		{stats.Unknown, []diagnose.Finding{warning}, "unknown was"},
		{stats.Unknown, []diagnose.Finding{failure}, "unhealthy error"},
	} {
		v, cause := weigh(tt.v, report.Sweep("was"), tt.list)
		if got := v.String() + " " + cause.String(); got != tt.want {
			t.Errorf("%v with %v: got %q, want %q", tt.v, tt.list, got, tt.want)
		}
	}
}

func TestPardoned(t *testing.T) {
	info, failure := diagnose.Finding{Severity: diagnose.Info}, diagnose.Finding{Severity: diagnose.Error}
	var o outcome
	if o.pardoned(nil) || !o.pardoned([]diagnose.Finding{info}) || o.pardoned([]diagnose.Finding{info, failure}) {
		t.Error("only findings, and no error among them, pardon a family")
	}
}
