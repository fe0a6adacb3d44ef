package ping

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inNamespace moves the calling goroutine, and no other, into a network namespace of its own, where lo is up and ICMP
// datagram sockets are open to all. Sockets that it opens stay there, whoever uses them.
func inNamespace(t testing.TB) {
	t.Helper()
	inEmptyNamespace(t)
	setUpNamespace(t)
}

// setUpNamespace sets lo up and opens ICMP datagram sockets to all.
func setUpNamespace(t testing.TB) {
	t.Helper()
	setLoopback(t, true)
	writeSysctl(t, "net/ipv4/ping_group_range", "0 2147483647")
}

// inEmptyNamespace is inNamespace as the kernel makes it: lo is down and has no address.
func inEmptyNamespace(t testing.TB) {
	t.Helper()
	runtime.LockOSThread() // for good: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		t.Skipf("no network namespace of our own (it needs CAP_SYS_ADMIN: run as root, or in a privileged container): %v", err)
	}
}

// inProcessNamespace runs a test again, alone in a process of its own in a network namespace of its own: the conns of TCP
// make their sockets in other threads, too. It reports true there, where lo is down, and false when that process is done.
func inProcessNamespace(t *testing.T) bool {
	t.Helper()
	const variable = "LPING_TEST_ALONE"
	if os.Getenv(variable) == t.Name() {
		return true
	}
	var pattern []string
	for part := range strings.SplitSeq(t.Name(), "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(part)+"$")
	}
	cmd := exec.Command("/proc/self/exe", "-test.v", "-test.run="+strings.Join(pattern, "/"))
	cmd.Env = append(os.Environ(), variable+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, unix.EPERM):
		t.Skipf("no network namespace of our own (it needs CAP_SYS_ADMIN: run as root, or in a privileged container): %v", err)
	case err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name()+" ")):
		t.Errorf("in a namespace of its own: %v\n%s", err, out)
	}
	return false
}

// setLoopback sets lo up or down in this goroutine's namespace.
func setLoopback(t testing.TB, up bool) {
	t.Helper()
	flags := uint16(0)
	if up {
		flags = unix.IFF_UP
	}
	changeLoopback(t, unix.SIOCSIFFLAGS, func(lo *unix.Ifreq) { lo.SetUint16(flags) })
}

// setMTU sets lo's MTU in this goroutine's namespace.
func setMTU(t testing.TB, mtu uint32) {
	t.Helper()
	changeLoopback(t, unix.SIOCSIFMTU, func(lo *unix.Ifreq) { lo.SetUint32(mtu) })
}

// changeLoopback makes a request about lo (netdevice(7)).
func changeLoopback(t testing.TB, request uint, set func(lo *unix.Ifreq)) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(os.NewSyscallError("socket", err))
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	set(lo)
	if err := unix.IoctlIfreq(fd, request, lo); err != nil {
		t.Fatal(os.NewSyscallError("ioctl", err))
	}
}

// writeSysctl sets a switch of this goroutine's namespace.
func writeSysctl(t testing.TB, name, value string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

// ignoreEcho stops the kernel from answering in this goroutine's namespace.
func ignoreEcho(t testing.TB) {
	t.Helper()
	writeSysctl(t, "net/ipv4/icmp_echo_ignore_all", "1")
	writeSysctl(t, "net/ipv6/icmp/echo_ignore_all", "1")
}
