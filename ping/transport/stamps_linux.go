//go:build !portable

package transport

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Software stamps of what arrives, and of what leaves: those come without its data, and with a number that counts the
// sends that get one (Documentation/networking/timestamping.rst).
const (
	stampArrivals = unix.SOF_TIMESTAMPING_RX_SOFTWARE | unix.SOF_TIMESTAMPING_SOFTWARE |
		unix.SOF_TIMESTAMPING_OPT_ID | unix.SOF_TIMESTAMPING_OPT_TSONLY
	stampSends = unix.SOF_TIMESTAMPING_TX_SOFTWARE
)

// stampSample is how many messages share one transmit stamp if Config.SampleStamps is set. Each costs two system calls.
const stampSample = 8

// parseStamp is the software stamp of a struct scm_timestamping, in ns since 1970: the first of three timespecs, of
// which each half has 8 bytes, or 4 on 32-bit systems. It is 0 if there is none.
func parseStamp(data []byte) int64 {
	switch {
	case len(data) >= 48:
		return int64(binary.NativeEndian.Uint64(data))*1e9 + int64(binary.NativeEndian.Uint64(data[8:]))
	case len(data) >= 24:
		return int64(int32(binary.NativeEndian.Uint32(data)))*1e9 + int64(int32(binary.NativeEndian.Uint32(data[4:])))
	}
	return 0
}

// transmissions remembers when the latest messages left. The kernel numbers its stamps by send and knows no sequence
// numbers; sends that it refuses may be counted or not, so after one the next stamp says where it is.
type transmissions struct {
	ring [1024]transmission
	next uint32 // the kernel's number of the next send
	// lag is what the sequence number on the wire is ahead of the kernel's number.
	lag  uint16
	wire uint16 // of the latest send
	lost bool   // a send was refused since the latest stamp
}

type transmission struct {
	id   uint32
	wire uint16
	wall int64
}

func (t *transmissions) slot(id uint32) *transmission { return &t.ring[id%uint32(len(t.ring))] }

// add notes a send.
func (t *transmissions) add(wire uint16, ok bool) {
	if !ok {
		t.lost = true
		return
	}
	t.wire, t.lag = wire, wire-uint16(t.next)
	*t.slot(t.next) = transmission{id: t.next, wire: wire}
	t.next++
}

// stamp notes when send id left.
func (t *transmissions) stamp(id uint32, wall int64) {
	if t.lost {
		t.lost, t.next = false, id
		t.add(t.wire, true)
	}
	if s := t.slot(id); s.id == id {
		s.wall = wall
	}
}

// at is when the message with this sequence number left; 0 if that is not known.
func (t *transmissions) at(wire uint16) int64 {
	s := t.slot(uint32(wire - t.lag))
	if s.wire != wire {
		return 0
	}
	return s.wall
}
