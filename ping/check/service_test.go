package check

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lping/ping"
	"lping/ping/report"
	"lping/platform/diagnose"
	"lping/stats"
)

func TestTallyAnswers(t *testing.T) {
	said := func(k ping.Kind, a *ping.Answer) ping.Event { return ping.Event{Kind: k, Answer: a} }
	for _, tt := range []struct {
		name   string
		events []ping.Event
		want   diagnose.Evidence
	}{
		{"none", []ping.Event{said(ping.Reply, nil), said(ping.Timeout, nil)}, diagnose.Evidence{}},
		{"success", []ping.Event{said(ping.Reply, &ping.Answer{Status: 200, Text: "OK"})}, diagnose.Evidence{}},
		{"success, too late", []ping.Event{said(ping.Late, &ping.Answer{Status: 200, Text: "OK"})}, diagnose.Evidence{}},
		{"resets", []ping.Event{said(ping.Reply, &ping.Answer{Reset: true}), said(ping.Late, &ping.Answer{Reset: true})},
			diagnose.Evidence{Resets: 2}},
		{"the last one counts", []ping.Event{
			said(ping.Corrupt, &ping.Answer{Status: 500, Text: "Oh"}), said(ping.Corrupt, &ping.Answer{Status: 503, Text: "No"}),
			said(ping.Reply, &ping.Answer{Status: 200, Text: "OK"}),
		}, diagnose.Evidence{Wrong: 2, Status: 503, Said: "No"}},
		{"no HTTP", []ping.Event{{Kind: ping.SendError, Fault: ping.Fault{Errno: syscall.EPROTO}, Answer: &ping.Answer{Text: "220 hi"}}},
			diagnose.Evidence{Wrong: 1, Said: "220 hi", Refused: []diagnose.Refusal{{Errno: "EPROTO", Count: 1}}}},
		{"no HTTP after a status", []ping.Event{said(ping.Corrupt, &ping.Answer{Status: 500, Text: "Oh"}), said(ping.SendError, &ping.Answer{Text: "x"})},
			diagnose.Evidence{Wrong: 2, Said: "x", Refused: []diagnose.Refusal{{Count: 1}}}},
		{"the slowest", []ping.Event{{Kind: ping.Late, RTT: 3 * ms}, {Kind: ping.Late, RTT: 1500 * ms}, {Kind: ping.Late, RTT: 2 * ms},
			{Kind: ping.Reply, RTT: time.Hour}}, diagnose.Evidence{Slowest: 1500}},
	} {
		var y tally
		for _, e := range tt.events {
			y.event(&e)
		}
		e := y.evidence(report.Target{}, stats.Summary{})
		got := diagnose.Evidence{Resets: e.Resets, Wrong: e.Wrong, Status: e.Status, Said: e.Said, Slowest: e.Slowest, Refused: e.Refused}
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// TestReached: a service that ended a connection is there.
func TestReached(t *testing.T) {
	for e, want := range map[syscall.Errno]bool{
		syscall.ECONNRESET: true, syscall.EPIPE: true, syscall.EPROTO: true, syscall.ECONNREFUSED: false, syscall.EPERM: false, syscall.ETIMEDOUT: false,
	} {
		var y tally
		y.event(&ping.Event{Kind: ping.SendError, Fault: ping.Fault{Errno: syscall.EPERM}})
		y.event(&ping.Event{Kind: ping.SendError, Fault: ping.Fault{Errno: e}})
		if got := y.reached(); got != want {
			t.Errorf("%v: got %v, want %v", e, got, want)
		}
	}
	if (&tally{}).reached() {
		t.Error("nothing is reached by nothing")
	}
}

// TestServiceTarget: what is asked of a service is part of the evidence.
func TestServiceTarget(t *testing.T) {
	target := report.Target{Method: ping.MethodHTTP}
	target.Address, target.Port, target.Path, target.Echo = rowAddress4, 80, "/live", true
	e := (&tally{}).evidence(target, stats.Summary{Corrupted: 1})
	if e.Port != 80 || e.Path != "/live" || !e.Echo || e.Timeout != 400 || e.Corrupted != 1 {
		t.Errorf("%+v", e)
	}
	target.Timeout = 1500 * ms
	if e = (&tally{}).evidence(target, stats.Summary{}); e.Timeout != 1500 {
		t.Errorf("%+v", e)
	}
}

// TestOwnRTT: how long a service takes is its own affair.
func TestOwnRTT(t *testing.T) {
	target := report.Target{Method: ping.MethodTCP}
	s := stats.Summary{RTT: stats.Distribution{Count: 1, Min: ms, P50: 2 * ms, P99: 3 * ms}}
	if e := (&tally{}).evidence(target, s); e.RTT == nil || *e.RTT != (diagnose.Latency{Count: 1, Min: 1, P50: 2, P99: 3}) {
		t.Errorf("got %+v", e.RTT)
	}
	target.Port = 80
	if e := (&tally{}).evidence(target, s); e.RTT != nil {
		t.Errorf("got %+v of a service, want none", e.RTT)
	}
}

// udpService answers each datagram at an address with what answer gives, which is told how many came before; nil is no answer.
func udpService(t *testing.T, at string, answer func(n int, b []byte) []byte) (port uint16, came *atomic.Int32) {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(at), 0)))
	if err != nil {
		t.Fatal(err)
	}
	came = new(atomic.Int32)
	served := make(chan struct{})
	t.Cleanup(func() { c.Close(); <-served })
	go func() {
		defer close(served)
		b := make([]byte, 1<<16)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if word := answer(int(came.Add(1))-1, bytes.Clone(b[:n])); word != nil {
				c.WriteToUDPAddrPort(word, from)
			}
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Port(), came
}

// tcpService gives each connection to serve, beside others, and counts them.
func tcpService(t *testing.T, serve func(far *net.TCPConn)) (port uint16, came *atomic.Int32) {
	t.Helper()
	l, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(netip.AddrPortFrom(rowAddress4, 0)))
	if err != nil {
		t.Fatal(err)
	}
	came = new(atomic.Int32)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			far, err := l.AcceptTCP()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				came.Add(1)
				go func() {
					defer far.Close()
					serve(far)
				}()
			}
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort().Port(), came
}

// over is a check of a service at 127.0.0.1.
func over(proto ping.Proto, port uint16, change func(t *report.Target)) Config {
	c := overLoopback(proto, port)
	if proto == ping.ProtoHTTP {
		c.Targets[0].Path, c.Targets[0].Host, c.Targets[0].Agent = "/", "localhost", "lping"
	}
	if change != nil {
		change(&c.Targets[0])
	}
	return c
}

// TestLook: an answer from another address than the one that was asked is seen, and where it came from.
func TestLook(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all of 127.0.0.0/8, and answers from 127.0.0.1")
	}
	echo := func(_ int, b []byte) []byte { return b }
	seven := netip.MustParseAddr("127.0.0.7")
	for _, tt := range []struct {
		name, at string
		answer   func(int, []byte) []byte
		answered bool
		from     string
	}{
		{"at any address", "0.0.0.0", echo, false, "127.0.0.1"},
		{"at that address", "127.0.0.7", echo, true, ""},
		{"silent", "127.0.0.7", func(int, []byte) []byte { return nil }, false, ""},
	} {
		port, came := udpService(t, tt.at, tt.answer)
		c := over(ping.ProtoUDP, port, func(t *report.Target) { t.Address = seven }).Targets[0].Config
		var p *diagnose.Probe
		var from string
		for range 20 { // this machine may be slower than anybody waits
			if p, from = look(c); p.Answered == tt.answered && (from != "") == (tt.from != "") {
				break
			}
		}
		want := ""
		if tt.from != "" {
			want = netip.AddrPortFrom(netip.MustParseAddr(tt.from), port).String()
		}
		if p == nil || p.Answered != tt.answered || p.Errno != "" || from != want || came.Load() == 0 {
			t.Errorf("%s: %+v from %q, want %q", tt.name, p, from, want)
		}
	}
	port, _ := udpService(t, "127.0.0.7", echo)
	c := over(ping.ProtoUDP, port, nil).Targets[0].Config
	c.Address, c.Source = seven, netip.MustParseAddr("192.0.2.1") // RFC 5737
	if p, from := look(c); p != nil || from != "" {
		t.Errorf("from an address that is not here: %+v, %q", p, from)
	}
}

// TestNoExtraProbe: a service that answers, whatever it says, gets no connection and no datagram but those of the run.
func TestNoExtraProbe(t *testing.T) {
	request := func(far *net.TCPConn) { far.Read(make([]byte, 1<<10)) }
	http := func(says string) func(*net.TCPConn) {
		return func(far *net.TCPConn) {
			request(far)
			io.WriteString(far, says)
			far.CloseWrite()
			io.Copy(io.Discard, far)
		}
	}
	for _, tt := range []struct {
		name   string
		proto  ping.Proto
		change func(t *report.Target)
		serve  func(far *net.TCPConn)
		want   string
	}{
		{"HTTP, well", ping.ProtoHTTP, nil, http("HTTP/1.1 200 OK\r\n\r\n"), ""},
		{"HTTP, ill", ping.ProtoHTTP, nil, http("HTTP/1.1 503 Service Unavailable\r\n\r\n"), "service_error"},
		{"no HTTP", ping.ProtoHTTP, nil, http("220 mail\r\n"), "service_error"},
		{"no answer to HTTP", ping.ProtoHTTP, nil, http(""), "service_error"},
		{"a reset of HTTP", ping.ProtoHTTP, nil, func(far *net.TCPConn) { request(far); far.SetLinger(0) }, "service_error"},
		{"HTTP, ill and too late", ping.ProtoHTTP, func(t *report.Target) { t.Timeout = 300 * ms; t.Count = 1 }, func(far *net.TCPConn) {
			request(far)
			time.Sleep(350 * ms)
			io.WriteString(far, "HTTP/1.1 503 Service Unavailable\r\n\r\n")
			io.Copy(io.Discard, far)
		}, "service_slow"},
		{"HTTP, a reset too late", ping.ProtoHTTP, func(t *report.Target) { t.Timeout = 300 * ms; t.Count = 1 }, func(far *net.TCPConn) {
			request(far)
			time.Sleep(350 * ms)
			far.SetLinger(0)
		}, "service_slow"},
		{"HTTP, too late", ping.ProtoHTTP, func(t *report.Target) { t.Timeout = 300 * ms; t.Count = 1 }, func(far *net.TCPConn) {
			request(far)
			time.Sleep(350 * ms)
			io.WriteString(far, "HTTP/1.1 200 OK\r\n\r\n")
			io.Copy(io.Discard, far)
		}, "service_slow"},
		{"HTTP, never", ping.ProtoHTTP, func(t *report.Target) { t.Timeout = 300 * ms; t.Count = 1 }, func(far *net.TCPConn) {
			request(far)
			io.Copy(io.Discard, far)
			time.Sleep(time.Second)
		}, "service_slow"},
		{"an echo, wrong and too late", ping.ProtoTCP, func(t *report.Target) { t.Echo, t.Size, t.Timeout, t.Count = true, 0, 300*ms, 1 },
			func(far *net.TCPConn) {
				b := make([]byte, 8)
				io.ReadFull(far, b)
				time.Sleep(350 * ms)
				far.Write(append(b, 1))
				io.Copy(io.Discard, far)
			}, "service_slow"},
		{"a connection that is reset", ping.ProtoTCP, nil, func(far *net.TCPConn) { io.Copy(io.Discard, far); far.SetLinger(0) }, "port_resets"},
		{"an echo that is none", ping.ProtoTCP, func(t *report.Target) { t.Echo, t.Size = true, 56 },
			func(far *net.TCPConn) { io.WriteString(far, "220 mail\r\n"); io.Copy(io.Discard, far) }, "service_error"},
		{"an echo", ping.ProtoTCP, func(t *report.Target) { t.Echo, t.Size = true, 56 },
			func(far *net.TCPConn) { io.Copy(far, far) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			port, came := tcpService(t, tt.serve)
			r, k, err := run(t.Context(), over(tt.proto, port, tt.change))
			got := r.Results[0]
			if err != nil || uint64(came.Load()) != got.Summary.Sent {
				t.Errorf("%d connections, %d sent, %v", came.Load(), got.Summary.Sent, err)
			}
			var want []string
			if tt.want != "" {
				want = []string{tt.want}
			}
			if runtime.GOOS == "linux" && !slices.Equal(codes(got.Findings), want) {
				t.Errorf("found %+v, want %q; evidence %+v", got.Findings, want, k.Evidence()[0])
			}
			if k.Evidence()[0].Probe != nil {
				t.Errorf("the extra probe: %+v", k.Evidence()[0].Probe)
			}
		})
	}
}

// TestNoExtraDatagram: the same over UDP. A service that never answers gets one more, which tells where answers come from.
func TestNoExtraDatagram(t *testing.T) {
	once := func(n int, b []byte) []byte {
		if n == 0 {
			return b
		}
		return nil
	}
	for _, tt := range []struct {
		name   string
		echo   bool
		answer func(n int, b []byte) []byte
		extra  int
	}{
		{"an answer, and then none", false, once, 0},
		{"an echo, and then none", true, once, 0},
		{"an echo that is none", true, func(int, []byte) []byte { return []byte("what?") }, 0},
		{"silence", false, func(int, []byte) []byte { return nil }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			port, came := udpService(t, "127.0.0.1", tt.answer)
			c := over(ping.ProtoUDP, port, func(t *report.Target) { t.Echo, t.Timeout, t.Interval = tt.echo, 300*ms, 20*ms })
			r, k, err := run(t.Context(), c)
			sent := r.Results[0].Summary.Sent
			for start := time.Now(); int(came.Load()) < int(sent)+tt.extra && time.Since(start) < 10*time.Second; {
				time.Sleep(ms)
			}
			if got := int(came.Load()); err != nil || got != int(sent)+tt.extra || sent != 3 || (k.Evidence()[0].Probe != nil) != (tt.extra > 0) {
				t.Errorf("%d datagrams, %d sent, %v; evidence %+v", got, sent, err, k.Evidence()[0])
			}
		})
	}
}

// TestAnswersFrom: the finding says from where a service answers that has another address than its client asked.
func TestAnswersFrom(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all of 127.0.0.0/8, and answers from 127.0.0.1")
	}
	port, _ := udpService(t, "0.0.0.0", func(_ int, b []byte) []byte { return b })
	c := over(ping.ProtoUDP, port, func(t *report.Target) { t.Address, t.Timeout, t.Count = netip.MustParseAddr("127.0.0.7"), 300*ms, 1 })
	for try := range 9 { // this machine may be slower than anybody waits
		r, k, err := run(t.Context(), c)
		f := r.Results[0].Findings
		if err == nil && len(f) == 1 && f[0].Code == diagnose.PortSilent && k.Evidence()[0].AnswersFrom == fmt.Sprintf("127.0.0.1:%d", port) &&
			strings.Contains(f[0].Cause, "answers from 127.0.0.1") {
			return
		}
		t.Logf("try %d: %+v, %v", try, f, err)
	}
	t.Error("it was not found")
}
