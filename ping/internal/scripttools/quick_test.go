package scripttools

import (
	"fmt"
	"os"
	"time"
)

// quickTries is how often a busy machine may be too slow.
const quickTries = 10

// quick is "quick DURATION COMMAND …": the command is run until one run takes no longer than that. The result is that run's
// exit status.
func quick(args []string) int {
	if len(args) < 2 {
		args = []string{"", ""}
	}
	limit, err := time.ParseDuration(args[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, "usage: quick DURATION COMMAND [ARG ...]:", err)
		return badUsage
	}
	var times []time.Duration
	for range quickTries {
		start := time.Now()
		status := follow(args[1:])
		if times = append(times, time.Since(start)); times[len(times)-1] <= limit {
			return status
		}
	}
	fmt.Fprintf(os.Stderr, "quick: want %v once: %v\n", limit, times)
	return badUsage
}
