package scripttools

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

func init() { programs["deny"] = deny }

// callNumbers are the system calls that can be denied.
var callNumbers = map[string]uint32{
	"socket": unix.SYS_SOCKET, "bind": unix.SYS_BIND, "connect": unix.SYS_CONNECT, "listen": unix.SYS_LISTEN,
	"accept4": unix.SYS_ACCEPT4, "sendto": unix.SYS_SENDTO, "sendmsg": unix.SYS_SENDMSG, "recvfrom": unix.SYS_RECVFROM,
	"recvmsg": unix.SYS_RECVMSG, "setsockopt": unix.SYS_SETSOCKOPT, "shutdown": unix.SYS_SHUTDOWN,
}

// argumentNames are arguments by the names that they have.
var argumentNames = map[string]uint32{"AF_INET": unix.AF_INET, "AF_INET6": unix.AF_INET6, "AF_NETLINK": unix.AF_NETLINK, "AF_UNIX": unix.AF_UNIX}

// deny is "deny ERRNO CALL[:N=VALUE …],… COMMAND …": the command and all that it starts get this error from these system calls,
// or from those with these arguments, which count from 0, as a seccomp filter of systemd or a container runtime does it.
func deny(args []string) int {
	err := errors.New("usage: deny ERRNO CALL[:N=VALUE],... COMMAND [ARG ...]")
	if len(args) > 2 {
		err = execDenied(args[0], strings.Split(args[1], ","), args[2:])
	}
	fmt.Fprintln(os.Stderr, "deny:", err)
	return badUsage
}

func execDenied(errno string, calls, command []string) error {
	var code syscall.Errno
	for e := syscall.Errno(1); e < 200; e++ {
		if unix.ErrnoName(e) == errno {
			code = e
		}
	}
	var program []bpf.Instruction
	for _, call := range calls {
		denied, err := deniedCall(call, unix.SECCOMP_RET_ERRNO|uint32(code))
		if err != nil || code == 0 {
			return fmt.Errorf("%s %s: %w", errno, call, errors.Join(err, os.ErrInvalid))
		}
		program = append(program, denied...)
	}
	raw, err := bpf.Assemble(append(program, bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}))
	path, lookErr := exec.LookPath(command[0])
	if err := errors.Join(err, lookErr); err != nil {
		return err
	}
	runtime.LockOSThread() // the filter is the thread's, and exec keeps it
	filter := unix.SockFprog{Len: uint16(len(raw)), Filter: (*unix.SockFilter)(unsafe.Pointer(&raw[0]))}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&filter)), 0, 0); err != nil {
		return err
	}
	return syscall.Exec(path, command, os.Environ())
}

// deniedCall returns a value for one system call, and goes on behind itself for another (struct seccomp_data: the number, and the
// arguments from byte 16 on).
func deniedCall(call string, value uint32) (program []bpf.Instruction, err error) {
	parts := strings.Split(call, ":")
	number, ok := callNumbers[parts[0]]
	if !ok {
		return nil, fmt.Errorf("no call %q", parts[0])
	}
	loads, wants := []uint32{0}, []uint32{number}
	for _, part := range parts[1:] {
		index, text, _ := strings.Cut(part, "=")
		i, err := strconv.ParseUint(index, 10, 8)
		want, known := argumentNames[text]
		if !known {
			n, failed := strconv.ParseUint(text, 10, 32)
			want, err = uint32(n), errors.Join(err, failed)
		}
		if err != nil || i > 5 {
			return nil, fmt.Errorf("no argument %q", part)
		}
		loads, wants = append(loads, 16+8*uint32(i)+lowHalf()), append(wants, want)
	}
	for i := range loads {
		rest := uint8(2*(len(loads)-i-1) + 1)
		program = append(program, bpf.LoadAbsolute{Off: loads[i], Size: 4}, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: wants[i], SkipTrue: rest})
	}
	return append(program, bpf.RetConstant{Val: value}), nil
}

// lowHalf is where the low half of 64 bits is.
func lowHalf() uint32 {
	one := uint64(1)
	if *(*byte)(unsafe.Pointer(&one)) == 1 {
		return 0
	}
	return 4
}
