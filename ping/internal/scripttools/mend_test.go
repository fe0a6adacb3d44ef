package scripttools

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// containerSetting is a sysctl in the words of a container runtime.
var containerSetting = regexp.MustCompile(`(net[.\w]+)(?:=|, value: )("[^"]*"|\d+)`)

// mend is "mend CODE [OPTION …]": the fix of this finding is done as it is written, and all is well then.
func mend(args []string) int {
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "usage: mend CODE [OPTION ...]")
		return badUsage
	}
	fix, err := fixOf(args[0], args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "mend:", err)
		return 1
	}
	if m := containerSetting.FindStringSubmatch(fix); m != nil {
		fix = "sysctl -qw " + m[1] + "=" + m[2] // the tests may run in a container, and this is a namespace in it
	}
	// The kernel takes a new IPv6 address for its own a little after the call that adds it.
	fix += "\nfor i in $(seq 50); do ip -6 address show tentative | grep -q . || break; sleep 0.1; done; sleep 0.2"
	if status := follow([]string{"inns", "sh", "-ec", fix}); status != 0 {
		return status
	}
	names := allProbers
	if slices.Contains(args, "--proto") {
		names = []string{"root", "nobody"}
	}
	return verdict{"healthy", 0}.of(names, nil, args[1:])
}

// fixOf is the fix of the finding that lping has now. That there is a fault is no failure.
func fixOf(code string, options []string) (string, error) {
	out, err := exec.Command("inns", slices.Concat([]string{"lping", "-j"}, options)...).Output()
	d := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var e struct{ Type, Code, Fix string }
		if end := d.Decode(&e); end != nil {
			return "", fmt.Errorf("no finding %s (%w, %v): %s", code, end, err, out)
		}
		if e.Type == "finding" && e.Code == code {
			return e.Fix, nil
		}
	}
}
