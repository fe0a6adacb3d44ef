package platform

import (
	"net"
	"net/netip"
)

// IsLoopbackInterface says whether this host has a loopback interface of this name.
func IsLoopbackInterface(name string) (bool, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return false, err
	}
	for _, i := range interfaces {
		if i.Name == name {
			return i.Flags&net.FlagLoopback != 0, nil
		}
	}
	return false, nil
}

// OnLoopback names the loopback interface that an address is assigned to, which must be that of its zone if it has
// one. The name is empty if there is none.
func OnLoopback(a netip.Addr) (name string, err error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return "", err
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagLoopback == 0 || a.Zone() != "" && a.Zone() != i.Name {
			continue
		}
		addresses, err := i.Addrs()
		if err != nil {
			return "", err
		}
		if assigned(addresses, a.Unmap().WithZone("")) {
			return i.Name, nil
		}
	}
	return "", nil
}

// assigned looks for an address among those of an interface, whatever their prefix.
func assigned(list []net.Addr, a netip.Addr) bool {
	for _, item := range list {
		if prefix, ok := item.(*net.IPNet); ok {
			if b, ok := netip.AddrFromSlice(prefix.IP); ok && b.Unmap() == a {
				return true
			}
		}
	}
	return false
}
