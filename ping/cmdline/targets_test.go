package cmdline

import (
	"net/netip"
	"strings"
	"testing"

	"lping/platform"
)

func TestTargets(t *testing.T) {
	tests := []struct {
		args, want, names string
		any               bool
	}{
		{"lping", "127.0.0.1", "127.0.0.1", false},
		{"lping -4", "127.0.0.1", "127.0.0.1", false},
		{"lping -6", "::1", "::1", false},
		{"lping -4 -6", "127.0.0.1 ::1", "127.0.0.1 ::1", false},
		{"lping 127.0.0.53", "127.0.0.53", "127.0.0.53", false},
		{"lping 0:0::1", "::1", "0:0::1", false},
		{"lping ::ffff:127.0.0.1", "127.0.0.1", "::ffff:127.0.0.1", false},
		{"lping localhost", "127.0.0.1", "localhost", false},
		{"lping -6 LocalHost.", "::1", "LocalHost.", false},
		{"lping -46 localhost", "127.0.0.1 ::1", "localhost localhost", false},
		{"lping a.localhost", "127.0.0.1", "a.localhost", false},
		{"lping -6 my-app.LOCALHOST.", "::1", "my-app.LOCALHOST.", false},
		{"lping db.localhost:5432", "127.0.0.1 ::1", "db.localhost db.localhost", true},
		{"ping4", "127.0.0.1", "127.0.0.1", false},
		{"ping6 localhost", "::1", "localhost", false},
		{"ping6 -4", "127.0.0.1", "127.0.0.1", false},
		{"lping --proto tcp --port 80 localhost", "127.0.0.1 ::1", "localhost localhost", true},
		{"lping --proto tcp --port 80 localhost -4", "127.0.0.1", "localhost", false},
		{"lping --proto tcp --port 80", "127.0.0.1", "127.0.0.1", false},
		{"lping --proto tcp --port 80 localhost -I ::1", "::1", "localhost", false},
		{"lping --proto tcp --port 80 localhost -I 127.0.0.2", "127.0.0.1", "localhost", false},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			s, err := settingsOf(strings.Fields(tt.args), environ(""))
			var names []string
			for _, target := range s.Targets {
				names = append(names, target.Name)
			}
			if got := addresses(s); got != tt.want || err != nil {
				t.Errorf("addresses %q, %v, want %q", got, err, tt.want)
			}
			if got := strings.Join(names, " "); got != tt.names || (s.Targets[0].Choice != 0) != tt.any || s.Targets[0].Optional != tt.any {
				t.Errorf("names %q, %+v, want %q, %v", got, s.Targets, tt.names, tt.any)
			}
		})
	}
}

func TestTargetErrors(t *testing.T) {
	const (
		only    = "lping checks loopback only: "
		reaches = "; 127.0.0.1, ::1 or localhost; ping reaches other hosts"
		noNames = "; 127.0.0.1, ::1 or localhost; lping looks up no names"
	)
	tests := []struct{ args, want string }{
		{"lping 127.0.0.1 ::1 127.0.0.2 -6", "127.0.0.1 is no IPv6 address; lping -6 ::1"},
		{"lping" + strings.Repeat(" ::1", 17), "17 targets are too many; at most 16 in one run"},
		{"lping -6 127.0.0.1", "127.0.0.1 is no IPv6 address; lping -6 ::1"},
		{"lping -4 ::1", "::1 is no IPv4 address; lping -4 127.0.0.1"},
		{"lping -46 ::1", "-4 and -6 ask for both families, ::1 is of one; leave out the address, or say localhost"},
		{"lping -4 ::1%a\x7f", `"::1%a\x7f" is no IPv4 address; lping -4 127.0.0.1`},
		{"lping 127.1", `"127.1" is no address of loopback; write 127.0.0.1`},
		{"lping lo", `"lo" is no address of loopback; lping -I lo`},
		{"lping help", `"help" is no address of loopback; lping --help`},
		{"lping version", `"version" is no address of loopback; lping --version`},
		{"lping ..localhost", `"..localhost" is no address of loopback` + noNames},
		{"lping xlocalhost", `"xlocalhost" is no address of loopback` + noNames},
		{"lping localhost..", `"localhost.." is no address of loopback` + noNames},
		{"lping 0", `"0" is no address of loopback; write 127.0.0.1`},
		{"lping [::1]", `"[::1]" is no address of loopback; write ::1`},
		{"lping [::1%a\x7f]", `"[::1%a\x7f]" is no address of loopback; write "::1%a\x7f"`},
		{"lping example.com", `"example.com" is no address of loopback` + noNames},
		{"lping localhost.example.com", `"localhost.example.com" is no address of loopback` + noNames},
		{"lping 127.255.255.255", "127.255.255.255 is for broadcasts, which nobody answers; 127.0.0.1, or another address of 127.0.0.0/8"},
		{"lping 192.0.2.1", only + `"192.0.2.1" is not on a loopback interface of this host` + reaches},
		{"lping ::ffff:192.0.2.1", only + `"192.0.2.1" is not on a loopback interface of this host` + reaches},
		{"lping ::", only + `"::" is not on a loopback interface of this host` + reaches},
		{"lping ::1%nosuch0", only + `"::1%nosuch0" names no loopback interface of this host` + reaches},
		{"lping -I nosuch0", "--interface: " + only + `"nosuch0" is no loopback interface of this host` + reaches},
		{"lping -I 192.0.2.1", "--interface: " + only + `"192.0.2.1" is not on a loopback interface of this host` + reaches},
		{"lping -I ::1", "--interface: ::1 is no source for 127.0.0.1; source and target are of one family, such as -6 -I ::1"},
		{"lping -I 127.0.0.2 -I nosuch0", "--interface: " + only + `"nosuch0" is no loopback interface of this host` + reaches},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			_, err := settingsOf(strings.Fields(tt.args), environ(""))
			checkError(t, err)
			if got := text(err); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTargetEmpty(t *testing.T) {
	_, err := settingsOf([]string{"lping", ""}, environ(""))
	checkError(t, err)
	const want = `"" is no address of loopback; 127.0.0.1, ::1 or localhost; lping looks up no names`
	if got := text(err); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The source and the interface may both be given, in either order.
func TestOrigin(t *testing.T) {
	lo := loopbackName(t)
	for _, args := range []string{"-I 127.0.0.2 -I " + lo, "-I " + lo + " -I 127.0.0.2"} {
		s, err := settingsOf(strings.Fields("lping "+args), environ(""))
		if err != nil || s.Targets[0].Interface != lo || s.Targets[0].Source != netip.MustParseAddr("127.0.0.2") {
			t.Errorf("%s: got %q, %v, %v", args, s.Targets[0].Interface, s.Targets[0].Source, err)
		}
	}
	s, err := settingsOf([]string{"lping"}, environ("LPING_INTERFACE=::ffff:127.0.0.2"))
	if err != nil || s.Targets[0].Source != netip.MustParseAddr("127.0.0.2") {
		t.Errorf("got %v, %v", s.Targets[0].Source, err)
	}
}

// loopbackName is the name of this host's loopback interface.
func loopbackName(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"lo", "lo0"} {
		if ok, err := platform.IsLoopbackInterface(name); err == nil && ok {
			return name
		}
	}
	t.Skip("this host has no loopback interface of the name lo or lo0")
	return ""
}
