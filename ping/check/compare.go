package check

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"time"

	"lping/platform"
)

const (
	// settling is how long after a send its packets may be on their way: with RPS on lo another processor receives them.
	settling = time.Millisecond
	// minWindows is how many pairs of windows must be compared to tell a probe from what others send, maxWindows how many may be.
	minWindows = 6
	maxWindows = 12
	// strays is in how many windows without a probe a balance may move if there are few with one: the run goes on meanwhile, and TCP
	// repeats what was lost.
	strays = 2
	// manyProbes are so many that a few of others do not matter.
	manyProbes = 16
	// enough is how many windows with a probe tell something while others send in more than quietly many of those without one.
	enough  = 3
	quietly = 2
	// tolerance is by how much of a probe a window may differ from the others.
	tolerance = 0.3
	// burstBytes is how many data bytes the probes of a window may have in all.
	burstBytes = 1 << 16
)

// bursts are how many probes are sent in a window: few, since the kernel limits the rate of the ICMP errors that may answer them, and
// if others send too much for that, more.
var bursts = [...]int{8, 16}

// errMixed is why nothing is known of the counters.
var errMixed = errors.New("the packets of others moved the counters of the kernel, too")

// window is how far the counters moved in some time, in which probes were sent or none.
type window struct {
	platform.Counters
	took   time.Duration
	probes int
}

// counting reads the counters of a family from window to window.
type counting struct {
	family int
	icmp   bool
	// hold is for how long a queue holds packets back. Then a window is too long to compare many.
	hold time.Duration
	// own and other are the latest readings, of the family and of the other one, and at is when.
	own, other platform.Known[platform.Counters]
	at         time.Time
	// with and without are the windows in which probes were sent, and those in which none was.
	with, without []window
}

func newCounting(family int, icmp bool, hold time.Duration) *counting {
	c := &counting{family: family, icmp: icmp, hold: hold}
	c.again()
	return c
}

func otherFamily(family int) int { return 10 - family }

// begin forgets all windows and begins the first one.
func (c *counting) begin() {
	c.with, c.without = nil, nil
	c.again()
}

// again begins the next window.
func (c *counting) again() {
	c.own, c.at = platform.ReadCounters("/", c.family), time.Now()
	c.other = platform.ReadCounters("/", otherFamily(c.family))
}

// end waits until what was sent has arrived, ends the window and begins the next one. What lo took is counted for both families:
// what arrived of the other one is not ours.
func (c *counting) end() window {
	time.Sleep(settling + c.hold)
	own, other, at := c.own.Value, c.other.Value, c.at
	c.again()
	w := window{Counters: c.own.Value.Sub(own), took: c.at.Sub(at)}
	w.LinkSent -= min(w.LinkSent, c.other.Value.Sub(other).InReceives)
	return w
}

// crowded says that others send so much that a single window with a probe tells nothing.
func (c *counting) crowded() bool { return crowded(c.without) }

func crowded(without []window) bool {
	n := 0
	for _, w := range without {
		if w.OutRequests+w.InReceives > 0 {
			n++
		}
	}
	return n > quietly
}

// passing says that lo took packets in most of the windows without a probe.
func (c *counting) passing() bool {
	n := 0
	for _, w := range c.without {
		if w.LinkSent > 0 {
			n++
		}
	}
	return 2*n > len(c.without)
}

// rest adds windows without a probe to the one with it, as many as tell that the others are still.
func (c *counting) rest() {
	c.again()
	for range minWindows {
		c.without = append(c.without, c.end())
	}
}

// clear says that the windows tell enough.
func (c *counting) clear(refused bool) bool {
	if !c.own.OK {
		return true
	}
	_, ok := perProbe(c.with, c.without, c.icmp, refused)
	return len(c.with) >= minWindows && ok
}

// sent ends a window in which so many probes were sent.
func (c *counting) sent(probes int) {
	w := c.end()
	w.probes = probes
	c.with = append(c.with, w)
}

// quiet is a window in which no probe is sent, as long as the last one in which some were.
func (c *counting) quiet() {
	if n := len(c.with); n > 0 {
		time.Sleep(min(c.with[n-1].took-time.Since(c.at)-2*settling, maxQuiet))
	}
	c.without = append(c.without, c.end())
}

// maxQuiet bounds a window without a probe.
const maxQuiet = 10 * time.Millisecond

// moved is how far one probe moved the counters, if others can be told from it.
func (c *counting) moved(refused bool) platform.Known[platform.Counters] {
	if !c.own.OK {
		return c.own
	}
	if len(c.with) == 0 {
		return platform.Unknown[platform.Counters](errMixed.Error())
	}
	if c.hold > 0 {
		return platform.Know(c.with[len(c.with)-1].Counters)
	}
	if out, ok := perProbe(c.with, c.without, c.icmp, refused); ok {
		return platform.Know(out)
	}
	return platform.Unknown[platform.Counters](errMixed.Error())
}

// balance is what one counter on the way of a packet counted more than the next one. No packet that gets so far moves it, whoever
// sends it: only what is lost in between does, and what comes from other interfaces or leaves by them.
type balance func(c *platform.Counters) int64

// The balances of an echo, of its packets, and of the ICMP errors for which there is no closed port of UDP.
func unarrived(c *platform.Counters) int64  { return int64(c.OutEchos - c.InEchos) }
func unmade(c *platform.Counters) int64     { return int64(c.InEchos - c.OutEchoReps) }
func unreturned(c *platform.Counters) int64 { return int64(c.OutEchoReps - c.InEchoReps) }
func unhanded(c *platform.Counters) int64   { return int64(c.OutRequests - c.OutTransmits) }
func unreceived(c *platform.Counters) int64 { return int64(c.OutRequests - c.InReceives) }
func unseen(c *platform.Counters) int64     { return int64(c.LinkSent - c.InReceives) }
func rejected(c *platform.Counters) int64 {
	return int64(c.OutDestUnreachs + c.RateLimited - c.NoPorts)
}
func undelivered(c *platform.Counters) int64 {
	return int64(c.InReceives + c.Reassembled - c.InDelivers - c.InDiscards - c.InErrors - c.Forwarded - c.Fragments)
}

// comparison is of windows with probes and without. ok says that all that was asked could be told.
type comparison struct {
	with, without []window
	ok            bool
}

// of is by how much one probe moves a balance.
func (m *comparison) of(b balance) int64 {
	n, sure := m.settled(b)
	m.ok = m.ok && sure
	return n
}

// busy are the counters that others move most. They follow from the balances, or nothing depends on them.
var busy = [...]string{"InReceives", "InDelivers", "OutRequests", "OutTransmits", "InEchos", "InEchoReps", "OutEchos", "OutEchoReps",
	"InDestUnreachs", "OutDestUnreachs", "NoPorts", "RateLimited", "SocketDrops", "LinkSent", "OthersSent"}

// perProbe is how far one probe moved the counters. If others moved them too, the balances tell, and each counter on the way
// follows from the one before it; ok is false if they do not tell.
func perProbe(with, without []window, icmp, refused bool) (c platform.Counters, ok bool) {
	m := comparison{with, without, true}
	if m.counters(&c) {
		return c, true
	}
	c.NoPorts, c.OutDestUnreachs = 0, less(0, -m.of(rejected))
	switch {
	case refused && c.OutDiscards > 0:
		c.OutEchos = 1
	case refused && c.XfrmBlocks+c.XfrmUnprotected > 0:
		c.OutEchos = 0
	case refused:
		c.OutEchos = less(0, -m.of(func(c *platform.Counters) int64 { return int64(c.OutEchos) }))
	case icmp:
		c.OutEchos = 1
		m.echo(&c)
		c.OutRequests = c.OutEchos + c.OutEchoReps + c.OutDestUnreachs
		m.packets(&c)
	default:
		c.OutRequests = max(1, c.OutRequests)
		m.packets(&c)
	}
	return c, m.ok
}

// counters sets each counter that is sure by itself. It says whether all are.
func (m *comparison) counters(c *platform.Counters) (all bool) {
	all = true
	out := reflect.ValueOf(c).Elem()
	for i := range out.NumField() {
		if out.Field(i).Kind() == reflect.Bool {
			out.Field(i).Set(reflect.ValueOf(m.with[0].Counters).Field(i))
			continue
		}
		n, sure := m.settled(func(c *platform.Counters) int64 { return int64(reflect.ValueOf(c).Elem().Field(i).Uint()) })
		if sure {
			out.Field(i).SetUint(less(0, -n))
		}
		all = all && sure
		m.ok = m.ok && (sure || slices.Contains(busy[:], out.Type().Field(i).Name))
	}
	return all
}

// echo sets how far an echo request and its reply came.
func (m *comparison) echo(c *platform.Counters) {
	c.InEchos = less(c.OutEchos, m.of(unarrived))
	c.OutEchoReps = less(c.InEchos, m.of(unmade))
	c.InEchoReps = less(c.OutEchoReps, m.of(unreturned))
}

// packets sets how far the packets came that IP sent. What lo took is only of interest if some did not arrive and IP did not discard
// them.
func (m *comparison) packets(c *platform.Counters) {
	c.InReceives = less(c.OutRequests, m.of(unreceived))
	c.OutTransmits, c.LinkSent = c.InReceives, c.InReceives
	if c.InReceives < c.OutRequests && slices.ContainsFunc(m.with, func(w window) bool { return w.OutTransmits > 0 }) {
		c.OutTransmits = less(c.OutRequests, m.of(unhanded))
	}
	if c.InReceives < c.OutRequests && c.OutDiscards == 0 {
		c.LinkSent = less(c.InReceives, -m.of(unseen))
	}
	c.InDelivers = less(c.InReceives+c.Reassembled, int64(c.InDiscards+c.InErrors+c.Forwarded+c.Fragments))
	c.InDelivers = less(c.InDelivers, m.of(undelivered))
}

// less is n less what was lost.
func less(n uint64, lost int64) uint64 { return uint64(max(0, int64(n)-lost)) }

// settled is by how much one probe moves a balance: how far it moves in a window with probes beyond one without. It is sure only
// if nearly all windows agree, or if others move it so little that many probes outweigh them. A few windows are only sure if hardly
// anything moved it without a probe.
func (m *comparison) settled(of balance) (n int64, sure bool) {
	if n, sure = m.pooled(of); sure {
		return n, true
	}
	with, without := m.with, m.without
	few := len(with) < minWindows || len(without) < len(with)
	var list []float64
	for i, w := range with {
		excess := float64(of(&w.Counters))
		if !few {
			v := without[i]
			excess -= float64(of(&v.Counters)) * float64(w.took) / float64(max(1, v.took))
		}
		list = append(list, excess/float64(w.probes))
	}
	slices.Sort(list)
	n = int64(math.Round(list[len(list)/2]))
	agree := 0
	for _, v := range list {
		if math.Abs(v-float64(n)) <= tolerance {
			agree++
		}
	}
	if !few {
		return n, agree*5 >= len(list)*4
	}
	moved := 0
	for _, w := range without {
		if of(&w.Counters) != 0 {
			moved++
		}
	}
	return n, len(without) >= minWindows && moved <= strays && agree == len(list) && (len(with) >= enough || !crowded(without))
}

// pooled is the same over all windows.
func (m *comparison) pooled(of balance) (n int64, sure bool) {
	var excess, noise, probes, took, quiet float64
	for _, w := range m.with {
		excess, probes, took = excess+float64(of(&w.Counters)), probes+float64(w.probes), took+float64(w.took)
	}
	for _, w := range m.without {
		noise, quiet = noise+math.Abs(float64(of(&w.Counters))), quiet+float64(w.took)
	}
	share := excess / probes
	n = int64(math.Round(share))
	outweighed := noise*took <= quiet*probes*tolerance/2
	return n, probes >= manyProbes && quiet > 0 && outweighed && math.Abs(share-float64(n)) <= tolerance
}
