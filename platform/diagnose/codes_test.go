package diagnose

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// stable are the codes that programs know by now, in alphabetical order. Codes may be added, and none goes.
var stable = []Code{
	"addr_missing", "clock_stepped", "conntrack_full", "cpu_throttled", "duplicate_replies", "echo_ignored", "fw_icmp_only",
	"fw_input_reply", "fw_input_request", "fw_output", "fw_reject", "hosts_localhost", "icmp_not_permitted", "ingress_drop",
	"ipv6_disabled", "ipv6_mtu", "kernel_drop", "lo_down", "lo_missing", "nat_redirects", "nat_rewrites", "packet_loss", "payload_corrupted", "policy_denies", "port_refused", "port_resets",
	"port_silent", "ports_exhausted", "qdisc_delays", "qdisc_drop", "queue_overflow", "rate_limited", "route_missing", "rule_blocks", "service_error",
	"service_slow", "slow_path", "socket_filter", "unknown", "xfrm_blocks",
}

// TestCodes holds that the table is whole: each code has one rule, and something to say in one line of plain text.
func TestCodes(t *testing.T) {
	var codes []Code
	for i, r := range rules {
		codes = append(codes, r.Code)
		if r.find == nil || r.Severity.String() == "unknown" || Place(r.Code) != i {
			t.Errorf("%s lacks a rule or a severity, or is there twice", r.Code)
		}
		if len(r.Parts) == 0 || !slices.IsSorted(r.Parts) || r.Parts[len(r.Parts)-1] > PartProbe {
			t.Errorf("%s belongs to the parts %v", r.Code, r.Parts)
		}
		checkText(t, r.Code, r.Words, 40)
		checkText(t, r.Code, r.Explanation, 250)
		if n := strings.Count(r.Explanation+" ", ". "); n < 1 || n > 2 || !strings.HasSuffix(r.Explanation, ".") {
			t.Errorf("%s: the explanation has %d sentences, want 1 or 2: %q", r.Code, n, r.Explanation)
		}
	}
	slices.Sort(codes)
	if !slices.Equal(codes, stable) {
		t.Errorf("got the codes %q\nwant %q", codes, stable)
	}
	if place, parts := Place("a_code_to_come"), Code("a_code_to_come").Parts(); place != len(rules) || !slices.Equal(parts, []Part{PartProbe}) {
		t.Errorf("a code to come has place %d and parts %v, want %d and the probe", place, parts, len(rules))
	}
}

// checkText holds that a text is one line of plain ASCII, and not too long.
func checkText(t *testing.T, c Code, s string, most int) {
	t.Helper()
	strange := strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
	if s == "" || len(s) > most || strange || strings.TrimSpace(s) != s || strings.Contains(s, "  ") {
		t.Errorf("%s: got %q, want one line of plain text of at most %d bytes", c, s, most)
	}
}

// TestCodesAreConstants reads the sources of the whole project: no code is a string there but in the table of constants. The
// word unknown has other meanings, too.
func TestCodesAreConstants(t *testing.T) {
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		own, _ := filepath.Rel(root, path)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata"):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		case own == filepath.Join("platform", "diagnose", "codes.go"):
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				s, _ := strconv.Unquote(literal.Value)
				if Code(s) != Unknown && slices.Contains(stable, Code(s)) {
					t.Errorf("%s: %q is a string, want the constant of diagnose", set.Position(literal.Pos()), s)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
