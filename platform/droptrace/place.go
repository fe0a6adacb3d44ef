package droptrace

import (
	"cmp"
	"slices"
	"strings"
)

// Hook is how far a packet had come on its way.
type Hook string

// The hooks, in the order of the way over loopback.
const (
	Output      Hook = "output"
	Postrouting Hook = "postrouting"
	// Egress is where cgroups, netdev chains and tc filters look at what leaves, Interface the queue of lo and lo itself.
	Egress    Hook = "egress"
	Interface Hook = "interface"
	// Ingress is where XDP, tc filters and netdev chains look at what arrives.
	Ingress    Hook = "ingress"
	Prerouting Hook = "prerouting"
	// Routing is the decision about what arrived.
	Routing Hook = "routing"
	Input   Hook = "input"
	// Socket is the receiving protocol and its sockets.
	Socket Hook = "socket"
)

// Framework is whose rule dropped a packet.
type Framework string

// The frameworks. Netfilter is any that has hooks there: before Linux 6.7 nft, and up to now iptables and connection tracking.
const (
	NFT       Framework = "nft"
	IPTables  Framework = "iptables"
	Netfilter Framework = "netfilter"
	Cgroup    Framework = "cgroup"
	TC        Framework = "tc"
	XDP       Framework = "XDP"
	XFRM      Framework = "xfrm"
	LSM       Framework = "LSM"
	Qdisc     Framework = "qdisc"
)

// Place is where a packet was dropped. What neither the chain nor the reason tells is empty: the framework often is, for most
// drops have nothing to do with a rule.
type Place struct {
	Hook      Hook
	Framework Framework
}

// Place tells the place: at a hook of netfilter by the functions, else by the reason, and by the functions what that leaves open.
func (d Drop) Place() Place {
	p := placeOfReason(d.Reason)
	if i := slices.IndexFunc(d.Functions, isHookRunner); i >= 0 {
		return Place{hookOfCallers(d.Functions[i+1:], p.Hook), frameworkOfHook(d.Functions[:i])}
	}
	for _, function := range d.Functions[:min(len(d.Functions), nearby)] {
		if found := (Place{stageOf(function), frameworkOf(function)}); found != (Place{}) {
			return merge(p, found)
		}
		if function == "__dev_queue_xmit" { // it drops for tc filters and for the queue: only the reason tells which
			break
		}
	}
	return p
}

// nearby is how many functions are asked, from the one that dropped the packet. Those further out have only sent it on.
const nearby = 4

// merge adds what the functions told to what the reason did not.
func merge(reason, functions Place) Place {
	return Place{cmp.Or(reason.Hook, functions.Hook), cmp.Or(reason.Framework, functions.Framework)}
}

// isHookRunner says that a function calls what is registered at a hook of netfilter (net/netfilter/core.c).
func isHookRunner(function string) bool { return strings.HasPrefix(function, "nf_hook_slow") }

// netfilterHook is the hook that a function calls, or that the compiler put the call into.
func netfilterHook(function string) Hook {
	switch function {
	case "__ip_local_out", "ip_local_out", "__ip6_local_out", "ip6_local_out", "ip6_xmit", "raw_sendmsg", "raw_send_hdrinc",
		"rawv6_sendmsg", "rawv6_send_hdrinc", "igmpv3_sendpack", "mld_sendpack", "ndisc_send_skb":
		return Output
	case "ip_output", "ip6_output", "ip_mc_output", "xfrm4_output", "xfrm6_output", "xfrm_output_resume":
		return Postrouting
	case "__dev_queue_xmit", "dev_queue_xmit", "nf_hook_egress":
		return Egress
	case "__netif_receive_skb_core", "nf_hook_ingress", "nf_ingress":
		return Ingress
	case "ip_rcv", "ip_list_rcv", "ip_sublist_rcv", "ipv6_rcv", "ipv6_list_rcv", "ip6_sublist_rcv":
		return Prerouting
	case "ip_local_deliver", "ip6_input", "ip6_mc_input":
		return Input
	}
	return ""
}

// hookOfCallers is the hook that the innermost of the callers calls that calls any.
func hookOfCallers(callers []string, otherwise Hook) Hook {
	for _, function := range callers[:min(len(callers), nearby)] {
		if hook := netfilterHook(function); hook != "" {
			return hook
		}
	}
	return otherwise
}

// frameworkOfHook tells by the functions that a hook of netfilter called.
func frameworkOfHook(called []string) Framework {
	for _, function := range called {
		if f := frameworkOf(function); f != "" {
			return f
		}
	}
	return Netfilter
}

// frameworks are known by how the names of their functions begin.
var frameworks = []struct {
	prefix    string
	framework Framework
}{
	{"nft_", NFT}, {"ipt_do_table", IPTables}, {"ip6t_do_table", IPTables}, {"iptable_", IPTables}, {"ip6table_", IPTables},
	{"selinux_", LSM}, {"smack_", LSM}, {"apparmor_", LSM}, {"security_", LSM},
	{"__cgroup_bpf_", Cgroup}, {"xfrm", XFRM}, {"__xfrm", XFRM},
	{"do_xdp_generic", XDP}, {"netif_receive_generic_xdp", XDP}, {"bpf_prog_run_generic_xdp", XDP},
	{"tcf_", TC}, {"__tcf_", TC}, {"tc_run", TC}, {"sch_handle_", TC}, {"tcx_run", TC},
	{"__dev_xmit_skb", Qdisc}, {"__qdisc_", Qdisc}, {"qdisc_", Qdisc}, {"sch_direct_xmit", Qdisc},
	// A queue frees what it refuses as a list.
	{"kfree_skb_list", Qdisc},
}

func frameworkOf(function string) Framework {
	for _, row := range frameworks {
		if strings.HasPrefix(function, row.prefix) {
			return row.framework
		}
	}
	return ""
}

// stages are known by how the names of their functions begin, apart from netfilter's hooks.
var stages = []struct {
	prefix string
	hook   Hook
}{
	{"__cgroup_bpf_", Egress}, {"sch_handle_egress", Egress},
	{"ip_finish_output2", Interface}, {"ip6_finish_output2", Interface}, {"kfree_skb_list", Interface}, {"__dev_xmit_skb", Interface},
	{"__qdisc_", Interface}, {"qdisc_", Interface}, {"sch_direct_xmit", Interface}, {"validate_xmit_skb", Interface},
	{"dev_hard_start_xmit", Interface}, {"loopback_xmit", Interface}, {"enqueue_to_backlog", Interface},
	{"netif_rx", Interface}, {"__netif_rx", Interface},
	{"do_xdp_generic", Ingress}, {"netif_receive_generic_xdp", Ingress}, {"bpf_prog_run_generic_xdp", Ingress},
	{"sch_handle_ingress", Ingress}, {"__netif_receive_skb_core", Ingress},
	{"ip_rcv_finish", Routing}, {"ip6_rcv_finish", Routing}, {"ip_route_input", Routing}, {"ip6_route_input", Routing},
	{"ip_error", Routing}, {"ip6_pkt_drop", Routing}, {"ip6_pkt_discard", Routing}, {"ip6_pkt_prohibit", Routing},
	{"ip_local_deliver_finish", Socket}, {"ip_protocol_deliver", Socket}, {"ip6_protocol_deliver", Socket},
	{"ip6_input_finish", Socket}, {"sk_filter_trim", Socket}, {"sock_queue_rcv", Socket}, {"__sock_queue_rcv", Socket},
	{"__sk_receive_skb", Socket}, {"icmp_rcv", Socket}, {"icmpv6_rcv", Socket}, {"ping_rcv", Socket}, {"ping_queue_rcv", Socket},
	{"__ping_queue_rcv", Socket}, {"raw_rcv", Socket}, {"raw_local_deliver", Socket}, {"raw_v4_input", Socket},
	{"rawv6_rcv", Socket}, {"raw6_local_deliver", Socket}, {"udp_rcv", Socket}, {"udp_queue_rcv", Socket}, {"udp_unicast_rcv", Socket},
	{"__udp4_lib_rcv", Socket}, {"__udp6_lib_rcv", Socket}, {"__udp_enqueue", Socket}, {"udpv6_rcv", Socket}, {"udpv6_queue_rcv", Socket},
	{"udp6_unicast_rcv", Socket}, {"tcp_v4_rcv", Socket}, {"tcp_v6_rcv", Socket}, {"tcp_v4_do_rcv", Socket}, {"tcp_v6_do_rcv", Socket},
	{"tcp_rcv_", Socket}, {"tcp_conn_request", Socket}, {"tcp_validate_incoming", Socket}, {"tcp_data_queue", Socket},
	{"tcp_drop", Socket}, {"tcp_filter", Socket}, {"tcp_add_backlog", Socket}, {"tcp_check_req", Socket},
}

func stageOf(function string) Hook {
	for _, row := range stages {
		if strings.HasPrefix(function, row.prefix) {
			return row.hook
		}
	}
	return ""
}

// placeOfReason tells by the reason alone, as with hidden symbols.
func placeOfReason(reason string) Place {
	switch reason {
	case "NETFILTER_DROP":
		return Place{Framework: Netfilter}
	case "BPF_CGROUP_EGRESS":
		return Place{Egress, Cgroup}
	case "TC_EGRESS":
		return Place{Egress, TC}
	case "TC_INGRESS":
		return Place{Ingress, TC}
	case "XDP":
		return Place{Ingress, XDP}
	case "XFRM_POLICY":
		return Place{Framework: XFRM}
	case "SECURITY_HOOK":
		return Place{Framework: LSM}
	case "QDISC_DROP", "QDISC_OVERLIMIT", "QDISC_CONGESTED", "CAKE_FLOOD", "DUALPI2_STEP_DROP",
		"FQ_BAND_LIMIT", "FQ_HORIZON_LIMIT", "FQ_FLOW_LIMIT":
		return Place{Interface, Qdisc}
	case "CPU_BACKLOG":
		return Place{Hook: Interface}
	case "IP_RPFILTER", "IP_LOCALNET", "IP_LOCAL_SOURCE", "IP_INVALID_SOURCE", "IP_INVALID_DEST", "IP_INADDRERRORS", "IP_INNOROUTES":
		return Place{Hook: Routing}
	case "NO_SOCKET", "SOCKET_FILTER", "SOCKET_RCVBUFF", "SOCKET_BACKLOG", "SOCKET_CLOSE", "PROTO_MEM", "UDP_CSUM", "TCP_CSUM", "ICMP_CSUM":
		return Place{Hook: Socket}
	}
	if strings.HasPrefix(reason, "TCP_") {
		return Place{Hook: Socket}
	}
	return Place{}
}
