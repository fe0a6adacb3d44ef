//go:build !portable

package transport

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// reporter asks the kernel why a connection could not be made: which ICMP error came (ip(7), IP_RECVERR). Package net closes
// a socket that does not connect, so it has a descriptor of its own. The zero value has none.
type reporter struct{ fd int }

// prepare sets up a socket that is about to connect. Package net calls it again for each socket that it tries in vain, and
// closes that: it must not keep a port, nor may its second descriptor stay.
func (r *reporter) prepare(rc syscall.RawConn, v6 bool) {
	r.close()
	r.fd = 0
	_ = rc.Control(func(fd uintptr) {
		_ = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		letConnectChoose(int(fd))
		setReports(int(fd), v6)
		if dup, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3); err == nil {
			r.fd = dup
		}
	})
}

// explain is a fault with what the kernel reports about it, if there is anything.
func (r *reporter) explain(f Fault) Fault {
	if r.fd > 0 {
		if reported := socketFault(r.fd); reported.ICMP {
			return reported
		}
	}
	return f
}

func (r *reporter) close() {
	if r.fd > 0 {
		unix.Close(r.fd)
	}
}

// bindable is an error if no connection could be made with what c asks for. It takes no port to find that out.
func bindable(c Config) error {
	for _, a := range []netip.Addr{c.source(), c.Address} {
		fd, err := bindSocket(unix.SOCK_STREAM, netip.AddrPortFrom(a, 0), func(fd int) error {
			letConnectChoose(fd)
			return setClientOptions(fd, c)
		})
		if err != nil {
			return err
		}
		unix.Close(fd)
	}
	return nil
}

// letConnectChoose has bind leave the choice of the port to connect, which takes one that is free for its target (ip(7),
// IP_BIND_ADDRESS_NO_PORT). A connection can do without.
func letConnectChoose(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
}
