package platform

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

var (
	errNoCounters = errors.New("lacks the counters of IP or ICMP")
	errNoColumn   = errors.New("has no column drops")
)

// counter has the names of a counter in snmp and in snmp6, and its field.
type counter struct {
	name4, name6 string
	field        func(*Counters) *uint64
	// optional says that not all kernels have it.
	optional bool
}

// counters lists them all. In snmp the protocol stands before a dot.
func counters() []counter {
	return []counter{
		{"Ip.InReceives", "Ip6InReceives", func(c *Counters) *uint64 { return &c.InReceives }, false},
		{"Ip.InDiscards", "Ip6InDiscards", func(c *Counters) *uint64 { return &c.InDiscards }, false},
		{"Ip.InHdrErrors", "Ip6InHdrErrors", func(c *Counters) *uint64 { return &c.InErrors }, false},
		{"Ip.InAddrErrors", "Ip6InAddrErrors", func(c *Counters) *uint64 { return &c.InErrors }, false},
		{"Ip.InUnknownProtos", "Ip6InUnknownProtos", func(c *Counters) *uint64 { return &c.InErrors }, false},
		{"Ip.InDelivers", "Ip6InDelivers", func(c *Counters) *uint64 { return &c.InDelivers }, false},
		{"Ip.ForwDatagrams", "Ip6OutForwDatagrams", func(c *Counters) *uint64 { return &c.Forwarded }, false},
		{"Ip.ReasmReqds", "Ip6ReasmReqds", func(c *Counters) *uint64 { return &c.Fragments }, false},
		{"Ip.ReasmOKs", "Ip6ReasmOKs", func(c *Counters) *uint64 { return &c.Reassembled }, false},
		{"Ip.OutRequests", "Ip6OutRequests", func(c *Counters) *uint64 { return &c.OutRequests }, false},
		{"Ip.OutDiscards", "Ip6OutDiscards", func(c *Counters) *uint64 { return &c.OutDiscards }, false},
		{"Ip.OutNoRoutes", "Ip6OutNoRoutes", func(c *Counters) *uint64 { return &c.OutNoRoutes }, false},
		{"Ip.OutTransmits", "Ip6OutTransmits", func(c *Counters) *uint64 { return &c.OutTransmits }, true},
		{"Icmp.InEchos", "Icmp6InEchos", func(c *Counters) *uint64 { return &c.InEchos }, false},
		{"Icmp.InEchoReps", "Icmp6InEchoReplies", func(c *Counters) *uint64 { return &c.InEchoReps }, false},
		{"Icmp.InDestUnreachs", "Icmp6InDestUnreachs", func(c *Counters) *uint64 { return &c.InDestUnreachs }, false},
		{"Icmp.InErrors", "Icmp6InErrors", func(c *Counters) *uint64 { return &c.InMsgErrors }, false},
		{"Icmp.OutEchos", "Icmp6OutEchos", func(c *Counters) *uint64 { return &c.OutEchos }, false},
		{"Icmp.OutEchoReps", "Icmp6OutEchoReplies", func(c *Counters) *uint64 { return &c.OutEchoReps }, false},
		{"Icmp.OutDestUnreachs", "Icmp6OutDestUnreachs", func(c *Counters) *uint64 { return &c.OutDestUnreachs }, false},
		{"Udp.NoPorts", "Udp6NoPorts", func(c *Counters) *uint64 { return &c.NoPorts }, true},
		{"Icmp.OutRateLimitGlobal", "Icmp6OutRateLimitHost", func(c *Counters) *uint64 { return &c.RateLimited }, true},
		{"UdpLite.NoPorts", "UdpLite6NoPorts", func(c *Counters) *uint64 { return &c.NoPorts }, true},
	}
}

// ReadCounters takes a snapshot of the counters of a family, 4 or 6, in some 100 us. Two of them around a probe show
// how far it came. The root is "/".
func ReadCounters(root string, family int) Known[Counters] {
	h := host{root}
	dev, devErr := h.read("/proc/net/dev") // close to those of IP, with which it is compared
	c, err := h.readCounters(family)
	if err != nil {
		return Unknown[Counters](err.Error())
	}
	if n, err := openNetlink(unix.NETLINK_ROUTE); err == nil {
		defer n.close()
		readLinkCounters(n, &c)
	}
	if devErr == nil {
		var lo uint64
		lo, c.OthersSent = parseSent(dev)
		c.LinkSent = cmp.Or(lo, c.LinkSent)
	}
	return Know(c)
}

// readLinkCounters reads what the loopback interface took, and what its queueing disciplines and filters dropped.
func readLinkCounters(n *netlinkSocket, c *Counters) {
	links, err := loopbackLinks(n)
	if err != nil || len(links) == 0 {
		return
	}
	c.LinkSent = links[0].Stats.Value.Sent
	queues, _ := readQueues(links[0].Index)
	for _, q := range queues {
		if q.Ingress {
			c.FilterDrops += q.Drops
		} else {
			c.QueueDrops += q.Drops
		}
	}
}

// parseSent reads /proc/net/dev: name, colon, 8 numbers of what was received and 8 of what was sent, the second of which counts
// packets. The name lo is that of the loopback interface in every namespace.
func parseSent(b []byte) (lo, others uint64) {
	for line := range strings.Lines(string(b)) {
		name, numbers, ok := strings.Cut(line, ":")
		f := strings.Fields(numbers)
		if !ok || len(f) <= 9 {
			continue
		}
		sent, _ := strconv.ParseUint(f[9], 10, 64)
		if strings.TrimSpace(name) == "lo" {
			lo = sent
		} else {
			others += sent
		}
	}
	return lo, others
}

// readCounters reads all counters that are files.
func (h host) readCounters(family int) (Counters, error) {
	name, icmp, parse := "/proc/net/snmp", "/proc/net/icmp", parseSNMP
	if family == 6 {
		name, icmp, parse = "/proc/net/snmp6", "/proc/net/icmp6", parseSNMP6
	}
	b, err := h.read(name)
	if err != nil {
		return Counters{}, err
	}
	c, err := parse(b)
	if err != nil {
		return Counters{}, named(name, err)
	}
	if b, err := h.read(icmp); err == nil {
		c.SocketDrops, _ = parseSocketDrops(b)
	}
	if b, err := h.read("/proc/net/xfrm_stat"); err == nil {
		parseXfrm(b, &c)
	}
	if b, err := h.read("/proc/net/stat/nf_conntrack"); err == nil {
		c.TrackDrops, c.TrackCounted = parseTrackDrops(b)
	}
	return c, nil
}

// parseSNMP reads /proc/net/snmp: a line of names and a line of numbers for each protocol.
func parseSNMP(b []byte) (Counters, error) {
	values := map[string]uint64{}
	var names []string
	for l := range lines(b) {
		protocol, rest, ok := l.cut(":")
		if !ok {
			continue
		}
		if names == nil || names[0] != protocol {
			names = append([]string{protocol}, strings.Fields(rest)...)
			continue
		}
		for i, f := range strings.Fields(rest) {
			if n, err := strconv.ParseUint(f, 10, 64); err == nil && i+1 < len(names) {
				values[protocol+"."+names[i+1]] = n
			}
		}
		names = nil
	}
	return pick(values, func(c counter) string { return c.name4 })
}

// parseSNMP6 reads /proc/net/snmp6: a name and a number on each line.
func parseSNMP6(b []byte) (Counters, error) {
	values := map[string]uint64{}
	for l := range lines(b) {
		f := l.fields()
		if len(f) != 2 {
			continue
		}
		if n, err := strconv.ParseUint(f[1], 10, 64); err == nil {
			values[f[0]] = n
		}
	}
	return pick(values, func(c counter) string { return c.name6 })
}

// pick sets every counter. If one is missing, that is an error: it would look as if nothing had happened.
func pick(values map[string]uint64, name func(counter) string) (Counters, error) {
	var c Counters
	for _, at := range counters() {
		n, ok := values[name(at)]
		if !ok && !at.optional {
			return Counters{}, fmt.Errorf("%w: %s", errNoCounters, name(at))
		}
		*at.field(&c) += n
	}
	return c, nil
}

// parseSocketDrops sums the last column of /proc/net/icmp or icmp6, one line a socket.
func parseSocketDrops(b []byte) (sum uint64, err error) {
	header := true
	for l := range lines(b) {
		f := l.fields()
		if len(f) == 0 {
			continue
		}
		if header && f[len(f)-1] != "drops" {
			return 0, errNoColumn
		}
		if n, err := strconv.ParseUint(f[len(f)-1], 10, 32); err == nil && !header {
			sum += n
		}
		header = false
	}
	if header {
		return 0, errEmpty
	}
	return sum, nil
}

// parseXfrm reads /proc/net/xfrm_stat (Documentation/networking/xfrm_proc.rst): a name and a number on each line.
func parseXfrm(b []byte, c *Counters) {
	fields := map[string]*uint64{
		"XfrmOutPolBlock": &c.XfrmBlocks, "XfrmInPolBlock": &c.XfrmInBlocks, "XfrmInNoPols": &c.XfrmDefaultBlocks,
		"XfrmInTmplMismatch": &c.XfrmUnprotected, "XfrmOutNoStates": &c.XfrmUnprotected,
	}
	for l := range lines(b) {
		f := l.fields()
		if len(f) != 2 || fields[f[0]] == nil {
			continue
		}
		if n, err := strconv.ParseUint(f[1], 10, 64); err == nil && n < math.MaxInt64 {
			*fields[f[0]] += n
			c.XfrmCounted = true
		}
	}
}

// parseTrackDrops sums the column drop of /proc/net/stat/nf_conntrack, in hexadecimal, one line a processor. counted says that
// there is one.
func parseTrackDrops(b []byte) (sum uint64, counted bool) {
	column := -1
	for l := range lines(b) {
		f := l.fields()
		if column < 0 {
			if column = slices.Index(f, "drop"); column < 0 {
				return 0, false
			}
			continue
		}
		if column < len(f) {
			if n, err := strconv.ParseUint(f[column], 16, 32); err == nil {
				sum, counted = sum+n, true
			}
		}
	}
	return sum, counted
}
