package container

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hardened is what a careful host allows.
var hardened = []string{
	"--network", "none", "--cap-drop", "ALL", "--user", "65534:65534", "--read-only",
	"--security-opt", "no-new-privileges", "--memory", "32m", "--pids-limit", "16",
}

// Values of net.ipv4.ping_group_range.
const (
	open   = "--sysctl=net.ipv4.ping_group_range=0 2147483647"
	zero   = "--sysctl=net.ipv4.ping_group_range=0 0"
	closed = "--sysctl=net.ipv4.ping_group_range=1 0"
)

const (
	byICMP = `^healthy 127\.0\.0\.1 5/5 p50=\S+ p99=\S+ method=icmp-dgram\n$`
	byRaw  = `^healthy 127\.0\.0\.1 5/5 p50=\S+ p99=\S+ method=icmp-raw\n$`
	// byUDP says which engine is to be told.
	byUDP = `^healthy 127\.0\.0\.1 5/5 p50=\S+ p99=\S+ method=udp\n  icmp_not_permitted: ICMP sockets are not permitted here; ` +
		`fix: ENGINE run --sysctl net\.ipv4\.ping_group_range="0 2147483647"\n$`
	ipv6Off = `^unhealthy ::1 0/0 ipv6_disabled: IPv6 is switched off on the loopback interface; ` +
		`fix: ENGINE run --sysctl net\.ipv6\.conf\.all\.disable_ipv6=0\n`
	ipv6Switch = "--sysctl=net.ipv6.conf.all.disable_ipv6="
)

// places are who may open which socket, in containers without a network of their own unless one is given.
var places = []struct {
	name    string
	options []string
	args    []string
	status  int
	want    string
	only    string
}{
	{name: "range open", options: []string{open}, want: byICMP},
	{name: "range closed", options: []string{closed}, want: byUDP},
	{name: "range of group 0", options: []string{zero}, want: byUDP},
	{name: "range of group 0, which is ours", options: []string{zero, "--user=65534:0"}, want: byICMP},
	{name: "range of group 0, which is ours too", options: []string{zero, "--group-add=0"}, want: byICMP},
	{name: "Docker's own range", want: byICMP, only: "docker"},
	{name: "Podman's own range", want: byUDP, only: "podman"},
	{name: "root with NET_RAW alone", options: []string{closed, "--user=0", "--cap-drop=ALL", "--cap-add=NET_RAW"}, want: byRaw},
	{name: "root without capabilities", options: []string{closed, "--user=0", "--cap-drop=ALL"}, want: byUDP},
	{name: "NET_RAW for who is not root", options: []string{closed, "--cap-add=NET_RAW"}, want: byUDP, only: "docker"},
	{name: "NET_RAW, ambient", options: []string{closed, "--cap-add=NET_RAW"}, want: byRaw, only: "podman"},
	{name: "hardened, range open", options: append([]string{open}, hardened...), want: byICMP},
	{name: "hardened, range closed", options: append([]string{closed}, hardened...), want: byUDP},
	{name: "default network", options: []string{"--network", "default", open}, want: byICMP},
	{name: "network of the host", options: []string{"--network", "host"},
		want: `^healthy 127\.0\.0\.1 5/5 .* method=(icmp-dgram\n|udp\n  icmp_not_permitted: .*; fix: sysctl -w net\.ipv4\.ping_group_range="0 2147483647" # on the host\n)$`},
	{name: "IPv6 off", options: []string{open, ipv6Switch + "1"}, args: []string{"-6"}, status: 1, want: ipv6Off},
	{name: "IPv6 off, both asked", options: []string{open, ipv6Switch + "1"}, args: []string{"-46"}, status: 1, want: ipv6Off[:len(ipv6Off)-2]},
	{name: "IPv6 on", options: []string{open, ipv6Switch + "0"}, args: []string{"-6"}, want: `^healthy ::1 5/5 .* method=icmp-dgram\n$`},
	{name: "IPv6 on, both asked", options: []string{open, ipv6Switch + "0"}, args: []string{"-46"},
		want: `^healthy 127\.0\.0\.1 5/5 .*, ::1 5/5 .* method=icmp-dgram\n$`},
	{name: "a user namespace", options: []string{closed, "--uidmap=0:100000:65536"}, only: "podman",
		want: `^healthy 127\.0\.0\.1 5/5 .* method=udp\n  icmp_not_permitted: .*; fix: podman run --sysctl net\.ipv4\.ping_group_range="65534 65534"\n$`},
	{name: "a user namespace, its fix", only: "podman", want: byICMP,
		options: []string{"--sysctl=net.ipv4.ping_group_range=65534 65534", "--uidmap=0:100000:65536"}},
	{name: "5 process ids", options: []string{open, "--pids-limit=5", "-e=GOMAXPROCS=2"}, want: byICMP},
	{name: "6 MB", options: []string{open, "--memory=6m", "--memory-swap=6m"}, want: byICMP},
}

func TestPlaces(t *testing.T) {
	onEngines(t, func(t *testing.T, e *engine) {
		for _, p := range places {
			if p.only != "" && p.only != e.name {
				continue
			}
			t.Run(p.name, func(t *testing.T) {
				options := p.options
				if !slices.Contains(options, "--network") {
					options = append([]string{"--network", "none"}, options...)
				} else if i := slices.Index(options, "default"); i >= 0 {
					options = slices.Delete(slices.Clone(options), i-1, i+1)
				}
				out, status := e.once(t, options, append([]string{"--health"}, p.args...))
				want := strings.ReplaceAll(p.want, "ENGINE", e.name)
				if status != p.status || !regexp.MustCompile(want).MatchString(out) || len(out) >= 500 {
					t.Errorf("status %d, want %d, and %s:\n%s", status, p.status, want, out)
				}
			})
		}
	})
}

// TestFix does what the finding says, as it is written.
func TestFix(t *testing.T) {
	onEngines(t, func(t *testing.T, e *engine) {
		out, _ := e.once(t, append(slices.Clone(hardened), closed), []string{"--health"})
		m := regexp.MustCompile(`fix: (?:docker|podman) run --sysctl (\S+)="([^"]+)"`).FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("no fix: %s", out)
		}
		out, status := e.once(t, append(slices.Clone(hardened), "--sysctl", m[1]+"="+m[2]), []string{"--health"})
		if status != 0 || !regexp.MustCompile(byICMP).MatchString(out) {
			t.Errorf("mended: status %d\n%s", status, out)
		}
	})
}

// faults are done to a container from outside.
var faults = []struct {
	name, want string
	do, undo   []string
}{
	{"echo ignored", "echo_ignored: ",
		[]string{"sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=1"}, []string{"sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=0"}},
	{"lo down", "lo_down: interface lo is down; fix: ip link set lo up # from the host: nsenter -t PID -n",
		[]string{"ip", "link", "set", "lo", "down"}, []string{"ip", "link", "set", "lo", "up"}},
	{"a firewall", "fw_output: ",
		[]string{"nft", "add table inet t; add chain inet t c { type filter hook output priority 0; }; add rule inet t c oifname lo drop"},
		[]string{"nft", "delete table inet t"}},
}

// TestHealth breaks the loopback of a container from outside, and mends it. The first check that begins after that must
// see it, so that the engine knows within its interval.
func TestHealth(t *testing.T) {
	onEngines(t, func(t *testing.T, e *engine) {
		options := []string{open, "--health-interval=1s", "--health-timeout=10s", "--health-retries=1"}
		if command := probe(t); e.name == "podman" { // Docker has a shell run it, and uses the image's own here
			options = append(options, "--health-cmd", command)
		}
		name := e.start(t, append(slices.Clone(hardened), options...), []string{"-q", "-c0", "-i1"})
		e.await(t, name, "healthy")
		e.breakAndMend(t, name)
	})
}

// breakAndMend does each fault to a container that is healthy.
func (e *engine) breakAndMend(t *testing.T, name string) {
	t.Helper()
	ns := e.network(t, name)
	var took []time.Duration
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			inside(t, ns, f.do...)
			broken := time.Now()
			took = append(took, checkLog(t, e.await(t, name, "unhealthy"), broken, 1, regexp.MustCompile(`^unhealthy 127\.0\.0\.1 0/5 `+f.want)))
			inside(t, ns, f.undo...)
			mended := time.Now()
			took = append(took, checkLog(t, e.await(t, name, "healthy"), mended, 0, regexp.MustCompile(`^healthy 127\.0\.0\.1 5/5 p50=`)))
		})
	}
	if len(took) > 0 && slices.Min(took) > 2*time.Second { // of a busy machine, the engine's own time included
		t.Errorf("no check took less than %v", slices.Min(took))
	}
}

// probe is the health command of the Podman recipe, as its command line takes it.
func probe(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile(`--health-cmd '(.*)'`).FindStringSubmatch(readRecipe(t, "README.md"))
	if m == nil || !strings.Contains(readRecipe(t, "app.container"), "HealthCmd="+m[1]+"\n") {
		t.Fatalf("README.md and app.container differ: %q", m)
	}
	return m[1]
}

// checkLog checks the first entry since then, and says how long that check took.
func checkLog(t *testing.T, h health, since time.Time, status int, want *regexp.Regexp) time.Duration {
	t.Helper()
	for _, entry := range h.Log {
		if entry.Start.Before(since) {
			continue
		}
		if entry.ExitCode != status || !want.MatchString(entry.Output) {
			t.Errorf("the first check since then: status %d, want %d, and %s: %s", entry.ExitCode, status, want, entry.Output)
		}
		t.Logf("known %.1f s later: %s", entry.End.Sub(since).Seconds(), strings.TrimSpace(entry.Output))
		return entry.End.Sub(entry.Start)
	}
	t.Fatalf("no check since %v: %+v", since, h)
	return 0
}

// TestStop: as process 1 lping must ask for the signal, or the engine waits 10 s and kills it.
func TestStop(t *testing.T) {
	onEngines(t, func(t *testing.T, e *engine) {
		bestOf(t, time.Second, func() time.Duration {
			name := e.start(t, append(slices.Clone(hardened), open, "--no-healthcheck"), []string{"-c0"})
			for tries := 0; !strings.Contains(e.do(t, "logs", name), "icmp_seq=3 "); tries++ {
				if tries > 100 {
					t.Fatal("it does not begin")
				}
				time.Sleep(100 * time.Millisecond)
			}
			start := time.Now()
			e.do(t, "stop", name)
			took := time.Since(start)
			if s := e.state(t, name); s.ExitCode != 0 {
				t.Errorf("exit status %d", s.ExitCode)
			}
			want := regexp.MustCompile(`\n--- 127\.0\.0\.1 ping statistics ---\n\d+ packets transmitted, \d+ received, 0% packet loss, `)
			if out := e.do(t, "logs", name); !want.MatchString(out) {
				t.Errorf("no summary:\n%s", out)
			}
			return took
		})
	})
}

// bestOf does something until it takes less than the limit, three times at most: this machine may be busy.
func bestOf(t *testing.T, limit time.Duration, do func() time.Duration) {
	t.Helper()
	for range 3 {
		took := do()
		t.Log(took)
		if took < limit {
			return
		}
	}
	t.Errorf("never in less than %v", limit)
}

// TestStarved gives lping 1 % of a processor. The engine's own work counts too, so the time is that of process 1, and the start
// of the container is in it.
func TestStarved(t *testing.T) {
	onEngines(t, func(t *testing.T, e *engine) {
		options := []string{"--network", "none", open, "--no-healthcheck", "--cpu-period=100000", "--cpu-quota=1000"}
		bestOf(t, 3*time.Second, func() time.Duration {
			name := e.start(t, options, []string{"--health"})
			var s state
			for end := time.Now().Add(patience); s.FinishedAt.Year() < 2000 && time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
				s = e.state(t, name)
			}
			if out := e.do(t, "logs", name); s.ExitCode != 0 || !strings.HasPrefix(out, "healthy 127.0.0.1 5/5 ") {
				t.Errorf("status %d: %s", s.ExitCode, out)
			}
			return s.FinishedAt.Sub(s.StartedAt)
		})
	})
}

// TestAbort shows what it looks like where the Go runtime itself cannot go on: it needs a thread.
func TestAbort(t *testing.T) {
	onEngines(t, func(t *testing.T, e *engine) {
		out, status := e.once(t, []string{"--network", "none", open, "--pids-limit=2"}, []string{"--health"})
		if status != 2 || !strings.HasPrefix(out, "runtime: failed to create new OS thread") {
			t.Errorf("status %d\n%s", status, out)
		}
	})
}

// TestLeftovers: many checks in a container leave nothing in it, although they may write there.
func TestLeftovers(t *testing.T) {
	onEngines(t, func(t *testing.T, e *engine) {
		options := []string{"--network", "none", "--user", "65534:65534", "--tmpfs", "/tmp:mode=1777", open, "--no-healthcheck"}
		name := e.start(t, options, []string{"-q", "-c0", "-i1"})
		e.do(t, "exec", name, "/lping", "--health")
		pid := e.state(t, name).Pid
		e.network(t, name)
		time.Sleep(time.Second) // the engine's own process for a command may still be on its way out
		before, changes := leftovers(t, pid), e.do(t, "diff", name)
		for range 1000 {
			inside(t, fmt.Sprintf("/proc/%d/ns/net", pid), "nsenter", "--target", strconv.Itoa(pid), "--mount", "--pid",
				"--setgid=65534", "--setuid=65534", "/lping", "--health", "-i0")
		}
		for range 3 { // by way of the engine
			e.do(t, "exec", name, "/lping", "--health")
		}
		time.Sleep(time.Second)
		if after := leftovers(t, pid); after != before {
			t.Errorf("after the checks:\n%s\nbefore:\n%s", after, before)
		}
		if out := e.do(t, "diff", name); out != changes {
			t.Errorf("files were changed:\n%s", out)
		}
	})
}

// leftovers are the processes that share the container's network namespace, the sockets in that, the descriptors of process 1,
// and the files in its /tmp.
func leftovers(t *testing.T, pid int) string {
	t.Helper()
	ours, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		t.Fatal(err)
	}
	spaces, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	processes := 0
	for _, s := range spaces {
		if theirs, _ := os.Readlink(s); theirs == ours {
			processes++
		}
	}
	text := fmt.Sprintf("%d processes", processes)
	for _, table := range []string{"icmp", "icmp6", "raw", "raw6", "udp", "udp6", "tcp", "tcp6", "unix", "netlink", "packet"} {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		text += fmt.Sprintf(", %d %s", strings.Count(string(b), "\n"), table)
	}
	files, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	temporary, err := os.ReadDir(fmt.Sprintf("/proc/%d/root/tmp", pid))
	if err != nil {
		t.Fatal(err)
	}
	return text + fmt.Sprintf(", %d descriptors, %d files", len(files), len(temporary))
}

// TestNothing runs lping where there is nothing but its file: no /etc, no /proc, no environment.
func TestNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, for chroot")
	}
	dir, _ := buildLping(t)
	cmd := exec.Command("/lping", "--health")
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: dir, Cloneflags: syscall.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	if want := "unhealthy 127.0.0.1 0/1 lo_down: "; err == nil || !strings.HasPrefix(string(out), want) {
		t.Errorf("lo down: got %v, %s; want %s", err, out, want)
	}
	cmd = exec.Command("/lping", "--health", "localhost")
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: dir}
	if out, err := cmd.CombinedOutput(); err != nil || !regexp.MustCompile(`^(healthy|degraded) 127\.0\.0\.1 5/5 `).Match(out) {
		t.Errorf("localhost: %v, %s", err, out)
	}
}

// TestCompose starts the Compose recipe with our image and a short interval.
func TestCompose(t *testing.T) {
	if !slices.Contains(asked(t), "docker") {
		return
	}
	compose, modern := composeCommand(t)
	dir := t.TempDir()
	recipe := readRecipe(t, "compose.yaml")
	if !modern {
		t.Log("Compose or the engine is too old for start_interval: left out")
		recipe = regexp.MustCompile(`(?m)^ +start_interval: .*\n`).ReplaceAllString(recipe, "")
	}
	writeFile(t, filepath.Join(dir, "compose.yaml"), recipe)
	files := slices.Concat(compose, []string{"--project-name", unique, "--file", filepath.Join(dir, "compose.yaml")})
	if out, status := run(t, patience, append(files, "config")...); status != 0 {
		t.Fatalf("config: status %d\n%s", status, out)
	}
	if out, status := run(t, patience, slices.Concat(compose, []string{"--file", "web-compose.yaml", "config"})...); status != 0 {
		t.Errorf("web-compose.yaml: config: status %d\n%s", status, out)
	}
	onEngines(t, func(t *testing.T, e *engine) {
		if e.name != "docker" {
			return
		}
		writeFile(t, filepath.Join(dir, "test.yaml"), "services: {app: {image: "+e.image+
			", command: [-q, -c0, -i1], network_mode: none, healthcheck: {interval: 1s}}}\n")
		files := append(files, "--file", filepath.Join(dir, "test.yaml"))
		t.Cleanup(func() { run(t, patience, append(files, "down", "--volumes", "--timeout", "1")...) })
		if out, status := run(t, patience, append(files, "up", "--detach", "--no-build")...); status != 0 {
			t.Fatalf("up: status %d\n%s", status, out)
		}
		id, _ := run(t, patience, append(files, "ps", "--quiet")...)
		e.await(t, strings.TrimSpace(id), "healthy")
	})
}

// composeCommand is Docker Compose, if it is here, and whether it and the engine, from 25 on, know start_interval.
func composeCommand(t *testing.T) (command []string, modern bool) {
	t.Helper()
	needs(t, "docker", "compose.yaml")
	if _, status := run(t, time.Minute, "docker", "compose", "version"); status == 0 {
		out, _ := run(t, time.Minute, "docker", "version", "--format", "{{.Server.Version}}")
		major, _, _ := strings.Cut(out, ".")
		n, _ := strconv.Atoi(major)
		return []string{"docker", "compose"}, n >= 25
	}
	needs(t, "docker-compose", "compose.yaml")
	return []string{"docker-compose"}, false
}
