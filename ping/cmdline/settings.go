package cmdline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"lping/ping"
	"lping/ping/report"
	"lping/stats"
)

// Defaults that differ from those of package ping.
const (
	defaultCount = 5
	defaultSize  = 56

	timeoutOfHTTP = time.Second
)

// Flags are the options that were given, by their long names, as a flag library returns them. A Context of urfave/cli is
// one.
type Flags interface {
	IsSet(long string) bool
	Bool(long string) bool
	String(long string) string
}

// Settings are what the input asks for, as values.
type Settings struct {
	// Targets are what is to be checked, and how.
	Targets []report.Target
	Limits  stats.Limits
	Output  report.Options
	// Wait is how long to wait until all is well; 0 is not to wait.
	Wait time.Duration
	// Every is the time from the start of a check to that of the next; 0 is to check once.
	Every time.Duration
	// Color is when to write in colour: auto, always or never.
	Color string
	// File is what the output is written to; empty is standard output.
	File string

	// common is what the options say of all targets; its Address is not set.
	common ping.Config
}

// Bound is how long all may take if the user said so; 0 if not.
func (s Settings) Bound() time.Duration { return cmp.Or(s.Wait, s.common.Deadline) }

// Settings turns the options and the operands into values. The first bad one is the error, an *Error.
func (in *Input) Settings(f Flags) (Settings, error) {
	r := &reader{flags: f, in: in}
	s := Settings{Output: report.Options{
		Quiet: f.Bool("quiet"), Verbose: f.Bool("verbose"), Timestamp: f.Bool("timestamp"),
		Outstanding: f.Bool("outstanding"), Audible: f.Bool("audible"), Precise: f.Bool("precision"),
		Flood: f.Bool("flood"), Live: f.Bool("live"), PingOnly: in.isPing(),
	}}
	s.readPace(r)
	s.readPacket(r)
	s.readMethod(r)
	read(r, "color", &s.Color, colors.parse)
	read(r, "max-loss", &s.Limits.MaxLoss, parsePercent)
	read(r, "max-rtt", &s.Limits.MaxRTT, parseDuration)
	read(r, "warn", &s.Limits.Warn, parseThreshold)
	read(r, "crit", &s.Limits.Crit, parseThreshold)
	s.Output.Limits = s.Limits
	s.readTargets(r)
	s.readSizes(r)
	s.complete(r)
	s.checkLive(r)
	s.readWait(r)
	s.readEvery(r)
	s.readFile(r)
	return s, r.err
}

// DoctorSettings are those of doctor, whose runs are short. The error is about an option or an operand that it does not
// take.
func (in *Input) DoctorSettings(f Flags) (s Settings, err error) {
	if err := in.checkDoctor(); err != nil {
		return s, err
	}
	r := &reader{flags: f, in: in}
	if read(r, "color", &s.Color, colors.parse); r.err != nil {
		return s, r.err
	}
	s.Output.Verbose = f.Bool("verbose")
	v4, v6 := f.Bool("ipv4"), f.Bool("ipv6")
	asked := v4 || v6
	s.Targets, err = findTargets("", v4 || !asked, v6 || !asked)
	for i := range s.Targets {
		t := &s.Targets[i]
		t.Count, t.Size, t.Optional = defaultCount, defaultSize, !asked
		t.Interval, t.Timeout = 10*time.Millisecond, 100*time.Millisecond
	}
	return s, err
}

// checkDoctor reports what was typed but is nothing that doctor takes. A variable is no error: it is meant for the checks.
func (in *Input) checkDoctor() error {
	const usage = "lping doctor [-4] [-6] [-j] [-v] [--exit SCHEME]"
	taken := []string{"ipv4", "ipv6", "json", "exit", "color", "verbose"}
	if in.Format == Text || in.Format == JSON {
		taken = append(taken, "format")
	}
	if err := in.takesOnly(taken, usage); err != nil {
		return err
	}
	if len(in.operands) > 0 {
		return &Error{Message: "doctor takes no address: it looks at 127.0.0.1 and ::1", Hint: usage}
	}
	return nil
}

// takesOnly reports an option that was typed but is none of those that the command takes.
func (in *Input) takesOnly(taken []string, usage string) error {
	for _, g := range in.Given {
		if g.Variable == "" && !slices.Contains(taken, g.Long) {
			return &Error{Message: string(in.Command) + " takes no --" + g.Long, Hint: usage}
		}
	}
	return nil
}

// reader reads the values of options until the first error, which it keeps.
type reader struct {
	flags Flags
	in    *Input
	err   error
}

// read sets *into from an option that was given.
func read[T any](r *reader, long string, into *T, parse func(string) (T, error)) {
	if r.flags.IsSet(long) && r.err == nil {
		value := strings.TrimLeft(r.flags.String(long), " \t") // as strtol does: munin calls ping with '-c 2'
		r.err = Wrap(r.in.Label(long), set(into, value, parse))
	}
}

// conflict is the error of an option that does not go with the others.
func (r *reader) conflict(long, why, hint string) {
	if r.err == nil {
		r.err = &Error{Message: r.in.Label(long) + " " + why, Hint: hint}
	}
}

// readPace reads when probes leave and how long they are waited for.
func (s *Settings) readPace(r *reader) {
	c := &s.common
	c.Flood, c.Adaptive = r.flags.Bool("flood"), r.flags.Bool("adaptive")
	read(r, "deadline", &c.Deadline, parseSeconds)
	c.Count = defaultCount
	if c.Deadline > 0 || c.Flood || s.Output.Live {
		c.Count = 0
	}
	read(r, "count", &c.Count, integer[uint64](0, 1<<63-1))
	read(r, "interval", &c.Interval, parseSeconds)
	s.Output.PacingShown = c.Flood || c.Adaptive || c.Interval == 0 && r.flags.IsSet("interval")
	if r.flags.IsSet("interval") {
		c.Flood = c.Interval == 0 // -f with an interval keeps to it, and -i 0 prints a line for each probe
	}
	read(r, "timeout", &c.Timeout, parseSeconds)
	if r.flags.IsSet("timeout") && c.Timeout == 0 || c.Timeout > ping.MaxTime {
		c.Timeout = ping.MaxTime
	}
	c.Interval, c.Deadline = min(c.Interval, ping.MaxTime), min(c.Deadline, ping.MaxTime)
	read(r, "preload", &c.Preload, integer[int](1, ping.MaxPreload))
}

var colors = words[string]{{"auto", "auto"}, {"always", "always"}, {"never", "never"}}

var pathMTUs = words[ping.PathMTU]{
	{"do", ping.PathMTUDo}, {"want", ping.PathMTUWant}, {"dont", ping.PathMTUDont}, {"probe", ping.PathMTUProbe},
}

// readPacket reads what a probe looks like, but for its size.
func (s *Settings) readPacket(r *reader) {
	c := &s.common
	c.Size, c.UserTime = defaultSize, r.flags.Bool("user-latency")
	read(r, "pattern", &c.Pattern, parsePattern)
	read(r, "ttl", &c.TTL, integer[int](1, 255))
	read(r, "tos", &c.TOS, parseTOS)
	read(r, "pmtudisc", &c.PathMTU, pathMTUs.parse)
}

var (
	sockets = words[ping.SocketMode]{{"auto", ping.SocketAuto}, {"dgram", ping.SocketDgram}, {"raw", ping.SocketRaw}}
	protos  = words[ping.Proto]{
		{"auto", ping.ProtoAuto}, {"icmp", ping.ProtoICMP}, {"udp", ping.ProtoUDP}, {"tcp", ping.ProtoTCP},
	}
)

// readMethod reads how the probes travel.
func (s *Settings) readMethod(r *reader) {
	c := &s.common
	read(r, "socket", &c.Socket, sockets.parse)
	read(r, "proto", &c.Proto, protos.parse)
	read(r, "port", &c.Port, integer[uint16](1, 65535))
	if c.Socket != ping.SocketAuto && (c.Proto == ping.ProtoUDP || c.Proto == ping.ProtoTCP) {
		r.conflict("socket", "is about ICMP", "leave out --proto, or --socket")
	}
	if s.Output.PingOnly && c.Proto == ping.ProtoAuto {
		c.Proto = ping.ProtoICMP // as ping
	}
}

// methodOf is c with the protocol and the port of a target: those that it names itself, or else those of the options. A service
// is one of TCP unless something else is said.
func (r *reader) methodOf(o operand, c ping.Config) ping.Config {
	if o.port != "" && r.err == nil {
		r.err = set(&c.Port, o.port, integer[uint16](1, 65535))
	}
	if o.scheme != "" && r.err == nil {
		r.err = set(&c.Proto, o.scheme, urlSchemes.parse)
	}
	if c.Port != 0 && c.Proto == ping.ProtoAuto && c.Socket == ping.SocketAuto && !r.flags.IsSet("proto") {
		c.Proto = ping.ProtoTCP
	}
	if c.Port != 0 && c.Socket != ping.SocketAuto {
		r.conflict("socket", "is about ICMP, and not about a service", "leave it out")
	}
	if c.Port != 0 && c.Proto <= ping.ProtoICMP && r.err == nil {
		what := r.in.Label("port")
		if o.port != "" {
			what = show(o.word)
		}
		r.err = &Error{what + " needs TCP or UDP", fmt.Sprintf("lping --proto tcp --port %d", c.Port)}
	}
	c.Path, c.Host = o.path, o.authority
	c.Echo = c.Port != 0 && c.Proto != ping.ProtoHTTP && r.flags.Bool("echo")
	return c
}

// readSizes reads how large the probes are: as large as every target takes.
func (s *Settings) readSizes(r *reader) {
	for _, long := range []string{"size", "pattern", "sweep"} {
		if r.flags.IsSet(long) && !slices.ContainsFunc(s.Targets, func(t report.Target) bool { return !t.ConnectsOnly() }) {
			r.conflict(long, "does not go with a service that gets no data", "leave it out, or ask an echo: --echo")
		}
	}
	if r.in.typed("echo") && !slices.ContainsFunc(s.Targets, func(t report.Target) bool { return t.Echo }) {
		r.conflict("echo", "needs a service over TCP or UDP", "lping --echo 127.0.0.1:12345")
	}
	most := ping.MaxSizeIPv6
	for _, t := range s.Targets {
		c := s.common
		c.Address, c.Proto, c.Port, c.Echo = t.Address, t.Proto, t.Port, t.Echo
		most = min(most, c.MaxSize())
	}
	read(r, "size", &s.common.Size, integer[int](0, int64(most)))
	read(r, "sweep", &s.common.Sizes, func(s string) ([]int, error) { return parseSizes(s, most, ping.MaxSizes) })
	switch {
	case r.err != nil || s.common.Sizes == nil:
	case r.flags.IsSet("size"):
		r.conflict("size", "and --sweep both say how large a probe is", "leave one of them out")
	case !r.flags.IsSet("count") && s.common.Deadline == 0:
		s.common.Count = uint64(len(s.common.Sizes))
	}
}

// complete gives each target what the options say of all, and the defaults of its kind.
func (s *Settings) complete(r *reader) {
	for i := range s.Targets {
		t := &s.Targets[i]
		own := t.Config
		t.Config = s.common
		t.Address, t.Proto, t.Port, t.Echo, t.Path, t.Host = own.Address, own.Proto, own.Port, own.Echo, own.Path, own.Host
		if t.Port != 0 && t.Count == defaultCount && !r.flags.IsSet("count") && t.Sizes == nil {
			t.Count = 1
		}
		if t.ConnectsOnly() {
			t.Size, t.Sizes, t.Pattern = 0, nil, nil
		}
		t.Ambiguous = slices.ContainsFunc(s.Targets, func(other report.Target) bool {
			return t.Port != 0 && other.Address == t.Address && other.Port == t.Port && other.Proto != t.Proto
		})
		if t.Proto == ping.ProtoHTTP {
			t.Agent = agent()
		}
		if t.Proto == ping.ProtoHTTP && !r.flags.IsSet("timeout") {
			t.Timeout = timeoutOfHTTP
		}
	}
}

// maxWaited is how many answers in a row may be waited for: they are kept until all have come.
const maxWaited = 1000

// readWait reads how long to wait. One answer of each target is enough unless a count says more.
func (s *Settings) readWait(r *reader) {
	read(r, "wait", &s.Wait, parseSeconds)
	if s.Wait == 0 {
		return
	}
	s.Wait = min(s.Wait, ping.MaxTime)
	if s.common.Deadline > 0 {
		r.conflict("wait", "and -w both say when it is over", "leave one of them out")
	}
	for i := range s.Targets {
		t := &s.Targets[i]
		if !r.flags.IsSet("count") && t.Sizes == nil {
			t.Count = 1
		}
		if t.Count == 0 || t.Count > maxWaited {
			r.conflict("wait", "needs a count of answers in a row, "+decimal(maxWaited)+" at most", "leave out -c: one answer is enough")
		}
	}
}

// readEvery reads how often to check. Each check must come to an end.
func (s *Settings) readEvery(r *reader) {
	read(r, "every", &s.Every, parseSeconds)
	s.Every = min(s.Every, ping.MaxTime)
	switch {
	case !r.flags.IsSet("every"):
	case s.Every == 0:
		r.conflict("every", "is the time from one check to the next, and 0 is none", "--every 60")
	case s.Wait > 0:
		r.conflict("every", "and --wait both say when to check again", "leave one of them out")
	case slices.ContainsFunc(s.Targets, func(t report.Target) bool { return t.Longest() == ping.MaxTime }):
		r.conflict("every", "needs a check that ends", "--every 60 -c 5")
	}
}

// checkLive reports what a chart does not go with.
func (s *Settings) checkLive(r *reader) {
	switch {
	case !s.Output.Live:
	case r.in.Format != Text:
		r.conflict("live", "is a chart, and not for "+string(r.in.Format), "leave one of them out")
	case r.flags.IsSet("output"):
		r.conflict("live", "draws on a terminal, and not in a file", "leave one of them out")
	case r.flags.IsSet("wait") || r.flags.IsSet("every"):
		r.conflict("live", "is about a single run", "leave out --wait and --every")
	}
}

// readFile reads what the output is written to.
func (s *Settings) readFile(r *reader) {
	switch path := r.flags.String("output"); {
	case r.err != nil || !r.flags.IsSet("output") || path == "-":
	case path == "":
		r.err = Wrap(r.in.Label("output"), &Error{Message: "no file is named", Hint: "--output lping.prom"})
	default:
		s.File = path
	}
}
