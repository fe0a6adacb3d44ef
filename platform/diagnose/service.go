package diagnose

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"lping/platform"
)

// portRange is the sysctl for the ports of both families that the system gives to sockets that ask for none.
const portRange = "net.ipv4.ip_local_port_range"

// portsExhausted: bind got no port (EADDRINUSE, or EAGAIN from UDP), or connect none that is free for its target. If most ports are
// free, connect said so of an address that was away.
func portsExhausted(f platform.Facts, e Evidence) (Finding, bool) {
	unopened := e.Method == "" && slices.Contains([]string{"EADDRINUSE", "EAGAIN"}, e.Stream)
	if !unopened && (e.icmp() || e.Method == "" || !e.refused("EADDRNOTAVAIL") || mostPortsFree(f, e)) {
		return Finding{}, false
	}
	return Finding{
		Cause:    "no local port " + e.verb("is", "was") + " left",
		Evidence: join(portRange+" "+portsOf(f), portsUsed(f, e), e.sends()),
		Fix:      setting(f, portRange, `"1024 65535"`) + ", or close sockets: ss -tuan",
	}, true
}

// mostPortsFree says that less than half of the ports that are given out are known to be taken.
func mostPortsFree(f platform.Facts, e Evidence) bool {
	n, ok := e.PortsInUse.Get()
	r, known := f.Ports.Get()
	return ok && known && int64(n)*2 < r.High-r.Low+1
}

// portsOf is the range of the ports that are given out.
func portsOf(f platform.Facts) string {
	if r, ok := f.Ports.Get(); ok {
		return "is " + r.String()
	}
	return "unknown: " + f.Ports.Reason()
}

// portsUsed tells how many of the ports are taken.
func portsUsed(f platform.Facts, e Evidence) string {
	n, ok := e.PortsInUse.Get()
	r, known := f.Ports.Get()
	switch {
	case !ok:
		return "ports in use unknown: " + e.PortsInUse.Reason()
	case !known:
		return fmt.Sprintf("%d in use", n)
	}
	return fmt.Sprintf("%d of %d in use", n, r.High-r.Low+1)
}

// portRefused: nobody has the port of the service at this address. If the service listens at another address, the cause says
// so: that is hard to see otherwise.
func portRefused(_ platform.Facts, e Evidence) (Finding, bool) {
	out := Finding{
		Cause:    "nobody " + e.verb("listens", "listened") + " on " + e.service(),
		Evidence: join(e.sends(), listening(e), e.moved()),
		Fix:      "start the service",
	}
	list, known := e.Listeners.Get()
	switch {
	case e.Received > 0 || e.Probe != nil && e.Probe.Answered:
		out.Cause = fmt.Sprintf("%s was closed for %d of %d probes", e.service(), e.SendErrors, e.decided())
		out.Fix = "look why the service was away: its log, and how often it starts"
	case !known:
		out.Cause = "likely nobody " + e.verb("listens", "listened") + " on " + e.service()
		out.Fix = fmt.Sprintf("start the service, or let it listen on %s too", e.Target)
	case boundTo(list, e.Target) != 0:
		out.Cause = fmt.Sprintf("%s %s closed on loopback: the service %s bound to interface %d", e.service(), e.verb("is", "was"),
			e.verb("is", "was"), boundTo(list, e.Target))
		out.Fix = "let the service bind to no interface (SO_BINDTODEVICE), or to that of loopback"
	case len(list) > 0:
		out.Cause = fmt.Sprintf("%s %s closed: the service listens on %s only", e.service(), e.verb("is", "was"), places(list))
		out.Fix = fmt.Sprintf("let the service listen on %s too", e.Target)
		if e.Named {
			out.Fix += fmt.Sprintf(", or ask %s", reachable(list[0], e.Target))
		}
	}
	return out, e.Port != 0 && e.closed()
}

// boundTo is the index of the interface on which the socket is that would take what is sent to an address; 0 if on any.
func boundTo(list []platform.Listener, to netip.Addr) int {
	at := slices.IndexFunc(list, func(l platform.Listener) bool { return l.Takes(to) && l.Interface != 0 })
	if at < 0 {
		return 0
	}
	return list[at].Interface
}

// reachable is an address at which a socket is to be reached that does not take what is sent to target.
func reachable(l platform.Listener, target netip.Addr) netip.Addr {
	switch {
	case !l.Address.IsUnspecified():
		return l.Address
	case target.Is6():
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.IPv6Loopback()
}

// portSilent: the port neither answers nor refuses, and nothing on the way explains it. A service of UDP need not answer. One
// of TCP does not accept.
func portSilent(f platform.Facts, e Evidence) (Finding, bool) {
	out := Finding{Evidence: join(tally(e), listening(e), e.moved(), e.udp())}
	silent := e.Port != 0 && e.Lost+e.Silent > 0 && e.SendErrors+e.Late == 0 && !e.exhausted()
	l, taken := listener(f, e)
	if taken && e.tcp() && fullBefore(l, e) {
		out.Cause = fmt.Sprintf("%s %s not accept: its backlog of %d %s full", e.service(), e.verb("does", "did"), l.Backlog, e.verb("is", "was"))
		out.Fix = "restart the service, or raise its backlog"
		return out, silent
	}
	switch _, known := e.Listeners.Get(); {
	case e.waiting() || taken && !e.tcp() && l.Queue > 0:
		return Finding{}, false // service_slow knows more
	case e.AnswersFrom != "":
		out.Cause = fmt.Sprintf("%s %s from %s, where no client expects it", e.service(), e.verb("answers", "answered"), e.AnswersFrom)
		out.Fix = fmt.Sprintf("ask %s, or let the service listen on %s itself", e.AnswersFrom, e.Target)
		if from, err := netip.ParseAddrPort(e.AnswersFrom); err == nil && from.Addr() == e.Target {
			out.Fix = "let the service answer by the socket that was asked"
		}
	case known && !taken:
		out.Cause = "nobody " + e.verb("listens", "listened") + " on " + e.service() + ", and a firewall likely " + e.verb("drops", "dropped") + " the refusal"
		out.Fix = "start the service"
	case e.tcp():
		out.Cause = e.service() + e.verb(" neither answers nor refuses", " neither answered nor refused")
		out.Fix = fmt.Sprintf("look at the service: ss -tan 'sport = :%d'", e.Port)
	default:
		out.Cause = e.service() + e.verb(" is", " was") + " open or silent: no answer and no refusal"
		out.Fix = "--max-loss 100% if this service never answers"
	}
	return out, silent && e.Received == 0
}

// fullBefore says that the service's queue was full before lping came. One that has room for a single connection may be full of
// one of lping's own.
func fullBefore(l platform.Listener, e Evidence) bool {
	return l.Full() && l.Backlog > 0 && e.Unaccepted == 0
}

// closed says whether a probe got the answer of the system for a port that nobody has: a reset (RFC 9293, section 3.5.2) or
// port unreachable (RFC 1122, section 4.1.3.1).
func (e Evidence) closed() bool {
	unreachable := func(r Report) bool { return noPort(e.Family, r) }
	return e.refused("ECONNREFUSED") || slices.ContainsFunc(e.Reports, unreachable)
}

// refusalSent says that nobody has the port of UDP and that the system said so: the probe arrived, and what was lost is the
// refusal.
func (e Evidence) refusalSent(c platform.Counters) bool {
	return e.nobodyListens() && e.Method == "udp" && c.OutDestUnreachs > 0
}

// nobodyListens says that no socket gets what is sent to the service.
func (e Evidence) nobodyListens() bool {
	list, known := e.Listeners.Get()
	return known && !slices.ContainsFunc(list, func(l platform.Listener) bool { return l.Takes(e.Target) })
}

// listens says that a socket gets the probes and has answered none.
func listens(f platform.Facts, e Evidence) bool {
	if e.Port == 0 {
		return true // the socket of lping itself
	}
	_, ok := listener(f, e)
	return ok && e.Received == 0 && (e.Probe == nil || !e.Probe.Answered)
}

// listener is the socket that gets what is sent to the service.
func listener(f platform.Facts, e Evidence) (platform.Listener, bool) {
	i, known := loopback(f, e)
	list, _ := e.Listeners.Get()
	if !known {
		i.Index = -1 // no socket is bound to that
	}
	serving := platform.Serving(list, e.Target, i.Index)
	if len(serving) == 0 {
		return platform.Listener{}, false
	}
	return slices.MaxFunc(serving, func(a, b platform.Listener) int { return cmp.Compare(a.Queue, b.Queue) }), true
}

// service is the address and the port that the probes go to.
func (e Evidence) service() string { return netip.AddrPortFrom(e.Target, e.Port).String() }

// maxPlaces is the number of addresses that a cause has room for.
const maxPlaces = 2

// places are the addresses of the first few sockets.
func places(list []platform.Listener) string {
	var names []string
	for _, l := range list {
		if name := place(l); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) > maxPlaces {
		return strings.Join(names[:maxPlaces], ", ") + " and others"
	}
	return strings.Join(names, ", ")
}

// place is the address of a socket.
func place(l platform.Listener) string {
	if l.IPv6Only && l.Address.IsUnspecified() {
		return l.Address.String() + " (IPv6)"
	}
	return l.Address.String()
}

// listening tells which sockets have the port of the service, and what waits in their queues.
func listening(e Evidence) string {
	list, ok := e.Listeners.Get()
	switch {
	case e.Port == 0:
		return ""
	case !ok:
		return "sockets unknown: " + e.Listeners.Reason()
	case len(list) == 0:
		return fmt.Sprintf("no socket has port %d", e.Port)
	}
	var parts []string
	for _, l := range list[:min(len(list), 2*maxPlaces)] {
		part := place(l)
		if l.Interface != 0 {
			part += fmt.Sprintf(" (interface %d only)", l.Interface)
		}
		switch {
		case e.tcp():
			part += fmt.Sprintf(", %d wait in its backlog of %d", l.Queue, l.Backlog)
		case l.Queue > 0:
			part += fmt.Sprintf(", %d bytes wait to be read", l.Queue)
		}
		parts = append(parts, part)
	}
	return "sockets there: " + strings.Join(parts, "; ")
}

// serviceSlow: the service is there, and what it does takes longer than the timeout, if it does anything at all.
func serviceSlow(f platform.Facts, e Evidence) (Finding, bool) {
	l, taken := listener(f, e)
	out := Finding{
		Evidence: join(tally(e), e.waits(), listening(e)),
		Fix:      "look at its log and at what it waits for, or allow more time: -W " + seconds(4*e.Timeout),
	}
	switch {
	case e.Late > 0:
		out.Cause = fmt.Sprintf("%s %s too late, after %s", e.service(), e.verb("answers", "answered"), duration(e.Slowest))
		out.Fix = "-W " + seconds(2*e.Slowest) + ", or look why the service is slow"
	case e.Unaccepted > 0 || e.Held > 0 && !fullBefore(l, e):
		out.Cause = e.service() + e.verb(" accepts no connection: the service hangs or is overloaded",
			" accepted no connection: the service hung or was overloaded")
	case e.Hanging > 0:
		out.Cause = fmt.Sprintf("%s %s no answer in %s", e.service(), e.verb("takes the connection and gives", "took the connection and gave"), duration(e.Timeout))
	case taken && !e.tcp() && l.Queue > 0 && e.Received == 0:
		out.Cause = fmt.Sprintf("%s %s: %d bytes wait", e.service(), e.verb("does not read what it gets", "did not read what it got"), l.Queue)
	default:
		return Finding{}, false
	}
	return out, e.Port != 0
}

// waits tells what became of the connections that have no answer.
func (e Evidence) waits() string {
	var parts []string
	for _, c := range []struct {
		n    uint64
		what string
	}{
		{e.Unaccepted, "made and not accepted in time"}, {e.Hanging, "made and not answered in time"}, {e.Held, "not begun, to leave room in the backlog"},
	} {
		if c.n > 0 {
			parts = append(parts, plural(c.n, "connection")+" "+c.what)
		}
	}
	return strings.Join(parts, ", ")
}

// plural is a number of things.
func plural(n uint64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// waiting says that the service is known to keep connections waiting.
func (e Evidence) waiting() bool { return e.Unaccepted+e.Held+e.Hanging > 0 }

// portResets: the service accepts connections and resets them. A client that sends something may fare better, so this is a
// warning.
func portResets(_ platform.Facts, e Evidence) (Finding, bool) {
	return Finding{
		Cause:    fmt.Sprintf("%s accepts connections and resets them", e.service()),
		Evidence: fmt.Sprintf("reset after the handshake: %d of %s", e.Resets, plural(e.Sent, "connection")),
		Fix:      "look at the log of the service: it may refuse this client, or have no room for one more",
	}, e.Resets > 0
}

// serviceError: the service answers, and not as it should.
func serviceError(_ platform.Facts, e Evidence) (Finding, bool) {
	out := Finding{
		Evidence: join(tally(e), e.sends(), e.said()),
		Fix:      "look at the log of the service",
	}
	what := "HTTP"
	if e.Echo {
		what = "an echo"
	}
	switch {
	case e.Status != 0:
		out.Cause = strings.TrimSpace(fmt.Sprintf("%s %s %d %s", e.service(), e.verb("answers", "answered"), e.Status, e.Said))
	case e.refused("EPROTO") || e.Echo && e.Corrupted > 0:
		out.Cause = fmt.Sprintf("%s %s %s", e.service(), e.verb("answers, and is not", "answered, and was not"), what)
		out.Fix = "give the port of the right service, or check only that this one answers: " + strings.Replace(e.Method, "http", "tcp", 1) + "://" + e.service()
	case e.refused("EPIPE") || e.refused("ECONNRESET"): // a close resets if the request was not read by then
		out.Cause = e.service() + e.verb(" ends the connection before it answers", " ended the connection before it answered")
	}
	return out, out.Cause != "" && e.asked() && e.Wrong+e.Corrupted+e.SendErrors > 0
}

// said is what the service said, if it is not in the cause.
func (e Evidence) said() string {
	if e.Status == 0 && e.Said != "" {
		return fmt.Sprintf("it says %q", e.Said)
	}
	return ""
}

// asked says that the probes ask a service for something, so that there are wrong answers.
func (e Evidence) asked() bool { return e.Method == "http" || e.Echo }

// seconds is a time for -W: whole seconds, at least one.
func seconds(ms float64) string { return fmt.Sprintf("%gs", math.Max(1, math.Ceil(ms/1000))) }

// duration is a time in ms for a person.
func duration(ms float64) string {
	if ms >= 1000 {
		return fmt.Sprintf("%.3gs", ms/1000)
	}
	return fmt.Sprintf("%.3gms", cmp.Or(ms, 1))
}
