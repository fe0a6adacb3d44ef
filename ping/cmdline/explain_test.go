package cmdline

import (
	"fmt"
	"testing"
)

func TestCodes(t *testing.T) {
	all := []string{"lo_down", "fw_output", "nat_redirects", "nat_rewrites"}
	for _, tt := range []struct{ args, want string }{
		{"", "[] <nil>"},
		{"lo_down", "[lo_down] <nil>"},
		{"fw_output lo_down", "[fw_output lo_down] <nil>"},
		{"lo_dwon", "[] explain: lo_dwon is no code; did you mean lo_down?"},
		{"lo_down fw-output", "[] explain: fw-output is no code; did you mean fw_output?"},
		{"fw", "[] explain: fw is no code; did you mean fw_output?"},
		{"_", "[] explain: _ is no code; lping explain lists the codes"},
		{"127.0.0.1", "[] explain: 127.0.0.1 is no code; lping explain lists the codes"},
		{"-q lo_down", "[] explain takes no --quiet; lping explain [CODE ...]"},
	} {
		in := readLine("lping explain "+tt.args, "LPING_QUIET=1")
		codes, err := in.Codes(all)
		got := fmt.Sprint(codes, " ", err)
		if err != nil {
			got += "; " + HintOf(err)
		}
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.args, got, tt.want)
		}
	}
}
