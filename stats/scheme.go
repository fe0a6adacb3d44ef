package stats

// Scheme is a mapping from a verdict to an exit status. The zero value is that of ping.
type Scheme uint8

const (
	SchemePing   Scheme = iota // 0 healthy or degraded, 1 unhealthy or unknown, 2 not checked
	SchemeHealth               // 0 healthy or degraded, 1 everything else
	SchemeNagios               // 0 healthy, 1 degraded, 2 unhealthy or unknown, 3 not checked
)

// Status is the exit status of a verdict; checked is false if nothing could be checked at all.
func (s Scheme) Status(v Verdict, checked bool) int {
	switch {
	case !checked:
		return [...]int{SchemePing: 2, SchemeHealth: 1, SchemeNagios: 3}[s]
	case v == Healthy:
		return 0
	case v == Degraded:
		return [...]int{SchemePing: 0, SchemeHealth: 0, SchemeNagios: 1}[s]
	}
	return [...]int{SchemePing: 1, SchemeHealth: 1, SchemeNagios: 2}[s]
}
