package droptrace

import (
	"strings"
	"testing"
)

// received is the outer part of a chain that goes through the receiving half, sent the outer part of any.
const (
	received = "__netif_receive_skb_one_core process_backlog __napi_poll net_rx_action handle_softirqs do_softirq __local_bh_enable_ip " +
		"__dev_queue_xmit ip_finish_output2 ip_output " + sent
	sent = "ip_push_pending_frames raw_sendmsg __sys_sendto __x64_sys_sendto do_syscall_64 entry_SYSCALL_64_after_hwframe"
	hook = "nft_do_chain nft_do_chain_inet nf_hook_slow "
)

// TestPlace: the chains are those of Linux 6.18, unless their names say other.
func TestPlace(t *testing.T) {
	const answers = "icmp_reply icmp_echo icmp_rcv ip_protocol_deliver_rcu ip_local_deliver_finish "
	tests := []struct{ name, reason, chain, want string }{
		{"nft output", "NETFILTER_DROP", hook + "__ip_local_out " + sent, "output nft"},
		{"nft output IPv6", "NETFILTER_DROP", hook + "__ip6_local_out ip6_local_out ip6_send_skb rawv6_sendmsg", "output nft"},
		{"nft output TCP IPv6", "NETFILTER_DROP", hook + "ip6_xmit inet6_csk_xmit __tcp_transmit_skb tcp_connect", "output nft"},
		{"nft output of the reply", "NETFILTER_DROP", hook + "__ip_local_out ip_push_pending_frames " + answers + received, "output nft"},
		{"nft postrouting", "NETFILTER_DROP", hook + "ip_output " + sent, "postrouting nft"},
		{"nft postrouting IPv6", "NETFILTER_DROP", hook + "ip6_output ip6_send_skb rawv6_sendmsg", "postrouting nft"},
		{"nft prerouting", "NETFILTER_DROP", hook + "ip_rcv " + received, "prerouting nft"},
		{"nft prerouting IPv6", "NETFILTER_DROP", hook + "ipv6_rcv " + received, "prerouting nft"},
		{"nft input", "NETFILTER_DROP", hook + "ip_local_deliver " + received, "input nft"},
		{"nft input IPv6", "NETFILTER_DROP", hook + "ip6_input " + received, "input nft"},
		{"nft netdev ingress", "NETFILTER_DROP", "nft_do_chain nft_do_chain_netdev nf_hook_slow __netif_receive_skb_core " + received, "ingress nft"},
		{"nft netdev egress", "NETFILTER_DROP", "nft_do_chain nft_do_chain_netdev nf_hook_slow __dev_queue_xmit ip_finish_output2", "egress nft"},
		{"nft before Linux 6.7", "NETFILTER_DROP", "nf_hook_slow ip_local_deliver " + received, "input netfilter"},
		{"nft before Linux 5.17", "", "nf_hook_slow __ip_local_out " + sent, "output netfilter"},
		{"iptables", "NETFILTER_DROP", "ipt_do_table nf_hook_slow __ip_local_out " + sent, "output iptables"},
		{"ip6tables", "NETFILTER_DROP", "ip6t_do_table ip6table_filter_hook nf_hook_slow ip6_input " + received, "input iptables"},
		{"iptables as nf_hook_slow frees", "NETFILTER_DROP", "nf_hook_slow __ip_local_out " + sent, "output netfilter"},
		{"SELinux", "NETFILTER_DROP", "selinux_ip_output nf_hook_slow __ip_local_out " + sent, "output LSM"},
		{"a hook that is not known", "NETFILTER_DROP", "nf_hook_slow br_forward br_flood a b ip_rcv", " netfilter"},
		{"symbols hidden", "NETFILTER_DROP", "", " netfilter"},
		{"queue", "QDISC_DROP", "__dev_queue_xmit ip_finish_output2 ip_output " + sent, "interface qdisc"},
		{"queue, list", "QDISC_DROP", "kfree_skb_list_reason __dev_queue_xmit ip_finish_output2 " + sent, "interface qdisc"},
		{"queue before Linux 5.17", "", "kfree_skb_list __dev_queue_xmit ip_finish_output2 " + sent, "interface qdisc"},
		{"queue or tc filter before Linux 5.17", "", "__dev_queue_xmit ip_finish_output2 ip_output " + sent, " "},
		{"queue, symbols hidden", "QDISC_OVERLIMIT", "", "interface qdisc"},
		{"tc egress", "TC_EGRESS", "__dev_queue_xmit ip_finish_output2 ip_output " + sent, "egress tc"},
		{"tc ingress", "TC_INGRESS", "__netif_receive_skb_core " + received, "ingress tc"},
		{"tc ingress before Linux 5.17", "", "__netif_receive_skb_core " + received, "ingress "},
		{"XDP", "XDP", "do_xdp_generic __netif_receive_skb_core " + received, "ingress XDP"},
		{"XDP before Linux 5.17", "", "netif_receive_generic_xdp do_xdp_generic __netif_receive_skb_core " + received, "ingress XDP"},
		{"cgroup egress", "BPF_CGROUP_EGRESS", "ip_finish_output ip_output " + sent, "egress cgroup"},
		{"xfrm", "XFRM_POLICY", "icmpv6_rcv ip6_protocol_deliver_rcu ip6_input_finish ip6_input " + received, "socket xfrm"},
		{"security", "SECURITY_HOOK", "tcp_v4_rcv ip_protocol_deliver_rcu " + received, "socket LSM"},
		{"reverse path filter", "IP_RPFILTER", "ip_rcv_finish_core ip_rcv " + received, "routing "},
		{"no route before Linux 5.17", "", "ip_rcv_finish_core ip_rcv " + received, "routing "},
		{"backlog", "CPU_BACKLOG", "enqueue_to_backlog netif_rx_internal __netif_rx loopback_xmit dev_hard_start_xmit " + sent, "interface "},
		{"reply's copy", "NO_SOCKET", "ping_rcv icmp_rcv ip_protocol_deliver_rcu ip_local_deliver_finish " + received, "socket "},
		{"filter of a socket", "SOCKET_FILTER", "raw_rcv raw_local_deliver ip_protocol_deliver_rcu " + received, "socket "},
		{"buffer of a socket", "SOCKET_RCVBUFF", "__udp_enqueue_schedule_skb udp_queue_rcv_one_skb " + received, "socket "},
		{"full accept queue", "TCP_LISTEN_OVERFLOW", "tcp_conn_request tcp_v4_conn_request tcp_rcv_state_process tcp_v4_do_rcv tcp_v4_rcv", "socket "},
		{"far from what is known", "NOT_SPECIFIED", "a b c d __dev_queue_xmit ip_rcv", " "},
		{"nothing", "", "", " "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Drop{Reason: tt.reason, Functions: strings.Fields(tt.chain)}.Place()
			if got := string(p.Hook) + " " + string(p.Framework); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestForeign(t *testing.T) {
	const interrupt = "__irq_exit_rcu sysvec_apic_timer_interrupt asm_sysvec_apic_timer_interrupt ksys_read do_syscall_64"
	tests := []struct {
		name, chain string
		want        bool
	}{
		{"sent", "nft_do_chain nf_hook_slow __ip_local_out " + sent, false},
		{"sent and received", "nft_do_chain nf_hook_slow ip_rcv " + received, false},
		{"symbols hidden", "", false},
		{"a socket that ends after an interrupt", "inet_sock_destruct rcu_do_batch rcu_core handle_softirqs " + interrupt, true},
		{"received after an interrupt", "ip_rcv __netif_receive_skb_one_core process_backlog __napi_poll net_rx_action handle_softirqs " + interrupt, true},
		{"received from a network card", "ip_rcv napi_gro_receive virtnet_poll __napi_poll net_rx_action handle_softirqs do_softirq " + sent, true},
		{"a timer", "tcp_v4_do_rcv tcp_write_timer call_timer_fn run_timer_softirq __do_softirq do_softirq " + sent, true},
		{"an interrupt on arm64", "ip_rcv process_backlog net_rx_action __do_softirq irq_exit gic_handle_irq el1_irq", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := (Drop{Functions: strings.Fields(tt.chain)}).Foreign(); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
