package doctor

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"lping/ping"
	"lping/ping/check"
	"lping/ping/report"
	"lping/stats"
)

// Examine looks at this host and probes the targets of c by ICMP, UDP and TCP in turn: side by side they would move each
// other's counters. Where ICMP is not permitted it is UDP that takes its place.
func Examine(ctx context.Context, c check.Config) (Doctor, error) {
	d := Doctor{Verdict: stats.Healthy}
	checked := false
	for _, proto := range []ping.Proto{ping.ProtoAuto, ping.ProtoUDP, ping.ProtoTCP} {
		if proto == ping.ProtoUDP && slices.ContainsFunc(d.Results, overUDP) {
			continue
		}
		c.Ping.Proto, c.Thorough = proto, proto == ping.ProtoAuto
		k := check.New(c)
		r, err := k.Run(ctx)
		if _, unchecked := errors.AsType[*check.UncheckedError](err); err != nil && !unchecked {
			return d, err
		}
		if c.Thorough {
			d.Facts = k.Facts()
		}
		checked = checked || err == nil
		d.Verdict = stats.Worse(d.Verdict, r.Verdict)
		d.Results, d.Evidence = append(d.Results, r.Results...), append(d.Evidence, k.Evidence()...)
	}
	slices.SortStableFunc(d.Results, func(a, b report.Result) int {
		return report.Family(a.Target.Address) - report.Family(b.Target.Address)
	})
	var addresses []netip.Addr
	for _, t := range c.Targets {
		addresses = append(addresses, t.Address)
	}
	d.Sockets, d.ExitCode = trySockets(addresses), c.Exit.Status(d.Verdict, checked)
	return d, nil
}

func overUDP(r report.Result) bool { return r.Target.Method == ping.MethodUDP }
