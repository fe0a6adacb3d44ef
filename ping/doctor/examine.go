package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"lping/ping"
	"lping/ping/check"
	"lping/ping/report"
	"lping/stats"
)

// Examine looks at this host and probes the targets of c by ICMP, UDP and TCP, one protocol after the other: at the same
// time they would move each other's counters. If ICMP is not permitted, UDP takes its place.
func Examine(ctx context.Context, c check.Config) (Picture, error) {
	pic := Picture{At: time.Now(), Verdict: stats.Healthy}
	if err := ping.Spare(2); err != nil { // the runtime's own, without which it ends the program
		return pic, fmt.Errorf("%w: no file descriptor is left", err)
	}
	checked := false
	for _, proto := range []ping.Proto{ping.ProtoAuto, ping.ProtoUDP, ping.ProtoTCP} {
		if proto == ping.ProtoUDP && slices.ContainsFunc(pic.Results, overUDP) {
			continue // that is what the first run probed by
		}
		c.Targets, c.Thorough = slices.Clone(c.Targets), proto == ping.ProtoAuto
		for i := range c.Targets {
			c.Targets[i].Proto = proto
		}
		k := check.New(c)
		k.Start()
		r, err := k.Run(ctx)
		if _, unchecked := errors.AsType[*check.UncheckedError](err); err != nil && !unchecked {
			return pic, err
		}
		if c.Thorough {
			pic.Facts = k.Facts()
			pic.Watches = check.Watches(pic.Facts)
		}
		checked = checked || err == nil
		pic.Verdict = stats.Worse(pic.Verdict, r.Verdict)
		pic.Results, pic.Evidence = append(pic.Results, r.Results...), append(pic.Evidence, k.Evidence()...)
	}
	slices.SortStableFunc(pic.Results, func(a, b report.Result) int {
		return report.Family(a.Target.Address) - report.Family(b.Target.Address)
	})
	var addresses []netip.Addr
	for _, t := range c.Targets {
		addresses = append(addresses, t.Address)
	}
	pic.Sockets, pic.ExitCode = trySockets(addresses), c.Exit.Status(pic.Verdict, checked)
	return pic, nil
}

func overUDP(r report.Result) bool { return r.Target.Method == ping.MethodUDP }
