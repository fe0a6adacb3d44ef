// Package diagnose turns evidence about an unhealthy loopback into findings: what is wrong, how that is known,
// and what mends it. A rule is a pure function: it reads nothing and changes nothing.
package diagnose

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
	// Code is stable and made for programs: lo_down, icmp_not_permitted, …
	Code     string
	Severity Severity
	// Cause is a few words for a person.
	Cause string
	// Evidence is what was read or counted that shows the cause.
	Evidence string
	// Fix is the command or setting that mends it here; empty where none is known.
	Fix string
}
