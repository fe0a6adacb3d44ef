package netlink

import (
	"encoding/binary"
	"math"
)

// What stands in TCA_OPTIONS of the queueing discipline netem (linux/pkt_sched.h): struct tc_netem_qopt, then attributes.
const (
	sizeofNetem = 24

	netemCorrelation = 1 // struct tc_netem_corr: of delay, loss and duplicate
	netemReorder     = 3 // struct tc_netem_reorder: probability, correlation
	netemCorrupt     = 4 // struct tc_netem_corrupt: the same
	netemLoss        = 5 // one of the two models of loss
	netemRate        = 6 // struct tc_netem_rate, the rate first
	netemRate64      = 8 // the rate if it has more than 32 bits
	netemLatency64   = 10
	netemJitter64    = 11
	netemSlot        = 12 // struct tc_netem_slot: the shortest and the longest time between two slots, in ns, first

	netemTick = 64 // ns, the unit of time in struct tc_netem_qopt (PSCHED_SHIFT of net/pkt_sched.h)
)

// parseNetem reads the options of netem; nil if there are none.
func parseNetem(b []byte) *Netem {
	if len(b) < sizeofNetem {
		return nil
	}
	at := func(i int) uint32 { return binary.NativeEndian.Uint32(b[i*4:]) }
	n := &Netem{Delay: ticks(at(0)), Limit: at(1), Loss: share(at(2)), Duplicate: share(at(4)), Jitter: ticks(at(5))}
	attributes(b[sizeofNetem:], func(typ uint16, v []byte) { n.set(typ, v) })
	return n
}

// set enters one attribute. Those of 64 bits stand beside the older ones, and count.
func (n *Netem) set(typ uint16, v []byte) {
	first := uint32(number(v[:min(4, len(v))]))
	switch typ {
	case netemCorrelation:
		n.Bursts = n.Bursts || len(v) >= 8 && binary.NativeEndian.Uint32(v[4:]) > 0
	case netemReorder:
		n.Reorder = share(first)
	case netemCorrupt:
		n.Corrupt = share(first)
	case netemLoss:
		attributes(v, func(_ uint16, v []byte) { n.Bursts = true })
	case netemRate:
		n.Rate = uint64(first)
	case netemRate64:
		n.Rate = number(v)
	case netemLatency64:
		n.Delay = nanoseconds(number(v))
	case netemJitter64:
		n.Jitter = nanoseconds(number(v))
	case netemSlot:
		if len(v) >= 16 {
			n.Slot = nanoseconds(binary.NativeEndian.Uint64(v[8:]))
		}
	}
}

// share is a probability in percent, of which the kernel makes 32 bits, to the thousandth.
func share(n uint32) float64 { return math.Round(float64(n)/math.MaxUint32*1e5) / 1e3 }

// ticks are a time in ms.
func ticks(n uint32) float64 { return nanoseconds(uint64(n) * netemTick) }

// nanoseconds are a time in ms, to the microsecond. The kernel takes them for signed, and one below zero for none.
func nanoseconds(n uint64) float64 { return math.Round(float64(max(0, int64(n)))/1e3) / 1e3 }
