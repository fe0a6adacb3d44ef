package stats

import (
	"testing"
	"time"
)

func TestVerdictString(t *testing.T) {
	for v, want := range map[Verdict]string{
		Unknown: "unknown", Healthy: "healthy", Degraded: "degraded", Unhealthy: "unhealthy", 200: "unknown",
	} {
		if got := v.String(); got != want {
			t.Errorf("Verdict(%d) is %q, want %q", v, got, want)
		}
	}
}

func TestWorse(t *testing.T) {
	order := []Verdict{Healthy, Degraded, Unknown, Unhealthy}
	for i, a := range order {
		for j, b := range order {
			if got, want := Worse(a, b), order[max(i, j)]; got != want {
				t.Errorf("Worse(%v, %v) = %v, want %v", a, b, got, want)
			}
		}
	}
}

// replies are a summary of n replies with these percentiles.
func replies(n uint64, p50, p99 time.Duration) Summary {
	return Summary{Sent: n, Received: n, RTT: Distribution{Count: n, P50: p50, P99: p99}}
}

// failed completes a summary with losses.
func failed(s Summary) Summary {
	s.LossPercent = 100 * float64(s.loss()) / float64(s.Decided())
	return s
}

// TestJudgeThresholds: Crit before Warn, each over its range, and the loss in the place of MaxLoss.
func TestJudgeThresholds(t *testing.T) {
	const ms = time.Millisecond
	upTo := func(high float64, text string) *Range { return &Range{High: high, Text: text} }
	inside := &Range{Low: 1, High: 2, Inside: true, Text: "@1:2"}
	run := func(received, lost uint64, mean time.Duration) Summary {
		s := Summary{Sent: received + lost, Received: received, Lost: lost, RTT: Distribution{Count: received, Mean: mean}}
		return failed(s)
	}
	both := Limits{Warn: Threshold{upTo(5, "5"), upTo(20, "20")}, Crit: Threshold{upTo(9, "9"), upTo(60, "60")}}
	for _, tt := range []struct {
		name    string
		limits  Limits
		summary Summary
		want    Verdict
		cause   string
	}{
		{"nothing decided", both, Summary{Sent: 3, InFlight: 3}, Unknown, "nothing was decided"},
		{"all well", both, run(10, 0, 5*ms), Healthy, ""},
		{"loss as allowed", both, run(8, 2, ms), Healthy, ""},
		{"loss to warn of", both, run(7, 3, ms), Degraded, "30% loss is beyond warning 20%"},
		{"loss too high", both, run(3, 7, ms), Unhealthy, "70% loss is beyond critical 60%"},
		{"slow", both, run(10, 0, 5*ms+1), Degraded, "mean RTT 5.000 ms is beyond warning 5"},
		{"too slow", both, run(10, 0, 10*ms), Unhealthy, "mean RTT 10.000 ms is beyond critical 9"},
		{"slow and lossy", both, run(7, 3, 6*ms), Degraded, "30% loss is beyond warning 20%, mean RTT 6.000 ms is beyond warning 5"},
		{"silent", both, run(0, 5, 0), Unhealthy, "100% loss is beyond critical 60%, no RTT to hold against critical 9"},
		{"no loss said, so none allowed", Limits{Crit: Threshold{RTA: upTo(9, "9")}}, run(9, 1, ms), Unhealthy, "1 of 10 probes lost"},
		{"a warning alone", Limits{Warn: Threshold{Loss: upTo(20, "20")}}, run(1, 9, ms), Degraded, "90% loss is beyond warning 20%"},
		{"a warning alone, silent", Limits{Warn: Threshold{Loss: upTo(20, "20")}}, run(0, 9, 0), Unhealthy, "9 of 9 probes lost"},
		{"all loss allowed", Limits{Crit: Threshold{Loss: upTo(100, "100")}}, run(0, 9, 0), Healthy, ""},
		{"inside", Limits{Crit: Threshold{RTA: inside}}, run(5, 0, 2*ms), Unhealthy, "mean RTT 2.000 ms is beyond critical @1:2"},
		{"outside", Limits{Crit: Threshold{RTA: inside}}, run(5, 0, 3*ms), Healthy, ""},
		{"below", Limits{Warn: Threshold{RTA: &Range{Low: 1, High: 2, Text: "1:2"}}}, run(5, 0, ms/2), Degraded, "mean RTT 0.500 ms is beyond warning 1:2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if v, cause := tt.limits.Judge(tt.summary); v != tt.want || cause != tt.cause {
				t.Errorf("%v, %q; want %v, %q", v, cause, tt.want, tt.cause)
			}
		})
	}
}

func TestJudgeLoss(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name    string
		limits  Limits
		summary Summary
		want    Verdict
		cause   string
	}{
		{"nothing sent", Limits{}, Summary{}, Unknown, "nothing was decided"},
		{"nothing decided", Limits{MaxRTT: ms}, Summary{Sent: 3, InFlight: 3}, Unknown, "nothing was decided"},
		{"all well", Limits{}, replies(5, ms, ms), Healthy, ""},
		{"in flight is no loss", Limits{}, Summary{Sent: 5, Received: 1, InFlight: 4}, Healthy, ""},
		{"lost", Limits{}, Summary{Sent: 5, Lost: 5}, Unhealthy, "5 of 5 probes lost"},
		{"one lost", Limits{}, Summary{Sent: 9, Received: 6, Lost: 1, InFlight: 2}, Unhealthy, "1 of 7 probes lost"},
		{"late", Limits{}, Summary{Sent: 2, Received: 1, Late: 1}, Unhealthy, "1 of 2 probes late"},
		{"corrupted", Limits{}, Summary{Sent: 2, Corrupted: 2}, Unhealthy, "2 of 2 probes corrupted"},
		{"refused", Limits{}, Summary{Sent: 1, SendErrors: 1}, Unhealthy, "1 of 1 probes refused"},
		{
			"mixed", Limits{}, Summary{Sent: 10, Received: 4, Late: 1, Lost: 1, Corrupted: 2, SendErrors: 2},
			Unhealthy, "6 of 10 probes without a right answer",
		},
		{"below the limit", Limits{MaxLoss: 60}, Summary{Sent: 5, Received: 3, Lost: 2}, Healthy, ""},
		{"at the limit", Limits{MaxLoss: 60}, Summary{Sent: 5, Received: 2, Lost: 3}, Healthy, ""},
		{
			"above the limit", Limits{MaxLoss: 33}, Summary{Sent: 3, Received: 2, Lost: 1},
			Unhealthy, "1 of 3 probes lost: 33.3333% is above 33%",
		},
		{
			"hardly above", Limits{MaxLoss: 50}, Summary{Sent: 20_000_000, Received: 9_999_999, Lost: 10_000_001},
			Unhealthy, "10000001 of 20000000 probes lost: 50.000005% is above 50%",
		},
		{"all loss allowed", Limits{MaxLoss: 100}, Summary{Sent: 5, Lost: 5}, Healthy, ""},
		{
			"no RTT", Limits{MaxLoss: 100, MaxRTT: ms}, Summary{Sent: 5, Late: 5, RTT: Distribution{Count: 1}},
			Unhealthy, "5 of 5 probes late, so no RTT to judge",
		},
		{
			"loss before RTT", Limits{MaxRTT: ms}, Summary{Sent: 2, Received: 1, Lost: 1, RTT: replies(1, 2*ms, 0).RTT},
			Unhealthy, "1 of 2 probes lost",
		},
	} {
		s := tt.summary
		if s.Decided() > 0 {
			s = failed(s)
		}
		if got, cause := tt.limits.Judge(s); got != tt.want || cause != tt.cause {
			t.Errorf("%s: %v %q, want %v %q", tt.name, got, cause, tt.want, tt.cause)
		}
	}
}

func TestJudgeRTT(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name    string
		limit   time.Duration
		summary Summary
		want    Verdict
		cause   string
	}{
		{"off", 0, replies(100, time.Hour, time.Hour), Healthy, ""},
		{"median at the limit", ms, replies(99, ms, 9*ms), Healthy, ""},
		{
			"median above", 2 * ms, replies(99, 5120*time.Microsecond, 9*ms),
			Unhealthy, "median RTT 5.120 ms is above 2.000 ms",
		},
		{"one reply", ms, replies(1, 2*ms, 2*ms), Unhealthy, "median RTT 2.000 ms is above 1.000 ms"},
		{"p99 at the limit", 9 * ms, replies(100, ms, 9*ms), Healthy, ""},
		{"p99 above", 2 * ms, replies(100, ms, 9*ms), Unhealthy, "p99 RTT 9.000 ms is above 2.000 ms"},
		{"hardly above", ms, replies(1, ms+1, ms+1), Unhealthy, "median RTT 1.000001 ms is above 1 ms"},
		{
			"duplicates are no replies", ms,
			Summary{Sent: 99, Received: 99, Duplicates: 9, RTT: Distribution{Count: 108, P50: ms, P99: 9 * ms}}, Healthy, "",
		},
		{
			"some loss allowed", 2 * ms,
			failed(Summary{Sent: 4, Received: 2, Lost: 2, RTT: Distribution{Count: 2, P50: 3 * ms}}),
			Unhealthy, "median RTT 3.000 ms is above 2.000 ms",
		},
	} {
		limits := Limits{MaxLoss: 50, MaxRTT: tt.limit}
		if got, cause := limits.Judge(tt.summary); got != tt.want || cause != tt.cause {
			t.Errorf("%s: %v %q, want %v %q", tt.name, got, cause, tt.want, tt.cause)
		}
	}
}
