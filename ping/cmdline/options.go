// Package cmdline understands what people type, and the environment: [Read] makes one [Input] of both, Input.Settings
// the values that a check takes. Its errors are one line that says what is wrong, with a hint that corrects it.
//
// It imports no flag library: main gives the options (Input.Given) to urfave/cli, and hands the flags that it makes of
// them to Input.Settings (see [Flags]).
package cmdline

import (
	"fmt"
	"strings"
)

// Option is one option as the help, the command line and the environment know it.
type Option struct {
	Short   string // one character without its dash; empty: only a long name
	Long    string // unique, without dashes
	Takes   string // what the help calls its value; empty: it is a switch, and needs none
	Example string // a value for hints
	// Variable is the environment variable that sets it; empty if none does. Written out, it costs no time at the start.
	Variable string
	Usage    string

	// rivals are the other options that overrule the variable of this one if they are typed.
	rivals []string
}

// options are all options, in the order of the help.
var options = []*Option{
	{Short: "4", Long: "ipv4", Variable: "LPING_IPV4", Usage: "check 127.0.0.1 (the default)", rivals: []string{"ipv6"}},
	{Short: "6", Long: "ipv6", Variable: "LPING_IPV6", Usage: "check ::1; -4 -6: both at once, one verdict for both", rivals: []string{"ipv4"}},
	{Short: "c", Long: "count", Variable: "LPING_COUNT", Takes: "N", Example: "5", Usage: "probes (5; a service: 1); 0: until interrupted"},
	{Short: "i", Long: "interval", Variable: "LPING_INTERVAL", Takes: "T", Example: "0.2", Usage: "time between probes (50ms); 0: as the replies come"},
	{Short: "W", Long: "timeout", Variable: "LPING_TIMEOUT", Takes: "T", Example: "0.4", Usage: "time for a reply (400ms; HTTP: 1s); 0: no limit"},
	{Short: "w", Long: "deadline", Variable: "LPING_DEADLINE", Takes: "T", Example: "10", Usage: "time for the run; goes on until -c replies came", rivals: []string{"wait"}},
	{Short: "s", Long: "size", Variable: "LPING_SIZE", Takes: "N", Example: "56", Usage: "data bytes (56)", rivals: []string{"sweep"}},
	{Short: "p", Long: "pattern", Variable: "LPING_PATTERN", Takes: "HEX", Example: "ff00", Usage: "up to 16 bytes that fill the data after the nonce"},
	{Short: "f", Long: "flood", Variable: "LPING_FLOOD", Usage: "as fast as the replies come, at least every 10 ms"},
	{Short: "A", Long: "adaptive", Variable: "LPING_ADAPTIVE", Usage: "the next probe when the reply to the last came"},
	{Short: "l", Long: "preload", Variable: "LPING_PRELOAD", Takes: "N", Example: "3", Usage: "send N probes at once, then at the interval"},
	{Short: "t", Long: "ttl", Variable: "LPING_TTL", Takes: "N", Example: "64", Usage: "time to live, or hop limit"},
	{Short: "Q", Long: "tos", Variable: "LPING_TOS", Takes: "N", Example: "0x10", Usage: "type of service, or traffic class"},
	{Short: "M", Long: "pmtudisc", Variable: "LPING_PMTUDISC", Takes: "MODE", Example: "do", Usage: "path MTU discovery: do, want, dont or probe"},
	{Short: "I", Long: "interface", Variable: "LPING_INTERFACE", Takes: "X", Example: "lo", Usage: "source address, or loopback interface"},
	{Short: "q", Long: "quiet", Variable: "LPING_QUIET", Usage: "only the first line, the verdict and the statistics"},
	{Short: "n", Long: "numeric", Variable: "LPING_NUMERIC", Usage: "numeric output; lping prints no other"},
	{Short: "D", Long: "timestamp", Variable: "LPING_TIMESTAMP", Usage: "the Unix time before each line about a probe"},
	{Short: "O", Long: "outstanding", Variable: "LPING_OUTSTANDING", Usage: "a line for each probe without an answer so far"},
	{Long: "color", Variable: "LPING_COLOR", Takes: "WHEN", Example: "never", Usage: "colours: auto (on a terminal), always or never"},
	{Short: "a", Long: "audible", Variable: "LPING_AUDIBLE", Usage: "ring the bell at each reply"},
	{Short: "v", Long: "verbose", Variable: "LPING_VERBOSE", Usage: "show identifiers and foreign replies"},
	{Short: "U", Long: "user-latency", Variable: "LPING_USER_LATENCY", Usage: "RTT to the return of the read, not to the kernel's stamp"},
	{Short: "3", Long: "precision", Variable: "LPING_PRECISION", Usage: "every time with three decimals"},
	{
		Long: "proto", Variable: "LPING_PROTO", Takes: "P", Example: "udp", Usage: "icmp, udp or tcp; auto: icmp, or udp where it must",
		rivals: []string{"socket"},
	},
	// Kubernetes sets LPING_PORT to an address if it has a Service of the name lping.
	{
		Long: "port", Variable: "LPING_TARGET_PORT", Takes: "N", Example: "8080", Usage: "a service at this port (LPING_TARGET_PORT)",
	},
	{Long: "echo", Variable: "LPING_ECHO", Usage: "the service is an echo: compare what it sends back"},
	{Long: "wait", Variable: "LPING_WAIT", Takes: "T", Example: "30", Usage: "until every target answers, for up to T", rivals: []string{"deadline", "every"}},
	{Long: "every", Variable: "LPING_EVERY", Takes: "T", Example: "60", Usage: "the whole check again every T, until interrupted", rivals: []string{"wait"}},
	{Long: "live", Variable: "LPING_LIVE", Usage: "a chart on the terminal while the run lasts; q ends it"},
	{
		Long: "sweep", Variable: "LPING_SWEEP", Takes: "LIST", Example: "0:1472:64", Usage: "a size a probe: FROM:TO[:STEP], TO included, or a list",
		rivals: []string{"size"},
	},
	{Long: "socket", Variable: "LPING_SOCKET", Takes: "KIND", Example: "dgram", Usage: "ICMP socket: auto, dgram or raw", rivals: []string{"proto"}},
	{Long: "max-loss", Variable: "LPING_MAX_LOSS", Takes: "P", Example: "60%", Usage: "loss that is still healthy (0%)"},
	{Long: "max-rtt", Variable: "LPING_MAX_RTT", Takes: "T", Example: "5ms", Usage: "most for the p99 of the RTT; below 100 replies its median"},
	{Long: "warn", Variable: "LPING_WARN", Takes: "L", Example: "5,20%", Usage: "mean RTT in ms, loss: degraded beyond (Nagios ranges)"},
	{Long: "crit", Variable: "LPING_CRIT", Takes: "L", Example: "9,60%", Usage: "the same: unhealthy beyond, in the place of --max-loss"},
	{
		Long: "format", Variable: "LPING_FORMAT", Takes: "F", Example: "json", Usage: "output: text, line, json, prometheus or nagios",
		rivals: []string{"json", "health"},
	},
	{Short: "j", Long: "json", Variable: "LPING_JSON", Usage: "--format json", rivals: []string{"format", "health"}},
	{Long: "output", Variable: "LPING_OUTPUT", Takes: "FILE", Example: "lping.prom", Usage: "write to FILE, whole or not at all; -: stdout"},
	{Long: "exit", Variable: "LPING_EXIT", Takes: "SCHEME", Example: "health", Usage: "exit status: ping, health or nagios", rivals: []string{"health"}},
	{Long: "health", Variable: "LPING_HEALTH", Usage: "--format line --exit health, for containers", rivals: []string{"format", "json"}},
	// Images set LPING_VERSION to the version of the lping that they hold.
	{Short: "V", Long: "version", Usage: "print the version"},
	{Short: "h", Long: "help", Usage: "print this help"},
}

// IsSwitch says that an option needs no value.
func (o *Option) IsSwitch() bool { return o.Takes == "" }

// names is how the help names an option: "-c, --count N".
func (o *Option) names() string {
	names := "    "
	if o.Short != "" {
		names = "-" + o.Short + ", "
	}
	names += "--" + o.Long
	if !o.IsSwitch() {
		names += " " + o.Takes
	}
	return names
}

const helpHead = `lping checks loopback: it sends ICMP echo requests to 127.0.0.1 or ::1 and says
whether all is well and, if not, why.

Usage: lping [options] [target ...]
       lping doctor [-4] [-6] [-j] [-v] [--exit SCHEME]  the whole picture
       lping serve [-4] [-6] [-q] [ADDRESS:PORT]         an echo to test against
       lping explain [CODE ...]                          what the codes mean

A target is an address of loopback (127.0.0.1, ::1, localhost, 127.0.0.2) or a
service there: localhost:8080, [::1]:8080, tcp://127.0.0.1:8080,
udp://127.0.0.1:53, http://127.0.0.1:8080/healthz. Up to 16 are checked at once.
T is in seconds (0.2) or has a unit (200ms). Every option has a variable as
well: LPING_COUNT=3 is --count 3. LPING_ADDRESS is the targets.

Options:
`

const helpTail = `
Examples:
  lping -4 -6 --health      both families, one line, exit status 0 or 1
  lping -f -c 100000 -q     a flood of 100000 probes, only the statistics
  lping localhost:8080      does a service accept connections? By which family?
`

// Help is the text of --help.
func Help() string {
	var b strings.Builder
	b.WriteString(helpHead)
	for _, o := range options {
		fmt.Fprintf(&b, "  %-20s %s\n", o.names(), o.Usage)
	}
	b.WriteString(helpTail)
	return b.String()
}
