//go:build !portable

package transport

import (
	"os/exec"
	"testing"
)

// TestPortable runs the tests of what other systems use on this one: go test -tags portable.
func TestPortable(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "test", "-tags", "portable", "-run", "Method|UDP|TCP|Refused|Socket|Wake", ".", "..").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
