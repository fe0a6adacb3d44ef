// Package droptrace tells which packets the kernel dropped while this process sent, where and why. The kernel passes each of
// them through one tracepoint, skb:kfree_skb (include/trace/events/skb.h). On loopback a packet goes all its way within the
// system call that sends it, so the drops of this process's own threads are those of its own packets, with few exceptions
// (Drop.Foreign).
//
// A list without drops proves nothing: the receiving half may run elsewhere (RPS on lo, threaded NAPI, ksoftirqd on a busy
// machine), and a thread that was started after Open is not watched.
package droptrace

import (
	"errors"
	"slices"
	"strings"
)

// Why nothing can be told. A person can read them.
var (
	ErrSystem        = errors.New("only Linux tells which packets it drops")
	ErrNoTracefs     = errors.New("no tracefs")
	ErrNoEvent       = errors.New("the kernel has no tracepoint skb:kfree_skb")
	ErrTracefsDenied = errors.New("reading tracefs needs root in the first user namespace")
	ErrPerfDenied    = errors.New("perf_event_open needs CAP_PERFMON in the first user namespace")
	ErrHidden        = errors.New("the kernel hides its symbols (kernel.kptr_restrict, CAP_SYSLOG)")
	ErrSlow          = errors.New("the kernel's symbols took too long to read")
)

// Drop is one packet that the kernel threw away.
type Drop struct {
	// Reason is the kernel's word for why, such as NETFILTER_DROP (include/net/dropreason-core.h); empty if the kernel has
	// none, as before 5.17. Three are no fault by themselves: NO_SOCKET in ping_rcv is a copy of the reply that no datagram
	// socket wanted, QUEUE_PURGE is what a socket had not read when it was closed, and NOT_SPECIFIED is either of them on
	// Linux 6.1, or what a close throws away; it is a fault where Place has a framework.
	Reason string `json:"reason,omitempty"`
	// Functions are the kernel's functions that called each other, the one that dropped the packet first, without the
	// suffixes of compilers; nil before Name. "?" is a function without a name.
	Functions []string `json:"functions,omitempty"`
	// Protocol is the EtherType: 0x0800 for IPv4, 0x86dd for IPv6; 0 if the packet had none yet.
	Protocol uint16 `json:"protocol,omitempty"`
	// Addresses are where Functions were called, or went on; for Name, and no report's business.
	Addresses []uint64 `json:"-"`
}

// softirqs are the functions that run what interrupts left to do, backlog the one that receives what lo sent.
var softirqs = []string{"handle_softirqs", "__do_softirq", "net_rx_action", "do_softirq"}

const backlog = "process_backlog"

// Foreign says that the packet was another's, for the chain leads to an interrupt or to a timer that came while this process
// ran. Without names it is false.
func (d Drop) Foreign() bool {
	deferred := slices.ContainsFunc(d.Functions, func(f string) bool { return slices.Contains(softirqs, f) })
	return deferred && !slices.Contains(d.Functions, backlog) || slices.ContainsFunc(d.Functions, isInterrupt)
}

// isInterrupt says that a function is one by which interrupts enter the kernel or leave it, on any processor.
func isInterrupt(function string) bool {
	switch strings.TrimLeft(function, "_") {
	case "irq_exit", "irq_exit_rcu", "common_interrupt", "asm_common_interrupt", "el1_interrupt", "do_IRQ":
		return true
	}
	return strings.HasPrefix(function, "sysvec_") || strings.HasPrefix(function, "asm_sysvec_")
}
