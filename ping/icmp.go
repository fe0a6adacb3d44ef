//go:build !windows

package ping

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// pollTime is how long a read without waiting may wait: the runtime refuses to read past a deadline.
const pollTime = time.Millisecond

// icmpConn is the portable conn: the runtime's netpoller does the waiting.
type icmpConn struct {
	packets *icmp.PacketConn
	v4      *ipv4.PacketConn // one of the two is set
	v6      *ipv6.PacketConn
	inner   net.PacketConn // the socket inside: *net.UDPConn or *net.IPConn
	target  netip.Addr
	dst     net.Addr // target as the socket's kind wants it
	sock    Socket
	woken   atomic.Bool
}

// listen opens a socket of one kind, sets its options and takes over its descriptor where the system has a faster
// way to use it.
func listen(c Config, method string) (conn, error) {
	ic, err := listenICMP(c, method)
	if err != nil {
		return nil, err
	}
	return upgrade(ic, c)
}

// network is the name that icmp.ListenPacket knows the socket by. Protocols are numbers: names would be looked up.
func network(v6 bool, method string) string {
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

// source is the address to bind to: the target's own, unless the caller chose one.
func source(c Config) netip.Addr {
	if c.Source.IsValid() {
		return c.Source.Unmap()
	}
	return c.Address
}

func listenICMP(c Config, method string) (*icmpConn, error) {
	v6 := c.Address.Is6()
	if c.Source.IsValid() && c.Source.Unmap() != c.Address {
		// A socket bound to another address could send to a target that is gone from here: it would leave.
		target, err := icmp.ListenPacket(network(v6, method), c.Address.String())
		if err != nil {
			return nil, err
		}
		target.Close()
	}
	packets, err := icmp.ListenPacket(network(v6, method), source(c).String())
	if err != nil {
		return nil, err
	}
	ic := &icmpConn{packets: packets, v4: packets.IPv4PacketConn(), v6: packets.IPv6PacketConn()}
	if err := ic.setUp(c, method); err != nil {
		packets.Close()
		return nil, err
	}
	return ic, nil
}

// setUp finds out the identifier and sets every option that c asks for.
func (ic *icmpConn) setUp(c Config, method string) error {
	v6 := c.Address.Is6()
	ic.target = c.Address
	ip := &net.IPAddr{IP: c.Address.AsSlice(), Zone: c.Address.Zone()}
	ic.sock = Socket{Method: method, Local: source(c), Ident: uint16(rand.Uint32())}
	ic.sock.Sum = !v6 && (method == MethodRaw || runtime.GOOS != "linux")
	ic.dst = ip
	if method == MethodDgram {
		ic.dst = &net.UDPAddr{IP: ip.IP, Zone: ip.Zone}
		// Linux chooses the identifier and shows it as the port; elsewhere the port is 0 and the choice is ours.
		if local, ok := ic.packets.LocalAddr().(*net.UDPAddr); ok && local.Port != 0 {
			ic.sock.Ident = uint16(local.Port)
		}
	}
	set := ic.setV4
	if v6 {
		set = ic.setV6
	}
	if err := set(c, method); err != nil {
		return err
	}
	return ic.control(func(fd int) error { return setSystemOptions(fd, c) })
}

func (ic *icmpConn) setV4(c Config, method string) error {
	ic.inner = ic.v4.PacketConn
	_ = ic.v4.SetControlMessage(ipv4.FlagTTL, !c.NoTTL) // a run can do without the TTL of replies
	return errors.Join(
		when(c.TTL != 0, "TTL", func() error { return ic.v4.SetTTL(c.TTL) }),
		when(c.TOS != 0, "TOS", func() error { return ic.v4.SetTOS(c.TOS) }),
		when(method == MethodRaw, "filter", func() error { return filterV4(ic.v4, ic.sock.Ident) }),
	)
}

func (ic *icmpConn) setV6(c Config, method string) error {
	ic.inner = ic.v6.PacketConn
	_ = ic.v6.SetControlMessage(ipv6.FlagHopLimit, !c.NoTTL) // a run can do without the hop limit of replies
	return errors.Join(
		when(c.TTL != 0, "hop limit", func() error { return ic.v6.SetHopLimit(c.TTL) }),
		when(c.TOS != 0, "traffic class", func() error { return ic.v6.SetTrafficClass(c.TOS) }),
		when(method == MethodRaw, "filter", func() error { return filterV6(ic.v6, ic.sock.Ident) }),
	)
}

// when sets an option that is asked for and names it in the error.
func when(asked bool, name string, set func() error) error {
	if !asked {
		return nil
	}
	if err := set(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// control calls f with the socket's descriptor.
func (ic *icmpConn) control(f func(fd int) error) error {
	sc, ok := ic.inner.(syscall.Conn)
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

func (ic *icmpConn) send(msg []byte) error {
	_, err := ic.packets.WriteTo(msg, ic.dst)
	return err
}

func (ic *icmpConn) recv(p *packet, b []byte, until time.Time) error {
	if until.IsZero() {
		until = time.Now().Add(pollTime)
	}
	if err := ic.packets.SetReadDeadline(until); err != nil {
		return err
	}
	if ic.woken.Swap(false) { // looked at after the deadline is set: wake sets the two in the other order
		return errWoken
	}
	n, ttl, from, err := ic.read(b)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		if ic.woken.Swap(false) {
			return errWoken
		}
		return errTimeout
	case err != nil:
		return err
	}
	*p = packet{msg: b[:n], ttl: ttl, from: addrOf(from)}
	return nil
}

func (ic *icmpConn) read(b []byte) (n, ttl int, from net.Addr, err error) {
	if ic.v4 != nil {
		n, cm, from, err := ic.v4.ReadFrom(b)
		if cm != nil {
			ttl = cm.TTL
		}
		return n, ttl, from, err
	}
	n, cm, from, err := ic.v6.ReadFrom(b)
	if cm != nil {
		ttl = cm.HopLimit
	}
	return n, ttl, from, err
}

// addrOf is the IP address in a; invalid where there is none.
func addrOf(a net.Addr) netip.Addr {
	var ip net.IP
	switch a := a.(type) {
	case *net.UDPAddr:
		ip = a.IP
	case *net.IPAddr:
		ip = a.IP
	}
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}

func (ic *icmpConn) wake() {
	ic.woken.Store(true)
	ic.packets.SetReadDeadline(time.Unix(1, 0))
}

func (ic *icmpConn) socket() Socket { return ic.sock }

func (ic *icmpConn) close() error { return ic.packets.Close() }
