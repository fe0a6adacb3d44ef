//go:build !windows

package transport

import (
	"errors"
	"net"
	"runtime"
	"syscall"

	"golang.org/x/net/icmp"
)

// listenICMP opens an ICMP socket of one kind with its options, bound to the source, and calls f with its descriptor.
// A datagram socket is for those whom the system lets (Linux: net/ipv4/ping.c, ping_group_range), a raw one for root.
func listenICMP(c Config, method string, f func(fd int) error) (*icmp.PacketConn, Socket, error) {
	if c.source() != c.Address { // a socket bound to another address could send to a target that is gone from here
		if err := onThisHost(c); err != nil {
			return nil, Socket{}, err
		}
	}
	packets, err := icmp.ListenPacket(icmpNetwork(c.Address.Is6(), method), c.source().String())
	if err != nil {
		return nil, Socket{}, err
	}
	s := describeSocket(c, method, 0)
	s.Checksum = c.Address.Is4() && (method == MethodRaw || runtime.GOOS != "linux")
	// Linux chooses the identifier of a datagram socket and shows it as the port; elsewhere the port is 0 and the choice is ours.
	if port := portOf(packets.LocalAddr()); port != 0 {
		s.Ident = port
	}
	if method == MethodRaw {
		_ = setFilter(packets, s.Ident) // a run can do without: it passes over what is not for it
	}
	if err := control(packets, f); err != nil {
		packets.Close()
		return nil, Socket{}, err
	}
	return packets, s, nil
}

// icmpNetwork is the name that icmp.ListenPacket knows a socket by. Protocols are numbers: names would be looked up.
func icmpNetwork(v6 bool, method string) string {
	switch {
	case method == MethodDgram && v6:
		return "udp6"
	case method == MethodDgram:
		return "udp4"
	case v6:
		return "ip6:58"
	}
	return "ip4:1"
}

// innerConn is the socket inside: a *net.UDPConn or a *net.IPConn.
func innerConn(packets *icmp.PacketConn) net.PacketConn {
	if v4 := packets.IPv4PacketConn(); v4 != nil {
		return v4.PacketConn
	}
	return packets.IPv6PacketConn().PacketConn
}

// control calls f with the socket's descriptor.
func control(packets *icmp.PacketConn, f func(fd int) error) error {
	sc, ok := innerConn(packets).(syscall.Conn)
	if !ok {
		return errors.ErrUnsupported
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	var ferr error
	if err := raw.Control(func(fd uintptr) { ferr = f(int(fd)) }); err != nil {
		return err
	}
	return ferr
}
