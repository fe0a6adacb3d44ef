package check

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"lping/ping"
	"lping/ping/report"
	"lping/platform"
	"lping/platform/diagnose"
	"lping/stats"
)

// maxKinds bounds how many different errors are counted apart; what comes after them is in the summary alone.
const maxKinds = 16

// tally counts the errors of a run by their kind. The zero value is ready.
type tally struct {
	refused []diagnose.Refusal
	reports []diagnose.Report
	step    float64
	// failed is the first probe that failed, in the order in which they were sent, and why is how; 0 while none did.
	failed uint64
	why    string
	// resets counts the connections that a service accepted and reset, wrong the answers that were none of success; said is what
	// the service said last that was not as it should be, status with which status.
	resets, wrong uint64
	status        int
	said          string
	// late is the longest time that a late answer took.
	late time.Duration
	// sent is when the latest probe left, gap the longest time between two.
	sent time.Time
	gap  time.Duration
}

// event enters what evidence needs of an event.
func (t *tally) event(e *ping.Event) {
	t.note(e)
	t.answer(e)
	switch {
	case e.Kind == ping.Sent:
		if !t.sent.IsZero() {
			t.gap = max(t.gap, e.Time.Sub(t.sent))
		}
		t.sent = e.Time
	case e.Kind == ping.ClockStep:
		t.step += float64(e.Step.Nanoseconds()) / 1e6
	case e.Kind == ping.SendError && e.Fault.ICMP:
		t.report(e.Fault)
	case e.Kind == ping.SendError:
		t.refuse(platform.ErrnoName(e.Fault.Errno), e.Fault.Call)
	}
}

// answer enters what a service did or said.
func (t *tally) answer(e *ping.Event) {
	if e.Kind == ping.Late {
		t.late = max(t.late, e.RTT)
	}
	switch a := e.Answer; {
	case a == nil:
	case a.Reset:
		t.resets++
	case a.Wrong() || e.Kind == ping.SendError:
		t.wrong++
		t.status, t.said = a.Status, a.Text
	}
}

// note keeps the first probe that failed.
func (t *tally) note(e *ping.Event) {
	if t.failed != 0 && e.Seq >= t.failed {
		return
	}
	switch e.Kind {
	case ping.Timeout:
		t.why = "no answer"
	case ping.Corrupt:
		t.why = wrongData(e.Wrong)
	case ping.SendError:
		t.why = platform.ErrnoName(e.Fault.Errno)
	default:
		return
	}
	t.failed = e.Seq
}

// reached says that a service ended a connection that was made.
func (t *tally) reached() bool {
	return slices.ContainsFunc(t.refused, func(r diagnose.Refusal) bool {
		return slices.Contains([]string{"ECONNRESET", "EPIPE", "EPROTO"}, r.Errno)
	})
}

// errnos names the errors of send.
func (t *tally) errnos() (names []string) {
	for _, r := range t.refused {
		names = append(names, r.Errno)
	}
	return names
}

func wrongData(m ping.Mismatch) string {
	if m.Offset < min(m.WantLen, m.GotLen) {
		return fmt.Sprintf("data byte %d came back as 0x%02x, not 0x%02x", m.Offset, m.Got, m.Want)
	}
	return fmt.Sprintf("%d data bytes came back, not %d", m.GotLen, m.WantLen)
}

// sweep says at which size a sweep failed first; empty if none did, or there is no sweep.
func (t *tally) sweep(c ping.Config) string {
	if t.failed == 0 || len(c.Sizes) == 0 {
		return ""
	}
	return fmt.Sprintf("size %d fails first (%s)", c.SizeOf(t.failed), t.why)
}

func (t *tally) refuse(errno, call string) {
	for i := range t.refused {
		if t.refused[i].Errno == errno && t.refused[i].Call == call {
			t.refused[i].Count++
			return
		}
	}
	if len(t.refused) < maxKinds {
		t.refused = append(t.refused, diagnose.Refusal{Errno: errno, Call: call, Count: 1})
	}
}

func (t *tally) report(f ping.Fault) {
	for i := range t.reports {
		if t.reports[i].Type == f.Type && t.reports[i].Code == f.Code {
			t.reports[i].Count++
			return
		}
	}
	if len(t.reports) < maxKinds {
		t.reports = append(t.reports, diagnose.Report{Type: f.Type, Code: f.Code, Count: 1})
	}
}

// evidence is what the run itself shows, without what an investigation adds.
func (t *tally) evidence(target report.Target, s stats.Summary) diagnose.Evidence {
	return diagnose.Evidence{
		Family: report.Family(target.Address), Target: target.Address, Method: target.Method,
		Sent: s.Sent, Received: s.Received, Lost: s.Lost, Late: s.Late, Corrupted: s.Corrupted,
		SendErrors: s.SendErrors, Duplicates: s.Duplicates, Refused: t.refused, Reports: t.reports,
		Kernel: latency(s.Kernel), Wakeup: latency(s.Wakeup), ClockStep: t.step, Lag: t.lag(target.Config), Size: target.Size,
		Port: target.Port, Sweep: t.sweep(target.Config), Echo: target.Echo, Path: target.Path,
		Resets: t.resets, Wrong: t.wrong, Status: t.status, Said: t.said, Slowest: milliseconds(t.late),
		Timeout: milliseconds(cmp.Or(target.Timeout, ping.DefaultTimeout)),
		RTT:     ownRTT(target, s),
	}
}

// ownRTT is that of probes which the kernel or lping itself answers.
func ownRTT(t report.Target, s stats.Summary) *diagnose.Latency {
	if t.Port != 0 {
		return nil
	}
	return latency(s.RTT)
}

// lag is by how much a probe left too late at most, in ms.
func (t *tally) lag(c ping.Config) float64 {
	if c.Flood || c.Adaptive || c.Preload > 1 {
		return 0
	}
	late := t.gap - cmp.Or(c.Interval, ping.DefaultInterval)
	return max(0, milliseconds(late))
}

// milliseconds is d in ms, to the microsecond.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func latency(d stats.Distribution) *diagnose.Latency {
	if d.Count == 0 {
		return nil
	}
	return &diagnose.Latency{
		Count: d.Count, Min: float64(d.Min.Nanoseconds()) / 1e6, P50: float64(d.P50.Nanoseconds()) / 1e6, P99: float64(d.P99.Nanoseconds()) / 1e6,
	}
}

// gather is what the run itself showed, and what is known of it, when it has this verdict.
func (j *job) gather(s stats.Summary, v stats.Verdict) diagnose.Evidence {
	e := j.ownEvidence(s)
	e.Asked, e.Named, e.Over = !j.target.Optional, j.named(), j.over()
	e.LossAllowed = v == stats.Healthy || v == stats.Degraded
	return e
}

// ownEvidence is what the run itself showed; while it goes on, what can be read beside it.
func (j *job) ownEvidence(s stats.Summary) diagnose.Evidence {
	e := j.tally.evidence(j.target, s)
	open, _ := errors.AsType[*ping.OpenError](j.openErr)
	if j.pinger != nil {
		open = j.pinger.Socket().Denied
		waits := j.pinger.Unserved()
		if j.ended {
			e.Silent = j.pinger.Waiting(min(j.silence(), silenceAtEnd))
			if from := j.pinger.Rewritten(); from.IsValid() {
				e.RewrittenFrom = from.String()
			}
		}
		e.Unaccepted, e.Hanging, e.Held = waits.Unaccepted, waits.Unanswered, waits.Held
		if n, ok := j.pinger.QueueDrops(); ok {
			e.QueueDrops = platform.Know(n)
		}
	}
	if open != nil {
		e.Datagram, e.Raw = errnoName(open.Dgram), errnoName(open.Raw)
		e.Stream = errnoName(cmp.Or(open.UDP, open.TCP))
		e.DatagramCall, e.RawCall, e.StreamCall = callName(open.Dgram), callName(open.Raw), callName(cmp.Or(open.UDP, open.TCP))
	}
	e.Receive = errnoName(j.runErr)
	return e
}

// callName is the system call that an error came from; empty if that is not known.
func callName(err error) string {
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		return call.Syscall
	}
	return ""
}

// named says that the target was asked for as localhost, so that what other programs make of that name is worth a look.
func (j *job) named() bool {
	return strings.EqualFold(strings.TrimSuffix(j.target.Name, "."), "localhost")
}

// diagnoseName finds out whether other programs would have come to the same address by the name that was asked for.
func (j *job) diagnoseName() []diagnose.Finding {
	if !j.named() {
		return nil
	}
	facts := platform.ReadNames("/")
	look := func() []diagnose.Finding {
		list := diagnose.Diagnose(facts, j.evidence)
		return slices.DeleteFunc(list, func(f diagnose.Finding) bool { return f.Code != diagnose.HostsLocalhost })
	}
	if len(look()) > 0 { // what mends it depends on the place
		facts = platform.Read("/", j.target.Address, platform.Flow{})
	}
	return look()
}
