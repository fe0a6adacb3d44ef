package platform

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"lping/platform/netlink"
)

// readLookup asks the kernel where an echo request to this address would go.
func readLookup(n *netlinkSocket, to netip.Addr) (Lookup, error) {
	m, err := n.get(netlink.GetRoute(to))
	if errno, ok := errors.AsType[syscall.Errno](err); ok && refusesRoute(errno) {
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

// readLocalRoutes reads the routes of the local table to loopback and to the target.
func readLocalRoutes(n *netlinkSocket, target netip.Addr) ([]Route, error) {
	family := netlink.Family(target)
	routes, err := list(n, netlink.GetLocalRoutes(family), nil, func(b []byte) (Route, bool) {
		r, index, err := netlink.ParseRoute(b)
		if err != nil || r.Table != "local" || b[0] != family || !concerns(r, target) {
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
