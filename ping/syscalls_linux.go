package ping

import (
	"encoding/binary"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// linuxConn uses the socket below the netpoller: a read that finds its reply costs one system call, a wait is exact
// to some 50 us where the netpoller rounds up to milliseconds, and what the kernel reports about earlier probes is
// read from the error queue (ip(7), IP_RECVERR), with the stamps of when they left.
type linuxConn struct {
	waiter
	fd     int
	sock   Socket
	target netip.Addr

	// echo is the far end of a run over UDP; nil where the kernel or a service answers.
	echo *udpEcho
	// opaque is set where a service answers.
	opaque bool

	// dst is nil where the socket is connected: the kernel then knows it.
	dst    *unix.RawSockaddrAny
	dstLen uintptr
	// open is set where others than the target are heard: a connected raw socket hears nobody else, an ICMP datagram
	// socket does (net/ipv4/ping.c, ping_lookup).
	open bool

	// plain says that there is nothing to read but data and sender: no stamps, no TTL.
	plain   bool
	stamped bool
	// refused is set by a send that failed: a report may be why.
	refused bool
	left    transmissions
	// report is one that turned up while stamps were read; recv returns it next.
	report    packet
	reportBuf [reportLen]byte

	// got is what the latest recvmsg brought.
	got received
	// What recvmsg fills; kept here so that a read allocates nothing.
	header  unix.Msghdr
	iov     unix.Iovec
	name    unix.RawSockaddrAny
	control [512]byte
}

// reportLen is enough of a message of ours to know it by.
const reportLen = 128

// upgrade replaces the portable conn by a faster one where the system has one.
func upgrade(ic *icmpConn, c Config) (conn, error) {
	defer ic.close()
	fd := -1
	err := ic.control(func(inner int) (err error) {
		fd, err = unix.FcntlInt(uintptr(inner), unix.F_DUPFD_CLOEXEC, 3)
		return os.NewSyscallError("fcntl", err)
	})
	if err != nil {
		return nil, err
	}
	lc, err := newLinuxConn(fd, c, ic.sock)
	if err != nil {
		return nil, err
	}
	return lc, nil
}

// newLinuxConn takes over a bound socket, even where it fails. Datagrams go to the port of sock.
func newLinuxConn(fd int, c Config, sock Socket) (*linuxConn, error) {
	w, err := newWaiter()
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	lc := &linuxConn{waiter: w, fd: fd, sock: sock, target: c.Address}
	if err := lc.setUp(c); err != nil {
		lc.close()
		return nil, err
	}
	return lc, nil
}

// setUp connects the socket, which saves the kernel a look-up a probe, and asks for time stamps. Where connect is
// refused every send will be too, and says so for its probe. Where there are no stamps the run does without.
func (lc *linuxConn) setUp(c Config) error {
	to, err := rawAddress(netip.AddrPortFrom(c.Address, lc.sock.Port))
	if err != nil {
		return err
	}
	e := to.connect(lc.fd)
	lc.open = e != 0 || lc.sock.Method == MethodDgram
	if e != 0 {
		lc.dst, lc.dstLen = &to.sa, to.length
	}
	lc.discard()
	if !c.UserTime {
		lc.stamped = unix.SetsockoptInt(lc.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, stampFlags) == nil
		lc.sock.Stamps = lc.stamped
	}
	lc.plain = c.NoTTL && !lc.stamped
	return nil
}

// discard empties the queue of what came before the filter was there: a raw socket takes everything at first, and
// the flood of another program could leave no room for our first reply.
func (lc *linuxConn) discard() {
	for range maxDrain {
		if err := lc.read(lc.reportBuf[:], 0); err == unix.EAGAIN {
			return
		}
	}
}

func (lc *linuxConn) send(msg []byte) error {
	_, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(lc.fd), uintptr(unsafe.Pointer(unsafe.SliceData(msg))),
		uintptr(len(msg)), unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(lc.dst)), lc.dstLen)
	if lc.stamped {
		lc.left.add(binary.BigEndian.Uint16(msg[6:]), e == 0)
	}
	if e != 0 {
		lc.refused = true
		return os.NewSyscallError("sendto", e)
	}
	if lc.echo != nil {
		lc.turn()
	}
	return nil
}

// recv reads without waiting first: on loopback the reply is there when send returns.
func (lc *linuxConn) recv(p *packet, b []byte, until time.Time) error {
	reported := lc.stamped || lc.refused
	for {
		if lc.report.fault.Errno != 0 {
			*p, lc.report = lc.report, packet{}
			return nil
		}
		err := lc.readMessage(p, b)
		if err == nil {
			return nil
		}
		idle := err == unix.EAGAIN || err == unix.EINTR
		if reported || !idle { // the errno of a read is only the sign that a report is waiting
			if lc.readReports(); lc.report.fault.Errno != 0 {
				continue
			}
			lc.refused = false
		}
		if !idle {
			return os.NewSyscallError("recvmsg", err)
		}
		if lc.echo != nil && lc.turn() {
			continue
		}
		if reported, err = lc.await(until); err != nil {
			return err
		}
		reported = reported || lc.stamped
	}
}

// readReports empties the error queue: of all stamps, and up to the first report about a message.
func (lc *linuxConn) readReports() {
	for lc.report.fault.Errno == 0 && lc.readReport() {
	}
}

// readReport takes one stamp or report off the error queue, if there is one.
func (lc *linuxConn) readReport() bool {
	p := &lc.got
	switch err := lc.read(lc.reportBuf[:], unix.MSG_ERRQUEUE); {
	case err != nil:
		return false
	case p.stamp:
		lc.left.stamp(p.stampID, p.kernel)
	case p.fault.Errno != 0:
		lc.report = p.packet
	}
	return true
}

// transmitted reads no further than it must: an empty error queue is found out by one more system call.
func (lc *linuxConn) transmitted(wire uint16) int64 {
	for lc.left.at(wire) == 0 && lc.report.fault.Errno == 0 && lc.readReport() {
	}
	return lc.left.at(wire)
}

// await waits for a packet, for a report (which it tells), for work of the echo, for wake, or for the time.
func (lc *linuxConn) await(until time.Time) (reported bool, err error) {
	left := timeLeft(until)
	if left <= 0 {
		return false, errTimeout
	}
	lc.watch()
	own := lc.add(lc.fd, unix.POLLIN)
	if lc.echo != nil {
		lc.add(lc.echo.fd, unix.POLLIN)
	}
	if err := lc.wait(left); err != nil {
		return false, err
	}
	return lc.polled[own].Revents&unix.POLLERR != 0, nil
}

// readMessage reads a message without waiting.
func (lc *linuxConn) readMessage(p *packet, b []byte) error {
	if !lc.plain {
		if err := lc.read(b, 0); err != nil {
			return err
		}
		*p = lc.got.packet
		p.opaque = lc.opaque
		return nil
	}
	var name *unix.RawSockaddrAny
	if lc.open {
		name, lc.header.Namelen = &lc.name, unix.SizeofSockaddrAny
	}
	n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(lc.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
		uintptr(len(b)), unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(&lc.header.Namelen)))
	if e != 0 {
		return e
	}
	*p = packet{}
	p.msg, p.from, p.opaque = b[:n], lc.sender(), lc.opaque
	return nil
}

// read sets got by one recvmsg that does not wait.
func (lc *linuxConn) read(b []byte, flags uintptr) error {
	lc.iov.Base = unsafe.SliceData(b)
	lc.iov.SetLen(len(b))
	lc.header = unix.Msghdr{Iov: &lc.iov, Control: &lc.control[0]}
	if lc.open {
		lc.header.Name, lc.header.Namelen = (*byte)(unsafe.Pointer(&lc.name)), unix.SizeofSockaddrAny
	}
	lc.header.SetIovlen(1)
	lc.header.SetControllen(len(lc.control))
	n, _, e := syscall.RawSyscall(unix.SYS_RECVMSG, uintptr(lc.fd), uintptr(unsafe.Pointer(&lc.header)), unix.MSG_DONTWAIT|flags)
	if e != 0 {
		return e
	}
	lc.got = received{}
	lc.got.msg, lc.got.from = b[:n], lc.sender()
	if lc.stamped {
		lc.got.at = time.Now()
	}
	parseControl(lc.control[:min(int(lc.header.Controllen), len(lc.control))], &lc.got)
	return nil
}

// sender is the address that the kernel filled in, or the only one that it can be.
func (lc *linuxConn) sender() netip.Addr {
	switch {
	case !lc.open:
		return lc.target
	case lc.header.Namelen >= unix.SizeofSockaddrInet4 && lc.name.Addr.Family == unix.AF_INET:
		return netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&lc.name)).Addr)
	case lc.header.Namelen >= unix.SizeofSockaddrInet6 && lc.name.Addr.Family == unix.AF_INET6:
		from := netip.AddrFrom16((*unix.RawSockaddrInet6)(unsafe.Pointer(&lc.name)).Addr)
		if lc.target.Zone() != "" && from == lc.target.WithZone("") {
			return lc.target // the kernel gives the zone as a number
		}
		return from
	}
	return netip.Addr{}
}

// drops reads the last entry of SO_MEMINFO (linux/sock_diag.h, SK_MEMINFO_DROPS).
func (lc *linuxConn) drops() (uint64, bool) {
	var memory [unix.SK_MEMINFO_VARS]uint32
	size := uint32(unsafe.Sizeof(memory))
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(lc.fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&memory)), uintptr(unsafe.Pointer(&size)), 0)
	return uint64(memory[unix.SK_MEMINFO_DROPS]), e == 0 && size == uint32(unsafe.Sizeof(memory))
}

func (lc *linuxConn) socket() Socket { return lc.sock }

func (lc *linuxConn) close() error {
	err := unix.Close(lc.fd)
	closeAll(lc.wakeFD)
	if lc.echo != nil {
		closeAll(lc.echo.fd)
	}
	return os.NewSyscallError("close", err)
}
