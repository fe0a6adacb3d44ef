package platform

import (
	"errors"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"lping/platform/netlink"
)

// maxRules bounds the answer about all rules, in bytes: a host of many services has thousands.
const maxRules = 4 << 20

var (
	errNotAdmin    = errors.New("only a process with CAP_NET_ADMIN may list firewall chains")
	errNoNetfilter = errors.New("netfilter is not loaded")
	errNoChains    = errors.New("nf_tables is no loaded module")
)

// readFirewall lists the chains and tables by which a firewall may look at packets. It asks nf_tables only if that is
// loaded: the question itself would load it.
func (h host) readFirewall(p Known[Process]) ([]Chain, error) {
	if !p.OK || !p.Value.Effective.NetAdmin {
		return nil, errNotAdmin
	}
	tables, err := h.readIPTables()
	if err != nil {
		return nil, err
	}
	if err := h.netfilterLoaded(); err != nil {
		return nil, err
	}
	chains, err := readChains()
	return append(tables, chains...), err
}

// readIPTables lists the tables of the older iptables, of which nf_tables knows nothing.
func (h host) readIPTables() ([]Chain, error) {
	list := []Chain{}
	for _, family := range []string{"ip", "ip6"} {
		b, err := h.read("/proc/net/" + family + "_tables_names")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for name := range fields(b) {
			list = append(list, Chain{Family: family, Table: name})
		}
	}
	return list, nil
}

// netfilterLoaded is an error if asking for chains would load a module, or could.
func (h host) netfilterLoaded() error {
	b, err := h.read("/proc/net/netlink")
	if err != nil {
		return err
	}
	if !hasNetfilter(b) {
		return errNoNetfilter
	}
	modules, err := h.read("/proc/modules")
	if errors.Is(err, fs.ErrNotExist) { // a kernel without modules loads none
		return nil
	}
	if err == nil && !hasModule(modules, "nf_tables") {
		return errNoChains
	}
	return err
}

// hasNetfilter looks in /proc/net/netlink for the kernel's own socket of NETLINK_NETFILTER.
func hasNetfilter(b []byte) bool {
	return hasLine(b, func(f []string) bool { return len(f) > 2 && f[1] == "12" && f[2] == "0" })
}

// hasModule looks in /proc/modules.
func hasModule(b []byte, name string) bool {
	return hasLine(b, func(f []string) bool { return len(f) > 0 && f[0] == name })
}

func hasLine(b []byte, is func(fields []string) bool) bool {
	for l := range lines(b) {
		if is(l.fields()) {
			return true
		}
	}
	return false
}

// Redirected says whether a rule of nf_tables sends a port elsewhere, by DNAT or a redirect. Only a process with CAP_NET_ADMIN
// may ask, and only where nf_tables is known to be loaded: the question itself would load it.
func Redirected(port uint16) Known[bool] {
	n, err := openNetlink(unix.NETLINK_NETFILTER)
	if err != nil {
		return Unknown[bool](err.Error())
	}
	defer n.close()
	found := false
	err = n.stream(netlink.GetFirewallRules(), maxRules, func(more []netlink.Message) bool {
		for _, m := range more {
			found = found || slices.Contains(netlink.ParseRedirects(m.Data), port)
		}
		return found
	})
	return known(found, err)
}

// readChains lists the base chains of nf_tables.
func readChains() ([]Chain, error) {
	n, err := openNetlink(unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	defer n.close()
	chains, err := list(n, netlink.GetChains(), nil, func(b []byte) (Chain, bool) {
		c, err := netlink.ParseChain(b)
		return c, err == nil && c.Hook != ""
	})
	if len(chains) == 0 {
		return chains, err
	}
	rules, rulesErr := list(n, netlink.GetFirewallRules(), nil, func(b []byte) (netlink.FirewallRule, bool) {
		r, err := netlink.ParseFirewallRule(b)
		return r, err == nil && (r.Drops || len(r.Jumps) > 0)
	})
	for i := range chains {
		c := &chains[i]
		c.Drops = known(drops(rules, c.Family, c.Table, []string{c.Name}), rulesErr)
	}
	return chains, err
}

// drops says whether a rule of one of these chains, or of those that they lead to, can drop.
func drops(rules []netlink.FirewallRule, family, table string, chains []string) bool {
	for at := 0; at < len(chains); at++ {
		for _, r := range rules {
			if r.Family != family || r.Table != table || r.Chain != chains[at] {
				continue
			}
			if r.Drops {
				return true
			}
			for _, jump := range r.Jumps {
				if !slices.Contains(chains, jump) {
					chains = append(chains, jump)
				}
			}
		}
	}
	return false
}
