//go:build !windows && (!linux || portable)

package transport

import "net"

// wantUntaken asks to be told when nobody takes a datagram: these systems always tell.
func wantUntaken(*net.UDPConn) error { return nil }
