package doctor

import (
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"lping/ping/report"
	"lping/platform"
	"lping/platform/diagnose"
	"lping/stats"
)

// pictureCase is a host as Write sees it; each has a golden file.
type pictureCase struct {
	name    string
	picture Picture
	// json says that the JSON form has a golden file too.
	json bool
}

func pictures() []pictureCase {
	return []pictureCase{
		{name: "root", picture: rootHost()},
		{name: "docker", picture: dockerHost(), json: true},
		{name: "lo-down", picture: downHost(), json: true},
		{name: "lo-missing", picture: missingHost()},
		{name: "no-address", picture: noAddressHost()},
		{name: "range-closed", picture: closedHost()},
		{name: "policy", picture: policyHost()},
		{name: "unknown", picture: unknownHost(), json: true},
		{name: "hostile", picture: hostileHost(
			strings.Repeat("wide ", 30), "a\nb\x1b[31m\u202e", strings.Repeat("x", 200), 1<<31-1,
		)},
		{name: "empty", picture: Picture{}},
	}
}

// rootFacts are those of a plain machine, read by root.
func rootFacts() platform.Facts {
	rules := platform.Know([]platform.Rule{
		{Action: "lookup", Table: "local"},
		{Priority: 32766, Action: "lookup", Table: "main"},
	})
	return platform.Facts{
		System: "linux", Network: platform.Know("net:[4026531840]"), Kernel: platform.Know("6.18.0"),
		Loopback: platform.Know([]platform.Interface{loopback()}),
		IPv4: platform.Family{
			Target: v4, Lookup: stays(v4), Rules: rules, EchoIgnored: platform.Know(false),
			Counters: platform.Know(platform.Counters{InReceives: 100, InDelivers: 100}),
			Local: platform.Know([]platform.Route{
				{Type: "local", Destination: netip.MustParsePrefix("127.0.0.0/8"), Table: "local", Interface: "lo", Source: v4},
				{Type: "local", Destination: netip.PrefixFrom(v4, 32), Table: "local", Interface: "lo", Source: v4},
			}),
		},
		IPv6: platform.Family{
			Target: v6, Lookup: stays(v6), Rules: rules, EchoIgnored: platform.Know(false),
			Counters: platform.Know(platform.Counters{}),
			Local: platform.Know([]platform.Route{
				{Type: "local", Destination: netip.PrefixFrom(v6, 128), Table: "local", Interface: "lo"},
			}),
		},
		IPv6Off:    platform.Know(platform.IPv6Off{}),
		PingGroups: platform.Know(platform.Range{Low: 0, High: 2147483647}),
		Ports:      platform.Know(platform.Range{Low: 32768, High: 60999}),
		ICMPLimit:  platform.Know(platform.ICMPLimit{Mask: 6168, PerSecond: platform.Know(uint64(1000)), Burst: platform.Know(uint64(50))}),
		Conntrack:  platform.Know(platform.Conntrack{Count: 22, Max: 262144}),
		Queues:     platform.Know([]platform.Queue{}),
		Firewall: platform.Know([]platform.Chain{
			{Family: "ip", Table: "filter"}, {Family: "ip", Table: "nat"}, {Family: "ip6", Table: "filter"},
			{Family: "inet", Table: "filter", Name: "input", Hook: "input", Policy: "drop"},
			{Family: "inet", Table: "filter", Name: "forward", Hook: "forward", Policy: "drop"},
			{Family: "netdev", Table: "early", Name: "lo", Hook: "ingress", Policy: "accept"},
		}),
		Process: platform.Know(platform.Process{
			Groups: []int64{}, Seccomp: "disabled", UserNamespace: platform.Know(false),
			Effective: platform.Capabilities{NetRaw: true, NetAdmin: true},
			Bounding:  platform.Capabilities{NetRaw: true, NetAdmin: true},
		}),
		CPU: platform.Know(platform.CPU{Version: 2}),
		Localhost: platform.Know([]platform.HostsLine{
			{Address: v4, Names: []string{"localhost"}}, {Address: v6, Names: []string{"localhost", "ip6-localhost"}},
		}),
		Container: platform.Know(platform.Container{}),
	}
}

func loopback() platform.Interface {
	return platform.Interface{
		Name: "lo", Index: 1, Flags: []string{"LOOPBACK", "UP", "LOWER_UP"}, MTU: 65536, Hardware: "00:00:00:00:00:00",
		State: "UNKNOWN", Qdisc: "noqueue", QueueLength: 1000,
		Addresses: []platform.Address{
			{Prefix: netip.PrefixFrom(v4, 8), Scope: "host"},
			{Prefix: netip.PrefixFrom(v6, 128), Scope: "host", Flags: []string{"noprefixroute"}},
		},
		Stats: platform.Know(platform.LinkStats{Received: 90561, Sent: 90561}),
	}
}

// stays is the lookup of an address on loopback.
func stays(a netip.Addr) platform.Known[platform.Lookup] {
	return platform.Know(platform.Lookup{Route: platform.Route{
		Type: "local", Destination: netip.PrefixFrom(a, a.BitLen()), Interface: "lo", Source: a,
	}})
}

// trials are the sockets of both families, each with what it said.
func trials(datagram, raw error) []SocketTrial {
	var list []SocketTrial
	for _, family := range []int{4, 6} {
		list = append(list, SocketTrial{"ICMP datagram", family, datagram}, SocketTrial{"ICMP raw", family, raw},
			SocketTrial{"UDP", family, nil})
	}
	return list
}

// probed is a healthy short run with all stamps.
func probed(t report.Target, method string) report.Result {
	r := healthy(t)
	r.Target.Method, r.Target.Stamps = method, true
	r.Summary.RTT = stats.Distribution{
		Count: 5, Min: 30_000, Mean: 33_400, Max: 45_000, StdDev: 5_834,
		P50: 31_000, P90: 45_000, P99: 45_000, P999: 45_000, Jitter: 4_000,
	}
	r.Summary.Send = stats.Distribution{Count: 5, P50: 2_000, P99: 12_000}
	r.Summary.Kernel = stats.Distribution{Count: 5, P50: 5_600, P99: 9_400}
	r.Summary.Wakeup = stats.Distribution{Count: 5, P50: 7_000, P99: 31_000}
	return r
}

func evidence(r report.Result) diagnose.Evidence {
	s := r.Summary
	return diagnose.Evidence{
		Family: map[bool]int{true: 4, false: 6}[r.Target.Address.Is4()], Target: r.Target.Address,
		Asked: true, Method: r.Target.Method,
		Sent: s.Sent, Received: s.Received, Lost: s.Lost, SendErrors: s.SendErrors,
		QueueDrops: platform.Unknown[uint64]("the socket does not tell"),
	}
}

func evidences(results []report.Result) []diagnose.Evidence {
	var list []diagnose.Evidence
	for _, r := range results {
		list = append(list, evidence(r))
	}
	return list
}

// noon is when all pictures are taken.
var noon = time.Unix(1700000000, 50_000_700)

func rootHost() Picture {
	results := []report.Result{probed(target4(), "icmp-dgram"), probed(target6(), "icmp-dgram")}
	return Picture{
		At: noon, Facts: rootFacts(), Sockets: trials(nil, nil), Results: results, Evidence: evidences(results),
		Verdict: stats.Healthy, Watches: platform.Know(true),
	}
}

// dockerHost is an ordinary user in an ordinary container.
func dockerHost() Picture {
	pic := rootHost()
	pic.Sockets = trials(nil, os.NewSyscallError("socket", syscall.EPERM))
	pic.Watches = platform.Unknown[bool]("only root in the first user namespace may look")
	f := &pic.Facts
	f.Firewall = platform.Unknown[[]platform.Chain]("only a process with CAP_NET_ADMIN may list firewall chains")
	f.Conntrack = platform.Unknown[platform.Conntrack]("connections are not tracked")
	f.Process = platform.Know(platform.Process{
		UID: 1000, GID: 1000, Groups: []int64{4, 27}, Seccomp: "filter", NoNewPrivileges: true,
		Bounding: platform.Capabilities{NetRaw: true}, UserNamespace: platform.Know(false),
	})
	f.CPU = platform.Know(platform.CPU{Version: 2, Limit: 0.5, Periods: 3000, Throttled: 12, ThrottledTime: 345.678})
	f.Container = platform.Know(platform.Container{Runtime: "docker", Sign: "/.dockerenv"})
	return pic
}

// downHost is a host on which someone set lo down. Both families find the same.
func downHost() Picture {
	pic := dockerHost()
	i := loopback()
	i.Flags, i.State, i.Addresses = []string{"LOOPBACK"}, "DOWN", i.Addresses[:1]
	f := &pic.Facts
	f.Loopback = platform.Know([]platform.Interface{i})
	f.IPv6.Local = platform.Know([]platform.Route{})
	f.IPv6.Lookup = platform.Know(platform.Lookup{Errno: "ENETUNREACH"})
	again := loDown()
	again.Evidence = "flags of lo: LOOPBACK; 1 sends got EADDRNOTAVAIL"
	refused := silent(target6(), again)
	refused.Cause = said("1 of 1 probes refused")
	refused.Summary = stats.Summary{Sent: 1, SendErrors: 1, LossPercent: 100, LongestLoss: 1, Duration: 20_000}
	pic.Results = []report.Result{silent(target4(), loDown()), refused}
	pic.Evidence = evidences(pic.Results)
	pic.Verdict, pic.ExitCode = stats.Unhealthy, 1
	return pic
}

// missingHost is a sandbox without a loopback interface, in a user namespace.
func missingHost() Picture {
	pic := dockerHost()
	f := &pic.Facts
	f.Loopback = platform.Know([]platform.Interface{})
	f.Queues = platform.Unknown[[]platform.Queue]("no loopback interface was found")
	for _, family := range []*platform.Family{&f.IPv4, &f.IPv6} {
		family.Local = platform.Know([]platform.Route{})
		family.Lookup = platform.Know(platform.Lookup{Errno: "ENETUNREACH"})
	}
	p := f.Process.Value
	p.UserNamespace = platform.Know(true)
	f.Process = platform.Know(p)
	f.Localhost = platform.Know([]platform.HostsLine{{Address: v6, Names: []string{"localhost"}}})
	f.Container = platform.Know(platform.Container{Runtime: "gvisor", Sign: "/proc/version"})
	finding := diagnose.Finding{
		Code: "lo_missing", Severity: diagnose.Error, Cause: "there is no loopback interface",
		Evidence: "no interface with the flag LOOPBACK",
	}
	pic.Results = []report.Result{silent(target4(), finding), silent(target6(), finding)}
	pic.Evidence = evidences(pic.Results)
	pic.Verdict, pic.ExitCode = stats.Unhealthy, 1
	return pic
}

// noAddressHost lacks ::1, which its hosts file gives to localhost.
func noAddressHost() Picture {
	pic := rootHost()
	i := loopback()
	i.Addresses = i.Addresses[:1]
	pic.Facts.Loopback = platform.Know([]platform.Interface{i})
	pic.Facts.IPv6.Local = platform.Know([]platform.Route{})
	pic.Facts.IPv6.Lookup = platform.Know(platform.Lookup{Route: platform.Route{
		Type: "unicast", Interface: "eth0", Gateway: netip.MustParseAddr("fe80::1"),
		Source: netip.MustParseAddr("2001:db8::2"),
	}})
	pic.Results[1] = missing6()
	pic.Results[1].Findings = append(pic.Results[1].Findings, diagnose.Finding{
		Code: "hosts_localhost", Severity: diagnose.Warning,
		Cause:    "the hosts file says that localhost is ::1, which is not on loopback",
		Evidence: "/etc/hosts: 127.0.0.1 localhost, ::1 localhost ip6-localhost",
		Fix:      "in /etc/hosts, take localhost off the line ::1",
	})
	pic.Evidence = evidences(pic.Results)
	pic.Verdict, pic.ExitCode = stats.Unhealthy, 1
	return pic
}

// closedHost may open no ICMP socket, and runs out of processor time.
func closedHost() Picture {
	pic := dockerHost()
	pic.Sockets = trials(os.NewSyscallError("socket", syscall.EACCES), os.NewSyscallError("socket", syscall.EPERM))
	pic.Sockets[5].Err = syscall.EAFNOSUPPORT
	f := &pic.Facts
	f.PingGroups = platform.Know(platform.Range{Low: 1, High: 0})
	f.IPv6Off = platform.Know(platform.IPv6Off{Absent: true})
	f.IPv4.EchoIgnored = platform.Know(true)
	f.Localhost = platform.Know([]platform.HostsLine{})
	f.CPU = platform.Know(platform.CPU{Version: 1, Limit: 1.0 / 3, Periods: 3000, Throttled: 1500, ThrottledTime: 45678})
	f.Container = platform.Know(platform.Container{Runtime: "podman", Sign: "/run/.containerenv", Rootless: true})
	info := diagnose.Finding{
		Code: "icmp_not_permitted", Severity: diagnose.Info, Cause: "ICMP sockets are not permitted here",
		Evidence: "datagram socket: EACCES, raw socket: EPERM, ping_group_range is 1 0, our groups are 1000 4 27",
		Fix: `podman run --sysctl net.ipv4.ping_group_range="0 2147483647" --sysctl a.second.setting=1 image` +
			` lping --health`,
	}
	throttled := diagnose.Finding{
		Code: "cpu_throttled", Severity: diagnose.Warning, Cause: "the cgroup lets this process run too little",
		Evidence: "throttled in 1500 of 3000 periods", Fix: "podman update --cpus 1 CONTAINER",
	}
	pic.Results = []report.Result{probed(target4(), "udp"), probed(target6(), "")}
	pic.Results[0].Findings = []diagnose.Finding{info, throttled}
	pic.Results[0].Verdict, pic.Results[0].Cause = stats.Degraded, said("cpu_throttled")
	pic.Results[1].Findings = []diagnose.Finding{info}
	pic.Results[1].Verdict, pic.Results[1].Cause = stats.Unknown, said("nothing was decided")
	pic.Results[1].Summary = stats.Summary{}
	pic.Verdict = stats.Unknown
	return pic
}

// policyHost has a routing policy, many addresses, queues and drops.
func policyHost() Picture {
	pic := rootHost()
	f := &pic.Facts
	i := loopback()
	i.XDP, i.Qdisc = true, "pfifo_fast"
	for n := range byte(20) {
		a := platform.Address{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 32), Scope: "global"}
		i.Addresses = append(i.Addresses, a)
	}
	i.Stats = platform.Know(platform.LinkStats{Received: 7, Sent: 9, SendDropped: 2, ReceiveErrors: 1})
	dummy := platform.Interface{Name: "lo2", Index: 9, Flags: []string{"LOOPBACK"}, MTU: 1500,
		Stats: platform.Unknown[platform.LinkStats]("the kernel sent none")}
	f.Loopback = platform.Know([]platform.Interface{i, dummy})
	f.Queues = platform.Know([]platform.Queue{{Kind: "pfifo_fast", Drops: 2}, {Kind: "clsact", Ingress: true}})
	f.IPv4.Counters = platform.Know(platform.Counters{XfrmBlocks: 3, SocketDrops: 4})
	f.IPv4.Local = platform.Know([]platform.Route{
		{Type: "blackhole", Destination: netip.MustParsePrefix("127.0.0.0/8")},
	})
	f.IPv4.Lookup = platform.Know(platform.Lookup{Route: platform.Route{
		Type: "unicast", Interface: "lo2", Gateway: netip.MustParseAddr("10.0.0.1"),
	}})
	f.IPv4.Rules = platform.Know([]platform.Rule{
		{Action: "blackhole", To: netip.MustParsePrefix("127.0.0.0/8"), In: "lo"},
		{Priority: 10, Action: "lookup", Table: "100", Not: true, From: netip.PrefixFrom(v4, 32), Out: "eth0",
			Users: &platform.Range{Low: 0, High: 99}, Mark: 7, Mask: 15, TOS: 16, Protocol: "udp", Ports: &platform.Range{Low: 80, High: 90}, Other: true},
		{Priority: 100, Action: "lookup", Table: "local"},
	})
	f.IPv6.Rules = platform.Know([]platform.Rule{
		{Action: "lookup", Table: "local", From: netip.PrefixFrom(v6, 128)}, {Priority: 1, Action: "goto"},
	})
	f.Firewall = platform.Know([]platform.Chain{{Family: "ip", Table: "filter", Name: "FORWARD", Hook: "forward"}})
	f.Localhost = platform.Know([]platform.HostsLine{{Address: v4, Names: []string{"host", "localhost"}}})
	pic.Results[0] = silent(target4(), diagnose.Finding{
		Code: "rule_blocks", Severity: diagnose.Error, Cause: "a routing rule forbids 127.0.0.1",
		Evidence: "rule 0: from all to 127.0.0.0/8 iif lo blackhole", Fix: "ip rule del pref 0",
	})
	pic.Verdict, pic.ExitCode = stats.Unhealthy, 1
	return pic
}

// unknownHost is a system of which platform reads nothing but the interface.
func unknownHost() Picture {
	const why = "not read on this system"
	family := func(a netip.Addr) platform.Family {
		return platform.Family{
			Target: a, Lookup: platform.Unknown[platform.Lookup](why), Local: platform.Unknown[[]platform.Route](why),
			Rules: platform.Unknown[[]platform.Rule](why), EchoIgnored: platform.Unknown[bool](why),
			Counters: platform.Unknown[platform.Counters](why),
		}
	}
	results := []report.Result{probed(target4(), "icmp-dgram"), healthy(target6())}
	return Picture{
		At: noon,
		Facts: platform.Facts{
			System: "darwin", Network: platform.Unknown[string](why), Kernel: platform.Unknown[string](why), IPv4: family(v4), IPv6: family(v6),
			Loopback: platform.Know([]platform.Interface{{
				Name: "lo0", Index: 1, Flags: []string{"UP", "LOOPBACK", "MULTICAST", "RUNNING"}, MTU: 16384,
				Addresses: []platform.Address{
					{Prefix: netip.PrefixFrom(v4, 8)}, {Prefix: netip.PrefixFrom(v6, 128)},
					{Prefix: netip.MustParsePrefix("fe80::1/64")},
				},
				Stats: platform.Unknown[platform.LinkStats](why),
			}}),
			IPv6Off: platform.Unknown[platform.IPv6Off](why), PingGroups: platform.Unknown[platform.Range](why),
			Ports: platform.Unknown[platform.Range](why), Conntrack: platform.Unknown[platform.Conntrack](why),
			Queues: platform.Unknown[[]platform.Queue](why), Firewall: platform.Unknown[[]platform.Chain](why),
			Process: platform.Unknown[platform.Process](why), CPU: platform.Unknown[platform.CPU](why),
			Localhost: platform.Unknown[[]platform.HostsLine](why), Container: platform.Unknown[platform.Container](why),
		},
		Sockets: trials(nil, os.NewSyscallError("socket", syscall.EPERM)), Results: results,
		Evidence: evidences(results), Verdict: stats.Healthy,
	}
}
