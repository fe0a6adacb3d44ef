package cmdline

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"lping/ping"
	"lping/ping/report"
	"lping/stats"
)

// givenFlags are options as a flag library has them: of two the last one holds.
type givenFlags []Given

func (f givenFlags) find(long string) (g Given, ok bool) {
	for _, one := range f {
		if one.Long == long {
			g, ok = one, true
		}
	}
	return g, ok
}

func (f givenFlags) IsSet(long string) bool {
	_, ok := f.find(long)
	return ok
}

func (f givenFlags) Bool(long string) bool {
	g, _ := f.find(long)
	return g.Value == "true"
}

func (f givenFlags) String(long string) string {
	g, _ := f.find(long)
	return g.Value
}

// settingsOf reads a command line and the environment to the end.
func settingsOf(args []string, lookup func(string) (string, bool)) (Settings, error) {
	in := Read(args, lookup)
	if in.Err != nil {
		return Settings{}, in.Err
	}
	if in.Command == Doctor {
		return in.DoctorSettings(givenFlags(in.Given))
	}
	return in.Settings(givenFlags(in.Given))
}

// defaults are the settings of "lping".
func defaults() Settings {
	s := Settings{Targets: []report.Target{newTarget("127.0.0.1", netip.MustParseAddr("127.0.0.1"))}}
	s.common.Count, s.common.Size = 5, 56
	return s
}

func TestSettings(t *testing.T) {
	tests := []struct {
		args, env string
		change    func(s *Settings, c *ping.Config, o *report.Options) // from the defaults
	}{
		{"lping", "", func(*Settings, *ping.Config, *report.Options) {}},
		{"lping -n", "LPING_ADDRESS=127.0.0.1", func(*Settings, *ping.Config, *report.Options) {}},
		{"lping -c0", "", func(_ *Settings, c *ping.Config, _ *report.Options) { c.Count = 0 }},
		{"lping -c 010", "", func(_ *Settings, c *ping.Config, _ *report.Options) { c.Count = 10 }},
		{"lping", "LPING_COUNT=7", func(_ *Settings, c *ping.Config, _ *report.Options) { c.Count = 7 }},
		{"lping -w 10", "", func(_ *Settings, c *ping.Config, _ *report.Options) { c.Count, c.Deadline = 0, 10*time.Second }},
		{"lping -w 10 -c 3", "", func(_ *Settings, c *ping.Config, _ *report.Options) { c.Count, c.Deadline = 3, 10*time.Second }},
		{"lping -w 0", "", func(*Settings, *ping.Config, *report.Options) {}},
		{"lping -i 0.2 -W 300ms", "", func(_ *Settings, c *ping.Config, _ *report.Options) {
			c.Interval, c.Timeout = 200*time.Millisecond, 300*time.Millisecond
		}},
		{"lping -W 0 -i 2000000h -w 2000000h", "", func(_ *Settings, c *ping.Config, _ *report.Options) {
			c.Count, c.Interval, c.Timeout, c.Deadline = 0, ping.MaxTime, ping.MaxTime, ping.MaxTime
		}},
		{"lping -f", "", func(_ *Settings, c *ping.Config, o *report.Options) {
			c.Count, c.Flood, o.Flood, o.PacingShown = 0, true, true, true
		}},
		{"lping -f -i 1", "", func(_ *Settings, c *ping.Config, o *report.Options) {
			c.Count, c.Interval, o.Flood, o.PacingShown = 0, time.Second, true, true
		}},
		{"lping -i 0", "", func(_ *Settings, c *ping.Config, o *report.Options) { c.Flood, o.PacingShown = true, true }},
		{"lping -A", "", func(_ *Settings, c *ping.Config, o *report.Options) { c.Adaptive, o.PacingShown = true, true }},
		{"lping -l 3 -t 64 -Q 0x10 -M want -p ff00 -s 100 -U", "", func(_ *Settings, c *ping.Config, _ *report.Options) {
			c.Preload, c.TTL, c.TOS, c.PathMTU = 3, 64, 16, ping.PathMTUWant
			c.Pattern, c.Size, c.UserTime = []byte{0xff, 0}, 100, true
		}},
		{"lping -qvDOa3", "", func(_ *Settings, _ *ping.Config, o *report.Options) {
			o.Quiet, o.Verbose, o.Timestamp, o.Outstanding, o.Audible, o.Precise = true, true, true, true, true, true
		}},
		{"lping --socket raw", "", func(_ *Settings, c *ping.Config, _ *report.Options) { c.Socket = ping.SocketRaw }},
		{"lping --proto udp --port 53", "", func(_ *Settings, c *ping.Config, _ *report.Options) { c.Proto, c.Port, c.Count = ping.ProtoUDP, 53, 1 }},
		{"lping --sweep 1,2,3", "", func(_ *Settings, c *ping.Config, _ *report.Options) { c.Count, c.Sizes = 3, []int{1, 2, 3} }},
		{"lping --sweep 1,2 -c 9", "", func(_ *Settings, c *ping.Config, _ *report.Options) { c.Count, c.Sizes = 9, []int{1, 2} }},
		{"lping --sweep 1,2 -w 1", "", func(_ *Settings, c *ping.Config, _ *report.Options) {
			c.Count, c.Deadline, c.Sizes = 0, time.Second, []int{1, 2}
		}},
		{"lping --max-loss 60% --max-rtt 5ms --warn 5,20% --crit 60%", "", func(s *Settings, _ *ping.Config, o *report.Options) {
			s.Limits = stats.Limits{
				MaxLoss: 60, MaxRTT: 5 * time.Millisecond,
				Warn: stats.Threshold{RTA: &stats.Range{High: 5, Text: "5"}, Loss: &stats.Range{High: 20, Text: "20"}},
				Crit: stats.Threshold{Loss: &stats.Range{High: 60, Text: "60"}},
			}
			o.Limits = s.Limits
		}},
		{"lping --wait 30", "", func(s *Settings, c *ping.Config, _ *report.Options) { s.Wait, c.Count = 30*time.Second, 1 }},
		{"lping --wait 30", "LPING_DEADLINE=1", func(s *Settings, c *ping.Config, _ *report.Options) { s.Wait, c.Count = 30*time.Second, 1 }},
		{"lping --live", "", func(s *Settings, c *ping.Config, o *report.Options) { o.Live, c.Count = true, 0 }},
		{"lping --live -c 3", "", func(s *Settings, c *ping.Config, o *report.Options) { o.Live, c.Count = true, 3 }},
		{"lping --every 1m", "", func(s *Settings, c *ping.Config, _ *report.Options) { s.Every = time.Minute }},
		{"lping --every 30", "LPING_WAIT=1", func(s *Settings, c *ping.Config, _ *report.Options) { s.Every = 30 * time.Second }},
		{"lping --every 30 -f -w 1", "", func(s *Settings, c *ping.Config, o *report.Options) {
			s.Every, c.Count, c.Deadline, c.Flood, o.Flood, o.PacingShown = 30*time.Second, 0, time.Second, true, true, true
		}},
		{"lping -c 3 --wait 1m", "", func(s *Settings, c *ping.Config, _ *report.Options) { s.Wait, c.Count = time.Minute, 3 }},
		{"lping --output lping.prom", "", func(s *Settings, _ *ping.Config, _ *report.Options) { s.File = "lping.prom" }},
		{"lping --output -", "", func(*Settings, *ping.Config, *report.Options) {}},
		{"/bin/ping", "", func(_ *Settings, c *ping.Config, o *report.Options) { c.Proto, o.PingOnly = ping.ProtoICMP, true }},
		{"ping --proto udp", "", func(_ *Settings, c *ping.Config, o *report.Options) { c.Proto, o.PingOnly = ping.ProtoUDP, true }},
	}
	for _, tt := range tests {
		t.Run(tt.args+" "+tt.env, func(t *testing.T) {
			want := defaults()
			tt.change(&want, &want.common, &want.Output)
			address := want.Targets[0].Address
			want.Targets[0].Config = want.common
			if want.common.Port != 0 || want.Wait != 0 && want.common.Count == 1 {
				want.common.Count = 5 // which is that of addresses
			}
			want.Targets[0].Address = address
			got, err := settingsOf(strings.Fields(tt.args), environ(tt.env))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
			if err := got.Targets[0].Validate(); err != nil {
				t.Errorf("the configuration cannot be used: %v", err)
			}
		})
	}
}

// munin calls ping with one argument, '-c 2'.
func TestSettingsSpaceBeforeValue(t *testing.T) {
	s, err := settingsOf([]string{"lping", "-c 2", "-W \t1"}, environ(""))
	if err != nil || s.Targets[0].Count != 2 || s.Targets[0].Timeout != time.Second {
		t.Errorf("got %d, %v, %v", s.Targets[0].Count, s.Targets[0].Timeout, err)
	}
}

func TestSettingsErrors(t *testing.T) {
	tests := []struct{ args, env, want string }{
		{"lping -c x -p x", "", `--count: "x" is no whole decimal number; a whole number, 0 or more`},
		{"lping", "LPING_TARGET_PORT=0 LPING_PROTO=udp", "LPING_TARGET_PORT: 0 is out of range (1 to 65535); the least is 1"},
		{"lping -M x", "", `--pmtudisc: "x" is unknown; do, want, dont or probe`},
		{"lping --proto x", "", `--proto: "x" is unknown; auto, icmp, udp or tcp`},
		{"lping --socket x", "", `--socket: "x" is unknown; auto, dgram or raw`},
		{"lping --proto udp --socket raw", "", "--socket is about ICMP; leave out --proto, or --socket"},
		{"lping --connect", "", "unknown option --connect; lping -h lists the options"},
		{"lping --port 80 --proto auto", "", "--port needs TCP or UDP; lping --proto tcp --port 80"},
		{"lping -s 3", "LPING_PROTO=tcp LPING_TARGET_PORT=80", "--size does not go with a service that gets no data; leave it out, or ask an echo: --echo"},
		{"lping --proto tcp --port 80 -p ff", "", "--pattern does not go with a service that gets no data; leave it out, or ask an echo: --echo"},
		{"lping --proto tcp --port 80 --sweep 1", "", "--sweep does not go with a service that gets no data; leave it out, or ask an echo: --echo"},
		{"lping -s 1 --sweep 1,2", "", "--size and --sweep both say how large a probe is; leave one of them out"},
		{"lping -s 65508", "", "--size: 65508 is out of range (0 to 65507); the most is 65507"},
		{"lping -6 -s 65528", "", "--size: 65528 is out of range (0 to 65527); the most is 65527"},
		{"lping -46 -s 65508", "", "--size: 65508 is out of range (0 to 65507); the most is 65507"},
		{"lping -6 --proto udp --sweep 65520", "", "--sweep: 65520 is out of range (0 to 65519); the most is 65519"},
		{"lping --wait 1 -w 1", "", "--wait and -w both say when it is over; leave one of them out"},
		{"lping --live -j", "", "--live is a chart, and not for json; leave one of them out"},
		{"lping --live --every 1", "", "--live is about a single run; leave out --wait and --every"},
		{"lping --live --output x", "", "--live draws on a terminal, and not in a file; leave one of them out"},
		{"lping --every 1 --wait 1", "", "--every and --wait both say when to check again; leave one of them out"},
		{"lping --every 1 -c 0", "", "--every needs a check that ends; --every 60 -c 5"},
		{"lping --every 0", "", "--every is the time from one check to the next, and 0 is none; --every 60"},
		{"lping --wait 1 -f -c 1001", "", "--wait needs a count of answers in a row, 1000 at most; leave out -c: one answer is enough"},
		{"lping --output=", "", "--output: no file is named; --output lping.prom"},
	}
	for _, tt := range tests {
		t.Run(tt.args+" "+tt.env, func(t *testing.T) {
			_, err := settingsOf(strings.Fields(tt.args), environ(tt.env))
			checkError(t, err)
			if got := text(err); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestDoctorSettings(t *testing.T) {
	const usage = "; lping doctor [-4] [-6] [-j] [-v] [--exit SCHEME]"
	tests := []struct {
		args, env, want string
		asked           bool
	}{
		{"lping doctor", "", "127.0.0.1 ::1", false},
		{"lping doctor", "LPING_COUNT=x LPING_ADDRESS=8.8.8.8 LPING_FORMAT=line", "127.0.0.1 ::1", false},
		{"lping doctor -6 -j --exit health", "", "::1", true},
		{"lping -4 --format text doctor", "", "127.0.0.1", true},
		{"lping doctor -46", "", "127.0.0.1 ::1", true},
		{"lping doctor -q", "", "doctor takes no --quiet" + usage, false},
		{"lping doctor --format nagios", "", "doctor takes no --format" + usage, false},
		{"lping doctor ::1", "", "doctor takes no address: it looks at 127.0.0.1 and ::1" + usage, false},
	}
	for _, tt := range tests {
		t.Run(tt.args+" "+tt.env, func(t *testing.T) {
			s, err := settingsOf(strings.Fields(tt.args), environ(tt.env))
			checkError(t, err)
			got := text(err)
			if err == nil {
				got = addresses(s)
			}
			if got != tt.want || err == nil && s.Targets[0].Optional == tt.asked {
				t.Errorf("got %q, %+v, want %q, asked %v", got, s.Targets, tt.want, tt.asked)
			}
		})
	}
}

// addresses are those of the targets.
func addresses(s Settings) string {
	var list []string
	for _, t := range s.Targets {
		list = append(list, fmt.Sprint(t.Address))
	}
	return strings.Join(list, " ")
}

// Whatever is typed and whatever the environment holds, the outcome is a usable configuration or an error of one line.
func FuzzSettings(f *testing.F) {
	for _, seed := range []string{
		"lping", "ping6 -c1 ::1", "lping -c 2 -i0 -fA -46 localhost", "lping doctor -6j", "lping --proto tcp --port 8080 localhost",
		"lping -I lo -I 127.0.0.2 -s 65507", "lping --sweep 0:65507:1111,3 -w 1", "lping --warn 5,20% --crit @5:9 --max-loss 1 --max-rtt 5ms",
		"lping -4 fe80::1%a\x1bb", "lping [::1%\n]", "lping -6 -I fe80::1%\n", "lping --output \n --format x", "lping -Z\n",
		"lping -W 9999999h -w .5 -M do -Q 0xff -t 1 -p abc --health=x",
	} {
		f.Add(strings.ReplaceAll(seed, " ", "\x00"), "LPING_COUNT", "3", "LPING_ADDRESS", "::1")
		f.Add(strings.ReplaceAll(seed, " ", "\x00"), "LPING_FORMAT", "\n", "LPING_QUIET", "x")
	}
	f.Fuzz(func(t *testing.T, line, name1, value1, name2, value2 string) {
		env := map[string]string{name1: value1, name2: value2}
		lookup := func(name string) (string, bool) {
			value, ok := env[name]
			return value, ok
		}
		s, err := settingsOf(strings.Split(line, "\x00"), lookup)
		checkError(t, err)
		if err != nil {
			return
		}
		if len(s.Targets) == 0 {
			t.Fatalf("%q has no target", line)
		}
		for _, target := range s.Targets {
			if err := target.Validate(); err != nil {
				t.Fatalf("%q for %v: %v", line, target.Address, err)
			}
		}
	})
}
