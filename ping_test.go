package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/net/icmp"
)

// limit is how long a command of a script may take. It tells a command that ends by itself from one that hangs, not a fast
// machine from a slow one: how soon lping answers is what the script answer_time is about.
const limit = 2 * time.Minute

// TestMain keeps all that the tests write in one directory, which goes at the end. The directory of a run that was killed goes
// at the start of the next one.
func TestMain(m *testing.M) {
	// Scripts mostly wait. A -parallel of the command line is parsed later, and wins.
	flag.Set("test.parallel", strconv.Itoa(max(8, 4*runtime.NumCPU())))
	prefix := filepath.Join(os.TempDir(), "lping-scripts-")
	old, _ := filepath.Glob(prefix + "*")
	for _, dir := range old {
		if _, err := os.Stat("/proc/" + strings.TrimPrefix(dir, prefix)); err != nil && runtime.GOOS == "linux" {
			os.RemoveAll(dir)
		}
	}
	dir := prefix + strconv.Itoa(os.Getpid())
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "bin"), 0o755), os.Setenv("GOTMPDIR", dir)); err != nil {
		panic(err)
	}
	if signal.Ignored(syscall.SIGHUP) { // by nohup; what the scripts start must hear of it, and a handler is not inherited
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// TestScript runs the scripts of ping/testdata/script: what people and programs ask of lping. A script says in its first lines
// what it needs. Its commands are those of testscript, those of scriptCommands, and the programs of ping/testdata/bin and
// ping/internal/scripttools.
func TestScript(t *testing.T) { runScripts(t, "ping/testdata/script") }

// TestFault makes real faults in network namespaces, with the scripts of ping/testdata/fault. Of each lping must say what is
// wrong and what mends it, to root and to a user without privileges.
func TestFault(t *testing.T) { runScripts(t, "ping/testdata/fault") }

// TestReadme runs the commands that README.md shows. They must answer as they do there, but for the numbers.
func TestReadme(t *testing.T) {
	dir := t.TempDir()
	readme, readErr := os.ReadFile("README.md")
	writeErr := os.WriteFile(filepath.Join(dir, "readme.txtar"), []byte(exampleScript(string(readme))), 0o644)
	if err := errors.Join(readErr, writeErr); err != nil {
		t.Fatal(err)
	}
	runScripts(t, dir)
}

func runScripts(t *testing.T, dir string) {
	t.Parallel()
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatalf("go env: %v", err)
	}
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(e *testscript.Env) error {
			e.Values["t"] = e.T()
			e.Setenv("PATH", bin+string(filepath.ListSeparator)+e.Getenv("PATH"))
			e.Setenv("BIN", bin)
			e.Setenv("GOCACHE", strings.TrimSpace(string(cache)))
			e.Setenv("LIMIT", strconv.Itoa(int(limit.Seconds())))
			return os.Chmod(e.WorkDir, 0o755)
		},
		Condition: func(name string) (bool, error) {
			if name != "all" && name != "root" {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			return lacks(name) == "", nil
		},
		Cmds: scriptCommands(),
	})
}

// tools are the programs of ping/internal/scripttools.
const tools = "forge serve beside healthy informed degraded unhealthy steady mend quick costs deny matrix"

// programs makes the directory of lping, stripped as it is released, and of the scripts' own programs, which are for Linux.
var programs = sync.OnceValues(func() (bin string, err error) {
	bin = filepath.Join(os.Getenv("GOTMPDIR"), "bin")
	suffix := map[string]string{"windows": ".exe"}[runtime.GOOS]
	lping := filepath.Join(bin, "lping"+suffix)
	err = build("build", "-trimpath", "-tags", "urfave_cli_no_docs", "-ldflags", "-s -w", "-o", lping, ".")
	if err != nil || runtime.GOOS != "linux" {
		return bin, err
	}
	err = build("test", "-c", "-o", filepath.Join(bin, "tools"), "./ping/internal/scripttools")
	for _, name := range strings.Fields(tools) {
		err = errors.Join(err, os.Symlink("tools", filepath.Join(bin, name)))
	}
	return bin, errors.Join(err, os.CopyFS(bin, os.DirFS("ping/testdata/bin")))
})

func build(args ...string) error {
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %q: %w\n%s", args, err, out)
	}
	return nil
}

func scriptCommands() map[string]func(*testscript.TestScript, bool, []string) {
	commands := map[string]func(*testscript.TestScript, bool, []string){
		"needs": skipWithout, "netns": makeNamespace, "exits": checkExit, "refuses": checkRefusal,
	}
	for _, name := range strings.Fields("firewall " + tools) { // as if by exec
		commands[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg {
				ts.Fatalf("unsupported: ! %s", name)
			}
			ts.Check(ts.Exec(name, args...))
		}
	}
	return commands
}

// skipWithout is "needs WHAT …": the script is left out if one of these is missing here.
func skipWithout(ts *testscript.TestScript, _ bool, args []string) {
	for _, what := range args {
		if text := lacks(what); text != "" {
			ts.Value("t").(testscript.T).Skip("needs " + text)
		}
	}
}

// lacks is empty if that is here. If not, it says what is missing and where it comes from.
func lacks(what string) string {
	all := os.Getenv("LPING_TEST") == "all"
	switch command, err := newNamespace(); {
	case what == "all" && !all:
		return "more than 5 s: LPING_TEST=all"
	case what == "root" && (!all || len(command) != 2):
		return "root, for what a user namespace has not: LPING_TEST=all, as root"
	case what == "netns" && err != nil:
		return "a network namespace: be root, or allow user namespaces (sysctl user.max_user_namespaces, " +
			"kernel.apparmor_restrict_unprivileged_userns); and util-linux, iproute2, procps: " + err.Error()
	case what == "echo" && runtime.GOOS != "windows" && !canOpen("udp4") && !canOpen("ip4:1"):
		return "an ICMP socket: be root, or open net.ipv4.ping_group_range"
	case slices.Contains([]string{"all", "root", "netns", "echo"}, what):
		return ""
	}
	_, err := exec.LookPath(what)
	if strings.HasPrefix(what, "/") {
		_, err = os.Stat(what)
	}
	if err == nil {
		return ""
	}
	list, _ := os.ReadFile("ping/testdata/packages")
	if found := regexp.MustCompile(`(?m)^(\S+) .*` + regexp.QuoteMeta(what) + `\b`).FindSubmatch(list); found != nil {
		what += fmt.Sprintf(" (Debian: apt-get install %s)", found[1])
	}
	return what
}

// canOpen tries an ICMP socket.
func canOpen(network string) bool {
	c, err := icmp.ListenPacket(network, "127.0.0.1")
	if err == nil {
		c.Close()
	}
	return err == nil
}

// newNamespace is the command with which this user makes a network namespace. Who is not root makes a user namespace first, to
// be root in: the files of a network belong to the root that there is when it is made.
var newNamespace = sync.OnceValues(func() (command []string, err error) {
	for _, text := range []string{"unshare --net", "unshare --user --map-root-user unshare --net"} {
		command = strings.Fields(text)
		out, err1 := exec.Command(command[0], append(command[1:], "ip", "link", "set", "lo", "up")...).CombinedOutput()
		if err = err1; err == nil {
			return command, nil
		}
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil, err
})

// makeNamespace is "netns": it makes a network namespace for the rest of the script, in which "inns COMMAND" runs a command.
// lo is up there, and datagram sockets for ICMP are open to all, which is $OPEN; in one that is "closed" they are open to
// nobody, and one that is "bare" is as the kernel makes it, with lo down as well. It lasts as long as a process in it, and
// that as long as its standard input, which the system closes even if these tests are killed.
func makeNamespace(ts *testscript.TestScript, _ bool, args []string) {
	skipWithout(ts, false, []string{"netns", "nsenter", "sysctl"})
	command, _ := newNamespace()
	holder := exec.Command(command[0], append(command[1:len(command):len(command)], "cat")...)
	in, inErr := holder.StdinPipe()
	out, outErr := holder.StdoutPipe()
	ts.Check(errors.Join(inErr, outErr, holder.Start()))
	ts.Defer(func() {
		in.Close()
		holder.Wait()
	})
	_, writeErr := in.Write([]byte{'\n'})
	_, readErr := out.Read(make([]byte, 1)) // it is there
	ts.Check(errors.Join(writeErr, readErr))
	ts.Setenv("NS", strconv.Itoa(holder.Process.Pid))
	ts.Setenv("OPEN", "0 2147483647")
	if slices.Contains(command, "--user") {
		ts.Setenv("USERNS", "yes")
		ts.Setenv("OPEN", "0 0") // the one group that there is
	}
	if !slices.Contains(args, "bare") {
		ts.Check(ts.Exec("inns", "ip", "link", "set", "lo", "up"))
	}
	if len(args) == 0 {
		ts.Check(ts.Exec("inns", "sysctl", "-qw", "net.ipv4.ping_group_range="+ts.Getenv("OPEN")))
	}
}

// checkExit is "exits STATUS COMMAND …": the command ends with this status, and in time.
func checkExit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND [ARG ...]")
	}
	start := time.Now()
	err, got := ts.Exec(args[1], args[2:]...), 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if took := time.Since(start); took > limit {
		ts.Fatalf("took %v, want at most %v", took, limit)
	}
	if want := args[0]; strconv.Itoa(got) != want {
		ts.Fatalf("exit status %d, want %s", got, want)
	}
}

// checkRefusal is "refuses STATUS ERROR HINT COMMAND …": the command ends with this status, with these two lines on standard
// error and with nothing on standard output.
func checkRefusal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: refuses STATUS ERROR HINT COMMAND [ARG ...]")
	}
	checkExit(ts, false, slices.Concat(args[:1], args[3:]))
	want := fmt.Sprintf("lping: error: %s\nlping: hint: %s\n", args[1], args[2])
	if out, got := ts.ReadFile("stdout"), ts.ReadFile("stderr"); out != "" || got != want {
		ts.Fatalf("standard output is %q, want none; standard error is %q, want %q", out, got, want)
	}
}

// shownFaults make the faults that README.md shows, by the code that lping says there.
var shownFaults = map[string]string{
	"lo_down":      "exec inns ip link set lo down",
	"echo_ignored": "exec inns sysctl -qw net.ipv4.icmp_echo_ignore_all=1",
	"fw_output":    "firewall output 'oifname lo drop'",
	"port_refused": "env THROUGH='serve tcp 127.0.0.1:8080'",
}

// exampleScript runs each "$ lping" of a block and compares the answer, but not its numbers, and not the fix, which depends on
// the place. It runs each lping of the text as well: that must be no bad usage.
func exampleScript(readme string) string {
	script := "needs netns nft\n"
	numbers, fix := regexp.MustCompile(`\d+\\\.\d+|\d+ms`), regexp.MustCompile(`; fix: .*`)
	for _, m := range regexp.MustCompile("(?m)^\\$ (lping.*)\n((?:[^$`\n].*\n|\n)+)").FindAllStringSubmatch(readme, -1) {
		script += "netns\nenv THROUGH=\n"
		for code, fault := range shownFaults {
			if strings.Contains(m[2], " "+code+": ") {
				script += fault + "\n"
			}
		}
		answer := numbers.ReplaceAllString(regexp.QuoteMeta(m[2]), "[0-9.]+(ms)?")
		answer = strings.ReplaceAll(fix.ReplaceAllString(answer, "; fix: .*"), "\n", `\n`)
		script += fmt.Sprintf("exec inns sh -c '$THROUGH %s || true'\nstdout '^%s$'\n", m[1], answer)
	}
	script += "netns\n"
	for _, m := range regexp.MustCompile("`(lping[^`]*)`").FindAllStringSubmatch(readme, -1) {
		if !strings.Contains(m[1], "--sweep") { // takes 3 s, and has a script of its own
			script += fmt.Sprintf("exec inns sh -c '%s; test $? -le 1'\n", strings.ReplaceAll(m[1], "\n", " "))
		}
	}
	return script
}
