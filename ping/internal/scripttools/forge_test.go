package scripttools

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// forgeries make a reply of what the kernel would have answered. None is a right one but "right".
var forgeries = map[string]func(*icmp.Message, *icmp.Echo){
	"right":   func(*icmp.Message, *icmp.Echo) {},
	"twice":   func(*icmp.Message, *icmp.Echo) {},
	"late":    func(*icmp.Message, *icmp.Echo) { time.Sleep(600 * time.Millisecond) },
	"payload": func(_ *icmp.Message, e *icmp.Echo) { e.Data[len(e.Data)-1] ^= 0xff },
	"nonce": func(_ *icmp.Message, e *icmp.Echo) {
		for i := range 8 {
			e.Data[i] ^= 0xff
		}
	},
	"shorter":  func(_ *icmp.Message, e *icmp.Echo) { e.Data = e.Data[:len(e.Data)-1] },
	"empty":    func(_ *icmp.Message, e *icmp.Echo) { e.Data = nil },
	"longer":   func(_ *icmp.Message, e *icmp.Echo) { e.Data = append(e.Data, 0) },
	"sequence": func(_ *icmp.Message, e *icmp.Echo) { e.Seq += 1000 },
	"ident":    func(_ *icmp.Message, e *icmp.Echo) { e.ID ^= 0xffff },
	"type": func(m *icmp.Message, _ *icmp.Echo) {
		m.Type = map[icmp.Type]icmp.Type{
			ipv4.ICMPTypeEchoReply: ipv4.ICMPTypeTimestampReply, ipv6.ICMPTypeEchoReply: ipv6.ICMPType(200),
		}[m.Type]
	},
}

// forge is "forge KIND COMMAND": while the command runs it answers all echo requests to 127.0.0.1 and ::1, beside the
// kernel or, where that is told to ignore them, in its place. The result is the command's exit status.
func forge(args []string) int {
	if len(args) < 2 || forgeries[args[0]] == nil {
		fmt.Fprintln(os.Stderr, "usage: forge KIND COMMAND [ARG ...]")
		return badUsage
	}
	for network, address := range map[string]string{"ip4:1": "127.0.0.1", "ip6:58": "::1"} {
		c, err := icmp.ListenPacket(network, address)
		if err != nil {
			fmt.Fprintln(os.Stderr, "forge:", err)
			return badUsage
		}
		defer c.Close()
		go forgeReplies(c, args[0])
	}
	return follow(args[1:])
}

// forgeReplies answers until the socket is closed.
func forgeReplies(c *icmp.PacketConn, kind string) {
	b := make([]byte, 1<<16)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		reply, protocol := icmp.Type(ipv4.ICMPTypeEchoReply), 1
		if c.IPv6PacketConn() != nil {
			reply, protocol = ipv6.ICMPTypeEchoReply, 58
		}
		m, err := icmp.ParseMessage(protocol, b[:n])
		if err != nil || m.Type != ipv4.ICMPTypeEcho && m.Type != ipv6.ICMPTypeEchoRequest {
			continue
		}
		m.Type = reply
		forgeries[kind](m, m.Body.(*icmp.Echo))
		out, err := m.Marshal(nil) // the kernel sums ICMPv6 up
		if err != nil {
			fmt.Fprintln(os.Stderr, "forge:", err)
			return
		}
		c.WriteTo(out, from)
		if kind == "twice" {
			c.WriteTo(out, from)
		}
	}
}
