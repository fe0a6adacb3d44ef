package ping

import (
	"bytes"
	"fmt"
	"testing"

	"lping/ping/transport"
)

// BenchmarkRun is the engine without a kernel.
func BenchmarkRun(b *testing.B) {
	for _, stamped := range []bool{false, true} {
		b.Run(fmt.Sprintf("stamped=%v", stamped), func(b *testing.B) {
			conn := &echoConn{sock: Socket{Local: loopback4, Ident: fakeIdent, Stamps: stamped}, stamped: stamped}
			flood(b, pingerOver(Config{Transport: Transport{Size: 56}, Flood: true}.withDefaults(), conn))
		})
	}
}

// flood runs b.N probes.
func flood(b *testing.B, p *Pinger) {
	p.config.Count = uint64(b.N)
	received := 0
	b.ReportAllocs()
	b.ResetTimer()
	err := p.Run(b.Context(), func(e Event) {
		if e.Kind == Reply {
			received++
		}
	})
	if err != nil || received != b.N {
		b.Fatalf("%v: %d of %d received", err, received, b.N)
	}
}

var benchmarkSizes = []int{0, 56, 1472, MaxSizeIPv4}

func BenchmarkRequest(b *testing.B) {
	for _, size := range benchmarkSizes {
		for _, sum := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d/sum=%v", size, sum), func(b *testing.B) {
				p := probeOf(false, 1, size, nil, 7, sum)
				for seq := uint64(1); b.Loop(); seq++ {
					p.request(seq)
				}
			})
		}
	}
}

func BenchmarkParseEcho(b *testing.B) {
	msg := replyTo(probeOf(false, 1, 56, nil, 7, true).request(1))
	header := unhex(b, "4500 0028 1234 4000 2101 0000 7f000001 7f000001")
	for _, bb := range []struct {
		name   string
		packet []byte
	}{{"bare", msg}, {"header", append(header, msg...)}} {
		b.Run(bb.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := parseEcho(bb.packet, transport.TypeEchoReplyV4); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCompare(b *testing.B) {
	for _, size := range benchmarkSizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			p := probeOf(false, 1, size, nil, 7, true)
			data := bytes.Clone(p.request(9)[headerLen:])
			for b.Loop() {
				if p.compare(data, 9) != same {
					b.Fatal("the right data differs")
				}
			}
		})
	}
}
