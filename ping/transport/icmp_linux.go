//go:build !portable

package transport

import (
	"os"

	"golang.org/x/net/bpf"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// icmpConn carries echo requests over an ICMP socket.
type icmpConn struct{ datagrams }

// openICMP opens a socket as on other systems, and takes over its descriptor.
func openICMP(c Config, method string) (Conn, Socket, error) {
	fd := -1
	packets, s, err := listenICMP(c, method, func(inner int) (err error) {
		fd, err = unix.FcntlInt(uintptr(inner), unix.F_DUPFD_CLOEXEC, 3)
		return os.NewSyscallError("fcntl", err)
	})
	if err != nil {
		return nil, s, err
	}
	packets.Close()
	if err := setProbeOptions(fd, c); err != nil {
		unix.Close(fd)
		return nil, s, err
	}
	ic := new(icmpConn)
	if err := ic.takeOver(fd, c, &s); err != nil {
		return nil, s, err
	}
	return ic, s, nil
}

// setFilter lets only our own echo replies into a raw socket. The ICMP filter (linux/icmp.h, RFC 3542 section 3.2)
// stands for the type, a socket filter for the identifier, so that another program's flood cannot fill our queue.
func setFilter(packets *icmp.PacketConn, ident uint16) error {
	if v4 := packets.IPv4PacketConn(); v4 != nil {
		var types ipv4.ICMPFilter
		types.SetAll(true)
		types.Accept(ipv4.ICMPTypeEchoReply)
		if err := v4.SetICMPFilter(&types); err != nil {
			return err
		}
		filter, err := identFilter(ident, bpf.LoadMemShift{Off: 0}, bpf.LoadIndirect{Off: 4, Size: 2}) // behind the IPv4 header
		if err != nil {
			return err
		}
		return v4.SetBPF(filter)
	}
	v6 := packets.IPv6PacketConn()
	var types ipv6.ICMPFilter
	types.SetAll(true)
	types.Accept(ipv6.ICMPTypeEchoReply)
	if err := v6.SetICMPFilter(&types); err != nil {
		return err
	}
	filter, err := identFilter(ident, bpf.LoadAbsolute{Off: 4, Size: 2}) // the socket sees no IP header
	if err != nil {
		return err
	}
	return v6.SetBPF(filter)
}

// identFilter accepts a message whose identifier, as load finds it, is ours.
func identFilter(ident uint16, load ...bpf.Instruction) ([]bpf.RawInstruction, error) {
	return bpf.Assemble(append(load,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(ident), SkipFalse: 1},
		bpf.RetConstant{Val: 1 << 18},
		bpf.RetConstant{Val: 0},
	))
}
