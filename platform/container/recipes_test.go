// Package container holds recipes and no code: these are the tests of the recipes.
package container

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// unique begins the names of all that these tests make.
var unique = fmt.Sprintf("lping-test-%d", os.Getpid())

// ours is the number of the process in a name that begins like unique. An engine may put its own name before it.
var ours = regexp.MustCompile(`^(?:localhost/)?lping-test-(\d+)(?:$|[-_])`)

// old reports whether a name is that of a run that was killed: its process is gone. Only Linux can say so.
func old(name string) bool {
	m := ours.FindStringSubmatch(name)
	if m == nil || runtime.GOOS != "linux" {
		return false
	}
	_, err := os.Stat("/proc/" + m[1])
	return err != nil
}

// built is a directory with lping as it is released, in the way that the prebuilt stage wants it: static and for all.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", unique+"-")
	if err != nil {
		return "", err
	}
	atEnd = append(atEnd, func() { os.RemoveAll(dir) })
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "urfave_cli_no_docs", "-ldflags", "-s -w",
		"-o", filepath.Join(dir, binary()), "lping")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, os.Chmod(dir, 0o755)
})

func binary() string {
	if runtime.GOOS == "windows" {
		return "lping.exe"
	}
	return "lping"
}

func buildLping(t *testing.T) (dir, path string) {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return dir, filepath.Join(dir, binary())
}

// atEnd is what the tests leave to the end of all.
var atEnd []func()

func TestMain(m *testing.M) {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), "lping-test-*"))
	for _, dir := range dirs {
		if old(filepath.Base(dir)) {
			os.RemoveAll(dir)
		}
	}
	status := m.Run()
	for _, f := range slices.Backward(atEnd) {
		f()
	}
	os.Exit(status)
}

// recipes are the files of this directory, and how many commands with lping each has.
var recipes = map[string]int{
	"Dockerfile": 1, "compose.yaml": 1, "app.container": 1, "pod.yaml": 1,
	"web-compose.yaml": 1, "web.container": 1, "web-pod.yaml": 2, "ecs-task.json": 1, "app.nomad.hcl": 1,
	"consul.json": 1, "lping.service": 1, "lping.timer": 0, "lping-textfile.service": 0, "lping-textfile.timer": 0,
	"nagios.cfg": 1, "icinga2-command.conf": 1, "icinga2-service.conf": 0, "README.md": 3,
}

func TestEveryRecipeIsTested(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if _, known := recipes[entry.Name()]; !known && filepath.Ext(entry.Name()) != ".go" {
			t.Errorf("%s is not in recipes: say how many commands it has, and test the rest of it", entry.Name())
		}
	}
}

// TestCommands runs the command of each recipe as it stands there. Its answer is one line that begins with a verdict,
// with the status that the scheme has for it.
func TestCommands(t *testing.T) {
	_, path := buildLping(t)
	for file, n := range recipes {
		t.Run(file, func(t *testing.T) {
			commands := commandsOf(readRecipe(t, file))
			if len(commands) != n {
				t.Fatalf("commands: got %q, want %d", commands, n)
			}
			for _, args := range commands {
				out, status := run(t, 30*time.Second, append([]string{path}, args...)...)
				if !slices.ContainsFunc(answers, func(a answer) bool { return a.of(args, out, status) }) {
					t.Errorf("lping %q: status %d, %s", args, status, out)
				}
			}
		})
	}
}

// answer is what the words of a command lead to.
type answer struct {
	words  string
	begins string
	status int
}

var answers = []answer{
	{"--health", "healthy ", 0},
	{"--health", "unhealthy ", 1},
	{"--format line --exit nagios", "healthy ", 0},
	{"--format line --exit nagios", "unhealthy ", 2},
	{"--format nagios", "LPING OK - ", 0},
	{"--format nagios", "LPING CRITICAL - ", 2},
}

func (a answer) of(args []string, out string, status int) bool {
	return strings.Contains(strings.Join(args, " "), a.words) && strings.HasPrefix(out, a.begins) && status == a.status
}

// command is what follows lping in a probe, whatever the file's syntax; in Nomad the arguments have a line of their own.
var command = regexp.MustCompile(`(?m)^\s*[^#\s].*?/lping"?(?:\n\s*args\s*=|,)?(.*(?:--health|nagios).*)$`)

func commandsOf(recipe string) (list [][]string) {
	for _, m := range command.FindAllStringSubmatch(recipe, -1) {
		end, _, _ := strings.Cut(m[1], "]")
		end = strings.TrimRight(end, `\ `)
		var args []string
		for _, word := range strings.FieldsFunc(end, func(r rune) bool { return strings.ContainsRune(` "'[`, r) }) {
			if word = strings.TrimSuffix(word, ","); word != "" {
				args = append(args, word)
			}
		}
		list = append(list, args)
	}
	return list
}

func TestJSONRecipes(t *testing.T) {
	var task ecsTask
	readJSON(t, "ecs-task.json", &task)
	var service consulService
	readJSON(t, "consul.json", &service)
	if len(task.ContainerDefinitions) != 1 {
		t.Fatalf("containers: %+v", task)
	}
	c := task.ContainerDefinitions[0]
	// The bounds are those of the Amazon ECS API reference, HealthCheck.
	if h := c.HealthCheck; h.Command[0] != "CMD" || h.Interval < 5 || h.Interval > 300 || h.Timeout < 2 || h.Timeout > 60 ||
		h.Retries < 1 || h.Retries > 10 || h.StartPeriod > 300 {
		t.Errorf("health check: %+v", h)
	}
	if s := c.SystemControls; len(s) != 1 || s[0].Namespace != rangeSysctl || s[0].Value != ourRange || c.User != ourUser {
		t.Errorf("system controls: %+v, user %s", s, c.User)
	}
	if task.NetworkMode != "awsvpc" { // the sysctls of another belong to the host
		t.Errorf("network mode %s", task.NetworkMode)
	}
}

// What the recipes have in common: a user and a group, which is all that the range needs.
const (
	rangeSysctl = "net.ipv4.ping_group_range"
	ourUser     = "65534:65534"
	ourRange    = "65534 65534"
)

// readJSON decodes a recipe, whose keys are known and written as its reader wants them.
func readJSON(t *testing.T, file string, into any) {
	t.Helper()
	recipe := readRecipe(t, file)
	d := json.NewDecoder(strings.NewReader(recipe))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	again, err := json.Marshal(into)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`"(\w+)":`).FindAllStringSubmatch(recipe, -1) {
		if !strings.Contains(string(again), m[0]) {
			t.Errorf("%s: %s is spelled in another way", file, m[1])
		}
	}
}

// ecsTask has the parameters of a task definition that the recipe needs.
type ecsTask struct {
	Family               string `json:"family"`
	NetworkMode          string `json:"networkMode"`
	ContainerDefinitions []struct {
		Name                   string `json:"name"`
		Image                  string `json:"image"`
		User                   string `json:"user"`
		Essential              bool   `json:"essential"`
		Memory                 int    `json:"memory"`
		ReadonlyRootFilesystem bool   `json:"readonlyRootFilesystem"`
		LinuxParameters        struct {
			Capabilities struct {
				Drop []string `json:"drop"`
			} `json:"capabilities"`
		} `json:"linuxParameters"`
		SystemControls []struct {
			Namespace string `json:"namespace"`
			Value     string `json:"value"`
		} `json:"systemControls"`
		HealthCheck struct {
			Command     []string `json:"command"`
			Interval    int      `json:"interval"`
			Timeout     int      `json:"timeout"`
			Retries     int      `json:"retries"`
			StartPeriod int      `json:"startPeriod"`
		} `json:"healthCheck"`
	} `json:"containerDefinitions"`
}

// consulService has the parameters of a check definition of Consul.
type consulService struct {
	Check struct {
		ID       string   `json:"id"`
		Name     string   `json:"name"`
		Args     []string `json:"args"`
		Interval string   `json:"interval"`
		Timeout  string   `json:"timeout"`
	} `json:"check"`
}

// TestNomad has the syntax of the job read; what the names in it mean is Nomad's to know.
func TestNomad(t *testing.T) {
	needs(t, "hclfmt", "the job for Nomad")
	if out, status := run(t, time.Minute, "hclfmt", "-check", "app.nomad.hcl"); status != 0 {
		t.Errorf("hclfmt: status %d\n%s", status, out)
	}
}

// TestUnits has systemd read the units, with the binary where it is here.
func TestUnits(t *testing.T) {
	needs(t, "systemd-analyze", "the units")
	_, path := buildLping(t)
	dir := t.TempDir()
	verify := []string{"systemd-analyze", "verify", "--man=no"}
	for _, file := range []string{"lping.service", "lping.timer", "lping-textfile.service", "lping-textfile.timer"} {
		text := strings.ReplaceAll(readRecipe(t, file), "/usr/local/bin/lping", path)
		writeFile(t, filepath.Join(dir, file), text)
		verify = append(verify, filepath.Join(dir, file))
	}
	out, status := run(t, time.Minute, verify...)
	if status != 0 || strings.Contains(out, dir) {
		t.Errorf("systemd-analyze verify: status %d\n%s", status, out)
	}
}

// TestQuadlet has Podman's generator make a unit of the Quadlet recipe, whose command line must say what the recipe says.
func TestQuadlet(t *testing.T) {
	t.Run("app", func(t *testing.T) {
		checkQuadlet(t, "app.container", [][]string{
			{"--health-cmd", `["/lping", "--health"]`}, {"--health-retries", "1"},
			{"--cap-drop", "all"}, {"--security-opt", "no-new-privileges"},
		})
	})
	t.Run("web", func(t *testing.T) {
		checkQuadlet(t, "web.container", [][]string{
			{"--health-cmd", `["/lping", "--health", "127.0.0.1", "localhost:8080"]`}, {"--health-retries", "3"},
		})
	})
}

func checkQuadlet(t *testing.T, file string, wants [][]string) {
	t.Helper()
	generator := quadlet()
	if generator == "" {
		t.Skip("needs quadlet, which is part of Podman from 4.4 on and reads " + file)
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, file), readRecipe(t, file))
	out, status := run(t, time.Minute, "env", "QUADLET_UNIT_DIRS="+dir, generator, "-dryrun")
	m := regexp.MustCompile(`(?m)^ExecStart=(.*)$`).FindStringSubmatch(out)
	if status != 0 || m == nil {
		t.Fatalf("quadlet -dryrun: status %d\n%s", status, out)
	}
	var words []string
	for _, word := range regexp.MustCompile(`"(?:\\.|[^"\\])*"|\S+`).FindAllString(m[1], -1) {
		if strings.HasPrefix(word, `"`) { // systemd's escapes are among Go's
			unquoted, err := strconv.Unquote(word)
			if err != nil {
				t.Fatalf("%s: %v", word, err)
			}
			word = unquoted
		}
		if option, value, ok := strings.Cut(word, "="); ok && strings.HasPrefix(option, "--") { // the generator has both ways
			words = append(words, option, value)
		} else {
			words = append(words, word)
		}
	}
	for _, want := range slices.Concat(wants, [][]string{
		{"--sysctl", rangeSysctl + "=" + ourRange}, {"--user", ourUser},
		{"--health-interval", "30s"}, {"--health-timeout", "2s"}, {"--health-on-failure", "kill"},
	}) {
		i := slices.Index(words, want[0])
		if i < 0 || !slices.Equal(words[i:min(i+2, len(words))], want) || slices.Contains(words[i+1:], want[0]) {
			t.Errorf("not %q, or more than once, in %q", want, words)
		}
	}
}

// quadlet is where the generator is: Podman's packages keep it out of PATH.
func quadlet() string {
	for _, name := range []string{"quadlet", "/usr/libexec/podman/quadlet", "/usr/lib/podman/quadlet"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// TestPod has kubectl read the pod, without a cluster.
func TestPod(t *testing.T) {
	t.Run("app", func(t *testing.T) { checkPod(t, "pod.yaml", []string{"/lping", "--health"}) })
	t.Run("web", func(t *testing.T) {
		checkPod(t, "web-pod.yaml", []string{"/lping", "--health", "127.0.0.1", "http://127.0.0.1:8080/healthz"})
	})
}

func checkPod(t *testing.T, file string, command []string) {
	t.Helper()
	needs(t, "kubectl", "the pod")
	out, status := run(t, time.Minute, "kubectl", "set", "env", "--local", "-f", file, "-o", "json", "A=b")
	if status != 0 {
		t.Fatalf("kubectl: status %d\n%s", status, out)
	}
	var pod struct {
		Spec struct {
			SecurityContext struct {
				RunAsNonRoot          bool
				RunAsUser, RunAsGroup int
				Sysctls               []struct{ Name, Value string }
			}
			Containers []struct {
				ReadinessProbe struct{ Exec struct{ Command []string } }
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &pod); err != nil {
		t.Fatal(err)
	}
	// kubectl drops what it does not know.
	for _, m := range regexp.MustCompile(`(?m)^[ -]*(\w+):`).FindAllStringSubmatch(readRecipe(t, file), -1) {
		if !strings.Contains(out, `"`+m[1]+`":`) {
			t.Errorf("kubectl does not know %s", m[1])
		}
	}
	c := pod.Spec.SecurityContext
	if len(c.Sysctls) != 1 || c.Sysctls[0].Name != rangeSysctl || c.Sysctls[0].Value != ourRange {
		t.Errorf("sysctls: %+v", c.Sysctls)
	}
	if !c.RunAsNonRoot || fmt.Sprintf("%d:%d", c.RunAsUser, c.RunAsGroup) != ourUser {
		t.Errorf("security context: %+v", c)
	}
	if c := pod.Spec.Containers; len(c) != 1 || !slices.Equal(c[0].ReadinessProbe.Exec.Command, command) {
		t.Errorf("containers: %+v", c)
	}
}

// Helpers.

func readRecipe(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// needs skips a test that asks a tool for its judgement where that is not here.
func needs(t *testing.T, tool, what string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		t.Skipf("needs %s, which reads %s", tool, what)
	}
}

// run runs a command for so long and returns what it wrote, and its status; -1 if it did not end by itself.
func run(t *testing.T, limit time.Duration, command ...string) (out string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = environment()
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Errorf("%q: not done in %v\n%s", command, limit, b.String())
		return b.String(), -1
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Errorf("%q: %v", command, err)
		return b.String(), -1
	} else if ok {
		return b.String(), exit.ExitCode()
	}
	return b.String(), 0
}

// environment is ours without what would change lping, and with what the engines need.
func environment() []string {
	list := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "LPING_") })
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		list = append(list, "DISABLE_HC_SYSTEMD=true") // Podman would ask systemd for a timer
	}
	return list
}
