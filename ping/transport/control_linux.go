//go:build !portable

package transport

import (
	"encoding/binary"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// Layout of struct sock_extended_err (linux/errqueue.h): errno, origin, type, code, padding, info, data; the address
// of who reported follows.
const (
	extErrLen       = 16
	originICMP      = 2 // SO_EE_ORIGIN_ICMP
	originICMP6     = 3 // SO_EE_ORIGIN_ICMP6
	originStamp     = 4 // SO_EE_ORIGIN_TIMESTAMPING
	extErrData      = 12
	offenderAddrV4  = extErrLen + 4
	offenderAddrV6  = extErrLen + 8
	offenderEndOfV4 = offenderAddrV4 + 4
	offenderEndOfV6 = offenderAddrV6 + 16
)

// received is what one recvmsg brought: a packet, or the news when an earlier one left.
type received struct {
	Packet
	// stamp is set if this only says when send stampID left.
	stamp   bool
	stampID uint32
}

// parseControl reads the control messages of one recvmsg (cmsg(3)) into p: the TTL or hop limit, the stamp, and
// what the kernel reports about a message sent earlier. What does not fit is passed over.
func parseControl(b []byte, p *received) {
	for len(b) >= unix.SizeofCmsghdr {
		// cmsg_len is a size_t, the two ints after it are the level and the type.
		length := uint64(binary.NativeEndian.Uint32(b))
		if unix.SizeofCmsghdr == 16 {
			length = binary.NativeEndian.Uint64(b)
		}
		if length < unix.SizeofCmsghdr || length > uint64(len(b)) {
			return
		}
		level := int32(binary.NativeEndian.Uint32(b[unix.SizeofCmsghdr-8:]))
		typ := int32(binary.NativeEndian.Uint32(b[unix.SizeofCmsghdr-4:]))
		applyControl(level, typ, b[unix.SizeofCmsghdr:length], p)
		b = b[min(uint64(unix.CmsgSpace(int(length)-unix.SizeofCmsghdr)), uint64(len(b))):]
	}
}

// applyControl takes one control message into p.
func applyControl(level, typ int32, data []byte, p *received) {
	switch {
	case level == unix.IPPROTO_IP && typ == unix.IP_TTL && len(data) >= 4,
		level == unix.IPPROTO_IPV6 && typ == unix.IPV6_HOPLIMIT && len(data) >= 4:
		p.TTL = int(binary.NativeEndian.Uint32(data) & 0xff)
	case level == unix.SOL_SOCKET && typ == unix.SCM_TIMESTAMPING:
		p.Kernel = parseStamp(data)
	case level == unix.IPPROTO_IP && typ == unix.IP_RECVERR && len(data) >= extErrLen,
		level == unix.IPPROTO_IPV6 && typ == unix.IPV6_RECVERR && len(data) >= extErrLen:
		applyReport(data, p)
	}
}

// applyReport takes a struct sock_extended_err into p.
func applyReport(data []byte, p *received) {
	if data[4] == originStamp {
		p.stamp, p.stampID = true, binary.NativeEndian.Uint32(data[extErrData:])
		return
	}
	p.Fault = Fault{
		Errno: syscall.Errno(binary.NativeEndian.Uint32(data)),
		ICMP:  data[4] == originICMP || data[4] == originICMP6,
		Type:  data[5],
		Code:  data[6],
	}
	var family uint16
	if len(data) >= extErrLen+2 {
		family = binary.NativeEndian.Uint16(data[extErrLen:])
	}
	switch {
	case family == unix.AF_INET && len(data) >= offenderEndOfV4:
		p.From = netip.AddrFrom4([4]byte(data[offenderAddrV4:offenderEndOfV4]))
	case family == unix.AF_INET6 && len(data) >= offenderEndOfV6:
		p.From = netip.AddrFrom16([16]byte(data[offenderAddrV6:offenderEndOfV6]))
	}
}
