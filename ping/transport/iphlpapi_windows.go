package transport

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

const (
	flagDontFragment = 0x2 // IP_FLAG_DF
	defaultTTL       = 128 // what Windows takes if no options are given
	errorLen         = 8   // an ICMP error message, for which a reply buffer must have room
	statusBlockLen   = 16  // IO_STATUS_BLOCK, likewise
	minWait          = 100 // how long a call waits at least, in ms

	// Layout of ICMPV6_ECHO_REPLY (ipexport.h): the address is packed (port, flow label, address, scope) and padded to
	// 28 bytes, then the status and the round trip in ms; the data follows.
	replyAddrV6   = 6
	replyStatusV6 = 28
	replyLenV6    = 36
)

// ipOptions is IP_OPTION_INFORMATION (ipexport.h).
type ipOptions struct {
	ttl, tos, flags, size uint8
	data                  uintptr
}

// echoReplyV4 is ICMP_ECHO_REPLY (ipexport.h): 40 bytes, 28 on 32-bit systems.
type echoReplyV4 struct {
	addr             [4]byte
	status, rttMilli uint32
	dataSize, _      uint16
	data             uintptr
	options          ipOptions
}

// answer is how one echo request ended.
type answer struct {
	// status is an IP_STATUS (ipexport.h; 0 is success) or a Windows error number.
	status uint32
	// answered says that a message came back; from is who sent it.
	answered bool
	from     netip.Addr
	// ttl is 0 if it is not told.
	ttl int
	// data is that of an echo reply; it lies in the buffer of the call.
	data []byte
	rtt  time.Duration
}

// iphlpapi makes echo requests through IcmpSendEcho2Ex and Icmp6SendEcho2. They need no privilege.
type iphlpapi struct {
	handle           uintptr
	call, closeCall  *windows.LazyProc
	v6               bool
	target4, source4 uint32 // in network order
	target6, source6 windows.RawSockaddrInet6
	options          *ipOptions
	wait             uint32 // how long a call may take, in ms
	watch            stopwatch
}

// openAPI opens a handle for requests as c describes them. A late answer is still one, so a call goes on after the
// probe's timeout.
func openAPI(c Config) (*iphlpapi, error) {
	watch, err := newStopwatch()
	if err != nil {
		return nil, err
	}
	dll := windows.NewLazySystemDLL("iphlpapi.dll")
	create, call := dll.NewProc("IcmpCreateFile"), dll.NewProc("IcmpSendEcho2Ex")
	if c.Address.Is6() {
		create, call = dll.NewProc("Icmp6CreateFile"), dll.NewProc("Icmp6SendEcho2")
	}
	api := &iphlpapi{
		call: call, closeCall: dll.NewProc("IcmpCloseHandle"), v6: c.Address.Is6(), options: optionsOf(c), watch: watch,
		wait: uint32(min(max(2*c.Timeout.Milliseconds(), minWait), 1<<31-1)),
	}
	if err := errors.Join(create.Find(), call.Find(), api.closeCall.Find(), api.address(c)); err != nil {
		return nil, err
	}
	if api.handle, _, err = create.Call(); windows.Handle(api.handle) == windows.InvalidHandle {
		return nil, os.NewSyscallError(create.Name, err)
	}
	return api, nil
}

// optionsOf is nil if c leaves everything to the system.
func optionsOf(c Config) *ipOptions {
	if c.TTL == 0 && c.TOS == 0 && c.PathMTU != PathMTUDo {
		return nil
	}
	o := &ipOptions{ttl: defaultTTL, tos: uint8(c.TOS)}
	if c.TTL != 0 {
		o.ttl = uint8(c.TTL)
	}
	if c.PathMTU == PathMTUDo {
		o.flags = flagDontFragment
	}
	return o
}

// sender is the address to ask in the name of. If the target could be another host's one day it is the target
// itself, so that an echo cannot leave this one; for 127.0.0.0/8 and ::1 it is the system's choice, as in ping.exe.
func sender(c Config) netip.Addr {
	switch {
	case c.Source.IsValid() || !c.Address.IsLoopback():
		return c.source()
	case c.Address.Is4():
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// address sets who is asked and in whose name.
func (api *iphlpapi) address(c Config) (err error) {
	if !api.v6 {
		target, source := c.Address.As4(), sender(c).As4()
		api.target4, api.source4 = binary.NativeEndian.Uint32(target[:]), binary.NativeEndian.Uint32(source[:])
		return nil
	}
	if api.source6, err = sockaddrV6(sender(c)); err != nil {
		return err
	}
	api.target6, err = sockaddrV6(c.Address)
	return err
}

// sockaddrV6 is the socket address of a; its zone is an index or a name.
func sockaddrV6(a netip.Addr) (windows.RawSockaddrInet6, error) {
	sa := windows.RawSockaddrInet6{Family: windows.AF_INET6, Addr: a.As16()}
	if a.Zone() == "" {
		return sa, nil
	}
	if index, err := strconv.ParseUint(a.Zone(), 10, 32); err == nil {
		sa.Scope_id = uint32(index)
		return sa, nil
	}
	ifi, err := net.InterfaceByName(a.Zone())
	if err != nil {
		return sa, err
	}
	sa.Scope_id = uint32(ifi.Index)
	return sa, nil
}

// replyRoom is how long the buffer of a call with so many data bytes must be.
func replyRoom(size int) int {
	return int(unsafe.Sizeof(echoReplyV4{})) + size + errorLen + statusBlockLen
}

// echo sends the request of x and waits for its answer.
func (api *iphlpapi) echo(x *exchange) {
	data := x.msg[HeaderLen:]
	if api.v6 {
		spoil(x.buf[replyLenV6:], data)
	}
	api.watch.read(&x.start)
	n, e := api.ask(data, x.buf)
	api.watch.read(&x.end)
	x.answer = answer{status: ipGeneralFailure}
	switch {
	case n == 0 && e != 0:
		x.answer.status = uint32(e)
	case n > 0 && api.v6:
		x.answer = parseReplyV6(x.buf, len(data))
	case n > 0:
		x.answer = parseReplyV4(x.buf, uintptr(unsafe.Pointer(unsafe.SliceData(x.buf))))
	}
	x.answer.rtt = api.watch.duration(x.end - x.start)
}

// spoil fills b with bytes unlike data. A reply of IPv6 does not tell how long its data is: so a shorter one shows.
func spoil(b, data []byte) {
	for i, c := range data {
		b[i] = ^c
	}
}

// ask returns how many replies the system wrote to buf; if there is none, the error says why.
func (api *iphlpapi) ask(data, buf []byte) (n uintptr, e syscall.Errno) {
	if api.v6 {
		n, _, e = syscall.SyscallN(api.call.Addr(), api.handle, 0, 0, 0,
			uintptr(unsafe.Pointer(&api.source6)), uintptr(unsafe.Pointer(&api.target6)),
			uintptr(unsafe.Pointer(unsafe.SliceData(data))), uintptr(len(data)), uintptr(unsafe.Pointer(api.options)),
			uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), uintptr(api.wait))
		return n, e
	}
	n, _, e = syscall.SyscallN(api.call.Addr(), api.handle, 0, 0, 0, uintptr(api.source4), uintptr(api.target4),
		uintptr(unsafe.Pointer(unsafe.SliceData(data))), uintptr(len(data)), uintptr(unsafe.Pointer(api.options)),
		uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), uintptr(api.wait))
	return n, e
}

func (api *iphlpapi) close() error {
	if ok, _, err := api.closeCall.Call(api.handle); ok == 0 {
		return os.NewSyscallError(api.closeCall.Name, err)
	}
	return nil
}

// answerFrom is an answer without data. A reply from no address is what this host's own stack says.
func answerFrom(from netip.Addr, status uint32) answer {
	if from.IsUnspecified() {
		return answer{status: status}
	}
	return answer{status: status, answered: true, from: from}
}

// parseReplyV4 reads the ICMP_ECHO_REPLY at the start of b, a buffer that the system knows under the address base.
func parseReplyV4(b []byte, base uintptr) answer {
	var r echoReplyV4
	if len(b) < int(unsafe.Sizeof(r)) {
		return answer{status: ipGeneralFailure}
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&r)), unsafe.Sizeof(r)), b)
	a := answerFrom(netip.AddrFrom4(r.addr), r.status)
	a.ttl = int(r.options.ttl)
	if r.status != ipSuccess || r.dataSize == 0 {
		return a
	}
	// An address below base becomes a huge offset.
	if start := r.data - base; start <= uintptr(len(b)) && uintptr(r.dataSize) <= uintptr(len(b))-start {
		a.data = b[start : start+uintptr(r.dataSize)]
		return a
	}
	return answer{status: ipGeneralFailure}
}

// parseReplyV6 reads the ICMPV6_ECHO_REPLY at the start of b, which was asked for with size data bytes.
func parseReplyV6(b []byte, size int) answer {
	if len(b) < replyLenV6+size {
		return answer{status: ipGeneralFailure}
	}
	from := netip.AddrFrom16([16]byte(b[replyAddrV6 : replyAddrV6+16]))
	a := answerFrom(from, binary.NativeEndian.Uint32(b[replyStatusV6:]))
	if a.status == ipSuccess {
		a.data = b[replyLenV6 : replyLenV6+size]
	}
	return a
}
