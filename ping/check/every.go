package check

import (
	"context"
	"time"
)

// Every calls check at once and then every T, counted from the first call, until ctx ends or check returns an error, which it
// returns. A call that lasts longer takes the place of those that should have begun meanwhile: late is told how long it took and
// how many they are.
func Every(ctx context.Context, interval time.Duration, check func(context.Context) error, late func(took time.Duration, skipped int)) error {
	begun := time.Now()
	for next := begun; ; {
		started := time.Now()
		if err := check(ctx); err != nil {
			return err
		}
		skipped := int((time.Since(next) - 1) / interval) // one that is due just now is in time
		if skipped > 0 && ctx.Err() == nil {
			late(time.Since(started), skipped)
		}
		next = next.Add(time.Duration(skipped+1) * interval)
		if !rest(ctx, time.Until(next)) {
			return nil
		}
	}
}
