//go:build !portable

package droptrace

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// perfRecord is struct perf_event_header and what follows it.
func perfRecord(typ uint32, body []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, typ)
	b = binary.NativeEndian.AppendUint16(b, 1) // PERF_RECORD_MISC_KERNEL
	b = binary.NativeEndian.AppendUint16(b, uint16(sizeofHeader+len(body)))
	return append(b, body...)
}

// sample is a record of one drop, padded as the kernel does.
func sample(raw []byte, chain ...uint64) []byte {
	b := binary.NativeEndian.AppendUint64(nil, uint64(len(chain)))
	for _, address := range chain {
		b = binary.NativeEndian.AppendUint64(b, address)
	}
	padding := make([]byte, 7-(len(raw)+4+7)%8)
	b = binary.NativeEndian.AppendUint32(b, uint32(len(raw)+len(padding)))
	return perfRecord(unix.PERF_RECORD_SAMPLE, slices.Concat(b, raw, padding))
}

// kernelContext stands before the addresses of the kernel.
const kernelContext = math.MaxUint64 - 127

func TestParseRecords(t *testing.T) {
	one := sample(record618(20, 0x0800, 12), kernelContext, 10, 20, 30)
	two := sample(record618(50, 0x86dd, 3), kernelContext, 50, userContext, 60)
	lost := perfRecord(unix.PERF_RECORD_LOST, make([]byte, 16))
	first := Drop{Reason: "NETFILTER_DROP", Protocol: 0x0800, Addresses: []uint64{20, 30}}
	second := Drop{Reason: "NO_SOCKET", Protocol: 0x86dd, Addresses: []uint64{50}}
	tests := []struct {
		name string
		in   []byte
		most int
		want []Drop
		err  error
	}{
		{"nothing", nil, 64, nil, nil},
		{"two, and some lost", slices.Concat(one, lost, two), 64, []Drop{first, second}, nil},
		{"more than are kept", slices.Concat(one, two), 1, []Drop{first}, nil},
		{"none is kept", one, 0, nil, nil},
		{"location outside the chain", sample(record618(5, 0x0800, 3), kernelContext, 10), 64,
			[]Drop{{Reason: "NO_SOCKET", Protocol: 0x0800, Addresses: []uint64{5, 10}}}, nil},
		{"no chain", sample(record618(5, 0x0800, 3)), 64, []Drop{{Reason: "NO_SOCKET", Protocol: 0x0800, Addresses: []uint64{5}}}, nil},
		{"cut short", slices.Concat(one, two[:len(two)-1]), 64, []Drop{first}, errShort},
		{"a length of 0", slices.Concat(one, make([]byte, 8)), 64, []Drop{first}, errShort},
		{"a sample without a body", perfRecord(unix.PERF_RECORD_SAMPLE, nil), 64, nil, errShort},
		{"a chain longer than the record", perfRecord(unix.PERF_RECORD_SAMPLE, bytes.Repeat([]byte{0xff}, 16)), 64, nil, errShort},
		{"a chain and no record", perfRecord(unix.PERF_RECORD_SAMPLE, make([]byte, 8)), 64, nil, errShort},
		{"a record longer than it is", perfRecord(unix.PERF_RECORD_SAMPLE, append(make([]byte, 8), 9, 9, 9, 9)), 64, nil, errShort},
		{"a record without fields", sample(nil), 64, nil, errShort},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseRecords(tt.in, layout618, tt.most)
			if !slices.EqualFunc(got, tt.want, sameDrop) || !errors.Is(err, tt.err) {
				t.Errorf("got %+v, %v, want %+v, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func sameDrop(a, b Drop) bool {
	return a.Reason == b.Reason && a.Protocol == b.Protocol && slices.Equal(a.Addresses, b.Addresses) && slices.Equal(a.Functions, b.Functions)
}

func TestStraighten(t *testing.T) {
	ring := []byte("efghabcd")
	tests := []struct {
		name       string
		tail, head uint64
		want       string
	}{
		{"empty", 12, 12, ""}, {"in one piece", 8, 10, "ef"}, {"around the end", 12, 19, "abcdefg"}, {"full", 4, 12, "abcdefgh"},
		{"up to the end", 4, 8, "abcd"}, {"more than there is room for", 4, 13, ""}, {"backwards", 5, 4, ""},
		{"counts that begin again", math.MaxUint64 - 3, 2, "abcdef"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := straighten(ring, tt.tail, tt.head); string(got) != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzRecords(f *testing.F) {
	one := sample(record618(20, 0x0800, 12), kernelContext, 10, 20, 30)
	f.Add(one, uint64(0), uint64(len(one)))
	f.Add(slices.Concat(one[40:], one[:40]), uint64(len(one)-40), uint64(2*len(one)-40))
	f.Add(perfRecord(unix.PERF_RECORD_LOST, make([]byte, 16)), uint64(0), uint64(24))
	f.Fuzz(func(t *testing.T, ring []byte, tail, head uint64) {
		records := straighten(ring, tail, head)
		if len(records) > len(ring) {
			t.Errorf("%d bytes of a ring of %d", len(records), len(ring))
		}
		list, _ := parseRecords(records, layout618, maxDrops)
		if len(list) > maxDrops {
			t.Errorf("%d drops", len(list))
		}
		for _, d := range list {
			if len(d.Addresses) == 0 {
				t.Errorf("%+v has no location", d)
			}
		}
	})
}
