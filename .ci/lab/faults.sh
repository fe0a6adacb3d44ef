# What only a whole machine has: netem, VRF, conntrack's limit, a clock to set, receive steering. .ci/lab/run has it run on other
# kernels; the words are those of ping/testdata/bin and ping/internal/scripttools. First all is well, then each fault has its code
# and a fix that helps, in both families, and so has what looks like it and is none.
set -e

# says REGEX COMMAND [ARG ...]: one of five answers of the command has a line that matches. A busy machine receives elsewhere at
# times, where nobody watches what the kernel drops.
says() {
	regex=$1
	shift
	for _ in 1 2 3 4 5; do
		"$@" >answer 2>&1 || true
		grep -Eq -- "$regex" answer && return
	done
	cat answer
	echo "says: want a line that matches $regex"
	exit 1
}
# A host that starves this machine is no fault of its loopback, so that answers have time.
well() { steady "$@" -W 5s >/dev/null; }
part() { echo "-- $(cut -d ' ' -f 1 /proc/uptime) $*"; }
netem='the queueing discipline netem of lo'

part "all is well"
well 20 -4 -6
for discipline in fq fq_codel cake "htb default 1" pfifo; do
	tc qdisc add dev lo root handle 1: $discipline
	[ "$discipline" != "htb default 1" ] || tc class add dev lo parent 1: classid 1:1 htb rate 1gbit quantum 60000
	well 20 -4 -6 -i 2ms
	tc qdisc del dev lo root
done
echo 3 >/sys/class/net/lo/queues/rx-0/rps_cpus
well 5 -4 -6
echo 0 >/sys/class/net/lo/queues/rx-0/rps_cpus

# spoil VERDICT CODE REGEX OPTION ...: netem that is set so has this verdict and this code, and the cause matches.
spoil() {
	verdict=$1 code=$2 regex=$3
	shift 3
	part "netem $*"
	tc qdisc add dev lo root netem "$@"
	patience=
	[ "$verdict" = unhealthy ] || patience='-W 5s'
	"$verdict" dgram "$code" $patience >answer
	grep -Eq "$netem (likely )?$regex; .*fix: tc qdisc del dev lo root" answer || { cat answer; exit 1; }
	"$verdict" nobody "$code" -6 $patience
	[ "$1" = corrupt ] || "$verdict" nobody "$code" --proto udp $patience
	tc qdisc del dev lo root
	well 1 -4 -6 -i 2ms
}
spoil unhealthy qdisc_drop 'loses 70% of the packets' loss 70%
spoil unhealthy qdisc_drop 'loses packets in bursts' loss gemodel 90% 10%
spoil unhealthy qdisc_drop 'drops packets beyond its limit of 0' limit 0
spoil degraded qdisc_delays 'delays packets by 20ms' delay 20ms
spoil degraded qdisc_delays 'delays packets by 10ms to 30ms and lets 25% of them overtake' delay 20ms 10ms reorder 25%
spoil unhealthy qdisc_delays 'delays packets by 2s' delay 2s
spoil unhealthy qdisc_delays 'sends 10 kbit/s at most' rate 10kbit
spoil degraded duplicate_replies 'duplicates 100% of the packets' duplicate 100%
spoil unhealthy payload_corrupted 'corrupts 100% of the packets' corrupt 100%

part "netem below another discipline"
tc qdisc add dev lo root handle 1: htb default 1
tc class add dev lo parent 1: classid 1:1 htb rate 1gbit quantum 60000
tc qdisc add dev lo parent 1:1 netem loss 70%
unhealthy dgram qdisc_drop
unhealthy nobody qdisc_drop -6
mend qdisc_drop -4 -6 -i 2ms -W 5s

part "netem that the probes do not meet, or that is set to nothing"
tc qdisc add dev lo root handle 1: prio priomap 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
tc qdisc add dev lo parent 1:3 netem delay 20ms loss 70% duplicate 100% corrupt 100%
well 3 -4 -6
tc qdisc del dev lo root
tc qdisc add dev lo root netem
well 3 -4 -6

part "netem that delays is not blamed for a firewall"
tc qdisc replace dev lo root netem delay 10ms
nft 'add table inet t; add chain inet t c { type filter hook input priority 0; }'
nft 'add rule inet t c icmp type echo-request drop; add rule inet t c icmpv6 type echo-request drop'
unhealthy dgram fw_input_request
unhealthy nobody fw_input_request -6
tc qdisc del dev lo root

part "the kernel's own word" # doctor has the time to look up names, which takes such a machine a second
word() { says "\"cause\":\"$1\",\"evidence\":\"the kernel dropped the probe in [a-z0-9_]+ at $2" lping doctor -j $3; }
word 'a firewall drops the echo request at INPUT' 'INPUT: NETFILTER_DROP; .*chains there: inet t c' -4
word 'a firewall drops the echo request at INPUT' 'INPUT: NETFILTER_DROP; .*chains there: inet t c' -6
nft 'flush ruleset; add table inet t; add chain inet t c { type filter hook output priority 0; }; add rule inet t c oifname lo drop'
word 'a firewall drops the probes at OUTPUT' 'OUTPUT: NETFILTER_DROP; .*chains there: inet t c' -4
nft flush ruleset
tc qdisc add dev lo root netem loss 100%
word "$netem loses 100% of the packets" 'INTERFACE: QDISC_DROP; ' -6
tc qdisc del dev lo root
healthy root -4 -6

part "long rule sets"
nft 'add table inet t; add chain inet t c { type filter hook input priority 0; }; add chain inet t long'
for i in $(seq 1000); do echo "add rule inet t long meta mark 7 drop"; done >rules
for i in $(seq 60); do echo "add rule inet t c jump long"; done >>rules
nft -f rules
degraded dgram slow_path -i 2ms -W 5s
degraded nobody slow_path -4 -6 -i 2ms -W 5s
says 'slow_path.*; a UNIX datagram takes [0-9.]+ ms' lping doctor -j
nft flush ruleset

part "the clock is set"
lping -j -c 0 -i 100ms -W 5s >out &
sleep 1
date -s "@$(($(date +%s) + 3600))" >/dev/null
sleep 1
date -s "@$(($(date +%s) - 7200))" >/dev/null
sleep 2
kill -INT $!
wait $!
jq -es '(map(.rtt_ms? // empty) | length > 2 and min > 0 and max < 5000) and
	(.[-1] | .verdict == "healthy" and (.findings | map(.code)) == ["clock_stepped"] and .clock_steps == 2)' out >/dev/null || { cat out; exit 1; }

part "conntrack's table is full"
nft 'add table inet t; add chain inet t c { type filter hook output priority 0; }; add rule inet t c ct state new accept'
well 3 -4 -6
sysctl -qw net.netfilter.nf_conntrack_max=1
unhealthy dgram conntrack_full -c 3
mend conntrack_full -c 1 -W 5s
nft flush ruleset

part "a VRF beside it"
ip link add vrf0 type vrf table 10
ip link set vrf0 up
ip address add 127.0.0.1/8 dev vrf0
well 3 -4 -6
ip link del vrf0
part "done"
