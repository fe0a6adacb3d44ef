package doctor

import (
	"errors"
	"strings"
	"syscall"

	"lping/ping/report"
	"lping/platform"
	"lping/platform/diagnose"
	"lping/stats"
)

// hostileHost has these strings wherever a string can be, and the number wherever a number can be.
func hostileHost(a, b, c string, n uint64) Picture {
	long := strings.Repeat(b, 30)
	zoned := v6.WithZone(a + b + c)
	known, unknown := hostileFacts(a, b, c, n), platform.Unknown[platform.Lookup](long)
	known.IPv6.Lookup = unknown
	f := diagnose.Finding{
		Code: diagnose.Code(b), Severity: diagnose.Severity(n % 5), Cause: a, Evidence: b + c, Fix: a + `"` + b + `" ` + c,
	}
	g := diagnose.Finding{Code: diagnose.Code(c), Severity: diagnose.Error, Cause: c, Evidence: a, Fix: c}
	t := target6()
	t.Address, t.Method = zoned, b+a
	r := silent(t, f, g, diagnose.Finding{Code: diagnose.Code(a)})
	r.Cause, r.Verdict = said(a+b+c), stats.Verdict(n%5)
	r.Summary.Sent, r.Summary.Received = n, n/2
	return Picture{
		Facts:    known,
		Sockets:  []SocketTrial{{a, int(n), errors.New(b)}, {b, 4, errors.New(a)}, {c, 6, syscall.Errno(n)}},
		Results:  []report.Result{r, healthy(target4())},
		Evidence: []diagnose.Evidence{{Target: zoned, Method: a, Refused: []diagnose.Refusal{{Errno: b}}}},
		Verdict:  stats.Verdict(n % 4),
		ExitCode: int(n),
	}
}

func hostileFacts(a, b, c string, n uint64) platform.Facts {
	f := rootFacts()
	f.System, f.Kernel, f.Network = a, platform.Know(b), platform.Know(c)
	i := platform.Interface{
		Name: b, Index: int(n), Flags: []string{a, b, c}, MTU: int(n), Hardware: a, State: b, Qdisc: c,
		Addresses: []platform.Address{{Scope: a, Flags: []string{b, c}}},
	}
	list := make([]platform.Interface, atMost+1)
	list[0], list[1].Name = i, c
	f.Loopback = platform.Know(list)
	route := platform.Route{Type: c, Interface: a, Table: b}
	f.IPv4 = platform.Family{
		Lookup: platform.Know(platform.Lookup{Route: route}), Local: platform.Know([]platform.Route{route}),
		Rules: platform.Know([]platform.Rule{{Action: a, Table: b, In: c, Out: a, Users: &platform.Range{Low: int64(n)}}}),
	}
	f.Ports = platform.Know(platform.Range{Low: int64(n), High: -1})
	f.Conntrack = platform.Know(platform.Conntrack{Count: n})
	f.Queues = platform.Know([]platform.Queue{{Kind: a, Drops: n}})
	chains := make([]platform.Chain, atMost+2)
	chains[0] = platform.Chain{Family: "ip", Table: b}
	chains[1] = platform.Chain{Family: a, Table: b, Name: c, Hook: a, Policy: b}
	f.Firewall = platform.Know(chains)
	f.Process = platform.Know(platform.Process{UID: int64(n), Groups: make([]int64, atMost+3), Seccomp: c})
	f.CPU = platform.Know(platform.CPU{
		Version: int(n), Limit: float64(n) + 1e-9, Periods: 1, Throttled: n, ThrottledTime: 1e300,
	})
	f.Localhost = platform.Know([]platform.HostsLine{{Address: v6.WithZone(c + "z"), Names: []string{a, b}}})
	f.Container = platform.Know(platform.Container{Runtime: b, Sign: a, Rootless: n%2 == 0})
	return f
}
