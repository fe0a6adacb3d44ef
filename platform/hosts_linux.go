package platform

import (
	"net/netip"
	"slices"
	"strings"
)

// readLocalhost reads the lines of the hosts file that name localhost (hosts(5)).
func (h host) readLocalhost() ([]HostsLine, error) {
	b, err := h.read("/etc/hosts")
	if err != nil {
		return nil, err
	}
	return parseHosts(b), nil
}

func parseHosts(b []byte) []HostsLine {
	list := []HostsLine{}
	for l := range lines(b) {
		content, _, _ := strings.Cut(string(l), "#")
		f := strings.Fields(content)
		if len(f) < 2 || !slices.ContainsFunc(f[1:], isLocalhost) {
			continue
		}
		if a, err := netip.ParseAddr(f[0]); err == nil {
			list = append(list, HostsLine{Address: a, Names: f[1:]})
		}
	}
	return list
}

// isLocalhost compares without regard to case or the final dot (RFC 6761, section 6.3).
func isLocalhost(name string) bool {
	return strings.EqualFold(strings.TrimSuffix(name, "."), "localhost")
}
