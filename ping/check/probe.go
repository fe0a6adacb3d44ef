package check

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"time"

	"lping/ping"
	"lping/ping/report"
	"lping/platform"
	"lping/platform/diagnose"
	"lping/platform/droptrace"
)

const (
	// maxPartial is how many probes are sent to lose one, if some of those before were answered.
	maxPartial = 20
	// maxAgain is how many more are sent if nobody saw the kernel drop the one that was lost: a busy machine receives elsewhere at
	// times, where nobody watches.
	maxAgain = 2
	// maxComparing is how long probes are sent to tell them from what others send.
	maxComparing = 350 * time.Millisecond
)

// extra is the extra probe: one that is sent while somebody watches what the kernel counts and drops.
type extra struct {
	pinger   *ping.Pinger
	counting *counting
	// inTurn says that a probe has left when it was sent: a connection is made by another goroutine.
	inTurn bool
	// tracer is nil if nobody watches drops, for the reason unwatched. Dropped are those of the latest probe.
	tracer    *droptrace.Tracer
	unwatched error
	dropped   []droptrace.Drop
	result    diagnose.Probe
	// sent and answers are how many probes left in the latest run, and how many were answered.
	sent, answers int
	err           error
}

// note takes an event of a run.
func (x *extra) note(e ping.Event) {
	switch e.Kind {
	case ping.Sent:
		x.sent++
	case ping.Reply:
		x.answers++
	case ping.SendError:
		if !e.Fault.ICMP {
			x.result.Errno, x.result.Call = platform.ErrnoName(e.Fault.Errno), e.Fault.Call
		}
	}
}

// send sends one probe in a window of its own and waits for the answer. It says whether that is missing.
func (x *extra) send() (missing bool) {
	x.sent, x.answers = 0, 0
	x.drops() // of the probe before, which may have been answered
	x.counting.again()
	more, err := x.pinger.Start(x.note)
	if x.inTurn {
		x.counting.sent(1)
	}
	if more && err == nil {
		err = x.pinger.Run(context.Background(), x.note)
	}
	if !x.inTurn {
		x.counting.sent(1)
	}
	x.drops()
	x.err, x.result.Answered = err, x.answers > 0
	return err == nil && !x.result.Answered
}

// drops takes what the kernel has dropped since the last call.
func (x *extra) drops() {
	if x.tracer != nil && x.unwatched == nil {
		x.dropped, x.unwatched = x.tracer.Drops()
	}
}

// watch begins to watch what the kernel drops, or does so anew: a thread that was started since is not watched.
func (x *extra) watch(process platform.Known[platform.Process]) {
	if x.tracer != nil {
		x.tracer.Close()
	}
	x.tracer, x.unwatched = watchDrops(process)
}

// probe sends one more probe between two readings of the counters, and watches what the kernel drops, if it may. If it is answered
// and others were not, more are sent until one is lost. A service gets one alone. A queue holds packets back for the time hold, and
// naming is how long finding the names of functions may take.
func probe(c ping.Config, method string, seen sighting, process platform.Known[platform.Process], hold, naming time.Duration) *diagnose.Probe {
	c = single(c, method)
	if err := ping.Spare(5); err != nil { // the windows need timers
		return noDescriptor(err)
	}
	x := extra{counting: newCounting(report.Family(c.Address), transport(c, method) == "", hold), unwatched: errNothingLost}
	if x.pinger, x.err = ping.Open(c); x.err != nil {
		return noDescriptor(x.err)
	}
	x.inTurn = transport(c, method) != platform.TCP
	defer x.pinger.Close()
	if seen.missing {
		x.watch(process)
	}
	partial := seen.answered
	for tries := 1; !x.send() && x.err == nil && seen.missing && c.Port == 0 && tries < maxPartial; tries++ {
		partial = true
		x.counting.begin()
	}
	for again := 0; again < maxAgain && x.unseen() && c.Port == 0; again++ {
		if again > 0 {
			x.watch(process)
		}
		if !x.send() {
			break
		}
	}
	if x.err == nil && !x.result.Answered {
		if c.Port == 0 && len(x.dropped) > 0 {
			x.confirm(partial)
		}
		if hold == 0 {
			x.compare(c, partial)
		}
	}
	x.result.Counted = x.counting.moved(x.result.Errno != "")
	x.result.Passing = x.counting.passing()
	x.result.Dropped = x.named(naming)
	if x.err != nil {
		return nil
	}
	return &x.result
}

// confirm keeps the drops that another probe meets, too: what others send may be received on a thread of this process.
func (x *extra) confirm(partial bool) {
	first, tries := x.dropped, 1
	if partial {
		tries = maxPartial
	}
	var both []droptrace.Drop
	for ; tries > 0 && len(both) == 0; tries-- {
		if _, err := x.pinger.Start(x.note); err != nil {
			break
		}
		time.Sleep(settling)
		x.drops()
		both = slices.DeleteFunc(slices.Clone(first), func(d droptrace.Drop) bool {
			return !slices.ContainsFunc(x.dropped, func(o droptrace.Drop) bool { return alike(d, o) })
		})
	}
	if x.dropped = first; len(both) > 0 {
		x.dropped = both
	}
}

// nearby is how many functions tell the place of a drop from others.
const nearby = 6

func alike(a, b droptrace.Drop) bool {
	near := min(nearby, len(a.Addresses), len(b.Addresses))
	return a.Reason == b.Reason && slices.Equal(a.Addresses[:near], b.Addresses[:near])
}

// noDescriptor is a probe that could not be sent since there was no file descriptor; nil if the error is another.
func noDescriptor(err error) *diagnose.Probe {
	if errno := errnoName(err); errno == "EMFILE" || errno == "ENFILE" {
		return &diagnose.Probe{Errno: errno}
	}
	return nil
}

// unseen says that a probe was lost and that nobody saw the kernel drop it, although somebody watches.
func (x *extra) unseen() bool {
	return x.err == nil && !x.result.Answered && x.unwatched == nil && len(x.dropped) == 0
}

// compare sends more probes, in bursts and between windows without any, until it is clear what they move and what others do. A
// service gets none, nor does what answers some: then windows without a probe tell whether the others are still.
func (x *extra) compare(c ping.Config, partial bool) {
	lost := x.counting.with
	if c.Proto == ping.ProtoTCP { // which repeats what is lost, later
		if x.counting.rest(); x.counting.moved(x.result.Errno != "").OK {
			return
		}
	}
	until := time.Now().Add(maxComparing)
	for _, size := range bursts {
		if partial = partial || x.answers > 0; partial || c.Port != 0 || time.Now().After(until) {
			break
		}
		if x.burst(c, min(size, max(1, burstBytes/max(1, c.Size))), until) {
			return
		}
	}
	if partial = partial || x.answers > 0; !partial && c.Port == 0 {
		if len(x.counting.with) < minWindows { // a slow machine
			x.counting.rest()
		}
		return
	}
	x.counting.with, x.counting.without = lost, nil
	x.counting.rest()
	if c.Port == 0 && x.counting.crowded() { // what loses some of ours may lose some of theirs
		x.counting.with = nil
	}
}

// burst sends bursts of one size. It says whether it is clear what they move.
func (x *extra) burst(c ping.Config, size int, until time.Time) (clear bool) {
	c.Count, c.Preload = uint64(size), size
	p, err := ping.Open(c)
	if err != nil {
		return false
	}
	defer p.Close()
	x.counting.begin()
	for range maxWindows {
		x.sent = 0
		if _, err := p.Start(x.note); err != nil || x.sent == 0 || x.answers > 0 || time.Now().After(until) {
			return false
		}
		x.counting.sent(x.sent)
		x.counting.quiet()
		if x.counting.clear(x.result.Errno != "") {
			return true
		}
	}
	return false
}

// single is the configuration for one probe as method sends it, with the timeout of c.
func single(c ping.Config, method string) ping.Config {
	c.Sizes = nil // the largest shows most
	c.Count, c.Deadline, c.Preload, c.Flood, c.Adaptive = 1, 0, 1, false, false
	switch method {
	case ping.MethodDgram:
		c.Socket = ping.SocketDgram
	case ping.MethodRaw:
		c.Socket = ping.SocketRaw
	case ping.MethodUDP:
		c.Proto = ping.ProtoUDP // auto may have come to it
	case ping.MethodHTTP:
		c.Proto = ping.ProtoTCP
	}
	c.Echo = false // a service gets a connection and no data
	return c
}

// How long finding the names of functions may take. To read all of them takes 75 to 250 ms, and seconds on a machine that is
// slow or at a quota of 1 %.
const (
	naming         = 200 * time.Millisecond
	thoroughNaming = 3 * time.Second
)

// naming is how long that may take.
func (v *investigator) naming() time.Duration {
	if v.thorough {
		return thoroughNaming
	}
	return naming
}

// Why nothing is known of drops.
var (
	errNothingLost = errors.New("no probe was lost")
	errNotRoot     = errors.New("only root in the first user namespace may look")
)

// watchDrops watches what the kernel drops. Nobody else but root on the host can, and a policy may kill who tries.
func watchDrops(process platform.Known[platform.Process]) (*droptrace.Tracer, error) {
	if p, ok := process.Get(); ok && (p.UID != 0 || p.UserNamespace.Value) {
		return nil, errNotRoot
	}
	return droptrace.Open("/")
}

// Watches says that the kernel tells this process where it drops packets. It takes 40 ms.
func Watches(f platform.Facts) platform.Known[bool] {
	t, err := watchDrops(f.Process)
	if err == nil {
		err = t.Close()
	}
	if err != nil {
		return platform.Unknown[bool](err.Error())
	}
	return platform.Know(true)
}

// named names the functions of the drops and ends the watch.
func (x *extra) named(naming time.Duration) platform.Known[[]droptrace.Drop] {
	if x.tracer != nil {
		defer x.tracer.Close()
	}
	if x.unwatched != nil {
		return platform.Unknown[[]droptrace.Drop](x.unwatched.Error())
	}
	if x.result.Answered {
		x.dropped = []droptrace.Drop{}
	}
	if x.tracer != nil {
		_ = x.tracer.Name(x.dropped, naming) // a reason without a place is something, too
	}
	return platform.Know(x.dropped)
}

// look sends one datagram to a service that has not answered, from a socket that hears answers from anywhere, between two
// readings of the counters.
func look(c ping.Config) (p *diagnose.Probe, answersFrom string) {
	from := c.Source
	if !from.IsValid() {
		from = c.Address
	}
	udp, err := listenUDP(from)
	if err != nil {
		return noDescriptor(err), ""
	}
	defer udp.Close()
	p = &diagnose.Probe{}
	n := newCounting(report.Family(c.Address), false, 0)
	to := netip.AddrPortFrom(c.Address, c.Port)
	if _, err := udp.WriteToUDPAddrPort(make([]byte, c.Size), to); err != nil {
		p.Errno = errnoName(err)
	}
	n.sent(1)
	var answerer netip.AddrPort
	for range tries {
		udp.SetReadDeadline(time.Now().Add(patience))
		if _, answerer, err = udp.ReadFromUDPAddrPort(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
	}
	answerer = netip.AddrPortFrom(answerer.Addr().Unmap(), answerer.Port())
	if p.Answered = err == nil && answerer == to; err == nil && !p.Answered {
		answersFrom = answerer.String()
	}
	n.rest()
	p.Counted = n.moved(p.Errno != "")
	return p, answersFrom
}
