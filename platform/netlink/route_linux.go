package platform

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// routeTypes are the names of rtm_type as ip prints them (rtnetlink(7)).
var routeTypes = [...]string{"unspecified", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole",
	"unreachable", "prohibit", "throw", "nat"}

// rawRoute is a route whose interface is a number still.
type rawRoute struct {
	Route
	index  int
	family byte
}

func addressFamily(a netip.Addr) byte {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// readLookup asks the kernel where an echo request to this address would go.
func readLookup(n *netlink, to netip.Addr) (Lookup, error) {
	request := make([]byte, unix.SizeofRtMsg)
	request[0], request[1] = addressFamily(to), byte(to.BitLen())
	request = appendAttribute(request, unix.RTA_DST, to.AsSlice())
	protocol := byte(unix.IPPROTO_ICMP)
	if to.Is6() {
		protocol = unix.IPPROTO_ICMPV6
	}
	m, err := n.get(unix.RTM_GETROUTE, appendAttribute(request, unix.RTA_IP_PROTO, []byte{protocol}))
	if errno, ok := errors.AsType[syscall.Errno](err); ok && refusesRoute(errno) {
		return Lookup{Errno: ErrnoName(errno)}, nil
	}
	if err != nil {
		return Lookup{}, err
	}
	r, err := parseRoute(m.Data)
	if err != nil {
		return Lookup{}, err
	}
	r.Table = "" // the kernel says main, wherever it found the route
	return Lookup{Route: resolve(n, r)}, nil
}

// refusesRoute says whether an errno is the kernel's word on the route and not on the question.
func refusesRoute(e syscall.Errno) bool {
	return slices.Contains([]syscall.Errno{unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EACCES, unix.EINVAL,
		unix.ENETDOWN, unix.EADDRNOTAVAIL}, e)
}

// resolve gives a route the name of its interface.
func resolve(n *netlink, r rawRoute) Route {
	if r.index != 0 {
		r.Interface = interfaceName(n, r.index)
	}
	return r.Route
}

// readLocalRoutes reads what the local table has for loopback, or for the target where that is another address.
func readLocalRoutes(n *netlink, target netip.Addr) ([]Route, error) {
	request := make([]byte, unix.SizeofRtMsg)
	request[0], request[4] = addressFamily(target), unix.RT_TABLE_LOCAL
	all, err := n.dump(unix.RTM_GETROUTE, request)
	list := []Route{}
	if errors.Is(err, unix.ENOENT) { // there is no such table
		return list, nil
	}
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		r, err := parseRoute(m.Data)
		if err == nil && r.Table == "local" && r.family == request[0] && concerns(r.Route, target) {
			list = append(list, resolve(n, r))
		}
	}
	return list, nil
}

// concerns says whether a route decides where packets to loopback or to the target go.
func concerns(r Route, target netip.Addr) bool {
	if r.Type == "broadcast" || r.Type == "multicast" || r.Type == "anycast" {
		return false
	}
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	if target.Is6() {
		loopback = netip.MustParsePrefix("::1/128")
	}
	return r.Destination.Overlaps(loopback) || r.Destination.Contains(target)
}

// parseRoute reads the body of RTM_NEWROUTE.
func parseRoute(b []byte) (rawRoute, error) {
	if len(b) < unix.SizeofRtMsg {
		return rawRoute{}, errShort
	}
	r := rawRoute{family: b[0]}
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
			r.index = int(uint32(number(v)))
		case unix.RTA_GATEWAY:
			r.Gateway, _ = netip.AddrFromSlice(v)
		case unix.RTA_PREFSRC:
			r.Source, _ = netip.AddrFromSlice(v)
		case unix.RTA_PRIORITY:
			r.Metric = uint32(number(v))
		}
	})
	r.Table = tableName(table)
	var err error
	r.Destination, err = prefix(destination, b[1])
	return r, err
}

// unspecified is the address of a route or rule that gives none.
func unspecified(family byte) netip.Addr {
	if family == unix.AF_INET {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// prefix joins an address and the length that stands elsewhere in the message.
func prefix(a netip.Addr, bits byte) (netip.Prefix, error) {
	if !a.IsValid() || int(bits) > a.BitLen() {
		return netip.Prefix{}, errShort
	}
	return netip.PrefixFrom(a, int(bits)), nil
}

func tableName(table uint32) string {
	switch table {
	case unix.RT_TABLE_LOCAL:
		return "local"
	case unix.RT_TABLE_MAIN:
		return "main"
	case unix.RT_TABLE_DEFAULT:
		return "default"
	}
	return strconv.FormatUint(uint64(table), 10)
}

// readRules reads the routing policy of a family. They come in the order in which they are asked.
func readRules(n *netlink, target netip.Addr) ([]Rule, error) {
	request := make([]byte, unix.SizeofRtMsg) // struct fib_rule_hdr has the same size
	request[0] = addressFamily(target)
	all, err := n.dump(unix.RTM_GETRULE, request)
	if err != nil {
		return nil, err
	}
	list := []Rule{}
	for _, m := range all {
		if r, err := parseRule(m.Data); err == nil && m.Data[0] == request[0] {
			list = append(list, r)
		}
	}
	return list, nil
}

// parseRule reads the body of RTM_NEWRULE: struct fib_rule_hdr and its attributes.
func parseRule(b []byte) (Rule, error) {
	if len(b) < unix.SizeofRtMsg {
		return Rule{}, errShort
	}
	r := Rule{Action: actionName(b[7]), Not: binary.NativeEndian.Uint32(b[8:])&unix.FIB_RULE_INVERT != 0}
	r.Narrow = b[3] != 0 // type of service
	table, from, to := uint32(b[4]), unspecified(b[0]), unspecified(b[0])
	attributes(b[unix.SizeofRtMsg:], func(typ uint16, v []byte) {
		switch typ {
		case unix.FRA_DST:
			to, _ = netip.AddrFromSlice(v)
		case unix.FRA_SRC:
			from, _ = netip.AddrFromSlice(v)
		case unix.FRA_TABLE:
			table = uint32(number(v))
		case unix.FRA_PRIORITY:
			r.Priority = uint32(number(v))
		default:
			parseSelector(&r, b[0], typ, v)
		}
	})
	if r.Action == "lookup" {
		r.Table = tableName(table)
	}
	return r, setSelectors(&r, from, b[2], to, b[1])
}

// setSelectors sets those addresses that leave something out.
func setSelectors(r *Rule, from netip.Addr, fromBits byte, to netip.Addr, toBits byte) (err error) {
	if fromBits != 0 {
		if r.From, err = prefix(from, fromBits); err != nil {
			return err
		}
	}
	if toBits != 0 {
		r.To, err = prefix(to, toBits)
	}
	return err
}

// parseSelector reads an attribute of a rule that narrows it.
func parseSelector(r *Rule, family byte, typ uint16, v []byte) {
	switch typ {
	case unix.FRA_IIFNAME:
		r.In = text(v)
	case unix.FRA_OIFNAME:
		r.Out = text(v)
	case unix.FRA_UID_RANGE:
		if len(v) == 8 {
			r.Users = &Range{Low: int64(number(v[:4])), High: int64(number(v[4:]))}
		}
	case unix.FRA_FWMARK, unix.FRA_TUN_ID, unix.FRA_L3MDEV: // our packets have mark, tunnel and VRF 0
		r.Narrow = r.Narrow || number(v) != 0
	case unix.FRA_IP_PROTO:
		echo := family == unix.AF_INET && number(v) == unix.IPPROTO_ICMP ||
			family == unix.AF_INET6 && number(v) == unix.IPPROTO_ICMPV6
		r.Narrow = r.Narrow || !echo
	case unix.FRA_SPORT_RANGE, unix.FRA_DPORT_RANGE:
		r.Narrow = true
	}
}

func actionName(action byte) string {
	switch action {
	case unix.FR_ACT_TO_TBL:
		return "lookup"
	case unix.FR_ACT_GOTO:
		return "goto"
	case unix.FR_ACT_NOP:
		return "nop"
	case unix.FR_ACT_BLACKHOLE:
		return "blackhole"
	case unix.FR_ACT_UNREACHABLE:
		return "unreachable"
	case unix.FR_ACT_PROHIBIT:
		return "prohibit"
	}
	return strconv.Itoa(int(action))
}
