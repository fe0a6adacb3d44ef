package check

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"lping/ping"
	"lping/ping/report"
	"lping/platform"
	"lping/platform/diagnose"
)

// patience is how long the extra probe and the datagram are waited for. On loopback an answer is there when send
// returns, so this is the time that a starved process may need to notice.
const patience = 25 * time.Millisecond

// lateness is how much longer than its timeout a service over UDP may take before it is asked again. The run waits as long.
const lateness = 200 * time.Millisecond

// observations are what an investigation found out about this host.
type observations struct {
	facts platform.Facts
	// probe and udp are nil if none could be sent, or would have left this host.
	probe *diagnose.Probe
	udp   *diagnose.Datagram
	// answersFrom is where a service over UDP answered from, if nobody asked there.
	answersFrom string
	// listeners and portsInUse are what the service's port and the system's ports are taken by, if that may matter.
	listeners  platform.Known[[]platform.Listener]
	portsInUse platform.Known[int]
	// redirected says that a firewall rule sends the service's port elsewhere.
	redirected platform.Known[bool]
	// bind is why a socket cannot have the target's address; empty if it can.
	bind string
}

// sighting is what was seen of a target when somebody began to look for a cause: whether it answered, left an answer
// missing or refused a probe, and whether it is a service that keeps connections waiting.
type sighting struct{ answered, missing, refused, waits bool }

// seen is what was seen of a target so far.
func (k *Check) seen(j *job) sighting {
	k.mu.Lock()
	defer k.mu.Unlock()
	if j.pinger == nil {
		return sighting{}
	}
	s := j.recorder.Summary()
	return sighting{
		answered: s.Received+s.Late+s.Corrupted > 0 || j.tally.reached(), missing: j.missing, refused: s.SendErrors > 0,
		waits: j.pinger.Unserved() != ping.Unserved{},
	}
}

// investigation looks for the cause of what went wrong with one target, beside its run.
type investigation struct {
	// begun is when it began, after so many answers.
	begun   time.Time
	answers uint64
	done    chan struct{}
	found   observations
}

// wait gives what was found.
func (i *investigation) wait() observations {
	<-i.done
	return i.found
}

// over says that wait does not wait.
func (i *investigation) over() bool {
	select {
	case <-i.done:
		return true
	default:
		return false
	}
}

// investigator looks for causes, for one target at a time: a second reader would need threads, and its probe would move the
// counters that the first one reads. The zero value is ready.
type investigator struct {
	mu sync.Mutex
	// thorough says that there is time to find the names of what dropped a packet, on a slow machine too.
	thorough bool
	// facts are those that were read last, and read is when.
	facts platform.Facts
	read  time.Time
}

// fresh is how long facts are as good as new: that is enough for two investigations in a row, one for each family.
const fresh = 200 * time.Millisecond

// start starts an investigation of the target of c, which is probed by method; seen tells what was seen of it so far. Nothing
// stops it: it is short, and then it calls then. A service over UDP that answers late must not get one more datagram, so it has the time for that first.
func (v *investigator) start(c ping.Config, method string, flow platform.Flow, seen func() sighting, then func()) *investigation {
	i := &investigation{done: make(chan struct{})}
	go func() {
		defer then()
		defer close(i.done)
		if c.Port != 0 && method == ping.MethodUDP && !seen().refused {
			time.Sleep(lateness)
		}
		i.found = v.investigate(c, method, flow, seen())
	}()
	return i
}

// investigate examines this host: the facts, one more probe with the kernel's counters read before and after it, and a UDP
// datagram to oneself. If nothing answers it takes some 100 ms, so that a diagnosis fits into the time of the run that
// needs it, also for two families. The extra probe is sent as c and method say; without a method there is none, nor does a
// service get one that has answered, that made a connection, or that does not read: there is no more to learn.
func (v *investigator) investigate(c ping.Config, method string, flow platform.Flow, seen sighting) observations {
	v.mu.Lock()
	defer v.mu.Unlock()
	known := v.facts.Of(report.Family(c.Address))
	if known.Target != c.Address || known.Flow != flow || time.Since(v.read) > fresh {
		v.facts, v.read = platform.Read("/", c.Address, flow), time.Now()
	}
	o := observations{facts: v.facts}
	protocol := transport(c, method)
	if protocol != "" && c.Port != 0 { // before any probe of ours waits there
		o.listeners = platform.ReadListeners(protocol, c.Port)
	}
	leaves := diagnose.Leaves(o.facts, report.Family(c.Address))
	hold := held(o.facts, protocol)
	switch {
	case method == "" || leaves || hold > maxHeld || c.Port != 0 && (seen.answered || seen.waits):
	case c.Port != 0 && method == ping.MethodUDP && !seen.refused:
		if !o.unread(c.Address) {
			o.probe, o.answersFrom = look(c)
		}
	default:
		c.Timeout = patience + hold
		o.probe = probe(c, method, seen, o.facts.Process, hold, v.naming())
	}
	if o.probe != nil && !o.probe.Answered && protocol == platform.TCP {
		o.probe.HalfOpen = platform.HalfOpen(netip.AddrPortFrom(c.Address, c.Port)).Value
	}
	o.udp, o.bind = datagram(c.Address, !leaves && hold <= maxHeld, hold)
	if ports, ok := o.facts.Ports.Get(); ok && protocol != "" {
		o.portsInUse = platform.ReadPortsInUse(protocol, ports)
	}
	if c.Port != 0 && seen.refused && natAtOutput(o.facts) {
		o.redirected = platform.Redirected(c.Port)
	}
	return o
}

// maxHeld bounds how much longer than usual an extra probe is waited for. If a queue holds it for longer than that, it could
// tell nothing, and is not sent.
const maxHeld = 100 * time.Millisecond

// held is how long the queue of loopback holds back the packets of a probe, as far as it is set to.
func held(f platform.Facts, protocol string) time.Duration {
	packets := 2.0
	if protocol == platform.TCP {
		packets = 4
	}
	return time.Duration(packets * diagnose.Hold(f) * float64(time.Millisecond))
}

// unread says that a service over UDP has not read what it got: one more datagram would tell nothing.
func (o *observations) unread(service netip.Addr) bool {
	list, _ := o.listeners.Get()
	return slices.ContainsFunc(list, func(l platform.Listener) bool { return l.Takes(service) && l.Queue > 0 })
}

// natAtOutput says that nf_tables is there, and has a chain that may send what leaves elsewhere.
func natAtOutput(f platform.Facts) bool {
	list, _ := f.Firewall.Get()
	return slices.ContainsFunc(list, func(c platform.Chain) bool { return c.Type == "nat" && c.Hook == "output" })
}

// transport is the protocol whose ports the probes use, or would have used; empty for ICMP.
func transport(c ping.Config, method string) string {
	switch {
	case method == ping.MethodTCP || c.Proto >= ping.ProtoTCP:
		return platform.TCP
	case method == ping.MethodUDP || method == "" && c.Proto != ping.ProtoICMP:
		return platform.UDP // what auto comes to if no other socket is permitted
	}
	return ""
}

// addTo completes the evidence of a run.
func (o observations) addTo(e *diagnose.Evidence) {
	e.Probe, e.AnswersFrom, e.UDP, e.Bind = o.probe, o.answersFrom, o.udp, o.bind
	e.Listeners, e.PortsInUse, e.Redirected = o.listeners, o.portsInUse, o.redirected
}

// listenUDP is a socket on a port of this address that is free.
func listenUDP(at netip.Addr) (*net.UDPConn, error) {
	if err := ping.Spare(5); err != nil { // the run may want two meanwhile
		return nil, err
	}
	return net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
}

// datagram sends a UDP datagram, if it may, from a socket on the address to itself, which a queue holds back for a time. bind is
// why there is no such socket.
func datagram(to netip.Addr, may bool, hold time.Duration) (d *diagnose.Datagram, bind string) {
	udp, err := listenUDP(to)
	if err != nil {
		return &diagnose.Datagram{Errno: errnoName(err)}, errnoName(err)
	}
	defer udp.Close()
	if !may {
		return nil, ""
	}
	sent, got := []byte("lping to itself"), make([]byte, 64)
	if _, err := udp.WriteTo(sent, udp.LocalAddr()); err != nil {
		return &diagnose.Datagram{Errno: errnoName(err), Connect: connects(udp.LocalAddr().(*net.UDPAddr))}, ""
	}
	n, err := receive(udp, got, patience+hold/tries)
	return &diagnose.Datagram{Errno: errnoName(err), Answered: err == nil && bytes.Equal(got[:n], sent)}, ""
}

// connects is why a socket cannot be connected to an address; empty if it can. It takes a route, and no packet.
func connects(to *net.UDPAddr) string {
	udp, err := net.DialUDP("udp", nil, to)
	if err == nil {
		udp.Close()
	}
	return errnoName(err)
}

// tries is how often a datagram is waited for. The runtime does not even try a read that begins after its deadline, as it may on
// a machine that starves us.
const tries = 3

// receive reads one datagram, and waits for it that long with each try.
func receive(c net.Conn, b []byte, wait time.Duration) (n int, err error) {
	for range tries {
		c.SetReadDeadline(time.Now().Add(wait))
		if n, err = c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
	}
	return n, err
}

// errnoName is the symbol of the error number in err, such as EPERM; empty if there is none.
func errnoName(err error) string {
	var e syscall.Errno
	errors.As(err, &e)
	return platform.ErrnoName(e)
}
