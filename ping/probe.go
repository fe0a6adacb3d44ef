package ping

import (
	"bytes"
	"encoding/binary"
	"errors"

	"lping/ping/transport"
)

const (
	headerLen = transport.HeaderLen
	ipv4Len   = 20 // IPv4 header without options
	ipv4Max   = 60 // IPv4 header with all options
	nonceLen  = 8
)

var (
	errShort   = errors.New("shorter than an ICMP echo header")
	errNotEcho = errors.New("not the echo message looked for")
)

// message is a parsed echo request or reply.
type message struct {
	ident, seq uint16
	// ttl is that of the IPv4 header if one was in front, else 0.
	ttl uint8
	// data is what follows the echo header; it shares memory with what was parsed.
	data []byte
}

// parseEcho parses an ICMP echo message of the given type. An IPv4 header in front of it is taken off: raw sockets
// leave it on, and some systems do so on datagram sockets too. No echo type starts with the nibble 4.
func parseEcho(b []byte, typ byte) (message, error) {
	var m message
	if len(b) >= ipv4Len && b[0]>>4 == 4 {
		ihl := int(b[0]&0x0f) * 4
		if ihl < ipv4Len || len(b) < ihl {
			return m, errShort
		}
		m.ttl, b = b[8], b[ihl:]
	}
	if len(b) < headerLen {
		return m, errShort
	}
	if b[0] != typ || b[1] != 0 {
		return m, errNotEcho
	}
	m.ident, m.seq = binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:])
	m.data = b[headerLen:]
	return m, nil
}

// checksum is the Internet checksum of b (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint64
	for ; len(b) >= 4; b = b[4:] {
		sum += uint64(binary.BigEndian.Uint32(b))
	}
	if len(b) >= 2 {
		sum += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// probe makes the echo requests of a run in one buffer and knows what their replies must hold.
type probe struct {
	// msg has room for the largest request; sizes are those of the others, empty if all are as large.
	msg   []byte
	sizes []int
	// key makes the nonces of this run unlike those of any other.
	key uint64
	// sum says that the checksum is ours to compute.
	sum bool
}

// newProbe prepares the requests of c, whose data are the nonce, then the pattern over and over, or a counter.
func newProbe(c Config, ident uint16, key uint64, sum bool) *probe {
	p := &probe{msg: make([]byte, headerLen+c.Size), sizes: c.Sizes, key: key, sum: sum}
	p.msg[0] = transport.TypeEchoRequestV4
	if c.Address.Is6() {
		p.msg[0] = transport.TypeEchoRequestV6
	}
	binary.BigEndian.PutUint16(p.msg[4:], ident)
	for i := nonceLen; i < c.Size; i++ {
		b := byte(i)
		if len(c.Pattern) > 0 {
			b = c.Pattern[(i-nonceLen)%len(c.Pattern)]
		}
		p.msg[headerLen+i] = b
	}
	return p
}

// length is that of the message of probe seq.
func (p *probe) length(seq uint64) int {
	if len(p.sizes) == 0 {
		return len(p.msg)
	}
	return headerLen + p.sizes[(seq-1)%uint64(len(p.sizes))]
}

// nonce is the number at the start of the data of probe seq: a bijection of seq (the finalizer of splitmix64), so
// no two probes of a run share it.
func (p *probe) nonce(seq uint64) uint64 {
	z := p.key + seq*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// request is the message of probe seq. The buffer is reused by the next call.
func (p *probe) request(seq uint64) []byte {
	msg := p.msg[:p.length(seq)]
	binary.BigEndian.PutUint16(msg[6:], uint16(seq))
	var nonce [nonceLen]byte
	binary.BigEndian.PutUint64(nonce[:], p.nonce(seq))
	copy(msg[headerLen:], nonce[:])
	if p.sum {
		msg[2], msg[3] = 0, 0
		binary.BigEndian.PutUint16(msg[2:], checksum(msg))
	}
	return msg
}

// likeness says how the data of a reply compares with what a probe sent.
type likeness uint8

const (
	same likeness = iota
	corrupted
	unrelated
)

// compare holds data against what probe seq sent. If more than half of the nonce differs nothing shows that
// the packet is about this probe: it is another program's, or made up.
func (p *probe) compare(data []byte, seq uint64) likeness {
	sent := p.msg[headerLen:p.length(seq)]
	if len(data) == len(sent) && len(data) >= nonceLen && binary.BigEndian.Uint64(data) == p.nonce(seq) {
		if bytes.Equal(data[nonceLen:], sent[nonceLen:]) {
			return same
		}
		return corrupted
	}
	var nonce [nonceLen]byte
	binary.BigEndian.PutUint64(nonce[:], p.nonce(seq))
	n := min(nonceLen, len(sent), len(data))
	wrong := 0
	for i := range n {
		if data[i] != nonce[i] {
			wrong++
		}
	}
	switch {
	case wrong > n/2:
		return unrelated
	case wrong > 0 || len(data) != len(sent) || !bytes.Equal(data[n:], sent[n:]):
		return corrupted
	}
	return same
}

// quotes says whether data is the start of what probe seq sent, as an ICMP error quotes it (RFC 792, RFC 4443).
func (p *probe) quotes(data []byte, seq uint64) bool {
	n := min(len(data), p.length(seq)-headerLen)
	var nonce [nonceLen]byte
	binary.BigEndian.PutUint64(nonce[:], p.nonce(seq))
	return bytes.Equal(data[:min(n, nonceLen)], nonce[:min(n, nonceLen)])
}

// mismatch is the first difference between data and what probe seq sent.
func (p *probe) mismatch(data []byte, seq uint64) Mismatch {
	sent := p.request(seq)[headerLen:]
	m := Mismatch{WantLen: len(sent), GotLen: len(data)}
	for m.Offset < min(len(sent), len(data)) {
		if sent[m.Offset] != data[m.Offset] {
			m.Want, m.Got = sent[m.Offset], data[m.Offset]
			break
		}
		m.Offset++
	}
	return m
}
