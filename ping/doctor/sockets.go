package doctor

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"lping/ping"
	"lping/ping/report"
	"lping/platform"
)

// SocketTrial is what came of opening a socket.
type SocketTrial struct {
	// Kind is ICMP datagram, ICMP raw, UDP or TCP.
	Kind string
	// Family is 4 or 6.
	Family int
	// Err is why the socket could not be opened, with an errno if the system gave one; nil if it could.
	Err error
}

// trySockets opens and closes each kind of socket on each address.
func trySockets(addresses []netip.Addr) []SocketTrial {
	var list []SocketTrial
	for _, kind := range []struct {
		name string
		try  func(netip.Addr) error
	}{
		{"ICMP datagram", func(a netip.Addr) error { return tryICMP(a, ping.SocketDgram) }},
		{"ICMP raw", func(a netip.Addr) error { return tryICMP(a, ping.SocketRaw) }},
		{"UDP", func(a netip.Addr) error {
			return closeAtOnce(net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0))))
		}},
		{"TCP", func(a netip.Addr) error {
			return closeAtOnce(net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, 0))))
		}},
	} {
		for _, a := range addresses {
			err := ping.Spare(3)
			if err == nil {
				err = kind.try(a)
			}
			list = append(list, SocketTrial{Kind: kind.name, Family: report.Family(a), Err: err})
		}
	}
	return list
}

// tryICMP opens an ICMP socket. The error is the system's own, without the words of ping.OpenError around it.
func tryICMP(a netip.Addr, mode ping.SocketMode) error {
	var c ping.Config
	c.Address, c.Socket = a, mode
	err := closeAtOnce(ping.Open(c))
	if open, ok := errors.AsType[*ping.OpenError](err); ok {
		return errors.Join(open.Dgram, open.Raw) // one of them is nil
	}
	return err
}

// closeAtOnce closes what could be opened, and gives the error of opening it.
func closeAtOnce(c io.Closer, err error) error {
	if err == nil {
		c.Close()
	}
	return err
}

// socketSection shows which sockets could be opened, and the settings and rights on which that depends.
func socketSection(f platform.Facts, trials []SocketTrial) section {
	s := section{title: "Sockets", about: "what this process may open, each kind tried"}
	if len(trials) == 0 {
		s.unknown("permissions", "no socket was tried")
	} else {
		s.table(socketCells(trials))
		if slices.ContainsFunc(trials, func(t SocketTrial) bool { return strings.HasPrefix(outcome(t.Err), "failed") }) {
			s.mark = markInfo // a finding says what it means
		}
	}
	sayKnown(&s, pingGroups, f.PingGroups, func(r platform.Range) {
		s.say("ICMP datagram is for the groups in ping_group_range: %s", rangeText(r))
	})
	sayKnown(&s, "our groups and capabilities", f.Process, func(p platform.Process) {
		s.say("our groups: %s", groupList(append([]int64{p.GID}, p.Groups...)))
		s.say("ICMP raw is for those with CAP_NET_RAW: %s", capability(p.Effective.NetRaw, p.Bounding.NetRaw))
	})
	return s
}

// socketCells are a row for each kind and outcome, because a kind mostly has the same outcome in both families.
func socketCells(trials []SocketTrial) [][]string {
	var cells [][]string
	for _, t := range trials {
		row := []string{t.Kind, "IPv" + strconv.Itoa(t.Family), outcome(t.Err)}
		at := slices.IndexFunc(cells, func(c []string) bool { return c[0] == row[0] && c[2] == row[2] })
		if at < 0 {
			cells = append(cells, row)
		} else {
			cells[at][1] += ", " + row[1]
		}
	}
	return cells
}

// outcome is what came of opening a socket, in words.
func outcome(err error) string {
	if err == nil {
		return "permitted"
	}
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return "failed: " + err.Error()
	}
	name := platform.ErrnoName(errno)
	text := name + " (" + strings.ToLower(errno.Error()) + ")"
	if name == "EACCES" || name == "EPERM" {
		return "not permitted: " + text
	}
	return "failed: " + text
}
