package ping

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// linuxConn uses the socket below the netpoller: a read that finds its reply costs one system call, a wait is exact
// to some 50 us where the netpoller rounds up to milliseconds, and what the kernel reports about earlier probes is
// read from the error queue (ip(7), IP_RECVERR).
type linuxConn struct {
	fd     int
	wakeFD int // an eventfd (eventfd(2))
	sock   Socket

	dst    unix.RawSockaddrAny
	dstLen uintptr

	// What recvmsg fills; kept here so that a read allocates nothing.
	header  unix.Msghdr
	iov     unix.Iovec
	name    unix.RawSockaddrAny
	control [512]byte
}

// upgrade replaces the portable conn by a faster one where the system has one.
func upgrade(ic *icmpConn) (conn, error) {
	defer ic.close()
	lc := &linuxConn{fd: -1, wakeFD: -1, sock: ic.sock}
	if err := lc.setDestination(ic.target); err != nil {
		return nil, err
	}
	err := ic.control(func(fd int) (err error) {
		lc.fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		return os.NewSyscallError("fcntl", err)
	})
	if err != nil {
		return nil, err
	}
	if lc.wakeFD, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		unix.Close(lc.fd)
		return nil, os.NewSyscallError("eventfd", err)
	}
	return lc, nil
}

// setDestination makes the socket address that every send uses.
func (lc *linuxConn) setDestination(to netip.Addr) error {
	if to.Is4() {
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&lc.dst))
		sa.Family, sa.Addr = unix.AF_INET, to.As4()
		lc.dstLen = unix.SizeofSockaddrInet4
		return nil
	}
	sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(&lc.dst))
	sa.Family, sa.Addr = unix.AF_INET6, to.As16()
	lc.dstLen = unix.SizeofSockaddrInet6
	if to.Zone() == "" {
		return nil
	}
	ifi, err := net.InterfaceByName(to.Zone())
	if err != nil {
		return err
	}
	sa.Scope_id = uint32(ifi.Index)
	return nil
}

func (lc *linuxConn) send(msg []byte) error {
	_, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(lc.fd), uintptr(unsafe.Pointer(unsafe.SliceData(msg))),
		uintptr(len(msg)), unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&lc.dst)), lc.dstLen)
	if e != 0 {
		return os.NewSyscallError("sendto", e)
	}
	return nil
}

// recv reads without waiting first: on loopback the reply is there when send returns.
func (lc *linuxConn) recv(b []byte, until time.Time) (packet, error) {
	reported := false
	for {
		p, err := lc.read(b, 0)
		if err == nil {
			return p, nil
		}
		idle := err == unix.EAGAIN || err == unix.EINTR
		if reported || !idle { // the errno of a read is only the sign that a report is waiting
			if p, rerr := lc.read(b, unix.MSG_ERRQUEUE); rerr == nil {
				return p, nil
			}
		}
		if !idle {
			return packet{}, os.NewSyscallError("recvmsg", err)
		}
		if reported, err = lc.wait(until); err != nil {
			return packet{}, err
		}
	}
}

// wait waits for a packet, for a report (which it tells), for wake, or for the time.
func (lc *linuxConn) wait(until time.Time) (reported bool, err error) {
	if until.IsZero() {
		return false, errTimeout
	}
	left := time.Until(until)
	if left <= 0 {
		return false, errTimeout
	}
	fds := [2]unix.PollFd{{Fd: int32(lc.fd), Events: unix.POLLIN}, {Fd: int32(lc.wakeFD), Events: unix.POLLIN}}
	timeout := unix.NsecToTimespec(int64(left))
	n, err := unix.Ppoll(fds[:], &timeout, nil)
	switch {
	case err == unix.EINTR:
		return false, nil // the runtime interrupts threads for its own ends
	case err != nil:
		return false, os.NewSyscallError("ppoll", err)
	case n == 0:
		return false, errTimeout
	case fds[1].Revents != 0:
		var count [8]byte
		unix.Read(lc.wakeFD, count[:])
		return false, errWoken
	}
	return fds[0].Revents&unix.POLLERR != 0, nil
}

// read is one recvmsg that does not wait.
func (lc *linuxConn) read(b []byte, flags uintptr) (packet, error) {
	lc.iov.Base = unsafe.SliceData(b)
	lc.iov.SetLen(len(b))
	lc.header = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&lc.name)), Namelen: unix.SizeofSockaddrAny, Iov: &lc.iov, Control: &lc.control[0]}
	lc.header.SetIovlen(1)
	lc.header.SetControllen(len(lc.control))
	n, _, e := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(lc.fd), uintptr(unsafe.Pointer(&lc.header)), unix.MSG_DONTWAIT|flags)
	if e != 0 {
		return packet{}, e
	}
	p := packet{msg: b[:n], from: lc.sender()}
	parseControl(lc.control[:min(int(lc.header.Controllen), len(lc.control))], &p)
	return p, nil
}

// sender is the address that the kernel filled in.
func (lc *linuxConn) sender() netip.Addr {
	switch {
	case lc.header.Namelen >= unix.SizeofSockaddrInet4 && lc.name.Addr.Family == unix.AF_INET:
		return netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&lc.name)).Addr)
	case lc.header.Namelen >= unix.SizeofSockaddrInet6 && lc.name.Addr.Family == unix.AF_INET6:
		return netip.AddrFrom16((*unix.RawSockaddrInet6)(unsafe.Pointer(&lc.name)).Addr)
	}
	return netip.Addr{}
}

func (lc *linuxConn) wake() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	unix.Write(lc.wakeFD, one[:])
}

func (lc *linuxConn) socket() Socket { return lc.sock }

func (lc *linuxConn) close() error {
	err := unix.Close(lc.fd)
	unix.Close(lc.wakeFD)
	return os.NewSyscallError("close", err)
}
