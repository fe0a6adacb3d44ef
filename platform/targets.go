package platform

import "net/netip"

// targets are the addresses that the families are asked about.
func targets(target netip.Addr) (v4, v6 netip.Addr) {
	v4, v6 = netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()
	switch target = target.Unmap().WithZone(""); {
	case target.Is4():
		v4 = target
	case target.Is6():
		v6 = target
	}
	return v4, v6
}
