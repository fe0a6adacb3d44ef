//go:build !linux

package ping

import (
	"net"
	"testing"
)

// nativeStream is the conn of this system's MethodTCP over a connection to somebody else.
func nativeStream(_ *testing.T, c Config, client *net.TCPConn, port uint16) conn {
	tc := newTCPConn(c, port)
	tc.keep(client)
	close(tc.ready)
	tc.workers.Go(func() { tc.carry(client) })
	return tc
}

// shrinkBacklog lets few connections wait for a listener, where the system can be told.
func shrinkBacklog(*net.TCPListener) error { return nil }
