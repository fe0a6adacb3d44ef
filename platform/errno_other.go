//go:build !unix

package platform

import (
	"strconv"
	"syscall"
)

// ErrnoName is the symbol of an error number, such as EPERM; empty for 0. Those of Winsock get the names that they
// have elsewhere.
func ErrnoName(e syscall.Errno) string {
	switch e {
	case 0:
		return ""
	case 5, 10013: // ERROR_ACCESS_DENIED, WSAEACCES
		return "EACCES"
	case 10022:
		return "EINVAL"
	case 10040:
		return "EMSGSIZE"
	case 10043:
		return "EPROTONOSUPPORT"
	case 10047:
		return "EAFNOSUPPORT"
	case 10049:
		return "EADDRNOTAVAIL"
	case 10050:
		return "ENETDOWN"
	case 10051:
		return "ENETUNREACH"
	case 10055:
		return "ENOBUFS"
	case 10061:
		return "ECONNREFUSED"
	case 10065:
		return "EHOSTUNREACH"
	}
	return "errno " + strconv.Itoa(int(e))
}
