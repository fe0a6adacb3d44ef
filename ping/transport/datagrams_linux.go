//go:build !portable

package transport

import (
	"encoding/binary"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// datagrams is a socket for datagrams, used below the netpoller: a read that finds its reply costs one system call, a
// wait is exact to some 50 us (the netpoller rounds up to milliseconds), and what the kernel reports about earlier
// messages is read from the error queue (ip(7), IP_RECVERR), with the stamps of when they left.
type datagrams struct {
	waiter
	fd     int
	target netip.Addr
	// opaque is set if a service answers.
	opaque bool

	// dst is nil if the socket is connected: the kernel then knows it.
	dst    *unix.RawSockaddrAny
	dstLen uintptr
	// anyone is set if others than the target are heard: a connected raw socket hears nobody else, an ICMP datagram
	// socket does (net/ipv4/ping.c, ping_lookup).
	anyone bool

	// plain says that there is nothing to read but data and sender: no stamps, no TTL.
	plain   bool
	stamped bool
	// stampEvery says which messages get a transmit stamp: the first, and each so many later. It divides the number of
	// sequence numbers.
	stampEvery uint16
	stamping   bool
	// reported says that reports may wait in the error queue.
	reported bool
	left     transmissions
	// report is one that turned up while stamps were read; Recv returns it next.
	report    Packet
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

// takeOver takes over a bound socket, and closes it if it fails. It works in place: a copy would make the stack grow.
func (d *datagrams) takeOver(fd int, c Config, s *Socket) (err error) {
	d.fd, d.target = fd, c.Address
	if d.waiter, err = newWaiter(c.Precise); err != nil {
		unix.Close(fd)
		return err
	}
	d.watch(fd)
	if err = d.setUp(c, s); err != nil {
		d.Close()
	}
	return err
}

// setUp connects the socket, which saves the kernel a look-up a message, and asks for time stamps. If connect is
// refused every send will be too, and says so for its message. If there are no stamps the run does without.
func (d *datagrams) setUp(c Config, s *Socket) error {
	to, err := rawAddress(netip.AddrPortFrom(c.Address, s.Port))
	if err != nil {
		return err
	}
	e := to.connect(d.fd)
	d.anyone = e != 0 || s.Method == MethodDgram
	if e != 0 {
		d.dst, d.dstLen = &to.sa, to.length
	}
	d.discard()
	if !c.UserTime {
		d.stamped = d.stamp(true) == nil
		s.Stamps = d.stamped
	}
	d.stampEvery = 1
	if c.SampleStamps {
		d.stampEvery = stampSample
	}
	d.plain = c.NoTTL && !d.stamped
	return nil
}

// discard empties the queue of what came before the filter was there: a raw socket takes everything at first, and
// the flood of another program could leave no room for our first reply.
func (d *datagrams) discard() {
	for range maxAttempts {
		if d.read(d.reportBuf[:], 0) == unix.EAGAIN {
			return
		}
	}
}

// stamp makes sends get a transmit stamp or not.
func (d *datagrams) stamp(sends bool) error {
	flags := stampArrivals
	if sends {
		flags |= stampSends
	}
	d.stamping = sends
	return unix.SetsockoptInt(d.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, flags)
}

// shareOf is which transmit stamp the message with this sequence number belongs to, and whether it is the one that gets it.
func (d *datagrams) shareOf(wire uint16) (number uint16, gets bool) {
	return (wire - 1) / d.stampEvery, (wire-1)%d.stampEvery == 0
}

func (d *datagrams) Send(msg []byte) error {
	wire := binary.BigEndian.Uint16(msg[6:])
	number, gets := d.shareOf(wire)
	if d.stamped && gets != d.stamping {
		_ = d.stamp(gets) // granted before
	}
	_, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(d.fd), uintptr(unsafe.Pointer(unsafe.SliceData(msg))),
		uintptr(len(msg)), unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(d.dst)), d.dstLen)
	if d.stamping {
		d.left.add(number, e == 0)
	}
	if e != 0 {
		d.reported = true // a report may be why
		return os.NewSyscallError("sendto", e)
	}
	if _, next := d.shareOf(wire + 1); d.stamped && next != d.stamping {
		_ = d.stamp(next) // now, when no probe's time counts it
	}
	return nil
}

func (d *datagrams) Recv(p *Packet, b []byte, until time.Time) error {
	for {
		if err := d.try(p, b); err != ErrTimeout {
			return err
		}
		if err := d.await(until); err != nil {
			return err
		}
	}
}

// try reads a message or a report without waiting; ErrTimeout if there is none.
func (d *datagrams) try(p *Packet, b []byte) error {
	if d.takeReport(p) {
		return nil
	}
	e := d.readMessage(p, b)
	if e == 0 {
		return nil
	}
	if d.stamped || d.reported || !idle(e) { // the errno of a read is only the sign that a report is waiting
		d.readReports()
		if d.takeReport(p) {
			return nil
		}
		d.reported = false
	}
	if !idle(e) {
		return os.NewSyscallError("recvmsg", e)
	}
	return ErrTimeout
}

// takeReport sets p to the report that waits, if one does.
func (d *datagrams) takeReport(p *Packet) bool {
	if d.report.Fault.Errno == 0 {
		return false
	}
	*p, d.report = d.report, Packet{}
	return true
}

// readReports empties the error queue: of all stamps, and up to the first report about a message.
func (d *datagrams) readReports() {
	for d.report.Fault.Errno == 0 && d.readReport() {
	}
}

// readReport takes one stamp or report off the error queue, if there is one.
func (d *datagrams) readReport() bool {
	p := &d.got
	switch e := d.read(d.reportBuf[:], unix.MSG_ERRQUEUE); {
	case e != 0:
		return false
	case p.stamp:
		d.left.stamp(p.stampID, p.Kernel)
	case p.Fault.Errno != 0:
		d.report = p.Packet
	}
	return true
}

// Transmitted reads no further than it must: an empty error queue is found out by one more system call.
func (d *datagrams) Transmitted(wire uint16) int64 {
	number, stamped := d.shareOf(wire)
	if !stamped {
		return 0
	}
	for d.left.at(number) == 0 && d.report.Fault.Errno == 0 && d.readReport() {
	}
	return d.left.at(number)
}

// await waits for a packet, for a report, for Wake, or for the time.
func (d *datagrams) await(until time.Time) error {
	left := timeLeft(until)
	if left <= 0 {
		return ErrTimeout
	}
	if err := d.wait(left); err != nil {
		return err
	}
	d.reported = d.reported || d.polled[1].Revents&unix.POLLERR != 0
	return nil
}

// readMessage reads a message without waiting.
func (d *datagrams) readMessage(p *Packet, b []byte) syscall.Errno {
	if !d.plain {
		if e := d.read(b, 0); e != 0 {
			return e
		}
		*p = d.got.Packet
		p.Opaque = d.opaque
		return 0
	}
	var name *unix.RawSockaddrAny
	if d.anyone {
		name, d.header.Namelen = &d.name, unix.SizeofSockaddrAny
	}
	n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(d.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
		uintptr(len(b)), unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(&d.header.Namelen)))
	if e != 0 {
		return e
	}
	*p = Packet{}
	p.Msg, p.From, p.Opaque = b[:n], d.sender(), d.opaque
	return 0
}

// read sets got by one recvmsg that does not wait.
func (d *datagrams) read(b []byte, flags uintptr) syscall.Errno {
	d.iov.Base = unsafe.SliceData(b)
	d.iov.SetLen(len(b))
	d.header = unix.Msghdr{Iov: &d.iov, Control: &d.control[0]}
	if d.anyone {
		d.header.Name, d.header.Namelen = (*byte)(unsafe.Pointer(&d.name)), unix.SizeofSockaddrAny
	}
	d.header.SetIovlen(1)
	d.header.SetControllen(len(d.control))
	n, _, e := syscall.RawSyscall(unix.SYS_RECVMSG, uintptr(d.fd), uintptr(unsafe.Pointer(&d.header)), unix.MSG_DONTWAIT|flags)
	if e != 0 {
		return e
	}
	d.got = received{}
	d.got.Msg, d.got.From = b[:n], d.sender()
	if d.stamped {
		d.got.At = time.Now()
	}
	parseControl(d.control[:min(int(d.header.Controllen), len(d.control))], &d.got)
	return 0
}

// sender is the address that the kernel filled in, or the only one that it can be.
func (d *datagrams) sender() netip.Addr {
	switch {
	case !d.anyone:
		return d.target
	case d.header.Namelen >= unix.SizeofSockaddrInet4 && d.name.Addr.Family == unix.AF_INET:
		return netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&d.name)).Addr)
	case d.header.Namelen >= unix.SizeofSockaddrInet6 && d.name.Addr.Family == unix.AF_INET6:
		from := netip.AddrFrom16((*unix.RawSockaddrInet6)(unsafe.Pointer(&d.name)).Addr)
		if d.target.Zone() != "" && from == d.target.WithZone("") {
			return d.target // the kernel gives the zone as a number
		}
		return from
	}
	return netip.Addr{}
}

// Drops reads the last entry of SO_MEMINFO (linux/sock_diag.h, SK_MEMINFO_DROPS).
func (d *datagrams) Drops() (uint64, bool) {
	memory, ok := d.memory()
	return uint64(memory[unix.SK_MEMINFO_DROPS]), ok
}

// Room divides the receive buffer by what an answer takes of it at most: its data in a block that may be twice as large,
// the skb around it, and the transmit stamp, which counts against the receive buffer too until it is read. Measured with
// stamps on Linux 6.18: 1664 bytes for 56 data bytes, 3136 for 1000, 9280 for 4000, 67171 for 65507.
func (d *datagrams) Room(size int) int {
	memory, _ := d.memory()
	return int(memory[unix.SK_MEMINFO_RCVBUF]) / (2*size + 2048)
}

func (d *datagrams) memory() (memory [unix.SK_MEMINFO_VARS]uint32, ok bool) {
	size := uint32(unsafe.Sizeof(memory))
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(d.fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&memory)), uintptr(unsafe.Pointer(&size)), 0)
	return memory, e == 0 && size == uint32(unsafe.Sizeof(memory))
}

func (d *datagrams) Close() error {
	err := unix.Close(d.fd)
	d.waiter.close()
	return os.NewSyscallError("close", err)
}
