package platform

import (
	"math"
	"reflect"
)

// Sub is what was counted since an earlier snapshot. On 32-bit kernels counters start again at 2^32.
func (c Counters) Sub(earlier Counters) Counters {
	var d Counters
	after, before, out := reflect.ValueOf(c), reflect.ValueOf(earlier), reflect.ValueOf(&d).Elem()
	for i := range out.NumField() {
		if out.Field(i).Kind() == reflect.Bool {
			out.Field(i).SetBool(after.Field(i).Bool() && before.Field(i).Bool())
			continue
		}
		out.Field(i).SetUint(difference(after.Field(i).Uint(), before.Field(i).Uint()))
	}
	return d
}

// difference is 0 where a counter went back by itself: then nothing is known of it.
func difference(after, before uint64) uint64 {
	const half = math.MaxUint32 / 2
	switch {
	case after >= before:
		return after - before
	case before <= math.MaxUint32 && before-after > half:
		return after + math.MaxUint32 + 1 - before
	}
	return 0
}
