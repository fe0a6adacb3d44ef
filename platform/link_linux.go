package platform

import (
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"lping/platform/netlink"
)

// readLoopback finds the interfaces with the loopback flag, and their addresses.
func readLoopback(n *netlinkSocket) ([]Interface, error) {
	links, err := loopbackLinks(n)
	if err != nil {
		return nil, err
	}
	for i := range links {
		if links[i].Addresses, err = readAddresses(n, links[i].Index); err != nil {
			return nil, err
		}
	}
	return links, nil
}

// loopbackLinks asks for all interfaces only if the first is no loopback interface, as Linux makes it in every namespace.
func loopbackLinks(n *netlinkSocket) ([]Interface, error) {
	const first = 1
	if link, err := readLink(n, first); err == nil && slices.Contains(link.Flags, "LOOPBACK") {
		return []Interface{link}, nil
	}
	return list(n, netlink.GetLinks(), nil, func(b []byte) (Interface, bool) {
		link, err := netlink.ParseLink(b)
		return link, err == nil && slices.Contains(link.Flags, "LOOPBACK")
	})
}

func readLink(n *netlinkSocket, index int) (Interface, error) {
	m, err := n.get(netlink.GetLink(index))
	if err != nil {
		return Interface{}, err
	}
	return netlink.ParseLink(m.Data)
}

// interfaceName is the name of the interface with this index, or ifINDEX if there is none any more.
func interfaceName(n *netlinkSocket, index int) string {
	if link, err := readLink(n, index); err == nil && link.Name != "" {
		return link.Name
	}
	return "if" + strconv.Itoa(index)
}

// readAddresses reads the addresses of one interface, of both families.
func readAddresses(n *netlinkSocket, index int) ([]Address, error) {
	both := []Address{}
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		more, err := list(n, netlink.GetAddresses(family, index), nil, func(b []byte) (Address, bool) {
			a, at, err := netlink.ParseAddress(b)
			return a, err == nil && at == index && b[0] == family
		})
		if err != nil {
			return nil, err
		}
		both = append(both, more...)
	}
	return both, nil
}

// readQueues reads the queueing disciplines of an interface. The kernel lists those of all interfaces, the loopback
// one first. What comes after it is left unread: a host of containers has thousands.
func readQueues(index int) ([]Queue, error) {
	n, err := openNetlink(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer n.close()
	of := func(m netlink.Message) bool { return netlink.IsQueueOf(m.Data, index) }
	passed := func(all []netlink.Message) bool {
		return len(all) > 0 && !of(all[len(all)-1]) && slices.ContainsFunc(all, of)
	}
	return list(n, netlink.GetQueues(), passed, func(b []byte) (Queue, bool) {
		q, err := netlink.ParseQueue(b)
		return q, err == nil && netlink.IsQueueOf(b, index)
	})
}
