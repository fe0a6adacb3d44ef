package cmdline

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"lping/ping/report"
	"lping/platform"
)

// readTargets finds out which addresses to check, and where the probes come from.
func (s *Settings) readTargets(r *reader) {
	if r.err != nil {
		return
	}
	v4, v6 := r.flags.Bool("ipv4"), r.flags.Bool("ipv6")
	if !v4 && !v6 {
		v4, v6 = r.in.program == "ping4", r.in.program == "ping6"
	}
	if len(r.in.operands) == 0 {
		s.addTargets(r, operand{}, v4, v6)
	}
	for _, o := range r.in.operands {
		if o.host == "" {
			r.err = cmp.Or(r.err, notAnAddress(""))
		}
		s.addTargets(r, o, v4, v6)
	}
	for _, x := range r.in.values("interface") {
		if r.err == nil {
			r.err = Wrap(r.in.Label("interface"), s.readOrigin(x))
		}
	}
}

// addTargets adds the targets that an operand stands for, but for those that are there already. Of a service at localhost
// both families are tried, and one is enough.
func (s *Settings) addTargets(r *reader, o operand, v4, v6 bool) {
	c := r.methodOf(o, s.common)
	choice := 0
	if c.Port != 0 && !v4 && !v6 && isLocalhost(o.host) {
		if v4, v6 = r.in.sourceFamilies(); v4 && v6 {
			choice = len(s.Targets) + 1
		}
	}
	if r.err != nil {
		return
	}
	var list []report.Target
	list, r.err = findTargets(o.host, v4, v6)
	for _, t := range list {
		t.Proto, t.Port, t.Echo, t.Path, t.Host = c.Proto, c.Port, c.Echo, c.Path, c.Host
		t.Choice, t.Optional = choice, choice != 0
		i := slices.IndexFunc(s.Targets, func(other report.Target) bool { return sameTarget(t, other) })
		if i < 0 {
			s.Targets = append(s.Targets, t)
			continue
		}
		if old := &s.Targets[i]; old.Choice != choice { // named for itself, and by a name that stands for two
			old.Choice, old.Required, old.Optional = max(old.Choice, choice), true, false
		}
	}
}

// sameTarget says that two targets are one, by whatever names they go.
func sameTarget(a, b report.Target) bool {
	return a.Address == b.Address && a.Proto == b.Proto && a.Port == b.Port && a.Path == b.Path
}

// sourceFamilies are those that the given sources leave; both if there are none.
func (in *Input) sourceFamilies() (v4, v6 bool) {
	v4, v6 = true, true
	for _, x := range in.values("interface") {
		if a, err := netip.ParseAddr(x); err == nil {
			v4, v6 = v4 && a.Unmap().Is4(), v6 && !a.Unmap().Is4()
		}
	}
	return v4 || !v6, v6
}

// readOrigin reads one -I: the source address, or the interface. Neither may lead out of this host.
func (s *Settings) readOrigin(x string) error {
	source, err := netip.ParseAddr(x)
	if err != nil {
		if ok, err := platform.IsLoopbackInterface(x); err != nil || !ok {
			return notLoopback(x, "is no loopback interface of this host", err)
		}
		s.common.Interface = x
		return nil
	}
	source = source.Unmap()
	for _, t := range s.Targets {
		if t.Address.Is4() != source.Is4() {
			return &Error{
				Message: fmt.Sprintf("%v is no source for %v", source, t.Address),
				Hint:    "source and target are of one family, such as -6 -I ::1",
			}
		}
	}
	s.common.Source = source
	return permit(source)
}

// findTargets returns the addresses that a name stands for. No name is ever looked up: localhost is what RFC 6761 says.
func findTargets(name string, v4, v6 bool) ([]report.Target, error) {
	if name == "" || isLocalhost(name) {
		var list []report.Target
		if v4 || !v6 {
			list = append(list, newTarget(cmp.Or(name, "127.0.0.1"), netip.AddrFrom4([4]byte{127, 0, 0, 1})))
		}
		if v6 {
			list = append(list, newTarget(cmp.Or(name, "::1"), netip.IPv6Loopback()))
		}
		return list, nil
	}
	address, err := netip.ParseAddr(name)
	if err != nil {
		return nil, notAnAddress(name)
	}
	address = address.Unmap()
	switch {
	case v4 && v6:
		return nil, &Error{
			Message: "-4 and -6 ask for both families, " + show(address.String()) + " is of one",
			Hint:    "leave out the address, or say localhost",
		}
	case v6 && address.Is4():
		return nil, &Error{Message: address.String() + " is no IPv6 address", Hint: "lping -6 ::1"}
	case v4 && address.Is6():
		return nil, &Error{Message: show(address.String()) + " is no IPv4 address", Hint: "lping -4 127.0.0.1"}
	}
	err = permit(address)
	if i := strings.LastIndexByte(name, ':'); err != nil && i > 0 && isLoopback(name[:i]) {
		err = &Error{err.Error(), "[" + name[:i] + "]:" + name[i+1:] + " is port " + name[i+1:] + " of " + name[:i]}
	}
	return []report.Target{newTarget(name, address)}, err
}

func newTarget(name string, address netip.Addr) report.Target {
	t := report.Target{Name: name}
	t.Address = address
	return t
}

// isLocalhost says that a name is one that always stands for loopback: localhost, or a name under it (RFC 6761, section 6.3).
func isLocalhost(name string) bool {
	name = "." + strings.ToLower(strings.TrimSuffix(name, "."))
	return strings.HasSuffix(name, ".localhost") && !strings.Contains(name, "..")
}

// isLoopback says that a text is a loopback address, whatever the interfaces.
func isLoopback(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.IsLoopback() && a.Zone() == ""
}

// meanings are words that people type for an address, and what does what they want.
var meanings = map[string]string{
	"lo": "lping -I lo", "lo0": "lping -I lo0", "help": "lping --help", "version": "lping --version",
}

// notAnAddress is the error of what is no address, with what may have been meant.
func notAnAddress(name string) error {
	hint := "127.0.0.1, ::1 or localhost; lping looks up no names"
	if own, err := os.Hostname(); err == nil && name == own {
		hint = "127.0.0.1; the name of a host may stand for an address that is not loopback"
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if a, err := netip.ParseAddr(bare); err == nil && a.IsLoopback() {
		hint = "write " + show(a.String())
	} else if meant := meanings[name]; meant != "" {
		hint = meant
	} else if isDigits(name) && name != "0" {
		hint = "localhost:" + name + " is a service at port " + name
	} else if name == "0" || strings.HasPrefix(name, "127.") && strings.Trim(name, "0123456789.") == "" {
		hint = "write 127.0.0.1"
	}
	return &Error{Message: quote(name) + " is no address of loopback", Hint: hint}
}

// permit refuses every address that is not this host's loopback, so that lping cannot be used to reach out. It looks at
// the interfaces only if the number of the address does not make it loopback.
func permit(a netip.Addr) error {
	switch {
	case a == netip.AddrFrom4([4]byte{127, 255, 255, 255}) || a == netip.AddrFrom4([4]byte{127, 0, 0, 0}):
		return &Error{a.String() + " is for broadcasts, which nobody answers", "127.0.0.1, or another address of 127.0.0.0/8"}
	case a.IsLoopback() && a.Zone() == "":
		return nil
	case a.IsLoopback():
		if ok, err := platform.IsLoopbackInterface(a.Zone()); err != nil || !ok {
			return notLoopback(a.String(), "names no loopback interface of this host", err)
		}
		return nil
	}
	name, err := platform.OnLoopback(a)
	switch {
	case err != nil || name == "":
		return notLoopback(a.String(), "is not on a loopback interface of this host", err)
	case a.IsLinkLocalUnicast() && a.Is6() && a.Zone() == "":
		return &Error{a.String() + " needs its interface", "write " + show(a.String()+"%"+name)}
	}
	return nil
}

// notLoopback is the refusal of an address or interface. If the interfaces cannot be read, nothing is permitted.
func notLoopback(what, why string, err error) error {
	message := quote(what) + " " + why
	if err != nil {
		message = quote(what) + ": the interfaces of this host cannot be read: " + err.Error()
	}
	return Wrap("lping checks loopback only",
		&Error{Message: message, Hint: "127.0.0.1, ::1 or localhost; ping reaches other hosts"})
}
