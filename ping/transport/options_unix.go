//go:build !windows

package transport

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// setClientOptions sets what c asks for on the socket that sends the probes of UDP and TCP.
func setClientOptions(fd int, c Config) error {
	level, ttl, tos := unix.IPPROTO_IP, unix.IP_TTL, unix.IP_TOS
	if c.Address.Is6() {
		level, ttl, tos = unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, unix.IPV6_TCLASS
	}
	if c.TTL != 0 {
		if err := unix.SetsockoptInt(fd, level, ttl, c.TTL); err != nil {
			return os.NewSyscallError("setsockopt TTL", err)
		}
	}
	if c.TOS != 0 {
		if err := unix.SetsockoptInt(fd, level, tos, c.TOS); err != nil {
			return os.NewSyscallError("setsockopt TOS", err)
		}
	}
	return setPath(fd, c)
}

// plainErrno is e: the system's error numbers are those of package syscall.
func plainErrno(e syscall.Errno) syscall.Errno { return e }
