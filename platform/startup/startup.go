// Package startup makes the start of the process cheap: it is initialized before all that import more than runtime does.
package startup

import "runtime"

// available is how many processors the runtime would have used. One is enough for a short check, and giving up the others is
// cheapest now, while they have no caches: a health check has 100 page faults less than if it gave them up later.
var available = runtime.GOMAXPROCS(1)

// The stack of the main goroutine grows once, before the initialization of other packages makes it grow step by step:
// 15 % of the instructions and 35 page faults of `lping -q -c1`.
func init() { growStack(available) }

//go:noinline
func growStack(n int) byte {
	var frame [20 << 10]byte
	return frame[n]
}

// UseProcessors lets the process use n processors, as far as they are available.
func UseProcessors(n int) { runtime.GOMAXPROCS(min(n, available)) }
