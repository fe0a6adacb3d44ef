// The number of processors does not change while a check runs, and looking for that costs a short one a thread.
//
//go:debug updatemaxprocs=0

// Command lping says whether the loopback of this machine, container or network namespace is healthy, and if not,
// why not. It sends ICMP echo requests to 127.0.0.1 or ::1, matches the replies and ends with a verdict.
//
//	lping [options] [address]
//	lping doctor [-4] [-6] [-j] [--exit SCHEME]
//
// lping -h lists the options; the README explains the output and the exit status.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"lping/ping"
	"lping/ping/check"
	"lping/ping/cmdline"
	"lping/ping/doctor"
	"lping/ping/report"
	"lping/platform"
	"lping/platform/file"
	"lping/stats"
)

// processors is how many lping can use, one for each of two families: on a large host the Go runtime would start more threads
// than a container may have pids left for.
const processors = 2

func main() {
	if runtime.GOMAXPROCS(0) > processors {
		runtime.GOMAXPROCS(processors)
	}
	os.Exit(run(context.Background(), os.Args, os.LookupEnv, os.Stdout, os.Stderr))
}

// run is the command without its process: it never ends that, and writes to no other place.
func run(ctx context.Context, args []string, lookup func(string) (string, bool), stdout, stderr io.Writer) int {
	in := readInput(args, lookup)
	status, err := execute(ctx, in, stdout, stderr)
	if err == nil {
		return status
	}
	switch {
	case errors.Is(err, syscall.EPIPE): // who closed the pipe knows enough
	case in.format == "nagios" && show(stdout, report.NagiosUnknown(err.Error()+"; "+hintOf(err))) == nil:
	default:
		fmt.Fprintln(stderr, "lping: error:", err)
		fmt.Fprintln(stderr, "lping: hint:", hintOf(err))
	}
	return in.scheme.Status(stats.Unknown, false)
}

const listHint = "lping -h lists the options"

// hintOf is what to write instead, or what to do about it.
func hintOf(err error) string {
	if e, ok := errors.AsType[*cmdline.Error](err); ok {
		return e.Hint
	}
	if e, ok := errors.AsType[*hintedError](err); ok {
		return e.hint
	}
	return listHint
}

// hintedError is an error of the system, and what to do about it.
type hintedError struct {
	error
	hint string
}

func (e *hintedError) Unwrap() error { return e.error }

// The options, in the order of the help.

// option is one line of the help, and what the parsers must know of an option.
type option struct {
	short, long string
	// value names what the option takes, empty for a switch; example is a value for hints.
	value, example string
	usage          string
}

func options() []option {
	return []option{
		{short: "4", long: "ipv4", usage: "check 127.0.0.1 (the default)"},
		{short: "6", long: "ipv6", usage: "check ::1; -4 -6: both at once, one verdict for both"},
		{short: "c", long: "count", value: "N", example: "5", usage: "probes (5); 0: until interrupted, as with -w or -f alone"},
		{short: "i", long: "interval", value: "T", example: "0.2", usage: "time between probes (50ms); 0: as the replies come"},
		{short: "W", long: "timeout", value: "T", example: "0.4", usage: "time for the reply to one probe (400ms); 0: no limit"},
		{short: "w", long: "deadline", value: "T", example: "10", usage: "time for the run; goes on until -c replies came"},
		{short: "s", long: "size", value: "N", example: "56", usage: "data bytes (56)"},
		{short: "p", long: "pattern", value: "HEX", example: "ff00", usage: "up to 16 bytes that fill the data after the nonce"},
		{short: "f", long: "flood", usage: "as fast as the replies come, at least every 10 ms"},
		{short: "A", long: "adaptive", usage: "the next probe when the reply to the last came"},
		{short: "l", long: "preload", value: "N", example: "3", usage: "send N probes at once, then at the interval"},
		{short: "t", long: "ttl", value: "N", example: "64", usage: "time to live, or hop limit"},
		{short: "Q", long: "tos", value: "N", example: "0x10", usage: "type of service, or traffic class"},
		{short: "M", long: "pmtudisc", value: "MODE", example: "do", usage: "path MTU discovery: do, want, dont or probe"},
		{short: "I", long: "interface", value: "X", example: "lo", usage: "source address, or loopback interface"},
		{short: "q", long: "quiet", usage: "only the first line, the verdict and the statistics"},
		{short: "n", long: "numeric", usage: "numeric output; lping prints no other"},
		{short: "D", long: "timestamp", usage: "the Unix time before each line about a probe"},
		{short: "O", long: "outstanding", usage: "a line for each probe without an answer so far"},
		{short: "a", long: "audible", usage: "ring the bell at each reply"},
		{short: "v", long: "verbose", usage: "show identifiers and foreign replies"},
		{short: "U", long: "user-latency", usage: "RTT to the return of the read, not to the kernel's stamp"},
		{short: "3", long: "precision", usage: "every time with three decimals"},
		{long: "proto", value: "P", example: "udp", usage: "icmp, udp or tcp; auto: icmp, or udp where it must"},
		{long: "connect", usage: "with tcp: a new connection for every probe"},
		{long: "port", value: "N", example: "8080", usage: "with udp or tcp: a local service (LPING_TARGET_PORT)"},
		{long: "sweep", value: "LIST", example: "0:1472:64", usage: "a size a probe: FROM:TO[:STEP], or a list"},
		{long: "socket", value: "KIND", example: "dgram", usage: "ICMP socket: auto, dgram or raw"},
		{long: "max-loss", value: "P", example: "60%", usage: "loss that is still healthy (0%)"},
		{long: "max-rtt", value: "T", example: "5ms", usage: "most for the p99 of the RTT; below 100 replies its median"},
		{long: "warn", value: "L", example: "5,20%", usage: "mean RTT in ms, loss: degraded beyond (Nagios ranges)"},
		{long: "crit", value: "L", example: "9,60%", usage: "the same: unhealthy beyond, in the place of --max-loss"},
		{long: "format", value: "F", example: "json", usage: "output: text, line, json, prometheus or nagios"},
		{short: "j", long: "json", usage: "--format json"},
		{long: "output", value: "FILE", example: "lping.prom", usage: "write to FILE, whole or not at all; -: stdout"},
		{long: "exit", value: "SCHEME", example: "health", usage: "exit status: ping, health or nagios"},
		{long: "health", usage: "--format line --exit health, for containers"},
		{short: "V", long: "version", usage: "print the version"},
		{short: "h", long: "help", usage: "print this help"},
	}
}

const helpHead = `lping checks loopback: it sends ICMP echo requests to 127.0.0.1 or ::1 and says
whether all is well and, if not, why.

Usage: lping [options] [address]
       lping doctor [-4] [-6] [-j] [--exit SCHEME]     the whole picture

The address is 127.0.0.1, ::1, localhost, or another address of loopback. T is
in seconds (0.2) or has a unit (200ms). Every option has a variable as well:
LPING_COUNT=3 is --count 3. LPING_ADDRESS is the address.

Options:
`

const helpTail = `
Examples:
  lping -4 -6 --health      both families, one line, exit status 0 or 1
  lping -f -c 100000 -q     a flood of 100000 probes, only the statistics
  lping --proto tcp --port 8080 localhost
                            does a service take connections, by which family?
`

func help() string {
	var b strings.Builder
	b.WriteString(helpHead)
	for _, o := range options() {
		names := "    "
		if o.short != "" {
			names = "-" + o.short + ", "
		}
		names += "--" + o.long
		if o.value != "" {
			names += " " + o.value
		}
		fmt.Fprintf(&b, "  %-20s %s\n", names, o.usage)
	}
	b.WriteString(helpTail)
	return b.String()
}

// version says what this is, and which ping its options and its text agree with.
func version() string {
	own := "(unknown)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		own = info.Main.Version
	}
	return fmt.Sprintf("lping %s (%s %s/%s)\noptions and text output agree with ping from iputils 20250605\n",
		own, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func flags() []cmdline.Flag {
	var list []cmdline.Flag
	for _, o := range options() {
		list = append(list, cmdline.Flag{Short: o.short, Long: o.long, Switch: o.value == "", Example: o.example})
	}
	return list
}

// cliFlags are the flags of the options that were given. urfave/cli spends some 10 us on each that it knows, which is
// more than the first probe takes.
func cliFlags(given []string) []cli.Flag {
	var list []cli.Flag
	for _, o := range options() {
		switch {
		case !slices.ContainsFunc(given, func(s string) bool { return strings.HasPrefix(s, "--"+o.long+"=") }):
		case o.value == "":
			list = append(list, &cli.BoolFlag{Name: o.long, Usage: o.usage})
		default:
			list = append(list, &cli.StringFlag{Name: o.long, Usage: o.usage})
		}
	}
	return list
}

// What was typed.

// input is the command line and the environment, understood as far as they could be.
type input struct {
	program string
	// environment and typed are canonical options (--count=5); the latter win.
	environment, typed []string
	operands           []string
	// doctor says that the first operand is the command of that name.
	doctor bool
	// err is the first thing that is wrong.
	err    error
	format string
	scheme stats.Scheme
}

// readInput reads the arguments and the environment. Format and exit scheme are found whatever else is wrong.
func readInput(args []string, lookup func(string) (string, bool)) input {
	in := input{program: "lping"}
	if len(args) > 0 {
		in.program = strings.TrimSuffix(filepath.Base(args[0]), ".exe")
		args = args[1:]
	}
	table := flags()
	// What images call LPING_VERSION is the version of their lping, and what Kubernetes calls LPING_PORT is the address of
	// a Service of that name.
	renamed := map[string]string{"version": "", "help": "", "port": "LPING_TARGET_PORT"}
	in.typed, in.operands, in.err = cmdline.Normalize(table, args)
	if len(in.operands) > 0 && in.operands[0] == "doctor" {
		in.doctor, in.operands = true, in.operands[1:]
	}
	table = slices.DeleteFunc(table, func(f cmdline.Flag) bool { return in.decided(f.Long) })
	var envErr error
	in.environment, envErr = cmdline.Environ(table, "LPING", renamed, lookup)
	if address, ok := lookup("LPING_ADDRESS"); ok && address != "" && len(in.operands) == 0 && !in.doctor {
		in.operands = []string{address}
	}
	formatErr := in.findFormat()
	in.err = cmp.Or(in.err, envErr, formatErr)
	return in
}

// decided says that the command line leaves nothing of an option to the environment.
func (in *input) decided(long string) bool {
	rivals := []string{long}
	switch long {
	case "ipv4", "ipv6":
		rivals = []string{"ipv4", "ipv6"}
		if len(in.operands) == 1 {
			if _, err := netip.ParseAddr(in.operands[0]); err == nil {
				return true
			}
		}
	case "format", "json", "health":
		rivals = []string{"format", "json", "health"}
	case "exit":
		rivals = []string{"exit", "health"}
	case "proto", "socket":
		rivals = []string{"proto", "socket"}
	case "connect", "port":
		if in.types("proto=icmp", "proto=auto", "socket=dgram", "socket=raw") || long == "connect" && in.types("proto=udp") {
			return true
		}
	case "size", "sweep", "pattern":
		if in.types("connect=true") || in.types("proto=tcp") && (in.typesAny("port") || long == "sweep") {
			return true
		}
		if long != "pattern" {
			rivals = []string{"size", "sweep"}
		}
	}
	return slices.ContainsFunc(in.typed, func(o string) bool {
		name, _, _ := strings.Cut(strings.TrimPrefix(o, "--"), "=")
		return slices.Contains(rivals, name)
	})
}

// types says that one of these options was typed, with its value.
func (in *input) types(options ...string) bool {
	return slices.ContainsFunc(in.typed, func(o string) bool { return slices.Contains(options, strings.TrimPrefix(o, "--")) })
}

// typesAny says that an option was typed, with any value.
func (in *input) typesAny(long string) bool {
	return slices.ContainsFunc(in.typed, func(o string) bool { return strings.HasPrefix(o, "--"+long+"=") })
}

var (
	formats = []string{"text", "line", "json", "prometheus", "nagios"}
	schemes = []string{stats.SchemePing: "ping", stats.SchemeHealth: "health", stats.SchemeNagios: "nagios"}
	// atTheEnd are the formats that say nothing before it.
	atTheEnd = []string{"line", "prometheus", "nagios"}
)

// findFormat finds out in which format, and by which exit status, even an error is told. The last option wins.
func (in *input) findFormat() (err error) {
	in.format = "text"
	exit := ""
	for _, o := range slices.Concat(in.environment, in.typed) {
		var bad error
		switch name, value, _ := strings.Cut(o, "="); {
		case name == "--format":
			bad = choose(&in.format, value, formats)
		case name == "--json" && value == "true":
			in.format = "json"
		case name == "--health" && value == "true":
			in.format, exit = "line", "health"
		case name == "--exit":
			bad = choose(&exit, value, schemes)
		}
		if err == nil && bad != nil {
			name, _, _ := strings.Cut(strings.TrimPrefix(o, "--"), "=")
			err = cmdline.Wrap(in.label(name), bad)
		}
	}
	if exit == "" {
		exit = map[string]string{"line": "health", "nagios": "nagios"}[in.format]
	}
	in.scheme = stats.Scheme(max(0, slices.Index(schemes, exit)))
	return err
}

// choose sets *into to a value that is one of the words.
func choose(into *string, value string, words []string) error {
	i, err := cmdline.Word(value, words...)
	if err == nil {
		*into = words[i]
	}
	return err
}

// label is what the user wrote to set an option: its long name, or its variable.
func (in *input) label(long string) string {
	set := func(o string) bool { return strings.HasPrefix(o, "--"+long+"=") }
	if !slices.ContainsFunc(in.typed, set) && slices.ContainsFunc(in.environment, set) {
		if long == "port" {
			long = "target-port"
		}
		return "LPING_" + strings.ToUpper(strings.ReplaceAll(long, "-", "_"))
	}
	return "--" + long
}

// values are all values of an option that may stand twice: those that were typed, or else those of the environment.
func (in *input) values(long string) []string {
	var list []string
	for _, options := range [][]string{in.typed, in.environment} {
		for _, o := range options {
			if value, ok := strings.CutPrefix(o, "--"+long+"="); ok {
				list = append(list, value)
			}
		}
		if len(list) > 0 {
			break
		}
	}
	return list
}

// execute does what the input asks for. The error is one for people.
func execute(ctx context.Context, in input, stdout, stderr io.Writer) (status int, err error) {
	switch {
	case in.err != nil:
		return 0, in.err
	case slices.Contains(in.typed, "--help=true"):
		return 0, show(stdout, help())
	case slices.Contains(in.typed, "--version=true"):
		return 0, show(stdout, version())
	}
	c, err := parse(ctx, slices.Concat(in.environment, in.typed))
	switch {
	case err != nil:
		return 0, err
	case in.doctor:
		return examine(c, in, stdout)
	}
	return checkAsAsked(c, in, stdout, stderr)
}

// parse lets urfave/cli read the options, by its flags and its context but without its App: that brings text/template
// into the binary, which makes the linker keep every exported method of everything, a quarter of the whole.
func parse(ctx context.Context, given []string) (*cli.Context, error) {
	set := flag.NewFlagSet("lping", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	for _, f := range cliFlags(given) {
		if err := f.Apply(set); err != nil {
			return nil, err
		}
	}
	if err := set.Parse(given); err != nil {
		return nil, err
	}
	return cli.NewContext(nil, set, &cli.Context{Context: ctx}), nil
}

// What is asked for.

// settings is the input as values.
type settings struct {
	// config is what both families share.
	config  ping.Config
	targets []report.Target
	limits  stats.Limits
	output  report.Options
	// anyFamily says that a name stands for both families, and that programs take the one which works.
	anyFamily bool
}

// within says that the run is over in that time, whatever comes back.
func (s settings) within(d time.Duration) bool {
	c := s.config
	if c.Deadline > 0 {
		return c.Deadline <= d
	}
	interval, timeout := cmp.Or(c.Interval, ping.DefaultInterval), cmp.Or(c.Timeout, ping.DefaultTimeout)
	return c.Count > 0 && float64(c.Count-1)*float64(interval)+float64(timeout) <= float64(d)
}

// reader reads the values of options and keeps the first error.
type reader struct {
	cli *cli.Context
	in  *input
	err error
}

// read sets *into from an option that was given.
func read[T any](r *reader, long string, into *T, parse func(string) (T, error)) {
	if !r.cli.IsSet(long) || r.err != nil {
		return
	}
	v, err := parse(strings.TrimLeft(r.cli.String(long), " \t")) // as strtol does: munin calls ping with '-c 2'
	if err != nil {
		r.err = cmdline.Wrap(r.in.label(long), err)
		return
	}
	*into = v
}

// conflict is the error of an option that does not go with the others.
func (r *reader) conflict(long, why, hint string) {
	if r.err == nil {
		r.err = &cmdline.Error{Message: r.in.label(long) + " " + why, Hint: hint}
	}
}

// integer parses a number within bounds.
func integer[T ~int | ~uint16 | ~uint64](least, most int64) func(string) (T, error) {
	return func(s string) (T, error) {
		n, err := cmdline.Integer(s, least, most)
		return T(n), err
	}
}

// threshold parses the ranges of --warn and --crit.
func threshold(s string) (stats.Threshold, error) {
	rta, loss, err := cmdline.Thresholds(s)
	return stats.Threshold{RTA: (*stats.Range)(rta), Loss: (*stats.Range)(loss)}, err
}

const (
	defaultCount = 5
	defaultSize  = 56
)

// readSettings turns the options into values; the first bad one is the error.
func readSettings(c *cli.Context, in *input) (settings, error) {
	r := &reader{cli: c, in: in}
	s := settings{output: report.Options{
		Quiet: c.Bool("quiet"), Verbose: c.Bool("verbose"), Timestamp: c.Bool("timestamp"),
		Outstanding: c.Bool("outstanding"), Audible: c.Bool("audible"), Precise: c.Bool("precision"),
		Flood: c.Bool("flood"), PingOnly: slices.Contains([]string{"ping", "ping4", "ping6"}, in.program),
	}}
	s.readPace(r)
	s.readPacket(r)
	s.readMethod(r)
	read(r, "max-loss", &s.limits.MaxLoss, cmdline.Percent)
	read(r, "max-rtt", &s.limits.MaxRTT, cmdline.Duration)
	read(r, "warn", &s.limits.Warn, threshold)
	read(r, "crit", &s.limits.Crit, threshold)
	s.output.Limits = s.limits
	s.readTargets(r)
	s.readSizes(r)
	return s, r.err
}

// readPace reads when probes leave and how long they are waited for.
func (s *settings) readPace(r *reader) {
	c := &s.config
	c.Flood, c.Adaptive = r.cli.Bool("flood"), r.cli.Bool("adaptive")
	read(r, "deadline", &c.Deadline, cmdline.Seconds)
	c.Count = defaultCount
	if c.Deadline > 0 || c.Flood {
		c.Count = 0
	}
	read(r, "count", &c.Count, integer[uint64](0, 1<<63-1))
	read(r, "interval", &c.Interval, cmdline.Seconds)
	s.output.PacingShown = c.Flood || c.Adaptive || c.Interval == 0 && r.cli.IsSet("interval")
	if r.cli.IsSet("interval") {
		c.Flood = c.Interval == 0 // -f with an interval keeps to it, and -i 0 prints a line for each probe
	}
	read(r, "timeout", &c.Timeout, cmdline.Seconds)
	if r.cli.IsSet("timeout") && c.Timeout == 0 || c.Timeout > ping.MaxTime {
		c.Timeout = ping.MaxTime
	}
	c.Interval, c.Deadline = min(c.Interval, ping.MaxTime), min(c.Deadline, ping.MaxTime)
	read(r, "preload", &c.Preload, integer[int](1, ping.MaxPreload))
}

// readPacket reads what a probe looks like and which socket it leaves by.
func (s *settings) readPacket(r *reader) {
	c := &s.config
	c.Size, c.UserTime = defaultSize, r.cli.Bool("user-latency")
	read(r, "pattern", &c.Pattern, cmdline.Pattern)
	read(r, "ttl", &c.TTL, integer[int](1, 255))
	read(r, "tos", &c.TOS, cmdline.TOS)
	read(r, "pmtudisc", &c.PathMTU, func(s string) (ping.PathMTU, error) {
		i, err := cmdline.Word(s, "do", "want", "dont", "probe")
		return []ping.PathMTU{ping.PathMTUDo, ping.PathMTUWant, ping.PathMTUDont, ping.PathMTUProbe}[i], err
	})
}

// readMethod reads how the probes travel.
func (s *settings) readMethod(r *reader) {
	c := &s.config
	read(r, "socket", &c.Socket, func(s string) (ping.SocketMode, error) {
		i, err := cmdline.Word(s, "auto", "dgram", "raw")
		return []ping.SocketMode{ping.SocketAuto, ping.SocketDgram, ping.SocketRaw}[i], err
	})
	read(r, "proto", &c.Proto, func(s string) (ping.Proto, error) {
		i, err := cmdline.Word(s, "auto", "icmp", "udp", "tcp")
		return []ping.Proto{ping.ProtoAuto, ping.ProtoICMP, ping.ProtoUDP, ping.ProtoTCP}[i], err
	})
	c.Connect = r.cli.Bool("connect")
	read(r, "port", &c.Port, integer[uint16](1, 65535))
	own := c.Proto == ping.ProtoUDP || c.Proto == ping.ProtoTCP
	switch {
	case r.err != nil:
	case own && c.Socket != ping.SocketAuto:
		r.conflict("socket", "is about ICMP", "leave out --proto, or --socket")
	case c.Connect && c.Proto != ping.ProtoTCP:
		r.conflict("connect", "needs TCP", "lping --proto tcp --connect")
	case c.Port != 0 && !own:
		r.conflict("port", "needs TCP or UDP", fmt.Sprintf("lping --proto tcp --port %d", c.Port))
	case c.Proto == ping.ProtoTCP && (c.Connect || c.Port != 0):
		for _, long := range []string{"size", "pattern", "sweep"} {
			if r.cli.IsSet(long) {
				r.conflict(long, "does not go with a connection a probe, which carries no data", "leave it out")
			}
		}
	case c.Proto == ping.ProtoTCP && r.cli.IsSet("sweep"):
		r.conflict("sweep", "does not go with TCP, whose stream knows no packets", "lping --proto udp --sweep with the same sizes")
	}
	if s.output.PingOnly && c.Proto == ping.ProtoAuto {
		c.Proto = ping.ProtoICMP // as ping
	}
}

// readTargets finds out which addresses to check, and what they have in common.
func (s *settings) readTargets(r *reader) {
	if r.err != nil {
		return
	}
	v4, v6 := r.cli.Bool("ipv4"), r.cli.Bool("ipv6")
	if !v4 && !v6 {
		v4, v6 = r.in.program == "ping4", r.in.program == "ping6"
	}
	if len(r.in.operands) > 1 {
		r.err = &cmdline.Error{
			Message: "more than one address: " + cmdline.Quote(strings.Join(r.in.operands, " ")),
			Hint:    "one address a run; -4 -6 checks 127.0.0.1 and ::1",
		}
		return
	}
	if slices.Equal(r.in.operands, []string{""}) {
		r.err = notAnAddress("")
		return
	}
	name := strings.Join(r.in.operands, "")
	if s.config.Port != 0 && !v4 && !v6 && isLocalhost(name) {
		v4, v6 = r.in.sourceFamilies()
		s.anyFamily = v4 && v6
	}
	if s.targets, r.err = targets(name, v4, v6); r.err != nil {
		return
	}
	for _, x := range r.in.values("interface") {
		if r.err == nil {
			r.err = cmdline.Wrap(r.in.label("interface"), s.readOrigin(x))
		}
	}
}

// sourceFamilies are those that the sources which were asked for leave; both where there are none.
func (in *input) sourceFamilies() (v4, v6 bool) {
	v4, v6 = true, true
	for _, x := range in.values("interface") {
		if a, err := netip.ParseAddr(x); err == nil {
			v4, v6 = v4 && a.Unmap().Is4(), v6 && !a.Unmap().Is4()
		}
	}
	return v4 || !v6, v6
}

// readSizes reads how large the probes are: as large as every target takes.
func (s *settings) readSizes(r *reader) {
	most := ping.MaxSizeIPv6
	for _, t := range s.targets {
		c := s.config
		c.Address = t.Address
		most = min(most, c.MaxSize())
	}
	read(r, "size", &s.config.Size, integer[int](0, int64(most)))
	read(r, "sweep", &s.config.Sizes, func(s string) ([]int, error) { return cmdline.Sizes(s, most, ping.MaxSizes) })
	switch {
	case r.err != nil || s.config.Sizes == nil:
	case r.cli.IsSet("size"):
		r.conflict("size", "and --sweep both say how large a probe is", "leave one of them out")
	case !r.cli.IsSet("count") && s.config.Deadline == 0:
		s.config.Count = uint64(len(s.config.Sizes))
	}
}

// readOrigin reads one -I: the source address, or the interface. Neither may lead out of this host.
func (s *settings) readOrigin(x string) error {
	source, err := netip.ParseAddr(x)
	if err != nil {
		if ok, err := platform.IsLoopbackInterface(x); err != nil || !ok {
			return notLoopback(x, "is no loopback interface of this host", err)
		}
		s.config.Interface = x
		return nil
	}
	source = source.Unmap()
	for _, t := range s.targets {
		if t.Address.Is4() != source.Is4() {
			return &cmdline.Error{
				Message: fmt.Sprintf("%v is no source for %v", source, t.Address),
				Hint:    "source and target are of one family, such as -6 -I ::1",
			}
		}
	}
	s.config.Source = source
	return permit(source)
}

var (
	localhost4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	localhost6 = netip.IPv6Loopback()
)

// targets are the addresses that a name stands for. No name is ever looked up: localhost is what RFC 6761 says.
func targets(name string, v4, v6 bool) ([]report.Target, error) {
	if name == "" || isLocalhost(name) {
		var list []report.Target
		if v4 || !v6 {
			list = append(list, report.Target{Name: cmp.Or(name, "127.0.0.1"), Address: localhost4})
		}
		if v6 {
			list = append(list, report.Target{Name: cmp.Or(name, "::1"), Address: localhost6})
		}
		return list, nil
	}
	address, err := netip.ParseAddr(name)
	if err != nil {
		return nil, notAnAddress(name)
	}
	address = address.Unmap()
	switch {
	case v4 && v6:
		return nil, &cmdline.Error{
			Message: fmt.Sprintf("-4 and -6 ask for both families, %v is of one", address),
			Hint:    "leave out the address, or say localhost",
		}
	case v6 && address.Is4():
		return nil, &cmdline.Error{Message: fmt.Sprintf("%v is no IPv6 address", address), Hint: "lping -6 ::1"}
	case v4 && address.Is6():
		return nil, &cmdline.Error{Message: fmt.Sprintf("%v is no IPv4 address", address), Hint: "lping -4 127.0.0.1"}
	}
	return []report.Target{{Name: name, Address: address}}, permit(address)
}

// isLocalhost says that a name is the one that always stands for loopback (RFC 6761).
func isLocalhost(name string) bool {
	return strings.ToLower(strings.TrimSuffix(name, ".")) == "localhost"
}

// notAnAddress is the error of what is no address, with what may have been meant.
func notAnAddress(name string) error {
	hint := "127.0.0.1, ::1 or localhost; lping looks up no names"
	bare := strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if a, err := netip.ParseAddr(bare); err == nil && a.IsLoopback() {
		hint = "write " + a.String()
	} else if name == "0" || strings.HasPrefix(name, "127.") && strings.Trim(name, "0123456789.") == "" {
		hint = "write 127.0.0.1"
	}
	return &cmdline.Error{Message: cmdline.Quote(name) + " is no address of loopback", Hint: hint}
}

// permit refuses every address that is not this host's loopback, so that lping cannot be used to reach out. Only an
// address that is not loopback by its number makes it look at the interfaces.
func permit(a netip.Addr) error {
	if a == netip.AddrFrom4([4]byte{127, 255, 255, 255}) || a == netip.AddrFrom4([4]byte{127, 0, 0, 0}) {
		return &cmdline.Error{
			Message: fmt.Sprintf("%v is for broadcasts, which nobody answers", a), Hint: "127.0.0.1, or another address of 127.0.0.0/8",
		}
	}
	if a.IsLoopback() && a.Zone() == "" {
		return nil
	}
	if a.IsLoopback() {
		if ok, err := platform.IsLoopbackInterface(a.Zone()); err != nil || !ok {
			return notLoopback(a.String(), "names no loopback interface of this host", err)
		}
		return nil
	}
	name, err := platform.OnLoopback(a)
	switch {
	case err != nil || name == "":
		return notLoopback(a.String(), "is not on a loopback interface of this host", err)
	case a.IsLinkLocalUnicast() && a.Is6() && a.Zone() == "":
		return &cmdline.Error{
			Message: fmt.Sprintf("%v needs its interface", a), Hint: fmt.Sprintf("write %v%%%s", a, name),
		}
	}
	return nil
}

// notLoopback is the refusal of an address or interface. Where the interfaces cannot be read nothing is permitted.
func notLoopback(what, why string, err error) error {
	message := cmdline.Quote(what) + " " + why
	if err != nil {
		message = cmdline.Quote(what) + ": the interfaces of this host cannot be read: " + err.Error()
	}
	return cmdline.Wrap("lping checks loopback only",
		&cmdline.Error{Message: message, Hint: "127.0.0.1, ::1 or localhost; ping reaches other hosts"})
}

// The check itself.

// checkAsAsked reads what is asked for and does it, with the output where that is wanted.
func checkAsAsked(c *cli.Context, in input, stdout, stderr io.Writer) (int, error) {
	s, err := readSettings(c, &in)
	if err != nil {
		return 0, err
	}
	path := c.String("output")
	switch {
	case path == "-" || !c.IsSet("output"):
		return checkOnto(c, in, s, stdout, stderr)
	case path == "":
		return 0, cmdline.Wrap(in.label("output"), &cmdline.Error{Message: "no file is named", Hint: "--output lping.prom"})
	}
	out, err := file.Create(path)
	if err != nil {
		return 0, cmdline.Wrap(in.label("output"), &cmdline.Error{Message: err.Error(), Hint: outputHint(err)})
	}
	defer out.Discard()
	status, err := checkOnto(c, in, s, out, stderr)
	if err != nil {
		return 0, err
	}
	if err := out.Commit(); err != nil {
		return 0, writeError(err)
	}
	return status, nil
}

func outputHint(err error) string {
	switch {
	case errors.Is(err, file.ErrNotRegular):
		return "a file, or - for stdout"
	case errors.Is(err, syscall.ENOSPC):
		return roomHint
	}
	return "a file in a directory where this user may write"
}

// checkOnto is the check with its output.
func checkOnto(c *cli.Context, in input, s settings, stdout, stderr io.Writer) (int, error) {
	s.output.Terminal = s.output.Flood && terminal(stdout)
	renderer := newRenderer(in.format, stdout, s.output)
	ctx, stop := context.WithCancelCause(c.Context)
	defer stop(nil)
	var k *check.Check
	k = check.New(check.Config{
		Ping: s.config, Targets: s.targets, Limits: s.limits, Asked: !s.anyFamily, Any: s.anyFamily, Exit: in.scheme,
		Renderer: renderer, Quiet: s.output.Quiet, Buckets: in.format == "prometheus",
		Lasting: func() (done func()) {
			if slices.Contains(atTheEnd, in.format) && s.within(time.Second) {
				saveThreads()
				return func() {}
			}
			return handleSignals(k, stop, stderr)
		},
	})
	r, err := k.Run(ctx)
	var unchecked *check.UncheckedError
	switch {
	case errors.As(err, &unchecked) && in.format == "text": // as ping does
		return 0, &hintedError{err, cmp.Or(unchecked.Fix, listHint)}
	case err != nil && unchecked == nil:
		return 0, writeError(err)
	}
	if errors.Is(context.Cause(ctx), errFromTerminal) && in.format == "text" && !s.output.PingOnly && terminal(stdout) {
		fmt.Fprintln(stdout) // the terminal echoed ^C
	}
	if err := renderer.Finish(r); err != nil {
		return 0, writeError(err)
	}
	return r.ExitCode, nil
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// doctorOptions are the options that doctor takes; the environment may set others.
var doctorOptions = []string{"ipv4", "ipv6", "format", "json", "exit"}

// examine shows the whole picture: it looks at this host, and probes it shortly.
func examine(c *cli.Context, in input, stdout io.Writer) (int, error) {
	if err := in.checkDoctor(); err != nil {
		return 0, err
	}
	runtime.GOMAXPROCS(1)
	if status := platform.StatusSignals(); len(status) > 0 {
		signal.Ignore(status...) // it is over at once
	}
	asked := c.Bool("ipv4") || c.Bool("ipv6")
	list, err := targets("", c.Bool("ipv4") || !asked, c.Bool("ipv6") || !asked)
	if err != nil {
		return 0, err
	}
	d, err := doctor.Examine(c.Context, check.Config{
		Ping:    ping.Config{Count: defaultCount, Interval: 10 * time.Millisecond, Timeout: 100 * time.Millisecond, Size: defaultSize},
		Targets: list, Asked: asked, Exit: in.scheme,
	})
	if err != nil {
		return 0, err
	}
	if in.format == "json" {
		err = doctor.WriteJSON(stdout, d)
	} else {
		err = doctor.Write(stdout, d, colorful(stdout))
	}
	if err != nil {
		return 0, writeError(err)
	}
	return d.ExitCode, nil
}

// checkDoctor reports what doctor does not take.
func (in *input) checkDoctor() error {
	const usage = "lping doctor [-4] [-6] [-j] [--exit SCHEME]"
	for _, o := range in.typed {
		name, value, _ := strings.Cut(strings.TrimPrefix(o, "--"), "=")
		if !slices.Contains(doctorOptions, name) || name == "format" && value != "text" && value != "json" {
			return &cmdline.Error{Message: "doctor takes no --" + name, Hint: usage}
		}
	}
	if len(in.operands) > 0 {
		return &cmdline.Error{Message: "doctor takes no address: it looks at 127.0.0.1 and ::1", Hint: usage}
	}
	return nil
}

// colorful says whether colour is wanted: on a terminal that has some, unless NO_COLOR is set (no-color.org).
func colorful(w io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && terminal(w)
}

func newRenderer(format string, w io.Writer, o report.Options) report.Renderer {
	switch format {
	case "line":
		return report.NewLine(w, o)
	case "json":
		return report.NewJSON(w, o)
	case "prometheus":
		return report.NewPrometheus(w, o)
	case "nagios":
		return report.NewNagios(w, o)
	}
	return report.NewText(w, o)
}

var errFromTerminal = fmt.Errorf("%w by the terminal", check.ErrInterrupted)

// ending are the signals that end a run; SIGHUP does not where nohup told so.
func ending() []os.Signal {
	list := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		list = append(list, syscall.SIGHUP)
	}
	return list
}

// handleSignals ends the run on an interrupt and prints its state where that is asked for. The result undoes it.
func handleSignals(k *check.Check, stop context.CancelCauseFunc, stderr io.Writer) func() {
	signals := make(chan os.Signal, 1)
	done := make(chan struct{})
	signal.Notify(signals, append(platform.StatusSignals(), ending()...)...)
	go func() {
		defer close(done)
		for s := range signals {
			switch s {
			case os.Interrupt:
				stop(errFromTerminal)
			case syscall.SIGTERM, syscall.SIGHUP:
				stop(check.ErrInterrupted)
			default:
				k.Status(stderr)
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		<-done
	}
}

// saveThreads is for a run that is over within a second and has nothing to say before: a container may have no pids left for
// the threads that the Go runtime takes for a second processor, and for handling signals or even for undoing this. The answer
// is there before who sent a signal has lost patience; if its reader does not read, SIGKILL is left.
func saveThreads() {
	runtime.GOMAXPROCS(1)
	signal.Ignore(append(platform.StatusSignals(), ending()...)...)
}

func show(w io.Writer, text string) error {
	if _, err := io.WriteString(w, text); err != nil {
		return writeError(err)
	}
	return nil
}

const roomHint = "make room there, or let it go elsewhere"

func writeError(err error) error {
	return &hintedError{fmt.Errorf("write the output: %w", err), roomHint}
}
