package stats

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// shapes are ways to draw a duration: the loopback's own, ties, steps over all magnitudes, and beyond the histogram.
var shapes = map[string]func(*rand.Rand) time.Duration{
	"uniform":    func(r *rand.Rand) time.Duration { return time.Duration(r.Int64N(100_000)) },
	"lognormal":  func(r *rand.Rand) time.Duration { return time.Duration(30_000 * math.Exp(r.NormFloat64())) },
	"pareto":     func(r *rand.Rand) time.Duration { return time.Duration(20_000 / (1 - r.Float64())) },
	"constant":   func(*rand.Rand) time.Duration { return 31_234_567 },
	"two values": func(r *rand.Rand) time.Duration { return []time.Duration{30_000, 400_000_000}[r.IntN(2)] },
	"magnitudes": func(r *rand.Rand) time.Duration { return time.Duration(r.Uint64() >> (1 + r.IntN(63))) },
	"minutes":    func(r *rand.Rand) time.Duration { return time.Duration(r.Int64N(int64(3 * time.Minute))) },
	"hours":      func(r *rand.Rand) time.Duration { return time.Hour + time.Duration(r.Int64N(int64(time.Hour))) },
	"negative":   func(r *rand.Rand) time.Duration { return time.Duration(r.Int64N(100_000) - 50_000) },
}

func TestDistributionAgainstOracle(t *testing.T) {
	for name, draw := range shapes {
		for _, n := range []int{0, 1, 2, 5, 63, 64, 65, 99, 100, 101, 1000, 10_000} {
			t.Run(fmt.Sprintf("%s %d", name, n), func(t *testing.T) {
				random := rand.New(rand.NewPCG(1, uint64(n)))
				var d distribution
				values := make([]time.Duration, n)
				for i := range values {
					values[i] = draw(random)
					d.record(values[i])
				}
				checkDistribution(t, d.summary(), values)
			})
		}
	}
}

// checkDistribution holds d against what the values say, in their order of arrival.
func checkDistribution(t *testing.T, d Distribution, values []time.Duration) {
	t.Helper()
	if len(values) == 0 {
		if d != (Distribution{}) {
			t.Errorf("nothing measured: %+v", d)
		}
		return
	}
	arrived := make([]time.Duration, len(values))
	for i, v := range values {
		arrived[i] = min(max(v, 0), 1<<62)
	}
	sorted := slices.Sorted(slices.Values(arrived))
	if d.Count != uint64(len(sorted)) || d.Min != sorted[0] || d.Max != sorted[len(sorted)-1] {
		t.Errorf("count, min, max are %d, %d, %d; want %d, %d, %d", d.Count, d.Min, d.Max,
			len(sorted), sorted[0], sorted[len(sorted)-1])
	}
	if want := exactMean(arrived); d.Mean != want {
		t.Errorf("mean is %d, want %d", d.Mean, want)
	}
	checkNear(t, "standard deviation", d.StdDev, populationDeviation(arrived))
	checkNear(t, "jitter", d.Jitter, rfc3550Jitter(arrived))
	last := d.Min
	for permille, got := range map[int]time.Duration{500: d.P50, 900: d.P90, 990: d.P99, 999: d.P999} {
		checkPercentile(t, permille, got, sorted)
	}
	for _, v := range []time.Duration{d.P50, d.P90, d.P99, d.P999, d.Max} {
		if v < last {
			t.Errorf("out of order: %+v", d)
		}
		last = v
	}
}

func exactMean(values []time.Duration) time.Duration {
	sum := new(big.Int)
	for _, v := range values {
		sum.Add(sum, big.NewInt(int64(v)))
	}
	return time.Duration(sum.Div(sum, big.NewInt(int64(len(values)))).Int64())
}

// populationDeviation takes two passes.
func populationDeviation(values []time.Duration) float64 {
	n, sum, squares := float64(len(values)), 0.0, 0.0
	for _, v := range values {
		sum += float64(v)
	}
	for _, v := range values {
		squares += (float64(v) - sum/n) * (float64(v) - sum/n)
	}
	return math.Sqrt(squares / n)
}

// rfc3550Jitter is section 6.4.1: J(i) = J(i-1) + (|D(i-1,i)| - J(i-1))/16.
func rfc3550Jitter(values []time.Duration) float64 {
	j := 0.0
	for i := 1; i < len(values); i++ {
		j += (math.Abs(float64(values[i]-values[i-1])) - j) / 16
	}
	return j
}

// checkNear allows for what is cut off below 1 ns, and for float64.
func checkNear(t *testing.T, what string, got time.Duration, want float64) {
	t.Helper()
	if math.Abs(float64(got)-want) > 1+want*1e-7 {
		t.Errorf("%s is %d, want %.1f", what, got, want)
	}
}

// checkPercentile allows what a histogram may not tell apart: values from 1024 on are known to 1 in 1024, those beyond
// a minute count as a minute. Few values are known exactly.
func checkPercentile(t *testing.T, permille int, got time.Duration, sorted []time.Duration) {
	t.Helper()
	n := len(sorted)
	exact := sorted[(n*permille+999)/1000-1]
	low, high := exact, exact
	if n > fewValues {
		low = min(exact, time.Minute)
		high = max(low+low/1024, sorted[0])
	}
	if got < low || got > high {
		t.Errorf("p%.1f of %d values is %d, want %d to %d", float64(permille)/10, n, got, low, high)
	}
}

// The histogram tells all values below 2048 ns apart, so its ranks can be seen.
func TestPercentileRanks(t *testing.T) {
	var d distribution
	for n := 1; n < 2048; n++ {
		d.record(time.Duration(n))
		rank := func(permille int) time.Duration { return time.Duration((n*permille + 999) / 1000) }
		s := d.summary()
		if s.P50 != rank(500) || s.P90 != rank(900) || s.P99 != rank(990) || s.P999 != rank(999) {
			t.Fatalf("ranks of %d values: %d, %d, %d, %d; want %d, %d, %d, %d", n, s.P50, s.P90, s.P99, s.P999,
				rank(500), rank(900), rank(990), rank(999))
		}
	}
}

func TestOneValue(t *testing.T) {
	for _, v := range []time.Duration{0, 1, 31_234_567, time.Hour, math.MaxInt64} {
		var d distribution
		d.record(v)
		v = min(v, longest)
		want := Distribution{Count: 1, Min: v, Mean: v, Max: v, P50: v, P90: v, P99: v, P999: v}
		if got := d.summary(); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestShortRunNeedsNoHistogram(t *testing.T) {
	var d distribution
	for range fewValues {
		d.record(1)
	}
	if d.histogram != nil {
		t.Errorf("%d values made a histogram", fewValues)
	}
	if d.record(1); d.histogram == nil {
		t.Errorf("%d values made no histogram", fewValues+1)
	}
}
