//go:build !portable

package droptrace

import (
	"errors"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// bufferSize is that of each thread's buffer, in bytes. A drop takes some 400, and 1200 at most.
	bufferSize = 1 << 15
	// maxThreads bounds how many threads are watched. This process has some ten.
	maxThreads = 32
)

// Tracer watches the threads that this process had when it was opened. Goroutines may wander among them. It is not for
// concurrent use.
type Tracer struct {
	root   string
	layout layout
	buffer []buffer
}

// Open begins to watch; root is / but for tests. It takes 0.3 to 8 ms. An error tells in a few words why this process may not
// or cannot look there.
func Open(root string) (*Tracer, error) {
	e, err := readEvent(root)
	if err != nil {
		return nil, err
	}
	t := &Tracer{root: root, layout: e.layout}
	for _, thread := range threads() {
		b, err := openBuffer(e.id, thread)
		if errors.Is(err, unix.ESRCH) {
			continue // it has just ended
		}
		if err != nil {
			t.Close()
			return nil, err
		}
		t.buffer = append(t.buffer, b)
	}
	for _, b := range t.buffer {
		b.take() // what others sent while the buffers were made
	}
	return t, nil
}

// threads are the ids of those of this process; 0, which is the calling one, if they cannot be listed: /proc may be that of
// another process namespace.
func threads() (list []int) {
	var b [4096]byte
	n := 0
	if f, err := openAt(unix.AT_FDCWD, "/proc/self/task"); err == nil {
		n, _ = unix.ReadDirent(int(f), b[:])
		f.Close()
	}
	_, _, names := unix.ParseDirent(b[:max(0, n)], maxThreads, nil)
	for _, name := range names {
		if id, err := strconv.Atoi(name); err == nil {
			list = append(list, id)
		}
	}
	if !slices.Contains(list, os.Getpid()) || !slices.Contains(list, unix.Gettid()) {
		return []int{0}
	}
	return list
}

// Drops are those since Open or the last call, of each thread in their order, without the names of functions, and 64 at most.
// It takes microseconds. Call it as soon as the probe was sent: what other goroutines have dropped is in the list, too.
func (t *Tracer) Drops() (list []Drop, err error) {
	for _, b := range t.buffer {
		drops, damaged := parseRecords(b.take(), t.layout, maxDrops-len(list))
		list, err = append(list, drops...), errors.Join(err, damaged)
	}
	return list, err
}

// Name adds the names of functions to drops, or none at all and tells why not. It takes at most about that long.
func (t *Tracer) Name(drops []Drop, most time.Duration) error {
	var wanted []uint64
	for _, d := range drops {
		wanted = append(wanted, d.Addresses...)
	}
	if len(wanted) == 0 {
		return nil
	}
	until := time.Now().Add(most)
	f, err := openAt(unix.AT_FDCWD, path.Join(t.root, "proc/kallsyms"))
	if err != nil {
		return os.NewSyscallError("open /proc/kallsyms", err)
	}
	defer f.Close()
	s := newSymbols(wanted)
	if err := s.read(f, until); err != nil {
		return err
	}
	names := s.names()
	for i := range drops {
		drops[i].name(names)
	}
	return nil
}

// name sets Functions.
func (d *Drop) name(names map[uint64]string) {
	d.Functions = nil
	for _, address := range d.Addresses {
		name := names[address]
		if name == "" {
			name = "?"
		}
		d.Functions = append(d.Functions, name)
	}
	d.Functions = slices.Compact(d.Functions) // the parts that a compiler split a function into
}

// Close ends the watch. It takes 30 ms, in which the kernel waits until all processors have left the tracepoint.
func (t *Tracer) Close() error {
	var err error
	for _, b := range t.buffer {
		err = errors.Join(err, b.close())
	}
	t.buffer = nil
	return err
}

// buffer is what the kernel writes a thread's drops into: a page that tells how far it is written and read, and a ring.
type buffer struct {
	fd     int
	memory []byte
}

// openBuffer begins to watch a thread, on every processor (perf_event_open(2)).
func openBuffer(id uint64, thread int) (buffer, error) {
	attributes := unix.PerfEventAttr{
		Type: unix.PERF_TYPE_TRACEPOINT, Config: id, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Sample: 1, Sample_type: unix.PERF_SAMPLE_RAW | unix.PERF_SAMPLE_CALLCHAIN, Bits: unix.PerfBitExcludeCallchainUser,
	}
	fd, err := openEvent(&attributes, thread)
	if err != nil {
		return buffer{}, err
	}
	page := os.Getpagesize()
	memory, err := unix.Mmap(fd, 0, page+max(page, bufferSize), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		unix.Close(fd)
		return buffer{}, os.NewSyscallError("mmap", err)
	}
	return buffer{fd, memory}, nil
}

// openEvent takes up to 20 ms the first time. The runtime is not told, and starts no thread (file.Read).
func openEvent(attributes *unix.PerfEventAttr, thread int) (fd int, err error) {
	const everyProcessor, noGroup = ^uintptr(0), ^uintptr(0)
	n, _, e := unix.RawSyscall6(unix.SYS_PERF_EVENT_OPEN, uintptr(unsafe.Pointer(attributes)), uintptr(thread),
		everyProcessor, noGroup, unix.PERF_FLAG_FD_CLOEXEC, 0)
	switch {
	case e == unix.EPERM || e == unix.EACCES:
		return -1, ErrPerfDenied
	case e != 0:
		return -1, os.NewSyscallError("perf_event_open", e)
	}
	return int(n), nil
}

// closeEvent waits in the kernel. The runtime is told only if there is no other processor for the other goroutines.
func closeEvent(fd int) error {
	if runtime.GOMAXPROCS(0) == 1 {
		return unix.Close(fd)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0); e != 0 {
		return e
	}
	return nil
}

// take copies what is there and gives the room back.
func (b buffer) take() []byte {
	page := (*unix.PerfEventMmapPage)(unsafe.Pointer(&b.memory[0]))
	head := atomic.LoadUint64(&page.Data_head)
	records := straighten(b.memory[os.Getpagesize():], page.Data_tail, head)
	atomic.StoreUint64(&page.Data_tail, head)
	return records
}

func (b buffer) close() error {
	return errors.Join(unix.Munmap(b.memory), closeEvent(b.fd))
}
