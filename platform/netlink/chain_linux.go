package netlink

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

const (
	// sizeofNfgenmsg is that of struct nfgenmsg: family, version, resource.
	sizeofNfgenmsg = 4
	// hookDevices is NFTA_HOOK_DEVS of linux/netfilter/nf_tables.h: a list of names.
	hookDevices = 4
)

// hookNames are those of the hooks that see packets of IPv4 and IPv6 (enum nf_inet_hooks).
var hookNames = [...]string{"prerouting", "input", "forward", "output", "postrouting", "ingress"}

// GetChains asks nf_tables for the chains of all families.
func GetChains() Request {
	return dump(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETCHAIN, make([]byte, sizeofNfgenmsg))
}

// ParseChain reads the body of NFT_MSG_NEWCHAIN, whose numbers are big-endian. Only base chains have a hook.
func ParseChain(b []byte) (Chain, error) {
	if len(b) < sizeofNfgenmsg {
		return Chain{}, errShort
	}
	c := Chain{Family: chainFamily(b[0])}
	attributes(b[sizeofNfgenmsg:], func(typ uint16, v []byte) {
		switch typ {
		case unix.NFTA_CHAIN_TABLE:
			c.Table = text(v)
		case unix.NFTA_CHAIN_NAME:
			c.Name = text(v)
		case unix.NFTA_CHAIN_TYPE:
			c.Type = text(v)
		case unix.NFTA_CHAIN_HOOK:
			c.Hook, c.Devices = parseHook(b[0], v)
		case unix.NFTA_CHAIN_POLICY:
			c.Policy = policyName(v)
		}
	})
	return c, nil
}

// parseHook reads at which hook and to which devices a base chain is attached.
func parseHook(family byte, b []byte) (name string, devices []string) {
	attributes(b, func(typ uint16, v []byte) {
		switch {
		case typ == unix.NFTA_HOOK_HOOKNUM && len(v) == 4:
			name = hookName(family, binary.BigEndian.Uint32(v))
		case typ == unix.NFTA_HOOK_DEV:
			devices = []string{text(v)}
		case typ == hookDevices:
			devices = nil // this list has the one above too
			attributes(v, func(_ uint16, v []byte) { devices = append(devices, text(v)) })
		}
	})
	return name, devices
}

func hookName(family byte, hook uint32) string {
	if family == unix.NFPROTO_NETDEV {
		return map[uint32]string{0: "ingress", 1: "egress"}[hook]
	}
	if hook < uint32(len(hookNames)) {
		return hookNames[hook]
	}
	return ""
}

func policyName(b []byte) string {
	if len(b) != 4 {
		return ""
	}
	return map[uint32]string{0: "drop", 1: "accept"}[binary.BigEndian.Uint32(b)]
}

func chainFamily(family byte) string {
	return map[byte]string{unix.NFPROTO_INET: "inet", unix.NFPROTO_IPV4: "ip", unix.NFPROTO_ARP: "arp", unix.NFPROTO_NETDEV: "netdev",
		unix.NFPROTO_BRIDGE: "bridge", unix.NFPROTO_IPV6: "ip6"}[family]
}
