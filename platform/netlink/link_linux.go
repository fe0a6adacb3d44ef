package netlink

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"lping/platform/fact"
)

// linkFlags are in the order in which ip prints them.
var linkFlags = [...]struct {
	bit  uint32
	name string
}{
	{unix.IFF_LOOPBACK, "LOOPBACK"}, {unix.IFF_BROADCAST, "BROADCAST"}, {unix.IFF_POINTOPOINT, "POINTOPOINT"},
	{unix.IFF_MULTICAST, "MULTICAST"}, {unix.IFF_NOARP, "NOARP"}, {unix.IFF_ALLMULTI, "ALLMULTI"},
	{unix.IFF_PROMISC, "PROMISC"}, {unix.IFF_UP, "UP"}, {unix.IFF_LOWER_UP, "LOWER_UP"},
	{unix.IFF_DORMANT, "DORMANT"},
}

// linkStates are the names of RFC 2863 as ip prints them.
var linkStates = [...]string{"UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP"}

// GetLink asks for the interface with this index.
func GetLink(index int) Request { return get(unix.RTM_GETLINK, linkBody(index)) }

// GetLinkNamed asks for the interface with this name.
func GetLinkNamed(name string) Request {
	return get(unix.RTM_GETLINK, appendAttribute(linkBody(0), unix.IFLA_IFNAME, append([]byte(name), 0)))
}

// GetLinks asks for all interfaces.
func GetLinks() Request { return dump(unix.RTM_GETLINK, linkBody(0)) }

// linkBody is struct ifinfomsg.
func linkBody(index int) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	return b
}

// ParseLink reads the body of RTM_NEWLINK (rtnetlink(7)).
func ParseLink(b []byte) (Interface, error) {
	if len(b) < unix.SizeofIfInfomsg {
		return Interface{}, errShort
	}
	link := Interface{Index: int(binary.NativeEndian.Uint32(b[4:])), Stats: fact.Unknown[LinkStats]("the kernel sent none")}
	flags := binary.NativeEndian.Uint32(b[8:])
	link.Flags = FlagNames(flags)
	attributes(b[unix.SizeofIfInfomsg:], func(typ uint16, v []byte) {
		switch typ {
		case unix.IFLA_IFNAME:
			link.Name = text(v)
		case unix.IFLA_MTU:
			link.MTU = int(uint32(number(v)))
		case unix.IFLA_ADDRESS:
			link.Hardware = net.HardwareAddr(v).String()
		case unix.IFLA_QDISC:
			link.Qdisc = text(v)
		case unix.IFLA_TXQLEN:
			link.QueueLength = int(uint32(number(v)))
		case unix.IFLA_OPERSTATE:
			if state := number(v); state < uint64(len(linkStates)) {
				link.State = linkStates[state]
			}
		case unix.IFLA_STATS64:
			link.Stats = parseLinkStats(v)
		case unix.IFLA_XDP:
			link.XDP, link.XDPProgram = parseXDP(v)
		}
	})
	return link, nil
}

// FlagNames are those of the flags of an interface (netdevice(7)), as ip names them.
func FlagNames(flags uint32) []string {
	var names []string
	if flags&unix.IFF_UP != 0 && flags&unix.IFF_RUNNING == 0 {
		names = append(names, "NO-CARRIER")
	}
	for _, f := range linkFlags {
		if flags&f.bit != 0 {
			names = append(names, f.name)
		}
	}
	return names
}

// parseLinkStats reads struct rtnl_link_stats64, of which newer kernels send more than older ones.
func parseLinkStats(b []byte) fact.Known[LinkStats] {
	const fields = 8
	if len(b) < fields*8 {
		return fact.Unknown[LinkStats](errShort.Error())
	}
	at := func(i int) uint64 { return binary.NativeEndian.Uint64(b[i*8:]) }
	return fact.Know(LinkStats{Received: at(0), Sent: at(1), ReceiveErrors: at(4), SendErrors: at(5),
		ReceiveDropped: at(6), SendDropped: at(7)})
}

func parseXDP(b []byte) (attached bool, program uint32) {
	attributes(b, func(typ uint16, v []byte) {
		switch typ {
		case unix.IFLA_XDP_ATTACHED:
			attached = number(v) != 0
		case unix.IFLA_XDP_PROG_ID:
			program = uint32(number(v))
		}
	})
	return attached, program
}

// GetAddresses asks for the addresses that an interface has of a family, AF_INET or AF_INET6.
func GetAddresses(family byte, index int) Request {
	b := make([]byte, unix.SizeofIfAddrmsg)
	b[0] = family
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	return dump(unix.RTM_GETADDR, b)
}

// ParseAddress reads the body of RTM_NEWADDR: an address, and the index of the interface that has it.
func ParseAddress(b []byte) (Address, int, error) {
	if len(b) < unix.SizeofIfAddrmsg {
		return Address{}, 0, errShort
	}
	var peer, local netip.Addr
	flags := uint32(b[2])
	attributes(b[unix.SizeofIfAddrmsg:], func(typ uint16, v []byte) {
		switch typ {
		case unix.IFA_ADDRESS:
			peer, _ = netip.AddrFromSlice(v)
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(v)
		case unix.IFA_FLAGS:
			flags = uint32(number(v))
		}
	})
	if !local.IsValid() { // IPv6, but for an address with a peer
		local = peer
	}
	if !local.IsValid() || int(b[1]) > local.BitLen() {
		return Address{}, 0, errShort
	}
	a := Address{Prefix: netip.PrefixFrom(local, int(b[1])), Scope: scopeName(b[3]), Flags: addressFlags(flags)}
	return a, int(binary.NativeEndian.Uint32(b[4:])), nil
}

func scopeName(scope byte) string {
	return nameOf(scope, map[byte]string{unix.RT_SCOPE_UNIVERSE: "global", unix.RT_SCOPE_SITE: "site", unix.RT_SCOPE_LINK: "link",
		unix.RT_SCOPE_HOST: "host", unix.RT_SCOPE_NOWHERE: "nowhere"})
}

// addressFlags are the names that ip prints; that an address is permanent is not worth a word.
func addressFlags(flags uint32) []string {
	var names []string
	for _, f := range [...]struct {
		bit  uint32
		name string
	}{
		{unix.IFA_F_SECONDARY, "secondary"}, {unix.IFA_F_NODAD, "nodad"}, {unix.IFA_F_OPTIMISTIC, "optimistic"},
		{unix.IFA_F_DADFAILED, "dadfailed"}, {unix.IFA_F_DEPRECATED, "deprecated"},
		{unix.IFA_F_TENTATIVE, "tentative"}, {unix.IFA_F_NOPREFIXROUTE, "noprefixroute"},
	} {
		if flags&f.bit != 0 {
			names = append(names, f.name)
		}
	}
	return names
}
