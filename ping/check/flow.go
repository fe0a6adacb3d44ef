package check

import (
	"net/netip"

	"lping/ping"
	"lping/platform"
)

// What routing takes for the destination port of an echo request: its type, and 0 for its code (include/net/flow.h, union
// flowi_uli).
const (
	echoPort4 = 8 << 8
	echoPort6 = 128 << 8
)

// flow is what routing goes by for the probes of a job.
func (j *job) flow() platform.Flow {
	c, method := j.target.Config, j.target.Method
	f := platform.Flow{Protocol: transport(c, method), Source: c.Source.Unmap(), Interface: c.Interface, Port: c.Port, TOS: uint8(c.TOS)}
	if !f.Source.IsValid() {
		f.Source = c.Address.Unmap()
	}
	f.Source = f.Source.WithZone("")
	if c.Socket != ping.SocketAuto {
		f.Protocol = ""
	}
	if j.pinger != nil && f.Protocol != "" {
		f.Port = j.pinger.Socket().Port
	}
	if f.Protocol == "" {
		f.Protocol = platform.ICMP
		switch {
		case c.Address.Unmap().Is4():
			f.Port = echoPort4
		case method == ping.MethodRaw: // for the other kind of socket the type is left out (net/ipv6/ping.c)
			f.Port = echoPort6
		}
	}
	if c.Address == netip.IPv6Loopback() && c.Interface == "" && f.Protocol != platform.TCP {
		f.Interface = "lo" // which these sockets ask for (ipv6(7), IPV6_UNICAST_IF)
	}
	return f
}
