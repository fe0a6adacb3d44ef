package report

import (
	"bytes"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"lping/ping"
	"lping/platform/diagnose"
	"lping/stats"
)

// overHTTP is a target that is asked by HTTP.
func overHTTP(t Target, path string) Target {
	t = over(t, ping.MethodHTTP, 8080)
	t.Proto, t.Path, t.Size = ping.ProtoHTTP, path, 0
	return t
}

// said5 are five sends and what came of each, which say makes of a reply.
func said5(t Target, say func(e *ping.Event)) []told {
	events := five(t)
	for i := range events {
		if e := &events[i].event; e.Kind == ping.Reply {
			e.TTL, e.Bytes = 0, 8
			say(e)
		}
	}
	return events
}

// found is a result with one finding, which is its reason.
func found(r Result, v stats.Verdict, cause string, f diagnose.Finding) Result {
	r.Verdict, r.Findings = v, []diagnose.Finding{f}
	r.Cause = said(cause)
	if cause == "" {
		r.Cause = Found{f}
	}
	if v == stats.Unhealthy {
		r.ExitCode = 1
	}
	return because(r, 0, nil)
}

// serviceScenarios are services by HTTP and TCP, an echo that is not ours, and several targets.
func serviceScenarios() []scenario {
	return []scenario{
		httpHealthy(), httpError(), httpNone(), httpRefused(), httpSlow(), echoService(), echoServiceWrong(), resets(),
		targets("targets", 5, 1), targets("targets-healthy", 5, 0), targets("targets-many", 16, 2),
	}
}

func httpHealthy() scenario {
	t := overHTTP(target4(), "/live")
	return scenario{name: "http", starts: []Target{t}, report: one(healthy(t)), events: said5(t, func(e *ping.Event) {
		e.Connect = e.RTT / 4
		e.Answer = &ping.Answer{Status: 200, Text: "OK"}
		if e.Seq == 4 {
			e.Answer = &ping.Answer{Status: 204}
		}
	})}
}

// httpError has a path with what a label has to escape, and a reason with what the parsers of ping stumble over.
func httpError() scenario {
	t := overHTTP(target6(), `/live?say="hi"&more=a\b`)
	r := silent(t)
	r.Summary.Lost, r.Summary.Corrupted = 0, 5
	r = found(r, stats.Unhealthy, "5 of 5 probes answered wrong", diagnose.Finding{
		Code: "service_error", Severity: diagnose.Error, Cause: "[::1]:8080 answers 503 no time left",
		Evidence: "5 sent, 5 corrupted", Fix: "look at the log of the service",
	})
	return scenario{name: "http-error", starts: []Target{t}, report: one(r), events: said5(t, func(e *ping.Event) {
		e.Kind, e.RTT = ping.Corrupt, 0
		e.Answer = &ping.Answer{Status: 503, Text: "no time left"}
	})}
}

func httpNone() scenario {
	t := overHTTP(target4(), "/")
	r := silent(t)
	r.Summary.Lost, r.Summary.SendErrors = 0, 5
	r = found(r, stats.Unhealthy, "5 of 5 probes refused (EPROTO)", diagnose.Finding{
		Code: "service_error", Severity: diagnose.Error, Cause: "127.0.0.1:8080 answers, and is not HTTP",
		Evidence: `5 sent, 5 send errors; 5 sends got EPROTO; it says "220 \"mail\" ready"`, Fix: "give the port of the right service",
	})
	return scenario{name: "http-none", starts: []Target{t}, report: one(r), events: said5(t, func(e *ping.Event) {
		*e = refused(e.Seq, e.From, ping.Fault{Errno: syscall.EPROTO})
		e.Answer = &ping.Answer{Text: `220 "mail" ready`}
	})}
}

func httpRefused() scenario {
	t := overHTTP(target4(), "/health/"+strings.Repeat("long", 9))
	t.Name = "localhost"
	r := silent(t)
	r.Summary.Lost, r.Summary.SendErrors = 0, 5
	r = found(r, stats.Unhealthy, "5 of 5 probes refused (ECONNREFUSED)", diagnose.Finding{
		Code: "port_refused", Severity: diagnose.Error, Cause: "nobody listens on 127.0.0.1:8080",
		Evidence: "5 sends got ECONNREFUSED; no socket has port 8080", Fix: "start the service",
	})
	return scenario{name: "http-refused", starts: []Target{t}, report: one(r), events: said5(t, func(e *ping.Event) {
		*e = refused(e.Seq, e.From, ping.Fault{Errno: syscall.ECONNREFUSED})
	})}
}

// httpSlow has answers after the timeout.
func httpSlow() scenario {
	t := overHTTP(target4(), "/")
	r := silent(t)
	r.Summary.Lost, r.Summary.Late = 0, 5
	r = found(r, stats.Unhealthy, "5 of 5 probes late", diagnose.Finding{
		Code: "service_slow", Severity: diagnose.Error, Cause: "127.0.0.1:8080 answers too late, after 1.2s",
		Evidence: "5 sent, 5 late", Fix: "-W 3s, or look why the service is slow",
	})
	return scenario{name: "http-slow", starts: []Target{t}, report: one(r), events: said5(t, func(e *ping.Event) {
		e.Kind, e.RTT, e.Connect, e.Answer = ping.Late, 1200*time.Millisecond, 40_000, &ping.Answer{Status: 200, Text: "OK"}
	})}
}

func echoService() scenario {
	t := over(target4(), ping.MethodTCP, 7)
	t.Proto, t.Echo = ping.ProtoTCP, true
	return scenario{name: "echo-service", starts: []Target{t}, report: one(healthy(t)), events: said5(t, func(e *ping.Event) {
		e.Bytes, e.Connect = 64, e.RTT/2
	})}
}

func echoServiceWrong() scenario {
	t := over(target4(), ping.MethodUDP, 7)
	t.Proto, t.Echo = ping.ProtoUDP, true
	r := silent(t)
	r.Summary.Lost, r.Summary.Corrupted = 0, 5
	r = found(r, stats.Unhealthy, "5 of 5 probes answered wrong", diagnose.Finding{
		Code: "service_error", Severity: diagnose.Error, Cause: "127.0.0.1:7 answers, and is not an echo",
		Evidence: "5 sent, 5 corrupted", Fix: "give the port of the right service",
	})
	return scenario{name: "echo-service-wrong", starts: []Target{t}, report: one(r), events: said5(t, func(e *ping.Event) {
		*e = corrupt(e.Seq, 12, ping.Mismatch{Want: 0x77, Got: 0x2d, WantLen: 56, GotLen: 12})
		if e.Seq > 3 {
			e.Wrong = ping.Mismatch{Offset: 12, WantLen: 56, GotLen: 12}
		}
	})}
}

// resets is a service that takes connections, and resets most of them.
func resets() scenario {
	t := over(target4(), ping.MethodTCP, 8080)
	t.Proto, t.Size = ping.ProtoTCP, 0
	r := found(healthy(t), stats.Degraded, "", diagnose.Finding{
		Code: "port_resets", Severity: diagnose.Warning, Cause: "127.0.0.1:8080 accepts connections and resets them",
		Evidence: "reset after the handshake: 4 of 5 connections", Fix: "look at the log of the service",
	})
	return scenario{name: "port-resets", starts: []Target{t}, report: one(r), events: said5(t, func(e *ping.Event) {
		if e.Seq != 2 {
			e.Answer = &ping.Answer{Reset: true}
		}
	})}
}

// targets are so many services, of which the last few are not well. The worst comes last.
func targets(name string, n, ill int) scenario {
	s := scenario{name: name, report: Report{Verdict: stats.Healthy}}
	for i := range n {
		t := over(target4(), ping.MethodTCP, uint16(8001+i))
		t.Proto, t.Size = ping.ProtoTCP, 0
		if i == 1 {
			t = overHTTP(t, "/live")
		}
		r := healthy(t)
		switch {
		case i == n-1 && ill > 0:
			r = silent(t)
			r.Summary.Lost, r.Summary.SendErrors = 0, 5
			r = found(r, stats.Unhealthy, "5 of 5 probes refused (ECONNREFUSED)", diagnose.Finding{
				Code: "port_refused", Severity: diagnose.Error, Cause: fmt.Sprintf("nobody listens on 127.0.0.1:%d", t.Port),
				Evidence: "5 sends got ECONNREFUSED", Fix: "start the service",
			})
			s.report.Verdict, s.report.ExitCode = stats.Unhealthy, 1
		case i >= n-ill:
			r = found(r, stats.Degraded, "", diagnose.Finding{
				Code: "port_resets", Severity: diagnose.Warning, Cause: fmt.Sprintf("127.0.0.1:%d accepts connections and resets them", t.Port),
				Evidence: "reset after the handshake: 5 of 5 connections", Fix: "look at the log of the service",
			})
		}
		s.starts, s.report.Results = append(s.starts, t), append(s.report.Results, r)
	}
	for i := range n {
		if place := n - 1 - i; i < ill {
			s.report.ByNeed = append(s.report.ByNeed, place)
		} else {
			s.report.ByNeed = append(s.report.ByNeed, i-ill)
		}
	}
	return s
}

// TestTargetsLine: of several targets the first line names the worst first, then as many as fit, each whole, and counts the rest.
func TestTargetsLine(t *testing.T) {
	for n := 2; n <= 16; n++ {
		for ill := 0; ill <= min(n, 2); ill++ {
			var b bytes.Buffer
			s := targets("", n, ill)
			if err := play(NewLine(&b, Options{}), s); err != nil {
				t.Fatal(err)
			}
			line, _, _ := strings.Cut(b.String(), "\n")
			if b.Len() >= 500 || len(line) >= 200 {
				t.Errorf("%d of %d ill: %d bytes in the first line, %d in all", ill, n, len(line), b.Len())
			}
			worst := "unhealthy " + Address(s.report.Results[n-1]) + " 0/5 port_refused: "
			if ill > 0 && !strings.HasPrefix(line, worst) {
				t.Errorf("%d of %d ill: the worst does not come first: %s", ill, n, line)
			}
			named := strings.Count(line, "5/5") + strings.Count(line, "0/5")
			rest := 0
			if _, count, ok := strings.Cut(line, ", "); ok && strings.Contains(line, " more ") {
				for part := range strings.SplitSeq(count, ", ") {
					var k int
					if got, _ := fmt.Sscanf(part, "%d more ", &k); got == 1 {
						rest += k
					}
				}
			}
			if named+rest != n || n == 16 && rest == 0 {
				t.Errorf("%d of %d ill: %d are named and %d counted: %s", ill, n, named, rest, line)
			}
		}
	}
}

// TestSafeReason: what a service says reaches the text on one line, without what the parsers of ping take for statistics.
func TestSafeReason(t *testing.T) {
	target := overHTTP(target4(), "/")
	e := answer(ping.Reply, 1, v4, time.Millisecond)
	for _, reason := range []string{"no time left", "time", "a = b", "a\nb", "\x1b[2J", "", "rtt min/avg/max/mdev = 1/2/3/4 ms"} {
		e.Answer = &ping.Answer{Status: 200, Text: reason}
		var b bytes.Buffer
		if err := NewText(&b, Options{}).Event(target, e); err != nil {
			t.Fatal(err)
		}
		got := b.String()
		if strings.Count(got, "\n") != 1 || strings.ContainsAny(got, "\x1b\r") || strings.Contains(got, " = ") || strings.Contains(got, " time ") {
			t.Errorf("%q: %q", reason, got)
		}
	}
}
