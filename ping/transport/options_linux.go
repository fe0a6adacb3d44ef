package transport

import (
	"encoding/binary"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// setProbeOptions sets what c asks for on a socket that sends datagrams. It also asks for the TTL of answers and for what
// the kernel learns about messages; a run can do without both.
func setProbeOptions(fd int, c Config) error {
	level, hops := unix.IPPROTO_IP, unix.IP_RECVTTL
	if c.Address.Is6() {
		level, hops = unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT
	}
	if !c.NoTTL {
		_ = unix.SetsockoptInt(fd, level, hops, 1)
	}
	setReports(fd, c.Address.Is6())
	return setClientOptions(fd, c)
}

// setReports asks the kernel for what it learns about messages sent earlier (ip(7), IP_RECVERR). A system
// without the option tells less.
func setReports(fd int, v6 bool) {
	level, recvErr := unix.IPPROTO_IP, unix.IP_RECVERR
	if v6 {
		level, recvErr = unix.IPPROTO_IPV6, unix.IPV6_RECVERR
	}
	_ = unix.SetsockoptInt(fd, level, recvErr, 1)
}

// setPath sets the path-MTU mode and the interface.
func setPath(fd int, c Config) error {
	level, discover := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER
	if c.Address.Is6() {
		level, discover = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER
	}
	if c.PathMTU != PathMTUDefault {
		// IP_PMTUDISC_* and IPV6_PMTUDISC_* are the same numbers (linux/in.h, linux/in6.h).
		mode := map[PathMTU]int{
			PathMTUDont: unix.IP_PMTUDISC_DONT, PathMTUWant: unix.IP_PMTUDISC_WANT,
			PathMTUDo: unix.IP_PMTUDISC_DO, PathMTUProbe: unix.IP_PMTUDISC_PROBE,
		}[c.PathMTU]
		if err := unix.SetsockoptInt(fd, level, discover, mode); err != nil {
			return os.NewSyscallError("setsockopt IP_MTU_DISCOVER", err)
		}
	}
	if c.Address == netip.IPv6Loopback() && c.Interface == "" {
		keepInside(fd)
	}
	if c.Interface != "" {
		return os.NewSyscallError("setsockopt SO_BINDTODEVICE", unix.BindToDevice(fd, c.Interface))
	}
	return nil
}

// keepInside sends by the loopback interface alone. Bound to ::1 an echo stays here while the local table knows that
// address; without its route or rule it would leave by a default route. The interface has index 1 in every network
// namespace (include/net/flow.h, LOOPBACK_IFINDEX). A system without the option routes as it likes.
func keepInside(fd int) {
	var index [4]byte
	binary.BigEndian.PutUint32(index[:], 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_IF, int(int32(binary.NativeEndian.Uint32(index[:]))))
}
