package report

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"lping/ping"
)

// Headers in front of the data, in bytes.
const (
	echoHeader = 8
	udpHeader  = 8
	ipv4Header = 20
)

// appendBanner appends the first line: what is probed, and how. It is that of ping if the probes are ICMP;
// otherwise it says what they are.
func appendBanner(b []byte, t Target) []byte {
	b = fmt.Appendf(b, "PING %s (%s) ", displayName(t), t.Address)
	if t.Port != 0 {
		b = fmt.Appendf(b, "port %d ", t.Port)
	}
	b = appendOrigin(b, t)
	over := strings.ToUpper(protocol(t))
	switch {
	case t.Method == ping.MethodHTTP:
		return append(append(append(b, "GET "...), Clean(t.Path)...), " over HTTP."...)
	case connectsOnly(t):
		return append(b, "connections over TCP."...)
	}
	b = appendSize(b, t)
	if over != "ICMP" {
		return fmt.Appendf(b, " over %s.", over)
	}
	if t.Address.Unmap().Is4() {
		return append(b, '.')
	}
	return b
}

// appendSize appends the number of data bytes and, if each probe is a packet of IPv4, the number with headers.
func appendSize(b []byte, t Target) []byte {
	v4 := t.Address.Unmap().Is4()
	switch {
	case len(t.Sizes) > 0:
		b = fmt.Appendf(b, "%d..%d", slices.Min(t.Sizes), slices.Max(t.Sizes))
	case v4 && t.Method != ping.MethodTCP:
		whole := t.Size + echoHeader + ipv4Header
		if t.Method == ping.MethodUDP {
			whole += udpHeader
		}
		b = fmt.Appendf(b, "%d(%d)", t.Size, whole)
	default:
		b = fmt.Appendf(b, "%d", t.Size)
	}
	if v4 {
		return append(b, " bytes of data"...)
	}
	return append(b, " data bytes"...)
}

// appendOrigin appends where the probes come from, if that was asked for. Before the colon is a space, as in ping.
func appendOrigin(b []byte, t Target) []byte {
	if !t.Source.IsValid() && t.Interface == "" {
		return b
	}
	from := t.Source
	if !from.IsValid() {
		from = t.Address
	}
	return fmt.Appendf(b, "from %s %s: ", from, Clean(t.Interface))
}

// protocol is what carries the probes: icmp, udp, tcp or http.
func protocol(t Target) string {
	switch t.Method {
	case ping.MethodUDP:
		return "udp"
	case ping.MethodTCP:
		return "tcp"
	case ping.MethodHTTP:
		return "http"
	}
	return "icmp"
}

// connectsOnly says that the probes are connections without data of ours: those to a service that is no echo.
func connectsOnly(t Target) bool {
	return t.Method == ping.MethodTCP && t.Port != 0 && !t.Echo || t.Method == ping.MethodHTTP
}

// answering says that a service took the connection, and that it is the answer which failed.
func answering(t Target, e syscall.Errno) bool {
	asked := t.Method == ping.MethodHTTP || t.Method == ping.MethodTCP && t.Echo
	return asked && (e == syscall.ECONNRESET || e == syscall.EPIPE || e == syscall.EPROTO)
}

// appendStatus appends what a service said to a GET.
func appendStatus(b []byte, t Target, a *ping.Answer) []byte {
	b = strconv.AppendInt(append(b, "HTTP "...), int64(a.Status), 10)
	if a.Text != "" {
		b = append(append(b, ' '), safeForParsers(a.Text)...)
	}
	return appendService(append(b, " from "...), t)
}

// appendService appends the address of the target and, if it is a service, its port.
func appendService(b []byte, t Target) []byte {
	if t.Port == 0 {
		return t.Address.AppendTo(b)
	}
	return netip.AddrPortFrom(t.Address, t.Port).AppendTo(b)
}
