package ping

import (
	"net"

	"golang.org/x/sys/unix"
)

// shrinkBacklog lets few connections wait for a listener.
func shrinkBacklog(listener *net.TCPListener) error {
	raw, err := listener.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.Listen(int(fd), 1) }); err != nil {
		return err
	}
	return failed
}
