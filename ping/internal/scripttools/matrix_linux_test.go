package scripttools

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
)

func init() { programs["matrix"] = matrix }

// fault is one way to lose packets of 127.0.0.1 and ::1, in a network namespace that has no other fault.
type fault struct {
	name string
	// rules are for nft, commands for sh. They name 127.0.0.1 and ::1 or lo; the healthy twin is the same for 127.0.0.9 and ::9, or
	// else twin.
	rules, commands, twin string
	code                  string
	// all says that packets of others over lo are lost, too.
	all bool
	// partial says that some probes are answered: who infers may find packet_loss.
	partial bool
}

const (
	request4, request6 = "ip daddr 127.0.0.1 icmp type echo-request", "ip6 daddr ::1 icmpv6 type echo-request"
	reply4, reply6     = "ip saddr 127.0.0.1 icmp type echo-reply", "ip6 saddr ::1 icmpv6 type echo-reply"
	bothOfLo           = "ip daddr 127.0.0.1 meta l4proto icmp drop; ip6 daddr ::1 meta l4proto ipv6-icmp drop"
)

// chain is a chain of the family inet with two rules.
func chain(hook, first, second, verdict string) string {
	return fmt.Sprintf("table inet t { chain c { type filter hook %s priority 0; %s %s; %s %[3]s; }; }", hook, first, verdict, second)
}

// linkChain is a chain of lo itself.
func linkChain(hook string) string {
	return fmt.Sprintf("table netdev t { chain c { type filter hook %s device lo priority 0; %s; }; }", hook, bothOfLo)
}

// filter is a filter of tc with this verdict: 2 drops, 0 accepts.
func filter(direction string, verdict int) string {
	return fmt.Sprintf("tc qdisc add dev lo clsact; tc filter add dev lo %s bpf da bytecode '1,6 0 0 %d,'", direction, verdict)
}

// policies are IPsec policies that block, which IPv4 asks of lo only with these settings.
const policies = `sysctl -qw net.ipv4.conf.lo.disable_xfrm=0 net.ipv4.conf.lo.disable_policy=0
	ip xfrm policy add dir %[1]s src 127.0.0.1/32 dst 127.0.0.1/32 proto icmp action block
	ip xfrm policy add dir %[1]s src ::1/128 dst ::1/128 proto ipv6-icmp action block`

func faults() []fault {
	return []fault{
		{name: "request at OUTPUT", rules: chain("output", request4, request6, "drop"), code: "fw_output"},
		{name: "request at POSTROUTING", rules: chain("postrouting", request4, request6, "drop"), code: "fw_output"},
		{name: "reply at OUTPUT", rules: chain("output", reply4, reply6, "drop"), code: "fw_output"},
		{name: "rejected at OUTPUT", rules: chain("output", request4, request6, "reject"), code: "fw_reject"},
		{name: "request at PREROUTING", rules: chain("prerouting", request4, request6, "drop"), code: "fw_input_request"},
		{name: "request at INPUT", rules: chain("input", request4, request6, "drop"), code: "fw_input_request"},
		{name: "rejected at INPUT", rules: chain("input", request4, request6, "reject"), code: "fw_reject"},
		{name: "reply at PREROUTING", rules: chain("prerouting", reply4, reply6, "drop"), code: "fw_input_reply"},
		{name: "reply at INPUT", rules: chain("input", reply4, reply6, "drop"), code: "fw_input_reply"},
		{name: "all ICMP at INPUT", rules: chain("input", "meta l4proto icmp", "meta l4proto ipv6-icmp", "drop"), code: "fw_input_request", all: true,
			twin: "nft '" + chain("input", "meta l4proto igmp", "meta l4proto sctp", "drop") + "'"},
		{name: "all of lo at OUTPUT", rules: chain("output", "oifname lo", "oifname lo", "drop"), code: "fw_output", all: true,
			twin: "nft '" + chain("output", "oifname loo", "oifname l", "drop") + "'"},
		{name: "iptables at INPUT", commands: "iptables -A INPUT -d 127.0.0.1/32 -p icmp -j DROP; ip6tables -A INPUT -d ::1/128 -p ipv6-icmp -j DROP",
			code: "fw_input_request"},
		{name: "half of INPUT", rules: chain("input", request4+" numgen inc mod 2 1", request6+" numgen inc mod 2 1", "drop"), code: "fw_input_request",
			partial: true},
		{name: "half of OUTPUT", rules: chain("output", reply4+" numgen inc mod 2 1", reply6+" numgen inc mod 2 1", "drop"), code: "fw_output",
			partial: true},
		{name: "netdev ingress", rules: linkChain("ingress"), code: "ingress_drop"},
		{name: "netdev egress", rules: linkChain("egress"), code: "qdisc_drop"},
		{name: "tc ingress", commands: filter("ingress", 2), twin: filter("ingress", 0), code: "ingress_drop", all: true},
		{name: "tc egress", commands: filter("egress", 2), twin: filter("egress", 0), code: "qdisc_drop", all: true},
		{name: "blackhole", commands: "tc qdisc add dev lo root blackhole", twin: "tc qdisc add dev lo root pfifo", code: "qdisc_drop", all: true},
		{name: "IPsec out", commands: fmt.Sprintf(policies, "out"), code: "xfrm_blocks"},
		{name: "IPsec in", commands: fmt.Sprintf(policies, "in"), code: "xfrm_blocks"},
	}
}

// script makes the fault, or its twin.
func (f fault) script(twin bool) string {
	s := f.commands
	if f.rules != "" {
		s = "nft '" + f.rules + "'"
	}
	switch {
	case !twin:
		return s
	case f.twin != "":
		return f.twin
	}
	return strings.NewReplacer("127.0.0.1", "127.0.0.9", "::1", "::9").Replace(s)
}

// way is how lping may look at a fault. told says that the kernel itself tells where it drops a packet.
type way struct {
	name    string
	command []string
	told    bool
}

// ways are those that this user has: root in the first user namespace with all rights and without those to watch, or root in another
// one; and nobody.
func ways() []way {
	nobody := way{"nobody", []string{"nobody", "lping"}, false}
	if os.Getenv("USERNS") != "" {
		return []way{{"root", []string{"lping"}, false}, nobody}
	}
	blind := []string{"setpriv", "--bounding-set=-sys_admin,-perfmon", "lping"}
	return []way{{"told", []string{"lping"}, true}, {"not told", blind, false}, nobody}
}

// errUntold is no failure in the end: a machine that is too busy for the kernel's word is told the same by the counters. That there is
// a word at all is what the script kernel_word is about.
var errUntold = errors.New("the kernel did not tell")

// matrixTries is how often lping may not know a cause: a busy machine receives elsewhere at times, where nobody watches.
const matrixTries = 5

// matrix is "matrix still|beside [-at N] [-each] [-only NAME] [-- OPTION …]": each fault, N at a time, and its healthy twin, in each way. Still, the code must be
// exact; beside the traffic of others the cause may be unknown, or say that it is one of two, but it must not be a wrong one.
func matrix(args []string) int {
	if len(args) > 1 && args[0] == "one" {
		return matrixOne(args[1], args[2] == "beside", args[3:])
	}
	flags := flag.NewFlagSet("matrix", flag.ExitOnError)
	at := flags.Int("at", 4, "faults at a time")
	only := flags.String("only", "", "faults whose name has this")
	each := flags.Bool("each", false, "one fault of each code")
	if len(args) == 0 || args[0] != "still" && args[0] != "beside" || flags.Parse(args[1:]) != nil {
		fmt.Fprintln(os.Stderr, "usage: matrix still|beside [-at N] [-each] [-only NAME] [-- OPTION ...]")
		return badUsage
	}
	var wait sync.WaitGroup
	free := make(chan struct{}, *at)
	failed := make(chan error, len(faults()))
	seen := map[string]bool{}
	for _, f := range faults() {
		if !strings.Contains(f.name, *only) || *each && seen[f.code] {
			continue
		}
		seen[f.code] = true
		wait.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			one := slices.Concat([]string{"--net", "--", "matrix", "one", f.name, args[0]}, flags.Args())
			if out, err := exec.Command("unshare", one...).CombinedOutput(); err != nil {
				failed <- fmt.Errorf("%s: %w\n%s", f.name, err, out)
			}
		})
	}
	wait.Wait()
	close(failed)
	status := 0
	for err := range failed {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	return status
}

// matrixOne looks at one fault and its twin in this network namespace, which is new.
func matrixOne(name string, beside bool, options []string) int {
	i := slices.IndexFunc(faults(), func(f fault) bool { return f.name == name })
	f := faults()[i]
	undo := "set +e; exec 2>/dev/null; nft flush ruleset; iptables -F; ip6tables -F; ip xfrm policy flush; tc qdisc del dev lo root; tc qdisc del dev lo clsact; true"
	err := shell("ip link set lo up; sysctl -qw net.ipv4.ping_group_range=\"$OPEN\"")
	var others *traffic
	if beside && err == nil {
		if others, err = startTraffic(); err == nil {
			defer others.stop()
		}
	}
	if err == nil {
		err = errors.Join(shell(f.script(false)), f.look(others, options), shell(undo), shell(f.script(true)), lookTwin(others, options))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func shell(script string) error {
	if out, err := exec.Command("sh", "-ec", script).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s\n%s", err, script, out)
	}
	return nil
}

// look asks in each way what is wrong, of both families at once.
func (f fault) look(others *traffic, options []string) error {
	if f.partial {
		options = append(slices.Clone(options), "-c", "10", "-i", "0.03")
	}
	least := len(counters)
	if f.all {
		least = 1 // pings that get no answer go on, and those from outside
	}
	for _, w := range ways() {
		var vague error
		for try := 0; try == 0 || vague != nil && try < matrixTries; try++ {
			list, err := ask(w, others, least, options)
			if err == nil {
				vague, err = f.judge(w, list, others != nil)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
		if vague != nil && !errors.Is(vague, errUntold) {
			return fmt.Errorf("%s: %w", w.name, vague)
		}
	}
	return nil
}

// judge says what is vague about the findings, which may be chance, and what is wrong.
func (f fault) judge(w way, list []summary, beside bool) (vague, wrong error) {
	for _, a := range list {
		if len(a.Findings) != 1 {
			return nil, fmt.Errorf("%s: want one finding: %+v", a.Address, a.Findings)
		}
		got := a.Findings[0]
		exact := got.Code == f.code
		either := strings.Contains(got.Cause, "or rejects") && slices.Contains([]string{"fw_output", "fw_input_request", "fw_input_reply"}, got.Code) ||
			strings.Contains(got.Cause, "or an IPsec policy") && f.code == "xfrm_blocks" ||
			strings.Contains(got.Cause, "or the reply") && f.code == "fw_input_reply" ||
			slices.Contains([]string{"unknown", "fw_icmp_only", "packet_loss"}, got.Code)
		switch {
		case !exact && !either:
			return nil, fmt.Errorf("%s: want %s: %+v", a.Address, f.code, got)
		case w.told && !strings.Contains(got.Evidence, "the kernel dropped the probe") && exact:
			vague = errUntold
		case w.told && (strings.Contains(got.Cause, "likely") || !exact && !strings.Contains(got.Cause, "or rejects")):
			vague = fmt.Errorf("%s: want %s by the kernel's own word: %+v", a.Address, f.code, got)
		case !exact && !beside && !(f.partial && !w.told):
			vague = fmt.Errorf("%s: want %s: %+v", a.Address, f.code, got)
		}
	}
	return vague, nil
}

// lookTwin holds that nothing is wrong.
func lookTwin(others *traffic, options []string) error {
	for _, w := range ways() {
		list, err := ask(w, others, len(counters), options)
		for _, a := range list {
			if a.Verdict != "healthy" || len(a.Findings) > 0 {
				err = errors.Join(err, fmt.Errorf("%s: its twin: %s is %s: %+v", w.name, a.Address, a.Verdict, a.Findings))
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// summary is one in JSON.
type summary struct {
	Type, Address, Verdict string
	Findings               []struct{ Code, Severity, Cause, Evidence string }
}

// ask runs lping for both families. Meanwhile so many of the others must have sent.
func ask(w way, others *traffic, least int, options []string) (list []summary, err error) {
	var out []byte
	for range matrixTries { // a busy machine may let the others wait
		before := others.counts()
		out, _ = exec.Command(w.command[0], slices.Concat(w.command[1:], []string{"-j", "-4", "-6"}, options)...).Output()
		if others == nil {
			break
		}
		if err = others.moved(before, least); err == nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var a summary
		if end := d.Decode(&a); end != nil {
			break
		}
		if a.Type == "summary" {
			list = append(list, a)
		}
	}
	if len(list) != 2 {
		return nil, fmt.Errorf("want two summaries: %s", out)
	}
	return list, nil
}
