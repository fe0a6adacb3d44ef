//go:build !portable

package droptrace

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// inNamespace runs commands and then f in a network namespace of its own, which ends with the thread.
func inNamespace(t *testing.T, f func(), commands ...string) {
	t.Helper()
	for _, tool := range []string{"ip", "nft", "tc"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("this host lacks the command %s (install iproute2 and nftables)", tool)
		}
	}
	failed := make(chan error, 1)
	go func() {
		var err error
		defer func() { failed <- err }() // also if f ends the goroutine, as a skip does
		runtime.LockOSThread()           // and never unlocked: the thread is of no use to others
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return
		}
		for _, c := range append([]string{"ip link set lo up"}, commands...) {
			if out, failure := exec.Command("sh", "-c", c).CombinedOutput(); failure != nil {
				err = errors.New(c + ": " + string(out))
				return
			}
		}
		f()
	}()
	if err := <-failed; errors.Is(err, unix.EPERM) {
		t.Skip("this user may not make a network namespace (run the test as root)")
	} else if err != nil {
		t.Fatal(err)
	}
}

// openTracer skips what cannot be tested here.
func openTracer(t *testing.T) *Tracer {
	t.Helper()
	tracer, err := Open("/")
	switch {
	case errors.Is(err, ErrTracefsDenied), errors.Is(err, ErrPerfDenied), errors.Is(err, ErrNoTracefs), errors.Is(err, ErrNoEvent):
		t.Skipf("the kernel tells no drops here: %v (run the test as root of the host)", err)
	case err != nil:
		t.Fatal(err)
	}
	return tracer
}

// watch is what was dropped while f ran.
func watch(t *testing.T, f func()) []Drop {
	t.Helper()
	tracer := openTracer(t)
	defer func() {
		if err := tracer.Close(); err != nil {
			t.Error(err)
		}
	}()
	f()
	drops, err := tracer.Drops()
	if err != nil {
		t.Error(err)
	}
	err = tracer.Name(drops, 10*time.Second)
	for range 5 {
		if errors.Is(err, ErrSlow) { // as it may be on a busy machine
			err = tracer.Name(drops, 10*time.Second)
		}
	}
	if err != nil {
		t.Skipf("the kernel names no functions: %v", err)
	}
	if len(tracer.layout.reasons) == 0 {
		t.Skip("the kernel is older than 5.17 and has no reasons")
	}
	return drops
}

// sendEcho sends an echo request to the loopback address of a family from a raw socket.
func sendEcho(t *testing.T, family int) {
	t.Helper()
	protocol, b := unix.IPPROTO_ICMP, []byte{8, 0, 0xf7, 0xfd, 0, 1, 0, 1}
	var to unix.Sockaddr = &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if family == unix.AF_INET6 {
		protocol, b, to = unix.IPPROTO_ICMPV6, []byte{128, 0, 0, 0, 0, 1, 0, 1}, &unix.SockaddrInet6{Addr: [16]byte{15: 1}}
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	err = unix.Sendto(fd, b, 0, to)
	for _, refusal := range []error{nil, unix.EPERM, unix.ENOBUFS, unix.EADDRNOTAVAIL} {
		if errors.Is(err, refusal) {
			return
		}
	}
	t.Errorf("send: %v", err)
}

func send4(t *testing.T) { sendEcho(t, unix.AF_INET) }

func send6(t *testing.T) { sendEcho(t, unix.AF_INET6) }

// dial connects to a port with a listener, from whatever thread.
func dial(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if c, err := net.DialTimeout("tcp", l.Addr().String(), 20*time.Millisecond); err == nil {
		c.Close()
	}
}

// chain is a rule of nftables in a base chain.
func chain(family, place, rule string) string {
	return "nft 'add table " + family + " t; add chain " + family + " t c { type filter hook " + place + " priority 0; }; add rule " +
		family + " t c " + rule + "'"
}

func TestDrops(t *testing.T) {
	tests := []struct {
		name, fault string
		send        func(*testing.T)
		reason      string
		want        Place
		through     string
	}{
		{"nft output", chain("inet", "output", "drop"), send4, "NETFILTER_DROP", Place{Output, NFT}, "__ip_local_out"},
		{"nft output IPv6", chain("inet", "output", "drop"), send6, "NETFILTER_DROP", Place{Output, NFT}, "__ip6_local_out"},
		{"nft output TCP", chain("inet", "output", "tcp flags syn drop"), dial, "NETFILTER_DROP", Place{Output, NFT}, "__ip_local_out"},
		{"nft output of the reply", chain("inet", "output", "icmp type echo-reply drop"), send4,
			"NETFILTER_DROP", Place{Output, NFT}, "icmp_reply"},
		{"nft postrouting", chain("inet", "postrouting", "drop"), send4, "NETFILTER_DROP", Place{Postrouting, NFT}, "ip_output"},
		{"nft prerouting of the reply", chain("inet", "prerouting", "icmp type echo-reply drop"), send4,
			"NETFILTER_DROP", Place{Prerouting, NFT}, "ip_rcv"},
		{"nft prerouting of the reply IPv6", chain("inet", "prerouting", "icmpv6 type echo-reply drop"), send6,
			"NETFILTER_DROP", Place{Prerouting, NFT}, "ipv6_rcv"},
		{"nft input", chain("inet", "input", "drop"), send4, "NETFILTER_DROP", Place{Input, NFT}, "ip_local_deliver"},
		{"nft input IPv6", chain("inet", "input", "drop"), send6, "NETFILTER_DROP", Place{Input, NFT}, "ip6_input"},
		{"nft input TCP", chain("inet", "input", "tcp flags & (syn|ack) == syn|ack drop"), dial,
			"NETFILTER_DROP", Place{Input, NFT}, "ip_local_deliver"},
		{"netdev ingress", chain("netdev", "ingress device lo", "drop"), send4,
			"NETFILTER_DROP", Place{Ingress, NFT}, "__netif_receive_skb_core"},
		{"queue without room", "tc qdisc add dev lo root pfifo limit 0", send4, "QDISC_DROP", Place{Interface, Qdisc}, "__dev_queue_xmit"},
		{"blackhole queue", "tc qdisc add dev lo root handle 1: blackhole", send6, "QDISC_DROP", Place{Interface, Qdisc}, "__dev_queue_xmit"},
		{"lo down", "ip link set lo down", send4, "QDISC_DROP", Place{Interface, Qdisc}, "__dev_queue_xmit"},
		{"IPsec policy", "ip xfrm policy add src ::1 dst ::1 dir in action block", send6, "XFRM_POLICY", Place{Socket, XFRM}, "icmpv6_rcv"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			commands := []string{tt.fault}
			if tt.name == "lo down" {
				commands = append(commands, "ip route add local 127.0.0.1 dev lo table local 2>/dev/null || true")
			}
			inNamespace(t, func() { expectDrop(t, tt.send, tt.reason, tt.want, tt.through) }, commands...)
		})
	}
}

// expectDrop reports unless a packet was dropped for a reason, if that is given, at a place and on a way through a function.
func expectDrop(t *testing.T, send func(*testing.T), reason string, want Place, through string) {
	t.Helper()
	drops := watch(t, func() { send(t) })
	for _, d := range drops {
		got := d.Place()
		if got.Framework == Netfilter && d.Functions[0] == "nf_hook_slow" {
			got.Framework = NFT // before Linux 6.7
		}
		if (d.Reason == reason || reason == "") && got == want && slices.Contains(d.Functions, through) && !d.Foreign() {
			return
		}
	}
	t.Errorf("got %+v, want %s at %v through %s", drops, reason, want, through)
}

// TestDropsByProgram: tc and XDP by BPF programs that drop everything.
func TestDropsByProgram(t *testing.T) {
	const classifier, xdp = 3, 6 // BPF_PROG_TYPE_SCHED_CLS, BPF_PROG_TYPE_XDP
	const drop, shot = 1, 2      // XDP_DROP, TC_ACT_SHOT
	const ingress, egress, express = 46, 47, 37
	tests := []struct {
		name                   string
		program, attach, value uint32
		reason                 string
		want                   Place
	}{
		{"tc ingress", classifier, ingress, shot, "TC_INGRESS", Place{Ingress, TC}},
		{"tc egress", classifier, egress, shot, "TC_EGRESS", Place{Egress, TC}},
		{"XDP", xdp, express, drop, "", Place{Ingress, XDP}}, // the reason is NOT_SPECIFIED
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inNamespace(t, func() {
				program, err := loadProgram(tt.program, tt.attach, tt.value)
				if err != nil {
					t.Skipf("no BPF program can be loaded (it needs bpf(2) and root): %v", err)
				}
				defer unix.Close(program)
				link, err := attachToLoopback(program, tt.attach)
				if err != nil {
					t.Skipf("no BPF program can be attached to lo (it needs Linux 6.6): %v", err)
				}
				defer unix.Close(link)
				expectDrop(t, send4, tt.reason, tt.want, "__sys_sendto")
			})
		})
	}
}

// loadProgram loads a program that returns a value (bpf(2), BPF_PROG_LOAD): mov r0, value; exit.
func loadProgram(typ, attach, value uint32) (fd int, err error) {
	program := []uint64{0xb7 | uint64(value)<<32, 0x95}
	license := []byte("GPL\x00")
	b := make([]byte, 128)
	binary.NativeEndian.PutUint32(b, typ)
	binary.NativeEndian.PutUint32(b[4:], uint32(len(program)))
	binary.NativeEndian.PutUint64(b[8:], uint64(uintptr(unsafe.Pointer(&program[0]))))
	binary.NativeEndian.PutUint64(b[16:], uint64(uintptr(unsafe.Pointer(&license[0]))))
	if typ == unix.BPF_PROG_TYPE_XDP {
		binary.NativeEndian.PutUint32(b[68:], attach)
	}
	fd, err = bpf(unix.BPF_PROG_LOAD, b)
	runtime.KeepAlive(program)
	runtime.KeepAlive(license)
	return fd, err
}

// attachToLoopback attaches a program until the descriptor is closed (BPF_LINK_CREATE).
func attachToLoopback(program int, attach uint32) (fd int, err error) {
	b := make([]byte, 64)
	binary.NativeEndian.PutUint32(b, uint32(program))
	binary.NativeEndian.PutUint32(b[4:], 1) // lo is the first in each namespace
	binary.NativeEndian.PutUint32(b[8:], attach)
	if attach == unix.BPF_XDP {
		binary.NativeEndian.PutUint32(b[12:], 2) // XDP_FLAGS_SKB_MODE
	}
	return bpf(unix.BPF_LINK_CREATE, b)
}

func bpf(command uintptr, attributes []byte) (fd int, err error) {
	n, _, e := unix.Syscall(unix.SYS_BPF, command, uintptr(unsafe.Pointer(&attributes[0])), uintptr(len(attributes)))
	if e != 0 {
		return -1, os.NewSyscallError("bpf", e)
	}
	return int(n), nil
}

// TestDropsHealthy: what happens to a request that is answered is no fault.
func TestDropsHealthy(t *testing.T) {
	for name, send := range map[string]func(*testing.T){"IPv4": send4, "IPv6": send6, "TCP": dial} {
		t.Run(name, func(t *testing.T) {
			inNamespace(t, func() {
				for _, d := range watch(t, func() { send(t) }) {
					harmless := []string{"NO_SOCKET", "QUEUE_PURGE", "NOT_SPECIFIED"}
					if d.Place().Framework != "" || !slices.Contains(harmless, d.Reason) && !d.Foreign() {
						t.Errorf("%s in %s", d.Reason, d.Functions)
					}
				}
			}, chain("inet", "output", "accept"), chain("netdev", "ingress device lo", "accept"))
		})
	}
}

// TestDropsAgain: each call tells what is new, and no more than 64 are kept.
func TestDropsAgain(t *testing.T) {
	inNamespace(t, func() {
		tracer := openTracer(t)
		defer tracer.Close()
		for _, tt := range []struct{ send, least, most int }{{1, 1, 3}, {0, 0, 2}, {500, 64, 64}, {0, 0, 2}, {1, 1, 3}} {
			for range tt.send {
				send4(t)
			}
			if got, err := tracer.Drops(); err != nil || len(got) < tt.least || len(got) > tt.most {
				t.Errorf("%d sent: got %d drops, %v, want %d to %d", tt.send, len(got), err, tt.least, tt.most)
			}
		}
	}, chain("inet", "output", "drop"))
}

// TestOpenLeavesNothing: no descriptor and no mount is left behind.
func TestOpenLeavesNothing(t *testing.T) {
	openTracer(t).Close()
	count := func() (descriptors, mounts int) {
		list, err := os.ReadDir("/proc/self/fd")
		b, err2 := os.ReadFile("/proc/self/mounts")
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		return len(list), strings.Count(string(b), " tracefs ")
	}
	descriptors, mounts := count()
	openTracer(t).Close()
	if d, m := count(); d != descriptors || m != mounts {
		t.Errorf("%d descriptors, then %d; %d mounts of tracefs, then %d", descriptors, d, mounts, m)
	}
}

// TestReadMounted: a tracefs that is mounted is read first.
func TestReadMounted(t *testing.T) {
	root := t.TempDir()
	directory := filepath.Join(root, "sys/kernel/tracing", eventDirectory)
	if err := os.MkdirAll(directory, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"id": "2310\n", "format": format618} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if e, err := readEvent(root); e.id != 2310 || !e.layout.equal(layout618) || err != nil {
		t.Errorf("got %+v, %v", e, err)
	}
	if err := os.WriteFile(filepath.Join(directory, "format"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readMounted(strings.TrimSuffix(directory, eventDirectory)); !errors.Is(err, errFormat) {
		t.Errorf("got %v, want %v", err, errFormat)
	}
}

func TestTracefsError(t *testing.T) {
	tests := []struct {
		name                     string
		mounted, detached, debug error
		want                     error
	}{
		{"container", unix.ENOENT, unix.EPERM, unix.ENOENT, ErrTracefsDenied},
		{"nobody", unix.EACCES, unix.EPERM, unix.EACCES, ErrTracefsDenied},
		{"a kernel without tracefs", unix.ENOENT, unix.ENODEV, unix.ENOENT, ErrNoTracefs},
		{"a kernel before 5.2", unix.ENOENT, unix.ENOSYS, unix.ENOENT, ErrNoTracefs},
		{"a kernel without the event", unix.ENOENT, unix.ENOENT, unix.ENOENT, ErrNoEvent},
		{"a format that is not understood", errFormat, unix.EMFILE, unix.ENOENT, errFormat},
		{"no descriptors", unix.EMFILE, unix.EMFILE, unix.EMFILE, unix.EMFILE},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tracefsError(tt.mounted, tt.detached, tt.debug); !errors.Is(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestDenied: in a user namespace the kernel tells nothing, and the error says what it would need.
func TestDenied(t *testing.T) {
	const variable = "LPING_TEST_DENIED"
	if os.Getenv(variable) != "" {
		if _, err := Open("/"); !errors.Is(err, ErrTracefsDenied) {
			t.Errorf("got %v, want %v", err, ErrTracefsDenied)
		}
		return
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestDenied$")
	cmd.Env = append(os.Environ(), variable+"=1")
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
	switch out, err := cmd.CombinedOutput(); {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.ENOSPC):
		t.Skipf("this host lets nobody make a user namespace: %v", err)
	case err != nil:
		t.Errorf("%v: %s", err, out)
	}
}

func TestThreads(t *testing.T) {
	list := threads()
	if !slices.Contains(list, os.Getpid()) || len(list) > maxThreads {
		t.Errorf("threads %v of process %d", list, os.Getpid())
	}
}
