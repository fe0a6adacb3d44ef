//go:build !linux

package ping

// listenUDP opens the conn of MethodUDP.
func listenUDP(c Config) (conn, error) { return openUDP(c) }

// listenTCP opens the conn of MethodTCP.
func listenTCP(c Config) (conn, error) { return openTCP(c) }

// listenConnect opens the conn of MethodConnect.
func listenConnect(c Config) (conn, error) { return openConnect(c) }
