package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/netip"
	"os"
	"strings"
	"testing"

	"lping/ping"
	"lping/ping/report"
	"lping/platform/diagnose"
	"lping/stats"
)

var update = flag.Bool("update", false, "write the golden files")

func compare(t *testing.T, file string, got []byte) {
	t.Helper()
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

// checkObject holds that a line is an object with a type, and that the first object alone has a schema.
func checkObject(t *testing.T, line string, first bool) {
	t.Helper()
	var object map[string]any
	if !json.Valid([]byte(line)) || json.Unmarshal([]byte(line), &object) != nil {
		t.Fatalf("no JSON object: %s", line)
	}
	if schema, ok := object["schema"]; ok != first || first && schema != 1.0 {
		t.Errorf("schema is %v: %s", schema, line)
	}
	if _, ok := object["type"].(string); !ok {
		t.Errorf("no type: %s", line)
	}
	checkNumbers(t, line, object)
}

// checkNumbers demands numbers, or null in a summary, for what is measured or counted.
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

// counter counts the calls of Write.
type counter int

func (c *counter) Write(p []byte) (int, error) { *c++; return len(p), nil }

var (
	v4 = netip.MustParseAddr("127.0.0.1")
	v6 = netip.MustParseAddr("::1")
)

func target4() report.Target {
	return report.Target{Name: "127.0.0.1", Config: ping.Config{Transport: ping.Transport{Address: v4, Size: 56}}, Method: "icmp-dgram"}
}

func target6() report.Target {
	return report.Target{Name: "::1", Config: ping.Config{Transport: ping.Transport{Address: v6, Size: 56}}, Method: "icmp-dgram"}
}

func healthy(t report.Target) report.Result {
	return report.Result{Target: t, Verdict: stats.Healthy, Summary: stats.Summary{
		Sent: 5, Received: 5, Duration: 201_300_456, SendSpan: 200_400_000, Pipe: 1, EWMA: 41_000,
		RTT: stats.Distribution{
			Count: 5, Min: 30_000, Mean: 2_692_500, Max: 12_350_000, StdDev: 4_845_123,
			P50: 44_600, P90: 12_350_000, P99: 12_350_000, P999: 12_350_000, Jitter: 1_234_567,
		},
	}}
}

// said is a cause that is words already.
type said string

func (s said) String() string { return string(s) }

func silent(t report.Target, findings ...diagnose.Finding) report.Result {
	return report.Result{
		Target: t, Verdict: stats.Unhealthy, Cause: said("5 of 5 probes lost"), Findings: findings, ExitCode: 1,
		Summary: stats.Summary{
			Sent: 5, Lost: 5, LossPercent: 100, LongestLoss: 5, Pipe: 5,
			Duration: 600_100_000, SendSpan: 200_499_999,
		},
	}
}

func missing6() report.Result {
	return report.Result{
		Target: target6(), Verdict: stats.Unhealthy, Cause: said("1 of 1 probes refused"), ExitCode: 1,
		Findings: []diagnose.Finding{{
			Code: "addr_missing", Severity: diagnose.Error, Cause: "::1 is not on lo",
			Evidence: "addresses of lo: 127.0.0.1/8", Fix: "ip addr add ::1/128 dev lo",
		}},
		Summary: stats.Summary{Sent: 1, SendErrors: 1, LossPercent: 100, LongestLoss: 1, Duration: 20_000},
	}
}

func loDown() diagnose.Finding {
	return diagnose.Finding{
		Code: "lo_down", Severity: diagnose.Error, Cause: "interface lo is down",
		Evidence: "flags of lo: LOOPBACK", Fix: "ip link set lo up",
	}
}
