package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"lping/ping"
)

var update = flag.Bool("update", false, "write the golden files")

var formats = map[string]func(io.Writer, Options) Renderer{
	"text": NewText, "line": NewLine, "json": NewJSON, "prometheus": NewPrometheus, "nagios": NewNagios,
}

// play gives a renderer all of a scenario.
func play(r Renderer, s scenario) error {
	for _, t := range s.starts {
		if err := r.Start(t); err != nil {
			return err
		}
	}
	for _, e := range s.events {
		if err := e.tell(r); err != nil {
			return err
		}
	}
	return r.Finish(s.report)
}

func (e told) tell(r Renderer) error {
	switch {
	case e.finding != nil:
		return r.Finding(e.target, *e.finding)
	case e.outage != nil:
		return r.Outage(e.target, *e.outage)
	}
	return r.Event(e.target, e.event)
}

// oneLine fails the test on a Write that is not made of whole lines, dots of a flood aside.
type oneLine struct {
	t *testing.T
	bytes.Buffer
}

func (w *oneLine) Write(b []byte) (int, error) {
	if s := string(b); s != "." && s != "\b \b" && !strings.HasSuffix(s, "\n") {
		w.t.Errorf("Write(%q) ends within a line", b)
	}
	return w.Buffer.Write(b)
}

// atNoon are options with a clock that stands.
func (o Options) atNoon() Options {
	o.Now = func() time.Time { return noon }
	return o
}

func TestGolden(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the golden files hold Linux's words for error numbers")
	}
	for _, s := range scenarios() {
		for format, renderer := range formats {
			t.Run(s.name+"/"+format, func(t *testing.T) {
				out := oneLine{t: t}
				if err := play(renderer(&out, s.options.atNoon()), s); err != nil {
					t.Fatal(err)
				}
				compare(t, filepath.Join("testdata", s.name+"."+format), out.Bytes())
			})
		}
	}
}

func compare(t *testing.T, file string, got []byte) {
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\ngot\n%s\nwant\n%s", file, got, want)
	}
}

// TestOwnLines holds what lping adds against what the parsers of ping trip over.
func TestOwnLines(t *testing.T) {
	for _, s := range scenarios() {
		for _, r := range s.report.Results {
			for line := range strings.Lines(string((&text{}).appendOutcome(nil, r, false, nil))) {
				if strings.Contains(line, " = ") || strings.Contains(line, " time ") || line[0] >= '0' && line[0] <= '9' {
					t.Errorf("%s: %q", s.name, line)
				}
				if len(line)-1 > columns && !strings.Contains(line, "evidence:") {
					t.Errorf("%s: %q has %d columns", s.name, line, len(line)-1)
				}
			}
		}
	}
}

// TestJSONObjects holds every line against the laws of the format, whatever the scenario.
func TestJSONObjects(t *testing.T) {
	for _, s := range scenarios() {
		var out bytes.Buffer
		if err := play(NewJSON(&out, s.options), s); err != nil {
			t.Fatal(err)
		}
		first := true
		for line := range strings.Lines(out.String()) {
			checkObject(t, s.name, line, first)
			first = false
		}
	}
}

func checkObject(t *testing.T, name, line string, first bool) {
	var object map[string]any
	if !json.Valid([]byte(line)) || json.Unmarshal([]byte(line), &object) != nil {
		t.Fatalf("%s: no JSON object: %s", name, line)
	}
	if schema, ok := object["schema"]; ok != first || first && schema != 1.0 {
		t.Errorf("%s: schema is %v: %s", name, schema, line)
	}
	if _, ok := object["type"].(string); !ok {
		t.Errorf("%s: no type: %s", name, line)
	}
	checkNumbers(t, line, object)
}

// checkNumbers demands numbers, or null in a summary, where numbers are meant.
func checkNumbers(t *testing.T, line string, object map[string]any) {
	const numbers = " seq time ttl bytes family sent received loss_percent "
	for key, value := range object {
		switch v := value.(type) {
		case map[string]any:
			checkNumbers(t, line, v)
		case nil, float64, []any:
		default:
			if strings.HasSuffix(key, "_ms") || strings.Contains(numbers, " "+key+" ") {
				t.Errorf("%s is %T: %s", key, value, line)
			}
		}
	}
}

// errBroken is what a closed pipe would say.
var errBroken = errors.New("broken")

// broken fails from its nth Write on.
type broken struct{ left int }

func (b *broken) Write(p []byte) (int, error) {
	if b.left--; b.left < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

func TestWriteError(t *testing.T) {
	for _, s := range scenarios() {
		for format, renderer := range formats {
			var writes counter
			if err := play(renderer(&writes, s.options), s); err != nil {
				t.Fatal(err)
			}
			for n := range int(writes) {
				if err := play(renderer(&broken{left: n}, s.options), s); !errors.Is(err, errBroken) {
					t.Errorf("%s %s: write %d failed, got error %v", s.name, format, n, err)
				}
			}
		}
	}
	if err := Status(&broken{}, "", troubled().Summary); !errors.Is(err, errBroken) {
		t.Errorf("status: got error %v", err)
	}
}

type counter int

func (c *counter) Write(p []byte) (int, error) { *c++; return len(p), nil }

func TestEventsAllocateNothing(t *testing.T) {
	all := append(troubles(), five(target6())...)
	named := target4()
	named.Name = "localhost"
	all = append(all, told{target: named, event: answer(ping.Reply, 1<<40, v4, 45_000)})
	for format, renderer := range formats {
		for _, o := range []Options{
			{}, {Verbose: true, Timestamp: true, Outstanding: true, Audible: true}, {Flood: true, Size: size80},
		} {
			r := renderer(io.Discard, o)
			n := testing.AllocsPerRun(100, func() {
				for _, e := range all {
					_ = r.Event(e.target, e.event)
				}
			})
			if n != 0 {
				t.Errorf("%s %+v: %v allocations", format, o, n)
			}
		}
	}
}
