package ping

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/icmp"

	"lping/ping/transport"
)

// forger answers echo requests in the kernel's place, as it likes.
type forger struct {
	v6      bool
	packets *icmp.PacketConn
	to      net.Addr
	// answer says what the nth request brings.
	answer func(n int, request []byte)
	done   chan struct{}
}

// startForger makes the kernel of this goroutine's namespace silent and answers instead of it.
func startForger(t *testing.T, address netip.Addr) *forger {
	t.Helper()
	ignoreEcho(t)
	f := &forger{v6: address.Is6(), packets: listenRaw(t, address), done: make(chan struct{})}
	f.to = &net.IPAddr{IP: address.AsSlice()}
	t.Cleanup(func() {
		f.packets.Close()
		<-f.done
	})
	return f
}

func listenRaw(t *testing.T, address netip.Addr) *icmp.PacketConn {
	t.Helper()
	packets, err := icmp.ListenPacket(map[bool]string{false: "ip4:1", true: "ip6:58"}[address.Is6()], address.String())
	if err != nil {
		t.Fatal(err)
	}
	return packets
}

// start begins to answer.
func (f *forger) start(t *testing.T, answer func(n int, request []byte)) {
	f.answer = answer
	go func() {
		defer close(f.done)
		if err := f.serve(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("forger: %v", err)
		}
	}()
}

func (f *forger) serve() error {
	want := byte(transport.TypeEchoRequestV4)
	if f.v6 {
		want = transport.TypeEchoRequestV6
	}
	b := make([]byte, 1<<16)
	for n := 0; ; {
		length, _, err := f.packets.ReadFrom(b)
		if err != nil {
			return err
		}
		if length >= headerLen && b[0] == want {
			n++
			f.answer(n, bytes.Clone(b[:length]))
		}
	}
}

// send sends a message from the target's own address, or through another socket.
func (f *forger) send(t *testing.T, packets *icmp.PacketConn, msg []byte) {
	if !f.v6 { // on IPv6 the kernel does it
		msg[2], msg[3] = 0, 0
		binary.BigEndian.PutUint16(msg[2:], checksum(msg))
	}
	if _, err := packets.WriteTo(msg, f.to); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Errorf("forger: %v", err)
	}
}

// TestSocketForgeries: replies that another socket writes to the target's address are judged right while a run goes on.
func TestSocketForgeries(t *testing.T) {
	tests := []struct {
		name    string
		edits   []func([]byte) []byte
		want    Kind
		foreign int
	}{
		{"right", edits(asIs), Reply, 0},
		{"wrong payload", edits(flipped(20)), Corrupt, 0},
		{"wrong byte in the nonce", edits(flipped(1)), Corrupt, 0},
		{"truncated", edits(cutTo(10)), Corrupt, 0},
		{"truncated to the header", edits(cutTo(0)), Corrupt, 0},
		{"longer", edits(longer(8)), Corrupt, 0},
		{"much longer", edits(longer(3000)), Corrupt, 0},
		{"wrong sequence, then right", edits(otherSeq(1000), asIs), Reply, 1},
		{"the next sequence, then right", edits(otherSeq(1), asIs), Reply, 1},
		{"wrong id, then right", edits(otherIdent, asIs), Reply, 0}, // the kernel knows whose it is
		{"wrong type, then right", edits(otherType(200), asIs), Reply, 0},
		{"another nonce, then right", edits(func(b []byte) []byte { copy(b[headerLen:], "nonsense"); return b }, asIs), Reply, 1},
		{"right again", edits(asIs), Reply, 0},
	}
	onEachSocket(t, func(t *testing.T, k socketKind) {
		f := startForger(t, k.address)
		p := k.open(t, Config{Transport: Transport{Size: 56, Timeout: patience}, Count: uint64(len(tests)), Interval: 2 * ms})
		f.start(t, func(n int, request []byte) {
			for _, edit := range tests[n-1].edits {
				f.send(t, f.packets, edit(replyTo(request)))
			}
		})
		l := ledgerOf(runAll(t, p))
		l.check(t)
		foreign := 0
		if !native && k.mode == SocketRaw {
			foreign++ // the wrong id: without a filter the engine sees it
		}
		for i, tt := range tests {
			foreign += tt.foreign
			if got := l.class[uint64(i+1)]; got != tt.want {
				t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
			}
		}
		if l.foreign != foreign || l.duplicates != 0 {
			t.Errorf("%d foreign packets and %d duplicates, want %d and 0", l.foreign, l.duplicates, foreign)
		}
	})
}

func edits(list ...func([]byte) []byte) []func([]byte) []byte { return list }

// runUntil runs p until an event of that kind has come.
func runUntil(t *testing.T, p *Pinger, kind Kind) []Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var events []Event
	err := p.Run(ctx, func(e Event) {
		collect(&events)(e)
		if e.Kind == kind {
			cancel()
		}
	})
	if err != context.Canceled {
		t.Fatalf("waiting for %v: %v", kind, err)
	}
	ledgerOf(events).check(t)
	return events
}

// TestSocketLate: the first answer comes when the second request does.
func TestSocketLate(t *testing.T) {
	onEachSocket(t, func(t *testing.T, k socketKind) {
		f := startForger(t, k.address)
		p := k.open(t, Config{Transport: Transport{Size: 56, Timeout: 20 * ms}, Interval: 60 * ms})
		var first []byte
		f.start(t, func(n int, request []byte) {
			if n == 1 {
				first = replyTo(request)
				return
			}
			f.send(t, f.packets, bytes.Clone(first))
		})
		events := runUntil(t, p, Late)
		if last := events[len(events)-1]; last.Seq != 1 || last.RTT < 60*ms {
			t.Errorf("got %+v", last)
		}
	})
}

// TestSocketDuplicate: the kernel hands over each answer, however often it comes.
func TestSocketDuplicate(t *testing.T) {
	onEachSocket(t, func(t *testing.T, k socketKind) {
		f := startForger(t, k.address)
		p := k.open(t, Config{Transport: Transport{Size: 56, Timeout: time.Hour}, Interval: time.Hour})
		f.start(t, func(_ int, request []byte) {
			f.send(t, f.packets, replyTo(request))
			f.send(t, f.packets, replyTo(request))
		})
		if last := runUntil(t, p, Duplicate)[2]; last.Seq != 1 {
			t.Errorf("got %+v", last)
		}
	})
}

// unreachable is an ICMP error (port unreachable) about a request: RFC 792, RFC 4443 section 3.1.
func unreachable(address netip.Addr, request []byte) []byte {
	host := address.AsSlice()
	if address.Is6() {
		quoted := binary.BigEndian.AppendUint16([]byte{0x60, 0, 0, 0}, uint16(len(request)))
		quoted = append(append(append(quoted, 58, 64), host...), host...)
		return append(append([]byte{1, 4, 0, 0, 0, 0, 0, 0}, quoted...), request...)
	}
	quoted := binary.BigEndian.AppendUint16([]byte{0x45, 0}, uint16(ipv4Len+len(request)))
	quoted = append(append(append(quoted, 0, 0, 0x40, 0, 64, 1, 0, 0), host...), host...)
	binary.BigEndian.PutUint16(quoted[10:], checksum(quoted))
	return append(append([]byte{3, 3, 0, 0, 0, 0, 0, 0}, quoted...), request...)
}

// TestSocketReports: an ICMP error becomes the end of the probe that it quotes, and of no other.
func TestSocketReports(t *testing.T) {
	onEachSocket(t, func(t *testing.T, k socketKind) {
		if !native {
			return // it learns that there was an error, not about what
		}
		f := startForger(t, k.address)
		p := k.open(t, Config{Transport: Transport{Size: 56, Timeout: patience}, Count: 3, Interval: 5 * ms})
		f.start(t, func(n int, request []byte) {
			switch n {
			case 1: // an error about another probe, then the answer
				f.send(t, f.packets, unreachable(k.address, flipped(0)(bytes.Clone(request))))
				f.send(t, f.packets, replyTo(request))
			case 2:
				f.send(t, f.packets, unreachable(k.address, request))
			case 3:
				f.send(t, f.packets, replyTo(request))
			}
		})
		events := runAll(t, p)
		l := ledgerOf(events)
		l.check(t)
		if l.class[1] != Reply || l.class[2] != SendError || l.class[3] != Reply {
			t.Errorf("got %v, %v, %v; want %v, %v, %v", l.class[1], l.class[2], l.class[3], Reply, SendError, Reply)
		}
		want := Fault{Errno: syscall.ECONNREFUSED, ICMP: true, Type: 3, Code: 3}
		if k.address.Is6() {
			want.Type, want.Code = 1, 4
		}
		for _, e := range events {
			if e.Kind == SendError && (e.Fault != want || e.From != k.address) {
				t.Errorf("got %+v from %v, want %+v", e.Fault, e.From, want)
			}
		}
	})
}

// TestSocketPendingReport: where a report makes the kernel refuse the next send, the report is found without waiting.
func TestSocketPendingReport(t *testing.T) {
	onEachSocket(t, func(t *testing.T, k socketKind) {
		if !native {
			return
		}
		f := startForger(t, k.address)
		reported := make(chan struct{}, 16)
		f.start(t, func(_ int, request []byte) {
			f.send(t, f.packets, unreachable(k.address, request))
			reported <- struct{}{}
		})
		p := k.open(t, Config{Transport: Transport{Size: 56}})
		r := newRun(p, func(Event) {})
		if err := p.conn.Send(r.probe.request(1)); err != nil {
			t.Fatal(err)
		}
		<-reported
		// A raw socket does not look for reports before it sends.
		err := p.conn.Send(r.probe.request(2))
		if err == nil && k.mode == SocketRaw && k.quick {
			return
		}
		if !errors.Is(err, syscall.ECONNREFUSED) && (err != nil || k.mode == SocketDgram) {
			t.Fatalf("the second send: %v, want %v", err, syscall.ECONNREFUSED)
		}
		var got transport.Packet
		err = p.conn.Recv(&got, r.buf, time.Time{})
		if err != nil || got.Fault.Errno != syscall.ECONNREFUSED {
			t.Errorf("got %+v, %v", got.Fault, err)
		}
	})
}

// TestSocketStranger: an answer from another address of this host is not the target's.
func TestSocketStranger(t *testing.T) {
	onEachSocket(t, func(t *testing.T, k socketKind) {
		stranger := netip.MustParseAddr("127.0.0.9")
		if k.address.Is6() {
			stranger = netip.MustParseAddr("fd00::9")
			addAddress(t, "fd00::9")
		}
		f := startForger(t, k.address)
		other := listenRaw(t, stranger)
		defer other.Close()
		p := k.open(t, Config{Transport: Transport{Size: 56, Timeout: patience}, Count: 1})
		f.start(t, func(_ int, request []byte) {
			f.send(t, other, flipped(20)(replyTo(request)))
			f.send(t, f.packets, replyTo(request))
		})
		l := ledgerOf(runAll(t, p))
		l.check(t)
		if l.received != 1 || l.corrupted+l.duplicates != 0 {
			t.Errorf("%d received, %d corrupted, %d duplicates; want 1, 0, 0", l.received, l.corrupted, l.duplicates)
		}
	})
}
