package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// module is the import path of this module; its packages are named by what follows it.
const module = "lping"

// importLaw says which of our packages each of our packages may import. "." is the command, "*" is all of them.
// Tests are free: what they import is in no binary.
var importLaw = map[string][]string{
	".":                 {"*"},
	"ping":              {"ping/transport"},
	"ping/check":        {"ping", "ping/report", "stats", "platform", "platform/diagnose"},
	"ping/cmdline":      {"ping", "ping/report", "stats", "platform"},
	"ping/doctor":       {"ping", "ping/check", "ping/report", "stats", "platform", "platform/diagnose"},
	"ping/report":       {"ping", "stats", "platform", "platform/diagnose"},
	"ping/transport":    nil,
	"platform":          {"platform/fact", "platform/netlink"},
	"platform/diagnose": {"platform"},
	"platform/fact":     nil,
	"platform/file":     nil,
	"platform/netlink":  {"platform/fact"},
	"stats":             nil,
}

// mainOnly are the names that only main.go may use: they end the process, or write to standard output behind the
// back of the one who was given a writer.
var mainOnly = map[string][]string{
	"os":      {"Exit", "Stdout"},
	"syscall": {"Exit", "Stdout"},
	"fmt":     {"Print", "Printf", "Println"},
	"log":     {"Fatal", "Fatalf", "Fatalln"},
}

// constrained are the trees whose files may be meant for some systems only.
var constrained = []string{"ping", "platform"}

// topLevel is what may stand beside the dotfiles in the module's directory.
var topLevel = []string{
	"LICENSE", "README.md", "go.mod", "go.sum", "main.go", "ping", "ping_test.go", "platform", "stats",
}

// maxFunctionLines counts from "func" to the closing brace.
const maxFunctionLines = 60

// TestImportLaw reads the sources of every system, where go list would see only those of this one.
func TestImportLaw(t *testing.T) {
	for _, src := range sources(t) {
		if !src.test {
			checkImports(t, src)
			checkMainOnly(t, src)
		}
		if src.pkg != "." && src.imports("github.com/urfave/cli") {
			t.Errorf("%s imports urfave/cli: only main may", src.path)
		}
		if !inTrees(src.path, constrained) && src.constrained(t) {
			t.Errorf("%s has a build constraint: only %s may", src.path, strings.Join(constrained, " and "))
		}
	}
}

func TestLayout(t *testing.T) {
	names := trackedNames(t)
	if len(names) == 0 {
		names = namesOnDisk(t)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, ".") && !slices.Contains(topLevel, name) {
			t.Errorf("%s stands at the top level, which holds only %s and dotfiles", name, strings.Join(topLevel, ", "))
		}
	}
}

func TestFunctionLength(t *testing.T) {
	for _, src := range sources(t) {
		if src.test {
			continue
		}
		ast.Inspect(src.file, func(n ast.Node) bool {
			switch n.(type) {
			case *ast.FuncDecl, *ast.FuncLit:
				first, last := src.line(n.Pos()), src.line(n.End())
				if lines := last - first + 1; lines > maxFunctionLines {
					t.Errorf("%s:%d: function of %d lines; want at most %d", src.path, first, lines, maxFunctionLines)
				}
			}
			return true
		})
	}
}

// TestScript runs the scripts of ping/testdata/script against the command as it is released. A script is a text of
// its own: what it needs stands in its first lines, what it does beside testscript's commands is in scriptCommands.
func TestScript(t *testing.T) {
	bin := buildCommand(t)
	testscript.Run(t, testscript.Params{
		Dir: "ping/testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+string(filepath.ListSeparator)+e.Getenv("PATH"))
			e.Setenv("BIN", bin)
			return os.Chmod(e.WorkDir, 0o755)
		},
		Condition: scriptCondition,
		Cmds:      scriptCommands,
	})
}

// TestFaults makes real faults in network namespaces, with the scripts of ping/testdata/fault. The one line of --health
// must say of each what is wrong and what mends it, to root and to a user without privileges.
func TestFaults(t *testing.T) {
	bin := buildCommand(t)
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatalf("go env: %v", err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "ping/testdata/fault",
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+string(filepath.ListSeparator)+e.Getenv("PATH"))
			e.Setenv("GOCACHE", strings.TrimSpace(string(cache)))
			return os.Chmod(e.WorkDir, 0o755)
		},
		Condition: scriptCondition,
		Cmds:      faultCommands,
	})
}

// TestMain makes the test binary the commands "forge" and "serve" too.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"forge": func() { os.Exit(forge(os.Args[1:])) },
		"serve": func() { os.Exit(serve(os.Args[1:])) },
	})
}

// Helpers of the scripts.

// wrappers are commands for scripts. They are for sh, and for Linux.
var wrappers = map[string]string{
	// inns COMMAND: in the namespace that "netns" made.
	"inns": `exec nsenter --net="/run/netns/$NS" -- "$@"`,
	// nobody COMMAND: as a user without any privilege.
	"nobody": `exec setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"`,
	// few PIDS COMMAND: as a user without any privilege who may have so many threads in all.
	"few": `pids=$1; shift
exec prlimit --nproc="$pids" setpriv --reuid=$((1000000 + $$)) --regid=65534 --clear-groups -- "$@"`,
	// counts CONDITION COMMAND: with -j, and the condition is true of each summary. The other conditions are what
	// holds of every run: each probe is in one class, and the events tell of the same probes as the summary.
	"counts": `condition=$1; shift
out=$("$@" -j); status=$?
printf '%s\n' "$out"
printf '%s\n' "$out" | jq -es --argjson status $status '. as $all |
	def told($a; $t): [$all[] | select(.address == $a and .type == $t)] | length;
	def near($a; $b): ($a - $b) * ($a - $b) < 1e-6;
	def decided: .sent - .in_flight;
	def whole: .sent == .received + .late + .lost + .corrupted + .send_errors + .in_flight
		and (if decided == 0 then .loss_percent == null else
			near(.loss_percent; 100 * (.late + .lost + .corrupted + .send_errors) / decided) end)
		and (.rtt.p50_ms == null) == (.received + .duplicates == 0)
		and .received == told(.address; "reply") and .late == told(.address; "late")
		and .lost + .late == told(.address; "timeout") and .duplicates == told(.address; "duplicate")
		and .corrupted == told(.address; "corrupt") and .send_errors == told(.address; "error")
		and (.findings | length) <= told(null; "finding");
	[.[] | select(.type == "summary")] as $s | ($s | length) > 0 and ($s | all(whole)) and ($s | all('"$condition"'))
	and .[0].schema == 1 and ([.[] | select(.schema)] | length) == 1 and $status == ([.[] | .exit_code // 0] | max)
	and .[-1].type == (if ($s | length) > 1 then "overall" else "summary" end)' >/dev/null || {
	echo "counts: not so: $condition" >&2
	exit 99
}
exit $status`,
	// when CONDITION SIGNAL COMMAND: COMMAND gets the signal as soon as the shell's condition is true. What it writes
	// stands in the files out and err meanwhile, its process is $pid.
	"when": `condition=$1 signal=$2; shift 2
: >out; : >err
"$@" >out 2>err & pid=$!
tries=0
until eval "$condition"; do
	tries=$((tries + 1))
	[ $tries -lt 600 ] || { kill -KILL $pid; cat out err >&2; echo "when: never so: $condition" >&2; exit 99; }
	sleep 0.05
done
kill -s "$signal" $pid
wait $pid; status=$?
cat out; cat err >&2
exit $status`,
}

// buildCommand builds lping where every user can run it, and puts the wrappers beside it.
func buildCommand(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lping-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	name := "lping"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	build := exec.Command("go", "build", "-trimpath", "-tags", "urfave_cli_no_docs", "-ldflags", "-s -w",
		"-o", filepath.Join(dir, name), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for name, script := range wrappers {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// scriptCondition knows [root]: the tests run as root on Linux and may make network namespaces; [echo]: whoever runs
// them may send an echo request from here; and [monitoring-plugin]: perl has that module.
func scriptCondition(name string) (bool, error) {
	switch name {
	case "root":
		return runtime.GOOS == "linux" && os.Geteuid() == 0, nil
	case "monitoring-plugin":
		return exec.Command("perl", "-MMonitoring::Plugin", "-e", "1").Run() == nil, nil
	case "echo":
		return runtime.GOOS == "windows" || canOpen("udp4") || canOpen("ip4:1"), nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

// canOpen tries an ICMP socket.
func canOpen(network string) bool {
	c, err := icmp.ListenPacket(network, "127.0.0.1")
	if err != nil {
		return false
	}
	c.Close()
	return true
}

var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"netns":   makeNamespace,
	"exits":   checkExit,
	"refuses": checkRefusal,
	"within":  checkTime,
}

var namespaces atomic.Uint64

// makeNamespace is "netns": it makes a network namespace for the rest of the script, with lo up and datagram sockets
// open to everyone, and names it in $NS. "inns COMMAND" runs a command in it. "netns bare" leaves it as the kernel
// makes it: lo down, and datagram sockets for nobody.
func makeNamespace(ts *testscript.TestScript, _ bool, args []string) {
	name := fmt.Sprintf("lping-%d-%d", os.Getpid(), namespaces.Add(1))
	ts.Setenv("NS", name)
	ts.Check(ts.Exec("ip", "netns", "add", name))
	ts.Defer(func() { exec.Command("ip", "netns", "delete", name).Run() })
	if slices.Contains(args, "bare") {
		return
	}
	ts.Check(ts.Exec("inns", "ip", "link", "set", "lo", "up"))
	ts.Check(ts.Exec("inns", "sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647"))
}

// checkExit is "exits STATUS COMMAND …": the command ends with just this status.
func checkExit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND [ARG ...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// checkRefusal is "refuses STATUS ERROR HINT COMMAND …": the command ends with just this status, these two lines on
// standard error and nothing on standard output.
func checkRefusal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: refuses STATUS ERROR HINT COMMAND [ARG ...]")
	}
	checkExit(ts, false, slices.Concat(args[:1], args[3:]))
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("standard output is not empty: %q", out)
	}
	want := fmt.Sprintf("lping: error: %s\nlping: hint: %s\n", args[1], args[2])
	if got := ts.ReadFile("stderr"); got != want {
		ts.Fatalf("standard error is %q, want %q", got, want)
	}
}

// checkTime is "within DURATION STATUS COMMAND …": like exits, and no slower than that. The limits are wide: they
// tell a run that ends by itself from one that hangs, not a fast machine from a slow one.
func checkTime(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: within DURATION STATUS COMMAND [ARG ...]")
	}
	limit, err := time.ParseDuration(args[0])
	ts.Check(err)
	start := time.Now()
	checkExit(ts, false, args[1:])
	if took := time.Since(start); took > limit {
		ts.Fatalf("took %v, want at most %v", took, limit)
	}
}

// forgeries make a reply of what the kernel would have answered. None is a right one but "right".
var forgeries = map[string]func(*icmp.Message, *icmp.Echo){
	"right":   func(*icmp.Message, *icmp.Echo) {},
	"twice":   func(*icmp.Message, *icmp.Echo) {},
	"late":    func(*icmp.Message, *icmp.Echo) { time.Sleep(600 * time.Millisecond) },
	"payload": func(_ *icmp.Message, e *icmp.Echo) { e.Data[len(e.Data)-1] ^= 0xff },
	"nonce": func(_ *icmp.Message, e *icmp.Echo) {
		for i := range 8 {
			e.Data[i] ^= 0xff
		}
	},
	"shorter":  func(_ *icmp.Message, e *icmp.Echo) { e.Data = e.Data[:len(e.Data)-1] },
	"empty":    func(_ *icmp.Message, e *icmp.Echo) { e.Data = nil },
	"longer":   func(_ *icmp.Message, e *icmp.Echo) { e.Data = append(e.Data, 0) },
	"sequence": func(_ *icmp.Message, e *icmp.Echo) { e.Seq += 1000 },
	"ident":    func(_ *icmp.Message, e *icmp.Echo) { e.ID ^= 0xffff },
	"type": func(m *icmp.Message, _ *icmp.Echo) {
		m.Type = map[icmp.Type]icmp.Type{
			ipv4.ICMPTypeEchoReply: ipv4.ICMPTypeTimestampReply, ipv6.ICMPTypeEchoReply: ipv6.ICMPType(200),
		}[m.Type]
	},
}

// forge is "forge KIND COMMAND": while the command runs it answers all echo requests to 127.0.0.1 and ::1, beside the
// kernel or, where that is told to ignore them, in its place. The result is the command's exit status.
func forge(args []string) int {
	if len(args) < 2 || forgeries[args[0]] == nil {
		fmt.Fprintln(os.Stderr, "usage: forge KIND COMMAND [ARG ...]")
		return 99
	}
	for network, address := range map[string]string{"ip4:1": "127.0.0.1", "ip6:58": "::1"} {
		c, err := icmp.ListenPacket(network, address)
		if err != nil {
			fmt.Fprintln(os.Stderr, "forge:", err)
			return 99
		}
		defer c.Close()
		go forgeReplies(c, args[0])
	}
	return follow(args[1:])
}

// follow runs a command to its end. The result is its exit status.
func follow(args []string) int {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, args[0]+":", err)
		return 99
	}
	return cmd.ProcessState.ExitCode()
}

// forgeReplies answers until the socket is closed.
func forgeReplies(c *icmp.PacketConn, kind string) {
	b := make([]byte, 1<<16)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		reply, protocol := icmp.Type(ipv4.ICMPTypeEchoReply), 1
		if c.IPv6PacketConn() != nil {
			reply, protocol = ipv6.ICMPTypeEchoReply, 58
		}
		m, err := icmp.ParseMessage(protocol, b[:n])
		if err != nil || m.Type != ipv4.ICMPTypeEcho && m.Type != ipv6.ICMPTypeEchoRequest {
			continue
		}
		m.Type = reply
		forgeries[kind](m, m.Body.(*icmp.Echo))
		out, err := m.Marshal(nil) // the kernel sums ICMPv6 up
		if err != nil {
			fmt.Fprintln(os.Stderr, "forge:", err)
			return
		}
		c.WriteTo(out, from)
		if kind == "twice" {
			c.WriteTo(out, from)
		}
	}
}

// services are what "serve" can be: each does its work until the socket is closed.
var services = map[string]struct {
	// stream and datagram are nil for a service of the other protocol.
	stream   func(net.Listener) error
	datagram func(net.PacketConn) error
}{
	"tcp":         {stream: acceptEach(func(c net.Conn) { io.Copy(io.Discard, c) })},
	"tcp-backlog": {stream: fillBacklog},
	"tcp-closes":  {stream: acceptEach(func(c net.Conn) { c.Read(make([]byte, 1)) })},
	"tcp-writes":  {stream: acceptEach(func(c net.Conn) { io.Copy(c, zeros{}) })},
	"udp-echo":    {datagram: answer(1)},
	"udp-chatty":  {datagram: answer(2)},
	"udp-silent":  {datagram: answer(0)},
	"udp-unread":  {datagram: func(net.PacketConn) error { return nil }},
	"udp-forge":   {datagram: forgeDatagrams},
}

// serve is "serve KIND ADDRESS:PORT,… COMMAND": while the command runs such a service is there. The result is the
// command's exit status.
func serve(args []string) int {
	if len(args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: serve KIND ADDRESS:PORT,... COMMAND [ARG ...]")
		return 99
	}
	for address := range strings.SplitSeq(args[1], ",") {
		c, err := startService(args[0], address)
		if err != nil {
			fmt.Fprintln(os.Stderr, "serve:", err)
			return 99
		}
		defer c.Close()
	}
	status := follow(args[2:])
	if args[0] == "udp-forge" && forged.Load() == 0 {
		fmt.Fprintln(os.Stderr, "serve: found no socket to forge for")
		return 99
	}
	return status
}

// startService opens the socket of a service and lets it work.
func startService(kind, address string) (io.Closer, error) {
	switch s := services[kind]; {
	case s.stream != nil:
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil, err
		}
		return l, s.stream(l)
	case s.datagram != nil:
		c, err := net.ListenPacket("udp", address)
		if err != nil {
			return nil, err
		}
		return c, s.datagram(c)
	}
	return nil, fmt.Errorf("no kind of service %q", kind)
}

// acceptEach takes each connection and closes it when f is done with it.
func acceptEach(f func(net.Conn)) func(net.Listener) error {
	return func(l net.Listener) error {
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					f(c)
					c.Close()
				}()
			}
		}()
		return nil
	}
}

// zeros has no end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// fillBacklog accepts nothing, and fills the queue of a listener whose backlog is 1 (net.core.somaxconn): the kernel
// takes one connection more. They last as long as this process.
func fillBacklog(l net.Listener) error {
	for range 2 {
		if _, err := net.DialTimeout("tcp", l.Addr().String(), 20*time.Second); err != nil {
			return err
		}
	}
	return nil
}

// answer sends back what comes, some times.
func answer(times int) func(net.PacketConn) error {
	return func(c net.PacketConn) error {
		go func() {
			b := make([]byte, 1<<16)
			for {
				n, from, err := c.ReadFrom(b)
				if errors.Is(err, net.ErrClosed) {
					return
				}
				for range times {
					c.WriteTo(b[:n], from)
				}
			}
		}()
		return nil
	}
}

// forged counts the datagrams of forgeDatagrams.
var forged atomic.Uint64

// forgeDatagrams sends what a reply might be to every socket of UDP that comes to be in this namespace.
func forgeDatagrams(c net.PacketConn) error {
	go func() {
		for err := error(nil); !errors.Is(err, net.ErrClosed); time.Sleep(100 * time.Microsecond) {
			own := c.LocalAddr().(*net.UDPAddr)
			for _, port := range portsOfUDP() {
				if port != own.Port {
					_, err = c.WriteTo(make([]byte, 64), &net.UDPAddr{IP: own.IP, Port: port})
					forged.Add(1)
				}
			}
		}
	}()
	return nil
}

// portsOfUDP reads the local ports from /proc/net/udp and udp6: the second field is address:port, in hexadecimal.
func portsOfUDP() (list []int) {
	for _, name := range []string{"/proc/self/net/udp", "/proc/self/net/udp6"} {
		b, _ := os.ReadFile(name)
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) < 2 {
				continue
			}
			_, port, _ := strings.Cut(f[1], ":")
			if n, err := strconv.ParseUint(port, 16, 16); err == nil && n != 0 {
				list = append(list, int(n))
			}
		}
	}
	return list
}

// Helpers of the faults.

var faultCommands = map[string]func(*testscript.TestScript, bool, []string){
	"netns":     makeNamespace,
	"exits":     checkExit,
	"firewall":  makeFirewall,
	"healthy":   checkVerdict("healthy", 0),
	"informed":  checkVerdict("informed", 0),
	"degraded":  checkVerdict("degraded", 0),
	"unhealthy": checkVerdict("unhealthy", 1),
	"steady":    checkSteady,
	"mend":      checkFix,
}

// makeFirewall is "firewall HOOK RULE …": the namespace has one chain with these rules. "firewall" leaves none.
func makeFirewall(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("inns", "nft", "flush", "ruleset"))
	if len(args) == 0 {
		return
	}
	family, device := "inet", ""
	if args[0] == "ingress" || args[0] == "egress" {
		family, device = "netdev", "device lo "
	}
	script := fmt.Sprintf("add table %s t; add chain %[1]s t c { type filter hook %s %spriority 0; }", family, args[0], device)
	for _, rule := range args[1:] {
		script += fmt.Sprintf("; add rule %s t c %s", family, rule)
	}
	ts.Check(ts.Exec("inns", "nft", script))
}

// probers look at a fault. "all" are those over ICMP and nobody; root takes what the options say.
var probers = map[string][]string{
	"root":   {"lping"},
	"dgram":  {"lping", "--socket", "dgram"},
	"raw":    {"lping", "--socket", "raw"},
	"nobody": {"nobody", "lping"},
}

// checkVerdict is "unhealthy PROBER,… CODE,… [OPTION …]", and the same for degraded; "healthy" has no codes, "informed"
// is healthy with some. Each prober gives this verdict and these codes in this order, and no others. $THROUGH is a
// command to go through.
func checkVerdict(verdict string, status int) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		var codes []string
		if verdict != "healthy" && len(args) > 1 {
			codes = strings.Split(args[1], ",")
			args = slices.Delete(slices.Clone(args), 1, 2)
		}
		if neg || len(args) == 0 || verdict != "healthy" && codes == nil {
			ts.Fatalf("usage: %s PROBER,... [CODE,...] [OPTION ...]; no codes if healthy", verdict)
		}
		said := strings.Replace(verdict, "informed", "healthy", 1)
		for _, command := range named(ts, args[0]) {
			out := health(ts, status, slices.Concat(command, args[1:]))
			if err := checkAnswer(out, said, codes); err != nil {
				ts.Fatalf("%v: %v", command, err)
			}
		}
	}
}

// named are the commands of these probers.
func named(ts *testscript.TestScript, names string) (list [][]string) {
	if names == "all" {
		names = "dgram,raw,nobody"
	}
	for name := range strings.SplitSeq(names, ",") {
		if probers[name] == nil {
			ts.Fatalf("no prober %q", name)
		}
		list = append(list, probers[name])
	}
	return list
}

// maxAnswerTime is for a busy machine. An idle one needs less than 0.8 s.
const maxAnswerTime = 3 * time.Second

// health runs the command with --health in the namespace and returns what it says.
func health(ts *testscript.TestScript, status int, command []string) string {
	through := strings.Fields(ts.Getenv("THROUGH"))
	limit := []string{maxAnswerTime.String(), strconv.Itoa(status), "inns"}
	checkTime(ts, false, slices.Concat(limit, through, command, []string{"--health"}))
	if text := ts.ReadFile("stderr"); text != "" {
		ts.Fatalf("standard error is not empty: %q", text)
	}
	return ts.ReadFile("stdout")
}

// codeLine is where --health names a finding: after verdict, address and ratio, or on a line of its own.
var codeLine = regexp.MustCompile(`(?m)^(?:[a-z]+ \S+ \d+/\d+| ) ([a-z0-9_]+): (.*)$`)

// checkAnswer holds an answer to what --health promises: the verdict first, each code with cause and fix, in few bytes.
func checkAnswer(out, verdict string, codes []string) error {
	control := strings.ContainsFunc(strings.ReplaceAll(out, "\n", ""), unicode.IsControl)
	switch {
	case !strings.HasPrefix(out, verdict+" ") || !strings.HasSuffix(out, "\n"):
		return fmt.Errorf("want %s first and whole lines: %q", verdict, out)
	case len(out) >= 500 || control || !utf8.ValidString(out):
		return fmt.Errorf("want less than 500 bytes and no control characters: %d of %q", len(out), out)
	}
	for line := range strings.Lines(out) {
		if len(line) > 200 {
			return fmt.Errorf("want lines of at most 200 bytes: %d of %q", len(line), line)
		}
	}
	var got []string
	list := codeLine.FindAllStringSubmatch(out, -1)
	if first, _, _ := strings.Cut(out, "\n"); len(list) > 1 && strings.HasSuffix(first, "…") && list[len(list)-1][1] == list[0][1] {
		list = list[:len(list)-1] // in full what the first line cuts
	}
	for _, m := range list {
		got = append(got, m[1])
		if !strings.Contains(m[2], "; fix: ") {
			return fmt.Errorf("want a fix: %q", m[0])
		}
	}
	if !slices.Equal(got, codes) {
		return fmt.Errorf("want codes %q: %q", codes, out)
	}
	return nil
}

// checkSteady is "steady N [OPTION …]": all is well N times, to one prober after the other.
func checkSteady(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: steady N [OPTION ...]")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	all := []string{"dgram", "raw", "nobody"}
	for i := range n {
		checkVerdict("healthy", 0)(ts, false, slices.Concat(all[i%len(all):i%len(all)+1], args[1:]))
	}
}

// containerSetting is a sysctl in the words of a container runtime.
var containerSetting = regexp.MustCompile(`(net[.\w]+)(?:=|, value: )("[^"]*"|\d+)`)

// checkFix is "mend CODE [OPTION …]": the fix of this finding is done as it is written, and all is well then.
func checkFix(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: mend CODE [OPTION ...]")
	}
	_ = ts.Exec("inns", slices.Concat([]string{"lping", "-j"}, args[1:])...) // its status is that of the fault
	fix := fixOf(ts, args[0])
	if m := containerSetting.FindStringSubmatch(fix); m != nil {
		fix = "sysctl -qw " + m[1] + "=" + m[2] // the tests may run in a container, and this is a namespace in it
	}
	ts.Check(ts.Exec("inns", "sh", "-c", fix))
	// The kernel takes a new IPv6 address for its own a little after the call that adds it.
	ts.Check(ts.Exec("inns", "sh", "-c",
		"for i in $(seq 50); do ip -6 address show tentative | grep -q . || break; sleep 0.1; done; sleep 0.2"))
	all := "all"
	if slices.Contains(args, "--proto") {
		all = "root,nobody"
	}
	checkVerdict("healthy", 0)(ts, false, slices.Concat([]string{all}, args[1:]))
}

// fixOf finds the fix of a finding in the JSON that was just written.
func fixOf(ts *testscript.TestScript, code string) string {
	d := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	for {
		var e struct{ Type, Code, Fix string }
		if err := d.Decode(&e); err != nil {
			ts.Fatalf("finding %s: %v", code, err)
		}
		if e.Type == "finding" && e.Code == code {
			return e.Fix
		}
	}
}

// Helpers of the import law.

func checkImports(t *testing.T, src source) {
	t.Helper()
	allowed, known := importLaw[src.pkg]
	if !known {
		t.Errorf("%s: package %s is not in the import law: add it to importLaw in ping_test.go", src.path, src.pkg)
		return
	}
	for _, spec := range src.file.Imports {
		target, ours := strings.CutPrefix(importPath(spec), module+"/")
		if ours && !slices.Contains(allowed, "*") && !slices.Contains(allowed, target) {
			t.Errorf("%s imports %s: package %s may import of ours: %q", src.path, target, src.pkg, allowed)
		}
	}
}

func checkMainOnly(t *testing.T, src source) {
	t.Helper()
	if src.path == "main.go" {
		return
	}
	for _, spec := range src.file.Imports {
		from := importPath(spec)
		if names := mainOnly[from]; names != nil {
			reportUses(t, src, localName(spec), from, names)
		}
	}
}

// reportUses reports every use of the named things of package from, which the file calls local.
func reportUses(t *testing.T, src source, local, from string, names []string) {
	t.Helper()
	if local == "." {
		t.Errorf("%s: dot import of %s hides what is used of it", src.path, from)
	}
	ast.Inspect(src.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok || !slices.Contains(names, sel.Sel.Name) {
			return true
		}
		// An identifier that the parser resolved is a variable that shadows the package.
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == local && x.Obj == nil {
			t.Errorf("%s:%d uses %s.%s: only main.go may", src.path, src.line(sel.Pos()), from, sel.Sel.Name)
		}
		return true
	})
}

// Helpers of the layout.

// trackedNames returns the first path elements that git tracks, or none where git or its repository is missing.
func trackedNames(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("git", "ls-files", "-z").Output()
	if err != nil {
		t.Logf("git ls-files: %v; listing the directory", err)
		return nil
	}
	var names []string
	for file := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		name, _, _ := strings.Cut(file, "/")
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// namesOnDisk returns what the directory holds, less what .gitignore calls build output.
func namesOnDisk(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	ignore, err := os.ReadFile(".gitignore")
	if err != nil {
		t.Logf("%v; nothing is taken for build output", err)
	}
	patterns := strings.Fields(string(ignore))
	var names []string
	for _, entry := range entries {
		ignored := slices.ContainsFunc(patterns, func(pattern string) bool {
			ok, _ := path.Match(strings.TrimPrefix(pattern, "/"), entry.Name())
			return ok
		})
		if !ignored {
			names = append(names, entry.Name())
		}
	}
	return names
}

// Helpers that read the sources.

// source is one parsed Go file of this module.
type source struct {
	path string // from the top level, with slashes
	pkg  string // its directory, "." for the command
	test bool
	fset *token.FileSet
	file *ast.File
}

// sources parses every Go file that the go command would look at, whatever system it is for.
func sources(t *testing.T) []source {
	t.Helper()
	var list []source
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if hidden := strings.HasPrefix(entry.Name(), ".") || strings.HasPrefix(entry.Name(), "_"); name != "." && hidden ||
			entry.Name() == "testdata" {
			return skip(entry)
		}
		if entry.IsDir() || filepath.Ext(name) != ".go" {
			return nil
		}
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		name = filepath.ToSlash(name)
		test := strings.HasSuffix(name, "_test.go")
		list = append(list, source{path: name, pkg: path.Dir(name), test: test, fset: fset, file: file})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func skip(entry fs.DirEntry) error {
	if entry.IsDir() {
		return fs.SkipDir
	}
	return nil
}

func (s source) line(pos token.Pos) int { return s.fset.Position(pos).Line }

// imports reports whether the file imports the module or package root, or one below it.
func (s source) imports(root string) bool {
	return slices.ContainsFunc(s.file.Imports, func(spec *ast.ImportSpec) bool {
		return inTrees(importPath(spec), []string{root})
	})
}

// constrained reports whether a //go:build line or the file's name keeps the file from some systems.
func (s source) constrained(t *testing.T) bool {
	t.Helper()
	for _, group := range s.file.Comments {
		for _, comment := range group.List {
			if comment.Pos() < s.file.Package && constraint.IsGoBuild(comment.Text) {
				return true
			}
		}
	}
	// A file without a line that is left out on a system nobody has is left out for its name.
	nowhere := build.Context{GOOS: "none", GOARCH: "none", Compiler: "gc", OpenFile: emptyPackage}
	match, err := nowhere.MatchFile(".", path.Base(s.path))
	if err != nil {
		t.Fatal(err)
	}
	return !match
}

func emptyPackage(string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("package empty\n")), nil
}

func importPath(spec *ast.ImportSpec) string {
	// The parser let only valid string literals through.
	value, _ := strconv.Unquote(spec.Path.Value)
	return value
}

func localName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	return path.Base(importPath(spec))
}

func inTrees(name string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		return name == root || strings.HasPrefix(name, root+"/")
	})
}
