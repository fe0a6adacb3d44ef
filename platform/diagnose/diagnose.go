// Package diagnose turns evidence about an unhealthy loopback into findings: what is wrong, how that is known,
// and what mends it. A rule is a pure function: it reads nothing and changes nothing.
package diagnose

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"lping/platform"
)

// Severity is how bad a finding is. Info changes no verdict, a warning degrades it, an error makes it unhealthy.
type Severity uint8

const (
	Info Severity = iota + 1
	Warning
	Error
)

// String is the severity as the output shows it.
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
	// Fix is the command or setting that mends it here; empty if none is known.
	Fix string
	// Since is when the outage began that it explains, and Until when that was over. Both are zero if it explains none, Until also
	// while the outage lasts.
	Since, Until time.Time
}

// Fails says whether a finding of this code tells why probes count as loss, so that it is over when answers come again.
func (c Code) Fails() bool {
	i := Place(c)
	return i < len(rules) && (!rules[i].evenIfAnswered || c == ServiceError || c == PayloadCorrupted)
}

// Same says that two findings differ in nothing but their evidence and their time.
func (f Finding) Same(other Finding) bool {
	return f.Code == other.Code && f.Severity == other.Severity && f.Cause == other.Cause && f.Fix == other.Fix
}

// Absent says that the loopback interface or the target's address on it is not in use, whatever this process may do.
func Absent(list []Finding) bool {
	return slices.ContainsFunc(list, func(f Finding) bool {
		return f.Severity == Error && (f.Code == AddrMissing || slices.Contains(absent, f.Code))
	})
}

// Diagnose finds the causes of what was seen, the most basic one first, and leaves out those that are a consequence of
// another. If every probe was answered as it should be, no finding is an error, whatever the facts. Facts that were not read
// explain nothing.
func Diagnose(f platform.Facts, e Evidence) []Finding {
	var list []Finding
	word, drop, told := e.word()
	_, spoiled := netemSpoils(f, e)
	for _, r := range rules {
		if !r.evenIfAnswered && !e.lacksAnswers() || anyOf(list, r.consequenceOf) {
			continue
		}
		found, ok := r.find(f, e)
		switch {
		case spoiled && spoilable(r.Code):
			ok = false
		case told && r.Code == word:
			ok = found.Cause != ""
			found.Evidence = join(wordOf(drop), found.Evidence)
		case told && slices.Contains(dropCodes, r.Code):
			ok = false
		}
		if ok {
			found.Code, found.Severity = r.Code, cmp.Or(found.Severity, r.Severity)
			if !r.neverAllowed || e.Received > 0 {
				found = capped(found, e)
			}
			if r.fixedInside {
				found.Fix = fromHost(f, found.Fix)
			}
			list = append(list, found)
		}
	}
	return list
}

// fromHost adds how to apply a fix to a container from its host: the container seldom has the tools and the right. It is not
// for the host's own network, and not for a cgroup, which belongs to no network. nsenter starts a single command.
func fromHost(f platform.Facts, fix string) string {
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

// capped makes an error a matter of information if the user's limits allow the loss. A wrong answer is no loss.
func capped(f Finding, e Evidence) Finding {
	if e.LossAllowed && f.Code != PayloadCorrupted && f.Severity == Error {
		f.Severity = Info
	}
	return f
}
