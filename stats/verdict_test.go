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

// TestRank: the order in which verdicts need attention.
func TestRank(t *testing.T) {
	for want, v := range []Verdict{Healthy, Degraded, Unknown, Unhealthy} {
		if got := v.Rank(); got != want {
			t.Errorf("%v has rank %d, want %d", v, got, want)
		}
	}
}

func TestJudge(t *testing.T) {
	const ms = time.Millisecond
	five := &Range{High: 5, Text: "5"}
	lossy := Summary{Sent: 4, Received: 3, Lost: 1, LossPercent: 25, RTT: Distribution{Count: 3, Mean: 7 * ms, P50: 6 * ms, P99: 9 * ms}}
	quarter := Loss{Count: 1, Decided: 4, Class: LostLoss}
	many := Summary{Sent: 100, Received: 100, RTT: Distribution{Count: 100, P50: ms, P99: 9 * ms}}
	late := Summary{Sent: 4, Late: 4, LossPercent: 100}
	for _, tt := range []struct {
		name    string
		limits  Limits
		summary Summary
		verdict Verdict
		breach  Breach
	}{
		{"nothing decided", Limits{}, Summary{Sent: 3, InFlight: 3}, Unknown, Breach{Kind: NothingDecided}},
		{"all answered", Limits{}, many, Healthy, Breach{}},
		{"no loss allowed", Limits{}, lossy, Unhealthy, Breach{Kind: LossBreach, Loss: quarter, Percent: 25}},
		{"less loss allowed", Limits{MaxLoss: 20}, lossy, Unhealthy, Breach{Kind: LossBreach, Loss: quarter, Percent: 25, Most: 20}},
		{"so much loss allowed", Limits{MaxLoss: 25}, lossy, Healthy, Breach{}},
		{"median too long", Limits{MaxLoss: 25, MaxRTT: 5 * ms}, lossy, Unhealthy, Breach{Kind: MedianBreach, RTT: 6, Most: 5}},
		{"p99 from 100 replies on", Limits{MaxRTT: 5 * ms}, many, Unhealthy, Breach{Kind: P99Breach, RTT: 9, Most: 5}},
		{"no RTT", Limits{MaxLoss: 100, MaxRTT: ms}, late, Unhealthy, Breach{Kind: RTTUnmeasured, Loss: Loss{4, 4, LateLoss}}},
		{
			"critical before the rest", Limits{Crit: Threshold{RTA: five}}, lossy, Unhealthy,
			Breach{Kind: CritBreach, Percent: 25, RTT: 7, Ranges: Threshold{RTA: five}},
		},
		{
			"a warning degrades", Limits{MaxLoss: 25, Warn: Threshold{RTA: five}}, lossy, Degraded,
			Breach{Kind: WarnBreach, Percent: 25, RTT: 7, Ranges: Threshold{RTA: five}},
		},
		{
			"both ranges, no RTT", Limits{Crit: Threshold{five, five}}, late, Unhealthy,
			Breach{Kind: CritBreach, Percent: 100, Ranges: Threshold{five, five}, Unmeasured: true},
		},
		{"a warning alone, no reply", Limits{Warn: Threshold{Loss: five}}, late, Unhealthy, Breach{Kind: LossBreach, Loss: Loss{4, 4, LateLoss}}},
	} {
		if v, b := tt.limits.Judge(tt.summary); v != tt.verdict || b != tt.breach {
			t.Errorf("%s:\ngot  %v %+v\nwant %v %+v", tt.name, v, b, tt.verdict, tt.breach)
		}
	}
}
