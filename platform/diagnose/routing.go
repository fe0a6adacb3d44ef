package diagnose

import (
	"fmt"
	"slices"
	"strings"

	"lping/platform"
)

// ruleBlocks finds a rule, or a route of the local table, that forbids the way to the target (ip-rule(8)), or a rule that
// leads to such a route in another table. The kernel's own answer to `ip route get` must agree if it is known.
func ruleBlocks(f platform.Facts, e Evidence) (Finding, bool) {
	family := f.Of(e.Family)
	if l, ok := family.Lookup.Get(); ok && l.Errno == "" && staysHere(f, l.Route) {
		return Finding{}, false
	}
	if r, ok := firstRule(f, e); ok && forbids(r.Action) {
		return Finding{
			Cause:    fmt.Sprintf("routing rule %d (%s) %s %s", r.Priority, r.Action, e.verb("forbids", "forbade"), e.Target),
			Evidence: join(lookup(family), e.sends()),
			Fix:      deletion(e, r),
		}, true
	}
	routes, _ := family.Local.Get()
	for _, r := range routes {
		if forbids(r.Type) && r.Destination.Contains(e.Target.WithZone("")) {
			return Finding{
				Cause:    fmt.Sprintf("route %s in table local %s a %s", r.Destination, e.verb("is", "was"), r.Type),
				Evidence: join(lookup(family), e.sends()),
				Fix:      fmt.Sprintf("%s route del %s %s table local", ip(e), r.Type, r.Destination),
			}, true
		}
	}
	l, ok := family.Lookup.Get()
	out, diverted := diversion(f, e, e.verb("is", "was")+" forbidden")
	return out, diverted && ok && l.Errno != "" && !notUnderstood(l, e)
}

// diversion finds rules by which another table is looked up before the local one, which has the target: a route found there
// leads away. With a goto nothing is found, since it may skip the local table and any rule before it. becomes tells what
// becomes of the target; it may be empty.
func diversion(f platform.Facts, e Evidence, becomes string) (Finding, bool) {
	family := f.Of(e.Family)
	rules, _ := family.Rules.Get()
	at := slices.IndexFunc(rules, func(r platform.Rule) bool { return matches(f, e, r) && r.Table == "local" })
	if at < 0 || !inLocalTable(family, e) {
		return Finding{}, false
	}
	before := slices.DeleteFunc(slices.Clone(rules[:at]), func(r platform.Rule) bool {
		return !matches(f, e, r) || r.Action != "lookup" && r.Action != "goto"
	})
	jumps := slices.ContainsFunc(before, func(r platform.Rule) bool { return r.Action == "goto" })
	if len(before) == 0 || jumps {
		return Finding{}, false
	}
	var fix []string
	for _, r := range before {
		if len(before) == 1 || r.Priority == 0 { // which nothing can be put before
			fix = append(fix, deletion(e, r))
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
	routes, _ := family.Local.Get()
	return slices.ContainsFunc(routes, func(r platform.Route) bool {
		return r.Type == "local" && r.Destination.Contains(e.Target.WithZone(""))
	})
}

// deletion is the command that deletes a rule, and no other one of the same priority.
func deletion(e Evidence, r platform.Rule) string {
	return strings.TrimSpace(fmt.Sprintf("%s rule del pref %d %s %s", ip(e), r.Priority, r.Action, r.Table))
}

// localFirst is the command that makes the local table the first.
func localFirst(e Evidence) string { return ip(e) + " rule add pref 0 lookup local" }

// notUnderstood says that the kernel does not know this question, as in some sandboxes.
func notUnderstood(l platform.Lookup, e Evidence) bool {
	return l.Errno == "EINVAL" && !e.refused("EINVAL")
}

// firstRule is the rule that decides about the target: the first that forbids it, or that leads to the local table.
func firstRule(f platform.Facts, e Evidence) (platform.Rule, bool) {
	list, _ := f.Of(e.Family).Rules.Get()
	for _, r := range list {
		if matches(f, e, r) && (forbids(r.Action) || r.Table == "local") {
			return r, true
		}
	}
	return platform.Rule{}, false
}

// matches says whether the probes meet a rule: they come from the target's own address and by the loopback interface, bound
// to none and without a mark.
func matches(f platform.Facts, e Evidence, r platform.Rule) bool {
	to := e.Target.WithZone("")
	i, ok := loopback(f, e)
	met := !r.Narrow && r.Out == "" &&
		(!r.From.IsValid() || r.From.Contains(to)) && (!r.To.IsValid() || r.To.Contains(to)) &&
		(r.In == "" || ok && r.In == i.Name)
	if p, ok := f.Process.Get(); ok && r.Users != nil {
		met = met && r.Users.Contains(p.UID)
	}
	return met != r.Not
}

// forbids says whether a rule's action or a route's type refuses what it matches.
func forbids(s string) bool {
	return slices.Contains([]string{"blackhole", "prohibit", "unreachable"}, s)
}

// routeMissing finds that packets to the target do not stay on this host.
func routeMissing(f platform.Facts, e Evidence) (Finding, bool) {
	family := f.Of(e.Family)
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

// noLocalRoute says that the local table lacks the target, and where packets would leave; that is empty if they would not.
func noLocalRoute(f platform.Facts, e Evidence, leaves string) Finding {
	family := f.Of(e.Family)
	i, _ := loopback(f, e)
	out := Finding{
		Cause:    fmt.Sprintf("there %s no local route to %s", e.verb("is", "was"), e.Target),
		Evidence: join(localTable(family), lookup(family), e.sends()),
		Fix:      fmt.Sprintf("ip route add local 127.0.0.0/8 dev %s table local", i.Name),
	}
	if leaves != "" {
		out.Cause = fmt.Sprintf("there %s no local route to %s, it %s", e.verb("is", "was"), e.Target, leaves)
	}
	if e.Family == 6 {
		out.Fix = fmt.Sprintf("ip -6 route add local %s dev %s table local", e.Target, i.Name)
	}
	return out
}

// routeRefused goes by the error of send alone, since the routes cannot be read.
func routeRefused(f platform.Facts, e Evidence) (Finding, bool) {
	out := Finding{
		Cause:    fmt.Sprintf("there %s likely no route to %s", e.verb("is", "was"), e.Target),
		Evidence: join(e.sends(), "routes unknown: "+f.Of(e.Family).Lookup.Reason()),
	}
	if i, ok := loopback(f, e); ok && f.System == "darwin" {
		inet := "-inet"
		if e.Family == 6 {
			inet = "-inet6"
		}
		out.Fix = fmt.Sprintf("route add %s -host %s -interface %s", inet, e.Target, i.Name)
	}
	return out, e.refused("ENETUNREACH", "EHOSTUNREACH")
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

func ruleList(rules []platform.Rule) string {
	return listed(rules, "none", func(r platform.Rule) string {
		return strings.TrimSpace(fmt.Sprintf("%d %s %s", r.Priority, r.Action, r.Table))
	})
}

// localTable tells what the local table has for the target.
func localTable(family platform.Family) string {
	routes, ok := family.Local.Get()
	if !ok {
		return "local table unknown: " + family.Local.Reason()
	}
	return "the local table has " + listed(routes, "nothing for it", func(r platform.Route) string {
		return r.Type + " " + r.Destination.String()
	})
}

// lookup tells what the kernel answers to `ip route get`.
func lookup(family platform.Family) string {
	l, ok := family.Lookup.Get()
	switch {
	case !ok:
		return ""
	case l.Errno != "":
		return "ip route get: " + l.Errno
	case l.Route.Interface == "":
		return "ip route get: " + l.Route.Type
	}
	return "ip route get: " + l.Route.Type + " dev " + l.Route.Interface
}

// ip is the command for the family.
func ip(e Evidence) string {
	if e.Family == 6 {
		return "ip -6"
	}
	return "ip"
}
