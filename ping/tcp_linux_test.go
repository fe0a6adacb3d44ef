package ping

import (
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// nativeStream is the conn of this system's MethodTCP over a connection to somebody else.
func nativeStream(t *testing.T, c Config, client *net.TCPConn, port uint16) conn {
	t.Helper()
	w, err := newWaiter()
	if err != nil {
		t.Fatal(err)
	}
	sc := &streamConn{waiter: w, stream: newStream(c), target: c.Address, listener: -1, far: -1, sock: echoSocket(c, port)}
	control(t, client, func(fd int) error {
		sc.fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		return os.NewSyscallError("fcntl", err)
	})
	client.Close()
	return sc
}

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

// control calls f with the descriptor of a connection.
func control(t *testing.T, c *net.TCPConn, f func(fd int) error) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
}
