package scripttools

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// probers look at a fault. "all" are those over ICMP, and nobody; root takes what the options say.
var probers = map[string][]string{
	"root":   {"lping"},
	"dgram":  {"lping", "--socket", "dgram"},
	"raw":    {"lping", "--socket", "raw"},
	"nobody": {"nobody", "lping"},
}

// allProbers are the probers that "all" means.
var allProbers = []string{"dgram", "raw", "nobody"}

// verdict is "unhealthy PROBER,… CODE,… [OPTION …]", and the same for degraded and informed, which is healthy with findings;
// "healthy" has no codes. Each prober must give this verdict with these codes in this order, and no others. $THROUGH is a
// command to go through. What the last prober said is on standard output.
type verdict struct {
	name   string
	status int
}

func (v verdict) run(args []string) int {
	var codes []string
	if v.name != "healthy" && len(args) > 1 {
		codes = strings.Split(args[1], ",")
		args = slices.Delete(slices.Clone(args), 1, 2)
	}
	if len(args) == 0 || v.name != "healthy" && codes == nil {
		fmt.Fprintf(os.Stderr, "usage: %s PROBER,... [CODE,...] [OPTION ...]; no codes if healthy\n", v.name)
		return badUsage
	}
	names := strings.Split(args[0], ",")
	if args[0] == "all" {
		names = allProbers
	}
	return v.of(names, codes, args[1:])
}

// of asks one prober after the other.
func (v verdict) of(names, codes, options []string) int {
	var out string
	for _, name := range names {
		command := slices.Concat(strings.Fields(os.Getenv("THROUGH")), probers[name], options, []string{"--health"})
		if probers[name] == nil {
			fmt.Fprintf(os.Stderr, "no prober %q\n", name)
			return badUsage
		}
		var err error
		if out, err = v.health(command, codes); err != nil {
			fmt.Fprintf(os.Stderr, "%q: %v\n", command, err)
			return 1
		}
	}
	fmt.Print(out)
	return 0
}

// health runs one check in the namespace, and says what is wrong with its answer.
func (v verdict) health(command, codes []string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command("inns", command...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		return "", err
	}
	out := stdout.String()
	switch {
	case cmd.ProcessState.ExitCode() != v.status:
		return out, fmt.Errorf("want exit status %d: %v\n%s%s", v.status, cmd.ProcessState, out, stderr.String())
	case stderr.Len() > 0:
		return out, fmt.Errorf("want nothing on standard error: %q", stderr.String())
	}
	return out, checkAnswer(out, strings.Replace(v.name, "informed", "healthy", 1), codes)
}

// codeLine is where --health names a finding: after verdict, address and ratio, or on a line of its own.
var codeLine = regexp.MustCompile(`(?m)^(?:[a-z]+ \S+ \d+/\d+| ) ([a-z0-9_]+): (.*)$`)

// checkAnswer holds an answer to what --health promises: the verdict first, each code with cause and fix, in few bytes.
func checkAnswer(out, verdict string, codes []string) error {
	control := strings.ContainsFunc(strings.ReplaceAll(out, "\n", ""), unicode.IsControl)
	switch {
	case !strings.HasPrefix(out, verdict+" ") || !strings.HasSuffix(out, "\n"):
		return fmt.Errorf("want %s first and whole lines: %q", verdict, out)
	case len(out) >= 500 || control || !utf8.ValidString(out):
		return fmt.Errorf("want less than 500 bytes and no control characters: %d of %q", len(out), out)
	}
	for line := range strings.Lines(out) {
		if len(line) > 200 {
			return fmt.Errorf("want lines of at most 200 bytes: %d of %q", len(line), line)
		}
	}
	var got []string
	list := codeLine.FindAllStringSubmatch(out, -1)
	if first, _, _ := strings.Cut(out, "\n"); len(list) > 1 && strings.HasSuffix(first, "…") && list[len(list)-1][1] == list[0][1] {
		list = list[:len(list)-1] // in full what the first line cuts
	}
	for _, m := range list {
		got = append(got, m[1])
		if !strings.Contains(m[2], "; fix: ") {
			return fmt.Errorf("want a fix: %q", m[0])
		}
	}
	if !slices.Equal(got, codes) {
		return fmt.Errorf("want codes %q: %q", codes, out)
	}
	return nil
}

// steady is "steady N [OPTION …]": all is well N times, to one prober after the other.
func steady(args []string) int {
	if len(args) == 0 {
		args = []string{""}
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, "usage: steady N [OPTION ...]:", err)
		return badUsage
	}
	for i := range n {
		name := allProbers[i%len(allProbers)]
		if status := (verdict{"healthy", 0}).of([]string{name}, nil, args[1:]); status != 0 {
			return status
		}
	}
	return 0
}

// TestCheckAnswer holds checkAnswer to what it is there for: to refuse.
func TestCheckAnswer(t *testing.T) {
	const down = "unhealthy 127.0.0.1 0/5 lo_down: interface lo is down; fix: ip link set lo up\n"
	long := "unhealthy 127.0.0.1 0/5 lo_down: interface lo is down; fix: ip link …\n  lo_down: interface lo is down; fix: ip link set lo up\n"
	tests := []struct {
		name, out, verdict string
		codes              []string
		want               string // of the error; none if empty
	}{
		{"healthy", "healthy 127.0.0.1 5/5 p50=0.04ms\n", "healthy", nil, ""},
		{"one code", down, "unhealthy", []string{"lo_down"}, ""},
		{"one code, and in full what the first line cuts", long, "unhealthy", []string{"lo_down"}, ""},
		{"two codes", down + "  echo_ignored: so; fix: that\n", "unhealthy", []string{"lo_down", "echo_ignored"}, ""},
		{"another verdict", down, "degraded", []string{"lo_down"}, "want degraded first"},
		{"another code", down, "unhealthy", []string{"addr_missing"}, "want codes"},
		{"one code more", down, "unhealthy", nil, "want codes"},
		{"one code less", down, "unhealthy", []string{"lo_down", "echo_ignored"}, "want codes"},
		{"another order", down + "  echo_ignored: so; fix: that\n", "unhealthy", []string{"echo_ignored", "lo_down"}, "want codes"},
		{"no fix", "unhealthy 127.0.0.1 0/5 lo_down: interface lo is down\n", "unhealthy", []string{"lo_down"}, "want a fix"},
		{"no whole line", strings.TrimSuffix(down, "\n"), "unhealthy", []string{"lo_down"}, "whole lines"},
		{"a long line", "healthy " + strings.Repeat("x", 200) + "\n", "healthy", nil, "at most 200 bytes"},
		{"many lines", strings.Repeat("healthy \n", 100), "healthy", nil, "less than 500 bytes"},
		{"a control character", "healthy \x1b[1m\n", "healthy", nil, "no control characters"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := checkAnswer(tt.out, tt.verdict, tt.codes)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
