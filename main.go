// The number of processors does not change while a check runs, and looking for that costs a short one a thread.
//
//go:debug updatemaxprocs=0

// Command lping says whether the loopback of this machine, container or network namespace is healthy, and if not,
// why not. It sends ICMP echo requests to 127.0.0.1 or ::1, matches the replies and ends with a verdict.
//
//	lping [options] [target ...]
//	lping doctor [-4] [-6] [-j] [-v] [--exit SCHEME]
//	lping serve [-4] [-6] [-q] [ADDRESS:PORT]
//
// lping -h lists the options, lping explain the codes; the README explains the output and the exit status.
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
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"lping/ping/check"
	"lping/ping/cmdline"
	"lping/ping/doctor"
	"lping/ping/report"
	"lping/ping/serve"
	"lping/platform"
	"lping/platform/file"
	"lping/platform/output"
	"lping/platform/startup"
	"lping/platform/terminal"
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
		return 0, show(stdout, cmdline.Version())
	}
	flags, err := parse(in.Given)
	switch {
	case err != nil:
		return 0, err
	case in.Command == cmdline.Doctor:
		return examine(ctx, in, flags, stdout)
	case in.Command == cmdline.Serve:
		return echo(ctx, in, flags, stdout)
	case in.Command == cmdline.Explain:
		return 0, doctor.Explain(in.Codes, func(text string) error { return show(stdout, text) })
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

// checkAsAsked reads the settings and checks, once or every so often.
func checkAsAsked(ctx context.Context, in *cmdline.Input, flags cmdline.Flags, stdout, stderr io.Writer) (int, error) {
	s, err := in.Settings(flags)
	if err != nil {
		return 0, err
	}
	switch {
	case s.Output.Live && !terminal.Is(stdout):
		return 0, cmdline.WithHint(errors.New("--live draws on a terminal, and the output is none"), "leave it out, or -j for a program")
	case s.Every > 0:
		return checkEvery(ctx, in, s, stdout, stderr)
	}
	return onto(in, s.File, stdout, func(w io.Writer) (int, error) { return checkOnce(ctx, in, s, w, stderr) })
}

// onto gives f the file to write to, which is there when f has succeeded; without a path it is stdout.
func onto(in *cmdline.Input, path string, stdout io.Writer, f func(io.Writer) (int, error)) (int, error) {
	if path == "" {
		return f(stdout)
	}
	out, err := file.Create(path)
	if err != nil {
		return 0, cmdline.Wrap(in.Label("output"), cmdline.WithHint(err, outputHint(err)))
	}
	defer out.Discard()
	status, err := f(out)
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

// checkOnce makes one check and writes the output to w.
func checkOnce(ctx context.Context, in *cmdline.Input, s cmdline.Settings, w, stderr io.Writer) (int, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer giveUpStuck(ctx, w, in.Scheme, s.Bound())()
	k, renderer := prepare(in, s, w)
	ignoreSignals, restore := func() {}, func() {}
	goOn := func() {
		startup.UseProcessors(processors)
		status := k.Status
		if s.Output.Live { // which shows its state anyway
			status = func(io.Writer) {}
			restore = terminal.OnQuit(os.Stdin, func() { stop(check.ErrInterrupted) })
		}
		ignoreSignals = handleSignals(status, stop, stderr)
	}
	lasts := slices.ContainsFunc(s.Targets, func(t report.Target) bool { return t.Longest() > time.Second })
	short := s.Wait == 0 && slices.Contains(atTheEnd, in.Format) && !lasts
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
	restore()
	defer func() { ignoreSignals() }()
	return conclude(ctx, in, s, r, err, renderer, w)
}

// conclude writes the end of the output: r and err are what Run returned.
func conclude(ctx context.Context, in *cmdline.Input, s cmdline.Settings, r report.Report, err error, renderer report.Renderer, w io.Writer) (int, error) {
	var unchecked *check.UncheckedError
	switch {
	case errors.As(err, &unchecked) && in.Format == cmdline.Text: // as ping does
		return 0, cmdline.WithHint(err, unchecked.Fix)
	case err != nil && unchecked == nil:
		return 0, writeError(err)
	}
	if errors.Is(context.Cause(ctx), errFromTerminal) && in.Format == cmdline.Text && !s.Output.PingOnly && terminal.Is(w) {
		fmt.Fprintln(w) // the terminal echoed ^C
	}
	if err := renderer.Finish(r); err != nil {
		return 0, writeError(err)
	}
	return r.ExitCode, nil
}

// errUnwritten is why the output of a check that was cut short is not written: it would take the place of a whole one.
var errUnwritten = errors.New("cut short")

// checkEvery checks again and again until a signal comes. The status is that of the last whole check.
func checkEvery(ctx context.Context, in *cmdline.Input, s cmdline.Settings, stdout, stderr io.Writer) (status int, err error) {
	startup.UseProcessors(processors)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer giveUpStuck(ctx, stdout, in.Scheme, 0)()
	var latest atomic.Pointer[checker]
	defer handleSignals(func(w io.Writer) {
		if k := latest.Load(); k != nil {
			(*k).Status(w)
		}
	}, stop, stderr)()
	status = in.Scheme.Status(stats.Unknown, false)
	atEnd := s.File != "" || slices.Contains(atTheEnd, in.Format)
	whole := false
	once := func(w io.Writer) (int, error) {
		k, renderer := prepare(in, s, w)
		latest.Store(&k)
		k.Start()
		r, err := k.Run(ctx)
		if atEnd && whole && ctx.Err() != nil {
			return 0, errUnwritten
		}
		return conclude(ctx, in, s, r, err, renderer, w)
	}
	err = check.Every(ctx, s.Every, func(ctx context.Context) error {
		code, err := onto(in, s.File, stdout, once)
		if err == nil && ctx.Err() == nil {
			status, whole = code, true
		}
		return err
	}, func(took time.Duration, skipped int) {
		fmt.Fprintf(stderr, "lping: warning: a check took %v, so that %d of them were left out\n", took.Round(time.Millisecond), skipped)
	})
	if errors.Is(err, errUnwritten) {
		err = nil
	}
	return status, err
}

// prepare makes a check, and what writes its output to w.
func prepare(in *cmdline.Input, s cmdline.Settings, w io.Writer) (checker, report.Renderer) {
	s.Output.Color = terminal.Colors(w, s.Color)
	if terminal.Is(w) {
		s.Output.Size, s.Output.Unicode = terminal.Size(w), terminal.Unicode()
	}
	renderer := report.New(string(in.Format), w, s.Output)
	c := check.Config{
		Targets: s.Targets, Limits: s.Limits, Exit: in.Scheme,
		Renderer: renderer, Quiet: s.Output.Quiet && !s.Output.Live, Buckets: in.Format == cmdline.Prometheus,
	}
	if s.Wait > 0 {
		return check.NewWait(c, s.Wait), renderer
	}
	return check.New(c), renderer
}

// giveUpStuck ends the process if nobody reads w when ctx has ended or the time within is over, with the status of an output
// that cannot be written. The result stops that.
func giveUpStuck(ctx context.Context, w io.Writer, scheme stats.Scheme, within time.Duration) func() bool {
	o, ok := w.(*output.Output)
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

// examine shows the whole picture: it looks at this host and probes both families by every protocol.
func examine(ctx context.Context, in *cmdline.Input, flags cmdline.Flags, stdout io.Writer) (int, error) {
	s, err := in.DoctorSettings(flags)
	if err != nil {
		return 0, err
	}
	ignoreStatus() // doctor is over before anybody could read a status
	pic, err := doctor.Examine(ctx, check.Config{Targets: s.Targets, Exit: in.Scheme})
	if err != nil {
		return 0, cmdline.WithHint(err, "raise the limit of open files: ulimit -n")
	}
	if in.Format == cmdline.JSON {
		err = doctor.WriteJSON(stdout, pic)
	} else {
		err = doctor.Write(stdout, pic, doctor.Options{Color: terminal.Colors(stdout, s.Color), Verbose: s.Output.Verbose})
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
	s, err := serve.Listen(c)
	if err == nil {
		err = s.Run(ctx, stdout)
	}
	if failed, ok := errors.AsType[*net.OpError](err); ok {
		return 0, cmdline.WithHint(failed, cmdline.SocketHint(failed))
	}
	if err != nil {
		return 0, writeError(err)
	}
	return 0, nil
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
func handleSignals(status func(io.Writer), stop context.CancelCauseFunc, stderr io.Writer) func() {
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
				status(stderr)
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
