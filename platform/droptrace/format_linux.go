//go:build !portable

package droptrace

import (
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
)

var (
	errFormat = errors.New("the kernel's format of skb:kfree_skb is not understood")
	errShort  = errors.New("a record of skb:kfree_skb is cut short")
)

// maxRecord is more than the kernel lets a record of a tracepoint have (PERF_MAX_TRACE_SIZE), in bytes.
const maxRecord = 1 << 14

// field is where a record has a number. The zero value is nowhere.
type field struct{ offset, size int }

// number is the field in a record.
func (f field) number(record []byte) (uint64, error) {
	if len(record) < f.offset+f.size {
		return 0, errShort
	}
	b := record[f.offset : f.offset+f.size]
	switch f.size {
	case 1:
		return uint64(b[0]), nil
	case 2:
		return uint64(binary.NativeEndian.Uint16(b)), nil
	case 4:
		return uint64(binary.NativeEndian.Uint32(b)), nil
	case 8:
		return binary.NativeEndian.Uint64(b), nil
	}
	return 0, errFormat
}

// layout is what the file "format" of the tracepoint says: numbers and offsets differ from kernel to kernel.
type layout struct {
	// location is the address where the packet was dropped, reason the number of why; kernels before 5.17 have none.
	location, protocol, reason field
	// reasons are the names of the numbers.
	reasons map[uint64]string
}

// parseFormat reads the file: a line for each field, and how to print a record.
func parseFormat(b []byte) (l layout, err error) {
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if declaration, ok := strings.CutPrefix(line, "field:"); ok {
			if err := l.addField(declaration); err != nil {
				return layout{}, err
			}
		}
		if how, ok := strings.CutPrefix(line, "print fmt:"); ok {
			l.reasons = parseReasons(how)
		}
	}
	if l.location.size == 0 || l.protocol.size == 0 {
		return layout{}, errFormat
	}
	return l, nil
}

// addField reads a declaration such as "void * location;	offset:16;	size:8;	signed:0;".
func (l *layout) addField(declaration string) error {
	declared, rest, _ := strings.Cut(declaration, ";")
	var to *field
	switch declared[strings.LastIndexAny(declared, " *")+1:] {
	case "location":
		to = &l.location
	case "protocol":
		to = &l.protocol
	case "reason":
		to = &l.reason
	default:
		return nil
	}
	for part := range strings.SplitSeq(rest, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), ":")
		n, err := strconv.Atoi(value)
		switch {
		case key != "offset" && key != "size":
		case err != nil || n < 0 || n > maxRecord:
			return errFormat
		case key == "offset":
			to.offset = n
		default:
			to.size = n
		}
	}
	return nil
}

// parseReasons reads `… __print_symbolic(REC->reason, { 2, "NOT_SPECIFIED" }, { 3, "NO_SOCKET" }, …)`.
func parseReasons(how string) map[uint64]string {
	reasons := map[uint64]string{}
	for call := range strings.SplitSeq(how, "__print_symbolic(") {
		value, list, _ := strings.Cut(call, ",")
		if !strings.HasSuffix(strings.TrimSpace(value), "reason") {
			continue
		}
		for pair := range strings.SplitSeq(list, "{") {
			pair, _, _ = strings.Cut(pair, "}")
			number, name, _ := strings.Cut(pair, ",")
			n, err := strconv.ParseUint(strings.TrimSpace(number), 0, 64)
			if name = strings.Trim(name, ` "`); err == nil && name != "" {
				reasons[n] = name
			}
		}
	}
	return reasons
}

// drop reads a record of the tracepoint, and where the packet was dropped.
func (l layout) drop(record []byte) (d Drop, location uint64, err error) {
	if location, err = l.location.number(record); err != nil {
		return Drop{}, 0, err
	}
	protocol, err := l.protocol.number(record)
	if err != nil {
		return Drop{}, 0, err
	}
	d.Protocol = uint16(protocol)
	if l.reason.size > 0 {
		reason, err := l.reason.number(record)
		if err != nil {
			return Drop{}, 0, err
		}
		d.Reason = l.reasons[reason]
	}
	return d, location, nil
}
