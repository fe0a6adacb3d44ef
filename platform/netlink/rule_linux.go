package netlink

import (
	"encoding/binary"
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
	r.Narrow = b[3] != 0 // type of service
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
		default:
			parseSelector(&r, b[0], typ, v)
		}
	})
	if r.Action == "lookup" {
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
func parseSelector(r *Rule, family byte, typ uint16, v []byte) {
	switch typ {
	case unix.FRA_IIFNAME:
		r.In = text(v)
	case unix.FRA_OIFNAME:
		r.Out = text(v)
	case unix.FRA_UID_RANGE:
		if len(v) == 8 {
			r.Users = &fact.Range{Low: int64(number(v[:4])), High: int64(number(v[4:]))}
		}
	case unix.FRA_FWMARK, unix.FRA_TUN_ID, unix.FRA_L3MDEV: // our packets have mark, tunnel and VRF 0
		r.Narrow = r.Narrow || number(v) != 0
	case unix.FRA_IP_PROTO:
		echo := family == unix.AF_INET && number(v) == unix.IPPROTO_ICMP ||
			family == unix.AF_INET6 && number(v) == unix.IPPROTO_ICMPV6
		r.Narrow = r.Narrow || !echo
	case unix.FRA_SPORT_RANGE, unix.FRA_DPORT_RANGE:
		r.Narrow = true
	}
}

func actionName(action byte) string {
	return nameOf(action, map[byte]string{unix.FR_ACT_TO_TBL: "lookup", unix.FR_ACT_GOTO: "goto", unix.FR_ACT_NOP: "nop",
		unix.FR_ACT_BLACKHOLE: "blackhole", unix.FR_ACT_UNREACHABLE: "unreachable", unix.FR_ACT_PROHIBIT: "prohibit"})
}
