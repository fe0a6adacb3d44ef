package report

import (
	"testing"
	"time"

	"lping/stats"
)

// judge is the verdict over a run, and the breach in words.
func judge(l stats.Limits, s stats.Summary) (stats.Verdict, string) {
	v, b := l.Judge(s)
	return v, Breach{Breach: b}.String()
}

// replies are a summary of n replies with these percentiles.
func replies(n uint64, p50, p99 time.Duration) stats.Summary {
	return stats.Summary{Sent: n, Received: n, RTT: stats.Distribution{Count: n, P50: p50, P99: p99}}
}

// withLoss completes a summary with losses.
func withLoss(s stats.Summary) stats.Summary {
	s.LossPercent = 100 * float64(s.Loss().Count) / float64(s.Decided())
	return s
}

// TestThresholdCauses: Crit before Warn, each over its range, and the loss in the place of MaxLoss.
func TestThresholdCauses(t *testing.T) {
	const ms = time.Millisecond
	upTo := func(high float64, text string) *stats.Range { return &stats.Range{High: high, Text: text} }
	inside := &stats.Range{Low: 1, High: 2, Inside: true, Text: "@1:2"}
	run := func(received, lost uint64, mean time.Duration) stats.Summary {
		s := stats.Summary{Sent: received + lost, Received: received, Lost: lost, RTT: stats.Distribution{Count: received, Mean: mean}}
		return withLoss(s)
	}
	both := stats.Limits{Warn: stats.Threshold{RTA: upTo(5, "5"), Loss: upTo(20, "20")}, Crit: stats.Threshold{RTA: upTo(9, "9"), Loss: upTo(60, "60")}}
	for _, tt := range []struct {
		name    string
		limits  stats.Limits
		summary stats.Summary
		want    stats.Verdict
		cause   string
	}{
		{"nothing decided", both, stats.Summary{Sent: 3, InFlight: 3}, stats.Unknown, "nothing was decided"},
		{"all well", both, run(10, 0, 5*ms), stats.Healthy, ""},
		{"loss as allowed", both, run(8, 2, ms), stats.Healthy, ""},
		{"loss to warn of", both, run(7, 3, ms), stats.Degraded, "30% loss is beyond warning 20%"},
		{"loss too high", both, run(3, 7, ms), stats.Unhealthy, "70% loss is beyond critical 60%"},
		{"slow", both, run(10, 0, 5*ms+1), stats.Degraded, "mean RTT 5.000 ms is beyond warning 5"},
		{"too slow", both, run(10, 0, 10*ms), stats.Unhealthy, "mean RTT 10.000 ms is beyond critical 9"},
		{"slow and lossy", both, run(7, 3, 6*ms), stats.Degraded, "30% loss is beyond warning 20%, mean RTT 6.000 ms is beyond warning 5"},
		{"silent", both, run(0, 5, 0), stats.Unhealthy, "100% loss is beyond critical 60%, no RTT to hold against critical 9"},
		{"no loss said, so none allowed", stats.Limits{Crit: stats.Threshold{RTA: upTo(9, "9")}}, run(9, 1, ms), stats.Unhealthy, "1 of 10 probes lost"},
		{"a warning alone", stats.Limits{Warn: stats.Threshold{Loss: upTo(20, "20")}}, run(1, 9, ms), stats.Degraded, "90% loss is beyond warning 20%"},
		{"a warning alone, silent", stats.Limits{Warn: stats.Threshold{Loss: upTo(20, "20")}}, run(0, 9, 0), stats.Unhealthy, "9 of 9 probes lost"},
		{"all loss allowed", stats.Limits{Crit: stats.Threshold{Loss: upTo(100, "100")}}, run(0, 9, 0), stats.Healthy, ""},
		{"inside", stats.Limits{Crit: stats.Threshold{RTA: inside}}, run(5, 0, 2*ms), stats.Unhealthy, "mean RTT 2.000 ms is beyond critical @1:2"},
		{"outside", stats.Limits{Crit: stats.Threshold{RTA: inside}}, run(5, 0, 3*ms), stats.Healthy, ""},
		{"below", stats.Limits{Warn: stats.Threshold{RTA: &stats.Range{Low: 1, High: 2, Text: "1:2"}}}, run(5, 0, ms/2), stats.Degraded, "mean RTT 0.500 ms is beyond warning 1:2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if v, cause := judge(tt.limits, tt.summary); v != tt.want || cause != tt.cause {
				t.Errorf("%v, %q; want %v, %q", v, cause, tt.want, tt.cause)
			}
		})
	}
}

func TestLossCauses(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name    string
		limits  stats.Limits
		summary stats.Summary
		want    stats.Verdict
		cause   string
	}{
		{"nothing sent", stats.Limits{}, stats.Summary{}, stats.Unknown, "nothing was decided"},
		{"nothing decided", stats.Limits{MaxRTT: ms}, stats.Summary{Sent: 3, InFlight: 3}, stats.Unknown, "nothing was decided"},
		{"all well", stats.Limits{}, replies(5, ms, ms), stats.Healthy, ""},
		{"in flight is no loss", stats.Limits{}, stats.Summary{Sent: 5, Received: 1, InFlight: 4}, stats.Healthy, ""},
		{"lost", stats.Limits{}, stats.Summary{Sent: 5, Lost: 5}, stats.Unhealthy, "5 of 5 probes lost"},
		{"one lost", stats.Limits{}, stats.Summary{Sent: 9, Received: 6, Lost: 1, InFlight: 2}, stats.Unhealthy, "1 of 7 probes lost"},
		{"late", stats.Limits{}, stats.Summary{Sent: 2, Received: 1, Late: 1}, stats.Unhealthy, "1 of 2 probes late"},
		{"corrupted", stats.Limits{}, stats.Summary{Sent: 2, Corrupted: 2}, stats.Unhealthy, "2 of 2 probes corrupted"},
		{"refused", stats.Limits{}, stats.Summary{Sent: 1, SendErrors: 1}, stats.Unhealthy, "1 of 1 probes refused"},
		{
			"mixed", stats.Limits{}, stats.Summary{Sent: 10, Received: 4, Late: 1, Lost: 1, Corrupted: 2, SendErrors: 2},
			stats.Unhealthy, "6 of 10 probes without a right answer",
		},
		{"below the limit", stats.Limits{MaxLoss: 60}, stats.Summary{Sent: 5, Received: 3, Lost: 2}, stats.Healthy, ""},
		{"at the limit", stats.Limits{MaxLoss: 60}, stats.Summary{Sent: 5, Received: 2, Lost: 3}, stats.Healthy, ""},
		{
			"above the limit", stats.Limits{MaxLoss: 33}, stats.Summary{Sent: 3, Received: 2, Lost: 1},
			stats.Unhealthy, "1 of 3 probes lost: 33.3333% is above 33%",
		},
		{
			"hardly above", stats.Limits{MaxLoss: 50}, stats.Summary{Sent: 20_000_000, Received: 9_999_999, Lost: 10_000_001},
			stats.Unhealthy, "10000001 of 20000000 probes lost: 50.000005% is above 50%",
		},
		{"all loss allowed", stats.Limits{MaxLoss: 100}, stats.Summary{Sent: 5, Lost: 5}, stats.Healthy, ""},
		{
			"no RTT", stats.Limits{MaxLoss: 100, MaxRTT: ms}, stats.Summary{Sent: 5, Late: 5, RTT: stats.Distribution{Count: 1}},
			stats.Unhealthy, "5 of 5 probes late, so no RTT to judge",
		},
		{
			"loss before RTT", stats.Limits{MaxRTT: ms}, stats.Summary{Sent: 2, Received: 1, Lost: 1, RTT: replies(1, 2*ms, 0).RTT},
			stats.Unhealthy, "1 of 2 probes lost",
		},
	} {
		s := tt.summary
		if s.Decided() > 0 {
			s = withLoss(s)
		}
		if got, cause := judge(tt.limits, s); got != tt.want || cause != tt.cause {
			t.Errorf("%s: %v %q, want %v %q", tt.name, got, cause, tt.want, tt.cause)
		}
	}
}

func TestRTTCauses(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name    string
		limit   time.Duration
		summary stats.Summary
		want    stats.Verdict
		cause   string
	}{
		{"off", 0, replies(100, time.Hour, time.Hour), stats.Healthy, ""},
		{"median at the limit", ms, replies(99, ms, 9*ms), stats.Healthy, ""},
		{
			"median above", 2 * ms, replies(99, 5120*time.Microsecond, 9*ms),
			stats.Unhealthy, "median RTT 5.120 ms is above 2.000 ms",
		},
		{"one reply", ms, replies(1, 2*ms, 2*ms), stats.Unhealthy, "median RTT 2.000 ms is above 1.000 ms"},
		{"p99 at the limit", 9 * ms, replies(100, ms, 9*ms), stats.Healthy, ""},
		{"p99 above", 2 * ms, replies(100, ms, 9*ms), stats.Unhealthy, "p99 RTT 9.000 ms is above 2.000 ms"},
		{"hardly above", ms, replies(1, ms+1, ms+1), stats.Unhealthy, "median RTT 1.000001 ms is above 1 ms"},
		{
			"duplicates are no replies", ms,
			stats.Summary{Sent: 99, Received: 99, Duplicates: 9, RTT: stats.Distribution{Count: 108, P50: ms, P99: 9 * ms}}, stats.Healthy, "",
		},
		{
			"some loss allowed", 2 * ms,
			withLoss(stats.Summary{Sent: 4, Received: 2, Lost: 2, RTT: stats.Distribution{Count: 2, P50: 3 * ms}}),
			stats.Unhealthy, "median RTT 3.000 ms is above 2.000 ms",
		},
	} {
		limits := stats.Limits{MaxLoss: 50, MaxRTT: tt.limit}
		if got, cause := judge(limits, tt.summary); got != tt.want || cause != tt.cause {
			t.Errorf("%s: %v %q, want %v %q", tt.name, got, cause, tt.want, tt.cause)
		}
	}
}
