// Package output writes to a stream of the process so that whoever should read it can neither hold nor kill the process: a reader
// that went away is an error and no signal, and one that sleeps is noticed.
package output

import (
	"context"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// Output is an io.Writer for one goroutine at a time.
type Output struct {
	file *os.File
	to   io.Writer
	// turns counts the beginnings and the ends of writes: it is odd while a write is under way.
	turns atomic.Uint64
}

// New is an output to a file that stays open.
func New(f *os.File) *Output { return &Output{file: f, to: quiet(f)} }

// Fd is the descriptor, as that of an os.File.
func (o *Output) Fd() uintptr { return o.file.Fd() }

// Write writes all of b. The error of a pipe that nobody will read is EPIPE.
func (o *Output) Write(b []byte) (int, error) {
	o.turns.Add(1)
	defer o.turns.Add(1)
	return o.to.Write(b)
}

// patience is how long a write may take when everything should be over.
const patience = 300 * time.Millisecond

// GiveUp calls then if a write is stuck after the end of ctx or, unless it is 0, after so much time. A write is stuck when it takes
// longer than patience; that is noticed in twice that time. The result stops what waits for the end of ctx.
func (o *Output) GiveUp(ctx context.Context, within time.Duration, then func()) (stop func() bool) {
	giveUp := func() {
		o.waitStuck()
		then()
	}
	if within > 0 {
		time.AfterFunc(within, giveUp)
	}
	return context.AfterFunc(ctx, giveUp)
}

// waitStuck returns when a write is stuck. It may never return.
func (o *Output) waitStuck() {
	for {
		turns := o.turns.Load()
		time.Sleep(patience)
		if turns%2 == 1 && o.turns.Load() == turns {
			return
		}
	}
}
