//go:build !portable

package transport

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// waiter waits for sockets, until it is woken.
type waiter struct {
	wakeFD int // an eventfd (eventfd(2))
	// polled is what wait looks at: the eventfd, then the sockets.
	polled []unix.PollFd
	// precise says that a thread's timer slack is lowered before it waits.
	precise bool
	// sleeper is nil before the first long wait, and if the system has no descriptors for it.
	sleeper *sleeper
	tried   bool
}

func newWaiter(precise bool) (waiter, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return waiter{}, os.NewSyscallError("eventfd", err)
	}
	return waiter{wakeFD: fd, polled: []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, precise: precise}, nil
}

// watch adds a socket to those that wait looks at.
func (w *waiter) watch(fd int) {
	w.polled = append(w.polled, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
}

// longWait is from when on a wait is left to the netpoller. Below that the detour takes longer than what it saves.
const longWait = 200 * time.Microsecond

// timerSlack is how much later a precise wait may end (prctl(2), PR_SET_TIMERSLACK). It is 50 us at first, and a timerfd has none.
const timerSlack = time.Microsecond

// wait waits for a socket, for Wake, or until left is over: to some 50 us, not to a millisecond as the netpoller does.
func (w *waiter) wait(left time.Duration) error {
	if left >= longWait && w.sleep(left) {
		left = 0 // what is there is there
	}
	n, e := w.poll(left)
	switch {
	case e == unix.EINTR: // the runtime interrupts threads for its own ends
		return nil
	case e != 0:
		return os.NewSyscallError("ppoll", e)
	case n == 0:
		return ErrTimeout
	case w.polled[0].Revents != 0:
		var count [8]byte
		unix.Read(w.wakeFD, count[:])
		return ErrWoken
	}
	return nil
}

// poll looks at the list (ppoll(2)). The runtime hears of a long wait only: for a short one it would look for another thread,
// above all on a busy machine, where the system call takes a while. The slack is the thread's, so it is set each time: the next
// wait may be in another one.
func (w *waiter) poll(left time.Duration) (n int, e syscall.Errno) {
	timeout := unix.NsecToTimespec(int64(left))
	call := unix.RawSyscall6
	switch {
	case left >= longWait:
		call = unix.Syscall6
	case left > 0 && w.precise:
		unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, uintptr(timerSlack), 0)
	}
	r, _, e := call(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&w.polled[0])), uintptr(len(w.polled)),
		uintptr(unsafe.Pointer(&timeout)), 0, 0, 0)
	return int(r), e
}

// sleep waits in the netpoller, and reports false if the system does not let it.
func (w *waiter) sleep(left time.Duration) bool {
	if !w.tried {
		w.tried = true
		w.sleeper, _ = newSleeper(w.polled)
	}
	return w.sleeper != nil && w.sleeper.sleep(left) == nil
}

func (w *waiter) close() {
	closeAll(w.wakeFD)
	if w.sleeper != nil {
		w.sleeper.close()
	}
}

// sleeper lets a goroutine wait without its thread. While a thread waits in a system call the runtime looks for other work
// for its processor, with threads that it makes for that: a run at 0.2 s took five times ping's CPU a probe, and a container
// may have no process ids left for them.
type sleeper struct {
	timer int // a timerfd (timerfd_create(2)), since the netpoller's own timers are rounded up to a millisecond
	// epoll, which is poller to the runtime, has the timer and the eventfd, and ready says that something it has is.
	epoll  int
	poller *os.File
	raw    syscall.RawConn
	ready  func(fd uintptr) bool
	events [4]unix.EpollEvent
	// sockets are in it during a sleep only: each answer and each transmit stamp would go through it, 0.4 us of an RTT of 5.
	sockets []unix.PollFd
}

func newSleeper(list []unix.PollFd) (s *sleeper, err error) {
	s = &sleeper{sockets: list[1:]}
	if s.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return nil, err
	}
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		unix.Close(s.timer)
		return nil, err
	}
	err = Spare(3) // one is for who reads a file meanwhile
	if err == nil {
		err = unix.SetNonblock(s.epoll, true) // for os.NewFile it is a file to poll then
	}
	s.poller = os.NewFile(uintptr(s.epoll), "epoll")
	if err == nil {
		err = s.watch([]unix.PollFd{{Fd: int32(s.timer)}, list[0]})
	}
	if err == nil {
		s.raw, err = s.poller.SyscallConn()
	}
	if err != nil {
		s.close()
		return nil, err
	}
	s.ready = func(fd uintptr) bool {
		n, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(&s.events[0])), uintptr(len(s.events)), 0, 0, 0)
		return int(n) > 0 || e != 0 && e != unix.EINTR
	}
	return s, nil
}

// plenty is a limit of descriptors that leaves enough of them, whatever this process was started with.
const plenty = 64

// Spare is an error if so many more descriptors cannot be had. The runtime needs two of its own for the first timer or file to
// poll, and gives up the whole program without them: so it takes them here, if they are few.
func Spare(n int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil && limit.Cur > plenty {
		return nil
	}
	if err := spare(n); err != nil {
		return err
	}
	time.AfterFunc(time.Hour, func() {}).Stop()
	return nil
}

func spare(n int) error {
	if n == 0 {
		return nil
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	defer unix.Close(fd)
	return spare(n - 1)
}

// watch puts descriptors into the set.
func (s *sleeper) watch(list []unix.PollFd) error {
	for _, p := range list {
		if e := s.control(unix.EPOLL_CTL_ADD, p.Fd); e != 0 {
			return e
		}
	}
	return nil
}

// ignore takes them out.
func (s *sleeper) ignore(list []unix.PollFd) {
	for _, p := range list {
		s.control(unix.EPOLL_CTL_DEL, p.Fd)
	}
}

func (s *sleeper) control(op uintptr, fd int32) syscall.Errno {
	event := unix.EpollEvent{Events: unix.EPOLLIN}
	_, _, e := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(s.epoll), op, uintptr(fd), uintptr(unsafe.Pointer(&event)), 0, 0)
	return e
}

// sleep returns when a socket is ready or d is over.
func (s *sleeper) sleep(d time.Duration) error {
	defer s.ignore(s.sockets)
	if err := s.watch(s.sockets); err != nil {
		return err
	}
	at := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}
	_, _, e := unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(s.timer), 0, uintptr(unsafe.Pointer(&at)), 0, 0, 0)
	if e != 0 {
		return e
	}
	return s.raw.Read(s.ready)
}

func (s *sleeper) close() {
	s.poller.Close()
	unix.Close(s.timer)
}

// Wake makes a wait, or else the next one, return ErrWoken.
func (w *waiter) Wake() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	unix.Write(w.wakeFD, one[:])
}

// closeAll closes descriptors; -1 is none.
func closeAll(fds ...int) {
	for _, fd := range fds {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// rawAddr is the address of a socket as the kernel takes it.
type rawAddr struct {
	sa     unix.RawSockaddrAny
	length uintptr
}

func rawAddress(to netip.AddrPort) (*rawAddr, error) {
	raw := new(rawAddr)
	if to.Addr().Is4() {
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&raw.sa))
		sa.Family, sa.Addr = unix.AF_INET, to.Addr().As4()
		putPort(&sa.Port, to.Port())
		raw.length = unix.SizeofSockaddrInet4
		return raw, nil
	}
	sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(&raw.sa))
	sa.Family, sa.Addr = unix.AF_INET6, to.Addr().As16()
	putPort(&sa.Port, to.Port())
	if zone := to.Addr().Zone(); zone != "" {
		if ifi, err := net.InterfaceByName(zone); err == nil {
			sa.Scope_id = uint32(ifi.Index)
		} else if index, failed := strconv.ParseUint(zone, 10, 32); failed == nil {
			sa.Scope_id = uint32(index)
		} else {
			return nil, err
		}
	}
	raw.length = unix.SizeofSockaddrInet6
	return raw, nil
}

func (a *rawAddr) bind(fd int) error {
	if e := a.call(unix.SYS_BIND, fd); e != 0 {
		return os.NewSyscallError("bind", e)
	}
	return nil
}

// connect does not wait on a socket that does not block: EINPROGRESS is no failure there.
func (a *rawAddr) connect(fd int) syscall.Errno { return a.call(unix.SYS_CONNECT, fd) }

func (a *rawAddr) call(trap uintptr, fd int) syscall.Errno {
	_, _, e := unix.RawSyscall(trap, uintptr(fd), uintptr(unsafe.Pointer(&a.sa)), a.length)
	return e
}

// putPort stores a port in network order.
func putPort(into *uint16, port uint16) {
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(into))[:], port)
}

// bindSocket makes a socket of a type (SOCK_DGRAM, SOCK_STREAM), lets prepare set its options, and binds it.
func bindSocket(typ int, at netip.AddrPort, prepare func(fd int) error) (int, error) {
	to, err := rawAddress(at)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(int(to.sa.Addr.Family), typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err = prepare(fd); err == nil {
		err = to.bind(fd)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// noOptions leaves a socket as it is.
func noOptions(int) error { return nil }

// localAddress is what a socket is bound to, without a zone.
func localAddress(fd int) (netip.AddrPort, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, os.NewSyscallError("getsockname", err)
	}
	return addressOf(sa), nil
}

// addressOf is an address of the system. A zone is kept as its number, by which the system knows it, too.
func addressOf(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		a := netip.AddrFrom16(sa.Addr)
		if sa.ZoneId != 0 {
			a = a.WithZone(strconv.Itoa(int(sa.ZoneId)))
		}
		return netip.AddrPortFrom(a, uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// sendBytes hands bytes to a socket, without waiting; to is nil if it is connected.
func sendBytes(fd int, b []byte, to *rawAddr) (int, syscall.Errno) {
	var name *unix.RawSockaddrAny
	var length uintptr
	if to != nil {
		name, length = &to.sa, to.length
	}
	n, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
		uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, uintptr(unsafe.Pointer(name)), length)
	return int(n), e
}

// recvBytes takes bytes from a connected socket, without waiting.
func recvBytes(fd int, b []byte) (int, syscall.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
		uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), e
}

// socketFault takes the error of a socket, and what the kernel reports about it.
func socketFault(fd int) Fault {
	var p received
	var data [1]byte
	var control [512]byte
	_, n, _, _, err := unix.Recvmsg(fd, data[:], control[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	if err == nil {
		parseControl(control[:n], &p)
	}
	e, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && p.Fault.Errno == 0 {
		p.Fault.Errno = syscall.Errno(e)
	}
	return p.Fault
}

// idle says that an errno means: not now.
func idle(e syscall.Errno) bool { return e == unix.EAGAIN || e == unix.EINTR }
