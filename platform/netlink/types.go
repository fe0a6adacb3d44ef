package platform

import "net/netip"

// Protocols of ReadListeners and ReadPortsInUse.
const (
	TCP = "tcp"
	UDP = "udp"
)

// Listener is a socket that takes what comes to its port: a listening one of TCP, an unconnected one of UDP.
type Listener struct {
	// Address is where it listens: 0.0.0.0 and :: are every address, and :: is those of IPv4 too unless IPv6Only.
	Address  netip.Addr `json:"address"`
	IPv6Only bool       `json:"ipv6_only,omitempty"`
	// Interface is the index of the only interface that it listens on; 0 where it is not bound to one.
	Interface int `json:"interface,omitempty"`
	// Queue is what waits to be taken: connections of TCP, bytes of UDP.
	Queue uint32 `json:"queue"`
	// Backlog is the limit of the queue of TCP, which holds one connection more; 0 for UDP.
	Backlog uint32 `json:"backlog,omitempty"`
}

// Full says that the system lets no further connection into the queue (sk_acceptq_is_full in include/net/sock.h).
func (l Listener) Full() bool { return l.Queue > l.Backlog }
