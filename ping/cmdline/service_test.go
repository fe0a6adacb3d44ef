package cmdline

import (
	"fmt"
	"strings"
	"testing"

	"lping/ping"
)

// TestService: a service as people write it, and the options that mean the same.
func TestService(t *testing.T) {
	tests := []struct{ args, env, want string }{
		{"127.0.0.1:8080", "", "tcp 8080 [127.0.0.1]"},
		{"-q 127.0.0.1:8080 -c 3", "", "tcp 8080 [127.0.0.1]"},
		{"127.1.2.3:1", "", "tcp 1 [127.1.2.3]"},
		{"[::1]:65535", "", "tcp 65535 [::1]"},
		{"localhost:8080", "", "tcp 8080 [127.0.0.1 ::1]"},
		{"LOCALHOST.:8080", "", "tcp 8080 [127.0.0.1 ::1]"},
		{"-6 localhost:8080", "", "tcp 8080 [::1]"},
		{"tcp://127.0.0.1:8080", "", "tcp 8080 [127.0.0.1]"},
		{"TCP://[::1]:8080", "", "tcp 8080 [::1]"},
		{"tcp://localhost:443", "", "tcp 443 [127.0.0.1 ::1]"},
		{"udp://127.0.0.1:53", "", "udp 53 [127.0.0.1]"},
		{"udp://[::1]:53", "", "udp 53 [::1]"},
		{"--proto udp 127.0.0.1:53", "", "udp 53 [127.0.0.1]"},
		{"--proto udp udp://127.0.0.1:53", "", "udp 53 [127.0.0.1]"},
		{"--proto tcp 127.0.0.1:53", "", "tcp 53 [127.0.0.1]"},
		{"--port 8080", "", "tcp 8080 [127.0.0.1]"},
		{"--port 8080 localhost", "", "tcp 8080 [127.0.0.1 ::1]"},
		{"", "LPING_TARGET_PORT=8080", "tcp 8080 [127.0.0.1]"},
		{"", "LPING_ADDRESS=localhost:8080", "tcp 8080 [127.0.0.1 ::1]"},
		{"", "LPING_ADDRESS=udp://[::1]:53", "udp 53 [::1]"},
		{"::1", "LPING_ADDRESS=udp://[::1]:53", "auto 0 [::1]"},
		{"127.0.0.1:8080", "LPING_TARGET_PORT=9", "tcp 8080 [127.0.0.1]"},
		{"127.0.0.1:8080", "LPING_PROTO=udp", "udp 8080 [127.0.0.1]"},
		{"tcp://127.0.0.1:8080", "LPING_PROTO=udp LPING_SIZE=9", "tcp 8080 [127.0.0.1]"},
		{"127.0.0.1:8080", "LPING_SIZE=9 LPING_PATTERN=ff LPING_SOCKET=raw", "tcp 8080 [127.0.0.1]"},
		{"127.0.0.1:8080", "LPING_PROTO=icmp LPING_SIZE=9", "tcp 8080 [127.0.0.1]"},
		{"--port 8080", "LPING_PROTO=auto LPING_SWEEP=0:9", "tcp 8080 [127.0.0.1]"},
		{"127.0.0.1:53", "LPING_PROTO=udp LPING_SWEEP=0:9", "udp 53 [127.0.0.1]"},
		{"http://127.0.0.1:8080/healthz", "", "http 8080 [127.0.0.1] 127.0.0.1:8080 /healthz 1s"},
		{"http://[::1]:8080", "", "http 8080 [::1] [::1]:8080 / 1s"},
		{"HTTP://localhost", "", "http 80 [127.0.0.1 ::1] localhost / 1s"},
		{"http://127.0.0.1:?q=1:2/3 -W 2", "", "http 80 [127.0.0.1] 127.0.0.1: /?q=1:2/3 2s"},
		{"-6 http://app.localhost/a%20b?c", "LPING_SIZE=9 LPING_ECHO=1", "http 80 [::1] app.localhost /a%20b?c 1s"},
		{"--echo -s 9 127.0.0.1:7", "", "tcp 7 [127.0.0.1] echo 9"},
		{"udp://127.0.0.1:7", "LPING_ECHO=1 LPING_SIZE=9", "udp 7 [127.0.0.1] echo 9"},

		{"127.0.0.1:", "", `"127.0.0.1:" is not an address and a port; 127.0.0.1:8080, udp://127.0.0.1:53 or http://127.0.0.1:8080/healthz`},
		{":8080", "", `":8080" is not an address and a port; 127.0.0.1:8080, udp://127.0.0.1:53 or http://127.0.0.1:8080/healthz`},
		{"tcp://", "", `"tcp://" is not an address and a port; 127.0.0.1:8080, udp://127.0.0.1:53 or http://127.0.0.1:8080/healthz`},
		{"tcp://127.0.0.1", "", `"tcp://127.0.0.1" is not an address and a port; 127.0.0.1:8080, udp://127.0.0.1:53 or http://127.0.0.1:8080/healthz`},
		{"tcp://[::1]", "", `"tcp://[::1]" is not an address and a port; 127.0.0.1:8080, udp://127.0.0.1:53 or http://127.0.0.1:8080/healthz`},
		{"tcp://::1", "", `"tcp://::1" lacks brackets around its IPv6 address, or the port; tcp://[::1]:8080`},
		{"udp://::1:53", "", `"udp://::1:53" lacks brackets around its IPv6 address, or the port; udp://[::1]:8080`},
		{"127.0.0.1:0", "", `the port of 127.0.0.1:0: 0 is out of range (1 to 65535); the least is 1`},
		{"127.0.0.1:65536", "", `the port of 127.0.0.1:65536: 65536 is out of range (1 to 65535); the most is 65535`},
		{"127.0.0.1:http", "", `the port of 127.0.0.1:http: "http" is no whole decimal number; a whole number, 1 to 65535`},
		{"tcp://127.0.0.1:8080/healthz", "", `"/healthz" is too much: a service is an address and a port; tcp://127.0.0.1:8080`},
		{"localhost:8080/healthz", "", `"/healthz" is too much: a service is an address and a port; http://localhost:8080/healthz`},
		{"8080", "", `"8080" is no address of loopback; localhost:8080 is a service at port 8080`},
		{"127.0.0.1:80 udp://127.0.0.1:80 localhost:80", "", "tcp 80 [127.0.0.1 127.0.0.1 ::1]"},
		{"127.0.0.1:8080/", "", `"/" is too much: a service is an address and a port; 127.0.0.1:8080`},
		{"localhost:8080?x=1", "", `"?x=1" is too much: a service is an address and a port; http://localhost:8080?x=1`},
		{"https://127.0.0.1", "", `"https://" is beyond lping, which speaks no TLS; tcp://127.0.0.1:443`},
		{"https://[::1]:8443/x", "", `"https://" is beyond lping, which speaks no TLS; tcp://[::1]:8443`},
		{"icmp://127.0.0.1:1", "", `"icmp://" is unknown: tcp, udp and http are known; tcp://127.0.0.1:1`},
		{"http://", "", `"http://" names no address; http://127.0.0.1:8080`},
		{"http:///x", "", `"http:///x" names no address; http://127.0.0.1:8080/x`},
		{"http://::1/x", "", `"http://::1/x" lacks brackets around its IPv6 address; http://[::1]:8080/x`},
		{"http://127.0.0.1:0/x", "", `the port of http://127.0.0.1:0/x: 0 is out of range (1 to 65535); the least is 1`},
		{"http://a:b@127.0.0.1/x", "", `http://a:b@127.0.0.1/x holds a user, whom lping does not log in; http://127.0.0.1/x`},
		{"http://127.0.0.1/x#y", "", `http://127.0.0.1/x#y holds a fragment, which is never sent; http://127.0.0.1/x`},
		{"http://127.0.0.1/\u00e4", "", `"http://127.0.0.1/ä" holds a character that no URL has; write it as %20 or the like`},
		{"http://127.0.0.1/\x7f", "", `"http://127.0.0.1/\x7f" holds a character that no URL has; write it as %20 or the like`},
		{"http://example.com/", "", `"example.com" is no address of loopback; 127.0.0.1, ::1 or localhost; lping looks up no names`},
		{"--proto tcp http://127.0.0.1/", "", "--proto and http://127.0.0.1/ differ; leave one of them out"},
		{"-s 9 http://127.0.0.1/", "", "--size does not go with a service that gets no data; leave it out, or ask an echo: --echo"},
		{"--echo http://127.0.0.1/", "", "--echo needs a service over TCP or UDP; lping --echo 127.0.0.1:12345"},
		{"--socket dgram http://127.0.0.1/", "", "--socket is about ICMP, and not about a service; leave it out"},
		{"--echo", "", "--echo needs a service over TCP or UDP; lping --echo 127.0.0.1:12345"},
		{"example.com:80", "", `"example.com" is no address of loopback; 127.0.0.1, ::1 or localhost; lping looks up no names`},
		{"tcp://192.0.2.1:80", "", `lping checks loopback only: "192.0.2.1" is not on a loopback interface of this host; 127.0.0.1, ::1 or localhost; ping reaches other hosts`},
		{"[127.0.0.1]:80", "", `"[127.0.0.1]" is no address of loopback; write 127.0.0.1`},
		{"::1:8080", "", `lping checks loopback only: "::1:8080" is not on a loopback interface of this host; [::1]:8080 is port 8080 of ::1`},
		{"user@127.0.0.1:80", "", `"user@127.0.0.1" is no address of loopback; 127.0.0.1, ::1 or localhost; lping looks up no names`},
		{"--port 80 127.0.0.1:80", "", "--port and 127.0.0.1:80 both name a port; leave one of them out"},
		{"", "LPING_TARGET_PORT=80 LPING_ADDRESS=127.0.0.1:80", "LPING_TARGET_PORT and 127.0.0.1:80 both name a port; leave one of them out"},
		{"--proto udp tcp://127.0.0.1:80", "", "--proto and tcp://127.0.0.1:80 differ; leave one of them out"},
		{"--proto icmp 127.0.0.1:80", "", "127.0.0.1:80 needs TCP or UDP; lping --proto tcp --port 80"},
		{"--socket raw 127.0.0.1:80", "", "--socket is about ICMP, and not about a service; leave it out"},
		{"-s 9 127.0.0.1:80", "", "--size does not go with a service that gets no data; leave it out, or ask an echo: --echo"},
		{"doctor 127.0.0.1:80", "", "doctor takes no address: it looks at 127.0.0.1 and ::1; lping doctor [-4] [-6] [-j] [-v] [--exit SCHEME]"},
	}
	for _, tt := range tests {
		t.Run(tt.args+" "+tt.env, func(t *testing.T) {
			s, err := settingsOf(strings.Fields("lping "+tt.args), environ(tt.env))
			got := text(err)
			if err == nil {
				got = fmt.Sprint(s.Targets[0].Proto, s.Targets[0].Port, strings.Fields(addresses(s)))
				got = strings.Replace(strings.Replace(got, "tcp", "tcp ", 1), "http", "http ", 1)
				if t := s.Targets[0]; t.Echo {
					got += fmt.Sprint(" echo ", t.Size)
				} else if t.Proto == ping.ProtoHTTP {
					got += fmt.Sprint(" ", t.Host, " ", t.Path, " ", t.Timeout)
				}
			}
			checkError(t, err)
			if strings.ReplaceAll(got, "  ", " ") != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Called as ping, lping knows no more targets than ping does.
func TestServicePing(t *testing.T) {
	_, err := settingsOf([]string{"ping", "127.0.0.1:80"}, environ(""))
	if want := `"127.0.0.1:80" is no address of loopback; 127.0.0.1, ::1 or localhost; lping looks up no names`; text(err) != want {
		t.Errorf("got %q, want %q", text(err), want)
	}
}

func FuzzService(f *testing.F) {
	for _, s := range []string{"127.0.0.1:80", "tcp://[::1]:80", "udp://localhost:53", "https://x/y", "http://[::1]:8/a?b#c", "http://u@h/", "http:// \x00", "[]:", "://", "a]:1[", "::1:80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, word string) {
		o, err := parseOperand(word, 1)
		checkError(t, err)
		if err != nil {
			return
		}
		var proto ping.Proto
		if o.scheme != "" && set(&proto, o.scheme, urlSchemes.parse) != nil || o.host == "" && word != "" || !strings.Contains(word, o.host) {
			t.Errorf("%q is %+v", word, o)
		}
	})
}
