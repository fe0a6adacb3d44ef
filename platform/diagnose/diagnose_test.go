package diagnose

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lping/platform"
)

// testCase is a file of testdata: what was read and seen once, mostly in a network namespace with that fault, and
// what it is to be called. Want has the codes in their order, with ":severity" where that is not error.
//
// A file is named after the rule that it is for. One with "-not" after the code is near it, and not it. What a user
// sends from `lping doctor -j` becomes a test case by adding want.
type testCase struct {
	Name     string         `json:"-"`
	Facts    platform.Facts `json:"facts"`
	Evidence Evidence       `json:"evidence"`
	Want     []string       `json:"want"`
}

// maxLine is what code, cause and fix may take of the one line that a container runtime keeps.
const maxLine = 197

func testCases(t testing.TB) []testCase {
	t.Helper()
	names, err := filepath.Glob("testdata/*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("testdata holds %d cases: %v", len(names), err)
	}
	var list []testCase
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		c := testCase{Name: strings.TrimSuffix(filepath.Base(name), ".json")}
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		if err := d.Decode(&c); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		list = append(list, c)
	}
	return list
}

// TestOver: what is over has the same code, and is told in the past tense.
func TestOver(t *testing.T) {
	past := regexp.MustCompile(`were lost$|came after the timeout$|had no answer when|found the receive queue|was closed for|was away for|answered \d+ of|runs without IPv6`)
	for _, c := range testCases(t) {
		now := Diagnose(c.Facts, c.Evidence)
		c.Evidence.Over = true
		over := Diagnose(c.Facts, c.Evidence)
		if len(over) != len(now) {
			t.Fatalf("%s: %v, and when it is over %v", c.Name, now, over)
		}
		for i, f := range over {
			if f.Code == ICMPNotPermitted {
				continue // which may be about sockets or about sends
			}
			tenseless := f.Code == Unknown || c.Evidence.Sweep != "" || past.MatchString(f.Cause)
			if f.Code != now[i].Code || f.Code.Fails() != (f.Cause != now[i].Cause) && !(f.Code.Fails() && tenseless) {
				t.Errorf("%s: %s: %q, and when it is over %s: %q", c.Name, now[i].Code, now[i].Cause, f.Code, f.Cause)
			}
		}
	}
	if Code("else").Fails() {
		t.Error("a code that is none tells why")
	}
}

func codes(list []Finding) []string {
	out := []string{}
	for _, f := range list {
		if f.Severity == Error {
			out = append(out, string(f.Code))
		} else {
			out = append(out, string(f.Code)+":"+f.Severity.String())
		}
	}
	return out
}

func TestDiagnose(t *testing.T) {
	for _, c := range testCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			list := Diagnose(c.Facts, c.Evidence)
			if got := codes(list); !slices.Equal(got, c.Want) {
				t.Errorf("got %q, want %q\nfindings: %+v", got, c.Want, list)
			}
			for _, f := range list {
				checkFinding(t, c, f)
			}
		})
	}
}

// checkFinding holds a finding to what all of them promise.
func checkFinding(t *testing.T, c testCase, f Finding) {
	t.Helper()
	if f.Cause == "" || f.Evidence == "" {
		t.Errorf("%s: cause %q, evidence %q: want both", f.Code, f.Cause, f.Evidence)
	}
	if n := len(f.Code) + len(f.Cause) + len(f.Fix) + len(": ; fix: "); n > maxLine {
		t.Errorf("%s: %d bytes, want at most %d: %s; fix: %s", f.Code, n, maxLine, f.Cause, f.Fix)
	}
	for _, s := range []string{f.Cause, f.Evidence, f.Fix} {
		if strings.ContainsAny(s, "\n\t\x1b") || strings.Contains(s, "%!") || strings.TrimSpace(s) != s {
			t.Errorf("%s: %q is not one clean line", f.Code, s)
		}
	}
	if strings.Contains(strings.ToUpper(f.Fix), "NET_RAW") {
		t.Errorf("%s: fix %q: a user who is not root gets no NET_RAW", f.Code, f.Fix)
	}
}

// TestNoFalseAlarm takes the facts of every fault with a run in which all was well: the fault is for other traffic, or
// was mended meanwhile.
func TestNoFalseAlarm(t *testing.T) {
	for _, c := range testCases(t) {
		e := c.Evidence
		e.Method, e.Datagram, e.Raw, e.Bind = "icmp-dgram", "", "", ""
		e.Sent, e.Received, e.Lost, e.Late, e.Corrupted, e.SendErrors = 5, 5, 0, 0, 0, 0
		e.Refused, e.Reports, e.Probe = nil, nil, nil
		for _, f := range Diagnose(c.Facts, e) {
			if f.Severity == Error {
				t.Errorf("%s: 5 of 5 answered, got error %s: %s", c.Name, f.Code, f.Cause)
			}
		}
	}
}

// TestLossAllowed holds that limits excuse loss, and neither that the loopback itself is absent nor a service, unless there
// was an answer.
func TestLossAllowed(t *testing.T) {
	away := []Code{LoMissing, LoDown, AddrMissing, IPv6Disabled, IPv6MTU, PortRefused, ServiceError}
	for _, c := range testCases(t) {
		for _, received := range []uint64{0, 1} {
			e := c.Evidence
			e.Received = received
			e.LossAllowed = true
			allowed := Diagnose(c.Facts, e)
			e.LossAllowed = false
			for i, f := range Diagnose(c.Facts, e) {
				want := f.Severity
				firm := slices.Contains(away, f.Code) && received == 0 || f.Code == PayloadCorrupted
				if want == Error && !firm {
					want = Info
				}
				if got := allowed[i].Severity; got != want {
					t.Errorf("%s, %d received: %s is %s where its loss is allowed, want %s", c.Name, received, f.Code, got, want)
				}
			}
		}
	}
}

// TestNothingRead holds that a rule needs facts: with none, only what the run itself shows is named.
func TestNothingRead(t *testing.T) {
	silent := Evidence{Family: 4, Target: netip.MustParseAddr("127.0.0.1"), Asked: true, Method: "icmp-dgram", Sent: 5, Lost: 5}
	list := Diagnose(platform.Facts{}, silent)
	if got := codes(list); !slices.Equal(got, []string{"unknown"}) {
		t.Fatalf("got %q, want unknown alone", got)
	}
	for _, fact := range []string{"interface", "routes", "rules", "echo_ignore_all", "counters", "firewall"} {
		if want := fact + " unknown: not read"; !strings.Contains(list[0].Evidence, want) {
			t.Errorf("evidence %q lacks %q", list[0].Evidence, want)
		}
	}
}

// TestEveryRuleHasCases holds that each rule has a case that fires it, and one near it that does not.
func TestEveryRuleHasCases(t *testing.T) {
	all := testCases(t)
	var known []Code
	for _, r := range rules {
		code := string(r.Code)
		known = append(known, r.Code)
		var fires, near bool
		for _, c := range all {
			rest, ok := strings.CutPrefix(c.Name, code)
			if !ok || rest != "" && rest[0] != '-' {
				continue
			}
			wanted := slices.ContainsFunc(c.Want, func(s string) bool { return s == code || strings.HasPrefix(s, code+":") })
			not := rest == "-not" || strings.HasPrefix(rest, "-not-")
			if wanted == not {
				t.Errorf("%s: want %q does not agree with the name", c.Name, c.Want)
			}
			fires, near = fires || wanted, near || not
		}
		if !fires || !near {
			t.Errorf("%s: a case that fires it: %v, one that does not: %v; want both", code, fires, near)
		}
	}
	for i, r := range rules {
		for _, code := range slices.Concat(r.consequenceOf...) {
			if at := slices.Index(known, code); at < 0 || at >= i {
				t.Errorf("%s is a consequence of %s, which is no rule before it", r.Code, code)
			}
		}
	}
}

// TestLikely holds that what was inferred from counters is called likely, and what the kernel said is not.
func TestLikely(t *testing.T) {
	inferred := []Code{FwInputRequest, FwInputReply, IngressDrop, SocketFilter, FwICMPOnly, CPUThrottled}
	for _, c := range testCases(t) {
		for _, f := range Diagnose(c.Facts, c.Evidence) {
			told := c.Evidence.told(f.Code)
			if slices.Contains(inferred, f.Code) && strings.Contains(f.Cause, "likely") == told {
				t.Errorf("%s: cause %q; told by the kernel: %v", c.Name, f.Cause, told)
			}
		}
	}
}

// TestText holds the words of the findings that people see most, and of the fixes that depend on the place.
func TestText(t *testing.T) {
	want := map[string]string{
		"lo_down-set-down":                               "error lo_down: interface lo is down; fix: ip link set lo up",
		"lo_down-darwin":                                 "error lo_down: interface lo0 is down; fix: ifconfig lo0 up",
		"addr_missing-ipv4":                              "error addr_missing: address 127.0.0.1 is not on interface lo; fix: ip address add 127.0.0.1/8 dev lo",
		"addr_missing-ipv6":                              "error addr_missing: address ::1 is not on interface lo; fix: ip address add ::1/128 dev lo",
		"addr_missing-darwin":                            "error addr_missing: address 127.0.0.2 is not on interface lo0; fix: ifconfig lo0 alias 127.0.0.2",
		"addr_missing-duplicate":                         "error addr_missing: address fd00::1 on lo is dadfailed, tentative; fix: ip address change fd00::1/64 dev lo nodad",
		"ipv6_disabled-lo":                               "error ipv6_disabled: IPv6 is switched off on the loopback interface; fix: sysctl -w net.ipv6.conf.lo.disable_ipv6=0",
		"ipv6_disabled-nobody-asked":                     "info ipv6_disabled: IPv6 is switched off on the loopback interface; fix: docker run --sysctl net.ipv6.conf.all.disable_ipv6=0",
		"ipv6_mtu":                                       "error ipv6_mtu: MTU 1200 of lo is too small for IPv6 (1280); fix: ip link set lo mtu 65536 down && ip link set lo up",
		"route_missing-rule-deleted":                     "error route_missing: the routing rule for the local table is missing; fix: ip rule add pref 0 lookup local",
		"route_missing-default-route":                    "error route_missing: there is no local route to 127.0.0.1, it would leave by d0; fix: ip route add local 127.0.0.0/8 dev lo table local",
		"rule_blocks-blackhole":                          "error rule_blocks: routing rule 5 (blackhole) forbids 127.0.0.1; fix: ip rule del pref 5 blackhole",
		"rule_blocks-table":                              "error rule_blocks: routing rule 5 (lookup 77) precedes the local table: 127.0.0.1 is forbidden; fix: ip rule del pref 5 lookup 77",
		"rule_blocks-tables":                             "error rule_blocks: 2 routing rules precede the local table: ::1 is forbidden; fix: ip -6 rule add pref 0 lookup local",
		"rule_blocks-first":                              "error rule_blocks: 2 routing rules precede the local table: ::1 is forbidden; fix: ip -6 rule del pref 0 lookup 77 && ip -6 rule del pref 0 lookup 78",
		"route_missing-table":                            "error route_missing: routing rule 5 (lookup 77) precedes the local table: 127.0.0.1 would leave by out; fix: ip rule del pref 5 lookup 77",
		"route_missing-goto":                             "error route_missing: no routing rule leads to the local table; fix: ip -6 rule add pref 0 lookup local",
		"rule_blocks-route":                              "error rule_blocks: route ::1/128 in table local is a blackhole; fix: ip -6 route del blackhole ::1/128 table local",
		"icmp_not_permitted":                             `error icmp_not_permitted: ICMP sockets are not permitted here; fix: sysctl -w net.ipv4.ping_group_range="0 2147483647"`,
		"icmp_not_permitted-host-network":                `error icmp_not_permitted: ICMP sockets are not permitted here; fix: sysctl -w net.ipv4.ping_group_range="0 2147483647" # on the host`,
		"icmp_not_permitted-docker":                      `error icmp_not_permitted: ICMP sockets are not permitted here; fix: docker run --sysctl net.ipv4.ping_group_range="0 2147483647"`,
		"icmp_not_permitted-podman":                      `error icmp_not_permitted: ICMP sockets are not permitted here; fix: podman run --sysctl net.ipv4.ping_group_range="0 2147483647"`,
		"icmp_not_permitted-kubernetes":                  `error icmp_not_permitted: ICMP sockets are not permitted here; fix: pod securityContext.sysctls: {name: net.ipv4.ping_group_range, value: "0 2147483647"}`,
		"icmp_not_permitted-unmapped-range":              `error icmp_not_permitted: ICMP sockets are not permitted here; fix: sysctl -w net.ipv4.ping_group_range="65534 65534"`,
		"icmp_not_permitted-user-namespace":              `error icmp_not_permitted: ICMP sockets are not permitted here; fix: sysctl -w net.ipv4.ping_group_range="0 0"`,
		"icmp_not_permitted-user-namespace-host-network": `info icmp_not_permitted: ICMP sockets are not permitted here; fix: sysctl -w net.ipv4.ping_group_range="0 2147483647" # on the host`,
		"icmp_not_permitted-outer-network":               `info icmp_not_permitted: ICMP sockets are not permitted here; fix: sysctl -w net.ipv4.ping_group_range="0 2147483647" # outside of the user namespace`,
		"policy_denies-send":                             "error policy_denies: a policy (seccomp, a cgroup program) denies sendto: EPERM; fix: in the systemd unit: SystemCallFilter=sendto",
		"icmp_not_permitted-raw-only":                    "error icmp_not_permitted: raw ICMP sockets are not permitted here; fix: lping --socket auto",
		"echo_ignored-ipv4":                              "error echo_ignored: the kernel ignores echo requests; fix: sysctl -w net.ipv4.icmp_echo_ignore_all=0",
		"fw_output-ipv4":                                 "error fw_output: a firewall drops the probes at OUTPUT; fix: nft insert rule inet t c oifname lo accept",
		"fw_output-nobody":                               "error fw_output: a firewall drops the probes at OUTPUT or POSTROUTING; fix: accept lo first in output or postrouting (nft list ruleset; iptables -S)",
		"fw_output-reply":                                "error fw_output: a firewall likely drops the echo reply at OUTPUT; fix: nft insert rule inet t c oifname lo accept",
		"fw_output-cgroup":                               "error fw_output: a cgroup program drops the probes on egress; fix: detach it: bpftool cgroup tree",
		"ports_exhausted-not-address-away":               "error packet_loss: 127.0.0.1 or its route was away for 69 of 400 probes; fix: look what changes the network meanwhile: ip monitor",
		"fw_output-second-table":                         "error fw_output: a firewall drops the probes at OUTPUT; fix: nft insert rule inet second o oifname lo accept",
		"fw_output-cgroup-beside-chain":                  "error fw_output: a cgroup program drops the probes on egress; fix: detach it: bpftool cgroup tree",
		"fw_input_request-ipv4":                          "error fw_input_request: a firewall likely drops the echo request at INPUT or PREROUTING; fix: nft insert rule inet t c iifname lo accept",
		"qdisc_drop-ipv4":                                "error qdisc_drop: a queueing discipline or egress filter of lo drops the probes; fix: tc qdisc del dev lo root",
		"qdisc_drop-netdev":                              "error qdisc_drop: a queueing discipline or egress filter of lo likely drops the probes; fix: nft insert rule netdev t c oifname lo accept",
		"qdisc_drop-blackhole":                           "error qdisc_drop: a queueing discipline or egress filter of lo likely drops the probes; fix: tc qdisc del dev lo root",
		"qdisc_drop-holds":                               "error qdisc_drop: the queueing discipline tbf of lo likely holds packets back; fix: tc qdisc del dev lo root",
		"ingress_drop-tc":                                "error ingress_drop: an ingress filter of lo (tc, netdev, XDP) likely drops the echo request; fix: tc qdisc del dev lo clsact",
		"ingress_drop-xdp":                               "error ingress_drop: an ingress filter of lo (tc, netdev, XDP) likely drops the echo request; fix: ip link set lo xdp off, or if a BPF link holds it: bpftool link, then bpftool link detach id N",
		"xfrm_blocks-in":                                 "error xfrm_blocks: an IPsec policy likely blocks the probes; fix: ip xfrm policy list, then delete the one with action block",
		"xfrm_blocks-in-reply":                           "error xfrm_blocks: an IPsec policy likely blocks the echo reply; fix: ip xfrm policy list, then delete the one with action block",
		"xfrm_blocks-default":                            "error xfrm_blocks: an IPsec policy likely blocks the probes; fix: ip xfrm policy setdefault in accept",
		"xfrm_blocks-unprotected":                        "error xfrm_blocks: an IPsec policy likely blocks the probes; fix: ip xfrm policy list, then delete the one that demands IPsec (tmpl)",
		"conntrack_full":                                 "error conntrack_full: the connection tracking table is full; fix: sysctl -w net.netfilter.nf_conntrack_max=131072",
		"cpu_throttled-late":                             "warning cpu_throttled: the CPU limit of 0.01 likely delays lping; fix: docker run with more --cpus",
		"cpu_throttled-slow":                             "info cpu_throttled: the CPU limit of 0.01 likely delays lping; fix: raise resources.limits.cpu",
		"packet_loss-half":                               "error packet_loss: 3 of 5 probes were lost; fix: look for rules that limit a rate (nft list ruleset; tc -s qdisc show dev lo)",
		"cpu_throttled-not-throttled":                    "error packet_loss: 2 of 5 answers came after the timeout; fix: free the CPU, or allow more time (-W)",
		"hosts_localhost-file-missing":                   "warning hosts_localhost: there is no hosts file; fix: write to /etc/hosts: 127.0.0.1 localhost",
		"hosts_localhost-file-unreadable":                "warning hosts_localhost: this user may not read the hosts file; fix: chmod 644 /etc/hosts",
		"hosts_localhost-file-directory":                 "warning hosts_localhost: the hosts file is a directory; fix: rmdir /etc/hosts; then write to it: 127.0.0.1 localhost",
		"hosts_localhost-docker":                         "warning hosts_localhost: the hosts file does not name localhost; fix: mount nothing at /etc/hosts: docker writes it",
		"hosts_localhost-kubernetes":                     "warning hosts_localhost: the hosts file says that localhost is 10.1.2.3, which is not on loopback; fix: keep localhost out of hostAliases and mount nothing at /etc/hosts: the kubelet writes it",
		"hosts_localhost-podman-host":                    "warning hosts_localhost: the hosts file says that localhost is 10.1.2.3, which is not on loopback; fix: keep localhost out of --add-host and mount nothing at /etc/hosts: podman writes it from the host's",
		"hosts_localhost-elsewhere":                      "warning hosts_localhost: the hosts file says that localhost is 10.1.2.3, which is not on loopback; fix: in /etc/hosts, take localhost off the line 10.1.2.3",
		"icmp_not_permitted-udp-instead":                 `info icmp_not_permitted: ICMP sockets are not permitted here; fix: sysctl -w net.ipv4.ping_group_range="0 2147483647"`,
		"port_refused-nobody-listens":                    "error port_refused: nobody listens on 127.0.0.1:8080; fix: start the service",
		"port_refused-family":                            "error port_refused: [::1]:8080 is closed: the service listens on 127.0.0.1 only; fix: let the service listen on ::1 too",
		"port_refused-family-named":                      "error port_refused: [::1]:8080 is closed: the service listens on 127.0.0.1 only; fix: let the service listen on ::1 too, or ask 127.0.0.1",
		"port_refused-ipv6-only-named":                   "error port_refused: 127.0.0.1:8080 is closed: the service listens on :: (IPv6) only; fix: let the service listen on 127.0.0.1 too, or ask ::1",
		"port_refused-many-addresses":                    "error port_refused: [::1]:8080 is closed: the service listens on 192.168.100.100, 2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff and others only; fix: let the service listen on ::1 too",
		"port_refused-unread":                            "error port_refused: likely nobody listens on 127.0.0.1:8080; fix: start the service, or let it listen on 127.0.0.1 too",
		"port_refused-ipv6-only":                         "error port_refused: 127.0.0.1:8080 is closed: the service listens on :: (IPv6) only; fix: let the service listen on 127.0.0.1 too",
		"port_refused-at-times":                          "error port_refused: 127.0.0.1:8080 was closed for 2 of 5 probes; fix: look why the service was away: its log, and how often it starts",
		"port_silent-backlog":                            "error port_silent: 127.0.0.1:8080 does not accept: its backlog of 1 is full; fix: restart the service, or raise its backlog",
		"port_silent-udp":                                "error port_silent: 127.0.0.1:8080 is open or silent: no answer and no refusal; fix: --max-loss 100% if this service never answers",
		"port_silent-answers-now":                        "error port_silent: 127.0.0.1:8080 is open or silent: no answer and no refusal; fix: --max-loss 100% if this service never answers",
		"port_silent-tcp":                                "error port_silent: 127.0.0.1:8080 neither answers nor refuses; fix: look at the service: ss -tan 'sport = :8080'",
		"port_silent-refusal-dropped":                    "error port_silent: nobody listens on 127.0.0.1:8080, and a firewall likely drops the refusal; fix: start the service",
		"port_silent-elsewhere":                          "error port_silent: 127.0.0.7:8080 answers from 127.0.0.1:8080, where no client expects it; fix: ask 127.0.0.1:8080, or let the service listen on 127.0.0.7 itself",
		"port_resets":                                    "warning port_resets: 127.0.0.1:8080 accepts connections and resets them; fix: look at the log of the service: it may refuse this client, or have no room for one more",
		"service_slow-late":                              "error service_slow: 127.0.0.1:8080 answers too late, after 512ms; fix: -W 2s, or look why the service is slow",
		"service_slow-unaccepted":                        "error service_slow: 127.0.0.1:8080 accepts no connection: the service hangs or is overloaded; fix: look at its log and at what it waits for, or allow more time: -W 2s",
		"service_slow-held":                              "error service_slow: 127.0.0.1:8080 accepts no connection: the service hangs or is overloaded; fix: look at its log and at what it waits for, or allow more time: -W 2s",
		"service_slow-http":                              "error service_slow: 127.0.0.1:8080 takes the connection and gives no answer in 1s; fix: look at its log and at what it waits for, or allow more time: -W 4s",
		"service_slow-udp":                               "error service_slow: 127.0.0.1:8080 does not read what it gets: 1664 bytes wait; fix: look at its log and at what it waits for, or allow more time: -W 1s",
		"service_slow-not-full":                          "error port_silent: 127.0.0.1:8080 does not accept: its backlog of 5 is full; fix: restart the service, or raise its backlog",
		"service_error-status":                           "error service_error: 127.0.0.1:8080 answers 503 Service Unavailable; fix: look at the log of the service",
		"service_error-no-http":                          "error service_error: 127.0.0.1:8080 answers, and is not HTTP; fix: give the port of the right service, or check only that this one answers: tcp://127.0.0.1:8080",
		"service_error-echo":                             "error service_error: 127.0.0.1:8080 answers, and is not an echo; fix: give the port of the right service, or check only that this one answers: udp://127.0.0.1:8080",
		"ports_exhausted-udp":                            `error ports_exhausted: no local port is left; fix: sysctl -w net.ipv4.ip_local_port_range="1024 65535", or close sockets: ss -tuan`,
		"ports_exhausted-docker":                         `error ports_exhausted: no local port is left; fix: docker run --sysctl net.ipv4.ip_local_port_range="1024 65535", or close sockets: ss -tuan`,
		"fw_output-tcp":                                  "error fw_output: a firewall likely drops the probes at OUTPUT; fix: nft insert rule inet t c oifname lo accept",
		"fw_reject-tcp-reset":                            "error fw_reject: a firewall likely rejects the probes; fix: nft insert rule inet t c iifname lo accept",
		"unknown-reset":                                  "error unknown: something resets the connection; fix: look for what is in between: a proxy, or a rule that resets or redirects (nft list ruleset)",
		"unknown-descriptors":                            "error unknown: no file descriptor is left for a socket; fix: raise the limit: ulimit -n",
		"unknown-descriptors-udp":                        "error unknown: no file descriptor is left for a socket; fix: raise the limit: ulimit -n",
		"unknown-fragments":                              "error unknown: a probe with 60000 data bytes likely makes too many fragments for MTU 68; fix: smaller probes, or ip link set lo mtu 65536",
		"unknown-fragments-reply":                        "error unknown: a probe with 30000 data bytes likely makes too many fragments for MTU 68; fix: smaller probes, or ip link set lo mtu 65536",
		"unknown-service-resets":                         "error unknown: something resets the connection to 127.0.0.1:8080; fix: look at the log of the service",
		"unknown-silent":                                 "error unknown: no known cause; fix: lping doctor shows all that was read",
	}
	for _, c := range testCases(t) {
		text, ok := want[c.Name]
		delete(want, c.Name)
		list := Diagnose(c.Facts, c.Evidence)
		if !ok || len(list) == 0 {
			continue
		}
		f := list[0]
		if got := fmt.Sprintf("%s %s: %s; fix: %s", f.Severity, f.Code, f.Cause, f.Fix); got != text {
			t.Errorf("%s:\n got %s\nwant %s", c.Name, got, text)
		}
	}
	for name := range want {
		t.Errorf("there is no case %s", name)
	}
}

// notBare is what a shell takes as a whole, or nobody as a command.
var notBare = regexp.MustCompile(`sh -c '[^']*'|\([^)]*\)`)

// TestWithin holds that what mends a network from its host is one command there, and that the other fixes say nothing of it.
func TestWithin(t *testing.T) {
	const where = " # from the host: nsenter -t PID -n"
	inside := map[Code]bool{}
	for _, r := range rules {
		inside[r.Code] = r.fixedInside
	}
	for _, c := range testCases(t) {
		for _, place := range []platform.Container{{Runtime: "docker"}, {Runtime: "docker", HostNetwork: true}, {}} {
			c.Facts.Container = platform.Know(place)
			for _, f := range Diagnose(c.Facts, c.Evidence) {
				fix, told := strings.CutSuffix(f.Fix, where)
				want := inside[f.Code] && fix != "" && fix != detach && place.Runtime != "" && !place.HostNetwork
				if told != want {
					t.Errorf("%s in %+v: fix %q", c.Name, place, f.Fix)
				}
				if told && strings.ContainsAny(notBare.ReplaceAllString(fix, ""), "&;|'") {
					t.Errorf("%s: of %q the host would do a part on its own network", c.Name, f.Fix)
				}
			}
		}
	}
}

// TestJSON holds that facts and evidence survive being written and read.
func TestJSON(t *testing.T) {
	for _, c := range testCases(t) {
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var again testCase
		if err := json.Unmarshal(b, &again); err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		c2, err := json.Marshal(again)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b, c2) {
			t.Errorf("%s:\n got %s\nwant %s", c.Name, c2, b)
		}
	}
}

// FuzzDiagnose holds that no facts and no evidence make a rule panic, and that none alarms without trouble.
func FuzzDiagnose(f *testing.F) {
	for _, c := range testCases(f) {
		b, err := json.Marshal(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c testCase
		if json.Unmarshal(b, &c) != nil {
			return
		}
		list := Diagnose(c.Facts, c.Evidence)
		for _, found := range list {
			if found.Severity == Error && !c.Evidence.lacksAnswers() && c.Evidence.Corrupted == 0 && c.Evidence.Receive == "" {
				t.Errorf("every probe was answered, got error %s", found.Code)
			}
		}
		explained := slices.ContainsFunc(list, func(f Finding) bool { return f.Code != DuplicateReplies })
		if c.Evidence.missing() > 0 && !explained {
			t.Errorf("answers are missing, got %q", codes(list))
		}
	})
}

// FuzzService holds the same for whatever a service may do, with the words that tell it.
func FuzzService(f *testing.F) {
	f.Add(byte(0), uint16(0x1111), uint64(0), byte(0), 503, "no", true)
	f.Add(byte(1), uint16(0x0500), uint64(0x010203), byte(4), 0, "220 hello", false)
	f.Add(byte(2), uint16(0x0050), uint64(0x0100), byte(9), 0, "", true)
	f.Add(byte(5), uint16(0x5000), uint64(0x05000000), byte(2), 0, "", false)
	f.Fuzz(func(t *testing.T, kind byte, classes uint16, service uint64, errno byte, status int, said string, known bool) {
		digit := func(i int) uint64 { return uint64(classes >> (4 * i) & 15) }
		count := func(i int) uint64 { return service >> (8 * i) & 255 }
		e := Evidence{
			Family: 4, Target: netip.MustParseAddr("127.0.0.1"), Asked: true, Port: 8080, Timeout: 400,
			Method: []string{"udp", "tcp", "http"}[kind%3], Echo: kind&64 != 0 && kind%3 < 2, Path: "/",
			Received: digit(0), Lost: digit(1), Late: digit(2), Corrupted: digit(3),
			Unaccepted: count(0), Held: count(1), Hanging: count(2), Resets: count(3), Wrong: count(4), SendErrors: count(5),
			Slowest: float64(count(6)) * 7, Status: max(0, min(status, 999)),
			Said: strings.TrimSpace(strings.Map(func(r rune) rune {
				if r < ' ' || r == 0x7f {
					return -1
				}
				return r
			}, said)),
		}
		e.Sent = e.Received + e.Lost + e.Late + e.Corrupted + e.SendErrors
		if errnos := []string{"ECONNREFUSED", "ECONNRESET", "EPIPE", "EPROTO", "ETIMEDOUT", "EADDRNOTAVAIL", "EPERM"}; e.SendErrors > 0 {
			e.Refused = []Refusal{{Errno: errnos[int(errno)%len(errnos)], Count: e.SendErrors}}
		}
		if known {
			e.Listeners = platform.Know([]platform.Listener{{Address: e.Target, Queue: uint32(count(7)), Backlog: uint32(errno)}})
		}
		if kind&128 != 0 {
			e.AnswersFrom = "127.0.0.2:8080"
		}
		checkService(t, e, Diagnose(platform.Facts{}, e))
	})
}

// checkService holds what is found of a service to what all findings promise.
func checkService(t *testing.T, e Evidence, list []Finding) {
	t.Helper()
	seen := map[Code]bool{}
	for _, f := range list {
		if seen[f.Code] {
			t.Errorf("%s was found twice", f.Code)
		}
		seen[f.Code] = true
		if f.Severity == Error && e.missing()+e.Corrupted == 0 {
			t.Errorf("every probe was answered, got error %s: %s", f.Code, f.Cause)
		}
		for _, s := range []string{f.Cause, f.Evidence, f.Fix} {
			if strings.Contains(s, "%!") || strings.ContainsAny(s, "\n\t\x1b") || strings.TrimSpace(s) != s {
				t.Errorf("%s: %q is not one clean line", f.Code, s)
			}
		}
		if f.Cause == "" || f.Evidence == "" {
			t.Errorf("%s: cause %q, evidence %q: want both", f.Code, f.Cause, f.Evidence)
		}
	}
	switch {
	case e.missing() > 0 && len(list) == 0:
		t.Error("answers are missing, and nothing was found")
	case seen[PortSilent] && seen[ServiceSlow]:
		t.Error("a service is silent and slow")
	case seen[PortResets] != (e.Resets > 0):
		t.Errorf("%d resets, found %q", e.Resets, codes(list))
	case seen[ServiceError] && !e.asked():
		t.Error("nothing was asked, and the answer is wrong")
	}
}

// TestTwoPlaces holds that a cause says so if the evidence fits two places, and how much is lost if some is.
func TestTwoPlaces(t *testing.T) {
	for name, want := range map[string]string{
		"fw_output-mixed":             "a firewall drops or rejects the probes at OUTPUT or POSTROUTING",
		"fw_output-or-egress":         "a firewall at OUTPUT or an egress filter of lo likely drops the probes",
		"fw_input_request-told-mixed": "a firewall drops or rejects the echo request or the reply at INPUT",
		"fw_output-told-partial":      "a firewall drops 3 of 10 probes at OUTPUT",
	} {
		i := slices.IndexFunc(testCases(t), func(c testCase) bool { return c.Name == name })
		c := testCases(t)[i]
		if got := Diagnose(c.Facts, c.Evidence); len(got) != 1 || got[0].Cause != want {
			t.Errorf("%s: got %+v, want %q", name, got, want)
		}
	}
}
