// Package diagnose turns evidence about an unhealthy loopback into findings: what is wrong, how that is known,
// and what mends it. A rule is a pure function: it reads nothing and changes nothing.
package diagnose

import (
	"cmp"
	"slices"
	"strings"

	"lping/platform"
)

// Severity ranks a finding. Info changes no verdict, a warning degrades it, an error makes it unhealthy.
type Severity uint8

const (
	Info Severity = iota + 1
	Warning
	Error
)

// String is the severity as it stands in the output.
func (s Severity) String() string {
	switch s {
	case Info:
		return "info"
	case Warning:
		return "warning"
	case Error:
		return "error"
	}
	return "unknown"
}

// Finding is one cause of what was seen.
type Finding struct {
	Code     Code
	Severity Severity
	// Cause is a few words for a person.
	Cause string
	// Evidence is what was read or counted that shows the cause.
	Evidence string
	// Fix is the command or setting that mends it here; empty where none is known.
	Fix string
}

// Absent says that the loopback itself is not there, or the target's address on it, whatever a process may do.
func Absent(list []Finding) bool {
	return slices.ContainsFunc(list, func(f Finding) bool {
		return f.Severity == Error && (f.Code == AddrMissing || slices.Contains(absent, f.Code))
	})
}

// Diagnose finds the causes of what was seen, the most basic one first, and leaves out what only follows from another.
// A run whose every probe was answered as it should be gets no finding of severity error, whatever the facts. Facts
// that nobody read explain nothing and do no harm.
func Diagnose(f platform.Facts, e Evidence) []Finding {
	var list []Finding
	for _, r := range rules {
		if !r.evenIfAnswered && !e.troubled() || anyOf(list, r.consequenceOf) {
			continue
		}
		if found, ok := r.find(f, e); ok {
			found.Code, found.Severity = r.Code, cmp.Or(found.Severity, r.Severity)
			if !r.neverAllowed || e.Received > 0 {
				found = capped(found, e)
			}
			if r.fixedInside {
				found.Fix = within(f, found.Fix)
			}
			list = append(list, found)
		}
	}
	return list
}

// within says how to mend a container, which seldom has the tools and the right: from its host, but not on the host's own
// network. What nsenter starts is one command. A cgroup is in no network.
func within(f platform.Facts, fix string) string {
	if c := f.Container.Value; fix == "" || fix == detach || c.Runtime == "" || c.HostNetwork {
		return fix
	}
	if strings.Contains(fix, " && ") {
		fix = "sh -c '" + fix + "'"
	}
	return fix + " # from the host: nsenter -t PID -n"
}

// anyOf says whether a code of one of these groups was found.
func anyOf(list []Finding, groups [][]Code) bool {
	return slices.ContainsFunc(list, func(f Finding) bool {
		return slices.ContainsFunc(groups, func(g []Code) bool { return slices.Contains(g, f.Code) })
	})
}

// capped is a finding that explains only what the user's limits allow: no error then. A wrong answer is no loss.
func capped(f Finding, e Evidence) Finding {
	if e.LossAllowed && f.Code != PayloadCorrupted && f.Severity == Error {
		f.Severity = Info
	}
	return f
}
