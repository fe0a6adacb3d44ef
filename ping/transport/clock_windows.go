package transport

import (
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// stopwatch reads the performance counter. The runtime's clock on Windows is the interrupt time, which steps by 0.5
// to 15.6 ms: on it most echoes on loopback would take no time at all.
type stopwatch struct {
	counter *windows.LazyProc
	// perSecond is the counter's frequency, fixed at boot.
	perSecond int64
}

func newStopwatch() (stopwatch, error) {
	kernel := windows.NewLazySystemDLL("kernel32.dll")
	w := stopwatch{counter: kernel.NewProc("QueryPerformanceCounter")}
	if err := w.counter.Find(); err != nil {
		return w, err
	}
	ok, _, err := kernel.NewProc("QueryPerformanceFrequency").Call(uintptr(unsafe.Pointer(&w.perSecond)))
	if ok == 0 {
		return w, os.NewSyscallError("QueryPerformanceFrequency", err)
	}
	return w, nil
}

// read puts the counter's value where it is told to, so that it allocates nothing.
func (w stopwatch) read(ticks *int64) {
	syscall.SyscallN(w.counter.Addr(), uintptr(unsafe.Pointer(ticks))) // cannot fail since Windows XP
}

// duration is so many ticks as a time.
func (w stopwatch) duration(ticks int64) time.Duration {
	whole, rest := ticks/w.perSecond, ticks%w.perSecond // apart, so that nothing overflows
	return time.Duration(whole)*time.Second + time.Duration(rest*int64(time.Second)/w.perSecond)
}
