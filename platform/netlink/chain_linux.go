package platform

import (
	"encoding/binary"
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

const (
	// sizeofNfgenmsg is that of struct nfgenmsg: family, version, resource.
	sizeofNfgenmsg = 4
	// hookDevices is NFTA_HOOK_DEVS of linux/netfilter/nf_tables.h: a list of names.
	hookDevices = 4
)

var (
	errNotAdmin    = errors.New("only a process with CAP_NET_ADMIN may list firewall chains")
	errNoNetfilter = errors.New("netfilter is not loaded")
	errNoChains    = errors.New("nf_tables is no loaded module")
)

// hookNames are those of the hooks that see packets of IPv4 and IPv6 (enum nf_inet_hooks).
var hookNames = [...]string{"prerouting", "input", "forward", "output", "postrouting", "ingress"}

// readFirewall lists where a firewall may look at packets. It asks nf_tables only where that is there already: the
// question itself would load it.
func (h host) readFirewall(p Known[Process]) ([]Chain, error) {
	if !p.OK || !p.Value.Effective.NetAdmin {
		return nil, errNotAdmin
	}
	list, err := h.readIPTables()
	if err != nil {
		return nil, err
	}
	if err := h.netfilterLoaded(); err != nil {
		return nil, err
	}
	chains, err := readChains()
	return append(list, chains...), err
}

// readIPTables lists the tables of the older iptables, which nf_tables does not know.
func (h host) readIPTables() ([]Chain, error) {
	list := []Chain{}
	for _, family := range []string{"ip", "ip6"} {
		b, err := h.read("/proc/net/" + family + "_tables_names")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for name := range fields(b) {
			list = append(list, Chain{Family: family, Table: name})
		}
	}
	return list, nil
}

// netfilterLoaded is an error where asking for chains would load a module, or could.
func (h host) netfilterLoaded() error {
	b, err := h.read("/proc/net/netlink")
	if err != nil {
		return err
	}
	if !hasNetfilter(b) {
		return errNoNetfilter
	}
	modules, err := h.read("/proc/modules")
	if errors.Is(err, fs.ErrNotExist) { // a kernel without modules loads none
		return nil
	}
	if err == nil && !hasModule(modules, "nf_tables") {
		return errNoChains
	}
	return err
}

// hasNetfilter looks in /proc/net/netlink for the kernel's own socket of NETLINK_NETFILTER.
func hasNetfilter(b []byte) bool {
	for line := range lines(b) {
		if f := line.fields(); len(f) > 2 && f[1] == "12" && f[2] == "0" {
			return true
		}
	}
	return false
}

// hasModule looks in /proc/modules.
func hasModule(b []byte, name string) bool {
	for line := range lines(b) {
		if f := line.fields(); len(f) > 0 && f[0] == name {
			return true
		}
	}
	return false
}

// readChains lists the base chains of nf_tables.
func readChains() ([]Chain, error) {
	n, err := openNetlink(unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	defer n.close()
	const getChains = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETCHAIN
	all, err := n.dump(getChains, make([]byte, sizeofNfgenmsg))
	if err != nil {
		return nil, err
	}
	list := []Chain{}
	for _, m := range all {
		if c, err := parseChain(m.Data); err == nil && c.Hook != "" {
			list = append(list, c)
		}
	}
	return list, nil
}

// parseChain reads the body of NFT_MSG_NEWCHAIN, whose numbers are big-endian. Only base chains have a hook.
func parseChain(b []byte) (Chain, error) {
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
		case unix.NFTA_CHAIN_HOOK:
			c.Hook, c.Devices = parseHook(b[0], v)
		case unix.NFTA_CHAIN_POLICY:
			c.Policy = policyName(v)
		}
	})
	return c, nil
}

// parseHook reads where a base chain is attached.
func parseHook(family byte, b []byte) (name string, devices []string) {
	attributes(b, func(typ uint16, v []byte) {
		switch {
		case typ == unix.NFTA_HOOK_HOOKNUM && len(v) == 4:
			name = hookName(family, binary.BigEndian.Uint32(v))
		case typ == unix.NFTA_HOOK_DEV:
			devices = []string{text(v)}
		case typ == hookDevices:
			devices = nil // it holds the one above too
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
	switch family {
	case unix.NFPROTO_INET:
		return "inet"
	case unix.NFPROTO_IPV4:
		return "ip"
	case unix.NFPROTO_ARP:
		return "arp"
	case unix.NFPROTO_NETDEV:
		return "netdev"
	case unix.NFPROTO_BRIDGE:
		return "bridge"
	case unix.NFPROTO_IPV6:
		return "ip6"
	}
	return ""
}
