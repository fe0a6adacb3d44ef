# A kernel that was started without IPv6 has no ::1, whatever the hosts file says, and that is nobody's fault. What doctor says of
# TCP is not looked at: the emulated machine may be too slow for it.
set -e
healthy all -W 5s
healthy all localhost -W 5s
healthy root,nobody --proto udp -W 5s
unhealthy all ipv6_disabled -6
unhealthy all ipv6_disabled -4 -6 -W 5s
unhealthy root ipv6_disabled -6 --proto udp
lping doctor -v >out || true
grep -q 'ipv6_disabled (info)' out && ! grep -q hosts_localhost out || { cat out; exit 1; }
