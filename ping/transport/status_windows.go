package transport

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// IP_STATUS (ipexport.h). The numbers of IPv6 have other names: 11002 is "no route", 11003 "address unreachable",
// 11004 "prohibited", 11013 "hop limit exceeded", 11014 "reassembly time exceeded", 11015 "parameter problem".
const (
	ipSuccess              = 0
	ipBufTooSmall          = 11001
	ipDestNetUnreachable   = 11002
	ipDestHostUnreachable  = 11003
	ipDestProtUnreachable  = 11004
	ipDestPortUnreachable  = 11005
	ipNoResources          = 11006
	ipBadOption            = 11007
	ipPacketTooBig         = 11009
	ipReqTimedOut          = 11010
	ipBadReq               = 11011
	ipBadRoute             = 11012
	ipTTLExpiredTransit    = 11013
	ipTTLExpiredReassembly = 11014
	ipParamProblem         = 11015
	ipSourceQuench         = 11016
	ipBadDestination       = 11018
	ipDestUnreachable      = 11040
	ipTimeExceeded         = 11041
	ipBadHeader            = 11042
	ipUnrecognizedNext     = 11043
	ipDestScopeMismatch    = 11045
	ipGeneralFailure       = 11050
)

// faultOf is what a status other than success and a timeout means. Only if a message came back was it an ICMP
// error; the same numbers also stand for what this host's own stack says.
func faultOf(a answer, v6 bool) Fault {
	typ, code, ok := icmpErrorV4(a.status)
	if v6 {
		typ, code, ok = icmpErrorV6(a.status)
	}
	f := Fault{Errno: errnoOf(a.status, v6)}
	if a.answered && ok {
		f.ICMP, f.Type, f.Code = true, typ, code
	}
	return f
}

// icmpErrorV4 is the ICMP error (RFC 792) that a status stands for.
func icmpErrorV4(status uint32) (typ, code uint8, ok bool) {
	switch status {
	case ipDestNetUnreachable, ipDestHostUnreachable, ipDestProtUnreachable, ipDestPortUnreachable:
		return 3, uint8(status - ipDestNetUnreachable), true
	case ipPacketTooBig:
		return 3, 4, true
	case ipBadRoute:
		return 3, 5, true
	case ipSourceQuench:
		return 4, 0, true
	case ipTTLExpiredTransit, ipTTLExpiredReassembly:
		return 11, uint8(status - ipTTLExpiredTransit), true
	case ipParamProblem:
		return 12, 0, true
	}
	return 0, 0, false
}

// icmpErrorV6 is the ICMPv6 error (RFC 4443) that a status stands for.
func icmpErrorV6(status uint32) (typ, code uint8, ok bool) {
	switch status {
	case ipDestNetUnreachable, ipDestUnreachable:
		return 1, 0, true
	case ipDestProtUnreachable: // prohibited
		return 1, 1, true
	case ipDestScopeMismatch:
		return 1, 2, true
	case ipDestHostUnreachable:
		return 1, 3, true
	case ipDestPortUnreachable:
		return 1, 4, true
	case ipPacketTooBig:
		return 2, 0, true
	case ipTTLExpiredTransit, ipTimeExceeded:
		return 3, 0, true
	case ipTTLExpiredReassembly:
		return 3, 1, true
	case ipParamProblem, ipBadHeader:
		return 4, 0, true
	case ipUnrecognizedNext:
		return 4, 1, true
	}
	return 0, 0, false
}

// errnoOf is the error number that other systems give for a status, a socket error or a Windows error. The system has
// no text for an IP_STATUS (it takes the number for another error), so none is left as it is.
func errnoOf(status uint32, v6 bool) syscall.Errno {
	switch status {
	case ipDestNetUnreachable, ipBadRoute, ipDestUnreachable, ipDestScopeMismatch,
		uint32(windows.ERROR_NETWORK_UNREACHABLE), uint32(windows.WSAENETUNREACH):
		return syscall.ENETUNREACH
	case ipDestHostUnreachable, ipTTLExpiredTransit, ipTTLExpiredReassembly, ipTimeExceeded,
		uint32(windows.ERROR_HOST_UNREACHABLE), uint32(windows.WSAEHOSTUNREACH):
		return syscall.EHOSTUNREACH
	case ipDestProtUnreachable:
		if v6 {
			return syscall.EACCES
		}
		return syscall.ENOPROTOOPT
	case ipDestPortUnreachable:
		return syscall.ECONNREFUSED
	case ipPacketTooBig, ipBufTooSmall, uint32(windows.WSAEMSGSIZE):
		return syscall.EMSGSIZE
	case ipParamProblem, ipBadHeader, ipUnrecognizedNext:
		return syscall.EPROTO
	}
	return localErrno(status)
}

// localErrno is errnoOf for what does not come from the network.
func localErrno(status uint32) syscall.Errno {
	switch status {
	case ipNoResources, ipSourceQuench, uint32(windows.ERROR_NOT_ENOUGH_MEMORY), uint32(windows.WSAENOBUFS):
		return syscall.ENOBUFS
	case ipBadOption, ipBadReq, uint32(windows.ERROR_INVALID_PARAMETER), uint32(windows.WSAEINVAL):
		return syscall.EINVAL
	case ipBadDestination, uint32(windows.WSAEADDRNOTAVAIL):
		return syscall.EADDRNOTAVAIL
	case uint32(windows.ERROR_ACCESS_DENIED), uint32(windows.WSAEACCES):
		return syscall.EACCES
	case uint32(windows.WSAEAFNOSUPPORT):
		return syscall.EAFNOSUPPORT
	}
	if status >= ipBufTooSmall && status <= ipGeneralFailure {
		return syscall.EIO
	}
	return syscall.Errno(status)
}
