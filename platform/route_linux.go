package platform

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"lping/platform/netlink"
)

// readLookup asks the kernel where a packet of a flow to this address would go. If it does not stay here, that may be for the
// source or the interface: where routing leads without them says more, and not every socket has them.
func readLookup(n *netlinkSocket, to netip.Addr, flow Flow, user int) (Lookup, error) {
	l, err := askRoute(n, to, flow, user)
	if err != nil || l.Route.Type == "local" {
		return l, err
	}
	flow.Source, flow.Interface = netip.Addr{}, ""
	other, err := askRoute(n, to, flow, user)
	if err == nil && (other.Errno == "" && other.Route.Type != "local" || l.Errno == "EINVAL" && other.Errno != "") {
		return other, nil
	}
	return l, nil
}

// askRoute asks once. Only what the kernel answers is an answer: a policy may forbid the question with the same errno.
func askRoute(n *netlinkSocket, to netip.Addr, flow Flow, user int) (Lookup, error) {
	index := 0
	if flow.Interface != "" {
		link, err := n.get(netlink.GetLinkNamed(flow.Interface))
		if err != nil {
			return Lookup{}, err
		}
		i, err := netlink.ParseLink(link.Data)
		if err != nil {
			return Lookup{}, err
		}
		index = i.Index
	}
	m, err := n.get(netlink.GetRoute(to, flow, index, user))
	if errno, ok := err.(syscall.Errno); ok && refusesRoute(errno) {
		return Lookup{Errno: ErrnoName(errno)}, nil
	}
	if err != nil {
		return Lookup{}, err
	}
	r, index, err := netlink.ParseRoute(m.Data)
	if err != nil {
		return Lookup{}, err
	}
	r.Table = "" // the kernel says main, wherever it found the route
	return Lookup{Route: resolve(n, r, index)}, nil
}

// readAnswer asks where what answers a packet would go. The kernel answers ICMP itself, as root.
func readAnswer(n *netlinkSocket, f *Family) *Lookup {
	user := unix.Geteuid()
	if f.Flow.Protocol == ICMP {
		user = 0
	}
	l, err := readLookup(n, f.Flow.Source, f.Flow.Answer(f.Target), user)
	if err != nil {
		return nil
	}
	return &l
}

// refusesRoute says whether an errno is what the kernel answers about a route, and not a complaint about the question.
func refusesRoute(e syscall.Errno) bool {
	return slices.Contains([]syscall.Errno{unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EACCES, unix.EINVAL,
		unix.ENETDOWN, unix.EADDRNOTAVAIL}, e)
}

// resolve gives a route the name of its interface.
func resolve(n *netlinkSocket, r Route, index int) Route {
	if index != 0 {
		r.Interface = interfaceName(n, index)
	}
	return r
}

// readRoutes reads the routes of a table to loopback and to the target.
func readRoutes(n *netlinkSocket, table byte, target netip.Addr) ([]Route, error) {
	family := netlink.Family(target)
	routes, err := list(n, netlink.GetRoutes(family, table), nil, func(b []byte) (Route, bool) {
		r, index, err := netlink.ParseRoute(b)
		ours := r.Table == "local" && table == netlink.LocalTable || r.Table == "main" && table == netlink.MainTable
		if err != nil || !ours || b[0] != family || !concerns(r, target) {
			return Route{}, false
		}
		return resolve(n, r, index), true
	})
	if errors.Is(err, unix.ENOENT) { // there is no such table
		return []Route{}, nil
	}
	return routes, err
}

// concerns says whether packets to loopback or to the target may take this route.
func concerns(r Route, target netip.Addr) bool {
	if r.Type == "broadcast" || r.Type == "multicast" || r.Type == "anycast" {
		return false
	}
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	if target.Is6() {
		loopback = netip.MustParsePrefix("::1/128")
	}
	if r.Table == "main" {
		return r.Destination.Overlaps(loopback) && r.Destination.Bits() >= loopback.Bits()
	}
	return r.Destination.Overlaps(loopback) || r.Destination.Contains(target)
}

// readRules reads the routing policy of a family, in the order in which the kernel goes through it.
func readRules(n *netlinkSocket, target netip.Addr) ([]Rule, error) {
	family := netlink.Family(target)
	return list(n, netlink.GetRules(family), nil, func(b []byte) (Rule, bool) {
		r, err := netlink.ParseRule(b)
		return r, err == nil && b[0] == family
	})
}

// parseLocal6 reads the local routes to loopback or the target from /proc/net/ipv6_route: destination and length of the prefix,
// the same of the source, gateway, metric, two counters and flags in hexadecimal, and the interface.
func parseLocal6(b []byte, target netip.Addr) []Route {
	list := []Route{}
	for l := range lines(b) {
		f := l.fields()
		if len(f) != 10 {
			continue
		}
		to, err := hex.DecodeString(f[0])
		bits, bitsErr := strconv.ParseUint(f[1], 16, 8)
		flags, flagsErr := strconv.ParseUint(f[8], 16, 32)
		a, ok := netip.AddrFromSlice(to)
		if errors.Join(err, bitsErr, flagsErr) != nil || !ok || !a.Is6() || bits > 128 || flags&unix.RTF_LOCAL == 0 {
			continue
		}
		r := Route{Type: "local", Destination: netip.PrefixFrom(a, int(bits)), Table: "local", Interface: f[9]}
		if concerns(r, target) {
			list = append(list, r)
		}
	}
	return list
}
