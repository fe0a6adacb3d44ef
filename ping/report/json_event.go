package report

import (
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"

	"lping/ping"
	"lping/platform"
)

// Event writes what happened to a probe. It does without encoding/json, because a flood spends most of its time here.
func (j *jsonLines) Event(t Target, e ping.Event) error {
	if j.o.Quiet {
		return nil
	}
	switch e.Kind {
	case ping.Reply, ping.Duplicate, ping.Late:
		b := exactMillis(append(j.event(t, e), `,"rtt_ms":`...), e.RTT)
		if e.Connect > 0 {
			b = exactMillis(append(b, `,"connect_ms":`...), e.Connect)
		}
		return j.end(appendArrival(b, t, e), e.Time)
	case ping.Timeout:
		return j.end(j.event(t, e), e.Time)
	case ping.Corrupt:
		b := appendArrival(j.event(t, e), t, e)
		if !e.Answer.Wrong() {
			b = appendMismatch(b, e.Wrong)
		}
		return j.end(b, e.Time)
	case ping.SendError:
		return j.end(appendAnswer(appendFault(j.event(t, e), t, e.Fault), e.Answer), e.Time)
	}
	return nil
}

// event starts the object of an event with the fields that every event has.
func (j *jsonLines) event(t Target, e ping.Event) []byte {
	b := j.open(e.Kind.String())
	if j.o.Timestamp {
		b = exactMillis(append(b, `,"time_ms":`...), time.Duration(e.Time.UnixNano()))
	}
	b = strconv.AppendUint(append(b, `,"seq":`...), e.Seq, 10)
	b = appendAddress(append(b, `,"address":`...), sender(t, e))
	if t.Port != 0 {
		b = strconv.AppendUint(append(b, `,"port":`...), uint64(t.Port), 10)
	}
	if t.Path != "" {
		b = appendQuoted(append(b, `,"path":`...), t.Path)
	}
	if t.Ambiguous {
		b = appendQuoted(append(b, `,"method":`...), t.Method)
	}
	return b
}

// appendAddress appends an address as a string. Only a zone, which is an interface's name, may need escapes.
func appendAddress(b []byte, a netip.Addr) []byte {
	if a.Zone() != "" {
		return appendQuoted(b, a.String())
	}
	return append(a.AppendTo(append(b, '"')), '"')
}

// appendArrival appends the hop limit, if the system told it, and the number of bytes. A connection to a service brings neither.
func appendArrival(b []byte, t Target, e ping.Event) []byte {
	if e.TTL > 0 {
		b = strconv.AppendInt(append(b, `,"ttl":`...), int64(e.TTL), 10)
	}
	if !connectsOnly(t) {
		b = strconv.AppendInt(append(b, `,"bytes":`...), int64(e.Bytes), 10)
	}
	return appendAnswer(b, e.Answer)
}

// appendAnswer appends what a service did or said, if there is more to it than that it answered.
func appendAnswer(b []byte, a *ping.Answer) []byte {
	if a == nil {
		return b
	}
	if a.Reset {
		b = append(b, `,"reset":true`...)
	}
	if a.Status != 0 {
		b = strconv.AppendInt(append(b, `,"status":`...), int64(a.Status), 10)
	}
	if a.Text != "" {
		b = appendQuoted(append(b, `,"said":`...), a.Text)
	}
	return b
}

func appendMismatch(b []byte, m ping.Mismatch) []byte {
	b = strconv.AppendInt(append(b, `,"offset":`...), int64(m.Offset), 10)
	b = strconv.AppendUint(append(b, `,"want":`...), uint64(m.Want), 10)
	b = strconv.AppendUint(append(b, `,"got":`...), uint64(m.Got), 10)
	b = strconv.AppendInt(append(b, `,"want_bytes":`...), int64(m.WantLen), 10)
	return strconv.AppendInt(append(b, `,"got_bytes":`...), int64(m.GotLen), 10)
}

// appendFault appends the error number, if there is one, and for an ICMP error its type and code.
func appendFault(b []byte, t Target, f ping.Fault) []byte {
	if f.Errno != 0 {
		b = appendQuoted(append(b, `,"errno":`...), platform.ErrnoName(f.Errno))
		b = appendQuoted(append(b, `,"message":`...), f.Errno.Error())
	} else if f.ICMP {
		b = append(icmpWords(append(b, `,"message":"`...), t.Address, f.Type, f.Code), '"')
	}
	if f.ICMP {
		b = strconv.AppendUint(append(b, `,"icmp_type":`...), uint64(f.Type), 10)
		b = strconv.AppendUint(append(b, `,"icmp_code":`...), uint64(f.Code), 10)
	}
	return b
}

// appendQuoted appends s as a JSON string (RFC 8259, section 7); bytes that are no UTF-8 become U+FFFD.
func appendQuoted(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ' || r == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&0xf])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
