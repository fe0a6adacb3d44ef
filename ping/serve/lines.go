package serve

import (
	"context"
	"io"
	"sync/atomic"
	"time"
)

const (
	// maxLines is how many lines may wait for a reader.
	maxLines = 64
	// patience is how long the end waits for a reader.
	patience = 500 * time.Millisecond
)

// lines writes lines in a goroutine of its own. One that finds no room is lost.
type lines struct {
	queue chan string
	lost  atomic.Uint64
	// done is closed after the last Write.
	done chan struct{}
}

// startLines has the first error of a Write given to failed. No line is written after that.
func startLines(w io.Writer, failed func(error)) *lines {
	l := &lines{queue: make(chan string, maxLines), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for line := range l.queue {
			if _, err := io.WriteString(w, line); err != nil {
				failed(err)
				return
			}
		}
	}()
	return l
}

func (l *lines) print(line string) {
	select {
	case l.queue <- line:
	default:
		l.lost.Add(1)
	}
}

// end prints the last line. A Write that is stuck is left behind, with its goroutine.
func (l *lines) end(last string) {
	late, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case l.queue <- last:
	case <-l.done:
	case <-late.Done():
	}
	close(l.queue)
	select {
	case <-l.done:
	case <-late.Done():
	}
}
