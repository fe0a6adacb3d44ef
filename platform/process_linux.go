package platform

import (
	"errors"
	"math"
	"slices"
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
	if p.UserNamespace.Value {
		p.Unmapped, p.OuterNetwork = h.unmapped(p.GID), outerNetwork()
	}
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

// idMap is a line of uid_map or gid_map: count ids that begin at first in this namespace are those that begin at outside.
type idMap struct{ first, outside, count int64 }

// readUserNamespace says whether ids here differ from those of the host: only the first user namespace maps all of them
// to themselves (user_namespaces(7)).
func (h host) readUserNamespace() (bool, error) {
	maps, err := h.readMaps("/proc/self/uid_map")
	if err != nil {
		return false, err
	}
	return !slices.Equal(maps, []idMap{{0, 0, math.MaxUint32}}), nil
}

// unmapped says that a group has no number in this user namespace.
func (h host) unmapped(group int64) bool {
	maps, err := h.readMaps("/proc/self/gid_map")
	return err == nil && !slices.ContainsFunc(maps, func(m idMap) bool { return m.first <= group && group-m.first < m.count })
}

func (h host) readMaps(name string) (list []idMap, err error) {
	b, err := h.read(name)
	if err != nil {
		return nil, err
	}
	for l := range lines(b) {
		n, err := parseNumbers([]byte(l), 3)
		if err != nil {
			return nil, named(name, err)
		}
		list = append(list, idMap{n[0], n[1], n[2]})
	}
	return list, nil
}

// outerNetwork says whether the network namespace belongs to a user namespace around this one: then the kernel refuses to
// show that one (ioctl_ns(2)).
func outerNetwork() bool {
	n, err := unix.Open("/proc/self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(n)
	owner, err := unix.IoctlRetInt(n, unix.NS_GET_USERNS)
	if err == nil {
		unix.Close(owner)
	}
	return err == unix.EPERM
}
