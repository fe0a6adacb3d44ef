package platform

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lping/platform/netlink"
)

func TestConcerns(t *testing.T) {
	tests := []struct {
		typ, destination, target string
		want                     bool
	}{
		{"local", "127.0.0.0/8", "127.0.0.1", true}, {"blackhole", "0.0.0.0/0", "127.0.0.1", true},
		{"local", "127.0.0.1/32", "127.0.0.2", true}, {"broadcast", "127.255.255.255/32", "127.0.0.1", false},
		{"local", "10.0.0.1/32", "127.0.0.1", false}, {"local", "10.0.0.1/32", "10.0.0.1", true},
		{"local", "::1/128", "fd00::1", true}, {"local", "fe80::/64", "::1", false},
	}
	for _, tt := range tests {
		r := Route{Type: tt.typ, Destination: netip.MustParsePrefix(tt.destination)}
		if got := concerns(r, netip.MustParseAddr(tt.target)); got != tt.want {
			t.Errorf("%s %s for %s: got %v, want %v", tt.typ, tt.destination, tt.target, got, tt.want)
		}
	}
}

// inNamespace runs commands and then f in a network namespace of its own, which ends with the thread.
func inNamespace(t *testing.T, f func(), commands ...string) {
	t.Helper()
	for _, tool := range []string{"ip", "nft", "tc"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("this host lacks the command %s (install iproute2 and nftables)", tool)
		}
	}
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread is of no use to others
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			failed <- err
			return
		}
		for _, c := range commands {
			if out, err := exec.Command("sh", "-c", c).CombinedOutput(); err != nil {
				failed <- errors.New(c + ": " + string(out))
				return
			}
		}
		f()
		failed <- nil
	}()
	if err := <-failed; errors.Is(err, unix.EPERM) {
		t.Skip("this user may not make a network namespace (run the test as root)")
	} else if err != nil {
		t.Fatal(err)
	}
}

func TestNamespaceUntouched(t *testing.T) {
	var f Facts
	inNamespace(t, func() { f.setTargets(netip.Addr{}, Flow{}); readNetlink(&f) })
	lo := f.Loopback.Value
	if len(lo) != 1 || lo[0].Name != "lo" || lo[0].Up() || len(lo[0].Addresses) != 0 || lo[0].MTU != 65536 {
		t.Errorf("loopback %+v (%s), want lo, down, without addresses", lo, f.Loopback.Reason())
	}
	if want := Know(Lookup{Errno: "ENETUNREACH"}); f.IPv4.Lookup != want || f.IPv6.Lookup != want {
		t.Errorf("lookups %+v and %+v, want %+v", f.IPv4.Lookup, f.IPv6.Lookup, want)
	}
	if got, ok := f.IPv4.Local.Get(); !ok || len(got) != 0 {
		t.Errorf("local routes %+v, known %v, want none", got, ok)
	}
	if got, ok := f.IPv6.Rules.Get(); !ok || len(got) == 0 || got[0].Table != "local" {
		t.Errorf("rules %+v, known %v, want the one of table local first", got, ok)
	}
}

func TestNamespaceConfigured(t *testing.T) {
	var f Facts
	inNamespace(t, func() { f.setTargets(netip.MustParseAddr("fd00::1"), Flow{}); readNetlink(&f) },
		"ip link set lo up", "ip address add fd00::1/64 dev lo nodad", "ip rule add pref 5 to 127.0.0.0/8 blackhole",
		"ip rule del pref 0", "ip rule add pref 9 lookup local", "tc qdisc add dev lo clsact",
		// The kernel takes a new IPv6 address for its own a little after the call that adds it.
		"for i in $(seq 100); do ip -6 route get fd00::1 | grep -q ^local && break; sleep 0.02; done")
	lo := f.Loopback.Value
	if len(lo) != 1 || !lo[0].Up() || lo[0].Qdisc != "noqueue" || !lo[0].Stats.OK {
		t.Fatalf("loopback %+v (%s), want lo, up", lo, f.Loopback.Reason())
	}
	var prefixes []string
	for _, a := range lo[0].Addresses {
		prefixes = append(prefixes, a.Prefix.String()+" "+a.Scope)
	}
	if want := []string{"127.0.0.1/8 host", "fd00::1/64 global", "::1/128 host"}; !slices.Equal(prefixes, want) {
		t.Errorf("addresses %q, want %q", prefixes, want)
	}
	rules := []Rule{{Priority: 5, Action: "blackhole", To: netip.MustParsePrefix("127.0.0.0/8")}, {Priority: 9, Action: "lookup", Table: "local"}}
	if got := f.IPv4.Rules.Value; len(got) != 4 || !reflect.DeepEqual(got[:2], rules) {
		t.Errorf("rules %+v, want %+v first", got, rules)
	}
	if want := Know(Lookup{Errno: "EINVAL"}); f.IPv4.Lookup != want {
		t.Errorf("lookup %+v, want %+v", f.IPv4.Lookup, want)
	}
	if l := f.IPv6.Lookup; !l.OK || l.Value.Route.Type != "local" || l.Value.Route.Interface != "lo" {
		t.Errorf("lookup %+v, want local by lo", l)
	}
	if got := f.Queues.Value; !slices.Contains(got, Queue{Kind: "clsact", Ingress: true}) {
		t.Errorf("queues %+v (%s), want clsact", got, f.Queues.Reason())
	}
}

func TestNamespaceFirewall(t *testing.T) {
	var got []Chain
	var err error
	inNamespace(t, func() { got, err = readChains() },
		"nft add table inet t", "nft 'add chain inet t c { type filter hook input priority 0; policy drop; }'", "nft add chain inet t other",
		"nft add table netdev n", "nft 'add chain netdev n i { type filter hook ingress device lo priority 0; }'",
		"nft add table ip a", "nft 'add chain ip a map1 { type filter hook input priority 1; }'",
		"nft add rule ip a map1 ip protocol vmap '{ tcp : accept }'",
		"nft 'add chain ip a log1 { type filter hook input priority 2; }'", "nft add rule ip a log1 tcp dport { 1, 2 } counter log accept",
		"nft 'add chain ip a jump1 { type filter hook input priority 3; }'", "nft add chain ip a far", "nft add chain ip a farther",
		"nft add rule ip a jump1 jump far", "nft add rule ip a far goto farther", "nft add rule ip a farther udp dport 1 reject",
		"nft 'add chain ip a drop1 { type filter hook output priority 3; }'", "nft add rule ip a drop1 drop")
	chain := func(name, hook string, drops bool) Chain {
		return Chain{Family: "ip", Table: "a", Name: name, Type: "filter", Hook: hook, Policy: "accept", Drops: Know(drops)}
	}
	want := []Chain{{Family: "inet", Table: "t", Name: "c", Type: "filter", Hook: "input", Policy: "drop", Drops: Know(false)},
		{Family: "netdev", Table: "n", Name: "i", Type: "filter", Hook: "ingress", Policy: "accept", Devices: []string{"lo"}, Drops: Know(false)},
		chain("map1", "input", true), chain("log1", "input", false), chain("jump1", "input", true), chain("drop1", "output", true)}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

// TestNetlinkRefused asks what no kernel knows.
func TestNetlinkRefused(t *testing.T) {
	n, err := openNetlink(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	if m, err := n.get(netlink.GetLink(1 << 30)); !errors.Is(err, unix.ENODEV) {
		t.Errorf("got %v, %v, want %v", m, err, unix.ENODEV)
	}
	if got := interfaceName(n, 1<<30); got != "if1073741824" {
		t.Errorf("got %q", got)
	}
	if got := interfaceName(n, 1); got != "lo" {
		t.Errorf("got %q, want lo", got)
	}
}

// TestReadIsCheap takes the best of many, for the machine has other things to do.
func TestReadIsCheap(t *testing.T) {
	const limit = 10 * time.Millisecond
	best := time.Hour
	for range 50 {
		start := time.Now()
		Read("/", netip.Addr{}, Flow{})
		if best = min(best, time.Since(start)); best < limit {
			return
		}
	}
	t.Errorf("the best of 50 took %v, want less than %v", best, limit)
}

func BenchmarkRead(b *testing.B) {
	for b.Loop() {
		Read("/", netip.Addr{}, Flow{})
	}
}

func BenchmarkReadCounters(b *testing.B) {
	for b.Loop() {
		ReadCounters("/", 4)
	}
}

func TestParseInet6(t *testing.T) {
	got := map[string][]Address{}
	parseInet6([]byte("00000000000000000000000000000001 01 80 10 80     lo\n"+
		"fe80000000000000c43a8ffffe3a9f13 02 40 20 c8   eth0\nfe80 02 40 20 c8 eth0\n"+
		"fe80000000000000c43a8ffffe3a9f13 02 ff 20 c8 eth0\n"), func(name string, a Address) { got[name] = append(got[name], a) })
	want := map[string][]Address{
		"lo":   {{Prefix: netip.MustParsePrefix("::1/128")}},
		"eth0": {{Prefix: netip.MustParsePrefix("fe80::c43a:8fff:fe3a:9f13/64"), Flags: []string{"tentative", "dadfailed"}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestParseLocal6(t *testing.T) {
	const none = "00000000000000000000000000000000"
	got := parseLocal6([]byte("00000000000000000000000000000001 80 "+none+" 00 "+none+" 00000000 00000002 00000000 80200001       lo\n"+
		"00000000000000000000000000000001 80 "+none+" 00 "+none+" 00000100 00000002 00000000 00000001       lo\n"+
		"fd000000000000000000000000000001 80 "+none+" 00 "+none+" 00000000 00000002 00000000 80200001     eth0\nx\n"), netip.IPv6Loopback())
	want := []Route{{Type: "local", Destination: netip.MustParsePrefix("::1/128"), Table: "local", Interface: "lo"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestAskLoopback holds that the system tells the same of lo without netlink.
func TestAskLoopback(t *testing.T) {
	root := t.TempDir() // where /proc/net is that of this thread
	if err := errors.Join(os.Mkdir(root+"/proc", 0o755), os.Symlink("/proc/thread-self/net", root+"/proc/net")); err != nil {
		t.Fatal(err)
	}
	inNamespace(t, func() {
		n, err := openNetlink(unix.NETLINK_ROUTE)
		if err != nil {
			t.Fatal(err)
		}
		defer n.close()
		want, err1 := readLoopback(n)
		got, err2 := host{root}.askLoopback()
		if err := errors.Join(err1, err2); err != nil || len(got) != 1 || len(want) != 1 {
			t.Fatalf("got %+v and %+v, %v", got, want, err)
		}
		g, w := got[0], want[0]
		var prefixes [2][]netip.Prefix
		for i, list := range [][]Address{g.Addresses, w.Addresses} {
			for _, a := range list {
				prefixes[i] = append(prefixes[i], a.Prefix)
			}
			slices.SortFunc(prefixes[i], netip.Prefix.Compare)
		}
		if g.Name != w.Name || g.Index != w.Index || g.MTU != w.MTU || g.Up() != w.Up() || !slices.Equal(prefixes[0], prefixes[1]) {
			t.Errorf("got %+v, want %+v", g, w)
		}
	}, "ip link set lo up", "ip addr add 127.0.0.5/8 dev lo label lo:1", "ip addr add 10.0.0.1/32 dev lo", "ip addr add fd00::1/64 dev lo nodad")
}

// TestReadPace: the machine's own speed is known, unless another processor receives what leaves by lo.
func TestReadPace(t *testing.T) {
	root := t.TempDir()
	if pace := ReadPace(root); !pace.OK || pace.Value <= 0 {
		t.Errorf("got %+v, want a time", pace)
	}
	file := filepath.Join(root, steering)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte("0,00000000\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if pace := ReadPace(root); !pace.OK {
		t.Errorf("got %+v where no other processor receives", pace)
	}
	if err := os.WriteFile(file, []byte("f0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if pace := ReadPace(root); pace.OK || pace.Reason() != errSteered.Error() {
		t.Errorf("got %+v, want %v", pace, errSteered)
	}
}
