package stats

import "time"

// bucketBounds are those of a histogram for a person's charts: loopback takes some 10 us, and what is wrong with it up to
// a second.
var bucketBounds = [...]time.Duration{
	5 * time.Microsecond, 10 * time.Microsecond, 25 * time.Microsecond, 50 * time.Microsecond, 100 * time.Microsecond,
	250 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
	500 * time.Millisecond, time.Second,
}

// Bucket counts the RTTs of at most UpTo, to three significant digits.
type Bucket struct {
	UpTo  time.Duration
	Count uint64
}

// Buckets are the RTTs so far in cumulative classes. Those above the last bound are in none.
func (r *Recorder) Buckets() []Bucket {
	list := make([]Bucket, len(bucketBounds))
	for i, bound := range bucketBounds {
		list[i].UpTo = bound
	}
	enter := func(v time.Duration, n uint64) {
		for i := range list {
			if v <= list[i].UpTo {
				list[i].Count += n
			}
		}
	}
	d := &r.rtt
	if d.histogram == nil {
		for _, v := range d.few[:d.count] {
			enter(v, 1)
		}
		return list
	}
	for _, bar := range d.histogram.Distribution() {
		if bar.Count > 0 {
			enter(time.Duration(bar.From), uint64(bar.Count))
		}
	}
	return list
}
