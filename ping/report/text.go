package report

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"lping/ping"
	"lping/platform"
	"lping/platform/diagnose"
	"lping/stats"
)

// columns is the width of lping's own lines, unless a single item is wider.
const columns = 79

// text writes ping's own lines. What ping does not print stands between the last reply and the empty line before
// the statistics, where the programs that parse ping skip it.
type text struct {
	lines
	o Options
	// dots is how many dots of a flood are on the terminal now.
	dots int
	// targets is how many there are.
	targets int
}

// NewText is the format text: the lines of iputils ping.
func NewText(w io.Writer, o Options) Renderer { return &text{lines: newLines(w), o: o} }

// Start writes the banner.
func (t *text) Start(target Target) error {
	t.targets++
	if len(target.Pattern) > 0 && !t.o.Quiet {
		b := hex.AppendEncode(append(t.buf[:0], "PATTERN: 0x"...), target.Pattern)
		if err := t.put(b); err != nil {
			return err
		}
	}
	return t.put(appendBanner(t.buf[:0], target))
}

// Event writes the line of one event, if it has one.
func (t *text) Event(target Target, e ping.Event) error {
	switch {
	case t.o.Quiet:
		return nil
	case t.o.Flood:
		return t.flood(e.Kind)
	}
	switch e.Kind {
	case ping.Reply, ping.Duplicate, ping.Late:
		return t.reply(target, e)
	case ping.Corrupt:
		return t.corrupt(target, e)
	case ping.SendError:
		return t.sendError(target, e)
	case ping.NoAnswer:
		return t.noAnswer(target, e)
	case ping.Foreign:
		return t.foreign(target, e)
	}
	return nil
}

// flood draws a dot for a probe and erases one for an answer, so that what stays is what is missing; an E stands for
// an error and a C for other data, as in ping.
func (t *text) flood(k ping.Kind) error {
	if t.o.Size == nil {
		return nil
	}
	b := t.buf[:0]
	switch k {
	case ping.Sent:
		t.dots++
		return t.putRaw(append(b, '.'))
	case ping.Reply, ping.Duplicate, ping.Late:
		t.dots--
		b = append(b, "\b \b"...)
		if t.o.Audible {
			b = append(b, '\a')
		}
		return t.putRaw(b)
	case ping.SendError:
		return t.putRaw(append(b, "\bE"...))
	case ping.Corrupt:
		return t.putRaw(append(b, "\bC"...))
	}
	return nil
}

// reply writes the line of a right answer. The bell stands where ping has it, before the newline.
func (t *text) reply(target Target, e ping.Event) error {
	b := t.begin(e)
	switch {
	case target.Method == ping.MethodHTTP && e.Answer != nil:
		b = appendSeq(append(appendStatus(b, target, e.Answer), ": "...), target, e.Seq)
	case connectsOnly(target):
		b = append(appendService(append(b, "connected to "...), target), ": "...)
		b = appendSeq(b, target, e.Seq)
	default:
		b = t.appendPacket(b, target, e)
	}
	b = append(pingTime(append(b, " time="...), e.RTT, t.o.Precise), " ms"...)
	switch {
	case e.Kind == ping.Duplicate:
		b = append(b, " (DUP!)"...)
	case e.Kind == ping.Late && !t.o.PingOnly:
		b = append(b, " (LATE)"...)
	case e.Answer != nil && e.Answer.Reset:
		b = append(b, " (RESET)"...)
	}
	if t.o.Audible {
		b = append(b, '\a')
	}
	return t.put(b)
}

// begin starts a line about a probe.
func (t *text) begin(e ping.Event) []byte {
	if !t.o.Timestamp {
		return t.buf[:0]
	}
	return append(unixTime(append(t.buf[:0], '['), e.Time), "] "...)
}

// appendPacket appends what stands in front of the time of an answer: its bytes, its sender, its sequence, its hop limit.
func (t *text) appendPacket(b []byte, target Target, e ping.Event) []byte {
	b = append(strconv.AppendInt(b, int64(e.Bytes), 10), " bytes from "...)
	b = append(appendPeer(b, target, sender(target, e)), ": "...)
	b = appendSeq(b, target, e.Seq)
	if t.o.Verbose {
		b = strconv.AppendUint(append(b, " ident="...), uint64(e.Ident), 10)
	}
	if e.TTL > 0 {
		b = strconv.AppendInt(append(b, " ttl="...), int64(e.TTL), 10)
	}
	return b
}

// appendPeer appends an address. If it is the target's and the user typed a name, the name comes first.
func appendPeer(b []byte, t Target, from netip.Addr) []byte {
	if from != t.Address || isLiteral(t.Name) {
		return from.AppendTo(b)
	}
	b = append(append(b, Clean(t.Name)...), " ("...)
	return append(from.AppendTo(b), ')')
}

// appendSeq appends the sequence number as it is on the wire, which is what ping prints.
func appendSeq(b []byte, t Target, seq uint64) []byte {
	b = append(append(b, protocol(t)...), "_seq="...)
	return strconv.AppendUint(b, uint64(uint16(seq)), 10)
}

// corrupt writes the answer and what is wrong with it.
func (t *text) corrupt(target Target, e ping.Event) error {
	if target.Method == ping.MethodHTTP && e.Answer != nil {
		return t.put(appendSeq(append(appendStatus(t.begin(e), target, e.Answer), ": "...), target, e.Seq))
	}
	b := t.appendPacket(t.begin(e), target, e)
	if t.o.Audible {
		b = append(b, '\a')
	}
	if err := t.put(b); err != nil {
		return err
	}
	m := e.Wrong
	if m.Offset < min(m.WantLen, m.GotLen) {
		return t.put(appendWrongByte(t.buf[:0], m))
	}
	if t.o.PingOnly {
		return nil
	}
	b = strconv.AppendInt(append(t.buf[:0], "wrong data length "...), int64(m.GotLen), 10)
	return t.put(strconv.AppendInt(append(b, " should be "...), int64(m.WantLen), 10))
}

func appendWrongByte(b []byte, m ping.Mismatch) []byte {
	b = strconv.AppendInt(append(b, "wrong data byte #"...), int64(m.Offset), 10)
	b = strconv.AppendUint(append(b, " should be 0x"...), uint64(m.Want), 16)
	return strconv.AppendUint(append(b, " but was 0x"...), uint64(m.Got), 16)
}

// sendError writes why a probe could not be delivered. ping writes an error of send itself to stderr, so PingOnly omits it.
func (t *text) sendError(target Target, e ping.Event) error {
	b, f := t.begin(e), e.Fault
	if f.ICMP {
		b = appendPeer(append(b, "From "...), target, sender(target, e))
		b = append(appendSeq(append(b, ' '), target, e.Seq), ' ')
		return t.put(icmpWords(b, target.Address, f.Type, f.Code))
	}
	if t.o.PingOnly {
		return nil
	}
	b = append(appendSeq(b, target, e.Seq), ' ')
	switch {
	case answering(target, f.Errno):
		b = append(appendService(append(b, "answer of "...), target), ": "...)
	case target.Port != 0 && protocol(target) != "udp":
		b = append(appendService(append(b, "connect to "...), target), ": "...)
	default:
		b = append(b, "send: "...)
	}
	b = append(append(b, f.Errno.Error()...), " ("...)
	return t.put(append(append(b, platform.ErrnoName(f.Errno)...), ')'))
}

func (t *text) noAnswer(target Target, e ping.Event) error {
	if !t.o.Outstanding {
		return nil
	}
	return t.put(appendSeq(append(t.begin(e), "no answer yet for "...), target, e.Seq))
}

func (t *text) foreign(target Target, e ping.Event) error {
	if !t.o.Verbose || t.o.PingOnly {
		return nil
	}
	b := sender(target, e).AppendTo(append(t.buf[:0], "foreign reply from "...))
	b = strconv.AppendInt(append(b, ": "...), int64(e.Bytes), 10)
	return t.put(append(b, " bytes"...))
}

// Finish writes, for each target, lping's lines and then ping's statistics, in the order that parsers need.
func (t *text) Finish(r Report) error {
	if t.o.Size != nil && !t.o.PingOnly {
		return t.finishForPerson(r)
	}
	var told []diagnose.Finding
	for i, result := range r.Results {
		b := t.buf[:0]
		if t.dots > 0 {
			b, t.dots = append(b, '\n'), 0
		}
		switch {
		case !t.o.PingOnly:
			if r.Waited > 0 && i == 0 {
				b = append(append(b, "waited "...), seconds(r.Waited)...)
				b = append(b, '\n')
			}
			b = t.appendOutcome(b, result, len(r.Results) > 1, told)
			told = append(told, result.Findings...)
			if i > 0 && i == len(r.Results)-1 {
				b = fmt.Appendf(b, "overall %s\n", r.Verdict)
			}
		case result.Target.Method == "" && result.Summary.Sent == 0:
			continue // without a socket ping prints nothing here
		}
		if err := t.putRaw(t.appendStatistics(b, result)); err != nil {
			return err
		}
	}
	return nil
}

// appendOutcome appends lping's lines: the verdict, with the address in front if named, the latency split, the findings. Those
// that were told of another target are not told again, whatever numbers their evidence has.
func (t *text) appendOutcome(b []byte, r Result, named bool, told []diagnose.Finding) []byte {
	if named {
		b = fmt.Appendf(b, "%s ", Address(r))
	}
	b = append(t.appendVerdict(b, r), '\n')
	if r.Summary.Kernel.Count > 0 {
		b = appendSplit(b, r.Summary)
	}
	for _, f := range r.Findings {
		if !slices.ContainsFunc(told, f.Same) {
			b = appendFinding(b, f)
		}
	}
	return b
}

// appendVerdict appends the verdict, its cause, the method and the percentiles, in two lines if one is too short.
func (t *text) appendVerdict(b []byte, r Result) []byte {
	items := make([]string, 0, 3)
	for _, s := range []string{r.Why(), r.Target.Method} {
		if s != "" {
			items = append(items, safeForParsers(s))
		}
	}
	if r.Summary.RTT.Count > 0 {
		items = append(items, percentiles(r.Summary.RTT))
	}
	word := r.Verdict.String()
	width := len(b) + len(word) - 1 - bytes.LastIndexByte(b, '\n')
	_, color := t.o.mark(r.Verdict)
	b = append(b, t.o.paint(color, word)...)
	for i, item := range items {
		separator := ": "
		if i > 0 {
			separator = ", "
		}
		if i > 0 && width+len(separator)+len(item) > columns {
			separator, width = ",\n  ", 0
		}
		b, width = append(b, separator+item...), width+len(separator)+len(item)
	}
	return b
}

// appendSplit appends the latency split: the median and the 99th percentile of each part.
func appendSplit(b []byte, s stats.Summary) []byte {
	pair := func(d stats.Distribution) string { return Milliseconds(d.P50) + "/" + Milliseconds(d.P99) }
	b = fmt.Appendf(b, "p50/p99 of send %s, kernel path %s, wake-up %s ms", pair(s.Send), pair(s.Kernel), pair(s.Wakeup))
	if s.Kernel.Count < s.Stamped {
		b = fmt.Appendf(b, ", a sample of %d", s.Kernel.Count)
	}
	return append(b, '\n')
}

// percentiles has no numbers joined by slashes, which readers take for those of ping, and names the unit once, so that the verdict of a healthy run fits on one line.
func percentiles(d stats.Distribution) string {
	return fmt.Sprintf("p50 %s, p99 %s, p99.9 %s, jitter %s ms", Milliseconds(d.P50), Milliseconds(d.P99), Milliseconds(d.P999),
		Milliseconds(d.Jitter))
}

// appendStatistics appends ping's last lines.
func (t *text) appendStatistics(b []byte, r Result) []byte {
	b = fmt.Appendf(b, "\n--- %s ping statistics ---\n", displayName(r.Target))
	b = append(appendCounters(b, r.Summary), '\n')
	return append(t.appendTimes(b, r.Summary), '\n')
}

// appendCounters appends what became of the probes.
func appendCounters(b []byte, s stats.Summary) []byte {
	b = fmt.Appendf(b, "%d packets transmitted, %d received", s.Sent, s.Received)
	b = appendCount(b, s.Duplicates, "duplicates")
	b = appendCount(b, s.Corrupted, "corrupted")
	b = appendCount(b, s.SendErrors, "errors")
	if s.Decided() > 0 {
		b = fmt.Appendf(b, ", %s%% packet loss", lossPercent(nil, s.LossPercent))
	}
	return fmt.Appendf(b, ", time %dms", s.SendSpan.Round(time.Millisecond).Milliseconds())
}

func appendCount(b []byte, n uint64, what string) []byte {
	if n == 0 {
		return b
	}
	return fmt.Appendf(b, ", +%d %s", n, what)
}

// appendTimes appends the round trips; nothing if no reply came, so that an empty line ends the block.
func (t *text) appendTimes(b []byte, s stats.Summary) []byte {
	if s.Received == 0 {
		return b
	}
	b = fmt.Appendf(b, "rtt min/avg/max/mdev = %s/%s/%s/%s ms",
		Milliseconds(s.RTT.Min), Milliseconds(s.RTT.Mean), Milliseconds(s.RTT.Max), Milliseconds(s.RTT.StdDev))
	if s.Pipe > 1 {
		b = fmt.Appendf(b, ", pipe %d", s.Pipe)
	}
	if !t.o.PacingShown || s.Sent < 2 {
		return b
	}
	gap := s.SendSpan / time.Duration(s.Sent-1)
	return fmt.Appendf(b, ", ipg/ewma %s/%s ms", Milliseconds(gap.Truncate(time.Microsecond)), Milliseconds(s.EWMA))
}
