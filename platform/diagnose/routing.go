package diagnose

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"lping/platform"
)

// ruleBlocks finds a rule, or a route of the local table, that forbids the way to the target (ip-rule(8)) or the way back, or a
// rule that leads to such a route in another table. The kernel's own answer to `ip route get` must agree if it is known.
func ruleBlocks(f platform.Facts, e Evidence) (Finding, bool) {
	family := f.Of(e.Family)
	if out, ok := blockedBy(f, e, request(f, e), family.Lookup, e.Target.String()); ok {
		return out, true
	}
	l, ok := family.Lookup.Get()
	if !ok && !family.Rules.OK && f.System == "linux" {
		return forbiddenUnread(f, e)
	}
	if ok && l.Errno == "" && staysHere(f, l.Route) {
		if family.Answer == nil {
			return Finding{}, false
		}
		return blockedBy(f, e, answer(f, e), platform.Know(*family.Answer), "the answers")
	}
	if r, ok := localRoute(family, e); ok && forbids(r.Type) {
		return Finding{
			Cause:    fmt.Sprintf("route %s in table local %s %s", r.Destination, e.verb("is", "was"), an(r.Type)),
			Evidence: join(lookup(family), e.sends()),
			Fix:      fmt.Sprintf("%s route del %s %s table local", ip(e), r.Type, r.Destination),
		}, true
	}
	out, diverted := diversion(f, e, e.verb("is", "was")+" forbidden")
	return out, diverted && ok && l.Errno != "" && !notUnderstood(l, e)
}

// refusal is the errno of a rule that forbids (fib4_rule_action in net/ipv4/fib_rules.c); empty if it does not.
func refusal(action string) string {
	switch action {
	case "blackhole":
		return "EINVAL"
	case "prohibit":
		return "EACCES"
	case "unreachable":
		return "ENETUNREACH"
	}
	return ""
}

// blockedBy finds a rule that forbids packets their way. The kernel, if it was asked, knows better, unless the rule goes by a
// port that it was not told.
func blockedBy(f platform.Facts, e Evidence, p platform.Packet, asked platform.Known[platform.Lookup], what string) (Finding, bool) {
	r, met := firstRule(f, e, p)
	l, ok := asked.Get()
	errno := refusal(r.Action)
	agrees := ok && l.Errno == errno || e.refused(errno)
	denies := ok && l.Errno == "" && staysHere(f, l.Route)
	return Finding{
		Cause:    blame(fmt.Sprintf("routing rule %d (%s)", r.Priority, r.Text()), met == platform.Meets && (agrees || !denies), e.verb("forbids", "forbade")+" "+what),
		Evidence: join(lookup(f.Of(e.Family)), e.sends()),
		Fix:      deletion(f, e, r),
	}, forbids(r.Action) && (met == platform.Meets && (!denies || r.Untold(p.Flow) && e.Unanswered()) || met == platform.MayMeet && agrees)
}

// forbiddenUnread goes by the error of send alone, since the rules cannot be read: a rule or a route of this kind gives it. They
// refuse to connect as well; a policy that denies send does not.
func forbiddenUnread(f platform.Facts, e Evidence) (Finding, bool) {
	for _, kind := range []struct{ action, errno string }{{"blackhole", "EINVAL"}, {"prohibit", "EACCES"}, {"unreachable", "EHOSTUNREACH"}} {
		if e.refused(kind.errno) && !(e.UDP != nil && e.UDP.Errno == kind.errno && e.UDP.Connect == "") {
			return Finding{
				Cause:    fmt.Sprintf("%s, a routing rule or a route, likely %s %s", an(kind.action), e.verb("forbids", "forbade"), e.Target),
				Evidence: join(e.sends(), "rules and routes unknown: "+f.Of(e.Family).Rules.Reason()),
				Fix:      fmt.Sprintf("delete the %s that is in %s rule list or %[2]s route list table all", kind.action, ip(e)),
			}, true
		}
	}
	return Finding{}, false
}

// an is a kind of route or rule with its article.
func an(kind string) string {
	if kind == "unreachable" {
		return "an " + kind
	}
	return "a " + kind
}

// localRoute is the route of the local table that the target takes: the most specific one, and of those the first.
func localRoute(family platform.Family, e Evidence) (platform.Route, bool) {
	routes, _ := family.Local.Get()
	return bestRoute(routes, e)
}

func bestRoute(routes []platform.Route, e Evidence) (best platform.Route, ok bool) {
	for _, r := range routes {
		better := !ok || r.Destination.Bits() > best.Destination.Bits() ||
			r.Destination.Bits() == best.Destination.Bits() && r.Metric < best.Metric
		if r.Destination.Contains(e.Target.WithZone("")) && better {
			best, ok = r, true
		}
	}
	return best, ok
}

// diversion finds rules by which another table is looked up before the local one, which has the target: a route found there
// leads away. With a goto nothing is found, since it may skip the local table and any rule before it. becomes tells what
// becomes of the target; it may be empty.
func diversion(f platform.Facts, e Evidence, becomes string) (Finding, bool) {
	family := f.Of(e.Family)
	rules, _ := family.Rules.Get()
	p := request(f, e)
	at := slices.IndexFunc(rules, func(r platform.Rule) bool { return r.Meets(p) == platform.Meets && r.Table == "local" })
	if at < 0 || !inLocalTable(family, e) {
		return Finding{}, false
	}
	before := slices.DeleteFunc(slices.Clone(rules[:at]), func(r platform.Rule) bool {
		return r.Meets(p) == platform.MeetsNot || r.Action != "lookup" && r.Action != "goto"
	})
	jumps := slices.ContainsFunc(before, func(r platform.Rule) bool { return r.Action == "goto" })
	if len(before) == 0 || jumps {
		return Finding{}, false
	}
	var fix []string
	for _, r := range before {
		if len(before) == 1 || r.Priority == 0 { // which nothing can be put before
			fix = append(fix, deletion(f, e, r))
		}
	}
	if len(fix) < len(before) {
		fix = append(fix, localFirst(e))
	}
	who := fmt.Sprintf("routing rule %d (lookup %s) %s", before[0].Priority, before[0].Table, e.verb("precedes", "preceded"))
	if len(before) > 1 {
		who = fmt.Sprintf("%d routing rules %s", len(before), e.verb("precede", "preceded"))
	}
	if becomes != "" {
		becomes = fmt.Sprintf(": %s %s", e.Target, becomes)
	}
	return Finding{
		Cause:    who + " the local table" + becomes,
		Evidence: join("rules are "+ruleList(rules), lookup(family), e.sends()),
		Fix:      strings.Join(fix, " && "),
	}, true
}

// inLocalTable says that the local table has the target.
func inLocalTable(family platform.Family, e Evidence) bool {
	r, ok := localRoute(family, e)
	return ok && r.Type == "local"
}

// deletion is the command that deletes a rule, and no other one. The kernel takes the first rule that has what is named, and
// perhaps more: if that is another one, the local table is asked before both.
func deletion(f platform.Facts, e Evidence, r platform.Rule) string {
	rules, _ := f.Of(e.Family).Rules.Get()
	for _, other := range rules {
		same := other.Priority == r.Priority && other.Action == r.Action && other.Table == r.Table
		named := other.Selectors()
		switch lacks := func(s string) bool { return !slices.Contains(named, s) }; {
		case !same || slices.ContainsFunc(r.Selectors(), lacks):
		case other.Text() == r.Text():
			return fmt.Sprintf("%s rule del pref %d %s", ip(e), r.Priority, r.Text())
		case r.Priority > 0:
			return localFirst(e)
		default:
			return fmt.Sprintf("%s rule list pref 0, then delete all with %s and put the others back", ip(e), r.Action)
		}
	}
	return fmt.Sprintf("%s rule del pref %d %s", ip(e), r.Priority, r.Text())
}

// localFirst is the command that makes the local table the first.
func localFirst(e Evidence) string { return ip(e) + " rule add pref 0 lookup local" }

// notUnderstood says that the kernel does not know this question, as in some sandboxes.
func notUnderstood(l platform.Lookup, e Evidence) bool {
	return l.Errno == "EINVAL" && !e.refused("EINVAL")
}

// firstRule is the rule that decides about a packet: the first that forbids it its way, or that leads to the local table. One
// that may forbid it comes first.
func firstRule(f platform.Facts, e Evidence, p platform.Packet) (platform.Rule, platform.Meeting) {
	list, _ := f.Of(e.Family).Rules.Get()
	for _, r := range list {
		met := r.Meets(p)
		if met != platform.MeetsNot && forbids(r.Action) || met == platform.Meets && r.Table == "local" {
			return r, met
		}
	}
	return platform.Rule{}, platform.MeetsNot
}

// request is what routing sees of a probe. It comes by the loopback interface.
func request(f platform.Facts, e Evidence) platform.Packet {
	p := platform.Packet{Flow: flowOf(f, e), To: e.Target.WithZone(""), User: -1}
	if i, ok := loopback(f, e); ok {
		p.In = i.Name
	}
	if process, ok := f.Process.Get(); ok {
		p.User = process.UID
	}
	if ports, ok := f.Ports.Get(); ok {
		p.Chosen = ports
	}
	return p
}

// answer is what routing sees of what answers a probe. Whose service it is is not known.
func answer(f platform.Facts, e Evidence) platform.Packet {
	p := request(f, e)
	p.Flow, p.To = p.Answer(p.To), p.Source
	switch {
	case p.Protocol == platform.ICMP:
		p.User = 0
	case e.Port != 0:
		p.User = -1
	}
	return p
}

// flowOf is what routing goes by for the probes.
func flowOf(f platform.Facts, e Evidence) platform.Flow {
	flow := f.Of(e.Family).Flow
	if flow.Protocol != "" {
		return flow
	}
	flow = platform.Flow{Protocol: platform.ICMP, Source: e.Target.WithZone(""), Port: e.Port}
	switch {
	case e.tcp():
		flow.Protocol = platform.TCP
	case e.Method == "udp":
		flow.Protocol = platform.UDP
	}
	return flow
}

// forbids says whether a rule's action or a route's type refuses what it matches.
func forbids(s string) bool {
	return slices.Contains([]string{"blackhole", "prohibit", "unreachable"}, s)
}

// routeMissing finds that packets to the target do not stay on this host.
func routeMissing(f platform.Facts, e Evidence) (Finding, bool) {
	family := f.Of(e.Family)
	if out, ok := overlaid(f, e); ok {
		return out, true
	}
	l, ok := family.Lookup.Get()
	if !ok {
		return routeRefused(f, e)
	}
	if notUnderstood(l, e) || l.Errno == "" && staysHere(f, l.Route) {
		return Finding{}, false
	}
	leaves := ""
	if l.Errno == "" && l.Route.Interface != "" {
		leaves = e.verb("would leave", "would have left") + " by " + l.Route.Interface
	}
	rules, known := family.Rules.Get()
	lacking := known && !asksLocal(rules)
	diverted, found := diversion(f, e, leaves)
	switch {
	case lacking || known && inLocalTable(family, e) && !found:
		out := Finding{
			Cause:    "no routing rule " + e.verb("leads", "led") + " to the local table",
			Evidence: join("rules are "+ruleList(rules), lookup(family), e.sends()),
			Fix:      localFirst(e),
		}
		if lacking {
			out.Cause = "the routing rule for the local table " + e.verb("is", "was") + " missing"
		}
		return out, true
	case found:
		return diverted, true
	}
	return noLocalRoute(f, e, leaves), true
}

// overlaid says that another interface has the target's neighbourhood: the main table has a more specific route than the local
// one, and as long as there are no rules the kernel keeps both in one, and takes the target for an address of others.
func overlaid(f platform.Facts, e Evidence) (Finding, bool) {
	family := f.Of(e.Family)
	main, ok := bestRoute(family.Main, e)
	local, _ := localRoute(family, e)
	if !ok || main.Destination.Bits() <= local.Destination.Bits() || e.Bind != "EADDRNOTAVAIL" {
		return Finding{}, false
	}
	i, _ := loopback(f, e)
	by := "of type " + main.Type
	if main.Interface != "" {
		by = "by " + main.Interface
	}
	return Finding{
		Cause:    fmt.Sprintf("route %s %s %s %s away from the loopback interface", main.Destination, by, e.verb("takes", "took"), e.Target),
		Evidence: join("table main has "+main.Type+" "+main.Destination.String(), localTable(family), e.sends()),
		Fix:      fmt.Sprintf("ip route add local %s dev %s table local", e.Target, i.Name),
	}, true
}

// noLocalRoute says that the local table lacks the target, and where packets would leave; that is empty if they would not.
func noLocalRoute(f platform.Facts, e Evidence, leaves string) Finding {
	family := f.Of(e.Family)
	i, _ := loopback(f, e)
	to := e.Target.WithZone("").String()
	if whole := netip.MustParsePrefix("127.0.0.0/8"); whole.Contains(e.Target) {
		to = whole.String()
	}
	out := Finding{
		Cause:    fmt.Sprintf("there %s no local route to %s", e.verb("is", "was"), e.Target),
		Evidence: join(localTable(family), lookup(family), e.sends()),
		Fix:      fmt.Sprintf("%s route add local %s dev %s table local", ip(e), to, i.Name),
	}
	if r, ok := localRoute(family, e); ok && r.Type == "throw" {
		out.Cause = fmt.Sprintf("for %s table local %s a route of type throw (%s)", e.Target, e.verb("has", "had"), r.Destination)
		out.Fix = fmt.Sprintf("%s route del throw %s table local", ip(e), r.Destination)
		if !slices.ContainsFunc(family.Local.Value, func(r platform.Route) bool {
			return r.Type == "local" && r.Destination.Contains(e.Target.WithZone(""))
		}) {
			out.Fix = fmt.Sprintf("%s route replace local %s dev %s table local", ip(e), r.Destination, i.Name)
		}
	}
	if leaves != "" {
		out.Cause += ", it " + leaves
	}
	return out
}

// routeRefused goes by the errors of bind and send, since the routes cannot be read. The kernel lets a socket have an address of
// IPv4 if the local table has it, whatever the rules say; for IPv6 /proc may tell.
func routeRefused(f platform.Facts, e Evidence) (Finding, bool) {
	family := f.Of(e.Family)
	i, _ := loopback(f, e)
	out := Finding{
		Cause:    fmt.Sprintf("there %s likely no local route to %s", e.verb("is", "was"), e.Target),
		Evidence: join(e.sends(), "routes unknown: "+family.Lookup.Reason()),
	}
	unreachable := e.refused("ENETUNREACH", "EHOSTUNREACH")
	absent := family.Local.OK && !inLocalTable(family, e)
	if absent {
		out.Cause, out.Evidence = fmt.Sprintf("there %s no local route to %s", e.verb("is", "was"), e.Target), join(localTable(family), e.sends())
	}
	switch {
	case f.System == "linux" && unreachable && f.Loopback.OK && (e.Family == 4 && e.Bind == "" || inLocalTable(family, e)):
		out.Cause, out.Fix = "the routing rules likely "+e.verb("do", "did")+" not lead to the local table", localFirst(e)
	case f.System == "linux":
		out.Fix = fmt.Sprintf("%s route replace local %s dev %s table local", ip(e), e.Target.WithZone(""), i.Name)
	case f.System == "darwin":
		inet := map[int]string{4: "-inet", 6: "-inet6"}[e.Family]
		out.Fix = fmt.Sprintf("route add %s -host %s -interface %s", inet, e.Target, i.Name)
	}
	return out, absent || unreachable || f.System == "linux" && f.Loopback.OK && e.Bind == "EADDRNOTAVAIL"
}

// Leaves says that a packet to the target of a family would leave this host.
func Leaves(f platform.Facts, family int) bool {
	l, ok := f.Of(family).Lookup.Get()
	return ok && l.Errno == "" && !staysHere(f, l.Route)
}

// staysHere says whether a route delivers to this host, or at least to the loopback interface (table main has ::1, too).
func staysHere(f platform.Facts, r platform.Route) bool {
	if forbids(r.Type) {
		return false
	}
	list, _ := f.Loopback.Get()
	return r.Type == "local" ||
		slices.ContainsFunc(list, func(i platform.Interface) bool { return i.Name == r.Interface })
}

func asksLocal(rules []platform.Rule) bool {
	return slices.ContainsFunc(rules, func(r platform.Rule) bool { return r.Table == "local" })
}

// ip is the command for the family.
func ip(e Evidence) string {
	if e.Family == 6 {
		return "ip -6"
	}
	return "ip"
}
