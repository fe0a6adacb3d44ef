//go:build !portable

package droptrace

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"
)

// maxDrops bounds how many drops are kept. The first ones tell most.
const maxDrops = 64

const (
	sizeofHeader = 8 // of struct perf_event_header
	// contexts are the numbers from here on that stand in a call chain between addresses (enum perf_callchain_context).
	contexts = 1<<64 + unix.PERF_CONTEXT_MAX
	// userContext stands before the addresses of the program.
	userContext = 1<<64 + unix.PERF_CONTEXT_USER
)

// straighten copies what a ring buffer holds between two positions, which count on beyond its end.
func straighten(ring []byte, tail, head uint64) []byte {
	size := uint64(len(ring))
	if head-tail > size || size == 0 {
		return nil
	}
	from, to := tail%size, tail%size+(head-tail)
	if to <= size {
		return slices.Clone(ring[from:to])
	}
	return slices.Concat(ring[from:], ring[:to-size])
}

// parseRecords reads the records of perf_event_open(2) with sample type CALLCHAIN and RAW. It keeps some drops at most. What
// stands behind a record that is cut short is left out.
func parseRecords(b []byte, l layout, most int) (list []Drop, err error) {
	for len(b) >= sizeofHeader && len(list) < most {
		typ, size := binary.NativeEndian.Uint32(b), int(binary.NativeEndian.Uint16(b[6:]))
		if size < sizeofHeader || size > len(b) {
			return list, errShort
		}
		if typ == unix.PERF_RECORD_SAMPLE { // of the others, only LOST is possible
			d, err := parseSample(b[sizeofHeader:size], l)
			if err != nil {
				return list, err
			}
			list = append(list, d)
		}
		b = b[size:]
	}
	return list, nil
}

// parseSample reads { u64 nr; u64 ips[nr]; u32 size; char data[size]; }.
func parseSample(b []byte, l layout) (Drop, error) {
	if len(b) < 8 {
		return Drop{}, errShort
	}
	n := binary.NativeEndian.Uint64(b)
	if b = b[8:]; n > uint64(len(b))/8 {
		return Drop{}, errShort
	}
	addresses, b := b[:8*n], b[8*n:]
	if len(b) < 4 {
		return Drop{}, errShort
	}
	size := binary.NativeEndian.Uint32(b)
	if b = b[4:]; uint64(size) > uint64(len(b)) {
		return Drop{}, errShort
	}
	d, location, err := l.drop(b[:size])
	d.Addresses = fromLocation(parseChain(addresses), location)
	return d, err
}

// parseChain are the addresses within the kernel, the innermost first.
func parseChain(b []byte) (chain []uint64) {
	for ; len(b) >= 8; b = b[8:] {
		switch address := binary.NativeEndian.Uint64(b); {
		case address == userContext:
			return chain
		case address < contexts:
			chain = append(chain, address)
		}
	}
	return chain
}

// fromLocation leaves out the functions that only throw away, which the location called.
func fromLocation(chain []uint64, location uint64) []uint64 {
	if i := slices.Index(chain, location); i >= 0 {
		return chain[i:]
	}
	return append([]uint64{location}, chain...)
}
