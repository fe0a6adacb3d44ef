package report

import (
	"net/netip"
	"strconv"
)

// unreachable4 are ping's words for the codes of type 3 (RFC 792, RFC 1122, RFC 1812).
var unreachable4 = [...]string{
	0: "Destination Net Unreachable", 1: "Destination Host Unreachable", 2: "Destination Protocol Unreachable",
	3: "Destination Port Unreachable", 4: "Frag needed and DF set", 5: "Source Route Failed",
	6: "Destination Net Unknown", 7: "Destination Host Unknown", 8: "Source Host Isolated",
	9: "Destination Net Prohibited", 10: "Destination Host Prohibited",
	11: "Destination Net Unreachable for Type of Service", 12: "Destination Host Unreachable for Type of Service",
	13: "Packet filtered", 14: "Precedence Violation", 15: "Precedence Cutoff",
}

var redirect4 = [...]string{
	0: "Redirect Network", 1: "Redirect Host", 2: "Redirect Type of Service and Network",
	3: "Redirect Type of Service and Host",
}

var exceeded4 = [...]string{0: "Time to live exceeded", 1: "Frag reassembly time exceeded"}

// unreachable6 are ping's words for the codes of type 1 (RFC 4443, section 3.1).
var unreachable6 = [...]string{
	0: "No route", 1: "Administratively prohibited", 2: "Beyond scope of source address", 3: "Address unreachable",
	4: "Port unreachable", 5: "Source address failed ingress/egress policy", 6: "Reject route to destination",
}

var exceeded6 = [...]string{0: "Hop limit", 1: "Defragmentation failure"}

var problem6 = [...]string{0: "Wrong header field", 1: "Unknown header", 2: "Unknown option"}

// icmpWords appends ping's name of an ICMP error that answered a probe to target.
func icmpWords(b []byte, target netip.Addr, typ, code uint8) []byte {
	if target.Unmap().Is4() {
		return icmpWords4(b, typ, code)
	}
	return icmpWords6(b, typ, code)
}

func icmpWords4(b []byte, typ, code uint8) []byte {
	switch typ {
	case 3:
		return word(b, unreachable4[:], code, "Dest Unreachable, Bad Code: ")
	case 4:
		return append(b, "Source Quench"...)
	case 5:
		return word(b, redirect4[:], code, "Redirect, Bad Code: ")
	case 11:
		return word(b, exceeded4[:], code, "Time exceeded, Bad Code: ")
	case 12:
		return append(b, "Parameter problem"...)
	}
	return word(b, nil, typ, "Bad ICMP type: ")
}

func icmpWords6(b []byte, typ, code uint8) []byte {
	switch typ {
	case 1:
		return word(append(b, "Destination unreachable: "...), unreachable6[:], code, "Unknown code ")
	case 2:
		return append(b, "Packet too big"...)
	case 3:
		return word(append(b, "Time exceeded: "...), exceeded6[:], code, "code ")
	case 4:
		return word(append(b, "Parameter problem: "...), problem6[:], code, "code ")
	}
	return word(b, nil, typ, "unknown icmp type: ")
}

// word appends the word for a number; if there is none, it appends other and the number.
func word(b []byte, words []string, n uint8, other string) []byte {
	if int(n) < len(words) {
		return append(b, words[n]...)
	}
	return strconv.AppendUint(append(b, other...), uint64(n), 10)
}
