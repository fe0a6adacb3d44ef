package report

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"lping/ping"
	"lping/platform/diagnose"
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

// Finding writes why answers stay away, and what mends it.
func (t *text) Finding(target Target, f diagnose.Finding) error {
	if t.o.PingOnly {
		return nil
	}
	b := append(t.beginNews(target), safeForParsers(string(f.Code)+": "+f.Cause)...)
	return t.put(appendFix(b, f))
}

// Outage writes that answers come again, if Finding said that they stayed away.
func (t *text) Outage(target Target, o Outage) error {
	if t.o.PingOnly || !o.Told {
		return nil
	}
	return t.put(fmt.Appendf(t.beginNews(target), "back after %s, %s lost", lengthOf(o.Length), probeCount(o.Lost)))
}

// beginNews starts a line about a target, on a line of its own. It names the target if there are several.
func (t *text) beginNews(target Target) []byte {
	b := t.buf[:0]
	if t.dots > 0 {
		b, t.dots = append(b, '\n'), 0
	}
	if t.o.Timestamp {
		b = append(unixTime(append(b, '['), t.o.now()), "] "...)
	}
	if t.targets > 1 {
		b = append(append(b, Address(Result{Target: target})...), ' ')
	}
	return b
}

// probeCount is a number of probes.
func probeCount(n uint64) string {
	if n == 1 {
		return "1 probe"
	}
	return fmt.Sprintf("%d probes", n)
}

// appendFinding appends a finding and its fix. The evidence has a line of its own if the first has no room for it.
func appendFinding(b []byte, f diagnose.Finding) []byte {
	cause, evidence := safeForParsers(string(f.Code)+": "+f.Cause), safeForParsers(f.Evidence)
	b = append(b, cause...)
	switch {
	case evidence == "":
	case len(cause)+len(evidence)+len(" ()") <= columns:
		b = fmt.Appendf(b, " (%s)", evidence)
	default:
		b = fmt.Appendf(b, "\n  evidence: %s", evidence)
	}
	return append(appendFix(b, f), '\n')
}

// appendFix appends what mends a finding, if that is known, on a line of its own.
func appendFix(b []byte, f diagnose.Finding) []byte {
	if f.Fix == "" {
		return b
	}
	return fmt.Appendf(b, "\n  fix: %s", safeForParsers(f.Fix))
}

// safeForParsers is s without a lone = and a lone "time", which the parsers of ping take for a part of the statistics.
func safeForParsers(s string) string {
	s = Clean(s)
	if padded := " " + s + " "; !strings.Contains(padded, " = ") && !strings.Contains(padded, " time ") {
		return s
	}
	var b strings.Builder
	glued := true
	for _, word := range strings.Fields(s) {
		if !glued && word != "=" {
			b.WriteByte(' ')
		}
		if glued = word == "="; word == "time" {
			word = "Time"
		}
		b.WriteString(word)
	}
	return b.String()
}
