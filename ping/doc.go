// Package ping is an echo engine for loopback: it sends echo requests, matches the replies and tells its caller what
// happened to each probe, one Event at a time. It knows no flags, prints nothing and keeps no statistics. How a probe
// travels (ICMP, UDP, TCP) is the matter of package transport.
//
// # Messages
//
// Echo request and reply are those of RFC 792 (types 8 and 0) and RFC 4443 (types 128 and 129), over every transport. The
// data starts with a nonce of up to 8 bytes that differs from probe to probe and from run to run, then the pattern or a
// counter. With Sizes each probe has the next size. Every reply is compared whole. Nothing in it is ever taken for a time.
//
// What a service says over UDP is not compared: any datagram that comes back is an answer, to the probe whose request it
// echoes, or else to the oldest in flight, and one more is Foreign.
//
// # Time
//
// Sequence numbers have 64 bits here and 16 on the wire. Elapsed time is monotonic. An RTT runs from just before the
// send to the return of the read or, if the Linux kernel gives time stamps (Documentation/networking/timestamping.rst)
// and the wall clock was not set meanwhile, to its receive stamp; a transmit stamp divides it.
//
// Who wants to reach another host, or needs a pinger for networks, should not use this package: it keeps no pace
// for routers, judges nothing about distance and has no place for names.
package ping
