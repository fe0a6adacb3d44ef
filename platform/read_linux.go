package platform

import (
	"errors"
	"io/fs"
	"math"
	"net/netip"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lping/platform/netlink"
)

// Read reads every fact about this host in a few milliseconds. The target's family is asked about packets of a flow to the
// target, the other one about 127.0.0.1 or ::1. Files are read below root, which is "/" but for tests; netlink always tells
// about the network namespace of this process.
func Read(root string, target netip.Addr, flow Flow) Facts {
	h := host{root}
	f := Facts{System: runtime.GOOS, Kernel: known(h.readKernel()), Process: known(h.readProcess()), Network: known(os.Readlink(path.Join(root, "/proc/self/ns/net")))}
	f.setTargets(target, flow)
	readNetlink(&f)
	if !f.Loopback.OK {
		if list, err := h.askLoopback(); err == nil {
			f.Loopback = Know(list)
		}
		if b, err := h.read("/proc/net/ipv6_route"); err == nil {
			f.IPv6.Local = Know(parseLocal6(b, f.IPv6.Target))
		}
	}
	h.readSwitches(&f)
	f.IPv4.Counters, f.IPv6.Counters = ReadCounters(root, 4), ReadCounters(root, 6)
	f.Conntrack = known(h.readConntrack())
	f.Firewall = known(h.readFirewall(f.Process))
	f.CPU = known(h.readCPU())
	h.readNames(&f)
	f.Container = Know(h.readContainer())
	return f
}

// ReadNames reads only what it takes to judge the name localhost: the hosts file and the addresses of loopback, and whether there
// is IPv6 at all if it has none there.
func ReadNames(root string) Facts {
	h := host{root}
	f := Facts{System: runtime.GOOS}
	h.readNames(&f)
	n, err := openNetlink(unix.NETLINK_ROUTE)
	if err != nil {
		f.Loopback = known([]Interface(nil), err)
		return f
	}
	defer n.close()
	f.Loopback = known(readLoopback(n))
	isIPv6 := func(a Address) bool { return a.Prefix.Addr().Is6() }
	if !slices.ContainsFunc(f.Loopback.Value, func(i Interface) bool { return slices.ContainsFunc(i.Addresses, isIPv6) }) {
		f.IPv6Off = known(h.readIPv6Off(f.Loopback))
	}
	return f
}

// ReadLimits reads only what may delay a process that gets its answers: the limit of its CPU time, the container runtime that set
// it, and the queues of loopback. A process that is short of CPU time has none to read more.
func ReadLimits(root string) Facts {
	h := host{root}
	f := Facts{System: runtime.GOOS, CPU: known(h.readCPU()), Container: Know(h.readContainer())}
	if n, err := openNetlink(unix.NETLINK_ROUTE); err == nil {
		defer n.close()
		f.Loopback = known(loopbackLinks(n))
		readLoopbackQueues(&f)
	}
	return f
}

const (
	// paceRounds is how many datagrams ReadPace sends, pacePause how long it waits before each: what comes at once after another
	// one finds the caches warm, as a probe does not.
	paceRounds = 5
	pacePause  = 5 * time.Millisecond
	// steering are the processors that receive what leaves by lo, as a mask.
	steering = "/sys/class/net/lo/queues/rx-0/rps_cpus"
)

// errSteered is why the pace says nothing about lo: who receives a packet has to be woken, and may be busy.
var errSteered = errors.New("another processor receives what leaves by lo (rps_cpus)")

// ReadPace measures how long a datagram takes through a UNIX socket of this process, in ms, the quickest of a few. No rule and no
// queue is on its way, so that this is the machine's own speed.
func ReadPace(root string) Known[float64] {
	if mask, err := (host{root}).read(steering); err == nil && strings.ContainsAny(string(mask), "123456789abcdef") {
		return known(0.0, errSteered)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return known(0.0, os.NewSyscallError("socketpair", err))
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	least := time.Duration(math.MaxInt64)
	b := make([]byte, 64)
	for range paceRounds {
		time.Sleep(pacePause)
		start := time.Now()
		_, sendErr := unix.Write(pair[0], b)
		_, readErr := unix.Read(pair[1], b)
		least = min(least, time.Since(start))
		if err := errors.Join(sendErr, readErr); err != nil {
			return known(0.0, os.NewSyscallError("UNIX socket", err))
		}
	}
	return Know(float64(least.Nanoseconds()) / 1e6)
}

// readNetlink reads the facts that only netlink tells, with a request for each.
func readNetlink(f *Facts) {
	n, err := openNetlink(unix.NETLINK_ROUTE)
	if err != nil {
		noNetlink(f, err)
		return
	}
	defer n.close()
	f.Loopback = known(readLoopback(n))
	readLoopbackQueues(f)
	for _, family := range []*Family{&f.IPv4, &f.IPv6} {
		family.Lookup = known(readLookup(n, family.Target, family.Flow, unix.Geteuid()))
		if family.Flow.Source.IsValid() {
			family.Answer = readAnswer(n, family)
		}
		family.Local = known(readRoutes(n, netlink.LocalTable, family.Target))
		family.Rules = known(readRules(n, family.Target))
	}
	f.IPv4.Main, _ = readRoutes(n, netlink.MainTable, f.IPv4.Target)
}

// readLoopbackQueues reads the queues of the first loopback interface, which has to be known.
func readLoopbackQueues(f *Facts) {
	f.Queues = Unknown[[]Queue]("no loopback interface was found")
	if links := f.Loopback.Value; len(links) > 0 {
		f.Queues = known(readQueues(links[0].Index))
	}
}

// noNetlink gives each of these facts the reason why it is unknown: some sandboxes forbid the socket.
func noNetlink(f *Facts, err error) {
	f.Loopback, f.Queues = known([]Interface(nil), err), known([]Queue(nil), err)
	for _, family := range []*Family{&f.IPv4, &f.IPv6} {
		family.Lookup = known(Lookup{}, err)
		family.Local, family.Rules = known([]Route(nil), err), known([]Rule(nil), err)
	}
}

// readSwitches reads the sysctls.
func (h host) readSwitches(f *Facts) {
	f.IPv4.EchoIgnored = known(h.readSwitch("/proc/sys/net/ipv4/icmp_echo_ignore_all"))
	f.IPv6.EchoIgnored = known(h.readSwitch("/proc/sys/net/ipv6/icmp/echo_ignore_all"))
	f.IPv6Off = known(h.readIPv6Off(f.Loopback))
	f.PingGroups = known(h.readRange("/proc/sys/net/ipv4/ping_group_range"))
	f.Ports = known(h.readRange("/proc/sys/net/ipv4/ip_local_port_range"))
	f.ICMPLimit = known(h.readICMPLimit())
}

func (h host) readICMPLimit() (ICMPLimit, error) {
	const prefix = "/proc/sys/net/ipv4/icmp_"
	mask, err := h.number(prefix + "ratemask")
	return ICMPLimit{mask, known(h.number(prefix + "msgs_per_sec")), known(h.number(prefix + "msgs_burst"))}, err
}

func (h host) readKernel() (string, error) {
	const name = "/proc/sys/kernel/osrelease"
	b, err := h.read(name)
	if err != nil {
		return "", err
	}
	release := strings.TrimSpace(string(b))
	if release == "" {
		return "", named(name, errEmpty)
	}
	return release, nil
}

// readSwitch reads a sysctl that is on or off.
func (h host) readSwitch(name string) (bool, error) {
	n, err := h.number(name)
	return n != 0, err
}

func (h host) readRange(name string) (Range, error) {
	n, err := h.numbers(name, 2)
	if err != nil {
		return Range{}, err
	}
	return Range{Low: n[0], High: n[1]}, nil
}

// readIPv6Off reads disable_ipv6 of the loopback interface, all and default.
func (h host) readIPv6Off(loopback Known[[]Interface]) (off IPv6Off, err error) {
	const directory = "/proc/sys/net/ipv6"
	if !h.exists("/proc/net/if_inet6") && !h.exists(directory) && h.exists("/proc/net/snmp") {
		return IPv6Off{Absent: true}, nil
	}
	name := "lo"
	if list := loopback.Value; len(list) > 0 && !strings.Contains(list[0].Name, "/") {
		name = list[0].Name
	}
	for conf, value := range map[string]*bool{name: &off.Loopback, "all": &off.All, "default": &off.Default} {
		if *value, err = h.readSwitch(directory + "/conf/" + conf + "/disable_ipv6"); err != nil {
			return IPv6Off{}, err
		}
	}
	return off, nil
}

func (h host) readConntrack() (Conntrack, error) {
	const directory = "/proc/sys/net/netfilter/nf_conntrack_"
	count, err := h.number(directory + "count")
	if errors.Is(err, fs.ErrNotExist) && h.exists("/proc/net/snmp") {
		return Conntrack{}, errors.New("connections are not tracked")
	}
	if err != nil {
		return Conntrack{}, err
	}
	limit, err := h.number(directory + "max")
	if err != nil {
		return Conntrack{}, err
	}
	return Conntrack{Count: count, Max: limit}, nil
}

// readNames reads the lines of the hosts file that name localhost (hosts(5)).
func (h host) readNames(f *Facts) {
	const name = "/etc/hosts"
	b, err := h.read(name)
	if err == nil {
		f.Localhost = Know(parseHosts(b))
		return
	}
	f.Localhost = Unknown[[]HostsLine](err.Error())
	switch info, statErr := os.Stat(path.Join(h.root, name)); {
	case errors.Is(err, fs.ErrNotExist):
		f.HostsFile = HostsMissing
	case errors.Is(err, errDirectory):
		f.HostsFile = HostsDirectory
	case errors.Is(err, errNotRegular):
		f.HostsFile = HostsSpecial
	case errors.Is(err, fs.ErrPermission) && statErr == nil && info.Mode()&0o444 != 0o444:
		f.HostsFile = HostsUnreadable
	}
}

func parseHosts(b []byte) []HostsLine {
	list := []HostsLine{}
	for l := range lines(b) {
		content, _, _ := strings.Cut(string(l), "#")
		f := strings.Fields(content)
		if len(f) < 2 || !slices.ContainsFunc(f[1:], isLocalhost) {
			continue
		}
		if a, err := netip.ParseAddr(f[0]); err == nil {
			list = append(list, HostsLine{Address: a, Names: f[1:]})
		}
	}
	return list
}

// isLocalhost compares without regard to case or the final dot (RFC 6761, section 6.3).
func isLocalhost(name string) bool {
	return strings.EqualFold(strings.TrimSuffix(name, "."), "localhost")
}
