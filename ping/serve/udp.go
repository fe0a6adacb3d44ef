package serve

import (
	"context"
	"hash/maphash"
	"net"
	"net/netip"
	"slices"
	"time"
)

const (
	// maxDatagram is more than any datagram has.
	maxDatagram = 1 << 16
	// sendTime is how long the system may take to accept a datagram, after which it is dropped.
	sendTime = 100 * time.Millisecond
	// maxSources is how many sources are remembered, so that each is told once.
	maxSources = 64
	// firstPort is the lowest port that is answered. Below are the services that would answer the answer, such as echo (7),
	// chargen (19), domain (53) and ntp (123).
	firstPort = 1024
)

// answer sends back each datagram.
func (s *Server) answer(ctx context.Context, c *net.UDPConn) {
	own, buf := addrPort(c.LocalAddr()), make([]byte, maxDatagram)
	again, known := repetition{seed: maphash.MakeSeed()}, sources{}
	s.repeat(ctx, func() error {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return err
		}
		now := time.Now()
		if !answerable(from, own) || again.tooOften(from, buf[:n], now) {
			s.dropped.Add(1)
			return nil
		}
		if known.add(from) {
			s.say("datagrams from " + from.String())
		}
		_ = c.SetWriteDeadline(now.Add(sendTime))
		if _, err := c.WriteToUDPAddrPort(buf[:n], from); err != nil {
			s.dropped.Add(1)
			return nil
		}
		s.datagrams.Add(1)
		return nil
	})
}

// answerable says that an answer does no harm: its receiver is on this host, and likely no service. The port of this socket is
// that of our others, too, and of another echo at this port.
func answerable(from, own netip.AddrPort) bool {
	return isLocal(from.Addr(), own.Addr()) && from.Port() >= firstPort && from.Port() != own.Port()
}

// sources are the last ones that were new.
type sources struct {
	list [maxSources]netip.AddrPort
	next int
}

// add says whether a source was not yet known.
func (s *sources) add(from netip.AddrPort) bool {
	if slices.Contains(s.list[:], from) {
		return false
	}
	s.list[s.next] = from
	s.next = (s.next + 1) % maxSources
	return true
}

const (
	// maxTimes is how often a datagram may come back.
	maxTimes = 1000
	// maxGap is between two times at most; what comes back more slowly does no harm.
	maxGap = 100 * time.Millisecond
)

// repetition finds out that the same datagram comes from the same source again and again. If that source is an echo, which a
// forged datagram suffices for, this would never end, so one of maxTimes gets no answer. For a client with datagrams that are
// all equal this is a loss of 1 in 1000; those of lping differ.
type repetition struct {
	seed maphash.Seed
	// from and sum are of the datagram that is watched, of which there is one at a time.
	from  netip.AddrPort
	sum   uint64
	last  time.Time
	times int
}

func (r *repetition) tooOften(from netip.AddrPort, data []byte, now time.Time) bool {
	sum, stale := maphash.Bytes(r.seed, data), now.Sub(r.last) > maxGap
	switch {
	case stale:
		r.from, r.sum, r.times = from, sum, 0
	case from != r.from || sum != r.sum:
		return false
	}
	r.last = now
	if r.times++; r.times <= maxTimes {
		return false
	}
	r.times = 0
	return true
}
