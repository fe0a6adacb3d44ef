package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"lping/ping/report"
	"lping/platform"
	"lping/platform/diagnose"
	"lping/stats"
)

// interfaceSection shows the loopback interfaces as the command `ip address show` does.
func interfaceSection(f platform.Facts) section {
	s := section{title: "Interface", about: "where packets to this machine itself leave and arrive"}
	sayKnown(&s, "the loopback interface", f.Loopback, func(list []platform.Interface) {
		if len(list) == 0 {
			s.say("no interface of this machine is a loopback one")
		}
		sayFirst(&s, "interfaces", list, func(i platform.Interface) { s.link(i) })
	})
	return s
}

func (s *section) link(i platform.Interface) {
	text := fmt.Sprintf("%d: %s: <%s> mtu %d", i.Index, i.Name, strings.Join(i.Flags, ","), i.MTU)
	if i.XDP {
		text += " xdp"
	}
	if i.Qdisc != "" {
		text += " qdisc " + i.Qdisc
	}
	if i.State != "" {
		text += " state " + i.State
	}
	s.say("%s", text)
	if i.Hardware != "" {
		s.sayBelow("link/loopback %s", i.Hardware)
	}
	if len(i.Addresses) == 0 {
		s.sayBelow("no address")
	}
	sayFirst(s, "addresses", i.Addresses, func(a platform.Address) { s.sayBelow("%s", addressText(a)) })
}

func addressText(a platform.Address) string {
	text := "inet6 " + a.Prefix.String()
	if a.Prefix.Addr().Is4() {
		text = "inet " + a.Prefix.String()
	}
	if a.Scope != "" {
		text += " scope " + a.Scope
	}
	return strings.TrimSpace(text + " " + strings.Join(a.Flags, " "))
}

func switchSection(f platform.Facts, pic Picture) section {
	const (
		echo4 = "net.ipv4.icmp_echo_ignore_all"
		echo6 = "net.ipv6.icmp.echo_ignore_all"
		ports = "net.ipv4.ip_local_port_range"
	)
	const mask = "net.ipv4.icmp_ratemask"
	s := section{title: "Switches", about: "settings of the kernel that can silence loopback"}
	if pic.shows(4) {
		sayKnown(&s, echo4, f.IPv4.EchoIgnored, func(on bool) { s.say("%s is %s", echo4, echoText(on)) })
	}
	if pic.shows(6) && !f.IPv6Off.Value.Absent {
		sayKnown(&s, echo6, f.IPv6.EchoIgnored, func(on bool) { s.say("%s is %s", echo6, echoText(on)) })
	}
	if pic.shows(4) {
		sayKnown(&s, mask, f.ICMPLimit, func(l platform.ICMPLimit) { s.say("%s is %s", mask, limitText(l)) })
	}
	if pic.shows(6) {
		sayKnown(&s, "disable_ipv6", f.IPv6Off, func(off platform.IPv6Off) { s.say("%s", ipv6Text(off)) })
	}
	sayKnown(&s, pingGroups, f.PingGroups, func(r platform.Range) { s.say("%s is %s", pingGroups, rangeText(r)) })
	sayKnown(&s, ports, f.Ports, func(r platform.Range) { s.say("%s is %s", ports, r) })
	return s
}

func echoText(ignored bool) string {
	if ignored {
		return "on: no echo request is answered"
	}
	return "off: echo requests are answered"
}

// limitText says what the limit of ICMP does to echo replies, which are type 0.
func limitText(l platform.ICMPLimit) string {
	perSecond, ok := l.PerSecond.Get()
	switch {
	case l.Mask&1 == 0:
		return fmt.Sprintf("%d: echo replies are not limited", l.Mask)
	case !ok:
		return fmt.Sprintf("%d: echo replies are limited", l.Mask)
	}
	return fmt.Sprintf("%d: at most %d echo replies a second", l.Mask, perSecond)
}

func ipv6Text(off platform.IPv6Off) string {
	if off.Absent {
		return "IPv6 is not in this kernel, or was switched off when it started (ipv6.disable=1)"
	}
	return fmt.Sprintf("net.ipv6.conf: disable_ipv6 is %s for lo, %s for all, %s for default",
		onOff(off.Loopback), onOff(off.All), onOff(off.Default))
}

// pingGroups is the setting that permits ICMP datagram sockets, those of IPv6 too.
const pingGroups = "net.ipv4.ping_group_range"

// rangeText is a range of groups. One that is upside down holds no group, and the text says so.
func rangeText(r platform.Range) string {
	if r.Low > r.High {
		return r.String() + " (nobody)"
	}
	return r.String()
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func firewallSection(f platform.Facts) section {
	s := section{title: "Firewall", about: "where rules may drop or refuse packets"}
	sayKnown(&s, "its chains", f.Firewall, func(list []platform.Chain) {
		s.chains(slices.DeleteFunc(slices.Clone(list), neverLocal))
	})
	if n := f.IPv4.Counters.Value.XfrmBlocks; n > 0 { // 0 may be a count that could not be read
		s.say("IPsec policies have blocked %d packets on their way out", n)
	}
	return s
}

// chains shows what looks at packets of loopback: the tables of iptables by family, the chains of nf_tables.
func (s *section) chains(list []platform.Chain) {
	if len(list) == 0 {
		s.say("no chain and no table of iptables sees packets of loopback")
		return
	}
	for _, family := range []string{"ip", "ip6"} {
		var tables []string
		for _, c := range list {
			if c.Hook == "" && c.Family == family {
				tables = append(tables, c.Table)
			}
		}
		if len(tables) > 0 {
			s.say("iptables: %s tables %s", family, joinFirst(tables))
		}
	}
	list = slices.DeleteFunc(list, func(c platform.Chain) bool { return c.Hook == "" })
	sayFirst(s, "chains", list, func(c platform.Chain) { s.say("nf_tables: %s", chainText(c)) })
	s.say("nft list ruleset, iptables -S and ip6tables -S show the rules")
}

// neverLocal says that a chain never sees packets between this host and itself.
func neverLocal(c platform.Chain) bool {
	return c.Hook == "forward" || c.Family == "arp" || c.Family == "bridge"
}

func chainText(c platform.Chain) string {
	text := c.Family + " " + c.Table + " " + c.Name + " at " + c.Hook + prefixed(", policy ", c.Policy)
	if c.Drops.Value {
		text += ", rules that drop"
	}
	return text
}

func trackingSection(f platform.Facts) section {
	s := section{title: "Connection tracking", about: "new packets are dropped when its table is full"}
	sayKnown(&s, "its table", f.Conntrack, func(c platform.Conntrack) {
		s.say("%d of %d entries in use%s", c.Count, c.Max, percentOf(c.Count, c.Max))
	})
	return s
}

// percentOf is part of whole in percent, in brackets; empty if whole is 0.
func percentOf(part, whole uint64) string {
	if whole == 0 {
		return ""
	}
	return fmt.Sprintf(" (%.1f%%)", float64(part)/float64(whole)*100)
}

func queueSection(f platform.Facts, pic Picture) section {
	s := section{title: "Queues", about: "what loopback carried, and what it dropped"}
	sayKnown(&s, "counts of the interface", f.Loopback, func(list []platform.Interface) {
		sayFirst(&s, "interfaces", list, func(i platform.Interface) {
			sayKnown(&s, "counts of "+i.Name, i.Stats, func(l platform.LinkStats) { s.traffic(i.Name, l) })
		})
	})
	sayKnown(&s, "queueing disciplines", f.Queues, func(list []platform.Queue) {
		if len(list) == 0 {
			s.say("no queueing discipline that keeps counts")
		}
		sayFirst(&s, "queues", list, func(q platform.Queue) { s.queue(q) })
	})
	if pic.shows(4) {
		sayKnown(&s, "IPv4 counters", f.IPv4.Counters, func(c platform.Counters) { s.socketDrops("IPv4", c) })
	}
	if pic.shows(6) && !f.IPv6Off.Value.Absent {
		sayKnown(&s, "IPv6 counters", f.IPv6.Counters, func(c platform.Counters) { s.socketDrops("IPv6", c) })
	}
	return s
}

func (s *section) traffic(name string, l platform.LinkStats) {
	s.say("%s sent %d packets: %d dropped, %d with errors", name, l.Sent, l.SendDropped, l.SendErrors)
	s.say("%s received %d packets: %d dropped, %d with errors", name, l.Received, l.ReceiveDropped, l.ReceiveErrors)
}

func (s *section) queue(q platform.Queue) {
	way := "what leaves"
	if q.Ingress {
		way = "what arrives"
	}
	text := fmt.Sprintf("%s for %s: %d dropped", q.Kind, way, q.Drops)
	if q.Netem != nil {
		text += prefixed(", set to ", q.Netem.String())
	}
	s.say("%s", text)
}

// socketDrops shows how often a socket's queue was full. A count of 0 may be one that could not be read, so it is not shown.
func (s *section) socketDrops(name string, c platform.Counters) {
	if c.SocketDrops > 0 {
		s.say("%s: %d messages found the queue of an ICMP datagram socket full", name, c.SocketDrops)
	}
}

func nameSection(f platform.Facts, pic Picture) section {
	s := section{title: "Names", about: "what localhost means to other programs; lping asks nobody"}
	sayKnown(&s, "the hosts file", f.Localhost, func(list []platform.HostsLine) {
		if len(list) == 0 {
			s.say("the hosts file has no line for localhost: programs may ask DNS for it")
			return
		}
		sayFirst(&s, "lines", list, func(l platform.HostsLine) { s.say("hosts file: %s %s", l.Address, joinFirst(l.Names)) })
		if pic.shows(4) && !slices.ContainsFunc(list, isIPv4Line) {
			s.say("no line gives localhost an IPv4 address")
		}
		if pic.shows(6) && !slices.ContainsFunc(list, isIPv6Line) {
			s.say("no line gives localhost an IPv6 address")
		}
	})
	return s
}

func isIPv4Line(l platform.HostsLine) bool { return l.Address.Unmap().Is4() }

func isIPv6Line(l platform.HostsLine) bool { return !isIPv4Line(l) }

func cpuSection(f platform.Facts) section {
	s := section{title: "Processor time", about: "where it is short, replies are read late"}
	sayKnown(&s, "the limit of the cgroup", f.CPU, func(c platform.CPU) {
		if c.Limit == 0 {
			s.say("no cgroup limits it")
			return
		}
		s.say("cgroup v%d limits this process to %.4g processors", c.Version, c.Limit)
		s.say("throttled in %d of %d periods%s, for %.6g s", c.Throttled, c.Periods, percentOf(c.Throttled, c.Periods),
			c.ThrottledTime/1000)
	})
	return s
}

// processSection shows what this process runs in, and what it may do there.
func processSection(f platform.Facts, watches platform.Known[bool]) section {
	s := section{title: "Process", about: "what lping runs in, and what it may do"}
	sayKnown(&s, "the container", f.Container, func(c platform.Container) { s.say("%s", containerText(c)) })
	sayKnown(&s, "ids and capabilities", f.Process, func(p platform.Process) {
		s.say("user %d, group %d, further groups: %s", p.UID, p.GID, groupList(p.Groups))
		s.say("CAP_NET_RAW: %s", capability(p.Effective.NetRaw, p.Bounding.NetRaw))
		s.say("CAP_NET_ADMIN: %s", capability(p.Effective.NetAdmin, p.Bounding.NetAdmin))
		s.say("no_new_privs is %s, seccomp is %s", onOff(p.NoNewPrivileges), p.Seccomp)
		sayKnown(&s, "the user namespace", p.UserNamespace, func(in bool) {
			if in {
				s.say("in a user namespace: its ids are not those of the host")
			} else {
				s.say("in no user namespace: its ids are those of the host")
			}
		})
	})
	if f.System == "linux" {
		s.watches(f, watches)
	}
	return s
}

// watches says whether the kernel tells lping where it drops packets, and else who may ask it.
func (s *section) watches(f platform.Facts, watches platform.Known[bool]) {
	if watches.Value {
		s.say("the kernel tells lping where and why it drops a probe")
		return
	}
	s.say("where the kernel drops a probe: unknown, because %s", watches.Reason())
	p := f.Process.Value
	switch {
	case f.Container.Value.Runtime != "":
		s.sayBelow("root on the host may ask: nsenter -t PID -n lping doctor")
	case p.UserNamespace.Value:
		s.sayBelow("root in the first user namespace may ask: nsenter -t PID -n lping doctor")
	case p.UID != 0:
		s.sayBelow("root may ask: sudo lping doctor")
	}
}

func containerText(c platform.Container) string {
	switch {
	case c.Runtime == "":
		return "no container shows itself"
	case c.Rootless:
		return "in a container of rootless " + c.Runtime + prefixed(", seen by ", c.Sign)
	}
	return "in a container of " + c.Runtime + prefixed(", seen by ", c.Sign)
}

func groupList(groups []int64) string {
	if len(groups) == 0 {
		return "none"
	}
	list := make([]string, len(groups))
	for i, g := range groups {
		list[i] = strconv.FormatInt(g, 10)
	}
	return joinFirst(list)
}

func capability(effective, bounding bool) string {
	switch {
	case effective:
		return "yes"
	case bounding:
		return "no, but the bounding set has it"
	}
	return "no, and the bounding set lacks it"
}

// probeSection shows what the short runs measured. Its mark is that of the worst verdict.
func probeSection(results []report.Result, evidence []diagnose.Evidence) section {
	s := section{title: "Probe", about: "sent just now, in ms; send, kernel and wake-up are medians"}
	if len(results) == 0 {
		s.unknown("replies", "no probe was sent")
		return s
	}
	cells := [][]string{{"address", "method", "replies", "p50", "p99", "send", "kernel", "wake-up"}}
	for _, r := range results {
		s.mark = max(s.mark, markOfVerdict(r.Verdict))
		n := r.Summary
		cells = append(cells, []string{
			report.Address(r), report.Method(r.Target), report.Ratio(r), milliseconds(n.RTT, n.RTT.P50), milliseconds(n.RTT, n.RTT.P99),
			milliseconds(n.Send, n.Send.P50), milliseconds(n.Kernel, n.Kernel.P50), milliseconds(n.Wakeup, n.Wakeup.P50),
		})
	}
	s.table(cells)
	s.pace(evidence)
	for _, r := range results {
		if r.Verdict != stats.Healthy {
			s.say("%s by %s is %s%s", report.Address(r), report.Method(r.Target), r.Verdict, prefixed(": ", r.Why()))
		}
	}
	return s
}

// pace shows what the kernel's path is measured against.
func (s *section) pace(evidence []diagnose.Evidence) {
	at := slices.IndexFunc(evidence, func(e diagnose.Evidence) bool { return e.Pace.OK })
	if at >= 0 {
		s.say("a datagram through a UNIX socket takes %.3f ms: that is the pace of this machine", evidence[at].Pace.Value)
	}
}

// milliseconds is a time of a distribution, or a dash if nothing was measured.
func milliseconds(of stats.Distribution, d time.Duration) string {
	if of.Count == 0 {
		return "-"
	}
	return report.Milliseconds(d)
}

// prefixed is s with a separator in front; empty if s is empty.
func prefixed(separator, s string) string {
	if s == "" {
		return ""
	}
	return separator + s
}
