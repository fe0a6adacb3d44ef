// Package scripttools has programs that the scripts of ping/testdata call: peers that lping talks to, and commands that say
// what verdict a fault must have. They are no part of lping, so they stand in test files: the test of the scripts builds them
// with go test -c, and calls each by its name.
package scripttools

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// programs take the arguments, and return the exit status.
var programs = map[string]func([]string) int{
	"forge":     forge,
	"serve":     serve,
	"healthy":   verdict{"healthy", 0}.run,
	"informed":  verdict{"informed", 0}.run,
	"degraded":  verdict{"degraded", 0}.run,
	"unhealthy": verdict{"unhealthy", 1}.run,
	"steady":    steady,
	"mend":      mend,
	"quick":     quick,
}

// badUsage is a status that no other program has.
const badUsage = 99

func TestMain(m *testing.M) {
	if program := programs[filepath.Base(os.Args[0])]; program != nil {
		os.Exit(program(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// follow runs a command to its end. The result is its exit status.
func follow(args []string) int {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, args[0]+":", err)
		return badUsage
	}
	return cmd.ProcessState.ExitCode()
}
