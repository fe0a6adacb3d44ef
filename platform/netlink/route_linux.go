package netlink

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// routeTypes are the names of rtm_type as ip prints them (rtnetlink(7)).
var routeTypes = [...]string{"unspecified", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole",
	"unreachable", "prohibit", "throw", "nat"}

// Family is the address family of an address.
func Family(a netip.Addr) byte {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// Tables of GetRoutes.
const (
	LocalTable = unix.RT_TABLE_LOCAL
	MainTable  = unix.RT_TABLE_MAIN
)

// GetRoute asks where a packet to this address would go, if the user with this effective id sends it. index is that of the
// flow's interface, or 0. Left to itself the kernel takes the real id, and sockets have the effective one.
func GetRoute(to netip.Addr, flow Flow, index, uid int) Request {
	b := make([]byte, unix.SizeofRtMsg)
	b[0], b[1], b[3] = Family(to), byte(to.BitLen()), flow.TOS
	b = appendAttribute(b, unix.RTA_DST, to.AsSlice())
	if flow.Source.IsValid() {
		b[2] = byte(flow.Source.BitLen())
		b = appendAttribute(b, unix.RTA_SRC, flow.Source.AsSlice())
	}
	if index != 0 {
		b = appendAttribute(b, unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, uint32(index)))
	}
	b = appendAttribute(b, unix.RTA_IP_PROTO, []byte{protocolNumber(flow.Protocol, to.Is6())})
	if flow.SourcePort != 0 {
		b = appendAttribute(b, unix.RTA_SPORT, binary.BigEndian.AppendUint16(nil, flow.SourcePort))
	}
	if flow.Port != 0 {
		b = appendAttribute(b, unix.RTA_DPORT, binary.BigEndian.AppendUint16(nil, flow.Port))
	}
	return get(unix.RTM_GETROUTE, appendAttribute(b, unix.RTA_UID, binary.NativeEndian.AppendUint32(nil, uint32(uid))))
}

// protocolNumber is that of a flow's protocol.
func protocolNumber(name string, v6 bool) byte {
	switch {
	case name == TCP:
		return unix.IPPROTO_TCP
	case name == UDP:
		return unix.IPPROTO_UDP
	case v6:
		return unix.IPPROTO_ICMPV6
	}
	return unix.IPPROTO_ICMP
}

// GetRoutes asks for a table of a family.
func GetRoutes(family, table byte) Request {
	b := make([]byte, unix.SizeofRtMsg)
	b[0], b[4] = family, table
	return dump(unix.RTM_GETROUTE, b)
}

// ParseRoute reads the body of RTM_NEWROUTE: a route without the name of its interface, and the index of that, or 0.
func ParseRoute(b []byte) (r Route, index int, err error) {
	if len(b) < unix.SizeofRtMsg {
		return Route{}, 0, errShort
	}
	r.Type = strconv.Itoa(int(b[7]))
	if int(b[7]) < len(routeTypes) {
		r.Type = routeTypes[b[7]]
	}
	table, destination := uint32(b[4]), unspecified(b[0])
	attributes(b[unix.SizeofRtMsg:], func(typ uint16, v []byte) {
		switch typ {
		case unix.RTA_DST:
			destination, _ = netip.AddrFromSlice(v)
		case unix.RTA_TABLE:
			table = uint32(number(v))
		case unix.RTA_OIF:
			index = int(uint32(number(v)))
		case unix.RTA_GATEWAY:
			r.Gateway, _ = netip.AddrFromSlice(v)
		case unix.RTA_PREFSRC:
			r.Source, _ = netip.AddrFromSlice(v)
		case unix.RTA_PRIORITY:
			r.Metric = uint32(number(v))
		}
	})
	r.Table = tableName(table)
	r.Destination, err = prefix(destination, b[1])
	return r, index, err
}

// unspecified is the address of a route or rule that holds none.
func unspecified(family byte) netip.Addr {
	if family == unix.AF_INET {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// prefix joins an address with its length, which is elsewhere in the message.
func prefix(a netip.Addr, bits byte) (netip.Prefix, error) {
	if !a.IsValid() || int(bits) > a.BitLen() {
		return netip.Prefix{}, errShort
	}
	return netip.PrefixFrom(a, int(bits)), nil
}

func tableName(table uint32) string {
	return nameOf(table, map[uint32]string{unix.RT_TABLE_LOCAL: "local", unix.RT_TABLE_MAIN: "main", unix.RT_TABLE_DEFAULT: "default"})
}
