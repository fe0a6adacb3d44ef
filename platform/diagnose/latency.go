package diagnose

import (
	"cmp"
	"fmt"
	"strings"

	"lping/platform"
)

const (
	// enough is how many probes a slow path needs. None of them may have been quick.
	enough = 5
	// slowKernel is how long the kernel's path over loopback must take for every probe to look slow, in ms. It takes some 2 us,
	// and below 20 us in a process that has just started. With 10,000 rules at INPUT it takes 0.2 ms and more for every probe,
	// but so it does with none on a machine that is slow itself. Load adds to some probes only.
	slowKernel = 0.2
	// slower is how many times as long as a datagram on a UNIX socket the path takes that is slow. The two are much the same: 12
	// to 18 us on a machine of today, 0.1 to 0.2 ms on an emulated one.
	slower = 10
	// longPath is the median of the round trip, in ms, from which on a queue may hold packets back, or some of them.
	longPath = 1
	// usualTimeout is how long an answer may take where the evidence does not tell, in ms.
	usualTimeout = 400
	// smallSize is how many data bytes fit into one packet of any usual MTU. More may have to be fragmented, which takes time.
	smallSize = 1200
	// slowWakeup is the p99 of the wake-up, in ms, from which on a limit may be to blame and no mere load: a cgroup that is out
	// of time waits for the next period, and periods are 100 ms.
	slowWakeup = 5
	// slowLag is the lag, in ms, from which on a limit may have delayed a send. Waits are exact to a tenth of that.
	slowLag = 20
	// oftenThrottled is in how many of the cgroup's periods it must have run out of time, in percent.
	oftenThrottled = 5
)

// cpuThrottled: answers were there and lping did not get to run. That is no fault of loopback: it is for information unless an
// answer came too late. The cgroup has counted since it was made, so the count alone proves nothing.
func cpuThrottled(f platform.Facts, e Evidence) (Finding, bool) {
	c, ok := f.CPU.Get()
	slow := e.Late > 0 || e.Lag >= slowLag || e.Wakeup != nil && e.Wakeup.P99 >= slowWakeup
	often := ok && c.Periods > 0 && float64(c.Throttled)*100 >= float64(c.Periods)*oftenThrottled
	if !often || !slow {
		return Finding{}, false
	}
	wakeup, lag := "", ""
	if e.Lag >= slowLag {
		lag = fmt.Sprintf("a probe left %.0f ms late", e.Lag)
	}
	if e.Wakeup != nil {
		wakeup = fmt.Sprintf("wake-up p99 %.3f ms", e.Wakeup.P99)
	}
	out := Finding{
		Cause:    fmt.Sprintf("the CPU limit of %g likely delays lping", c.Limit),
		Evidence: join(fmt.Sprintf("throttled in %d of %d periods, %.0f ms", c.Throttled, c.Periods, c.ThrottledTime), wakeup, lag),
		Fix:      cpuFix(f),
	}
	if e.Late > 0 {
		out.Severity = Warning
	}
	return out, true
}

// cpuFix is how the limit is raised in this place.
func cpuFix(f platform.Facts) string {
	switch f.Container.Value.Runtime {
	case "docker", "podman":
		return f.Container.Value.Runtime + " run with more --cpus"
	case "kubernetes", "containerd", "cri-o":
		return "raise resources.limits.cpu"
	}
	return "raise the CPU limit (systemd: CPUQuota=)"
}

// LooksSlow says that every probe took long on its way through the kernel. It is about ICMP, which the kernel answers: between
// the stamps of UDP is the process that sends it back. Whether that is slow for this machine, only Pace can tell.
func (e Evidence) LooksSlow() bool { return e.Kernel != nil && e.icmp() && e.Kernel.Min >= slowKernel }

// slowPath: what netem holds back is no work of the kernel, whoever loses packets beside it.
func slowPath(f platform.Facts, e Evidence) (Finding, bool) {
	if !e.LooksSlow() || e.Kernel.Count < enough || e.Size > smallSize {
		return Finding{}, false
	}
	pace, ok := e.Pace.Get()
	return Finding{
		Cause: "the kernel is slow from send to receive",
		Evidence: fmt.Sprintf("%.3f ms at the median of %d by its own stamps, %.3f ms at least; a UNIX datagram takes %.3f ms",
			e.Kernel.P50, e.Kernel.Count, e.Kernel.Min, pace),
		Fix: "look for long rule sets: nft list ruleset",
	}, ok && e.Kernel.Min-Hold(f) >= slower*pace
}

// heldBack says that packets may have been held back, though not for too long.
func (e Evidence) heldBack() bool {
	path, _ := e.path()
	return e.LooksSlow() || path != nil && path.P99 >= slowWakeup || e.RTT != nil && e.RTT.P50 >= longPath
}

// path is the time in which the packets of a probe pass the queue, and how often they do.
func (e Evidence) path() (*Latency, float64) {
	if e.icmp() && e.Kernel != nil {
		return e.Kernel, 1 // its first stamp is taken behind the queue
	}
	return e.RTT, e.passes()
}

// passes is how often packets of a probe pass the queue until the answer is there.
func (e Evidence) passes() float64 {
	if e.tcp() && (e.Port == 0 || e.asked()) {
		return 4 // two for the handshake
	}
	return 2
}

// qdiscDelays: netem holds packets back. If answers are missing it is to blame if that alone makes them come too late, or if its
// rate makes them wait for each other. If not, what was measured has to be due to it.
func qdiscDelays(f platform.Facts, e Evidence) (Finding, bool) {
	q, ok := netem(f, func(n platform.Netem) bool { return hold(n) > 0 })
	if _, d, told := e.word(); !ok || told && e.missing() > 0 && d.Place().Framework != "" {
		return Finding{}, false
	}
	n, sure := *q.Netem, true
	missing, found := e.missing(), false
	if path, part := e.path(); missing == 0 {
		share := part * (hold(n) + n.Jitter)
		if n.Rate > 0 {
			share *= float64(2 * e.Sent) // packets wait for each other
		}
		found = path != nil && e.heldBack() && share >= path.Min/2 && (q.Root || path.P50 >= part*hold(n)/2)
	} else if e.Lost+e.Late+e.Silent == missing {
		timeout := cmp.Or(e.Timeout, usualTimeout)
		whole := e.passes() * (hold(n) + 2*n.Jitter)
		sure = whole >= timeout
		found = sure || e.Late == missing && whole >= timeout/4 || n.Rate > 0 && (e.Late > 0 || hold(n) >= timeout/20)
	}
	out := byNetem(f, e, q, sure, holds(n))
	if missing > 0 {
		out.Severity = Error
	}
	return out, found
}

// usualPacket is the size of a probe in bytes, as queues count it: with the headers of Ethernet, IPv6 and ICMP.
const usualPacket = 56 + 14 + 40 + 8

// hold is how long netem holds a packet back, in ms, without its jitter.
func hold(n platform.Netem) float64 {
	if n.Rate == 0 {
		return n.Delay + n.Slot
	}
	return n.Delay + n.Slot + usualPacket/float64(n.Rate)*1000
}

// Hold is how long the queue of loopback is set to hold a packet back, in ms.
func Hold(f platform.Facts) float64 {
	q, ok := netem(f, func(n platform.Netem) bool { return hold(n) > 0 })
	if !ok {
		return 0
	}
	return hold(*q.Netem) + q.Netem.Jitter
}

// holds says how netem holds packets back.
func holds(n platform.Netem) string {
	var parts []string
	switch {
	case n.Jitter > 0:
		parts = append(parts, fmt.Sprintf("delays packets by %s to %s", duration(max(0.001, n.Delay-n.Jitter)), duration(n.Delay+n.Jitter)))
	case n.Delay > 0:
		parts = append(parts, "delays packets by "+duration(n.Delay))
	}
	if n.Slot > 0 {
		parts = append(parts, "sends packets every "+duration(n.Slot))
	}
	if n.Rate > 0 {
		parts = append(parts, fmt.Sprintf("sends %g kbit/s at most", float64(n.Rate)/125))
	}
	if n.Reorder > 0 {
		parts = append(parts, fmt.Sprintf("lets %g%% of them overtake", n.Reorder))
	}
	return strings.Join(parts, " and ")
}

// clockStepped tells why kernel stamps are missing. Nothing else is wrong: elapsed time is monotonic.
func clockStepped(_ platform.Facts, e Evidence) (Finding, bool) {
	return Finding{
		Cause:    fmt.Sprintf("the wall clock was set by %.3f ms during the run", e.ClockStep),
		Evidence: "wall clock against monotonic clock; kernel stamps were left out",
	}, e.ClockStep != 0
}

// Suspicious says whether a rule may find something in a run whose every probe was answered. If not, no facts are needed.
func (e Evidence) Suspicious() bool { return e.unusual() || e.Delayed() }

// Delayed says that answers came slowly or were read late, and nothing else is unusual. A limit of this process may be why.
func (e Evidence) Delayed() bool {
	late := e.Wakeup != nil && e.Wakeup.P99 >= slowWakeup || e.Lag >= slowLag
	return (e.heldBack() || late) && !e.unusual()
}

// unusual says that something but the time is not as it should be, although every probe may have been answered.
func (e Evidence) unusual() bool {
	denied := e.Method != "" && e.Datagram != ""
	refused := e.Port != 0 && e.SendErrors > 0
	return denied || refused || e.Resets > 0 || e.RewrittenFrom != "" || e.Duplicates > 0 || e.Corrupted > 0 || e.ClockStep != 0
}
