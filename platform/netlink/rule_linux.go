package netlink

import (
	"encoding/binary"
	"math"
	"net/netip"

	"golang.org/x/sys/unix"

	"lping/platform/fact"
)

// GetRules asks for the routing policy of a family.
func GetRules(family byte) Request {
	b := make([]byte, unix.SizeofRtMsg) // struct fib_rule_hdr has the same size
	b[0] = family
	return dump(unix.RTM_GETRULE, b)
}

// ParseRule reads the body of RTM_NEWRULE: struct fib_rule_hdr and its attributes.
func ParseRule(b []byte) (Rule, error) {
	if len(b) < unix.SizeofRtMsg {
		return Rule{}, errShort
	}
	r := Rule{Action: actionName(b[7]), Not: binary.NativeEndian.Uint32(b[8:])&unix.FIB_RULE_INVERT != 0}
	r.TOS = b[3]
	table, from, to := uint32(b[4]), unspecified(b[0]), unspecified(b[0])
	attributes(b[unix.SizeofRtMsg:], func(typ uint16, v []byte) {
		switch typ {
		case unix.FRA_DST:
			to, _ = netip.AddrFromSlice(v)
		case unix.FRA_SRC:
			from, _ = netip.AddrFromSlice(v)
		case unix.FRA_TABLE:
			table = uint32(number(v))
		case unix.FRA_PRIORITY:
			r.Priority = uint32(number(v))
		case unix.FRA_SUPPRESS_PREFIXLEN:
			if n := int32(number(v)); n >= 0 {
				r.SuppressPrefix = new(int(n))
			}
		case unix.FRA_GOTO:
			r.Goto = uint32(number(v))
		default:
			parseSelector(&r, typ, v)
		}
	})
	if r.Action == "lookup" && !r.L3Mdev {
		r.Table = tableName(table)
	}
	return r, setSelectors(&r, from, b[2], to, b[1])
}

// setSelectors sets the addresses, if they have a length: without one they match everything.
func setSelectors(r *Rule, from netip.Addr, fromBits byte, to netip.Addr, toBits byte) (err error) {
	if fromBits != 0 {
		if r.From, err = prefix(from, fromBits); err != nil {
			return err
		}
	}
	if toBits != 0 {
		r.To, err = prefix(to, toBits)
	}
	return err
}

// parseSelector reads an attribute of a rule that narrows it.
func parseSelector(r *Rule, typ uint16, v []byte) {
	switch typ {
	case unix.FRA_IIFNAME:
		r.In = text(v)
	case unix.FRA_OIFNAME:
		r.Out = text(v)
	case unix.FRA_UID_RANGE:
		if len(v) == 8 {
			r.Users = &fact.Range{Low: int64(number(v[:4])), High: int64(number(v[4:]))}
		}
	case unix.FRA_FWMARK:
		r.Mark = uint32(number(v))
	case unix.FRA_FWMASK:
		r.Mask = uint32(number(v))
	case unix.FRA_TUN_ID:
		if len(v) == 8 {
			r.Tunnel = binary.BigEndian.Uint64(v)
		}
	case unix.FRA_L3MDEV:
		r.L3Mdev = number(v) != 0
	case unix.FRA_IP_PROTO:
		r.Protocol = protocolName(number(v))
	case unix.FRA_SPORT_RANGE:
		r.SourcePorts = portRange(v)
	case unix.FRA_DPORT_RANGE:
		r.Ports = portRange(v)
	case sourcePortMask, portMask:
		r.Other = r.Other || number(v) != math.MaxUint16 // which one port has
	default:
		r.Other = r.Other || typ > unix.FRA_DPORT_RANGE
	}
}

// Attributes of a rule that package unix lacks (linux/fib_rules.h): the bits of a port that count.
const (
	sourcePortMask = 28 // FRA_SPORT_MASK
	portMask       = 29 // FRA_DPORT_MASK
)

// portRange reads struct fib_rule_port_range.
func portRange(v []byte) *fact.Range {
	if len(v) != 4 {
		return nil
	}
	return &fact.Range{Low: int64(number(v[:2])), High: int64(number(v[2:]))}
}

// protocolName is a protocol's name as ip prints it.
func protocolName(n uint64) string {
	return nameOf(uint32(n), map[uint32]string{unix.IPPROTO_ICMP: ICMP, unix.IPPROTO_ICMPV6: icmp6,
		unix.IPPROTO_TCP: TCP, unix.IPPROTO_UDP: UDP})
}

func actionName(action byte) string {
	return nameOf(action, map[byte]string{unix.FR_ACT_TO_TBL: "lookup", unix.FR_ACT_GOTO: "goto", unix.FR_ACT_NOP: "nop",
		unix.FR_ACT_BLACKHOLE: "blackhole", unix.FR_ACT_UNREACHABLE: "unreachable", unix.FR_ACT_PROHIBIT: "prohibit"})
}
