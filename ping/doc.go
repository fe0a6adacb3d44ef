// Package ping is an ICMP echo engine for loopback: it sends echo requests, matches the replies and tells its
// caller what happened to each probe, one Event at a time. It knows no flags, prints nothing and keeps no statistics.
//
// # Sockets
//
// Open tries an ICMP datagram socket first (Linux: net/ipv4/ping.c, allowed by net.ipv4.ping_group_range; macOS:
// always allowed) and a raw socket next (CAP_NET_RAW or root). It is bound to the target's own address, so that an
// echo cannot leave this host. On a datagram socket the Linux kernel chooses the identifier and rewrites the
// checksum; on a raw socket the identifier is random and a filter lets only its replies through.
//
// # Messages
//
// Echo request and reply are those of RFC 792 (types 8 and 0) and RFC 4443 (types 128 and 129). The data starts
// with a nonce of up to 8 bytes that differs from probe to probe and from run to run, then the pattern or a
// counter. Every reply is compared whole. Nothing in it is ever taken for a time.
//
// # Time
//
// Sequence numbers have 64 bits here and 16 on the wire. Elapsed time is monotonic. An RTT runs from just before the
// send to the return of the read or, where the Linux kernel gives time stamps (Documentation/networking/timestamping.rst)
// and the wall clock was not set meanwhile, to its receive stamp; a transmit stamp divides it.
//
// Who wants to reach another host, or needs a pinger for networks, should not use this package: it keeps no pace
// for routers, judges nothing about distance and has no place for names.
package ping
