//go:build !linux

package platform

import (
	"net"
	"net/netip"
	"runtime"
	"strings"
)

// notHere is why a fact is unknown that only Linux tells.
const notHere = "not read on this system"

// Read reads the loopback interfaces and their addresses. The rest is unknown on this system, and the root is unused.
func Read(_ string, target netip.Addr, flow Flow) Facts {
	f := Facts{System: runtime.GOOS, Loopback: known(readLoopback())}
	f.setTargets(target, flow)
	f.Kernel, f.Network = Unknown[string](notHere), Unknown[string](notHere)
	f.IPv6Off, f.PingGroups, f.Ports = Unknown[IPv6Off](notHere), Unknown[Range](notHere), Unknown[Range](notHere)
	f.ICMPLimit = Unknown[ICMPLimit](notHere)
	f.Conntrack, f.Queues = Unknown[Conntrack](notHere), Unknown[[]Queue](notHere)
	f.Firewall, f.Process = Unknown[[]Chain](notHere), Unknown[Process](notHere)
	f.CPU, f.Localhost = Unknown[CPU](notHere), Unknown[[]HostsLine](notHere)
	f.Container = Unknown[Container](notHere)
	for _, family := range []*Family{&f.IPv4, &f.IPv6} {
		family.Lookup, family.Local = Unknown[Lookup](notHere), Unknown[[]Route](notHere)
		family.Rules, family.EchoIgnored = Unknown[[]Rule](notHere), Unknown[bool](notHere)
		family.Counters = Unknown[Counters](notHere)
	}
	return f
}

// ReadNames reads the addresses of the loopback interfaces; the hosts file is unknown on this system.
func ReadNames(string) Facts {
	return Facts{System: runtime.GOOS, Loopback: known(readLoopback()), Localhost: Unknown[[]HostsLine](notHere)}
}

// ReadLimits is unknown on this system.
func ReadLimits(string) Facts {
	return Facts{System: runtime.GOOS, CPU: Unknown[CPU](notHere), Container: Unknown[Container](notHere)}
}

// ReadPace is unknown on this system.
func ReadPace(string) Known[float64] { return Unknown[float64](notHere) }

// ReadCounters is unknown on this system.
func ReadCounters(string, int) Known[Counters] { return Unknown[Counters](notHere) }

// ReadListeners is unknown on this system.
func ReadListeners(string, uint16) Known[[]Listener] { return Unknown[[]Listener](notHere) }

// HalfOpen is unknown on this system.
func HalfOpen(netip.AddrPort) Known[bool] { return Unknown[bool](notHere) }

// Peers knows nothing on this system.
type Peers struct{}

// Queue is unknown.
func (Peers) Queue(netip.AddrPort) (waiting, room int, ok bool) { return 0, 0, false }

// Waits is unknown.
func (Peers) Waits(client, service netip.AddrPort) (waits, ok bool) { return false, false }

// Redirected is unknown on this system.
func Redirected(uint16) Known[bool] { return Unknown[bool](notHere) }

// ReadPortsInUse is unknown on this system.
func ReadPortsInUse(string, Range) Known[int] { return Unknown[int](notHere) }

func readLoopback() ([]Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	list := []Interface{}
	for _, i := range all {
		if i.Flags&net.FlagLoopback == 0 {
			continue
		}
		addresses, err := i.Addrs()
		if err != nil {
			return nil, err
		}
		list = append(list, describe(i, addresses))
	}
	return list, nil
}

// describe is an interface as package net knows it; the flags get the names that ip has for them.
func describe(i net.Interface, addresses []net.Addr) Interface {
	out := Interface{Name: i.Name, Index: i.Index, MTU: i.MTU, Hardware: i.HardwareAddr.String(),
		Stats: Unknown[LinkStats](notHere), Addresses: []Address{}}
	out.Flags = strings.Split(strings.ToUpper(i.Flags.String()), "|")
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok {
			bits, _ := n.Mask.Size()
			if ip, ok := netip.AddrFromSlice(n.IP); ok && bits <= ip.Unmap().BitLen() {
				out.Addresses = append(out.Addresses, Address{Prefix: netip.PrefixFrom(ip.Unmap(), bits)})
			}
		}
	}
	return out
}
