package platform

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// tree makes a root with these files; a name that ends with / is a directory.
func tree(t *testing.T, files map[string]string) host {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return host{root}
}

// TestReadAnything holds that a file may be whatever it likes: the fact is unknown, says why, and nothing waits.
func TestReadAnything(t *testing.T) {
	const name = "/proc/sys/net/ipv4/icmp_echo_ignore_all"
	pipe := tree(t, map[string]string{"proc/sys/net/ipv4/": ""})
	if err := unix.Mkfifo(filepath.Join(pipe.root, name), 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		h    host
		want string
	}{
		{"missing", tree(t, nil), "no such file or directory"},
		{"empty", tree(t, map[string]string{name: ""}), "is empty"},
		{"blank", tree(t, map[string]string{name: " \n"}), "is empty"},
		{"word", tree(t, map[string]string{name: "on\n"}), `"on" is no number`},
		{"negative", tree(t, map[string]string{name: "-1\n"}), `"-1" is no number`},
		{"huge number", tree(t, map[string]string{name: "99999999999999999999"}), `"99999999999999999999" is no number`},
		{"two numbers", tree(t, map[string]string{name: "1 0\n"}), "holds 2 numbers, not 1"},
		{"binary", tree(t, map[string]string{name: "\x00\x1b[31m"}), `"\x00\x1b[31m" is no number`},
		{"directory", tree(t, map[string]string{name + "/": ""}), "is a directory"},
		{"pipe", pipe, "is no regular file"},
		{"large", tree(t, map[string]string{name: strings.Repeat("1", maxFile+1)}), "is too large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := known(tt.h.readSwitch(name))
			if want := name + ": " + tt.want; got.OK || got.Reason() != want {
				t.Errorf("got %+v, want unknown: %s", got, want)
			}
		})
	}
}

// TestReadEmptyRoot holds that every fact that is a file is unknown without files, and says why.
func TestReadEmptyRoot(t *testing.T) {
	f := Read(t.TempDir(), netip.Addr{}, Flow{})
	for name, why := range map[string]string{
		"kernel": f.Kernel.Reason(), "ports": f.Ports.Reason(),
		"ping groups": f.PingGroups.Reason(), "IPv6 off": f.IPv6Off.Reason(), "CPU": f.CPU.Reason(),
		"conntrack": f.Conntrack.Reason(), "ICMP limit": f.ICMPLimit.Reason(), "localhost": f.Localhost.Reason(), "firewall": f.Firewall.Reason(),
		"echo ignored": f.IPv4.EchoIgnored.Reason(), "echo ignored 6": f.IPv6.EchoIgnored.Reason(),
		"counters": f.IPv4.Counters.Reason(), "counters 6": f.IPv6.Counters.Reason(),
	} {
		if why == "" || why == (Known[int]{}).Reason() {
			t.Errorf("%s: known or without a reason (%q), want unknown and why", name, why)
		}
	}
	if c, ok := f.Container.Get(); !ok || c.Runtime != "" {
		t.Errorf("container %+v, known %v, want none", c, ok)
	}
}

// TestHostsFile tells what stands in the place of the hosts file.
func TestHostsFile(t *testing.T) {
	const name = "etc/hosts"
	pipe := tree(t, map[string]string{"etc/": ""})
	if err := unix.Mkfifo(filepath.Join(pipe.root, name), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		h    host
		want HostsFile
	}{
		{tree(t, nil), HostsMissing},
		{tree(t, map[string]string{name + "/": ""}), HostsDirectory},
		{pipe, HostsSpecial},
		{tree(t, map[string]string{name: ""}), ""},
		{tree(t, map[string]string{name: strings.Repeat("1", maxFile+1)}), ""},
		{tree(t, map[string]string{"etc": ""}), ""},
	} {
		var f Facts
		tt.h.readNames(&f)
		if f.HostsFile != tt.want || tt.want != "" && f.Localhost.OK {
			t.Errorf("got %q and %+v, want %q", f.HostsFile, f.Localhost, tt.want)
		}
	}
}

func TestReadSwitches(t *testing.T) {
	h := tree(t, map[string]string{
		"proc/sys/kernel/osrelease":                      "6.18.0\n",
		"proc/sys/net/ipv4/icmp_echo_ignore_all":         "1\n",
		"proc/sys/net/ipv6/icmp/echo_ignore_all":         "0\n",
		"proc/sys/net/ipv4/icmp_ratemask":                "6168\n",
		"proc/sys/net/ipv4/icmp_msgs_per_sec":            "1000\n",
		"proc/sys/net/ipv4/icmp_msgs_burst":              "50\n",
		"proc/sys/net/ipv4/ping_group_range":             "0\t2147483647\n",
		"proc/sys/net/ipv4/ip_local_port_range":          "32768\t60999\n",
		"proc/sys/net/ipv6/conf/lo/disable_ipv6":         "0\n",
		"proc/sys/net/ipv6/conf/all/disable_ipv6":        "1\n",
		"proc/sys/net/ipv6/conf/default/disable_ipv6":    "1\n",
		"proc/sys/net/netfilter/nf_conntrack_count":      "12\n",
		"proc/sys/net/netfilter/nf_conntrack_max":        "262144\n",
		"proc/sys/net/ipv4/ip_unrelated_and_unreadable/": "",
	})
	var f Facts
	h.readSwitches(&f)
	f.Kernel, f.Conntrack = known(h.readKernel()), known(h.readConntrack())
	want := Facts{Kernel: Know("6.18.0"), PingGroups: Know(Range{Low: 0, High: 2147483647}), Ports: Know(Range{Low: 32768, High: 60999}),
		IPv6Off: Know(IPv6Off{All: true, Default: true}), Conntrack: Know(Conntrack{12, 262144}), ICMPLimit: Know(ICMPLimit{6168, Know(uint64(1000)), Know(uint64(50))})}
	want.IPv4.EchoIgnored, want.IPv6.EchoIgnored = Know(true), Know(false)
	if !reflect.DeepEqual(f, want) {
		t.Errorf("got %+v\nwant %+v", f, want)
	}
}

// TestIPv6Absent tells a kernel without IPv6 from a sandbox without its files.
func TestIPv6Absent(t *testing.T) {
	without := tree(t, map[string]string{"proc/net/snmp": "Ip: x"})
	if off, err := without.readIPv6Off(Known[[]Interface]{}); err != nil || !off.Absent {
		t.Errorf("got %+v, %v, want absent", off, err)
	}
	sandbox := tree(t, map[string]string{"proc/net/snmp": "Ip: x", "proc/net/if_inet6": ""})
	if off, err := sandbox.readIPv6Off(Known[[]Interface]{}); err == nil {
		t.Errorf("got %+v, want an error", off)
	}
	if off, err := tree(t, nil).readIPv6Off(Known[[]Interface]{}); err == nil {
		t.Errorf("no /proc: got %+v, want an error", off)
	}
}

func TestConntrackAbsent(t *testing.T) {
	_, err := tree(t, map[string]string{"proc/net/snmp": "Ip: x"}).readConntrack()
	if err == nil || err.Error() != "connections are not tracked" {
		t.Errorf("got %v", err)
	}
	if _, err := tree(t, nil).readConntrack(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no /proc: got %v, want %v", err, fs.ErrNotExist)
	}
}

// TestReadProcess compares what the kernel says with what it writes to /proc for people, which is the same for this process.
func TestReadProcess(t *testing.T) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]string{}
	for l := range lines(b) {
		key, value, _ := l.cut(":")
		written[key] = value
	}
	p, err := host{"/"}.readProcess()
	if err != nil {
		t.Fatal(err)
	}
	set := func(s string) (c Capabilities) {
		n, err := strconv.ParseUint(s, 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		return Capabilities{NetRaw: n&(1<<13) != 0, NetAdmin: n&(1<<12) != 0}
	}
	groups := strings.Trim(fmt.Sprint(p.Groups), "[]")
	switch {
	case strings.Fields(written["Uid"])[1] != fmt.Sprint(p.UID), strings.Fields(written["Gid"])[1] != fmt.Sprint(p.GID):
		t.Errorf("ids %d %d, want the second of %q and %q", p.UID, p.GID, written["Uid"], written["Gid"])
	case groups != written["Groups"], p.NoNewPrivileges != (written["NoNewPrivs"] == "1"):
		t.Errorf("groups %q, no new privileges %v, want %q, %s", groups, p.NoNewPrivileges, written["Groups"], written["NoNewPrivs"])
	case p.Effective != set(written["CapEff"]), p.Bounding != set(written["CapBnd"]):
		t.Errorf("capabilities %+v %+v, want %s %s", p.Effective, p.Bounding, written["CapEff"], written["CapBnd"])
	}
	without, err := tree(t, nil).readProcess()
	want := p
	want.Seccomp, want.UserNamespace, want.Unmapped, want.OuterNetwork = "unknown", without.UserNamespace, false, false
	if err != nil || without.UserNamespace.OK || !reflect.DeepEqual(without, want) {
		t.Errorf("without /proc: got %+v, %v\nwant %+v", without, err, want)
	}
}

func TestParseSeccomp(t *testing.T) {
	for content, want := range map[string]string{
		"": "unknown", "Seccomp:\t0\n": "disabled", "Uid:\t0\nSeccomp:\t1\n": "strict", "Seccomp:\t2\nSeccomp_filters:\t1\n": "filter",
		"Seccomp:\t7\n": "unknown", "Seccomp": "unknown", "\x00\xff:::\n": "unknown",
	} {
		if got := parseSeccomp([]byte(content)); got != want {
			t.Errorf("%q: got %q, want %q", content, got, want)
		}
	}
}

func TestUserNamespace(t *testing.T) {
	tests := []struct {
		name, content string
		want, ok      bool
	}{
		{"the first one", "         0          0 4294967295\n", false, true},
		{"rootless", "         0       1000          1\n", true, true},
		{"keep-id", "0 1 1000\n1000 0 1\n1001 1001 64536\n", true, true},
		{"nobody mapped", "", true, true},
		{"absurd", "a b c\nd e f\n", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tree(t, map[string]string{"proc/self/uid_map": tt.content}).readUserNamespace()
			if got != tt.want || (err == nil) != tt.ok {
				t.Errorf("got %v, %v, want %v, known %v", got, err, tt.want, tt.ok)
			}
		})
	}
}

func TestUnmapped(t *testing.T) {
	h := tree(t, map[string]string{"proc/self/gid_map": "0 1000 1\n5 100000 10\n"})
	for group, want := range map[int64]bool{0: false, 1: true, 4: true, 5: false, 14: false, 15: true, 65534: true} {
		if got := h.unmapped(group); got != want {
			t.Errorf("group %d: got %v, want %v", group, got, want)
		}
	}
	if !tree(t, map[string]string{"proc/self/gid_map": ""}).unmapped(65534) {
		t.Error("an empty map has a number for a group")
	}
	if tree(t, nil).unmapped(0) {
		t.Error("a map that is not there lacks a group")
	}
}

func TestReadCPU(t *testing.T) {
	stat := "nr_periods 420\nnr_throttled 371\nthrottled_time 36211500000\n"
	limited1 := CPU{Version: 1, Limit: 0.5, Periods: 420, Throttled: 371, ThrottledTime: 36211.5}
	limited2 := limited1
	limited2.Version = 2
	tests := []struct {
		name  string
		files map[string]string
		want  CPU
	}{
		{"version 2, in a container", map[string]string{
			"proc/self/cgroup":       "0::/\n",
			"sys/fs/cgroup/cpu.max":  "50000 100000\n",
			"sys/fs/cgroup/cpu.stat": "usage_usec 1\nnr_periods 420\nnr_throttled 371\nthrottled_usec 36211500\n",
		}, limited2},
		{"version 2, limit above", map[string]string{
			"proc/self/cgroup":                  "0::/a.slice/b.service\n",
			"sys/fs/cgroup/a.slice/cpu.max":     "50000 100000\n",
			"sys/fs/cgroup/a.slice/cpu.stat":    "nr_periods 420\nnr_throttled 371\nthrottled_usec 36211500\n",
			"sys/fs/cgroup/a.slice/b.service/x": "",
		}, limited2},
		{"version 2, no limit", map[string]string{
			"proc/self/cgroup":        "0::/a\n",
			"sys/fs/cgroup/a/cpu.max": "max 100000\n",
		}, CPU{Version: 2}},
		{"version 1", map[string]string{
			"proc/self/cgroup":                           "4:memory:/m\n3:cpu,cpuacct:/docker/x\n",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n", "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/cpu,cpuacct/cpu.stat": stat,
		}, limited1},
		{"version 1 beside 2, no limit", map[string]string{
			"proc/self/cgroup":                   "1:cpu:/\n0::/\n",
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
		}, CPU{Version: 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tree(t, tt.files).readCPU()
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func TestReadCPUAbsurd(t *testing.T) {
	const file = "sys/fs/cgroup/cpu.max"
	for name, files := range map[string]map[string]string{
		"no group":      {"proc/self/cgroup": "7:memory:/\nx\n::\n0::relative\n"},
		"empty limit":   {"proc/self/cgroup": "0::/\n", file: ""},
		"no period":     {"proc/self/cgroup": "0::/\n", file: "50000 0\n"},
		"negative":      {"proc/self/cgroup": "0::/\n", file: "-5 100000\n"},
		"no stat":       {"proc/self/cgroup": "0::/\n", file: "5 100000\n"},
		"stat is empty": {"proc/self/cgroup": "0::/\n", file: "5 100000\n", "sys/fs/cgroup/cpu.stat": "usage_usec 3\nx\n"},
	} {
		if got, err := tree(t, files).readCPU(); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
}

func TestParseHosts(t *testing.T) {
	got := parseHosts([]byte("# 1.2.3.4 localhost\n127.0.0.1\tLocalhost. lo # home\r\n::1 ip6-localhost localhost\n" +
		"10.0.0.1 localhost.example\nnonsense localhost\nfe80::1%lo0 localhost\n\n127.0.0.1"))
	want := []HostsLine{
		{netip.MustParseAddr("127.0.0.1"), []string{"Localhost.", "lo"}},
		{netip.MustParseAddr("::1"), []string{"ip6-localhost", "localhost"}},
		{netip.MustParseAddr("fe80::1%lo0"), []string{"localhost"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestReadContainer(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  Container
	}{
		{"none", map[string]string{"proc/version": "Linux version 6.18.0", "proc/self/cgroup": "0::/user.slice\n"}, Container{}},
		{"docker", map[string]string{".dockerenv": ""}, Container{Runtime: "docker", Sign: "/.dockerenv"}},
		{"docker on the host's network", map[string]string{".dockerenv": "", "proc/sys/net/core/dev_weight": "64\n"},
			Container{Runtime: "docker", Sign: "/.dockerenv", HostNetwork: true}},
		{"podman", map[string]string{"run/.containerenv": "engine=\"podman-4.9\"\nrootless=1\n"},
			Container{Runtime: "podman", Sign: "/run/.containerenv", Rootless: true}},
		{"kubernetes over docker", map[string]string{".dockerenv": "", "var/run/secrets/kubernetes.io/serviceaccount/": ""},
			Container{Runtime: "kubernetes", Sign: "/var/run/secrets/kubernetes.io/serviceaccount"}},
		{"kubernetes", map[string]string{"proc/self/environ": "A=b\x00KUBERNETES_SERVICE_HOST=10.0.0.1\x00"},
			Container{Runtime: "kubernetes", Sign: "KUBERNETES_SERVICE_HOST"}},
		{"lxc", map[string]string{"proc/self/environ": "container=lxc\x00"}, Container{Runtime: "lxc", Sign: "container=lxc"}},
		{"nspawn", map[string]string{"run/systemd/container": "systemd-nspawn\n"},
			Container{Runtime: "systemd-nspawn", Sign: "/run/systemd/container"}},
		{"containerd", map[string]string{"proc/self/cgroup": "0::/system.slice/cri-containerd-1.scope\n"},
			Container{Runtime: "containerd", Sign: "/proc/self/cgroup"}},
		{"gvisor", map[string]string{"proc/version": "Linux version 4.4.0 " + gvisorVersion + "\n"},
			Container{Runtime: "gvisor", Sign: "/proc/version"}},
		{"wsl", map[string]string{"proc/version": "Linux version 5.15-microsoft-standard-WSL2"},
			Container{Runtime: "wsl", Sign: "/proc/version"}},
		{"control characters", map[string]string{"run/systemd/container": "\x1b[31m"}, Container{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tree(t, tt.files).readContainer(); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestNetfilterLoaded(t *testing.T) {
	const sockets = "sk               Eth Pid        Groups\n0000 0   0 0\n0000 12  0          00000000\n"
	tests := []struct {
		name  string
		files map[string]string
		want  error
	}{
		{"built in", map[string]string{"proc/net/netlink": sockets}, nil},
		{"loaded", map[string]string{"proc/net/netlink": sockets, "proc/modules": "nf_tables 1 0 - Live 0x0\n"}, nil},
		{"other modules", map[string]string{"proc/net/netlink": sockets, "proc/modules": "x_tables 1 0\n"}, errNoChains},
		{"a user's socket", map[string]string{"proc/net/netlink": "sk Eth Pid\n0000 12 4711 0\n"}, errNoNetfilter},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tree(t, tt.files).netfilterLoaded(); !errors.Is(got, tt.want) || (got == nil) != (tt.want == nil) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestReadIPTables(t *testing.T) {
	h := tree(t, map[string]string{"proc/net/ip_tables_names": "nat\nfilter\n", "proc/net/ip6_tables_names": ""})
	got, err := h.readIPTables()
	if want := []Chain{{Family: "ip", Table: "nat"}, {Family: "ip", Table: "filter"}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestFirewallNeedsPrivilege(t *testing.T) {
	h := tree(t, nil)
	if _, err := h.readFirewall(Know(Process{})); !errors.Is(err, errNotAdmin) {
		t.Errorf("got %v, want %v", err, errNotAdmin)
	}
}

func FuzzText(f *testing.F) {
	f.Add([]byte("Seccomp:\t2\n"))
	f.Add([]byte("0::/\n3:cpu,cpuacct:/docker/x\n"))
	f.Add([]byte("nr_periods 420\nnr_throttled 371\nthrottled_usec 9\n50000 100000\nmax 1"))
	f.Add([]byte("127.0.0.1 localhost # x\n::1 localhost\n"))
	f.Add([]byte("container=lxc\x00KUBERNETES_SERVICE_HOST=1\x00"))
	f.Add([]byte("sk Eth Pid\n0 12 0\nnf_tables 1\nXfrmOutPolBlock 3\n"))
	f.Add([]byte("00000000000000000000000000000001 01 80 10 80     lo\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s := parseSeccomp(b); !slices.Contains([]string{"disabled", "strict", "filter", "unknown"}, s) {
			t.Errorf("seccomp %q", s)
		}
		for _, g := range parseCgroups(b) {
			if !filepath.IsAbs(g.path) || slices.Contains(strings.Split(g.path, "/"), "..") || len(g.mounts) == 0 {
				t.Errorf("group %+v leads elsewhere", g)
			}
		}
		if limit, err := parseQuota(string(b)); err == nil && (limit < 0 || limit != limit) {
			t.Errorf("limit %v", limit)
		}
		for _, l := range parseHosts(b) {
			if !l.Address.IsValid() || len(l.Names) == 0 {
				t.Errorf("hosts line %+v", l)
			}
		}
		if n, err := parseNumbers(b, 2); err == nil && (len(n) != 2 || n[0] < 0 || n[1] < 0) {
			t.Errorf("numbers %v", n)
		}
		parseCPUStat(b, &CPU{})
		parseEnvironment(b, "container")
		parseXfrm(b, &Counters{})
		runtimeOfCgroup(string(b))
		if s := runtimeName(string(b)); strings.ContainsAny(s, "\x00\n\x1b ") {
			t.Errorf("runtime %q", s)
		}
		parseInet6(b, func(name string, a Address) {
			if name == "" || !a.Prefix.IsValid() {
				t.Errorf("address %+v of %q", a, name)
			}
		})
		parseLocal6(b, netip.IPv6Loopback())
		hasNetfilter(b)
		hasModule(b, "nf_tables")
	})
}
