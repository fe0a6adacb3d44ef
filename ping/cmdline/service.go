package cmdline

import (
	"net/netip"
	"slices"
	"strings"
)

// serviceHint is a service as it may be written.
const serviceHint = "tcp://127.0.0.1:8080 or udp://127.0.0.1:53"

// readService takes the target apart if it is a service, such as localhost:8080 or udp://[::1]:53. The address stays the
// operand, and the rest becomes the options that mean the same.
func (in *Input) readService() error {
	if in.Doctor || in.isPing() || len(in.operands) != 1 {
		return nil
	}
	word := in.operands[0]
	scheme, address, port, err := parseService(word)
	switch {
	case err != nil || port == "":
		return err
	case in.Has("port"):
		return &Error{in.Label("port") + " and " + show(word) + " both name a port", "leave one of them out"}
	case scheme != "" && in.Has("proto") && !in.Has("proto", scheme):
		return &Error{in.Label("proto") + " and " + show(word) + " differ", "leave one of them out"}
	}
	in.operands[0] = address
	in.give("port", port, word)
	if scheme != "" && !in.Has("proto") {
		in.give("proto", scheme, word)
	}
	return nil
}

// give sets an option by what else was written for it.
func (in *Input) give(long, value, word string) {
	i := slices.IndexFunc(options, func(o *Option) bool { return o.Long == long })
	in.Given = append(in.Given, Given{Option: options[i], Value: value, Variable: show(word)})
}

// parseService takes [SCHEME://]ADDRESS:PORT apart. An IPv6 address stands in brackets, which the result is without. All is
// empty if the word is no service, and so may be an address. The error is an *Error.
func parseService(word string) (scheme, address, port string, err error) {
	scheme, rest, isURL := strings.Cut(word, "://")
	if !isURL {
		scheme, rest = "", word
		if isAddress(word) || !strings.Contains(word, "]:") && strings.Count(word, ":") != 1 {
			return "", "", "", nil
		}
	}
	scheme = strings.ToLower(scheme)
	place, path := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		place, path = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(place, ':'); i > strings.LastIndexByte(place, ']') {
		address, port = place[:i], place[i+1:]
	}
	switch {
	case isURL && scheme != "tcp" && scheme != "udp":
		return "", "", "", &Error{quote(scheme+"://") + " is unknown: lping finds out whether a service takes connections", asTCP(scheme, place, port)}
	case path != "":
		return "", "", "", &Error{quote(path) + " is too much: a service is an address and a port", show(strings.TrimSuffix(word, path))}
	case isAddress(place) && strings.Contains(place, ":"):
		return "", "", "", &Error{quote(word) + " lacks brackets around its IPv6 address, or the port", scheme + "://[::1]:8080"}
	case address == "" || port == "":
		return "", "", "", &Error{quote(word) + " is not an address and a port", serviceHint}
	}
	if _, err := integer[uint16](1, 65535)(port); err != nil {
		return "", "", "", Wrap("the port of "+show(word), err)
	}
	if bare := strings.TrimSuffix(strings.TrimPrefix(address, "["), "]"); strings.Contains(bare, ":") && len(bare) == len(address)-2 {
		address = bare
	}
	return scheme, address, port, nil
}

// asTCP is how to ask about the service of a URL.
func asTCP(scheme, place, port string) string {
	if port == "" {
		place += ":" + map[bool]string{true: "443", false: "80"}[scheme == "https"]
	}
	return show("tcp://" + place)
}

func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}
