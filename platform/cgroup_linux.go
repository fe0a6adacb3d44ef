package platform

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	errNoCPUGroup = errors.New("names no cgroup that controls the CPU")
	errNoStat     = errors.New("lacks nr_periods or nr_throttled")
	errNoQuota    = errors.New("is no CPU quota")
)

// maxDepth bounds how many cgroups up to the root are looked at.
const maxDepth = 32

// cpuGroup is the cgroup by which the CPU controller limits this process.
type cpuGroup struct {
	version int
	// mounts are the directories at which the hierarchy may be mounted, and path is that of the cgroup below them.
	mounts []string
	path   string
}

// readCPU finds the nearest cgroup that limits the processor time of this process (cgroups(7)). A container sees its
// own cgroup as the root, whatever path it is told.
func (h host) readCPU() (CPU, error) {
	const name = "/proc/self/cgroup"
	b, err := h.read(name)
	if err != nil {
		return CPU{}, err
	}
	groups := parseCgroups(b)
	if len(groups) == 0 {
		return CPU{}, named(name, errNoCPUGroup)
	}
	var none CPU
	for _, g := range groups {
		c, err := h.readGroup(g)
		if err != nil {
			return CPU{}, err
		}
		if c.Limit > 0 {
			return c, nil
		}
		none = c
	}
	return none, nil
}

// parseCgroups reads /proc/PID/cgroup: "1:cpu,cpuacct:/path" in version 1, "0::/path" in version 2.
func parseCgroups(b []byte) []cpuGroup {
	var list []cpuGroup
	for l := range lines(b) {
		f := strings.SplitN(string(l), ":", 3)
		if len(f) != 3 || !path.IsAbs(f[2]) {
			continue
		}
		controllers := strings.Split(f[1], ",")
		switch {
		case f[0] == "0" && f[1] == "":
			mounts := []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}
			list = append(list, cpuGroup{version: 2, mounts: mounts, path: path.Clean(f[2])})
		case slices.Contains(controllers, "cpu"):
			mounts := []string{"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/" + path.Base(f[1])}
			list = append(list, cpuGroup{version: 1, mounts: mounts, path: path.Clean(f[2])})
		}
	}
	return list
}

// readGroup walks up from a cgroup to the first one with a limit; without one the result has none.
func (h host) readGroup(g cpuGroup) (CPU, error) {
	at := g.path
	for range maxDepth {
		for _, mount := range g.mounts {
			dir := path.Join(mount, at)
			limit, err := h.readLimit(g.version, dir)
			switch {
			case errors.Is(err, fs.ErrNotExist):
			case err != nil:
				return CPU{}, err
			case limit > 0:
				return h.readThrottling(CPU{Version: g.version, Limit: limit}, dir)
			}
		}
		if at == "/" {
			break
		}
		at = path.Dir(at)
	}
	return CPU{Version: g.version}, nil
}

// readLimit reads the limit of one cgroup in processors; 0 is none. In version 2 quota and period are in one file.
func (h host) readLimit(version int, dir string) (float64, error) {
	names := []string{dir + "/cpu.max"}
	if version == 1 {
		names = []string{dir + "/cpu.cfs_quota_us", dir + "/cpu.cfs_period_us"}
	}
	text := ""
	for _, name := range names {
		b, err := h.read(name)
		if err != nil {
			return 0, err
		}
		text += string(b) + " "
	}
	limit, err := parseQuota(text)
	if err != nil {
		return 0, named(names[0], err)
	}
	return limit, nil
}

// readThrottling adds how often the limit of a cgroup was reached.
func (h host) readThrottling(c CPU, dir string) (CPU, error) {
	name := dir + "/cpu.stat"
	b, err := h.read(name)
	if err != nil {
		return CPU{}, err
	}
	if err := parseCPUStat(b, &c); err != nil {
		return CPU{}, named(name, err)
	}
	return c, nil
}

// parseQuota divides a quota by its period, both in microseconds. "max" and -1 are no limit, which is 0.
func parseQuota(s string) (float64, error) {
	f := strings.Fields(s)
	if len(f) != 2 {
		return 0, errNoQuota
	}
	period, err := strconv.ParseUint(f[1], 10, 63)
	if err != nil || period == 0 {
		return 0, errNoQuota
	}
	if f[0] == "max" || f[0] == "-1" {
		return 0, nil
	}
	quota, err := strconv.ParseUint(f[0], 10, 63)
	if err != nil || quota == 0 {
		return 0, errNoQuota
	}
	return float64(quota) / float64(period), nil
}

// parseCPUStat reads cpu.stat. The time is in nanoseconds in version 1 and in microseconds in version 2.
func parseCPUStat(b []byte, c *CPU) error {
	found := 0
	for l := range lines(b) {
		f := l.fields()
		if len(f) != 2 {
			continue
		}
		n, err := strconv.ParseUint(f[1], 10, 64)
		if err != nil {
			continue
		}
		switch f[0] {
		case "nr_periods":
			c.Periods, found = n, found+1
		case "nr_throttled":
			c.Throttled, found = n, found+1
		case "throttled_time":
			c.ThrottledTime = float64(n) / float64(time.Millisecond)
		case "throttled_usec":
			c.ThrottledTime = float64(n) / float64(time.Millisecond/time.Microsecond)
		}
	}
	if found < 2 {
		return errNoStat
	}
	return nil
}
