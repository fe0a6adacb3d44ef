// Package cmdline understands what people type, and the environment: [Read] makes one [Input] of both, Input.Settings
// the values that a check takes. Its errors are one line that says what is wrong, with a hint that corrects it.
//
// It imports no flag library: main gives the options (Input.Given) to urfave/cli, and hands the flags that it makes of
// them to Input.Settings (see [Flags]).
package cmdline

import (
	"cmp"
	"fmt"
	"strings"
)

// Option is one option as the help, the command line and the environment know it.
type Option struct {
	Short   string // one character without its dash; empty: only a long name
	Long    string // unique, without dashes
	Takes   string // what the help calls its value; empty: it is a switch, and needs none
	Example string // a value for hints
	Usage   string

	// variable is the name of the option's variable after "LPING_" if that is not the long name; see noVariable.
	variable string
	// rivals are the other options that overrule the variable of this one if they are typed.
	rivals []string
}

// noVariable is the variable of an option that the environment cannot set.
const noVariable = "-"

// options are all options, in the order of the help.
var options = []*Option{
	{Short: "4", Long: "ipv4", Usage: "check 127.0.0.1 (the default)", rivals: []string{"ipv6"}},
	{Short: "6", Long: "ipv6", Usage: "check ::1; -4 -6: both at once, one verdict for both", rivals: []string{"ipv4"}},
	{Short: "c", Long: "count", Takes: "N", Example: "5", Usage: "probes (5); 0: until interrupted, as with -w or -f alone"},
	{Short: "i", Long: "interval", Takes: "T", Example: "0.2", Usage: "time between probes (50ms); 0: as the replies come"},
	{Short: "W", Long: "timeout", Takes: "T", Example: "0.4", Usage: "time for the reply to one probe (400ms); 0: no limit"},
	{Short: "w", Long: "deadline", Takes: "T", Example: "10", Usage: "time for the run; goes on until -c replies came"},
	{Short: "s", Long: "size", Takes: "N", Example: "56", Usage: "data bytes (56)", rivals: []string{"sweep"}},
	{Short: "p", Long: "pattern", Takes: "HEX", Example: "ff00", Usage: "up to 16 bytes that fill the data after the nonce"},
	{Short: "f", Long: "flood", Usage: "as fast as the replies come, at least every 10 ms"},
	{Short: "A", Long: "adaptive", Usage: "the next probe when the reply to the last came"},
	{Short: "l", Long: "preload", Takes: "N", Example: "3", Usage: "send N probes at once, then at the interval"},
	{Short: "t", Long: "ttl", Takes: "N", Example: "64", Usage: "time to live, or hop limit"},
	{Short: "Q", Long: "tos", Takes: "N", Example: "0x10", Usage: "type of service, or traffic class"},
	{Short: "M", Long: "pmtudisc", Takes: "MODE", Example: "do", Usage: "path MTU discovery: do, want, dont or probe"},
	{Short: "I", Long: "interface", Takes: "X", Example: "lo", Usage: "source address, or loopback interface"},
	{Short: "q", Long: "quiet", Usage: "only the first line, the verdict and the statistics"},
	{Short: "n", Long: "numeric", Usage: "numeric output; lping prints no other"},
	{Short: "D", Long: "timestamp", Usage: "the Unix time before each line about a probe"},
	{Short: "O", Long: "outstanding", Usage: "a line for each probe without an answer so far"},
	{Short: "a", Long: "audible", Usage: "ring the bell at each reply"},
	{Short: "v", Long: "verbose", Usage: "show identifiers and foreign replies"},
	{Short: "U", Long: "user-latency", Usage: "RTT to the return of the read, not to the kernel's stamp"},
	{Short: "3", Long: "precision", Usage: "every time with three decimals"},
	{
		Long: "proto", Takes: "P", Example: "udp", Usage: "icmp, udp or tcp; auto: icmp, or udp where it must",
		rivals: []string{"socket"},
	},
	// Kubernetes sets LPING_PORT to an address if it has a Service of the name lping.
	{
		Long: "port", Takes: "N", Example: "8080", Usage: "with udp or tcp: a local service (LPING_TARGET_PORT)",
		variable: "TARGET_PORT",
	},
	{
		Long: "sweep", Takes: "LIST", Example: "0:1472:64", Usage: "a size a probe: FROM:TO[:STEP], TO included, or a list",
		rivals: []string{"size"},
	},
	{Long: "socket", Takes: "KIND", Example: "dgram", Usage: "ICMP socket: auto, dgram or raw", rivals: []string{"proto"}},
	{Long: "max-loss", Takes: "P", Example: "60%", Usage: "loss that is still healthy (0%)"},
	{Long: "max-rtt", Takes: "T", Example: "5ms", Usage: "most for the p99 of the RTT; below 100 replies its median"},
	{Long: "warn", Takes: "L", Example: "5,20%", Usage: "mean RTT in ms, loss: degraded beyond (Nagios ranges)"},
	{Long: "crit", Takes: "L", Example: "9,60%", Usage: "the same: unhealthy beyond, in the place of --max-loss"},
	{
		Long: "format", Takes: "F", Example: "json", Usage: "output: text, line, json, prometheus or nagios",
		rivals: []string{"json", "health"},
	},
	{Short: "j", Long: "json", Usage: "--format json", rivals: []string{"format", "health"}},
	{Long: "output", Takes: "FILE", Example: "lping.prom", Usage: "write to FILE, whole or not at all; -: stdout"},
	{Long: "exit", Takes: "SCHEME", Example: "health", Usage: "exit status: ping, health or nagios", rivals: []string{"health"}},
	{Long: "health", Usage: "--format line --exit health, for containers", rivals: []string{"format", "json"}},
	// Images set LPING_VERSION to the version of the lping that they hold.
	{Short: "V", Long: "version", Usage: "print the version", variable: noVariable},
	{Short: "h", Long: "help", Usage: "print this help", variable: noVariable},
}

// IsSwitch says that an option needs no value.
func (o *Option) IsSwitch() bool { return o.Takes == "" }

// environ is the name of the variable that sets an option; empty if none does.
func (o *Option) environ() string {
	if o.variable == noVariable {
		return ""
	}
	return "LPING_" + cmp.Or(o.variable, strings.ToUpper(strings.ReplaceAll(o.Long, "-", "_")))
}

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

Usage: lping [options] [address]
       lping doctor [-4] [-6] [-j] [--exit SCHEME]     the whole picture

The address is 127.0.0.1, ::1, localhost, or another address of loopback. T is
in seconds (0.2) or has a unit (200ms). Every option has a variable as well:
LPING_COUNT=3 is --count 3. LPING_ADDRESS is the address.

Options:
`

const helpTail = `
Examples:
  lping -4 -6 --health      both families, one line, exit status 0 or 1
  lping -f -c 100000 -q     a flood of 100000 probes, only the statistics
  lping --proto tcp --port 8080 localhost
                            does a service take connections, by which family?
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
