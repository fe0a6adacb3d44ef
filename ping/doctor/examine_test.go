package doctor

import (
	"errors"
	"net"
	"net/netip"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"lping/ping"
	"lping/ping/check"
	"lping/ping/report"
	"lping/platform/diagnose"
	"lping/stats"
)

// targets are the addresses of loopback that answer here.
func targets(t *testing.T) []report.Target {
	var list []report.Target
	for _, target := range []report.Target{target4(), target6()} {
		target.Method = ""
		if answers(target.Address) {
			list = append(list, target)
		}
	}
	if len(list) == 0 {
		t.Skip("this host has no loopback: ip link set lo up")
	}
	return list
}

// answers says whether this host can connect to itself.
func answers(a netip.Addr) bool {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
	if err != nil {
		return false
	}
	defer l.Close()
	return closeAtOnce(net.DialTimeout("tcp", l.Addr().String(), time.Second)) == nil
}

func shortCheck(targets []report.Target) check.Config {
	for i := range targets {
		t := &targets[i]
		t.Timeout, t.Size, t.Count, t.Interval, t.Optional = 2*time.Second, 56, 2, time.Millisecond, true
	}
	return check.Config{Targets: targets, Exit: stats.SchemeNagios}
}

// TestExamine examines the host that the test runs on, which need not be well.
func TestExamine(t *testing.T) {
	c := shortCheck(targets(t))
	pic, err := Examine(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	first := pic.Results[0].Target.Method
	var got, want []string
	worst := stats.Healthy
	for _, r := range pic.Results {
		if r.Summary.Received != r.Summary.Sent {
			t.Errorf("%s by %s: %s", report.Address(r), r.Target.Method, report.Ratio(r))
		}
		got, worst = append(got, r.Target.Address.String()+" "+r.Target.Method), stats.Worse(worst, r.Verdict)
	}
	for _, target := range c.Targets {
		for _, method := range slices.Compact([]string{first, ping.MethodUDP, ping.MethodTCP}) {
			want = append(want, target.Address.String()+" "+method)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if pic.Verdict != worst || pic.ExitCode != c.Exit.Status(worst, true) {
		t.Errorf("got %s and status %d, want %s", pic.Verdict, pic.ExitCode, worst)
	}
	if pic.Facts.System != runtime.GOOS || len(pic.Evidence) != len(pic.Results) {
		t.Errorf("facts of %q, %d pieces of evidence, want %q and %d", pic.Facts.System, len(pic.Evidence), runtime.GOOS,
			len(pic.Results))
	}
	checkSockets(t, pic.Sockets, c.Targets)
	checkPicture(t, pic)
}

// checkSockets demands each kind in each family, and that a UDP and a TCP socket can be had.
func checkSockets(t *testing.T, got []SocketTrial, targets []report.Target) {
	t.Helper()
	var want []SocketTrial
	for _, kind := range []string{"ICMP datagram", "ICMP raw", "UDP", "TCP"} {
		for _, target := range targets {
			trial := SocketTrial{Kind: kind, Family: report.Family(target.Address)}
			if kind == "ICMP datagram" || kind == "ICMP raw" {
				trial.Err = got[min(len(want), len(got)-1)].Err // depends on who runs the test
			}
			want = append(want, trial)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestExamineNoSocket has an interface that does not exist, so that no socket can be opened. That is an answer.
func TestExamineNoSocket(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems know the interfaces of a socket by their addresses")
	}
	c := shortCheck(targets(t)[:1])
	c.Targets[0].Interface = "no-such-link"
	pic, err := Examine(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if want := c.Exit.Status(stats.Unhealthy, true); pic.Verdict != stats.Unhealthy || pic.ExitCode != want {
		t.Errorf("got %s and status %d, want unhealthy and %d", pic.Verdict, pic.ExitCode, want)
	}
	for _, r := range pic.Results {
		if r.Summary.Sent != 0 || r.Verdict != stats.Unhealthy {
			t.Errorf("%s by %s: %s", report.Ratio(r), report.Method(r.Target), r.Verdict)
		}
	}
	checkPicture(t, pic)
}

// closedPipe is a renderer that nobody reads.
type closedPipe struct{}

func (closedPipe) Start(report.Target) error                     { return errBroken }
func (closedPipe) Event(report.Target, ping.Event) error         { return nil }
func (closedPipe) Finding(report.Target, diagnose.Finding) error { return nil }
func (closedPipe) Outage(report.Target, report.Outage) error     { return nil }
func (closedPipe) Finish(report.Report) error                    { return nil }

func TestExamineRendererFails(t *testing.T) {
	c := shortCheck(targets(t)[:1])
	c.Renderer = closedPipe{}
	if _, err := Examine(t.Context(), c); !errors.Is(err, errBroken) {
		t.Errorf("got error %v", err)
	}
}

// TestSocketsRefused tries an address with a zone that is not there.
func TestSocketsRefused(t *testing.T) {
	for _, trial := range trySockets([]netip.Addr{netip.MustParseAddr("fe80::1%no-such-link")}) {
		if trial.Err == nil || trial.Family != 6 {
			t.Errorf("%+v", trial)
		}
	}
}
