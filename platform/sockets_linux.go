package platform

import (
	"math"
	"net/netip"

	"golang.org/x/sys/unix"

	"lping/platform/netlink"
)

// maxSockets bounds the answer for one family, in bytes. A socket takes some 120.
const maxSockets = 16 << 20

// ReadListeners reads which sockets of this network namespace listen on a port, in some 100 us. It needs no privilege.
func ReadListeners(protocol string, port uint16) Known[[]Listener] {
	list := []Listener{}
	err := eachSocket(Range{Low: int64(port), High: int64(port)}, func(family byte) netlink.Request {
		return netlink.GetListeners(family, protocol, port)
	}, func(s netlink.Socket) {
		if protocol == UDP {
			s.Backlog = 0
		}
		list = append(list, s.Listener)
	})
	return known(list, err)
}

// ReadPortsInUse counts the different local ports within a range that sockets of this network namespace have, whatever
// they do: a port that IPv4 uses counts for IPv6 too. On a server with many connections it takes some milliseconds.
func ReadPortsInUse(protocol string, ports Range) Known[int] {
	used := map[uint16]bool{}
	err := eachSocket(ports, func(family byte) netlink.Request {
		return netlink.GetSockets(family, protocol, ports)
	}, func(s netlink.Socket) { used[s.Port] = true })
	return known(len(used), err)
}

// HalfOpen says whether a connection to this host waits for the last step of its handshake: the SYN arrived, and what answers it
// did not come back. Port 0 is any.
func HalfOpen(service netip.AddrPort) Known[bool] {
	ports := Range{Low: int64(service.Port()), High: int64(service.Port())}
	if service.Port() == 0 {
		ports.High = math.MaxUint16
	}
	found := false
	err := eachSocket(ports, func(family byte) netlink.Request { return netlink.GetHalfOpen(family, ports) },
		func(s netlink.Socket) { found = found || s.Address == service.Addr() })
	return known(found, err)
}

// loopbackIndex is the index of the loopback interface that Linux makes in every network namespace.
const loopbackIndex = 1

// Peers tells what the kernel knows of the far ends of TCP connections in this network namespace. It needs no privilege.
type Peers struct{}

// Queue is how many connections wait at the listener of a service, and for how many it has room (listen(2), backlog). Of several
// listeners, which share the connections, it is the one with the most. ok is false if none listens here, or it cannot be told.
func (Peers) Queue(service netip.AddrPort) (waiting, room int, ok bool) {
	for _, l := range Serving(ReadListeners(TCP, service.Port()).Value, service.Addr(), loopbackIndex) {
		if !ok || int(l.Queue) > waiting {
			waiting, room, ok = int(l.Queue), int(l.Backlog), true
		}
	}
	return waiting, room, ok
}

// Waits says whether the service's end of a connection is still to be accepted. ok is false if that cannot be told.
func (Peers) Waits(client, service netip.AddrPort) (waits, ok bool) {
	n, err := openNetlink(unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return false, false
	}
	defer n.close()
	m, err := n.get(netlink.GetConnection(client, service))
	if err != nil {
		return false, false
	}
	s, err := netlink.ParseSocket(m.Data)
	if err != nil {
		return false, false
	}
	return s.Waits()
}

// eachSocket calls f with every socket of both families that answers the request and has its local port within the range.
func eachSocket(ports Range, request func(family byte) netlink.Request, f func(netlink.Socket)) error {
	n, err := openNetlink(unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return err
	}
	defer n.close()
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		err := n.stream(request(family), maxSockets, func(more []netlink.Message) bool {
			for _, m := range more {
				if s, err := netlink.ParseSocket(m.Data); err == nil && ports.Contains(int64(s.Port)) {
					f(s)
				}
			}
			return false
		})
		if err != nil {
			return err
		}
	}
	return nil
}
