//go:build !portable

package droptrace

import (
	"encoding/binary"
	"errors"
	"maps"
	"strings"
	"testing"
)

// format618 is the file of Linux 6.18 with some of its reasons, on a processor of 64 bits.
const format618 = `name: kfree_skb
ID: 2310
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:void * skbaddr;	offset:8;	size:8;	signed:0;
	field:void * location;	offset:16;	size:8;	signed:0;
	field:void * rx_sk;	offset:24;	size:8;	signed:0;
	field:unsigned short protocol;	offset:32;	size:2;	signed:0;
	field:enum skb_drop_reason reason;	offset:36;	size:4;	signed:0;

print fmt: "skbaddr=%p rx_sk=%p protocol=%u location=%pS reason: %s", REC->skbaddr, REC->rx_sk, REC->protocol, REC->location, ` +
	`__print_symbolic(REC->reason, { 2, "NOT_SPECIFIED" }, { 3, "NO_SOCKET" }, { 12, "NETFILTER_DROP" }, { 128, "MAX" })
`

// format510 is that of Linux 5.10, which has no reasons.
const format510 = `name: kfree_skb
ID: 1406
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;

	field:void * skbaddr;	offset:8;	size:8;	signed:0;
	field:void * location;	offset:16;	size:8;	signed:0;
	field:unsigned short protocol;	offset:24;	size:2;	signed:0;

print fmt: "skbaddr=%p protocol=%u location=%p", REC->skbaddr, REC->protocol, REC->location
`

// layout618 is what format618 says.
var layout618 = layout{
	location: field{16, 8}, protocol: field{32, 2}, reason: field{36, 4},
	reasons: map[uint64]string{2: "NOT_SPECIFIED", 3: "NO_SOCKET", 12: "NETFILTER_DROP", 128: "MAX"},
}

func (l layout) equal(m layout) bool {
	return l.location == m.location && l.protocol == m.protocol && l.reason == m.reason && maps.Equal(l.reasons, m.reasons)
}

func TestParseFormat(t *testing.T) {
	symbols := func(list string) string {
		return "field:void * location; offset:8; size:4;\nfield:u16 protocol; offset:12; size:2;\nprint fmt: " + list
	}
	small := layout{location: field{8, 4}, protocol: field{12, 2}}
	with := func(l layout, reasons map[uint64]string) layout { l.reasons = reasons; return l }
	tests := []struct {
		name, in string
		want     layout
		err      error
	}{
		{"6.18", format618, layout618, nil},
		{"5.10", format510, layout{location: field{16, 8}, protocol: field{24, 2}}, nil},
		{"hexadecimal", symbols(`__print_symbolic(REC->reason, { 0x10, "A" })`), with(small, map[uint64]string{16: "A"}), nil},
		{"names without numbers", symbols(`__print_symbolic(REC->reason, { SKB_DROP_REASON_A, "A" }, { 3, "B" })`),
			with(small, map[uint64]string{3: "B"}), nil},
		{"numbers of something else", symbols(`__print_symbolic(REC->family, { 2, "INET" }), __print_symbolic(REC->reason, {1,"A"})`),
			with(small, map[uint64]string{1: "A"}), nil},
		{"cut within the reasons", symbols(`__print_symbolic(REC->reason, { 1, "A" }, { 2, `), with(small, map[uint64]string{1: "A"}), nil},
		{"empty", "", layout{}, errFormat},
		{"no location", strings.Replace(format618, " location;", " place;", 1), layout{}, errFormat},
		{"offset is no number", strings.Replace(format618, "offset:16", "offset:x", 1), layout{}, errFormat},
		{"offset is negative", strings.Replace(format618, "offset:16", "offset:-1", 1), layout{}, errFormat},
		{"size is absurd", strings.Replace(format618, "offset:36;	size:4", "offset:36;	size:99999999", 1), layout{}, errFormat},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := parseFormat([]byte(tt.in)); !got.equal(tt.want) || !errors.Is(err, tt.err) {
				t.Errorf("got %+v, %v, want %+v, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

// record618 is a record of Linux 6.18.
func record618(location uint64, protocol uint16, reason uint32) []byte {
	b := make([]byte, 40)
	binary.NativeEndian.PutUint64(b[16:], location)
	binary.NativeEndian.PutUint16(b[32:], protocol)
	binary.NativeEndian.PutUint32(b[36:], reason)
	return b
}

func TestLayoutDrop(t *testing.T) {
	odd := layout618
	odd.protocol.size = 3
	tests := []struct {
		name   string
		layout layout
		in     []byte
		want   Drop
		err    error
	}{
		{"IPv6", layout618, record618(7, 0x86dd, 12), Drop{Reason: "NETFILTER_DROP", Protocol: 0x86dd}, nil},
		{"a reason without a name", layout618, record618(7, 0x0800, 99), Drop{Protocol: 0x0800}, nil},
		{"a kernel without reasons", layout{location: field{16, 8}, protocol: field{32, 2}}, record618(7, 0x0800, 12)[:34],
			Drop{Protocol: 0x0800}, nil},
		{"short", layout618, record618(7, 0x0800, 12)[:39], Drop{}, errShort},
		{"empty", layout618, nil, Drop{}, errShort},
		{"a number of three bytes", odd, record618(7, 0x0800, 12), Drop{}, errFormat},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, location, err := tt.layout.drop(tt.in)
			if got.Reason != tt.want.Reason || got.Protocol != tt.want.Protocol || !errors.Is(err, tt.err) || err == nil && location != 7 {
				t.Errorf("got %+v at %d, %v, want %+v at 7, %v", got, location, err, tt.want, tt.err)
			}
		})
	}
}

func FuzzFormat(f *testing.F) {
	f.Add([]byte(format618), record618(7, 0x86dd, 12))
	f.Add([]byte(format510), record618(7, 0x0800, 0))
	f.Fuzz(func(t *testing.T, format, record []byte) {
		l, err := parseFormat(format)
		if err != nil {
			return
		}
		if l.location.size == 0 || l.protocol.size == 0 {
			t.Errorf("got %+v without an error", l)
		}
		if _, _, err := l.drop(record); err == nil && len(record) < l.location.offset+l.location.size {
			t.Errorf("read %+v of a record of %d bytes", l, len(record))
		}
	})
}
