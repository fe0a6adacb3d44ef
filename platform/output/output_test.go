package output

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// pipe is an output into a pipe, and its other end.
func pipe(t *testing.T) (*Output, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return New(w), r
}

func TestWrite(t *testing.T) {
	o, r := pipe(t)
	want := bytes.Repeat([]byte("loopback "), 100_000) // more than a pipe holds
	go func() {
		if n, err := o.Write(want); n != len(want) || err != nil {
			t.Errorf("wrote %d of %d bytes, error %v", n, len(want), err)
		}
		o.file.Close()
	}()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes came, want %d; error %v", len(got), len(want), err)
	}
	if _, err := o.Write([]byte("more")); err == nil {
		t.Error("wrote to a closed file")
	}
}

func TestNobodyReads(t *testing.T) {
	o, r := pipe(t)
	r.Close()
	if n, err := o.Write([]byte("loopback")); n != 0 || runtime.GOOS != "windows" && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("wrote %d bytes, error %v", n, err)
	}
}

// TestGiveUp: a write is stuck while the pipe is full, and not before.
func TestGiveUp(t *testing.T) {
	for _, within := range []time.Duration{0, time.Millisecond} {
		o, _ := pipe(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stuck := make(chan struct{}, 2)
		defer o.GiveUp(ctx, within, func() { stuck <- struct{}{} })()
		if _, err := o.Write([]byte("loopback")); err != nil {
			t.Fatal(err)
		}
		if within == 0 {
			cancel()
		}
		select {
		case <-stuck:
			t.Error("stuck before the pipe is full")
		default:
		}
		go o.Write(make([]byte, 1<<20))
		<-stuck
	}
}

// TestGiveUpNot: what goes on is not stuck, and nobody gives up who was told not to.
func TestGiveUpNot(t *testing.T) {
	o, r := pipe(t)
	ctx, cancel := context.WithCancel(t.Context())
	stop := o.GiveUp(ctx, 0, func() { t.Error("gave up") })
	if !stop() {
		t.Error("not stopped")
	}
	cancel()
	go io.Copy(io.Discard, r)
	if _, err := o.Write(make([]byte, 1<<20)); err != nil {
		t.Error(err)
	}
}

func TestWriteAllocatesNothing(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	o, b := New(null), []byte("loopback\n")
	if n := testing.AllocsPerRun(100, func() { o.Write(b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if o.Fd() != null.Fd() {
		t.Error("another descriptor")
	}
}
