package cmdline

import (
	"fmt"
	"strings"
	"testing"

	"lping/ping/serve"
)

// serveConfigOf reads a command line of serve to the end.
func serveConfigOf(args []string, env string) (serve.Config, error) {
	in := Read(args, environ(env))
	if in.Err != nil {
		return serve.Config{}, in.Err
	}
	return in.ServeConfig(givenFlags(in.Given))
}

func TestServeConfig(t *testing.T) {
	const (
		usage   = "; lping serve [-4] [-6] [-q] [ADDRESS:PORT]"
		refused = ` is not on a loopback interface of this host; 127.0.0.1, ::1 or localhost; ping reaches other hosts`
	)
	tests := []struct{ args, env, want string }{
		{"", "", "some of [127.0.0.1 ::1] 0 [TCP UDP]"},
		{"-q", "", "some of [127.0.0.1 ::1] 0 [TCP UDP] quiet"},
		{"-4", "", "[127.0.0.1] 0 [TCP UDP]"},
		{"-6", "", "[::1] 0 [TCP UDP]"},
		{"-46", "", "[127.0.0.1 ::1] 0 [TCP UDP]"},
		{"", "LPING_IPV6=1 LPING_ADDRESS=127.0.0.2 LPING_QUIET=x LPING_EXIT=y LPING_FORMAT=nagios", "some of [127.0.0.1 ::1] 0 [TCP UDP]"},
		{"8080", "", "some of [127.0.0.1 ::1] 8080 [TCP UDP]"},
		{":8080", "", "some of [127.0.0.1 ::1] 8080 [TCP UDP]"},
		{"-6 :8080", "", "[::1] 8080 [TCP UDP]"},
		{"localhost:8080", "", "some of [127.0.0.1 ::1] 8080 [TCP UDP]"},
		{"A.localhost", "", "some of [127.0.0.1 ::1] 0 [TCP UDP]"},
		{"127.0.0.2", "", "[127.0.0.2] 0 [TCP UDP]"},
		{"127.0.0.1:65535", "", "[127.0.0.1] 65535 [TCP UDP]"},
		{"127.0.0.1:0", "", "[127.0.0.1] 0 [TCP UDP]"},
		{"::1", "", "[::1] 0 [TCP UDP]"},
		{"[::1]:8080", "", "[::1] 8080 [TCP UDP]"},
		{"TCP://127.0.0.1:8080", "", "[127.0.0.1] 8080 [TCP]"},
		{"udp://localhost:0", "", "some of [127.0.0.1 ::1] 0 [UDP]"},

		{"-c 3", "", "serve takes no --count" + usage},
		{"--exit nagios --format x", "", "serve takes no --exit" + usage},
		{"--port 80", "", "serve takes no --port" + usage},
		{"127.0.0.1:80 ::1", "", "more than one address" + usage},
		{"0.0.0.0:80", "", `lping checks loopback only: "0.0.0.0"` + refused},
		{"10.0.0.1:1", "", `lping checks loopback only: "10.0.0.1"` + refused},
		{"[::]:80", "", `lping checks loopback only: "::"` + refused},
		{"127.255.255.255:80", "", "127.255.255.255 is for broadcasts, which nobody answers; 127.0.0.1, or another address of 127.0.0.0/8"},
		{"example.com:80", "", `"example.com" is no address of loopback; 127.0.0.1, ::1 or localhost; lping looks up no names`},
		{"-4 [::1]:80", "", "::1 is no IPv4 address; lping -4 127.0.0.1"},
		{"65536", "", "the port of localhost:65536: 65536 is out of range (0 to 65535); the most is 65535"},
		{"127.0.0.1:http", "", `the port of 127.0.0.1:http: "http" is no whole decimal number; a whole number, 0 to 65535`},
		{"tcp://127.0.0.1", "", `"tcp://127.0.0.1" is not an address and a port; 127.0.0.1:8080, udp://127.0.0.1:53 or http://127.0.0.1:8080/healthz`},
		{"http://127.0.0.1:80", "", `"http://" is unknown: the echo is over TCP and UDP; lping serve 127.0.0.1:8080`},
	}
	for _, tt := range tests {
		t.Run(tt.args+" "+tt.env, func(t *testing.T) {
			c, err := serveConfigOf(strings.Fields("lping serve "+tt.args), tt.env)
			checkError(t, err)
			got := text(err)
			if err == nil {
				got = fmt.Sprint(c.Addresses, c.Port, c.Protocols)
			}
			if c.Some && err == nil {
				got = "some of " + got
			}
			if c.Quiet {
				got += " quiet"
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Bad options of serve have the exit status and the form of ping, whatever they ask for.
func TestServeError(t *testing.T) {
	for _, args := range []string{"lping serve --exit nagios -Z", "lping --health serve", "lping --format nagios serve"} {
		in := readLine(args, "LPING_FORMAT=nagios")
		if _, err := serveConfigOf(strings.Fields(args), ""); err == nil || in.Format != Text || in.Scheme != 0 {
			t.Errorf("%s: %v, format %s, scheme %d", args, err, in.Format, in.Scheme)
		}
	}
}

// Whatever is typed, the echo is on loopback or there is an error of one line.
func FuzzServe(f *testing.F) {
	for _, s := range []string{"", "8080", ":0", "localhost:1", "[::1]:80", "tcp://127.0.0.1:80", "http://x", "0.0.0.0:80", "::ffff:8.8.8.8", ":::", "udp://[::1%\n]:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, word string) {
		c, err := serveConfigOf([]string{"lping", "serve", "--", word}, "")
		checkError(t, err)
		if err != nil {
			return
		}
		if len(c.Addresses) == 0 || len(c.Protocols) == 0 {
			t.Errorf("%q is nothing to serve: %+v", word, c)
		}
		for _, a := range c.Addresses {
			if permit(a) != nil {
				t.Errorf("%q is on %v", word, a)
			}
		}
	})
}
