package ping

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"lping/ping/transport"
)

// unhex is the bytes that a hex dump with spaces stands for.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRequestBytes: the nonces of key 0 are the published first outputs of splitmix64 with seed 0.
func TestRequestBytes(t *testing.T) {
	pattern := []byte{0xca, 0xfe, 0x01}
	tests := []struct {
		name    string
		v6, sum bool
		seq     uint64
		size    int
		pattern []byte
		want    string
	}{
		{"v4", false, true, 1, 12, nil, "08 00 53 d3 be ef 00 01 e2 20 a8 39 7b 1d cd af 08 09 0a 0b"},
		{"v4, checksum left to the kernel", false, false, 1, 12, nil,
			"08 00 00 00 be ef 00 01 e2 20 a8 39 7b 1d cd af 08 09 0a 0b"},
		{"v6", true, false, 1, 12, nil, "80 00 00 00 be ef 00 01 e2 20 a8 39 7b 1d cd af 08 09 0a 0b"},
		{"no data", false, true, 2, 0, nil, "08 00 39 0e be ef 00 02"},
		{"part of a nonce", false, true, 3, 3, nil, "08 00 d5 48 be ef 00 03 06 c4 5d"},
		{"a nonce alone", false, true, 2, 8, nil, "08 00 24 7d be ef 00 02 6e 78 9e 6a a1 b9 65 f4"},
		{"pattern, wrapped sequence", false, true, 65537, 15, pattern,
			"08 00 4a 09 be ef 00 01 a5 53 5d 75 dd 6e 7a 02 ca fe 01 ca fe 01 ca"},
		{"pattern, wrapped sequence, v6", true, false, 65537, 15, pattern,
			"80 00 00 00 be ef 00 01 a5 53 5d 75 dd 6e 7a 02 ca fe 01 ca fe 01 ca"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := probeOf(tt.v6, 0xbeef, tt.size, tt.pattern, 0, tt.sum)
			p.request(tt.seq + 5) // what an earlier probe left in the buffer does not matter
			if got, want := p.request(tt.seq), unhex(t, tt.want); !bytes.Equal(got, want) {
				t.Errorf("got  % x\nwant % x", got, want)
			}
		})
	}
}

// TestRequestsOfASweep: whatever size went before, a request is that of a run with this size alone.
func TestRequestsOfASweep(t *testing.T) {
	sizes := []int{65000, 0, 7, 8, 9, 3, 1471, 56}
	for _, c := range []Config{
		{Transport: Transport{Size: 65000, Sizes: sizes}}, {Transport: Transport{Size: 65000, Sizes: sizes, Address: loopback6}, Pattern: []byte{1, 2, 3}},
	} {
		p := newProbe(c, 5, 99, !c.Address.Is6())
		for seq := uint64(1); seq < 40; seq++ {
			size := sizes[(seq-1)%uint64(len(sizes))]
			alone := probeOf(c.Address.Is6(), 5, size, c.Pattern, 99, !c.Address.Is6())
			msg := p.request(seq)
			if want := alone.request(seq); !bytes.Equal(msg, want) {
				t.Fatalf("probe %d of %d data bytes: % .20x, want % .20x", seq, size, msg, want)
			}
			if got := p.compare(msg[headerLen:], seq); got != same || !p.quotes(msg[headerLen:], seq) {
				t.Errorf("probe %d is not like itself: %d", seq, got)
			}
		}
	}
}

// TestRequestAgainstXNet: x/net/icmp writes the same bytes and reads the same fields.
func TestRequestAgainstXNet(t *testing.T) {
	for _, size := range []int{0, 1, 2, 7, 8, 9, 56, 57, 1472, MaxSizeIPv4, MaxSizeIPv6} {
		for _, seq := range []uint64{1, 255, 256, 65535, 65536, 65537, 1 << 40} {
			p4 := probeOf(false, 0x1234, size, nil, rand.Uint64(), true)
			checkXNet(t, p4.request(seq), 1, ipv4.ICMPTypeEcho, seq)
			p6 := probeOf(true, 0x1234, size, nil, rand.Uint64(), false)
			checkXNet(t, p6.request(seq), 58, ipv6.ICMPTypeEchoRequest, seq)
		}
	}
}

func checkXNet(t *testing.T, msg []byte, protocol int, typ icmp.Type, seq uint64) {
	t.Helper()
	echo := &icmp.Echo{ID: 0x1234, Seq: int(uint16(seq)), Data: msg[headerLen:]}
	want, err := (&icmp.Message{Type: typ, Body: echo}).Marshal(nil)
	if err != nil || !bytes.Equal(msg, want) {
		t.Errorf("%v, %d bytes, seq %d: header % x, x/net writes % x, %v", typ, len(msg), seq, msg[:8], want[:8], err)
	}
	m, err := icmp.ParseMessage(protocol, msg)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := m.Body.(*icmp.Echo)
	if !ok || got.ID != echo.ID || got.Seq != echo.Seq || !bytes.Equal(got.Data, echo.Data) {
		t.Errorf("%v: x/net reads %+v", typ, m.Body)
	}
}

func TestParseEcho(t *testing.T) {
	const (
		reply4  = "00 00 5b d3 be ef 00 01 e2 20 a8 39 7b 1d cd af 08 09 0a 0b"
		reply6  = "81 00 00 00 be ef 00 01 e2 20 a8 39 7b 1d cd af 08 09 0a 0b"
		request = "08 00 53 d3 be ef 00 01 e2 20 a8 39 7b 1d cd af 08 09 0a 0b"
		header  = "45 00 00 28 12 34 40 00 21 01 00 00 7f 00 00 01 7f 00 00 01"
		options = "4f 00 00 50 12 34 40 00 22 01 00 00 7f 00 00 01 7f 00 00 01 "
	)
	data := unhex(t, "e2 20 a8 39 7b 1d cd af 08 09 0a 0b")
	whole := func(ttl uint8) message { return message{ident: 0xbeef, seq: 1, ttl: ttl, data: data} }
	tests := []struct {
		name, bytes string
		typ         byte
		want        message
		err         error
	}{
		{"v4", reply4, transport.TypeEchoReplyV4, whole(0), nil},
		{"v6", reply6, transport.TypeEchoReplyV6, whole(0), nil},
		{"our own request, looked for", request, transport.TypeEchoRequestV4, whole(0), nil},
		{"our own request", request, transport.TypeEchoReplyV4, message{}, errNotEcho},
		{"IP header left on", header + reply4, transport.TypeEchoReplyV4, whole(0x21), nil},
		{"IP header with all options", options + strings.Repeat("01", 40) + reply4, transport.TypeEchoReplyV4, whole(0x22), nil},
		{"IP header and our own request", header + request, transport.TypeEchoReplyV4, message{}, errNotEcho},
		{"IP header alone", header, transport.TypeEchoReplyV4, message{ttl: 0x21}, errShort},
		{"IP header with a length below 20", "44" + header[2:] + reply4, transport.TypeEchoReplyV4, message{}, errShort},
		{"IP header longer than the packet", options, transport.TypeEchoReplyV4, message{}, errShort},
		{"no data", "00 00 41 10 be ef 00 00", transport.TypeEchoReplyV4, message{ident: 0xbeef}, nil},
		{"IP header, no data", header + "00 00 41 10 be ef 00 00", transport.TypeEchoReplyV4, message{ident: 0xbeef, ttl: 0x21}, nil},
		{"short", "00 00 41 10 be ef 00", transport.TypeEchoReplyV4, message{}, errShort},
		{"empty", "", transport.TypeEchoReplyV4, message{}, errShort},
		{"v6 type on v4", reply6, transport.TypeEchoReplyV4, message{}, errNotEcho},
		{"v4 type on v6", reply4, transport.TypeEchoReplyV6, message{}, errNotEcho},
		{"unreachable", "03 03 00 00 00 00 00 00" + header + request, transport.TypeEchoReplyV4, message{}, errNotEcho},
		{"a code", "00 01 5b d2 be ef 00 01", transport.TypeEchoReplyV4, message{}, errNotEcho},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseEcho(unhex(t, tt.bytes), tt.typ)
			if err != tt.err {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			same := got.ident == tt.want.ident && got.seq == tt.want.seq && got.ttl == tt.want.ttl
			if err == nil && (!same || !bytes.Equal(got.data, tt.want.data)) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// FuzzParseEcho holds the parser against the layout of RFC 792 and RFC 4443 and against x/net/icmp.
func FuzzParseEcho(f *testing.F) {
	reply := "0000 5bd3 beef 0001 e220a8397b1dcdaf 08090a0b"
	header := "4500 0028 1234 4000 2101 0000 7f000001 7f000001"
	for _, s := range []string{
		"", "00", "0000 0000 beef 00", reply, "8100" + reply[4:], "0800" + reply[4:], "8000" + reply[4:], header + reply,
		header, "4f" + header[2:] + reply, "4f" + header[2:] + strings.Repeat("01", 40) + reply, "40" + header[2:] + reply,
		header + header + reply, "0303 0000 0000 0000" + header + "0800" + reply[4:], "0001" + reply[4:], "45" + reply[2:],
		strings.Repeat("ff", 100), strings.Repeat("45", 30),
	} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for typ, protocol := range map[byte]int{
			transport.TypeEchoReplyV4: 1, transport.TypeEchoRequestV4: 1, transport.TypeEchoRequestV6: 58, transport.TypeEchoReplyV6: 58,
		} {
			checkParse(t, b, typ, protocol)
		}
	})
}

func checkParse(t *testing.T, b []byte, typ byte, protocol int) {
	m, err := parseEcho(b, typ)
	bare := len(b) < ipv4Len || b[0]>>4 != 4
	if err != nil {
		if bare && len(b) >= headerLen && b[0] == typ && b[1] == 0 {
			t.Errorf("type %d, % x: %v", typ, b, err)
		}
		return
	}
	icmpAt, ttl := 0, uint8(0)
	if !bare {
		icmpAt, ttl = int(b[0]&0xf)*4, b[8]
	}
	msg := b[icmpAt:]
	if msg[0] != typ || msg[1] != 0 || m.ttl != ttl || !bytes.Equal(m.data, msg[headerLen:]) {
		t.Errorf("type %d, % x: got %+v", typ, b, m)
	}
	want, err := icmp.ParseMessage(protocol, msg)
	if err != nil {
		t.Fatalf("type %d, % x: x/net says %v", typ, b, err)
	}
	if echo, ok := want.Body.(*icmp.Echo); !ok || echo.ID != int(m.ident) || echo.Seq != int(m.seq) {
		t.Errorf("type %d, % x: got %+v, x/net %+v", typ, b, m, want.Body)
	}
}

func TestChecksum(t *testing.T) {
	for _, tt := range []struct {
		name, bytes string
		want        uint16
	}{
		{"RFC 1071, section 3", "00 01 f2 03 f4 f5 f6 f7", 0x220d},
		{"an IPv4 header", "45 00 00 30 44 22 40 00 80 06 00 00 8c 7c 19 ac ae 24 1e 2b", 0x442e},
		{"empty", "", 0xffff},
		{"one byte", "01", 0xfeff},
		{"three bytes", "00 01 f2", 0x0dfe},
		{"all ones", "ff ff ff ff ff ff ff ff", 0},
	} {
		if got := checksum(unhex(t, tt.bytes)); got != tt.want {
			t.Errorf("%s: got %#04x, want %#04x", tt.name, got, tt.want)
		}
	}
}

// TestChecksumOfAnyLength: a message with its checksum in it sums up to 0, whatever its length.
func TestChecksumOfAnyLength(t *testing.T) {
	worst := bytes.Repeat([]byte{0xff}, headerLen+MaxSizeIPv6)
	random := make([]byte, len(worst))
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	for n := 2; n <= len(worst); n += 1 + n/7 {
		for _, b := range [][]byte{bytes.Clone(worst[:n]), bytes.Clone(random[:n])} {
			b[0], b[1] = 0, 0
			if got, want := checksum(b), naiveChecksum(b); got != want {
				t.Errorf("%d bytes: got %#04x, want %#04x", n, got, want)
			}
			binary.BigEndian.PutUint16(b, checksum(b))
			if got := checksum(b); got != 0 {
				t.Errorf("%d bytes with their checksum: got %#04x, want 0", n, got)
			}
		}
	}
}

// naiveChecksum is the loop of RFC 1071, section 4.1.
func naiveChecksum(b []byte) uint16 {
	var sum uint32
	for i, c := range b {
		if i%2 == 0 {
			sum += uint32(c) << 8
		} else {
			sum += uint32(c)
		}
	}
	for sum>>16 > 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// TestNonce: a nonce leads back to its probe, so no two probes of a run share one.
func TestNonce(t *testing.T) {
	p := &probe{key: rand.Uint64()}
	for i := range 100_000 {
		seq := rand.Uint64() >> (i % 64)
		if got := (seqOf(p.nonce(seq)) - p.key) * 0xf1de83e19937733d; got != seq {
			t.Fatalf("key %#x: the nonce of %d leads to %d", p.key, seq, got)
		}
	}
	other := &probe{key: p.key + 1}
	if p.nonce(1) == other.nonce(1) {
		t.Error("two runs share a nonce")
	}
}

// seqOf inverts the finalizer of splitmix64: each step is a bijection.
func seqOf(z uint64) uint64 {
	z ^= z>>31 ^ z>>62
	z *= 0x319642b2d24d8ec3
	z ^= z>>27 ^ z>>54
	z *= 0x96de1b173f119089
	return z ^ z>>30 ^ z>>60
}

// TestAnyRun: the keys of two runs differ.
func TestAnyRun(t *testing.T) {
	p := pingerOver(Config{}.withDefaults(), newFake(loopback4, silence))
	if a, b := newRun(p, nil).probe.key, newRun(p, nil).probe.key; a == b {
		t.Errorf("two runs have the key %#x", a)
	}
}

// TestCompareSizes: for every size the right reply is the same, and no other one is.
func TestCompareSizes(t *testing.T) {
	sizes := []int{56, 1472, MaxSizeIPv4, MaxSizeIPv6}
	for size := range 17 {
		sizes = append(sizes, size)
	}
	for _, size := range sizes {
		p := probeOf(false, 1, size, nil, 7, true)
		data := bytes.Clone(p.request(9)[headerLen:])
		p.request(10)
		if got := p.compare(data, 9); got != same {
			t.Errorf("size %d: the right reply is %d", size, got)
		}
		if got := p.compare(append(bytes.Clone(data), 0), 9); got != corrupted {
			t.Errorf("size %d: one byte more is %d", size, got)
		}
		for _, n := range []int{0, 1, size / 2, size - 2, size - 1} {
			if n >= 0 && n < size && p.compare(data[:n], 9) != corrupted {
				t.Errorf("size %d: the first %d bytes are %d", size, n, p.compare(data[:n], 9))
			}
		}
		for i := 0; i < size; i += 1 + i/16 {
			data[i] ^= 1
			if got := p.compare(data, 9); got == same {
				t.Errorf("size %d: byte %d is wrong, and the reply is the same", size, i)
			}
			data[i] ^= 1
		}
	}
}

// TestCompareNonce: up to half of a nonce may be wrong, and the reply is still about the probe.
func TestCompareNonce(t *testing.T) {
	for size, most := range []int{0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4} {
		p := probeOf(false, 1, size, nil, 7, true)
		for wrong := 1; wrong <= min(size, nonceLen); wrong++ {
			data := bytes.Clone(p.request(9)[headerLen:])
			for i := range wrong {
				data[i] ^= 0x55
			}
			want := corrupted
			if wrong > most {
				want = unrelated
			}
			if got := p.compare(data, 9); got != want {
				t.Errorf("size %d, %d bytes of the nonce wrong: got %d, want %d", size, wrong, got, want)
			}
		}
	}
	p := probeOf(false, 1, 56, nil, 7, true)
	if got := p.compare(bytes.Clone(p.request(8)[headerLen:]), 9); got != unrelated {
		t.Errorf("the data of another probe: got %d, want %d", got, unrelated)
	}
}

func TestMismatch(t *testing.T) {
	p := probeOf(false, 1, 12, []byte{0xaa}, 0, true)
	right := bytes.Clone(p.request(1)[headerLen:]) // e220a8397b1dcdaf aaaaaaaa
	with := func(i int, c byte) []byte { b := bytes.Clone(right); b[i] = c; return b }
	for _, tt := range []struct {
		name string
		data []byte
		want Mismatch
	}{
		{"first byte", with(0, 0x01), Mismatch{Offset: 0, Want: 0xe2, Got: 0x01, WantLen: 12, GotLen: 12}},
		{"last byte", with(11, 0xbb), Mismatch{Offset: 11, Want: 0xaa, Got: 0xbb, WantLen: 12, GotLen: 12}},
		{"shorter", right[:5], Mismatch{Offset: 5, WantLen: 12, GotLen: 5}},
		{"longer", append(bytes.Clone(right), 9), Mismatch{Offset: 12, WantLen: 12, GotLen: 13}},
		{"shorter and wrong", with(2, 0)[:5], Mismatch{Offset: 2, Want: 0xa8, WantLen: 12, GotLen: 5}},
		{"empty", nil, Mismatch{WantLen: 12}},
	} {
		p.request(2)
		if got := p.mismatch(tt.data, 1); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestQuotes(t *testing.T) {
	for _, size := range []int{0, 4, 8, 56} {
		p := probeOf(false, 1, size, nil, 7, true)
		data := bytes.Clone(p.request(9)[headerLen:])
		for n := range size + 1 {
			if !p.quotes(data[:n], 9) {
				t.Errorf("size %d: the first %d bytes are no quotation", size, n)
			}
		}
		if !p.quotes(append(bytes.Clone(data), make([]byte, 64)...), 9) {
			t.Errorf("size %d: padded, it is no quotation", size)
		}
		if size == 0 {
			continue
		}
		if p.quotes(data, 10) {
			t.Errorf("size %d: it is taken for a quotation of another probe", size)
		}
		data[min(size, nonceLen)-1] ^= 1
		if p.quotes(data, 9) {
			t.Errorf("size %d: with a wrong byte it is a quotation", size)
		}
	}
}

// TestSizes: each size makes the round trip through request, reply and parser, in both families.
func TestSizes(t *testing.T) {
	sizes := []int{MaxSizeIPv4, MaxSizeIPv6}
	for size := range 17 {
		sizes = append(sizes, size)
	}
	for _, size := range sizes {
		for _, v6 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d/v6=%v", size, v6), func(t *testing.T) {
				p := probeOf(v6, 0xbeef, size, nil, rand.Uint64(), !v6)
				reply := replyTo(p.request(1))
				m, err := parseEcho(reply, reply[0])
				if err != nil || m.ident != 0xbeef || m.seq != 1 || len(m.data) != size || p.compare(m.data, 1) != same {
					t.Errorf("%v: id %#x, seq %d, %d bytes", err, m.ident, m.seq, len(m.data))
				}
			})
		}
	}
}
