package stats

import (
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// fewValues are kept as they are: a short run, the usual one, needs no histogram.
	fewValues = 64
	// highestTracked and digits are the histogram's range, from 1 ns, and its precision: 221 KB.
	highestTracked = time.Minute
	digits         = 3
	// longest is the longest duration that is told apart; as a float64 and back it does not overflow.
	longest = time.Duration(1) << 62
)

// distribution records durations. Its zero value is empty and ready.
type distribution struct {
	count     uint64
	min, max  time.Duration
	last      time.Duration
	high, low uint64  // the sum, in 128 bits
	mean, m2  float64 // Welford, Technometrics 4 (1962)
	jitter    float64
	few       [fewValues]time.Duration
	// histogram holds all values from the first on that few has no room for.
	histogram *hdrhistogram.Histogram
}

// record adds a duration. One below 0, which only a clock can cause, counts as 0.
func (d *distribution) record(v time.Duration) {
	v = min(max(v, 0), longest)
	if d.count == 0 {
		d.min, d.last = v, v
	}
	d.keep(v)
	d.count++
	d.min, d.max = min(d.min, v), max(d.max, v)
	var carry uint64
	d.low, carry = bits.Add64(d.low, uint64(v), 0)
	d.high += carry
	delta := float64(v) - d.mean
	d.mean += delta / float64(d.count)
	d.m2 += delta * (float64(v) - d.mean)
	d.jitter += (math.Abs(float64(v-d.last)) - d.jitter) / 16
	d.last = v
}

// keep stores a value for the percentiles.
func (d *distribution) keep(v time.Duration) {
	if d.count < fewValues {
		d.few[d.count] = v
		return
	}
	if d.histogram == nil {
		d.histogram = hdrhistogram.New(1, int64(highestTracked), digits)
		for _, v := range d.few {
			d.track(v)
		}
	}
	d.track(v)
}

func (d *distribution) track(v time.Duration) {
	_ = d.histogram.RecordValue(int64(min(v, highestTracked))) // within its range there is no error
}

// summary is the state so far.
func (d *distribution) summary() Distribution {
	if d.count == 0 {
		return Distribution{}
	}
	mean, _ := bits.Div64(d.high, d.low, d.count)
	sorted := d.few
	slices.Sort(sorted[:min(d.count, fewValues)])
	return Distribution{
		Count: d.count,
		Min:   d.min, Mean: time.Duration(mean), Max: d.max,
		StdDev: time.Duration(math.Sqrt(d.m2 / float64(d.count))),
		P50:    d.percentile(&sorted, 500), P90: d.percentile(&sorted, 900),
		P99: d.percentile(&sorted, 990), P999: d.percentile(&sorted, 999),
		Jitter: time.Duration(d.jitter),
	}
}

// percentile is the value of the nearest rank, ceil(permille/1000 * count). The histogram would round to a rank, so
// it is asked for the middle of the one meant; its answer is the highest value that it cannot tell from that one.
func (d *distribution) percentile(sorted *[fewValues]time.Duration, permille uint64) time.Duration {
	rank := (d.count*permille + 999) / 1000
	if d.histogram == nil {
		return sorted[rank-1]
	}
	v := d.histogram.ValueAtPercentile(100 * float64(rank) / float64(d.count))
	return min(max(time.Duration(v), d.min), d.max)
}
