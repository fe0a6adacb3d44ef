//go:build !portable

package droptrace

import (
	"errors"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	eventDirectory = "events/skb/kfree_skb"
	// maxFile bounds what is read of a file of tracefs, in bytes. The format has 6000.
	maxFile = 1 << 16
)

// event is the tracepoint: its number for perf_event_open(2) and what its records look like.
type event struct {
	id     uint64
	layout layout
}

// readEvent reads tracefs. It is mounted on hosts with systemd; else a mount of our own that stands nowhere is read, since
// a look into debugfs would make the kernel mount tracefs there. Before 5.2, and for who may not mount, debugfs is left.
func readEvent(root string) (event, error) {
	e, err := readMounted(path.Join(root, "sys/kernel/tracing"))
	if err == nil {
		return e, nil
	}
	e, detached := readDetached()
	if detached == nil {
		return e, nil
	}
	e, debug := readMounted(path.Join(root, "sys/kernel/debug/tracing"))
	if debug == nil {
		return e, nil
	}
	return event{}, tracefsError(err, detached, debug)
}

// tracefsError is the error of three attempts that tells most.
func tracefsError(mounted, detached, debug error) error {
	for _, err := range []error{mounted, detached, debug} {
		switch {
		case errors.Is(err, os.ErrPermission):
			return ErrTracefsDenied
		case errors.Is(err, errFormat):
			return errFormat
		}
	}
	switch {
	case errors.Is(detached, unix.ENOENT): // it has tracefs, and not this event
		return ErrNoEvent
	case errors.Is(detached, unix.ENODEV), errors.Is(detached, unix.ENOSYS):
		return ErrNoTracefs
	}
	return os.NewSyscallError("tracefs", detached)
}

// readMounted reads a tracefs that is mounted.
func readMounted(name string) (event, error) {
	fd, err := unix.Open(name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return event{}, err
	}
	defer unix.Close(fd)
	return readEventAt(fd)
}

// readDetached mounts tracefs nowhere and reads it by its descriptor (fsopen(2), fsmount(2)).
func readDetached() (event, error) {
	context, err := unix.Fsopen("tracefs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return event{}, err
	}
	defer unix.Close(context)
	if err := unix.FsconfigCreate(context); err != nil {
		return event{}, err
	}
	attributes := unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC
	fd, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, attributes)
	if err != nil {
		return event{}, err
	}
	defer unix.Close(fd)
	return readEventAt(fd)
}

// readEventAt reads the event below a directory of tracefs.
func readEventAt(tracefs int) (e event, err error) {
	id, err := readAt(tracefs, eventDirectory+"/id")
	if err != nil {
		return event{}, err
	}
	if e.id, err = strconv.ParseUint(strings.TrimSpace(string(id)), 10, 32); err != nil {
		return event{}, errFormat
	}
	format, err := readAt(tracefs, eventDirectory+"/format")
	if err != nil {
		return event{}, err
	}
	e.layout, err = parseFormat(format)
	return e, err
}

func readAt(directory int, name string) ([]byte, error) {
	f, err := openAt(directory, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// file is a descriptor. One of package os would start the poller of the runtime.
type file int

func openAt(directory int, name string) (file, error) {
	fd, err := unix.Openat(directory, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	return file(fd), err
}

// Read does not tell the runtime that it is in a system call: for a thousand pieces of kallsyms it would start one more
// thread, for which a container may have no process id left.
func (f file) Read(b []byte) (int, error) {
	for {
		n, _, e := unix.RawSyscall(unix.SYS_READ, uintptr(f), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch {
		case e == unix.EINTR:
		case e != 0:
			return 0, e
		case n == 0:
			return 0, io.EOF
		default:
			return int(n), nil
		}
	}
}

func (f file) Close() error { return unix.Close(int(f)) }
