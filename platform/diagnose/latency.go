package diagnose

import (
	"fmt"

	"lping/platform"
)

const (
	// enough is how many probes a slow path needs. None of them may have been quick.
	enough = 5
	// slowKernel is how long the kernel's path over loopback must take for every probe to be called slow, in ms. It takes
	// some 2 us, and below 20 us in a process that has just started. With 10,000 rules at INPUT it takes 0.2 ms and more for
	// every probe. Load adds to some probes only. If packets wait for another processor (rps_cpus) that is busy, the median
	// of five came to 0.12 ms in 1000 runs, the quickest of five to 0.09 ms.
	slowKernel = 0.2
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

// slow says that every probe took long on its way through the kernel. It is about ICMP, which the kernel answers: between the
// stamps of UDP is the process that sends it back.
func (e Evidence) slow() bool { return e.Kernel != nil && e.icmp() && e.Kernel.Min >= slowKernel }

func slowPath(_ platform.Facts, e Evidence) (Finding, bool) {
	if !e.slow() || e.Kernel.Count < enough || e.Size > smallSize {
		return Finding{}, false
	}
	return Finding{
		Cause: fmt.Sprintf("the kernel takes %.3f ms from send to receive", e.Kernel.P50),
		Evidence: fmt.Sprintf("median of %d by the kernel's own stamps, %.3f ms at least, usually 0.002 ms",
			e.Kernel.Count, e.Kernel.Min),
		Fix: "look for long rule sets (nft list ruleset), tc on lo, and rps_cpus of lo",
	}, true
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
	return (e.slow() || late) && !e.unusual()
}

// unusual says that something but the time is not as it should be, although every probe may have been answered.
func (e Evidence) unusual() bool {
	denied := e.Method != "" && e.Datagram != ""
	refused := e.Port != 0 && e.SendErrors > 0
	return denied || refused || e.Resets > 0 || e.RewrittenFrom != "" || e.Duplicates > 0 || e.Corrupted > 0 || e.ClockStep != 0
}
