// The number of processors does not change while a check runs, and looking for that costs a short one a thread.
//
//go:debug updatemaxprocs=0

// Command lping says whether the loopback of this machine, container or network namespace is healthy, and if not,
// why not. It sends ICMP echo requests to 127.0.0.1 or ::1, matches the replies and ends with a verdict.
//
//	lping [options] [target ...]
//	lping doctor [-4] [-6] [-j] [--exit SCHEME]
//	lping serve [-4] [-6] [-q] [ADDRESS:PORT]
//
// lping -h lists the options; the README explains the output and the exit status.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
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
	"lping/ping/serve"
	"lping/platform"
	"lping/platform/file"
	"lping/platform/output"
	"lping/platform/startup"
	"lping/stats"
)

// processors is how many a check uses that lasts, one for each of two families: on a large host the Go runtime would start
// more threads than a container may have pids left for.
const processors = 2

func main() {
	os.Exit(run(context.Background(), os.Args, os.LookupEnv, output.New(os.Stdout), output.New(os.Stderr)))
}

// run is the whole command. It returns the exit status, and writes to stdout and stderr only.
func run(ctx context.Context, args []string, lookup func(string) (string, bool), stdout, stderr io.Writer) int {
	in := cmdline.Read(args, lookup)
	status, err := execute(ctx, &in, stdout, stderr)
	if err == nil {
		return status
	}
	switch {
	case errors.Is(err, syscall.EPIPE): // the reader has enough, as head has
	case in.Format == cmdline.Nagios && show(stdout, report.NagiosUnknown(err.Error()+"; "+cmdline.HintOf(err))) == nil:
	default:
		fmt.Fprintln(stderr, "lping: error:", err)
		fmt.Fprintln(stderr, "lping: hint:", cmdline.HintOf(err))
	}
	return in.Scheme.Status(stats.Unknown, false)
}

// execute does what the input asks for and returns the exit status. The error is not printed yet.
func execute(ctx context.Context, in *cmdline.Input, stdout, stderr io.Writer) (status int, err error) {
	switch {
	case in.Err != nil:
		return 0, in.Err
	case in.Has("help", "true"):
		return 0, show(stdout, cmdline.Help())
	case in.Has("version", "true"):
		return 0, show(stdout, version())
	}
	flags, err := parse(in.Given)
	switch {
	case err != nil:
		return 0, err
	case in.Command == cmdline.Doctor:
		return examine(ctx, in, flags, stdout)
	case in.Command == cmdline.Serve:
		return echo(ctx, in, flags, stdout)
	}
	return checkAsAsked(ctx, in, flags, stdout, stderr)
}

// parse lets urfave/cli read the options that were given. It uses the context of urfave/cli but not its App: that brings
// text/template into the binary, which makes the linker keep every exported method of everything, a quarter of the whole.
// Nor does it use the flags of urfave/cli, each of which compiles a regular expression: that takes longer than the first probe.
func parse(given []cmdline.Given) (*cli.Context, error) {
	set := flag.NewFlagSet("lping", flag.ContinueOnError)
	for _, g := range given {
		switch {
		case set.Lookup(g.Long) != nil:
		case g.IsSwitch():
			set.Bool(g.Long, false, g.Usage)
		default:
			set.String(g.Long, "", g.Usage)
		}
		if err := set.Set(g.Long, g.Value); err != nil {
			return nil, err
		}
	}
	return cli.NewContext(nil, set, nil), nil
}

// version is the text of --version: the version of lping, and the ping that its options and its output agree with.
func version() string {
	return fmt.Sprintf("lping %s (%s %s/%s)\noptions and text output agree with ping from iputils 20250605\n",
		ownVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// ownVersion is that of lping, as far as the build tells.
func ownVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown)"
}

// introduce names lping to the services that are asked by HTTP.
func introduce(targets []report.Target) {
	for i := range targets {
		if t := &targets[i]; t.Proto == ping.ProtoHTTP {
			t.Agent = "lping/" + strings.Trim(ownVersion(), "()")
		}
	}
}

// checkAsAsked reads the settings and checks. With --output the output goes to a file.
func checkAsAsked(ctx context.Context, in *cmdline.Input, flags cmdline.Flags, stdout, stderr io.Writer) (int, error) {
	s, err := in.Settings(flags)
	switch {
	case err != nil:
		return 0, err
	case s.File == "":
		return checkOnto(ctx, in, s, stdout, stderr)
	}
	out, err := file.Create(s.File)
	if err != nil {
		return 0, cmdline.Wrap(in.Label("output"), cmdline.WithHint(err, outputHint(err)))
	}
	defer out.Discard()
	status, err := checkOnto(ctx, in, s, out, stderr)
	if err != nil {
		return 0, err
	}
	if err := out.Commit(); err != nil {
		return 0, writeError(err)
	}
	return status, nil
}

// outputHint is what to do if the file of --output cannot be made.
func outputHint(err error) string {
	switch {
	case errors.Is(err, file.ErrNotRegular):
		return "a file, or - for stdout"
	case errors.Is(err, syscall.ENOSPC):
		return roomHint
	}
	return "a file in a directory where this user may write"
}

// atTheEnd are the formats that write nothing before the check is over.
var atTheEnd = []cmdline.Format{cmdline.Line, cmdline.Prometheus, cmdline.Nagios}

// checkOnto checks, and writes the output to stdout, which may be a file.
func checkOnto(ctx context.Context, in *cmdline.Input, s cmdline.Settings, stdout, stderr io.Writer) (int, error) {
	s.Output.Terminal = s.Output.Flood && terminal(stdout)
	introduce(s.Targets)
	renderer := newRenderer(in.Format, stdout, s.Output)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer giveUpStuck(ctx, stdout, in.Scheme, s.Bound())()
	k := newCheck(s, check.Config{
		Targets: s.Targets, Limits: s.Limits, Exit: in.Scheme,
		Renderer: renderer, Quiet: s.Output.Quiet, Buckets: in.Format == cmdline.Prometheus,
	})
	ignoreSignals := func() {}
	goOn := func() {
		startup.UseProcessors(processors)
		ignoreSignals = handleSignals(k, stop, stderr)
	}
	short := s.Wait == 0 && slices.Contains(atTheEnd, in.Format) && !slices.ContainsFunc(s.Targets, lasting)
	once := s.Wait == 0 && !slices.ContainsFunc(s.Targets, repeated)
	switch {
	case short:
		saveThreads()
	case !once: // before the first output, or a signal that answers it would kill, or get lost
		goOn()
	}
	if more := k.Start(); more && once && !short {
		goOn()
	}
	r, err := k.Run(ctx)
	defer func() { ignoreSignals() }()
	var unchecked *check.UncheckedError
	switch {
	case errors.As(err, &unchecked) && in.Format == cmdline.Text: // as ping does
		return 0, cmdline.WithHint(err, unchecked.Fix)
	case err != nil && unchecked == nil:
		return 0, writeError(err)
	}
	if errors.Is(context.Cause(ctx), errFromTerminal) && in.Format == cmdline.Text && !s.Output.PingOnly && terminal(stdout) {
		fmt.Fprintln(stdout) // the terminal echoed ^C
	}
	if err := renderer.Finish(r); err != nil {
		return 0, writeError(err)
	}
	return r.ExitCode, nil
}

// giveUpStuck ends the process if nobody reads stdout when ctx has ended or the time within is over, with the status of an output
// that cannot be written. The result stops that.
func giveUpStuck(ctx context.Context, stdout io.Writer, scheme stats.Scheme, within time.Duration) func() bool {
	o, ok := stdout.(*output.Output)
	if !ok { // a file
		return func() bool { return false }
	}
	return o.GiveUp(ctx, within, func() { os.Exit(scheme.Status(stats.Unknown, false)) })
}

// checker is a check, or one that is made until all is well.
type checker interface {
	Start() (more bool)
	Run(context.Context) (report.Report, error)
	Status(io.Writer)
}

func newCheck(s cmdline.Settings, c check.Config) checker {
	if s.Wait > 0 {
		return check.NewWait(c, s.Wait)
	}
	return check.New(c)
}

// terminal says whether w is one.
func terminal(w io.Writer) bool {
	f, ok := w.(*output.Output)
	return ok && term.IsTerminal(int(f.Fd()))
}

// examine shows the whole picture: it looks at this host and probes both families by every protocol.
func examine(ctx context.Context, in *cmdline.Input, flags cmdline.Flags, stdout io.Writer) (int, error) {
	s, err := in.DoctorSettings(flags)
	if err != nil {
		return 0, err
	}
	ignoreStatus() // doctor is over before anybody could read a status
	pic, err := doctor.Examine(ctx, check.Config{Targets: s.Targets, Exit: in.Scheme})
	if err != nil {
		return 0, err
	}
	if in.Format == cmdline.JSON {
		err = doctor.WriteJSON(stdout, pic)
	} else {
		err = doctor.Write(stdout, pic, colorful(stdout))
	}
	if err != nil {
		return 0, writeError(err)
	}
	return pic.ExitCode, nil
}

// echo serves until a signal comes.
func echo(ctx context.Context, in *cmdline.Input, flags cmdline.Flags, stdout io.Writer) (int, error) {
	c, err := in.ServeConfig(flags)
	if err != nil {
		return 0, err
	}
	startup.UseProcessors(processors)
	ignoreStatus()
	ctx, stop := signal.NotifyContext(ctx, ending()...)
	defer stop()
	defer giveUpStuck(ctx, stdout, in.Scheme, 0)()
	s, err := serve.Listen(c)
	if err == nil {
		err = s.Run(ctx, stdout)
	}
	if failed, ok := errors.AsType[*net.OpError](err); ok {
		return 0, cmdline.WithHint(failed, socketHint(failed))
	}
	if err != nil {
		return 0, writeError(err)
	}
	return 0, nil
}

// socketHint is what to do if serve cannot have a socket.
func socketHint(err error) string {
	e, _ := errors.AsType[syscall.Errno](err)
	switch platform.ErrnoName(e) {
	case "EADDRINUSE":
		return "ss -ltunp shows who has the port; lping serve without a port takes a free one"
	case "EACCES":
		return "a port from 1024 on needs no privilege"
	case "EADDRNOTAVAIL", "EAFNOSUPPORT":
		return "lping doctor shows what is wrong with that address"
	}
	return "lping serve needs some sockets: see ulimit -n"
}

// colorful says whether to write in colour: on a terminal that has colours, unless NO_COLOR is set (no-color.org).
func colorful(w io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && terminal(w)
}

// newRenderer is the renderer of a format. Formats stand in cmdline.formats and, if they write only at the end, in atTheEnd, too.
func newRenderer(format cmdline.Format, w io.Writer, o report.Options) report.Renderer {
	switch format {
	case cmdline.Line:
		return report.NewLine(w, o)
	case cmdline.JSON:
		return report.NewJSON(w, o)
	case cmdline.Prometheus:
		return report.NewPrometheus(w, o)
	case cmdline.Nagios:
		return report.NewNagios(w, o)
	}
	return report.NewText(w, o)
}

var errFromTerminal = fmt.Errorf("%w by the terminal", check.ErrInterrupted)

// ending are the signals that end a run. SIGHUP is one unless it was ignored at the start, as nohup has it.
func ending() []os.Signal {
	list := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		list = append(list, syscall.SIGHUP)
	}
	return list
}

// handleSignals ends the run on an interrupt and prints its state on the signals that ask for it. The result stops that.
func handleSignals(k checker, stop context.CancelCauseFunc, stderr io.Writer) func() {
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

// ignoreStatus is for what has no status to tell: these signals would kill it.
func ignoreStatus() {
	if status := platform.StatusSignals(); len(status) > 0 {
		signal.Ignore(status...) // of none it would ignore all
	}
}

// lasting says that the run may take more than a second, whatever comes back.
func lasting(t report.Target) bool { return t.Longest() > time.Second }

// repeated says that more than one probe may leave.
func repeated(t report.Target) bool { return t.Count != 1 || t.Deadline > 0 }

// saveThreads is for a run that is over within a second and writes nothing before its end. A container may have no process
// ids left for the threads by which the Go runtime handles signals, or even stops to. The answer is there before who sent a
// signal has lost patience; if its reader does not read, SIGKILL is left.
func saveThreads() { signal.Ignore(append(platform.StatusSignals(), ending()...)...) }

// show writes a text that is the whole output.
func show(w io.Writer, text string) error {
	if _, err := io.WriteString(w, text); err != nil {
		return writeError(err)
	}
	return nil
}

const roomHint = "make room there, or let it go elsewhere"

// writeError is the error of an output that could not be written.
func writeError(err error) error {
	return cmdline.WithHint(fmt.Errorf("write the output: %w", err), roomHint)
}
