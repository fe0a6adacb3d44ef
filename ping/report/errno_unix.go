//go:build unix

package report

import (
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// errnoName is the symbol of an error number, such as EPERM.
func errnoName(e syscall.Errno) string {
	if name := unix.ErrnoName(e); name != "" {
		return name
	}
	return "errno " + strconv.Itoa(int(e))
}
