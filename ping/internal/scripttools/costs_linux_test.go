package scripttools

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// costsTries is how often a busy machine may make a run cost more: what is held against the budget is the least of each.
const costsTries = 50

// counted are the system calls that do not depend on how long something takes: the runtime's threads wait in the others.
const counted = "trace=!nanosleep,futex,sched_yield"

func init() { programs["costs"] = costs } // other systems count other things

// costs is "costs CALLS FAULTS SWITCHES COMMAND …": what the command must not exceed in system calls, as strace(1) counts them,
// in page faults and in voluntary context switches.
func costs(args []string) int {
	var budget, least [3]int
	for i := range budget {
		n, err := strconv.Atoi(strings.Join(args[:min(1, len(args))], ""))
		if err != nil || len(args) < 2 {
			fmt.Fprintln(os.Stderr, "usage: costs CALLS FAULTS SWITCHES COMMAND [ARG ...]:", err)
			return badUsage
		}
		budget[i], least[i], args = n, 1<<30, args[1:]
	}
	dir, err := os.MkdirTemp("", "costs")
	if err != nil {
		fmt.Fprintln(os.Stderr, "costs:", err)
		return badUsage
	}
	defer os.RemoveAll(dir)
	table := filepath.Join(dir, "table")
	for try := 0; try < costsTries && exceeds(least, budget); try++ {
		traced := exec.Command("strace", append([]string{"-f", "-c", "-e", counted, "-o", table}, args...)...)
		plain := exec.Command(args[0], args[1:]...)
		for _, cmd := range []*exec.Cmd{traced, plain} {
			if out, err := cmd.CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "costs: %v: %v\n%s", cmd, err, out)
				return badUsage
			}
		}
		usage := plain.ProcessState.SysUsage().(*syscall.Rusage)
		for i, n := range []int{calls(table), int(usage.Minflt + usage.Majflt), int(usage.Nvcsw)} {
			least[i] = min(least[i], n)
		}
	}
	fmt.Println("system calls, page faults, voluntary switches:", least)
	if exceeds(least, budget) {
		fmt.Fprintf(os.Stderr, "costs: %q: %v, want at most %v\n", args, least, budget)
		return badUsage
	}
	return 0
}

func exceeds(least, budget [3]int) bool {
	return least[0] > budget[0] || least[1] > budget[1] || least[2] > budget[2]
}

// calls is the total of a table that strace -c wrote; a table without one has too many.
func calls(table string) int {
	b, _ := os.ReadFile(table)
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 4 && f[len(f)-1] == "total" {
			if n, err := strconv.Atoi(f[3]); err == nil {
				return n
			}
		}
	}
	return 1 << 30
}
