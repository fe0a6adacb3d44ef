package ping

import (
	"fmt"
	"time"

	"lping/ping/transport"
	"lping/ping/transport/service"
)

// What a zero field of Config means, and the limits that Validate holds.
const (
	DefaultInterval = 50 * time.Millisecond

	MaxPreload = 65535 // no more probes in flight than the 16-bit sequence number tells apart
	MaxPattern = 16

	// MaxTime bounds Interval, Timeout and Deadline: no run outlives it, and times can be added without care.
	MaxTime = 100 * 365 * 24 * time.Hour
)

// Transport says where probes go and how.
type Transport = transport.Config

// Config says what to send. The zero value is one endless run of 0-byte probes to 127.0.0.1, 50 ms apart.
type Config struct {
	Transport
	// Count is how many probes to send; 0 means until the deadline or the context ends the run.
	// With a Deadline it is how many replies to wait for instead.
	Count uint64
	// Interval is the pause between probes; 0 means DefaultInterval. Below a millisecond it implies Precise, but for Flood.
	Interval time.Duration
	// Deadline bounds the whole run; 0 means none.
	Deadline time.Duration
	// Pattern fills the data after the nonce; empty means a counter.
	Pattern []byte
	// Flood sends as soon as the reply is there, and at least every 10 ms; Interval is not used. It implies SampleStamps.
	Flood bool
	// Adaptive sends as soon as the reply is there, no faster than the smoothed RTT, and at least every Interval.
	Adaptive bool
	// Preload is how many probes leave at once at the start, and may be unanswered in Flood and Adaptive; 0 means 1.
	Preload int
}

// withDefaults is c with its zero values replaced by what they mean.
func (c Config) withDefaults() Config {
	c.Transport = c.Transport.WithDefaults()
	if c.Interval == 0 {
		c.Interval = DefaultInterval
	}
	if c.Preload == 0 {
		c.Preload = 1
	}
	return c
}

// Longest is how long a run may take, whatever comes back; MaxTime or more if nothing bounds it.
func (c Config) Longest() time.Duration {
	c = c.withDefaults()
	switch {
	case c.Deadline > 0:
		return c.Deadline
	case c.Count == 0:
		return MaxTime
	}
	return time.Duration(min(float64(c.Count-1)*float64(c.Interval), float64(MaxTime))) + c.Timeout
}

// Validate reports the first field that cannot be used.
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case c.Interval < 0 || c.Timeout < 0 || c.Deadline < 0:
		return fmt.Errorf("interval %v, timeout %v, deadline %v: none may be negative", c.Interval, c.Timeout, c.Deadline)
	case c.Interval > MaxTime || c.Timeout > MaxTime || c.Deadline > MaxTime:
		return fmt.Errorf("interval %v, timeout %v, deadline %v: none may be above %v", c.Interval, c.Timeout, c.Deadline, MaxTime)
	case len(c.Pattern) > MaxPattern:
		return fmt.Errorf("pattern of %d bytes is longer than %d", len(c.Pattern), MaxPattern)
	case c.Preload < 1 || c.Preload > MaxPreload:
		return fmt.Errorf("preload %d is outside 1 to %d", c.Preload, MaxPreload)
	}
	return c.Transport.Validate()
}

// The names of package transport that a caller of this package needs.
type (
	Answer     = service.Answer
	Fault      = transport.Fault
	OpenError  = transport.OpenError
	PathMTU    = transport.PathMTU
	Peers      = service.Peers
	Proto      = transport.Proto
	Socket     = transport.Socket
	SocketMode = transport.SocketMode
	Unserved   = service.Unserved
)

// The values of these types, and the limits of a Transport.
const (
	ProtoAuto, ProtoICMP = transport.ProtoAuto, transport.ProtoICMP
	ProtoUDP, ProtoTCP   = transport.ProtoUDP, transport.ProtoTCP
	ProtoHTTP            = transport.ProtoHTTP

	SocketAuto, SocketDgram, SocketRaw = transport.SocketAuto, transport.SocketDgram, transport.SocketRaw

	PathMTUDefault            = transport.PathMTUDefault
	PathMTUDo, PathMTUWant    = transport.PathMTUDo, transport.PathMTUWant
	PathMTUDont, PathMTUProbe = transport.PathMTUDont, transport.PathMTUProbe

	MethodDgram, MethodRaw = transport.MethodDgram, transport.MethodRaw
	MethodUDP, MethodTCP   = transport.MethodUDP, transport.MethodTCP
	MethodHTTP             = transport.MethodHTTP

	DefaultTimeout           = transport.DefaultTimeout
	MaxSizeIPv4, MaxSizeIPv6 = transport.MaxSizeIPv4, transport.MaxSizeIPv6
	MaxSizeTCP, MaxSizes     = transport.MaxSizeTCP, transport.MaxSizes
)
