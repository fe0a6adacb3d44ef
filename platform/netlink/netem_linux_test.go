package netlink

import (
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// netemQueue is the body of RTM_NEWQDISC for a netem that is the root: struct tc_netem_qopt and attributes.
func netemQueue(latency, limit, loss, duplicate, jitter uint32, attributes ...[]byte) []byte {
	options := slices.Concat(u32(latency), u32(limit), u32(loss), u32(0), u32(duplicate), u32(jitter), slices.Concat(attributes...))
	return slices.Concat(make([]byte, 4), u32(1), u32(0x80010000), u32(parentRoot), u32(0),
		attribute(unix.TCA_KIND, []byte("netem\x00")), attribute(unix.TCA_OPTIONS, options))
}

// chance is a share of 32 bits.
func chance(percent float64) uint32 { return uint32(percent / 100 * 0xffffffff) }

func TestParseNetem(t *testing.T) {
	corr := func(delay, loss uint32) []byte {
		return attribute(netemCorrelation, slices.Concat(u32(delay), u32(loss), u32(0)))
	}
	for _, tt := range []struct {
		name, text string
		in         []byte
		want       Netem
	}{
		{"nothing", "", netemQueue(0, 1000, 0, 0, 0, corr(0, 0)), Netem{Limit: 1000}},
		{"loss", "loss 30%", netemQueue(0, 1000, chance(30), 0, 0, corr(0, 0)), Netem{Limit: 1000, Loss: 30}},
		{"loss in bursts", "loss 0.1% limit 10", netemQueue(0, 10, chance(0.1), 0, 0, corr(0, chance(25))), Netem{Limit: 10, Loss: 0.1, Bursts: true}},
		{"model of loss", "loss by a model", netemQueue(0, 1000, 0, 0, 0, attribute(netemLoss, attribute(2, make([]byte, 16)))),
			Netem{Limit: 1000, Bursts: true}},
		{"no model of loss", "", netemQueue(0, 1000, 0, 0, 0, attribute(netemLoss, nil)), Netem{Limit: 1000}},
		{"delay in ticks", "delay 100ms jitter 10ms", netemQueue(1562500, 1000, 0, 0, 156250, corr(chance(25), 0)),
			Netem{Limit: 1000, Delay: 100, Jitter: 10}},
		{"delay of more than 32 bits", "delay 600000ms jitter 1ms", netemQueue(0xffffffff, 1000, 0, 0, 1,
			attribute(netemLatency64, u64s(600e9)), attribute(netemJitter64, u64s(1e6))), Netem{Limit: 1000, Delay: 600000, Jitter: 1}},
		{"duplicate", "duplicate 50%", netemQueue(0, 1000, 0, chance(50), 0), Netem{Limit: 1000, Duplicate: 50}},
		{"corrupt and reorder", "corrupt 5% reorder 25%", netemQueue(0, 1000, 0, 0, 0,
			attribute(netemCorrupt, slices.Concat(u32(chance(5)), u32(0))), attribute(netemReorder, slices.Concat(u32(chance(25)), u32(0)))),
			Netem{Limit: 1000, Corrupt: 5, Reorder: 25}},
		{"rate", "rate 10kbit", netemQueue(0, 1000, 0, 0, 0, attribute(netemRate, slices.Concat(u32(1250), make([]byte, 12)))),
			Netem{Limit: 1000, Rate: 1250}},
		{"rate of more than 32 bits", "rate 8e+07kbit", netemQueue(0, 1000, 0, 0, 0,
			attribute(netemRate, slices.Concat(u32(0xffffffff), make([]byte, 12))), attribute(netemRate64, u64s(1e10))),
			Netem{Limit: 1000, Rate: 1e10}},
		{"slot", "slot 20ms", netemQueue(0, 1000, 0, 0, 0, attribute(netemSlot, u64s(5e6, 20e6, 0, 0, 0))), Netem{Limit: 1000, Slot: 20}},
		{"no room", "limit 0", netemQueue(0, 0, 0, 0, 0), Netem{}},
		{"times below zero", "", netemQueue(0, 1000, 0, 0, 0, attribute(netemLatency64, u64s(1<<63))), Netem{Limit: 1000}},
		{"cut short", "", netemQueue(0, 1000, 0, 0, 0, attribute(netemSlot, u64s(1)), attribute(netemCorrupt, []byte{1}), []byte{9}),
			Netem{Limit: 1000}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q, err := ParseQueue(tt.in)
			if err != nil || !q.Root || q.Netem == nil || *q.Netem != tt.want {
				t.Fatalf("got %+v, %+v, %v, want %+v", q, q.Netem, err, tt.want)
			}
			if got := q.Netem.String(); got != tt.text {
				t.Errorf("got %q, want %q", got, tt.text)
			}
		})
	}
	short := netemQueue(0, 0, 0, 0, 0)
	binary.NativeEndian.PutUint16(short[sizeofTcmsg+12:], 4+sizeofNetem-1)
	if q, err := ParseQueue(short); err != nil || q.Netem != nil {
		t.Errorf("got %+v, %v of options that are cut short", q.Netem, err)
	}
}

func FuzzNetem(f *testing.F) {
	f.Add(netemQueue(1562500, 1000, chance(30), chance(1), 156250)[sizeofTcmsg+16:])
	f.Add(slices.Concat(make([]byte, sizeofNetem), attribute(netemSlot, u64s(1, 2, 3, 4, 5)), attribute(netemRate64, u64s(1<<63))))
	f.Add(slices.Concat(make([]byte, sizeofNetem), attribute(netemLoss, attribute(1, make([]byte, 20))), attribute(netemLatency64, u64s(1<<63))))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := parseNetem(b)
		if n == nil {
			if len(b) >= sizeofNetem {
				t.Errorf("nothing in %d bytes", len(b))
			}
			return
		}
		for _, share := range []float64{n.Loss, n.Duplicate, n.Corrupt, n.Reorder} {
			if !(share >= 0 && share <= 100) {
				t.Errorf("share %g%%", share)
			}
		}
		if !(n.Delay >= 0 && n.Jitter >= 0 && n.Slot >= 0) {
			t.Errorf("times %g, %g, %g", n.Delay, n.Jitter, n.Slot)
		}
	})
}
