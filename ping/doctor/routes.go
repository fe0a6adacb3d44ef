package doctor

import (
	"slices"
	"strconv"
	"strings"

	"lping/platform"
)

func routeSection(f platform.Facts, pic Picture) section {
	s := section{title: "Routes", about: "how the kernel knows which addresses are its own"}
	if pic.shows(4) {
		s.routes("IPv4", f.IPv4, f.Loopback)
	}
	if pic.shows(6) && !f.IPv6Off.Value.Absent {
		s.routes("IPv6", f.IPv6, f.Loopback)
	}
	return s
}

// routes shows what one family's local table has, where the kernel sends a packet to its target, and the routing rules.
func (s *section) routes(name string, f platform.Family, loopback platform.Known[[]platform.Interface]) {
	sayKnown(s, name+" local table", f.Local, func(list []platform.Route) {
		if len(list) == 0 {
			s.say("the local table has no route for %s", f.Target)
		}
		sayFirst(s, "routes", append(slices.Clone(list), f.Main...), func(r platform.Route) { s.say("%s", localText(r)) })
	})
	sayKnown(s, name+" lookup", f.Lookup, func(l platform.Lookup) {
		s.say("a packet to %s %s", f.Target, lookupText(l, loopback))
		if f.Answer != nil && f.Answer.Errno != "" {
			s.say("what answers it %s", lookupText(*f.Answer, loopback))
		}
	})
	sayKnown(s, name+" rules", f.Rules, func(list []platform.Rule) { s.policy(name, list) })
}

// localText is a route of the local table, in words.
func localText(r platform.Route) string {
	way := prefixed(", ", strings.Join(hops(r), ", "))
	if r.Table == "main" {
		return platform.PrefixText(r.Destination) + " has a route of type " + r.Type + ": main table" + way
	}
	if r.Type == "local" {
		return platform.PrefixText(r.Destination) + " stays on this machine: local table" + way
	}
	return platform.PrefixText(r.Destination) + " has a route of type " + r.Type + ": local table" + way
}

// lookupText is the kernel's answer to where a packet goes, in words.
func lookupText(l platform.Lookup, loopback platform.Known[[]platform.Interface]) string {
	if l.Errno != "" {
		return "has no way to go: the kernel answers " + l.Errno
	}
	r := l.Route
	details := hops(r)
	if r.Source.IsValid() {
		details = append(details, "from "+r.Source.String())
	}
	way := prefixed(": ", strings.Join(details, ", "))
	switch {
	case r.Type == "local":
		return "stays on this machine" + way
	case r.Type == "unicast" && notLoopback(r.Interface, loopback):
		return "leaves this machine" + way
	}
	return "takes a route of type " + r.Type + way
}

// notLoopback says that an interface is known not to be a loopback interface.
func notLoopback(name string, loopback platform.Known[[]platform.Interface]) bool {
	list, ok := loopback.Get()
	return ok && name != "" && !slices.ContainsFunc(list, func(i platform.Interface) bool { return i.Name == name })
}

// hops are the interface and the gateway of a route, if it has them.
func hops(r platform.Route) []string {
	var list []string
	if r.Interface != "" {
		list = append(list, "dev "+r.Interface)
	}
	if r.Gateway.IsValid() {
		list = append(list, "via "+r.Gateway.String())
	}
	return list
}

// policy shows the rules that come before the local table is asked.
func (s *section) policy(name string, list []platform.Rule) {
	at := slices.IndexFunc(list, asksLocal)
	switch {
	case at == 0:
		s.say("%s: the local table is asked before any other rule", name)
		return
	case at < 0:
		s.say("%s: no rule asks the local table for every packet; the rules are:", name)
		at = len(list)
	default:
		s.say("%s: the local table is asked after these rules:", name)
	}
	sayFirst(s, "rules", list[:at], func(r platform.Rule) { s.sayBelow("%s", ruleText(r)) })
}

// asksLocal says that a rule looks up every packet in the local table.
func asksLocal(r platform.Rule) bool {
	return !r.Not && !r.Other && len(r.Selectors()) == 0 && r.Action == "lookup" && r.Table == "local"
}

// ruleText is a rule as the command `ip rule` shows it.
func ruleText(r platform.Rule) string {
	text := r.Text()
	if !r.From.IsValid() {
		text = strings.TrimPrefix(text, "not ")
		text = strings.TrimSpace("from all " + text)
		if r.Not {
			text = "not " + text
		}
	}
	text = strconv.FormatUint(uint64(r.Priority), 10) + ": " + text
	if r.Other {
		text += " (with selectors that lping does not read)"
	}
	return text
}
