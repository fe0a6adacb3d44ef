package platform

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

var errNoStatus = errors.New("lacks ids or capabilities")

// readProcess reads what this process may do.
func (h host) readProcess() (Process, error) {
	const name = "/proc/self/status"
	b, err := h.read(name)
	if err != nil {
		return Process{}, err
	}
	p, err := parseStatus(b)
	if err != nil {
		return Process{}, named(name, err)
	}
	p.UserNamespace = known(h.readUserNamespace())
	return p, nil
}

// parseStatus reads /proc/PID/status (proc_pid_status(5)).
func parseStatus(b []byte) (Process, error) {
	p := Process{Groups: []int64{}, Seccomp: "unknown"}
	found := 0
	for l := range lines(b) {
		key, value, _ := l.cut(":")
		switch key {
		case "Uid":
			found += effectiveID(value, &p.UID)
		case "Gid":
			found += effectiveID(value, &p.GID)
		case "Groups":
			p.Groups = parseGroups(value)
		case "CapEff":
			found += parseCapabilities(value, &p.Effective)
		case "CapBnd":
			found += parseCapabilities(value, &p.Bounding)
		case "NoNewPrivs":
			p.NoNewPrivileges = value == "1"
		case "Seccomp":
			p.Seccomp = seccompName(value)
		}
	}
	if found != 4 {
		return Process{}, errNoStatus
	}
	return p, nil
}

// effectiveID takes the second of real, effective, saved and file system id. It returns how many ids it found.
func effectiveID(s string, id *int64) int {
	f := strings.Fields(s)
	if len(f) != 4 {
		return 0
	}
	n, err := strconv.ParseUint(f[1], 10, 32)
	if err != nil {
		return 0
	}
	*id = int64(n)
	return 1
}

func parseGroups(s string) []int64 {
	list := []int64{}
	for f := range strings.FieldsSeq(s) {
		if n, err := strconv.ParseUint(f, 10, 32); err == nil {
			list = append(list, int64(n))
		}
	}
	return list
}

// parseCapabilities reads a set in hexadecimal. It returns how many sets it found.
func parseCapabilities(s string, c *Capabilities) int {
	set, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		return 0
	}
	*c = Capabilities{NetRaw: set&(1<<unix.CAP_NET_RAW) != 0, NetAdmin: set&(1<<unix.CAP_NET_ADMIN) != 0}
	return 1
}

func seccompName(s string) string {
	switch s {
	case "0":
		return "disabled"
	case "1":
		return "strict"
	case "2":
		return "filter"
	}
	return "unknown"
}

// readUserNamespace says whether ids here differ from those of the host: the first user namespace maps all of them
// to themselves (user_namespaces(7)).
func (h host) readUserNamespace() (bool, error) {
	n, err := h.numbers("/proc/self/uid_map", 3)
	if err != nil {
		return h.severalMaps(err)
	}
	const all = 1<<32 - 1
	return n[0] != 0 || n[1] != 0 || n[2] != all, nil
}

// severalMaps says that a map of more than one line is that of a user namespace.
func (h host) severalMaps(otherwise error) (bool, error) {
	b, err := h.read("/proc/self/uid_map")
	if err != nil {
		return false, err
	}
	count := 0
	for l := range lines(b) {
		if _, err := parseNumbers([]byte(l), 3); err != nil {
			return false, otherwise
		}
		count++
	}
	if count < 2 {
		return false, otherwise
	}
	return true, nil
}
