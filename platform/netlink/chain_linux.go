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

// GetFirewallRules asks nf_tables for the rules of all chains.
func GetFirewallRules() Request {
	return dump(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETRULE, make([]byte, sizeofNfgenmsg))
}

// FirewallRule is what a rule of nf_tables may do to a packet.
type FirewallRule struct {
	// Family, Table and Chain are those that the rule is in.
	Family, Table, Chain string
	// Drops says that it drops, rejects or queues packets, or may: a map of verdicts is not looked into.
	Drops bool
	// Jumps are the chains of the table that it leads to.
	Jumps []string
}

// ParseFirewallRule reads the body of NFT_MSG_NEWRULE (linux/netfilter/nf_tables.h).
func ParseFirewallRule(b []byte) (FirewallRule, error) {
	if len(b) < sizeofNfgenmsg {
		return FirewallRule{}, errShort
	}
	r := FirewallRule{Family: chainFamily(b[0])}
	attributes(b[sizeofNfgenmsg:], func(typ uint16, v []byte) {
		switch typ {
		case unix.NFTA_RULE_TABLE:
			r.Table = text(v)
		case unix.NFTA_RULE_CHAIN:
			r.Chain = text(v)
		case unix.NFTA_RULE_EXPRESSIONS:
			attributes(v, func(_ uint16, v []byte) { r.decide(parseExpression(v)) })
		}
	})
	return r, nil
}

// decide adds what a part of a rule decides. iptables has targets of its own.
func (r *FirewallRule) decide(name string, data []byte) {
	const immediateData, lookupRegister, targetName, dataVerdict = 2, 3, 1, 2
	r.Drops = r.Drops || name == "reject" || name == "queue"
	attributes(data, func(typ uint16, v []byte) {
		switch {
		case name == "immediate" && typ == immediateData:
			attributes(v, func(typ uint16, v []byte) {
				if typ == dataVerdict {
					r.verdict(v)
				}
			})
		case name == "lookup" && typ == lookupRegister && len(v) == 4:
			r.Drops = r.Drops || binary.BigEndian.Uint32(v) == 0 // the register of verdicts
		case name == "target" && typ == targetName:
			target := text(v)
			r.Drops = r.Drops || target == "REJECT" || target == "NFQUEUE"
		}
	})
}

// verdict adds what a rule without any further look does to a packet (enum nft_verdicts).
func (r *FirewallRule) verdict(b []byte) {
	const codeAttribute, chainAttribute, drop, queue = 1, 2, 0, 3
	attributes(b, func(typ uint16, v []byte) {
		switch {
		case typ == codeAttribute && len(v) == 4:
			code := binary.BigEndian.Uint32(v)
			r.Drops = r.Drops || code == drop || code == queue
		case typ == chainAttribute:
			r.Jumps = append(r.Jumps, text(v))
		}
	})
}

// ParseRedirects reads the body of NFT_MSG_NEWRULE: the ports that the rule compares with before it sends a packet elsewhere, by
// DNAT or a redirect; none if it does something else.
func ParseRedirects(b []byte) (ports []uint16) {
	if len(b) < sizeofNfgenmsg {
		return nil
	}
	sends := false
	attributes(b[sizeofNfgenmsg:], func(typ uint16, v []byte) {
		if typ != unix.NFTA_RULE_EXPRESSIONS {
			return
		}
		attributes(v, func(_ uint16, v []byte) {
			name, data := parseExpression(v)
			sends = sends || redirects(name, data)
			ports = append(ports, comparedPorts(name, data)...)
		})
	})
	if !sends {
		return nil
	}
	return ports
}

// parseExpression reads one part of a rule: what it does, and the attributes of that.
func parseExpression(b []byte) (name string, data []byte) {
	attributes(b, func(typ uint16, v []byte) {
		switch typ {
		case unix.NFTA_EXPR_NAME:
			name = text(v)
		case unix.NFTA_EXPR_DATA:
			data = v
		}
	})
	return name, data
}

// redirects says whether a part of a rule gives a packet another destination. iptables has targets of its own for that.
func redirects(name string, data []byte) (found bool) {
	const natType, natToDestination, targetName = 1, 1, 1 // NFTA_NAT_TYPE, NFT_NAT_DNAT, NFTA_TARGET_NAME
	attributes(data, func(typ uint16, v []byte) {
		switch {
		case name == "nat" && typ == natType && len(v) == 4:
			found = binary.BigEndian.Uint32(v) == natToDestination
		case name == "target" && typ == targetName:
			found = text(v) == "DNAT" || text(v) == "REDIRECT"
		}
	})
	return found || name == "redir"
}

// comparedPorts are the numbers of two bytes that a part of a rule compares with; those of iptables stand in struct xt_tcp or
// xt_udp (linux/netfilter/xt_tcpudp.h) as the range of the destination's ports.
func comparedPorts(name string, data []byte) (ports []uint16) {
	const cmpData, matchInfo, value = 3, 3, 1 // NFTA_CMP_DATA, NFTA_MATCH_INFO, NFTA_DATA_VALUE
	attributes(data, func(typ uint16, v []byte) {
		switch {
		case name == "cmp" && typ == cmpData:
			attributes(v, func(typ uint16, v []byte) {
				if typ == value && len(v) == 2 {
					ports = append(ports, binary.BigEndian.Uint16(v))
				}
			})
		case name == "match" && typ == matchInfo && len(v) >= 8:
			if low, high := binary.NativeEndian.Uint16(v[4:]), binary.NativeEndian.Uint16(v[6:]); low == high {
				ports = append(ports, low)
			}
		}
	})
	return ports
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
