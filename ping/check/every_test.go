package check

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestEvery(t *testing.T) {
	const ms = time.Millisecond
	enough := errors.New("enough")
	tests := []struct {
		name  string
		takes []time.Duration // each call
		ends  time.Duration   // when the context does; 0: after the calls
		at    []time.Duration // when a call began
		late  []int           // how many were skipped after one that took too long
	}{
		{"quick", []time.Duration{0, ms, 99 * ms, 0}, 0, []time.Duration{0, 100 * ms, 200 * ms, 300 * ms}, nil},
		{"one skips a beat", []time.Duration{0, 150 * ms, 0}, 0, []time.Duration{0, 100 * ms, 300 * ms}, []int{1}},
		{"as long as the beat", []time.Duration{100 * ms, 0}, 0, []time.Duration{0, 100 * ms}, nil},
		{"long", []time.Duration{1010 * ms, 0, 0}, 0, []time.Duration{0, 1100 * ms, 1200 * ms}, []int{10}},
		{"ended between two", []time.Duration{0, 0, 0, 0}, 150 * ms, []time.Duration{0, 100 * ms}, nil},
		{"ended within one", []time.Duration{0, 500 * ms, 0}, 300 * ms, []time.Duration{0, 100 * ms}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				if test.ends > 0 {
					ctx, cancel = context.WithTimeout(ctx, test.ends)
					defer cancel()
				}
				begun := time.Now()
				var at []time.Duration
				var late []int
				err := Every(ctx, 100*ms, func(ctx context.Context) error {
					if len(at) == len(test.takes) {
						return enough
					}
					at = append(at, time.Since(begun))
					rest(ctx, test.takes[len(at)-1])
					return nil
				}, func(took time.Duration, skipped int) {
					if want := test.takes[len(at)-1]; took != want {
						t.Errorf("took %v, want %v", took, want)
					}
					late = append(late, skipped)
				})
				if !slices.Equal(at, test.at) || !slices.Equal(late, test.late) {
					t.Errorf("began at %v and skipped %v, want %v and %v", at, late, test.at, test.late)
				}
				if want := map[bool]error{true: nil, false: enough}[test.ends > 0]; err != want {
					t.Errorf("error %v, want %v", err, want)
				}
			})
		})
	}
}
