//go:build !windows && (!linux || portable)

package transport

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// pollTime is how long a read without waiting may wait: the runtime refuses to read past a deadline.
const pollTime = time.Millisecond

// icmpConn carries echo requests over an ICMP socket; the runtime's netpoller does the waiting.
type icmpConn struct {
	packets *icmp.PacketConn
	v4      *ipv4.PacketConn // one of the two is set
	v6      *ipv6.PacketConn
	dst     net.Addr // target as the socket's kind wants it
	woken   atomic.Bool
}

func openICMP(c Config, method string) (Conn, Socket, error) {
	packets, s, err := listenICMP(c, method, func(fd int) error { return setClientOptions(fd, c) })
	if err != nil {
		return nil, s, err
	}
	ic := &icmpConn{packets: packets, v4: packets.IPv4PacketConn(), v6: packets.IPv6PacketConn()}
	ip := &net.IPAddr{IP: c.Address.AsSlice(), Zone: c.Address.Zone()}
	if ic.dst = ip; method == MethodDgram {
		ic.dst = &net.UDPAddr{IP: ip.IP, Zone: ip.Zone}
	}
	// A run can do without the TTL of replies.
	if ic.v4 != nil {
		_ = ic.v4.SetControlMessage(ipv4.FlagTTL, !c.NoTTL)
	} else {
		_ = ic.v6.SetControlMessage(ipv6.FlagHopLimit, !c.NoTTL)
	}
	return ic, s, nil
}

// setFilter lets only echo replies into a raw socket (RFC 3542, section 3.2). ICMPv4 has no filter on these systems: the
// engine passes foreign messages over.
func setFilter(packets *icmp.PacketConn, _ uint16) error {
	v6 := packets.IPv6PacketConn()
	if v6 == nil {
		return nil
	}
	var types ipv6.ICMPFilter
	types.SetAll(true)
	types.Accept(ipv6.ICMPTypeEchoReply)
	return v6.SetICMPFilter(&types)
}

func (ic *icmpConn) Send(msg []byte) error {
	_, err := ic.packets.WriteTo(msg, ic.dst)
	return err
}

func (ic *icmpConn) Recv(p *Packet, b []byte, until time.Time) error {
	if until.IsZero() {
		until = time.Now().Add(pollTime)
	}
	if err := ic.packets.SetReadDeadline(until); err != nil {
		return err
	}
	if ic.woken.Swap(false) { // looked at after the deadline is set: Wake sets the two in the other order
		return ErrWoken
	}
	n, ttl, from, err := ic.read(b)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		if ic.woken.Swap(false) {
			return ErrWoken
		}
		return ErrTimeout
	case err != nil:
		return err
	}
	*p = Packet{Msg: b[:n], TTL: ttl, From: addrOf(from)}
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

// addrOf is the IP address in a; invalid if there is none.
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

// Wake makes a Recv that waits, or else the next one that would wait, return ErrWoken.
func (ic *icmpConn) Wake() {
	ic.woken.Store(true)
	ic.packets.SetReadDeadline(time.Unix(1, 0))
}

// Close closes the socket.
func (ic *icmpConn) Close() error { return ic.packets.Close() }
