//go:build !unix

package report

import (
	"strconv"
	"syscall"
)

// errnoName is the symbol of an error number, such as EPERM.
func errnoName(e syscall.Errno) string { return "errno " + strconv.Itoa(int(e)) }
