package transport

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"lping/ping/transport/service"
)

// SocketMode says which kind of ICMP socket may be used.
type SocketMode uint8

const (
	SocketAuto  SocketMode = iota // datagram first, then raw
	SocketDgram                   // datagram only: needs no privilege if the system allows it
	SocketRaw                     // raw only: needs CAP_NET_RAW or root
)

// Proto says what carries the probes.
type Proto uint8

const (
	ProtoAuto Proto = iota // ICMP and, if the system permits neither kind of ICMP socket, UDP
	ProtoICMP              // ICMP echo, or an error
	ProtoUDP               // datagrams
	ProtoTCP               // a connection a probe
	ProtoHTTP              // a GET a probe
)

var protoNames = [...]string{ProtoAuto: "auto", ProtoICMP: "icmp", ProtoUDP: "udp", ProtoTCP: "tcp", ProtoHTTP: "http"}

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
	DefaultTimeout = 400 * time.Millisecond

	MaxSizeIPv4 = 65507 // 65535, less the IPv4 header (20) and the ICMP header (8)
	MaxSizeIPv6 = 65527 // 65535, less the ICMPv6 header (8)
	MaxSizeTCP  = 65507 // of either family: TCP itself has no limit
	MaxSizes    = 65536 // entries of Sizes
)

// Config says where messages go and how. The zero value is 127.0.0.1 over ICMP and, if no ICMP socket is permitted, UDP.
type Config struct {
	// Address is the target; the zero value is 127.0.0.1. The family follows from it.
	// Open does not judge whether it is a loopback address: its caller must.
	Address netip.Addr
	// Source is the local address; the zero value is Address, so that an echo cannot leave this host.
	Source netip.Addr
	// Interface is the interface to send from; empty means that routing decides.
	Interface string
	// Proto is what carries the messages; the zero value is ICMP and, if no ICMP socket is permitted, UDP.
	Proto Proto
	// Socket is the kind of ICMP socket; the zero value tries datagram, then raw. Any other implies ProtoICMP.
	Socket SocketMode
	// Port is that of a local service, for ProtoUDP, ProtoTCP and ProtoHTTP; 0 means our own echo.
	Port uint16
	// Echo says that the service is an echo: it gets the data, and what it sends back is compared. Not for HTTP.
	Echo bool
	// Path is what to ask for over HTTP (RFC 9112, origin-form), Host the value of the field Host, Agent that of User-Agent.
	Path, Host, Agent string
	// Peers tells how a service over TCP is doing; nil knows nothing.
	Peers service.Peers
	// Timeout is how long the answer to one message may take; 0 means DefaultTimeout. A later answer is still delivered,
	// unless the room is needed for a newer message.
	Timeout time.Duration
	// Size is the number of data bytes after the 8-byte echo header, up to MaxSize. A TCP service gets none, nor does one of HTTP.
	Size int
	// Sizes are those of the first message, the second and so on; after the last comes the first again. Empty means Size
	// for all. Not for a TCP service.
	Sizes []int
	// UserTime asks for no time stamps of the kernel.
	UserTime bool
	// SampleStamps asks for the transmit stamps of a few messages only, since each costs system calls.
	SampleStamps bool
	// Precise asks Linux for waits that end on time, not up to 50 us later. The timer slack of the threads stays low.
	Precise bool
	// NoTTL leaves Packet.TTL out, which saves the kernel a control message a reply.
	NoTTL bool
	// TTL is the time to live or hop limit, 1 to 255; 0 means the system's default.
	TTL int
	// TOS is the type of service or traffic class, 0 to 255.
	TOS int
	// PathMTU is the path-MTU discovery mode.
	PathMTU PathMTU
}

// recognizeEcho makes a reply of what a service sent back, if it is an echo and that is a request by its header.
func (c Config) recognizeEcho(p *Packet) {
	if c.Echo && p.Fault.Errno == 0 && len(p.Msg) >= HeaderLen {
		was := p.Msg[0]
		makeReply(p.Msg)
		p.Opaque = p.Msg[0] == was
	}
}

// WithDefaults is c with its zero values replaced by what they mean. Size becomes the largest of Sizes.
func (c Config) WithDefaults() Config {
	if !c.Address.IsValid() {
		c.Address = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	c.Address = c.Address.Unmap()
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if len(c.Sizes) > 0 {
		c.Size = slices.Max(c.Sizes)
	}
	if c.ConnectsOnly() {
		c.Size = 0
	}
	return c
}

// ConnectsOnly says that the service gets no data of ours: a connection or a GET is all.
func (c Config) ConnectsOnly() bool {
	return c.Proto == ProtoHTTP || c.Proto == ProtoTCP && c.Port != 0 && !c.Echo
}

// SizeOf is the number of data bytes of message seq, which counts from 1.
func (c Config) SizeOf(seq uint64) int {
	if len(c.Sizes) == 0 {
		return c.Size
	}
	return c.Sizes[(seq-1)%uint64(len(c.Sizes))]
}

// source is the address to bind to: the target's own, unless the caller chose one.
func (c Config) source() netip.Addr {
	if c.Source.IsValid() {
		return c.Source.Unmap()
	}
	return c.Address
}

// MaxSize is the largest Size that the protocol and the family of c take: over UDP the 8-byte echo header is part of
// the datagram's data. If ProtoAuto falls back to UDP, the limit is that of UDP.
func (c Config) MaxSize() int {
	switch {
	case c.Proto >= ProtoTCP:
		return MaxSizeTCP
	case c.Proto == ProtoUDP:
		return maxSizeICMP(c.Address) - HeaderLen
	}
	return maxSizeICMP(c.Address)
}

// maxSizeICMP is the largest Size that an ICMP socket of address's family takes.
func maxSizeICMP(address netip.Addr) int {
	if address.Unmap().Is4() || !address.IsValid() {
		return MaxSizeIPv4
	}
	return MaxSizeIPv6
}

// Validate reports the first field that cannot be used.
func (c Config) Validate() error {
	c = c.WithDefaults()
	switch {
	case c.Proto > ProtoHTTP:
		return fmt.Errorf("unknown protocol %d", c.Proto)
	case c.Source.IsValid() && c.Source.Unmap().Is4() != c.Address.Is4():
		return fmt.Errorf("source %v and target %v are of different families", c.Source, c.Address)
	case c.Size < 0 || c.Size > c.MaxSize():
		return fmt.Errorf("size %d is outside 0 to %d", c.Size, c.MaxSize())
	case len(c.Sizes) > MaxSizes:
		return fmt.Errorf("%d sizes are more than %d", len(c.Sizes), MaxSizes)
	case len(c.Sizes) > 0 && slices.Min(c.Sizes) < 0:
		return fmt.Errorf("size %d is outside 0 to %d", slices.Min(c.Sizes), c.MaxSize())
	case c.TTL < 0 || c.TTL > 255:
		return fmt.Errorf("TTL %d is outside 1 to 255", c.TTL)
	case c.TOS < 0 || c.TOS > 255:
		return fmt.Errorf("TOS %d is outside 0 to 255", c.TOS)
	case c.Socket > SocketRaw:
		return fmt.Errorf("unknown socket mode %d", c.Socket)
	case c.PathMTU > PathMTUProbe:
		return fmt.Errorf("unknown path-MTU mode %d", c.PathMTU)
	case c.ConnectsOnly() && len(c.Sizes) > 0:
		return errors.New("a TCP service gets no data whose size could differ")
	case c.Port != 0 && c.Proto <= ProtoICMP:
		return fmt.Errorf("port %d needs UDP or TCP", c.Port)
	case c.Proto == ProtoHTTP && (c.Port == 0 || c.Path == "" || c.Host == "" || c.Echo):
		return errors.New("HTTP needs a port, a path and a host, and is no echo")
	case c.Echo && c.Port == 0:
		return errors.New("an echo that is not ours needs a port")
	case c.Socket != SocketAuto && c.Proto != ProtoAuto && c.Proto != ProtoICMP:
		return errors.New("the kind of ICMP socket says nothing about UDP and TCP")
	}
	return nil
}
