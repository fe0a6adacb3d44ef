package netlink

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

const (
	// sizeofTcmsg is that of struct tcmsg: family, padding, ifindex, handle, parent, info.
	sizeofTcmsg = 20
	// parentRoot and parentIngress are TC_H_ROOT and TC_H_INGRESS of linux/pkt_sched.h: the parent of the discipline that
	// takes all that leaves, and that of ingress and clsact.
	parentRoot    = 0xffffffff
	parentIngress = 0xfffffff1
	// statsQueue is TCA_STATS_QUEUE of linux/gen_stats.h: struct gnet_stats_queue, the length first, drops third.
	statsQueue = 3
)

// GetQueues asks for the queueing disciplines of all interfaces; the kernel tells those of the loopback one first.
func GetQueues() Request { return dump(unix.RTM_GETQDISC, make([]byte, sizeofTcmsg)) }

// IsQueueOf says whether a struct tcmsg is about this interface.
func IsQueueOf(b []byte, index int) bool {
	return len(b) >= sizeofTcmsg && int(binary.NativeEndian.Uint32(b[4:])) == index
}

// ParseQueue reads the body of RTM_NEWQDISC.
func ParseQueue(b []byte) (Queue, error) {
	if len(b) < sizeofTcmsg {
		return Queue{}, errShort
	}
	parent := binary.NativeEndian.Uint32(b[12:])
	q := Queue{Ingress: parent == parentIngress, Root: parent == parentRoot}
	attributes(b[sizeofTcmsg:], func(typ uint16, v []byte) {
		switch typ {
		case unix.TCA_KIND: // comes before the options
			q.Kind = text(v)
		case unix.TCA_OPTIONS:
			if q.Kind == "netem" {
				q.Netem = parseNetem(v)
			}
		case unix.TCA_STATS2:
			attributes(v, func(typ uint16, v []byte) {
				if typ == statsQueue && len(v) >= 12 {
					q.Backlog, q.Drops = number(v[:4]), number(v[8:12])
				}
			})
		}
	})
	return q, nil
}
