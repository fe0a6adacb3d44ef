//go:build !linux && !windows

package ping

import (
	"errors"
	"fmt"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// setSystemOptions sets what x/net has no call for: error reports, path-MTU mode, interface.
func setSystemOptions(fd int, c Config) error { return setPath(fd, c) }

// setPath sets the path-MTU mode and the interface.
func setPath(_ int, c Config) error {
	switch {
	case c.PathMTU != PathMTUDefault:
		return fmt.Errorf("path-MTU mode: %w on this system", errors.ErrUnsupported)
	case c.Interface != "":
		return fmt.Errorf("choosing an interface: %w on this system", errors.ErrUnsupported)
	}
	return nil
}

// filterV4 does nothing: these systems have no filter for ICMPv4, and the engine passes foreign replies over.
func filterV4(*ipv4.PacketConn, uint16) error { return nil }

// filterV6 lets only echo replies into a raw socket (RFC 3542, section 3.2).
func filterV6(p *ipv6.PacketConn, _ uint16) error {
	var types ipv6.ICMPFilter
	types.SetAll(true)
	types.Accept(ipv6.ICMPTypeEchoReply)
	return p.SetICMPFilter(&types)
}
