//go:build !portable

package ping

// native says that the conns of UDP, TCP and ICMP are Linux's own.
const native = true
