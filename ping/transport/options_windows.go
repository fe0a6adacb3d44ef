package transport

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// setClientOptions sets what c asks for on the socket that sends the probes of UDP and TCP.
func setClientOptions(fd int, c Config) error {
	level, ttl := windows.IPPROTO_IP, windows.IP_TTL
	if c.Address.Is6() {
		level, ttl = windows.IPPROTO_IPV6, windows.IPV6_UNICAST_HOPS
	}
	switch {
	case c.PathMTU != PathMTUDefault:
		return fmt.Errorf("path-MTU mode: %w on this system", errors.ErrUnsupported)
	case c.Interface != "":
		return fmt.Errorf("choosing an interface: %w on this system", errors.ErrUnsupported)
	case c.TOS != 0 && c.Address.Is6():
		return fmt.Errorf("traffic class: %w on this system", errors.ErrUnsupported)
	}
	if c.TTL != 0 {
		if err := windows.SetsockoptInt(windows.Handle(fd), level, ttl, c.TTL); err != nil {
			return os.NewSyscallError("setsockopt TTL", err)
		}
	}
	if c.TOS != 0 {
		if err := windows.SetsockoptInt(windows.Handle(fd), level, windows.IP_TOS, c.TOS); err != nil {
			return os.NewSyscallError("setsockopt TOS", err)
		}
	}
	return nil
}

// wantUntaken asks to be told when nobody takes a datagram: package net does not want to hear of it.
func wantUntaken(client *net.UDPConn) error {
	raw, err := client.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		on, n := uint32(1), uint32(0)
		failed = windows.WSAIoctl(windows.Handle(fd), windows.SIO_UDP_CONNRESET, (*byte)(unsafe.Pointer(&on)),
			uint32(unsafe.Sizeof(on)), nil, 0, &n, nil, 0)
	})
	if err != nil {
		return err
	}
	return os.NewSyscallError("WSAIoctl", failed)
}

// plainErrno is e as package syscall names it. A datagram that nobody took comes back as a reset connection.
func plainErrno(e syscall.Errno) syscall.Errno {
	switch e {
	case syscall.Errno(windows.WSAECONNREFUSED):
		return syscall.ECONNREFUSED
	case syscall.Errno(windows.WSAECONNRESET):
		return syscall.ECONNRESET
	case syscall.Errno(windows.WSAETIMEDOUT):
		return syscall.ETIMEDOUT
	case syscall.Errno(windows.WSAEADDRINUSE):
		return syscall.EADDRINUSE
	case syscall.Errno(windows.WSAENETDOWN):
		return syscall.ENETDOWN
	}
	return errnoOf(uint32(e), false)
}
