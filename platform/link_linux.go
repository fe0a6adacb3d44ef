package platform

import (
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"unsafe"

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

// askLoopback is readLoopback for those who may not use netlink: it goes by netdevice(7) and /proc/net/if_inet6, which tell no
// statistics. That it finds nothing is no proof.
func (h host) askLoopback() ([]Interface, error) {
	fd, err := anySocket()
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	found := []Interface{{Name: "lo", Addresses: []Address{}}} // and others that have an address
	add := func(name string, a Address) {
		at := slices.IndexFunc(found, func(i Interface) bool { return i.Name == name })
		if at < 0 {
			at = len(found)
			found = append(found, Interface{Name: name})
		}
		found[at].Addresses = append(found[at].Addresses, a)
	}
	ipv4Addresses(fd, add)
	if b, err := h.read("/proc/net/if_inet6"); err == nil {
		parseInet6(b, add)
	}
	loopback := found[:0]
	for _, i := range found {
		if askLink(fd, &i) == nil && slices.Contains(i.Flags, "LOOPBACK") {
			loopback = append(loopback, i)
		}
	}
	if len(loopback) == 0 {
		return nil, unix.ENODEV
	}
	return loopback, nil
}

// anySocket is a socket to ask about interfaces: its family does not matter.
func anySocket() (fd int, err error) {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6, unix.AF_UNIX} {
		if fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err == nil {
			return fd, nil
		}
	}
	return -1, os.NewSyscallError("socket", err)
}

// askLink asks for an interface's index, flags and MTU.
func askLink(fd int, out *Interface) error {
	out.Stats = Unknown[LinkStats]("only netlink tells")
	for _, ask := range []struct {
		request uint
		take    func(*unix.Ifreq)
	}{
		{unix.SIOCGIFFLAGS, func(r *unix.Ifreq) { out.Flags = netlink.FlagNames(uint32(r.Uint16())) }},
		{unix.SIOCGIFINDEX, func(r *unix.Ifreq) { out.Index = int(r.Uint32()) }},
		{unix.SIOCGIFMTU, func(r *unix.Ifreq) { out.MTU = int(r.Uint32()) }},
	} {
		r, err := unix.NewIfreq(out.Name)
		if err == nil {
			err = unix.IoctlIfreq(fd, ask.request, r)
		}
		if err != nil {
			return os.NewSyscallError("ioctl", err)
		}
		ask.take(r)
	}
	return nil
}

// ipv4Addresses asks for those of all interfaces (SIOCGIFCONF). An address may have a label such as lo:1.
func ipv4Addresses(fd int, add func(name string, a Address)) {
	var list [64]unix.Ifreq
	conf := struct {
		length int32
		list   unsafe.Pointer
	}{int32(unsafe.Sizeof(list)), unsafe.Pointer(&list)}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCGIFCONF, uintptr(unsafe.Pointer(&conf))); e != 0 {
		return
	}
	for i := range list[:conf.length/int32(unsafe.Sizeof(list[0]))] {
		r := &list[i]
		a, err := r.Inet4Addr()
		name, _, _ := strings.Cut(r.Name(), ":")
		bits := 32
		if err == nil {
			err = unix.IoctlIfreq(fd, unix.SIOCGIFNETMASK, r)
		}
		if mask, failed := r.Inet4Addr(); err == nil && failed == nil {
			bits, _ = net.IPMask(mask).Size()
		}
		if err == nil {
			add(name, Address{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte(a)), bits)})
		}
	}
}

// parseInet6 reads /proc/net/if_inet6: address, index, length of the prefix, scope and flags in hexadecimal, and the interface.
func parseInet6(b []byte, add func(name string, a Address)) {
	for l := range lines(b) {
		f := l.fields()
		if len(f) != 6 {
			continue
		}
		raw, err := hex.DecodeString(f[0])
		bits, bitsErr := strconv.ParseUint(f[2], 16, 8)
		flags, flagsErr := strconv.ParseUint(f[4], 16, 32)
		a, ok := netip.AddrFromSlice(raw)
		if errors.Join(err, bitsErr, flagsErr) != nil || !ok || !a.Is6() || bits > 128 {
			continue
		}
		address := Address{Prefix: netip.PrefixFrom(a, int(bits))}
		for _, flag := range []struct {
			bit  uint64
			name string
		}{{unix.IFA_F_TENTATIVE, "tentative"}, {unix.IFA_F_DADFAILED, "dadfailed"}, {unix.IFA_F_OPTIMISTIC, "optimistic"}} {
			if flags&flag.bit != 0 {
				address.Flags = append(address.Flags, flag.name)
			}
		}
		add(f[5], address)
	}
}
