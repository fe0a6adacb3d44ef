package doctor

import (
	"errors"
	"net"
	"net/netip"

	"lping/ping"
	"lping/ping/report"
)

// trySockets opens and closes each kind of socket on each address, and says what came of it.
func trySockets(addresses []netip.Addr) []SocketTrial {
	var list []SocketTrial
	for _, kind := range []struct {
		name string
		mode ping.SocketMode
	}{{"ICMP datagram", ping.SocketDgram}, {"ICMP raw", ping.SocketRaw}} {
		for _, a := range addresses {
			p, err := ping.Open(ping.Config{Address: a, Socket: kind.mode})
			if err == nil {
				p.Close()
			}
			var open *ping.OpenError
			if errors.As(err, &open) {
				err = errors.Join(open.Dgram, open.Raw) // one of them is nil
			}
			list = append(list, SocketTrial{Kind: kind.name, Family: report.Family(a), Err: err})
		}
	}
	for _, a := range addresses {
		udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
		if err == nil {
			udp.Close()
		}
		list = append(list, SocketTrial{Kind: "UDP", Family: report.Family(a), Err: err})
	}
	for _, a := range addresses {
		tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
		if err == nil {
			tcp.Close()
		}
		list = append(list, SocketTrial{Kind: "TCP", Family: report.Family(a), Err: err})
	}
	return list
}
