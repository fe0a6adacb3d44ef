package diagnose

import (
	"slices"
	"strings"

	"lping/platform"
)

// Text is what there is to explain of a code beside its entry.
type Text struct {
	Code Code
	// Told names the witness: the kernel's word, an errno, a fact, counters or the answers.
	Told string
	// Confused are the codes that look alike.
	Confused []Confusion
	// Fix mends it on this host, and wherever no other field says more: a command or what to do.
	Fix string
	// Key is the sysctl that mends it with Value, before Fix.
	Key, Value string
	// Docker, Podman, Kubernetes and Systemd say what differs there; empty if nothing does.
	Docker, Podman, Kubernetes, Systemd string
}

// Confusion is a code that looks like another one, and what tells them apart.
type Confusion struct {
	Code Code
	How  string
}

// Remedy is what mends a cause in one place.
type Remedy struct{ Place, Fix string }

// Entries are all codes, the most basic cause first.
func Entries() []Entry {
	list := make([]Entry, len(rules))
	for i, r := range rules {
		list[i] = r.Entry
	}
	return list
}

// Codes are all codes by name, the most basic cause first.
func Codes() []string {
	list := make([]string, len(rules))
	for i, r := range rules {
		list[i] = string(r.Code)
	}
	return list
}

// Explain returns the entry of a code and what there is to explain beside it.
func Explain(c Code) (Entry, Text, bool) {
	i := Place(c)
	t := slices.IndexFunc(texts[:], func(t Text) bool { return t.Code == c })
	if i == len(rules) || t < 0 {
		return Entry{}, Text{}, false
	}
	return rules[i].Entry, texts[t], true
}

// safeSysctls are those that Kubernetes lets a pod set unless its administrator forbids it.
var safeSysctls = []string{groupRange, portRange}

// Remedies say how the cause is mended in each place. A place that needs nothing else than another is not repeated.
func (t Text) Remedies() []Remedy {
	inside := false
	if i := Place(t.Code); i < len(rules) {
		inside = rules[i].fixedInside
	}
	list := []Remedy{{"this host", t.in("", t.Fix)}}
	for _, p := range []struct{ name, own, pid string }{
		{"docker", t.Docker, "docker inspect -f {{.State.Pid}} NAME"},
		{"podman", t.Podman, "podman inspect -f {{.State.Pid}} NAME"},
		{"kubernetes", t.Kubernetes, "crictl inspect -o go-template --template {{.info.pid}} ID"},
	} {
		switch {
		case p.own != "":
			list = append(list, Remedy{p.name, p.own})
		case t.Key != "":
			list = append(list, Remedy{p.name, t.in(p.name, "")})
		case inside:
			list = append(list, Remedy{p.name, "the same from its host: nsenter -n -t $(" + p.pid + ") COMMAND"})
		}
	}
	if t.Systemd != "" {
		list = append(list, Remedy{"systemd", t.Systemd})
	}
	if len(list) == 1 {
		list[0].Place = "anywhere"
	}
	return list
}

// in is the sysctl as it is set in a container runtime, or without one, and what else there is to do.
func (t Text) in(runtime, more string) string {
	if t.Key == "" {
		return more
	}
	set := setting(platform.Facts{Container: platform.Know(platform.Container{Runtime: runtime})}, t.Key, t.Value)
	if runtime == "kubernetes" && !slices.Contains(safeSysctls, t.Key) {
		more = "the kubelet has to allow it: --allowed-unsafe-sysctls"
	}
	return strings.TrimSuffix(set+"; "+more, "; ")
}

// Words that several codes share.
const (
	acceptIn  = "accept lo first, in each table that drops: nft insert rule FAMILY TABLE CHAIN iifname lo accept, or iptables -I INPUT -i lo -j ACCEPT"
	acceptOut = "accept lo first, in each table that drops: nft insert rule FAMILY TABLE CHAIN oifname lo accept, or iptables -I OUTPUT -o lo -j ACCEPT"
)

// texts explain each code, in the order of rules.
var texts = [...]Text{
	{Code: LoMissing, Told: "a fact: netlink lists no interface with the flag LOOPBACK",
		Confused: []Confusion{{LoDown, "the interface is there, without the flag UP"}},
		Fix:      "Linux makes lo with each network namespace, and nothing can delete it: give the sandbox or emulator a loopback"},
	{Code: LoDown, Told: "a fact: the flags of the interface, from netlink",
		Confused: []Confusion{{LoMissing, "no interface is a loopback at all"}, {AddrMissing, "the interface is up, and has no such address"}},
		Fix:      "ip link set lo up", Systemd: "PrivateNetwork= sets lo up by itself: look for what set it down again"},
	{Code: IPv6Disabled, Told: "a fact: disable_ipv6 of lo is 1, or /proc/sys/net/ipv6 is not there; an errno: EAFNOSUPPORT from socket",
		Confused: []Confusion{
			{AddrMissing, "IPv6 is on, and only ::1 was taken away"},
			{IPv6MTU, "the kernel itself takes IPv6 off an interface with so small an MTU"},
			{HostsLocalhost, "a ::1 in the hosts file that nothing can reach is no fault of that file"},
		},
		Key: "net.ipv6.conf.lo.disable_ipv6", Value: "0", Fix: "a kernel without IPv6 has to boot without ipv6.disable=1"},
	{Code: IPv6MTU, Told: "a fact: the MTU of lo is below 1280 (RFC 8200, section 5)",
		Confused: []Confusion{
			{IPv6Disabled, "a switch is off, whatever the MTU"},
			{AddrMissing, "::1 is away although the MTU would do; after the MTU is mended it stays away until lo goes down and up"},
		},
		Fix: "ip link set lo mtu 65536 down && ip link set lo up"},
	{Code: AddrMissing, Told: "a fact: the addresses of lo, from netlink; an errno: EADDRNOTAVAIL from bind",
		Confused: []Confusion{
			{RouteMissing, "the address is there, and its entry in the local table is not"},
			{PortsExhausted, "connect says EADDRNOTAVAIL there, too, and bind does not"},
		},
		Fix: "ip address add 127.0.0.1/8 dev lo; ip address add ::1/128 dev lo"},
	{Code: RuleBlocks,
		Told:     "an errno of the kernel's own lookup (EINVAL, EACCES, EHOSTUNREACH), and the rule or route that says so, from netlink",
		Confused: []Confusion{{RouteMissing, "nothing forbids the way: it is not there"}, {FwOutput, "send gets EPERM, and the lookup is well"}},
		Fix:      "ip rule del pref N, or ip route del table local TYPE ADDRESS: ip rule and ip route show table all list both"},
	{Code: RouteMissing, Told: "the kernel's own lookup: its errno, or a way that leaves this host; facts: the rules and the local table",
		Confused: []Confusion{
			{AddrMissing, "the local table lacks the entry since lo lacks the address"},
			{RuleBlocks, "a rule or route says no, and is found"},
			{NATRedirects, "the lookup is well, and only packets go astray"},
		},
		Fix: "ip route add local 127.0.0.0/8 dev lo table local; ip rule add pref 0 lookup local"},
	{Code: PortsExhausted, Told: "an errno: EADDRINUSE or EAGAIN from bind, EADDRNOTAVAIL from connect; a fact: the ports in use",
		Confused: []Confusion{
			{AddrMissing, "EADDRNOTAVAIL as well, with nearly all ports free"},
			{PortRefused, "the kernel had a port, and nobody had the other end"},
		},
		Key: portRange, Value: `"1024 65535"`, Fix: "find who holds them: ss -tuanp"},
	{Code: PolicyDenies,
		Told: "an errno: EACCES or EPERM from a call that the kernel's own settings permit, ENOSYS or EAFNOSUPPORT under seccomp; a fact: seccomp",
		Confused: []Confusion{
			{ICMPNotPermitted, "ping_group_range or a missing capability forbids it, and no policy"},
			{FwOutput, "send gets EPERM with OutDiscards counted"},
			{IPv6Disabled, "EAFNOSUPPORT as well, on a kernel without IPv6"},
		},
		Fix:        "allow the call that the finding names in the profile: seccomp, SELinux, AppArmor, or a cgroup program (bpftool cgroup tree)",
		Docker:     "docker run --security-opt seccomp=PROFILE, with a profile that allows the call",
		Podman:     "podman run --security-opt seccomp=PROFILE, with a profile that allows the call",
		Kubernetes: "securityContext.seccompProfile of the pod: a profile that allows the call",
		Systemd:    "RestrictAddressFamilies= and SystemCallFilter= of the unit"},
	{Code: ICMPNotPermitted,
		Told: "an errno: EACCES or EPERM from socket; facts: ping_group_range, our groups and capabilities",
		Confused: []Confusion{
			{FwOutput, "the socket opens, and send gets EPERM with OutDiscards counted"},
			{FwICMPOnly, "the socket opens and sends, and ICMP gets no answer"},
		},
		Key: groupRange, Value: `"0 2147483647"`, Fix: "or run as root"},
	{Code: NATRedirects,
		Told:       "an errno: EINVAL or ENETUNREACH from send although the lookup is well; counters: other interfaces took what lo never saw; a fact: the chains at OUTPUT",
		Confused:   []Confusion{{FwOutput, "a filter drops the packet: no interface takes it"}, {PortRefused, "nobody listens, and no rule leads elsewhere"}},
		Fix:        "let the rule leave lo alone, or start what it leads to: nft list ruleset; iptables -t nat -S OUTPUT",
		Docker:     "start the container that publishes the port; after a crash of the engine, restart it",
		Kubernetes: "hostPort and NodePort rules are kube-proxy's and the CNI's: look for the pod behind them"},
	{Code: EchoIgnored, Told: "a fact: the switch; counters, if it cannot be read: InEchos moves and OutEchoReps does not",
		Confused: []Confusion{
			{FwInputRequest, "the request never reaches ICMP: InEchos stands still"},
			{FwICMPOnly, "UDP works there, too, and the switch is off"},
		},
		Key: "net.ipv4.icmp_echo_ignore_all", Value: "0", Fix: "for IPv6 net.ipv6.icmp.echo_ignore_all"},
	{Code: RateLimited, Told: "counters: OutRateLimitGlobal, as far as InEchos moves and OutEchoReps does not; a fact: bit 0 of icmp_ratemask",
		Confused: []Confusion{
			{EchoIgnored, "no echo request is answered at all; a limit answers some"},
			{PacketLoss, "a firewall's limit: OutEchoReps moves"},
		},
		Key: rateMask, Value: "6168", Fix: "which is the default; or raise icmp_msgs_per_sec and icmp_msgs_burst. icmp_ratelimit leaves loopback out"},
	{Code: ConntrackFull,
		Told:     "a fact: nf_conntrack_count has reached nf_conntrack_max; an errno: EPERM from send; the kernel's log: nf_conntrack: table full, dropping packet",
		Confused: []Confusion{{FwOutput, "EPERM as well, with room in the table"}, {PortsExhausted, "the table has room, and no port is left"}},
		Fix:      "sysctl -w net.netfilter.nf_conntrack_max=N on the host, which holds for all namespaces; find who fills it: conntrack -L"},
	{Code: XfrmBlocks,
		Told:     "counters: XfrmOutPolBlock, XfrmInPolBlock and others of /proc/net/xfrm_stat; the kernel's word: XFRM_POLICY; an errno: EPERM from send",
		Confused: []Confusion{{FwOutput, "EPERM as well, but OutDiscards counts it"}, {EchoIgnored, "InEchos moves, and xfrm_stat does not"}},
		Fix:      "ip xfrm policy list, then delete the policy that blocks or that demands a tunnel for lo; ip xfrm policy setdefault in accept"},
	{Code: QdiscDelays, Told: "a fact: the options of netem in the dump of the queues; the answers: they take as long as it says",
		Confused: []Confusion{
			{SlowPath, "no discipline is set to delay, and the kernel itself is slow"},
			{QdiscDrop, "packets do not arrive at all"},
		},
		Fix: "tc qdisc del dev lo root; netem is what tools of fault injection leave behind"},
	{Code: QdiscDrop, Told: "an errno: ENOBUFS from send; counters: drops of the discipline; the kernel's word: QDISC_DROP or TC_EGRESS",
		Confused: []Confusion{
			{FwOutput, "IP counts OutDiscards, and the packet never reached a queue"},
			{IngressDrop, "lo took the packet, and lost it on the way in"},
		},
		Fix: "tc qdisc del dev lo root; tc filter del dev lo egress; nft delete chain netdev TABLE CHAIN"},
	{Code: FwReject, Told: "the answers: an ICMP error of type unreachable or a reset; counters: OutDestUnreachs",
		Confused: []Confusion{{PortRefused, "nobody listens, and the kernel itself refuses"}, {FwOutput, "a firewall drops without a word"}},
		Fix:      acceptIn},
	{Code: FwOutput,
		Told: "the kernel's word: a function and NETFILTER_DROP at OUTPUT or POSTROUTING; an errno: EPERM from send; counters: OutDiscards",
		Confused: []Confusion{
			{ConntrackFull, "EPERM as well, with a full table"},
			{XfrmBlocks, "EPERM as well, and OutDiscards stands still"},
			{ICMPNotPermitted, "a policy refuses the call: no packet was made"},
			{QdiscDrop, "ENOBUFS, or drops that a queue counts"},
		},
		Fix:     acceptOut + "; a cgroup program: bpftool cgroup tree, then detach it",
		Systemd: "IPAddressDeny= and IPEgressFilterPath= of a unit are cgroup programs: IPAddressAllow=localhost"},
	{Code: IngressDrop,
		Told:     "the kernel's word: TC_INGRESS, XDP or NETFILTER_INGRESS; counters: lo took the packet, and InReceives stands still",
		Confused: []Confusion{{FwInputRequest, "IP received the packet: InReceives moved"}, {QdiscDrop, "the packet never came out at lo"}},
		Fix: "tc filter del dev lo ingress; nft delete chain netdev TABLE CHAIN; ip link set dev lo xdp off; " +
			"a BPF link, which that does not detach: bpftool net show dev lo, then bpftool link detach id N"},
	{Code: FwInputRequest,
		Told: "the kernel's word: a function and NETFILTER_DROP at PREROUTING or INPUT; counters: InReceives moves, InDelivers and InEchos do not",
		Confused: []Confusion{
			{FwInputReply, "the request arrived, and the answer is dropped"},
			{IngressDrop, "InReceives stands still: it was lost before IP"},
			{PortSilent, "everything arrived, and the service says nothing"},
		},
		Fix: acceptIn, Systemd: "IPAddressDeny= of the unit that serves drops on ingress, at its socket: IPAddressAllow=localhost"},
	{Code: FwInputReply,
		Told:     "the kernel's word: a function and NETFILTER_DROP at PREROUTING or INPUT; counters: OutEchoReps moves and InEchoReps does not; a fact: over TCP a connection in SYN-RECEIVED",
		Confused: []Confusion{{FwInputRequest, "no reply was made: OutEchoReps stands still"}, {SocketFilter, "ICMP got the reply, and the socket did not"}},
		Fix:      acceptIn},
	{Code: QueueOverflow, Told: "a fact: the drops that the socket counts (SO_MEMINFO)",
		Confused: []Confusion{{SocketFilter, "the socket counts no drop"}, {PacketLoss, "no counter explains the loss"}},
		Fix:      "more CPU for lping, or fewer probes at once: -i, -l"},
	{Code: SocketFilter, Told: "the kernel's word: SOCKET_FILTER; counters: all four of an echo moved, and nothing came",
		Confused: []Confusion{{FwInputReply, "ICMP did not get the reply: InEchoReps stands still"}, {QueueOverflow, "the socket counts what it dropped"}},
		Fix:      "bpftool cgroup tree, then bpftool cgroup detach",
		Systemd:  "IPAddressDeny= and IPIngressFilterPath= of the unit: IPAddressAllow=localhost"},
	{Code: FwICMPOnly, Told: "the answers: UDP to the same address is answered, ICMP is not, and no counter could be read",
		Confused: []Confusion{{EchoIgnored, "a switch of the kernel, with no firewall"}, {ICMPNotPermitted, "no socket for ICMP could be had"}},
		Fix:      acceptIn},
	{Code: KernelDrop, Told: "the kernel's word alone: a function and a reason of skb:kfree_skb",
		Confused: []Confusion{{Unknown, "the kernel was not asked, or had seen no drop"}},
		Fix:      "look up that function and reason in the kernel's sources: net/, include/net/dropreason-core.h"},
	{Code: PortRefused, Told: "an errno: ECONNREFUSED, from a reset or port unreachable; a fact: the list of sockets",
		Confused: []Confusion{
			{FwReject, "somebody listens there, and a firewall answers for it"},
			{NATRedirects, "a rule sends the port to a place where nobody listens"},
			{PortSilent, "nothing comes back at all"},
		},
		Fix:        "start the service, or let it listen at this address: ss -ltunp",
		Docker:     "within a container 127.0.0.1 is its own: a service of the host or of another container is not there",
		Kubernetes: "127.0.0.1 is the pod's own: all its containers share it, and no other pod does"},
	{Code: PortSilent, Told: "the answers: none and no refusal; a fact: the backlog of the listening socket",
		Confused: []Confusion{{ServiceSlow, "connections are made, and wait"}, {FwInputRequest, "the packet never reached the port"}},
		Fix:      "look at the service: ss -ltn shows Recv-Q, which is the connections that wait; --max-loss 100% for UDP that never answers"},
	{Code: ServiceSlow, Told: "a fact: the queues of the listening socket; the answers: too late",
		Confused: []Confusion{{PortSilent, "its queue was full before lping came"}, {CPUThrottled, "lping itself was short of CPU time"}},
		Fix:      "look at what the service does; more time: -W"},
	{Code: ServiceError, Told: "the answers: an HTTP status, other bytes, or an end that came too early",
		Confused: []Confusion{{PortResets, "connections are reset before anything is asked"}, {PayloadCorrupted, "lping's own data came back changed"}},
		Fix:      "look at the log of the service"},
	{Code: NATRewrites, Told: "the answers: our own echo saw another source than ours",
		Confused: []Confusion{{NATRedirects, "packets go to another place, and no answer comes"}},
		Fix:      "iptables -t nat -I POSTROUTING -o lo -j ACCEPT, ip6tables for IPv6; or give MASQUERADE an interface: -o eth0"},
	{Code: PortResets, Told: "the answers: a reset after the connection was accepted",
		Confused: []Confusion{{PortRefused, "the reset answers the SYN"}, {FwReject, "a firewall sends the reset, and the service never saw us"}},
		Fix:      "none is needed if its own clients are well: ask it as they do, with http:// or --echo"},
	{Code: PayloadCorrupted,
		Told:     "the answers: every byte is compared; counters: Icmp InErrors and InCsumErrors; the kernel's word: a reason that ends in _CSUM",
		Confused: []Confusion{{ServiceError, "a service sent other bytes"}, {DuplicateReplies, "the answers are right, and too many"}},
		Fix:      "remove what rewrites packets: nft list ruleset; tc filter show dev lo; tc qdisc show dev lo (netem corrupt). Then test the memory"},
	{Code: DuplicateReplies, Told: "the answers: more than one for a sequence number",
		Confused: []Confusion{{PayloadCorrupted, "an answer holds other data"}},
		Fix:      "remove what copies: nft dup, iptables TEE, tc mirred, tc netem duplicate"},
	{Code: CPUThrottled, Told: "facts: nr_throttled of cpu.stat in the cgroup, and how late the probes left",
		Confused: []Confusion{
			{SlowPath, "the kernel is slow, by its own stamps, with CPU to spare"},
			{PacketLoss, "answers are missing, and the CPU was free"},
		},
		Fix: "raise the limit of the cgroup: cpu.max", Docker: "docker update --cpus N NAME", Podman: "podman update --cpus N NAME",
		Kubernetes: "resources.limits.cpu of the container, or no limit", Systemd: "systemctl set-property UNIT CPUQuota="},
	{Code: SlowPath, Told: "the kernel's stamps of send and receive (SO_TIMESTAMPING), beside a datagram that meets no rules",
		Confused: []Confusion{{CPUThrottled, "the stamps are close, and the process woke up late"}, {QdiscDelays, "netem of lo is set to delay"}},
		Fix:      "look for long rule sets and queues: nft list ruleset; iptables-save; tc -s qdisc show dev lo"},
	{Code: ClockStepped, Told: "a fact: CLOCK_REALTIME moved against CLOCK_MONOTONIC", Confused: []Confusion{{SlowPath, "both clocks agree"}},
		Fix: "none is needed; let chrony or timesyncd slew the clock and not step it"},
	{Code: HostsLocalhost, Told: "a fact: the lines of /etc/hosts, and the addresses of loopback",
		Confused:   []Confusion{{AddrMissing, "the line is right, and the address is not on lo"}, {IPv6Disabled, "IPv6 is off, which makes a line ::1 wrong"}},
		Fix:        "in /etc/hosts: 127.0.0.1 localhost, and ::1 localhost where there is IPv6",
		Docker:     "the engine writes the file at each start: --add-host NAME:ADDRESS, and no line of its own for localhost",
		Podman:     "podman writes it, from base_hosts_file of containers.conf: --add-host NAME:ADDRESS, --no-hosts for the image's own",
		Kubernetes: "the kubelet writes it: hostAliases of the pod; with hostNetwork it is a copy of the node's"},
	{Code: PacketLoss, Told: "the answers: some came, others did not",
		Confused: []Confusion{
			{QueueOverflow, "lping's own socket dropped them, and counts it"},
			{CPUThrottled, "they came, and lping had no CPU to read them"},
		},
		Fix: "look for rules that limit a rate: nft list ruleset; tc -s qdisc show dev lo"},
	{Code: Unknown, Told: "nothing: the evidence lists what was seen, and what could not be read and why",
		Confused: []Confusion{{KernelDrop, "the kernel said what it did, and no rule knows why"}},
		Fix:      "lping doctor, as root and in the namespace that is broken: nsenter -t PID -n lping doctor"},
}
