package check

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lping/ping"
	"lping/ping/report"
	"lping/platform/diagnose"
	"lping/stats"
)

// moody is a service over UDP that sends back what it gets unless it sulks, and the renderer of a check of it that sets its mood.
type moody struct {
	played
	sulks    atomic.Bool
	answered int
	// sulksAfter is after how many answers it begins to sulk; it stops when its outage was explained, or after its first loss if
	// it is to be quick. When the outage is over the check is ended by stop.
	sulksAfter int
	quick      bool
	stop       context.CancelCauseFunc
}

// listen gives the port of the service.
func (m *moody) listen(t *testing.T) uint16 {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(rowAddress4, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			if !m.sulks.Load() {
				c.WriteToUDPAddrPort(b[:n], from)
			}
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

func (m *moody) Event(t report.Target, e ping.Event) error {
	switch {
	case e.Kind == ping.Reply:
		if m.answered++; m.answered == m.sulksAfter {
			m.sulks.Store(true)
		}
	case e.Kind == ping.Timeout && m.quick:
		m.sulks.Store(false)
	}
	return nil
}

func (m *moody) Finding(t report.Target, f diagnose.Finding) error {
	m.sulks.Store(false)
	return m.played.Finding(t, f)
}

func (m *moody) Outage(t report.Target, o report.Outage) error {
	m.stop(ErrInterrupted)
	return m.played.Outage(t, o)
}

// check runs a check of the service with so many probes.
func (m *moody) check(t *testing.T, count uint64) report.Result {
	t.Helper()
	c := overLoopback(ping.ProtoUDP, m.listen(t))
	c.Targets[0].Count, c.Targets[0].Interval, c.Targets[0].Timeout = count, 5*ms, 50*ms
	c.Renderer, m.sulksAfter = m, 5
	ctx, stop := context.WithCancelCause(t.Context())
	m.stop = stop
	r, _, err := run(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	return r.Results[0]
}

// TestOutage: a run that lasts says why answers stay away while they do, and that they come again.
func TestOutage(t *testing.T) {
	m := &moody{}
	r := m.check(t, 0)
	s := r.Summary
	if want := fmt.Sprintf("%d lost, told: true", s.Longest.Lost); len(m.news) != 2 || m.news[1] != want {
		t.Errorf("told %q, want the last to be %q", m.news, want)
	}
	if s.Outages != 1 || s.Longest != s.Latest || s.Latest.Lasts() || s.Lost != s.Latest.Lost {
		t.Errorf("%+v", s)
	}
	if !strings.Contains(r.Cause.String(), " in an outage of ") || r.Verdict != stats.Unhealthy || len(r.Findings) == 0 {
		t.Fatalf("%+v", r)
	}
	if f := r.Findings[0]; !f.Since.Equal(s.Latest.Since) || !f.Until.Equal(s.Latest.Until) {
		t.Errorf("%+v, want it from %v to %v", f, s.Latest.Since, s.Latest.Until)
	}
}

// TestOutageOfBriefRun: a run that is soon over finds no cause before its end.
func TestOutageOfBriefRun(t *testing.T) {
	m := &moody{quick: true}
	r := m.check(t, 400)
	if len(m.news) != 1 || !strings.HasSuffix(m.news[0], "told: false") || strings.Contains(r.Cause.String(), "outage") {
		t.Errorf("told %q, cause %q", m.news, r.Cause)
	}
	if len(r.Findings) == 0 || r.Findings[0].Until.IsZero() {
		t.Errorf("found %+v", r.Findings)
	}
}

// TestInvestigate: each time without an answer is investigated once, and at most one a second.
func TestInvestigate(t *testing.T) {
	now := time.Now()
	done, open := make(chan struct{}), make(chan struct{})
	close(done)
	old := func(ago time.Duration, answers uint64, over chan struct{}) *investigation {
		return &investigation{begun: now.Add(-ago), answers: answers, done: over}
	}
	lasts := stats.Outage{Since: now.Add(-10 * ms), Lost: 1}
	for _, tt := range []struct {
		name string
		trouble
		patient bool
		want    string
	}{
		{"the first", trouble{}, false, "investigation"},
		{"the first, but nobody looks yet", trouble{}, true, ""},
		{"no answer since the last", trouble{investigation: old(time.Hour, 3, done)}, false, ""},
		{"soon after the last", trouble{investigation: old(respite/2, 2, done)}, false, ""},
		{"the last goes on", trouble{investigation: old(time.Hour, 2, open)}, false, ""},
		{"another", trouble{investigation: old(time.Hour, 2, done)}, false, "suspicion"},
		{"soon after a suspicion", trouble{investigation: old(time.Hour, 1, done), suspicion: old(respite/2, 2, done)}, false, ""},
		{"after a suspicion", trouble{investigation: old(time.Hour, 1, done), suspicion: old(2*respite, 2, done)}, false, "suspicion"},
		{"another outage", trouble{investigation: old(time.Hour, 2, done), latest: lasts}, false, "outage"},
		{"the same outage", trouble{investigation: old(time.Hour, 2, done), latest: lasts, about: lasts}, false, ""},
	} {
		k := New(overLoopback(ping.ProtoUDP, 0))
		j := k.jobs[0]
		for range 3 {
			j.recorder.Sent(now)
		}
		for seq := range uint64(3) {
			j.recorder.Reply(seq+1, 1, now)
		}
		j.trouble, k.patient = tt.trouble, tt.patient
		j.ended = true
		k.mu.Lock()
		k.investigate(j)
		k.mu.Unlock()
		got := ""
		switch {
		case j.investigation != tt.investigation && j.about == lasts:
			got = "outage"
		case j.investigation != tt.investigation:
			got = "investigation"
		case j.suspicion != tt.suspicion:
			got = "suspicion"
		}
		if got != tt.want {
			t.Errorf("%s: began one as %q, want %q", tt.name, got, tt.want)
		}
		for _, i := range []*investigation{j.investigation, j.suspicion} {
			if i != nil && i.done != open {
				i.wait()
			}
		}
	}
}

// TestOutageAdopts: what was begun after the first probe of an outage had left is about that outage.
func TestOutageAdopts(t *testing.T) {
	now := time.Now()
	open := make(chan struct{})
	early, late := &investigation{begun: now.Add(-time.Hour), done: open}, &investigation{begun: now, done: open}
	began := stats.Outage{Since: now.Add(-time.Second), Lost: 1}
	for _, tt := range []struct {
		name string
		trouble
		want  *investigation
		about bool
	}{
		{"nobody looked", trouble{}, nil, false},
		{"before", trouble{investigation: early}, early, false},
		{"since", trouble{investigation: late}, late, true},
		{"a suspicion before", trouble{investigation: early, suspicion: early}, early, false},
		{"a suspicion since", trouble{investigation: early, suspicion: late}, late, true},
	} {
		k := New(overLoopback(ping.ProtoUDP, 0))
		j := k.jobs[0]
		j.trouble = tt.trouble
		k.outage(j, began)
		if j.investigation != tt.want || (j.about == began) != tt.about || j.latest != began {
			t.Errorf("%s: %+v", tt.name, j.trouble)
		}
	}
}

// TestWithPast: what explains an earlier outage alone stands in its place among what was found at the end.
func TestWithPast(t *testing.T) {
	found := func(codes ...diagnose.Code) (list []diagnose.Finding) {
		for _, c := range codes {
			list = append(list, diagnose.Finding{Code: c})
		}
		return list
	}
	past := trouble{past: found(diagnose.EchoIgnored, diagnose.LoDown, diagnose.PacketLoss)}
	got := codes(past.withPast(found(diagnose.FwOutput, diagnose.PacketLoss)))
	if want := []string{"lo_down", "echo_ignored", "fw_output", "packet_loss"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
