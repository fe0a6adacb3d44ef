package ping

import (
	"encoding/binary"
	"net/netip"
	"os"

	"golang.org/x/net/bpf"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// setSystemOptions sets what x/net has no call for: error reports, path-MTU mode, interface.
func setSystemOptions(fd int, c Config) error {
	if err := setReports(fd, c.Address.Is6(), true); err != nil {
		return err
	}
	return setPath(fd, c)
}

// setReports asks the kernel for what it learns about messages sent earlier (ip(7), IP_RECVERR), or no longer.
func setReports(fd int, v6, on bool) error {
	level, recvErr, value := unix.IPPROTO_IP, unix.IP_RECVERR, 0
	if v6 {
		level, recvErr = unix.IPPROTO_IPV6, unix.IPV6_RECVERR
	}
	if on {
		value = 1
	}
	return os.NewSyscallError("setsockopt IP_RECVERR", unix.SetsockoptInt(fd, level, recvErr, value))
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

// filterV4 lets only our own echo replies into a raw socket. The ICMP filter (linux/icmp.h) stands for the type, a
// socket filter for the identifier, so that another program's flood cannot fill our queue.
func filterV4(p *ipv4.PacketConn, ident uint16) error {
	var types ipv4.ICMPFilter
	types.SetAll(true)
	types.Accept(ipv4.ICMPTypeEchoReply)
	if err := p.SetICMPFilter(&types); err != nil {
		return err
	}
	filter, err := identFilter(ident, bpf.LoadMemShift{Off: 0}, bpf.LoadIndirect{Off: 4, Size: 2}) // behind the IPv4 header
	if err != nil {
		return err
	}
	return p.SetBPF(filter)
}

// filterV6 is filterV4 for ICMPv6, where the socket sees no IP header.
func filterV6(p *ipv6.PacketConn, ident uint16) error {
	var types ipv6.ICMPFilter
	types.SetAll(true)
	types.Accept(ipv6.ICMPTypeEchoReply)
	if err := p.SetICMPFilter(&types); err != nil {
		return err
	}
	filter, err := identFilter(ident, bpf.LoadAbsolute{Off: 4, Size: 2})
	if err != nil {
		return err
	}
	return p.SetBPF(filter)
}

// identFilter accepts a message whose identifier, as load finds it, is ours.
func identFilter(ident uint16, load ...bpf.Instruction) ([]bpf.RawInstruction, error) {
	return bpf.Assemble(append(load,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(ident), SkipFalse: 1},
		bpf.RetConstant{Val: 1 << 18},
		bpf.RetConstant{Val: 0},
	))
}
