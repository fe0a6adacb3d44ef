package diagnose

import (
	"fmt"
	"slices"
	"strings"

	"lping/platform"
	"lping/platform/droptrace"
)

// fwReject: an ICMP error came back for a probe, or was sent. On loopback only a firewall does that, except for a port of
// UDP that nobody has. If a port is closed although a service listens, that was a firewall, too.
func fwReject(f platform.Facts, e Evidence) (Finding, bool) {
	reported := slices.ContainsFunc(e.Reports, func(r Report) bool {
		return unreachableReport(e.Family, r) && !(e.Port != 0 && e.Method == "udp" && noPort(e.Family, r))
	})
	sockets := ""
	closed := !e.icmp() && e.closed() && listens(f, e)
	if closed && !reported {
		sockets = listening(e)
	}
	c, _ := e.counted()
	refused := e.Probe != nil && e.Probe.Errno == "EPERM"
	filtered := slices.Contains([]stage{atOutput, atInput, replyAtOutput, replyAtInput}, e.stage())
	return Finding{
		Cause:    blame("a firewall", reported || e.told(FwReject), e.verb("rejects ", "rejected ")+e.some("the probes")),
		Evidence: join(e.sends(), e.moved(), chains(f, e, "output", "input"), e.udp(), sockets),
		Fix:      accept(f, e, "output", "input"),
	}, reported || closed || rejects(c) > 0 && (refused || filtered)
}

// blame says who does what, and that it is likely if it is not sure.
func blame(who string, sure bool, does string) string {
	if sure {
		return who + " " + does
	}
	return who + " likely " + does
}

// unreachableReport says whether an ICMP error is destination unreachable (RFC 792; RFC 4443, 3.1), as firewalls answer.
func unreachableReport(family int, r Report) bool {
	if family == 6 {
		return r.Type == 1
	}
	return r.Type == 3
}

// noPort says whether an ICMP error is port unreachable, which the system itself sends if nobody has a port of UDP.
func noPort(family int, r Report) bool {
	if family == 6 {
		return r.Type == 1 && r.Code == 4
	}
	return r.Type == 3 && r.Code == 3
}

// fwOutput: netfilter and cgroup programs on egress look the same, an EPERM from send. Datagram sockets of IPv6 do not
// report it (ping_v6_sendmsg), so the counters decide. TCP neither reports nor counts it (tcp_connect in
// net/ipv4/tcp_output.c): all that shows is a packet that the interface never took.
func fwOutput(f platform.Facts, e Evidence) (Finding, bool) {
	s := e.stage()
	refused := e.refused("EPERM")
	found := s == atOutput || s == replyAtOutput || s == beforeLink && f.Loopback.OK && !unreachable(f, e)
	if refused {
		found = !sendForbidden(e)
	}
	what := e.some("the probes")
	if s == replyAtOutput && !refused || e.Probe != nil && e.Probe.HalfOpen {
		what = packet(e, true)
	}
	hook := e.hooks(FwOutput, "output")[0]
	if !slices.ContainsFunc(seen(f, e, []string{hook}), canDrop) && slices.ContainsFunc(seen(f, e, []string{"postrouting"}), canDrop) {
		hook = "postrouting"
	}
	hooks := []string{hook}
	if !f.Firewall.OK && !e.told(FwOutput) {
		hooks = []string{"output", "postrouting"} // which look the same
	}
	drops := e.verb("drops ", "dropped ")
	if refused {
		drops = e.drops()
	}
	out := Finding{
		Cause:    blame("a firewall", refused || e.told(FwOutput), drops+what+atHooks(hooks)),
		Evidence: join(e.sends(), e.moved(), chains(f, e, hooks...), e.udp()),
		Fix:      accept(f, e, hooks...),
	}
	if e.Port != 0 && !f.Firewall.OK && !refused && !e.told(FwOutput) { // a rule that publishes a port must not be taken away
		out.Cause = "likely a firewall " + e.verb("drops", "dropped") + " the probes at OUTPUT, or NAT " + e.verb("sends", "sent") + " them elsewhere"
		out.Fix = "look at the chains at output, filter and nat: nft list ruleset; iptables-save"
	}
	if uncountedEgress(f, e) && !refused && !e.told(FwOutput) {
		out.Cause = "a firewall at OUTPUT or an egress filter of lo likely " + e.verb("drops ", "dropped ") + what
	}
	program := f.Firewall.OK && !slices.ContainsFunc(seen(f, e, []string{hook}), canDrop)
	if _, d, _ := e.word(); e.told(FwOutput) {
		program = d.Place().Framework == droptrace.Cgroup
	}
	if program {
		who := "a cgroup program"
		if _, counted := e.counted(); refused && !counted && !e.told(FwOutput) {
			who = "a cgroup program or an IPsec policy"
		}
		out.Cause, out.Fix = blame(who, refused || e.told(FwOutput), e.verb("drops ", "dropped ")+what+" on egress"), detach
	}
	return out, found
}

// uncountedEgress says that this kernel does not count what IP hands over, and that nothing else tells the one from the other.
func uncountedEgress(f platform.Facts, e Evidence) bool {
	c, ok := f.Of(e.Family).Counters.Get()
	return ok && c.OutRequests > 0 && c.OutTransmits == 0 && !f.Firewall.OK && (e.UDP == nil || e.UDP.Answered)
}

// unreachable says that the loopback, the address or the route to it is missing, which also keeps packets from the interface.
func unreachable(f platform.Facts, e Evidence) bool {
	for _, find := range []func(platform.Facts, Evidence) (Finding, bool){
		loMissing, loDown, ipv6Disabled, ipv6MTU, addrMissing, ruleBlocks, routeMissing,
	} {
		if _, found := find(f, e); found {
			return true
		}
	}
	return false
}

// detach is the fix for a cgroup program.
const detach = "detach it: bpftool cgroup tree"

// drops is what a firewall does to what it does not accept: only the counters tell that it sends no ICMP error.
func (e Evidence) drops() string {
	if _, counted := e.counted(); !counted {
		return e.verb("drops or rejects ", "dropped or rejected ")
	}
	return e.verb("drops ", "dropped ")
}

func fwInputRequest(f platform.Facts, e Evidence) (Finding, bool) {
	hooks := e.hooks(FwInputRequest, "prerouting", "input")
	what := packet(e, false)
	if _, counted := e.counted(); e.icmp() && !counted {
		what += " or the reply" // the kernel named the hook and not the packet
	}
	return Finding{
		Cause:    blame("a firewall", e.told(FwInputRequest), e.drops()+what+atHooks(hooks)),
		Evidence: join(e.moved(), chains(f, e, hooks...), e.udp()),
		Fix:      accept(f, e, hooks...),
	}, e.stage() == atInput
}

func fwInputReply(f platform.Facts, e Evidence) (Finding, bool) {
	hooks := e.hooks(FwInputReply, "prerouting", "input")
	return Finding{
		Cause:    blame("a firewall", e.told(FwInputReply), e.drops()+packet(e, true)+atHooks(hooks)),
		Evidence: join(e.moved(), chains(f, e, hooks...), e.udp()),
		Fix:      accept(f, e, hooks...),
	}, e.stage() == replyAtInput
}

// atHooks names the place for a person: a single hook, or the first ones of two on one side.
func atHooks(hooks []string) string {
	names := strings.Fields(strings.ToUpper(strings.Join(hooks, " ")))
	slices.Sort(names) // INPUT before PREROUTING, OUTPUT before POSTROUTING
	return " at " + strings.Join(names, " or ")
}

// fwICMPOnly: ICMP is silent and UDP works. That can be told without counters.
func fwICMPOnly(f platform.Facts, e Evidence) (Finding, bool) {
	silent := e.icmp() && e.Received == 0 && e.SendErrors == 0 && e.Late == 0
	open := f.Firewall.OK && !slices.ContainsFunc(seen(f, e, []string{"prerouting", "input", "output"}), canDrop)
	return Finding{
		Cause:    "only ICMP " + e.verb("is", "was") + " blocked, likely by a firewall",
		Evidence: join(e.udp(), e.moved(), chains(f, e, "prerouting", "input", "output")),
		Fix:      accept(f, e, "prerouting", "input", "output"),
	}, silent && !open && e.UDP != nil && e.UDP.Answered && e.stage() != damaged
}

// maxCommands is how long commands in a row may be, in bytes.
const maxCommands = 110

// accept is how to accept loopback before any other rule: a command for each chain that can drop, if they are few. To accept ends
// the work of one chain alone, and the next chain at the hook can still drop.
func accept(f platform.Facts, e Evidence, hooks ...string) string {
	var commands []string
	for _, c := range droppers(f, e, hooks) {
		direction := "iifname"
		if c.Hook == "output" || c.Hook == "postrouting" {
			direction = "oifname"
		}
		commands = append(commands, fmt.Sprintf("nft insert rule %s %s %s %s lo accept", c.Family, c.Table, c.Name, direction))
		if c.Hook == "" { // a table of the older iptables, whose chains are not known
			commands = nil
			break
		}
	}
	if command := strings.Join(commands, " && "); command != "" && (len(commands) == 1 || len(command) <= maxCommands) {
		return command
	}
	iptables := "iptables"
	if e.Family == 6 {
		iptables = "ip6tables"
	}
	return fmt.Sprintf("accept lo first in %s (nft list ruleset; %s -S)", strings.Join(hooks, " or "), iptables)
}

// chains tells which base chains see the probes at these hooks.
func chains(f platform.Facts, e Evidence, hooks ...string) string {
	if !f.Firewall.OK {
		return "firewall unknown: " + f.Firewall.Reason()
	}
	list := seen(f, e, hooks)
	if len(list) == 0 {
		return "no firewall chain is there"
	}
	return "chains there: " + listed(list, "", func(c platform.Chain) string {
		name := strings.TrimSpace(c.Family + " " + c.Table + " " + c.Name)
		switch {
		case c.Policy == "drop":
			name += " (policy drop)"
		case c.Drops.Value:
			name += " (has rules that drop)"
		}
		return name
	})
}

// seen are the chains that see the probes at one of the hooks.
func seen(f platform.Facts, e Evidence, hooks []string) []platform.Chain {
	all, _ := f.Firewall.Get()
	return slices.DeleteFunc(slices.Clone(all), func(c platform.Chain) bool { return !sees(c, e.Family, hooks) })
}

// droppers are those of the seen chains that can drop a packet; all, if none is known to.
func droppers(f platform.Facts, e Evidence, hooks []string) []platform.Chain {
	list := seen(f, e, hooks)
	if !slices.ContainsFunc(list, canDrop) {
		return list
	}
	return slices.DeleteFunc(list, func(c platform.Chain) bool { return !canDrop(c) })
}

// canDrop says that a chain may drop packets: by its policy, by a rule, or for all that is known.
func canDrop(c platform.Chain) bool { return c.Policy != "accept" || !c.Drops.OK || c.Drops.Value }

// ownFamily is the name that a firewall has for a family.
func ownFamily(family int) string {
	if family == 6 {
		return "ip6"
	}
	return "ip"
}

// sees says whether a chain sees packets of a family at one of the hooks. Of the older iptables only the tables are
// known, so any of them may.
func sees(c platform.Chain, family int, hooks []string) bool {
	if c.Family != ownFamily(family) && c.Family != "inet" {
		return false
	}
	return slices.Contains(hooks, c.Hook) || c.Hook == "" && c.Table != "nat"
}

// natRedirects: a nat chain at OUTPUT, or a mangle chain whose mark a routing rule knows, sends the probes elsewhere. The kernel
// refuses a send if the new way leads nowhere, although its lookup without that chain says that they stay here. A packet that
// TCP sends it drops without a word. A published port whose container is away is the usual case.
func natRedirects(f platform.Facts, e Evidence) (Finding, bool) {
	steering := steers(f, e)
	if f.Firewall.OK && len(steering) == 0 || e.Received > 0 {
		return Finding{}, false
	}
	_, d, told := e.word()
	told = told && d.Place().Framework != droptrace.Netfilter // which NAT itself is
	l, known := f.Of(e.Family).Lookup.Get()
	refused := known && l.Errno == "" && staysHere(f, l.Route) && !e.tcp() && e.refused("EINVAL", "ENETUNREACH", "EHOSTUNREACH")
	c, _ := e.counted()
	s := e.stage()
	dropped := c.OutDiscards > 0 || e.UDP != nil && e.UDP.Errno == "EPERM" // which a packet that is only led elsewhere is not
	unseen := !told && !dropped && (s == beforeLink || s == atEgress || s == atOutput && c.LinkSent == 0)
	away := unseen && c.OthersSent > 0 && plainQueue(f)
	alone := f.Firewall.OK && len(filters(f, e)) == 0 // nothing else is there that could stop a packet
	swallowed := unseen && alone && plainQueue(f)
	closed := e.Port != 0 && e.closed() && (e.Redirected.Value || listens(f, e) && alone)
	out := Finding{
		Cause: blame("NAT", refused && f.Firewall.OK || swallowed || e.Redirected.Value,
			e.verb("sends ", "sent ")+e.aim()+" elsewhere, and nothing "+e.verb("answers", "answered")+" there"),
		Evidence: join(e.sends(), e.moved(), chains(f, e, "output"), e.udp()),
		Fix:      "start what it leads to, or mend that rule: nft list ruleset",
	}
	if e.Port == 0 {
		out.Fix = "let that rule leave lo alone: nft list ruleset; ip rule"
	}
	return out, refused || away || swallowed || closed
}

// aim is what the probes are for.
func (e Evidence) aim() string {
	switch {
	case e.Port != 0:
		return e.service()
	case e.icmp():
		return fmt.Sprintf("echo requests to %s", e.Target)
	}
	return fmt.Sprintf("%s to %s", strings.ToUpper(e.Method), e.Target)
}

// steers are the chains at OUTPUT that may send a packet another way.
func steers(f platform.Facts, e Evidence) []platform.Chain {
	all, _ := f.Firewall.Get()
	return slices.DeleteFunc(slices.Clone(all), func(c platform.Chain) bool {
		older := c.Hook == "" && (c.Table == "nat" || c.Table == "mangle") && c.Family == ownFamily(e.Family)
		return !older && !(steering(c) && sees(c, e.Family, []string{"output"}))
	})
}

// filters are the chains that may drop a packet on its way.
func filters(f platform.Facts, e Evidence) []platform.Chain {
	return slices.DeleteFunc(seen(f, e, []string{"output", "postrouting", "prerouting", "input"}), func(c platform.Chain) bool {
		return steering(c) || c.Hook == "" && c.Table == "mangle"
	})
}

func steering(c platform.Chain) bool { return c.Type == "nat" || c.Type == "route" }

// plainQueue says that nothing at lo itself holds or drops packets.
func plainQueue(f platform.Facts) bool {
	list, ok := f.Queues.Get()
	chains, _ := f.Firewall.Get()
	if slices.ContainsFunc(chains, func(c platform.Chain) bool { return c.Hook == "egress" }) {
		return false
	}
	return ok && !slices.ContainsFunc(list, func(q platform.Queue) bool { return q.Kind != "noqueue" })
}

// natRewrites: our own echo saw the probes come from another address than they were sent from.
func natRewrites(f platform.Facts, e Evidence) (Finding, bool) {
	fix := map[int]string{4: "iptables", 6: "ip6tables"}[e.Family] + " -t nat -I POSTROUTING -o lo -j ACCEPT"
	var inserts []string // an accept in one chain does not keep packets from the next
	for _, c := range seen(f, e, []string{"postrouting"}) {
		if c.Type == "nat" && c.Hook != "" {
			inserts = append(inserts, fmt.Sprintf("nft insert rule %s %s %s oifname lo accept", c.Family, c.Table, c.Name))
		}
	}
	if len(inserts) > 0 {
		fix = strings.Join(inserts, " && ")
	}
	return Finding{
		Cause:    "NAT gives packets on lo the source " + e.RewrittenFrom,
		Evidence: join("the echo of lping saw that source", chains(f, e, "postrouting")),
		Fix:      fix,
	}, e.RewrittenFrom != ""
}
