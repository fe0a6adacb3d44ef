package platform

import (
	"strconv"
	"syscall"
)

// ErrnoName is the symbol of an error number, such as EPERM; empty for 0. Those of Windows and of Winsock, and the ones
// that Go made up for this system, get the names that they have elsewhere.
func ErrnoName(e syscall.Errno) string {
	switch e {
	case 0:
		return ""
	case syscall.EPERM:
		return "EPERM"
	case syscall.EIO:
		return "EIO"
	case syscall.EACCES, 5, 10013: // ERROR_ACCESS_DENIED, WSAEACCES
		return "EACCES"
	case syscall.EINVAL, 10022:
		return "EINVAL"
	case syscall.EMSGSIZE, 10040:
		return "EMSGSIZE"
	case syscall.EPROTONOSUPPORT, 10043:
		return "EPROTONOSUPPORT"
	case syscall.EAFNOSUPPORT, 10047:
		return "EAFNOSUPPORT"
	case syscall.EADDRINUSE, 10048:
		return "EADDRINUSE"
	case syscall.EADDRNOTAVAIL, 10049:
		return "EADDRNOTAVAIL"
	case syscall.ENETDOWN, 10050:
		return "ENETDOWN"
	case syscall.ENETUNREACH, 10051:
		return "ENETUNREACH"
	case syscall.ENOBUFS, 10055:
		return "ENOBUFS"
	case syscall.ECONNREFUSED, 10061:
		return "ECONNREFUSED"
	case syscall.EHOSTUNREACH, 10065:
		return "EHOSTUNREACH"
	}
	return "errno " + strconv.Itoa(int(e))
}
