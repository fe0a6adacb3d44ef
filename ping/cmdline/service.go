package cmdline

import (
	"net/netip"
	"slices"
	"strings"

	"lping/ping"
)

// serviceHint is a service as it may be written.
const serviceHint = "127.0.0.1:8080, udp://127.0.0.1:53 or http://127.0.0.1:8080/healthz"

// portOfHTTP is that of a URL without one.
const portOfHTTP = "80"

// urlSchemes are those of a target. TCP is a connection, UDP a datagram, HTTP a GET.
var urlSchemes = words[ping.Proto]{{"tcp", ping.ProtoTCP}, {"udp", ping.ProtoUDP}, {"http", ping.ProtoHTTP}}

// maxTargets is how many targets one run checks, side by side.
const maxTargets = 16

// operand is a target as it was written, taken apart. What was not written is empty.
type operand struct {
	word, scheme string
	// host is an address or a name, without brackets.
	host, port string
	// authority is host and port of a URL as they were written, path what follows them, with its query.
	authority, path string
}

// readTargets takes the words of the command line apart that are no options, or else those of LPING_ADDRESS.
func (in *Input) readTargets(words []string) error {
	if len(words) > maxTargets {
		return &Error{decimal(int64(len(words))) + " targets are too many", "at most " + decimal(maxTargets) + " in one run"}
	}
	for _, word := range words {
		o := operand{word: word, host: word}
		if !in.isPing() {
			var err error
			if o, err = parseOperand(word, 1); err != nil {
				return err
			}
		}
		in.operands = append(in.operands, o)
	}
	return in.checkServices()
}

// checkServices reports an option that says what a target says, too.
func (in *Input) checkServices() error {
	for _, o := range in.operands {
		switch {
		case o.port != "" && in.Has("port"):
			return &Error{in.Label("port") + " and " + show(o.word) + " both name a port", "leave one of them out"}
		case o.scheme != "" && in.Has("proto") && !in.Has("proto", o.scheme):
			return &Error{in.Label("proto") + " and " + show(o.word) + " differ", "leave one of them out"}
		}
	}
	return nil
}

// namesService says that a target is a service, by its port.
func (in *Input) namesService() bool {
	return slices.ContainsFunc(in.operands, func(o operand) bool { return o.port != "" })
}

// namesScheme says that a target has a scheme: this one or, if it is empty, any.
func (in *Input) namesScheme(scheme string) bool {
	return slices.ContainsFunc(in.operands, func(o operand) bool {
		return o.scheme != "" && (scheme == "" || o.scheme == scheme)
	})
}

// parseOperand takes [SCHEME://]ADDRESS[:PORT][PATH] apart. An IPv6 address with a port stands in brackets. What has no scheme
// and does not look like an address and a port is all host. A port is at least leastPort. The error is an *Error.
func parseOperand(word string, leastPort int64) (operand, error) {
	o := operand{word: word, host: word}
	scheme, rest, isURL := strings.Cut(word, "://")
	if !isURL {
		scheme, rest = "", word
		if isAddress(word) || !strings.Contains(word, "]:") && strings.Count(word, ":") != 1 {
			return o, nil
		}
	}
	o.scheme = strings.ToLower(scheme)
	place, path := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		place, path = rest[:i], rest[i:]
	}
	o.host = ""
	if i := strings.LastIndexByte(place, ':'); i > strings.LastIndexByte(place, ']') {
		o.host, o.port = place[:i], place[i+1:]
	}
	switch o.scheme {
	case "http":
		return parseHTTP(o, place, path)
	case "https":
		return o, &Error{quote("https://") + " is beyond lping, which speaks no TLS", asTCP(place, o.port, "443")}
	}
	switch {
	case isURL && o.scheme != "tcp" && o.scheme != "udp":
		return o, &Error{quote(o.scheme+"://") + " is unknown: tcp, udp and http are known", asTCP(place, o.port, portOfHTTP)}
	case path != "":
		hint := show(strings.TrimSuffix(word, path))
		if len(path) > 1 && !isURL {
			hint = show("http://" + word)
		}
		return o, &Error{quote(path) + " is too much: a service is an address and a port", hint}
	case isAddress(place) && strings.Contains(place, ":"):
		return o, &Error{quote(word) + " lacks brackets around its IPv6 address, or the port", o.scheme + "://[::1]:8080"}
	case o.host == "" || o.port == "":
		return o, &Error{quote(word) + " is not an address and a port", serviceHint}
	}
	if _, err := integer[uint16](leastPort, 65535)(o.port); err != nil {
		return o, Wrap("the port of "+show(word), err)
	}
	o.host = withoutBrackets(o.host)
	return o, nil
}

// parseHTTP takes the rest of a URL of HTTP apart (RFC 9110, section 4.2): the port may be missing, and so may the path.
func parseHTTP(o operand, place, path string) (operand, error) {
	o.authority, o.path = withoutZone(place), path
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	switch {
	case strings.ContainsFunc(o.word, odd):
		return o, &Error{quote(o.word) + " holds a character that no URL has", "write it as %20 or the like"}
	case strings.Contains(place, "@"):
		return o, &Error{show(o.word) + " holds a user, whom lping does not log in", show("http://" + place[strings.LastIndexByte(place, '@')+1:] + path)}
	case strings.Contains(path, "#"):
		return o, &Error{show(o.word) + " holds a fragment, which is never sent", show(o.word[:strings.IndexByte(o.word, '#')])}
	case isAddress(place) && strings.Contains(place, ":"):
		return o, &Error{quote(o.word) + " lacks brackets around its IPv6 address", "http://[::1]:8080" + path}
	}
	if o.port == "" {
		o.host, o.port = strings.TrimSuffix(place, ":"), portOfHTTP
	}
	if o.host == "" {
		return o, &Error{quote(o.word) + " names no address", "http://127.0.0.1:8080" + path}
	}
	if _, err := integer[uint16](1, 65535)(o.port); err != nil {
		return o, Wrap("the port of "+show(o.word), err)
	}
	if !strings.HasPrefix(o.path, "/") {
		o.path = "/" + o.path
	}
	o.host = withoutBrackets(o.host)
	return o, nil
}

// withoutZone is an authority without the zone of its address, which means nothing to the server (RFC 6874, section 4).
func withoutZone(authority string) string {
	zone, end := strings.IndexByte(authority, '%'), strings.IndexByte(authority, ']')
	if zone < 0 || end < zone {
		return authority
	}
	return authority[:zone] + authority[end:]
}

// withoutBrackets is the IPv6 address that stands in brackets, or else s as it is.
func withoutBrackets(s string) string {
	bare := strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	if strings.Contains(bare, ":") && len(bare) == len(s)-2 {
		return bare
	}
	return s
}

// asTCP is how to ask whether the service of a URL takes connections.
func asTCP(place, port, usual string) string {
	if port == "" {
		place += ":" + usual
	}
	return show("tcp://" + place)
}

func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}
