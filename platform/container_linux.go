package platform

import (
	"bytes"
	"strings"
)

// gvisorVersion is in /proc/version of every gVisor sandbox (pkg/sentry/syscalls/linux/linux64.go).
const gvisorVersion = "#1 SMP Sun Jan 10 15:06:54 PST 2016"

// readContainer looks for the signs that container runtimes leave, the surest ones first.
func (h host) readContainer() Container {
	for _, look := range []func() (Container, bool){
		h.kubernetes, h.podman, h.docker, h.variable, h.systemd, h.cgroup, h.kernel,
	} {
		if c, ok := look(); ok {
			c.HostNetwork = h.hostNetwork()
			return c
		}
	}
	return Container{}
}

// hostNetwork looks for a sysctl that only the first network namespace has (net/core/sysctl_net_core.c).
func (h host) hostNetwork() bool { return h.exists("/proc/sys/net/core/dev_weight") }

func (h host) kubernetes() (Container, bool) {
	const secrets = "/var/run/secrets/kubernetes.io/serviceaccount"
	if h.exists(secrets) {
		return Container{Runtime: "kubernetes", Sign: secrets}, true
	}
	if _, ok := h.environment("KUBERNETES_SERVICE_HOST"); ok {
		return Container{Runtime: "kubernetes", Sign: "KUBERNETES_SERVICE_HOST"}, true
	}
	return Container{}, false
}

// podman leaves a file in every container, which is empty in the unprivileged ones.
func (h host) podman() (Container, bool) {
	const name = "/run/.containerenv"
	b, err := h.read(name)
	if err != nil {
		return Container{}, false
	}
	return Container{Runtime: "podman", Sign: name, Rootless: bytes.Contains(b, []byte("rootless=1"))}, true
}

func (h host) docker() (Container, bool) {
	const name = "/.dockerenv"
	return Container{Runtime: "docker", Sign: name}, h.exists(name)
}

// variable reads what the runtime put in the environment (systemd.io/CONTAINER_INTERFACE).
func (h host) variable() (Container, bool) {
	name, ok := h.environment("container")
	return Container{Runtime: runtimeName(name), Sign: "container=" + runtimeName(name)}, ok && name != ""
}

// systemd writes the variable container of its own environment to a file, for those who may not read that.
func (h host) systemd() (Container, bool) {
	const name = "/run/systemd/container"
	b, err := h.read(name)
	runtime := runtimeName(strings.TrimSpace(string(b)))
	return Container{Runtime: runtime, Sign: name}, err == nil && runtime != ""
}

// cgroup looks at the path that the runtime gave to our cgroup.
func (h host) cgroup() (Container, bool) {
	const name = "/proc/self/cgroup"
	b, err := h.read(name)
	if err != nil {
		return Container{}, false
	}
	runtime := runtimeOfCgroup(string(b))
	return Container{Runtime: runtime, Sign: name}, runtime != ""
}

func (h host) kernel() (Container, bool) {
	const name = "/proc/version"
	b, err := h.read(name)
	switch {
	case err != nil:
	case bytes.Contains(b, []byte(gvisorVersion)):
		return Container{Runtime: "gvisor", Sign: name}, true
	case bytes.Contains(b, []byte("icrosoft")):
		return Container{Runtime: "wsl", Sign: name}, true
	}
	return Container{}, false
}

// environment finds a variable in the environment that this process started with.
func (h host) environment(name string) (value string, ok bool) {
	b, err := h.read("/proc/self/environ")
	if err != nil {
		return "", false
	}
	return parseEnvironment(b, name)
}

// parseEnvironment reads /proc/PID/environ, in which each entry ends with a zero.
func parseEnvironment(b []byte, name string) (value string, ok bool) {
	for entry := range bytes.SplitSeq(b, []byte{0}) {
		if key, value, ok := bytes.Cut(entry, []byte("=")); ok && string(key) == name {
			return string(value), true
		}
	}
	return "", false
}

// runtimeOfCgroup tells a runtime by the path that it gives to cgroups; empty if it knows none.
func runtimeOfCgroup(s string) string {
	for _, sign := range [...]struct{ part, runtime string }{
		{"kubepods", "kubernetes"}, {"libpod", "podman"}, {"crio-", "cri-o"}, {"cri-containerd", "containerd"},
		{"/docker", "docker"}, {"docker-", "docker"}, {"/lxc", "lxc"}, {"machine.slice/machine-", "systemd-nspawn"},
	} {
		if strings.Contains(s, sign.part) {
			return sign.runtime
		}
	}
	return ""
}

// runtimeName is a name as a runtime gave it; empty if it does not look like a name.
func runtimeName(s string) string {
	const longest = 32
	if len(s) > longest || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return s
}
