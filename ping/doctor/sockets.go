package doctor

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"lping/platform"
)

// socketSection shows which sockets could be opened, beside what the kernel judges by.
func socketSection(f platform.Facts, trials []SocketTrial) section {
	s := section{title: "Sockets", about: "what this process may open, each kind tried"}
	if len(trials) == 0 {
		s.unknown("permissions", "no socket was tried")
	} else {
		s.table(socketCells(trials))
	}
	tell(&s, pingGroups, f.PingGroups, func(r platform.Range) {
		s.say("ICMP datagram is for the groups in ping_group_range: %s", rangeText(r))
	})
	tell(&s, "our groups and capabilities", f.Process, func(p platform.Process) {
		s.say("our groups: %s", groupList(append([]int64{p.GID}, p.Groups...)))
		s.say("ICMP raw is for those with CAP_NET_RAW: %s", capability(p.Effective.NetRaw, p.Bounding.NetRaw))
	})
	return s
}

// socketCells are a row for each kind and outcome: mostly one kind has the same outcome in both families.
func socketCells(trials []SocketTrial) [][]string {
	var cells [][]string
	for _, t := range trials {
		row := []string{t.Kind, "IPv" + strconv.Itoa(t.Family), outcome(t.Err)}
		at := slices.IndexFunc(cells, func(c []string) bool { return c[0] == row[0] && c[2] == row[2] })
		if at < 0 {
			cells = append(cells, row)
		} else {
			cells[at][1] += ", " + row[1]
		}
	}
	return cells
}

// outcome is what came of opening a socket, in words.
func outcome(err error) string {
	if err == nil {
		return "permitted"
	}
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return "failed: " + err.Error()
	}
	name := platform.ErrnoName(errno)
	text := name + " (" + strings.ToLower(errno.Error()) + ")"
	if name == "EACCES" || name == "EPERM" {
		return "not permitted: " + text
	}
	return "failed: " + text
}
