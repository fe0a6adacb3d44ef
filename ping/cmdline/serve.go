package cmdline

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"lping/ping/serve"
	"lping/platform"
)

// protocols are what an echo is over.
var protocols = []string{"TCP", "UDP"}

// ServeConfig is what serve is to do. The error is about an option that it does not take, or about the address.
func (in *Input) ServeConfig(f Flags) (c serve.Config, err error) {
	const usage = "lping serve [-4] [-6] [-q] [ADDRESS:PORT]"
	if err := in.takesOnly([]string{"ipv4", "ipv6", "quiet"}, usage); err != nil {
		return c, err
	}
	if len(in.operands) > 1 {
		return c, &Error{"more than one address", usage}
	}
	o := operand{host: "localhost"}
	if len(in.operands) == 1 {
		if o, err = parseEcho(in.operands[0].word); err != nil {
			return c, err
		}
	}
	v4, v6 := f.Bool("ipv4"), f.Bool("ipv6")
	port, _ := strconv.ParseUint(o.port, 10, 16) // in its range, or empty
	c = serve.Config{Port: uint16(port), Protocols: protocols, Some: isLocalhost(o.host) && !v4 && !v6, Quiet: f.Bool("quiet")}
	if o.scheme != "" {
		c.Protocols = []string{strings.ToUpper(o.scheme)}
	}
	targets, err := findTargets(o.host, v4 || c.Some, v6 || c.Some)
	for _, t := range targets {
		c.Addresses = append(c.Addresses, t.Address)
	}
	return c, err
}

// parseEcho reads where an echo is to be: a service, an address, or a port. Port 0 is a free one.
func parseEcho(word string) (o operand, err error) {
	if number := strings.TrimPrefix(word, ":"); isDigits(number) {
		word = "localhost:" + number
	}
	scheme, _, isURL := strings.Cut(word, "://")
	switch {
	case word == "":
		return o, notAnAddress("")
	case isURL && !slices.Contains(protocols, strings.ToUpper(scheme)):
		return o, &Error{quote(scheme+"://") + " is unknown: the echo is over TCP and UDP", "lping serve 127.0.0.1:8080"}
	}
	return parseOperand(word, 0)
}

// SocketHint is what to do if serve cannot have a socket.
func SocketHint(err error) string {
	e, _ := errors.AsType[syscall.Errno](err)
	switch platform.ErrnoName(e) {
	case "EADDRINUSE":
		return "ss -ltunp shows who has the port; lping serve without a port takes a free one"
	case "EACCES":
		return "a port from 1024 on needs no privilege"
	case "EADDRNOTAVAIL", "EAFNOSUPPORT":
		return "lping doctor shows what is wrong with that address"
	}
	return "lping serve needs some sockets: see ulimit -n"
}
