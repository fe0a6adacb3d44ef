package ping

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// SocketMode says which kind of ICMP socket may be used.
type SocketMode uint8

const (
	SocketAuto  SocketMode = iota // datagram first, then raw
	SocketDgram                   // datagram only: needs no privilege where the system allows it
	SocketRaw                     // raw only: needs CAP_NET_RAW or root
)

// Proto says what carries the probes.
type Proto uint8

const (
	ProtoAuto Proto = iota // ICMP and, where the system permits that to neither kind of socket, UDP
	ProtoICMP              // ICMP echo, or an error
	ProtoUDP               // datagrams
	ProtoTCP               // a stream, or a connection a probe
)

var protoNames = [...]string{ProtoAuto: "auto", ProtoICMP: "icmp", ProtoUDP: "udp", ProtoTCP: "tcp"}

// String is the protocol's name in lower case.
func (p Proto) String() string {
	if int(p) < len(protoNames) {
		return protoNames[p]
	}
	return "unknown"
}

// PathMTU is what the kernel may do with a probe that is larger than the path's MTU (ip(7), IP_MTU_DISCOVER).
type PathMTU uint8

const (
	PathMTUDefault PathMTU = iota // the system's setting
	PathMTUDo                     // never fragment, not even locally
	PathMTUWant                   // discover the path MTU, fragment locally
	PathMTUDont                   // never set the don't-fragment flag
	PathMTUProbe                  // set the flag and ignore what was discovered
)

// What a zero field of Config means, and the limits that Validate holds.
const (
	DefaultInterval = 50 * time.Millisecond
	DefaultTimeout  = 400 * time.Millisecond

	MaxSizeIPv4 = 65507 // 65535, less the IPv4 header (20) and the ICMP header (8)
	MaxSizeIPv6 = 65527 // 65535, less the ICMPv6 header (8)
	MaxSizeTCP  = 65507 // of either family: a stream itself has no limit
	MaxPreload  = 65535 // no more probes in flight than the 16-bit sequence number tells apart
	MaxPattern  = 16
	MaxSizes    = 65536 // entries of Sizes

	// MaxTime bounds Interval, Timeout and Deadline: no run outlives it, and times can be added without care.
	MaxTime = 100 * 365 * 24 * time.Hour
)

// Config says what to send where. The zero value is one endless run of 0-byte probes to 127.0.0.1, 50 ms apart.
type Config struct {
	// Address is the target; the zero value is 127.0.0.1. The family follows from it.
	// Open does not judge whether it is a loopback address: its caller must.
	Address netip.Addr
	// Source is the local address; the zero value is Address, so that an echo cannot leave this host.
	Source netip.Addr
	// Interface is the interface to send from; empty means that routing decides.
	Interface string
	// Proto is what carries the probes; the zero value is ICMP and, where no ICMP socket is permitted, UDP.
	Proto Proto
	// Socket is the kind of ICMP socket; the zero value tries datagram, then raw. Any other implies ProtoICMP.
	Socket SocketMode
	// Connect makes every probe a new TCP connection: its handshake is the round trip, and no data follows. Otherwise
	// the probes of ProtoTCP share one connection.
	Connect bool
	// Port is that of a local service to probe with ProtoUDP or, always as with Connect, ProtoTCP; 0 means our own echo.
	Port uint16
	// Count is how many probes to send; 0 means until the deadline or the context ends the run.
	// With a Deadline it is how many replies to wait for instead.
	Count uint64
	// Interval is the pause between probes; 0 means DefaultInterval.
	Interval time.Duration
	// Timeout is how long the reply to one probe may take; 0 means DefaultTimeout.
	Timeout time.Duration
	// Deadline bounds the whole run; 0 means none.
	Deadline time.Duration
	// Size is the number of data bytes after the 8-byte echo header, up to MaxSize. A probe that is a connection has none.
	Size int
	// Sizes are those of the first probe, the second and so on; after the last comes the first again. Empty means Size
	// for all. Not for TCP, whose stream knows no packets.
	Sizes []int
	// Pattern fills the data after the nonce; empty means a counter.
	Pattern []byte
	// Flood sends as soon as the reply is there, and at least every 10 ms; Interval is not used.
	Flood bool
	// Adaptive sends as soon as the reply is there, no faster than the smoothed RTT, and at least every Interval.
	Adaptive bool
	// Preload is how many probes leave at once at the start, and how many may be unanswered in Flood
	// and Adaptive; 0 means 1.
	Preload int
	// UserTime makes every RTT end with the return of the read, even where the kernel has time stamps.
	UserTime bool
	// NoTTL leaves Event.TTL out, which saves the kernel a control message a reply.
	NoTTL bool
	// TTL is the time to live or hop limit, 1 to 255; 0 means the system's default.
	TTL int
	// TOS is the type of service or traffic class, 0 to 255.
	TOS int
	// PathMTU is the path-MTU discovery mode.
	PathMTU PathMTU
}

// withDefaults is c with its zero values replaced by what they mean.
func (c Config) withDefaults() Config {
	if !c.Address.IsValid() {
		c.Address = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	c.Address = c.Address.Unmap()
	if c.Interval == 0 {
		c.Interval = DefaultInterval
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Preload == 0 {
		c.Preload = 1
	}
	if len(c.Sizes) > 0 {
		c.Size = slices.Max(c.Sizes) // what everything must have room for
	}
	if c.method() == MethodConnect {
		c.Size = 0
	}
	return c
}

// SizeOf is the number of data bytes of probe seq, which counts from 1.
func (c Config) SizeOf(seq uint64) int {
	if len(c.Sizes) == 0 {
		return c.Size
	}
	return c.Sizes[(seq-1)%uint64(len(c.Sizes))]
}

// method is that of the protocols which have one; empty for ICMP, where the system decides.
func (c Config) method() string {
	switch {
	case c.Proto == ProtoUDP:
		return MethodUDP
	case c.Proto == ProtoTCP && (c.Connect || c.Port != 0):
		return MethodConnect
	case c.Proto == ProtoTCP:
		return MethodTCP
	}
	return ""
}

// MaxSize is the largest Size that the protocol and the family of c take: over UDP the 8-byte echo header is part of
// the datagram's data. Where ProtoAuto falls back to UDP, the limit is that of UDP.
func (c Config) MaxSize() int {
	switch c.Proto {
	case ProtoUDP:
		return MaxSize(c.Address) - headerLen
	case ProtoTCP:
		return MaxSizeTCP
	}
	return MaxSize(c.Address)
}

// MaxSize is the largest Size that an ICMP socket of address's family takes.
func MaxSize(address netip.Addr) int {
	if address.Unmap().Is4() || !address.IsValid() {
		return MaxSizeIPv4
	}
	return MaxSizeIPv6
}

// Validate reports the first field that cannot be used.
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case c.Source.IsValid() && c.Source.Unmap().Is4() != c.Address.Is4():
		return fmt.Errorf("source %v and target %v are of different families", c.Source, c.Address)
	case c.Interval < 0 || c.Timeout < 0 || c.Deadline < 0:
		return fmt.Errorf("interval %v, timeout %v, deadline %v: none may be negative", c.Interval, c.Timeout, c.Deadline)
	case c.Interval > MaxTime || c.Timeout > MaxTime || c.Deadline > MaxTime:
		return fmt.Errorf("interval %v, timeout %v, deadline %v: none may be above %v", c.Interval, c.Timeout, c.Deadline, MaxTime)
	case c.Size < 0 || c.Size > c.MaxSize():
		return fmt.Errorf("size %d is outside 0 to %d", c.Size, c.MaxSize())
	case len(c.Sizes) > MaxSizes:
		return fmt.Errorf("%d sizes are more than %d", len(c.Sizes), MaxSizes)
	case len(c.Sizes) > 0 && slices.Min(c.Sizes) < 0:
		return fmt.Errorf("size %d is outside 0 to %d", slices.Min(c.Sizes), c.MaxSize())
	case len(c.Pattern) > MaxPattern:
		return fmt.Errorf("pattern of %d bytes is longer than %d", len(c.Pattern), MaxPattern)
	case c.Preload < 1 || c.Preload > MaxPreload:
		return fmt.Errorf("preload %d is outside 1 to %d", c.Preload, MaxPreload)
	case c.TTL < 0 || c.TTL > 255:
		return fmt.Errorf("TTL %d is outside 1 to 255", c.TTL)
	case c.TOS < 0 || c.TOS > 255:
		return fmt.Errorf("TOS %d is outside 0 to 255", c.TOS)
	case c.Socket > SocketRaw:
		return fmt.Errorf("unknown socket mode %d", c.Socket)
	case c.PathMTU > PathMTUProbe:
		return fmt.Errorf("unknown path-MTU mode %d", c.PathMTU)
	}
	return c.validateProto()
}

// validateProto is Validate for the protocol and what goes with it.
func (c Config) validateProto() error {
	switch {
	case c.Proto > ProtoTCP:
		return fmt.Errorf("unknown protocol %d", c.Proto)
	case c.Connect && c.Proto != ProtoTCP:
		return errors.New("a connection for every probe needs TCP")
	case c.Proto == ProtoTCP && len(c.Sizes) > 0:
		return errors.New("a stream has no packets whose sizes could differ")
	case c.Port != 0 && c.Proto != ProtoUDP && c.Proto != ProtoTCP:
		return fmt.Errorf("port %d needs UDP or TCP", c.Port)
	case c.Socket != SocketAuto && c.Proto != ProtoAuto && c.Proto != ProtoICMP:
		return errors.New("the kind of ICMP socket says nothing about UDP and TCP")
	}
	return nil
}
