package platform

import (
	"cmp"
	"math"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// readProcess asks the kernel itself what this process may do: a sandbox may have no /proc. Only the mode of seccomp is read
// there, since a filter may kill who asks for it.
func (h host) readProcess() (Process, error) {
	p := Process{UID: int64(unix.Geteuid()), GID: int64(unix.Getegid()), Groups: []int64{}, Seccomp: "unknown"}
	groups, err := unix.Getgroups()
	if err != nil {
		return Process{}, os.NewSyscallError("getgroups", err)
	}
	for _, g := range groups {
		p.Groups = append(p.Groups, int64(g))
	}
	if p.Effective, p.Bounding, err = readCapabilities(); err != nil {
		return Process{}, err
	}
	on, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err != nil {
		return Process{}, os.NewSyscallError("prctl", err)
	}
	p.NoNewPrivileges = on != 0
	if b, err := h.read("/proc/self/status"); err == nil {
		p.Seccomp = parseSeccomp(b)
	}
	p.UserNamespace = known(h.readUserNamespace())
	if p.UserNamespace.Value {
		p.Unmapped, p.OuterNetwork = h.unmapped(p.GID), outerNetwork()
	}
	return p, nil
}

// readCapabilities reads those that this thread has, as all threads of a Go program do, and those that it could get.
func readCapabilities() (effective, bounding Capabilities, err error) {
	header, sets := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]unix.CapUserData{}
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return effective, bounding, os.NewSyscallError("capget", err)
	}
	effective = Capabilities{
		NetRaw: sets[0].Effective&(1<<unix.CAP_NET_RAW) != 0, NetAdmin: sets[0].Effective&(1<<unix.CAP_NET_ADMIN) != 0,
	}
	raw, err1 := unix.PrctlRetInt(unix.PR_CAPBSET_READ, unix.CAP_NET_RAW, 0, 0, 0)
	admin, err2 := unix.PrctlRetInt(unix.PR_CAPBSET_READ, unix.CAP_NET_ADMIN, 0, 0, 0)
	if err := cmp.Or(err1, err2); err != nil {
		return effective, bounding, os.NewSyscallError("prctl", err)
	}
	return effective, Capabilities{NetRaw: raw != 0, NetAdmin: admin != 0}, nil
}

// parseSeccomp reads the mode of seccomp in /proc/PID/status (proc_pid_status(5)).
func parseSeccomp(b []byte) string {
	for l := range lines(b) {
		if key, value, _ := l.cut(":"); key == "Seccomp" {
			return cmp.Or(map[string]string{"0": "disabled", "1": "strict", "2": "filter"}[value], "unknown")
		}
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
