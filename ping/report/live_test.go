package report

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"lping/ping"
)

// watched is a chart of targets 20 s into a run of a probe every 100 ms. Its RTT swings, and from 5 s to 7 s nothing is answered;
// gone says that nothing is from 16 s on.
func watched(o Options, gone bool, targets ...Target) (*live, time.Time) {
	l := NewLive(io.Discard, o).(*live)
	l.begun = time.Unix(1_700_000_000, 0)
	for _, t := range targets {
		t.Interval, t.Timeout = 100*time.Millisecond, 400*time.Millisecond
		if err := l.add(t); err != nil {
			panic(err)
		}
		for i := range 200 {
			e := event(ping.Sent, uint64(i+1), t.Address)
			e.Time = l.begun.Add(time.Duration(i) * t.Interval)
			_ = l.Event(t, e)
			if sent := e.Time.Sub(l.begun); sent >= 5*time.Second && sent < 7*time.Second || gone && sent >= 16*time.Second {
				e.Kind, e.Time = ping.Timeout, e.Time.Add(t.Timeout)
			} else {
				e.Kind, e.RTT = ping.Reply, time.Duration(20_000+1_000*(i/4%11))
			}
			if e.Time.Before(l.begun.Add(20 * time.Second)) {
				_ = l.Event(t, e)
			}
		}
	}
	return l, l.begun.Add(20 * time.Second)
}

// TestFrame compares whole screens. Each has as many lines as the terminal, and none is wider.
func TestFrame(t *testing.T) {
	many := func(n int) (list []Target) {
		for i := range n {
			one := target4()
			one.Address = one.Address.Next()
			for range i {
				one.Address = one.Address.Next()
			}
			list = append(list, one)
		}
		return list
	}
	tests := []struct {
		name          string
		width, height int
		o             Options
		gone          bool
		targets       []Target
	}{
		{"one", 80, 24, Options{Unicode: true}, false, []Target{target4()}},
		{"large", 200, 50, Options{Unicode: true}, false, []Target{target4()}},
		{"small", 40, 12, Options{Unicode: true}, true, []Target{target4()}},
		{"color", 60, 12, Options{Unicode: true, Color: true}, true, []Target{target4()}},
		{"ascii", 60, 12, Options{}, true, []Target{target4()}},
		{"two", 80, 24, Options{Unicode: true}, true, []Target{target4(), target6()}},
		{"many", 80, 24, Options{Unicode: true}, false, many(16)},
		{"many_color", 80, 24, Options{Color: true}, true, many(5)},
		{"too_many", 40, 6, Options{}, true, many(16)},
		{"narrow", 12, 6, Options{}, true, []Target{target4()}},
		{"none", 80, 3, Options{}, true, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l, now := watched(test.o, test.gone, test.targets...)
			lines := l.frame(test.width, test.height, now)
			if len(lines) != test.height {
				t.Errorf("%d lines, want %d", len(lines), test.height)
			}
			for _, line := range lines {
				if n := utf8.RuneCountInString(uncolored(line)); n > test.width {
					t.Errorf("%q has %d columns, want at most %d", line, n, test.width)
				}
			}
			compare(t, filepath.Join("testdata", "live_"+test.name), []byte(strings.Join(lines, "\n")+"\n"))
		})
	}
}

func uncolored(s string) string {
	return strings.NewReplacer(red, "", green, "", faint, "", reset, "", "\x1b[92m", "", yellow, "", "\x1b[0m", "").Replace(s)
}

// TestFrameSizes draws on terminals of every small size, at any time, and must not panic.
func TestFrameSizes(t *testing.T) {
	for _, o := range []Options{{}, {Unicode: true, Color: true}} {
		for _, gone := range []bool{false, true} {
			l, now := watched(o, gone, target4(), target6())
			for width := range 130 {
				for _, height := range []int{0, 1, 2, 7, 8, 9, 24} {
					if lines := l.frame(width, height, now); len(lines) != max(height, 1) {
						t.Fatalf("%dx%d: %d lines", width, height, len(lines))
					}
				}
			}
			l.frame(80, 24, now.Add(24*time.Hour))
			l.frame(80, 24, l.begun)
		}
	}
}

// TestLiveScreen holds that the terminal gets its screen back before the report, and that nothing is drawn twice.
func TestLiveScreen(t *testing.T) {
	var out bytes.Buffer
	width := 40
	l := NewLive(&out, Options{Size: func() (int, int) { return width, 12 }}).(*live)
	if err := l.add(target4()); err != nil {
		t.Fatal(err)
	}
	l.begun = time.Now()
	var sizes []int
	for _, at := range []time.Duration{0, 300, 600, 2000, 2100} {
		if at == 600 {
			width = 60
		}
		before := out.Len()
		if err := l.show(l.begun.Add(at * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, out.Len()-before)
	}
	if drawn := []bool{sizes[0] > 0, sizes[1] > 0, sizes[2] > 0, sizes[3] > 0, sizes[4] > 0}; !slices.Equal(drawn, []bool{true, false, true, true, false}) {
		t.Errorf("drew %v bytes", sizes)
	}
	if n := strings.Count(out.String(), clearScreen); n != 2 {
		t.Errorf("cleared the screen %d times, want once a size", n)
	}
	s := healthyScenario("live", target4(), Options{})
	if err := l.Finish(s.report); err != nil {
		t.Fatal(err)
	}
	_, end, left := strings.Cut(out.String(), leaveScreen)
	if !left || !strings.HasPrefix(end, "PING 127.0.0.1 (127.0.0.1) 56(84) bytes of data.\n\n--- 127.0.0.1 ping statistics ---\n") || !strings.Contains(end, "\n+ healthy  127.0.0.1  5/5  ") {
		t.Errorf("ends with %q", end)
	}
}

// TestLiveFails holds that a terminal that is gone ends the run.
func TestLiveFails(t *testing.T) {
	gone := errors.New("gone")
	l := NewLive(failing{gone}, Options{Size: size80}).(*live)
	if err := l.Start(target4()); err != gone {
		t.Errorf("start: %v, want %v", err, gone)
	}
	if err := l.Event(target4(), event(ping.Sent, 1, v4)); err != gone {
		t.Errorf("event: %v, want %v", err, gone)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// TestColumns holds that a column is forgotten only if newer ones need its place.
func TestColumns(t *testing.T) {
	p := &pane{each: time.Second}
	p.column(0).lost = true
	p.column(3 * time.Second).worst = 7
	got := fmt.Sprint(p.latest(10, 4*time.Second))
	if want := "[{0 true} {0 false} {0 false} {7 false} {0 false}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if p.column((maxColumns+1)*time.Second) == nil || p.column(time.Second) != nil || p.column(2*time.Second) == nil {
		t.Error("the oldest column is not that of maxColumns ago")
	}
}
