package diagnose

import (
	"fmt"

	"lping/platform"
)

const (
	// enough is how many probes must have been slow, without one that was not.
	enough = 5
	// slowKernel is the time in ms from which on the kernel's path over loopback is slow, if not one probe was quicker. The
	// path takes some 2 us, and below 20 us in a process that has just started. 10,000 rules at INPUT make it 0.2 ms and
	// more for every probe. Load only adds to some: if a packet has to wait for another processor (rps_cpus) that is busy,
	// the median of five comes near 0.1 ms, and the quickest of them was never above 0.08 ms in 1000 runs.
	slowKernel = 0.1
	// smallSize is how many data bytes fit into one packet of any MTU: what has to be cut takes its time.
	smallSize = 1200
	// slowWakeup is the p99 in ms from which on a reader was not merely busy: cgroup periods are 100 ms.
	slowWakeup = 5
	// slowLag is the lag in ms from which on sends were held up: a wait is exact to a tenth of that.
	slowLag = 20
	// oftenThrottled is the part of the cgroup's periods, in percent, in which it ran out of time.
	oftenThrottled = 5
)

// cpuThrottled: answers were there and lping was not let run. That is no fault of loopback: it is for information unless an
// answer came too late. The cgroup's count is as old as the cgroup.
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

// cpuFix is where the limit is set.
func cpuFix(f platform.Facts) string {
	switch f.Container.Value.Runtime {
	case "docker", "podman":
		return f.Container.Value.Runtime + " run with more --cpus"
	case "kubernetes", "containerd", "cri-o":
		return "raise resources.limits.cpu"
	}
	return "raise the CPU limit (systemd: CPUQuota=)"
}

// slow says that no probe was quick. It is about ICMP, which the kernel answers: the stamps of UDP are those before and after
// who echoes it.
func (e Evidence) slow() bool { return e.Kernel != nil && e.icmp() && e.Kernel.Min >= slowKernel }

func slowPath(_ platform.Facts, e Evidence) (Finding, bool) {
	if !e.slow() || e.Kernel.Count < enough || e.Size > smallSize {
		return Finding{}, false
	}
	return Finding{
		Cause:    fmt.Sprintf("the kernel takes %.3f ms from send to receive", e.Kernel.P50),
		Evidence: fmt.Sprintf("median of %d by the kernel's own stamps, %.3f ms at least, usually 0.002 ms", e.Kernel.Count, e.Kernel.Min),
		Fix:      "look for long rule sets (nft list ruleset), tc on lo, and rps_cpus of lo",
	}, true
}

// clockStepped tells why there are no kernel stamps; elapsed time is monotonic, so nothing else suffers.
func clockStepped(_ platform.Facts, e Evidence) (Finding, bool) {
	return Finding{
		Cause:    fmt.Sprintf("the wall clock was set by %.3f ms during the run", e.ClockStep),
		Evidence: "wall clock against monotonic clock; kernel stamps were left out",
	}, e.ClockStep != 0
}

// Suspicious says whether a run without trouble shows something that a rule may have a word about. Where it does not,
// there is no need to read facts.
func (e Evidence) Suspicious() bool { return e.strange() || e.Delayed() }

// Delayed says that answers came slowly, or were read late. Where that is all, the limits of this process may tell why.
func (e Evidence) Delayed() bool {
	late := e.Wakeup != nil && e.Wakeup.P99 >= slowWakeup || e.Lag >= slowLag
	return (e.slow() || late) && !e.strange()
}

func (e Evidence) strange() bool {
	denied := e.Method != "" && e.Datagram != ""
	refused := e.Port != 0 && e.SendErrors > 0
	return denied || refused || e.Duplicates > 0 || e.Corrupted > 0 || e.ClockStep != 0
}
