package platform

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"
)

const (
	// sizeofTcmsg is that of struct tcmsg: family, padding, ifindex, handle, parent, info.
	sizeofTcmsg = 20
	// parentIngress is TC_H_INGRESS of linux/pkt_sched.h, the parent of ingress and clsact.
	parentIngress = 0xfffffff1
	// statsQueue is TCA_STATS_QUEUE of linux/gen_stats.h: struct gnet_stats_queue, the length first, drops third.
	statsQueue = 3
)

// readQueues reads the queueing disciplines of an interface. The kernel tells those of all interfaces, the loopback
// one first; what follows is left unread, for a host of containers has thousands.
func readQueues(index int) ([]Queue, error) {
	n, err := openNetlink(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer n.close()
	passed := func(all []message) bool {
		return len(all) > 0 && !isOf(all[len(all)-1], index) &&
			slices.ContainsFunc(all, func(m message) bool { return isOf(m, index) })
	}
	all, err := n.ask(unix.RTM_GETQDISC, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, make([]byte, sizeofTcmsg), passed)
	if err != nil {
		return nil, err
	}
	list := []Queue{}
	for _, m := range all {
		if q, err := parseQueue(m.Data); err == nil && isOf(m, index) {
			list = append(list, q)
		}
	}
	return list, nil
}

// isOf says whether a struct tcmsg is about this interface.
func isOf(m message, index int) bool {
	return len(m.Data) >= sizeofTcmsg && int(binary.NativeEndian.Uint32(m.Data[4:])) == index
}

// parseQueue reads the body of RTM_NEWQDISC.
func parseQueue(b []byte) (Queue, error) {
	if len(b) < sizeofTcmsg {
		return Queue{}, errShort
	}
	q := Queue{Ingress: binary.NativeEndian.Uint32(b[12:]) == parentIngress}
	attributes(b[sizeofTcmsg:], func(typ uint16, v []byte) {
		switch typ {
		case unix.TCA_KIND:
			q.Kind = text(v)
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
