package container

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// patience is for one command to an engine on a busy machine.
const patience = 2 * time.Minute

// engine is a container engine that runs containers here, with the image that the Dockerfile makes.
type engine struct {
	name string
	// command is the engine's own, and options what every run needs here.
	command, options []string
	image            string
}

// engines are those that there are tests for.
var engines = map[string]func(t *testing.T) (*engine, error){"docker": openDocker, "podman": openPodman}

var opened = map[string]*engine{}

// asked are the engines that LPING_TEST_ENGINES names. No other is touched: a test builds images and runs containers.
func asked(t *testing.T) []string {
	t.Helper()
	names, ok := os.LookupEnv("LPING_TEST_ENGINES")
	if !ok {
		t.Skip("needs LPING_TEST_ENGINES=\"docker podman\", or one of them: builds an image there and runs containers")
	}
	return strings.Fields(names)
}

// onEngines runs a test on each engine that is asked for, and skips it if one does not answer.
func onEngines(t *testing.T, test func(t *testing.T, e *engine)) {
	for _, name := range asked(t) {
		t.Run(name, func(t *testing.T) {
			if os.Geteuid() != 0 {
				t.Skip("needs root, to break the network namespaces of its containers")
			}
			e := opened[name]
			if e == nil {
				var err error
				if engines[name] == nil {
					t.Fatalf("LPING_TEST_ENGINES: no test knows the engine %q", name)
				}
				if e, err = engines[name](t); err != nil {
					t.Skipf("needs an engine that answers, %s: %v", name, err)
				}
				e.removeOld(t)
				e.build(t)
				opened[name] = e
			}
			test(t, e)
		})
	}
}

// lowLimits stand for Podman's own, which are more than a root without CAP_SYS_RESOURCE can give.
var lowLimits = []string{"--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"}

var errNoEngine = errors.New("runs no container here")

func openDocker(t *testing.T) (*engine, error) {
	e := &engine{name: "docker", command: []string{"docker"}, image: unique}
	if _, err := exec.LookPath("docker"); err != nil {
		return nil, fmt.Errorf("install docker.io and start dockerd: %w", err)
	}
	if out, status := run(t, 30*time.Second, "docker", "version", "--format", "{{.Server.Version}}"); status != 0 {
		return nil, fmt.Errorf("start dockerd, or let this user reach it: %s", strings.TrimSpace(out))
	}
	return e, nil
}

// openPodman takes the first low-level runtime that runs a container: crun wants a cgroup hierarchy of one version.
func openPodman(t *testing.T) (*engine, error) {
	e := &engine{name: "podman", image: "localhost/" + unique, options: lowLimits}
	if _, err := exec.LookPath("podman"); err != nil {
		return nil, fmt.Errorf("install podman and crun or runc: %w", err)
	}
	dir, root := t.TempDir(), ""
	_, path := buildLping(t)
	root = filepath.Join(dir, "root")
	if err := errors.Join(os.Mkdir(root, 0o755), copyFile(filepath.Join(root, "lping"), path)); err != nil {
		return nil, err
	}
	result := errNoEngine
	for _, low := range []string{"crun", "runc"} {
		e.command = []string{"podman", "--runtime", low}
		args := slices.Concat(e.command, []string{"run", "--rm", "--network", "none"}, e.options, []string{"--rootfs", root, "/lping", "-V"})
		out, status := run(t, time.Minute, args...)
		switch {
		case status == 0:
			return e, nil
		case status < 125: // from there on it is the engine's own (podman-run(1))
			t.Fatalf("lping -V: status %d: %s", status, out)
		}
		t.Logf("podman with %s: %s", low, strings.TrimSpace(out))
		result = fmt.Errorf("%w; with %s: %s", errNoEngine, low, strings.TrimSpace(out))
	}
	return nil, result
}

// removeOld removes what runs that were killed have left here: it is named by a process that is gone.
func (e *engine) removeOld(t *testing.T) {
	t.Helper()
	for _, c := range []struct{ list, remove []string }{
		{[]string{"ps", "--all", "--format", "{{.Names}}"}, []string{"rm", "--force", "--volumes"}},
		{[]string{"images", "--format", "{{.Repository}}"}, []string{"rmi", "--force"}},
	} {
		for name := range strings.FieldsSeq(e.do(t, c.list...)) {
			if old(name) {
				e.do(t, append(c.remove, name)...)
			}
		}
	}
}

// build makes the image as the Dockerfile says for a host that reaches no registry.
func (e *engine) build(t *testing.T) {
	t.Helper()
	_, path := buildLping(t)
	context := t.TempDir()
	err := errors.Join(copyFile(filepath.Join(context, "lping"), path), copyFile(filepath.Join(context, "LICENSE"), "../../LICENSE"))
	if err != nil {
		t.Fatal(err)
	}
	e.buildImage(t, e.image, "Dockerfile", context, "--target", "prebuilt")
}

// buildImage makes an image, which goes when all tests are done.
func (e *engine) buildImage(t *testing.T, image, file, context string, options ...string) {
	t.Helper()
	args := []string{"build", "--file", file, "--tag", image, "--force-rm"}
	if e.name == "podman" {
		args = append(args, "--format", "docker", "--layers=false") // which would stay
	}
	atEnd = append(atEnd, func() { run(t, patience, slices.Concat(e.command, []string{"rmi", "--force", image})...) })
	args = slices.Concat(e.command, args, options, []string{context})
	if out, status := run(t, 10*time.Minute, args...); status != 0 {
		t.Fatalf("%q: status %d\n%s", args, status, out)
	}
}

// do is a command that must succeed.
func (e *engine) do(t *testing.T, args ...string) string {
	t.Helper()
	out, status := run(t, patience, slices.Concat(e.command, args)...)
	if status != 0 {
		t.Fatalf("%s %q: status %d\n%s", e.name, args, status, out)
	}
	return out
}

// once runs lping in a container of its own.
func (e *engine) once(t *testing.T, options, args []string) (out string, status int) {
	t.Helper()
	return run(t, patience, slices.Concat(e.command, []string{"run", "--rm", "--no-healthcheck"}, e.options, options,
		[]string{e.image}, args)...)
}

var containers atomic.Uint64

// start starts a container in the background, which goes with the test.
func (e *engine) start(t *testing.T, options, args []string) (name string) {
	t.Helper()
	return e.startImage(t, e.image, options, args)
}

func (e *engine) startImage(t *testing.T, image string, options, args []string) (name string) {
	t.Helper()
	name = fmt.Sprintf("%s-%d", unique, containers.Add(1))
	t.Cleanup(func() { run(t, patience, slices.Concat(e.command, []string{"rm", "--force", "--volumes", name})...) })
	e.do(t, slices.Concat([]string{"run", "--detach", "--name", name}, e.options, options, []string{image}, args)...)
	return name
}

// state is what both engines tell of a container.
type state struct {
	Pid, ExitCode         int
	StartedAt, FinishedAt time.Time
	Health                health
}

type health struct {
	Status string
	Log    []struct {
		Start, End time.Time
		ExitCode   int
		Output     string
	}
}

func (e *engine) state(t *testing.T, name string) state {
	t.Helper()
	var s state
	if err := json.Unmarshal([]byte(e.do(t, "inspect", "--type", "container", "--format", "{{json .State}}", name)), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// await waits until the health is as it should be.
func (e *engine) await(t *testing.T, name, status string) health {
	t.Helper()
	var s state
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if e.name == "podman" { // where systemd is not there to do it
			run(t, patience, slices.Concat(e.command, []string{"healthcheck", "run", name})...)
		}
		if s = e.state(t, name); s.Health.Status == status {
			return s.Health
		}
	}
	t.Fatalf("health: never %s: %+v\n%s", status, s, e.do(t, "logs", "--tail", "20", name))
	return health{}
}

// network is the container's network namespace; never ours, which is not to be broken.
func (e *engine) network(t *testing.T, name string) string {
	t.Helper()
	ns := "/proc/" + strconv.Itoa(e.state(t, name).Pid) + "/ns/net"
	theirs, err := os.Readlink(ns)
	ours, ourErr := os.Readlink("/proc/self/ns/net")
	if err := errors.Join(err, ourErr); err != nil || theirs == ours {
		t.Fatalf("no network namespace of its own: %s, ours is %s: %v", theirs, ours, err)
	}
	return ns
}

// inside runs a command of the host in a network namespace.
func inside(t *testing.T, ns string, command ...string) {
	t.Helper()
	if out, status := run(t, time.Minute, slices.Concat([]string{"nsenter", "--net=" + ns, "--"}, command)...); status != 0 {
		t.Fatalf("%q: status %d\n%s", command, status, out)
	}
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return cmp.Or(err, out.Close())
}
