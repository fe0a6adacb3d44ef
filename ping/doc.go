// Package ping is an echo engine for loopback, over ICMP, UDP and TCP: it sends echo requests, matches the replies and
// tells its caller what happened to each probe, one Event at a time. It knows no flags, prints nothing and keeps no
// statistics.
//
// # Sockets
//
// Open tries an ICMP datagram socket first (Linux: net/ipv4/ping.c, allowed by net.ipv4.ping_group_range; macOS:
// always allowed) and a raw socket next (CAP_NET_RAW or root). It is bound to the target's own address, so that an
// echo cannot leave this host. On a datagram socket the Linux kernel chooses the identifier and rewrites the
// checksum; on a raw socket the identifier is random and a filter lets only its replies through.
//
// Where the system permits neither, ProtoAuto goes over UDP, and Socket says why (Denied).
//
// # UDP
//
// MethodUDP needs no privilege. A socket of ours on the target's address, at a port that the system chooses, sends back
// what the client's socket sent. Neither hears anybody but the other. The data of a datagram is an echo message as below,
// without a checksum of its own: its 8-byte header takes that much from the largest Size (Config.MaxSize). Who echoes it
// makes its type that of a reply. On Linux the echo runs in the thread of the run and the kernel's stamps are those of
// the client's socket: the part of an RTT that Split calls Kernel holds the echo's two system calls. Elsewhere the echo
// is a goroutine.
//
// With Port the datagram goes to a service instead, which need not know what it says. So any datagram that comes back is
// an answer, to the probe whose request it echoes, or else to the oldest in flight; its data is not compared, and one more
// is Foreign. Where nobody has the port
// the probe ends with ECONNREFUSED, from the ICMP error (port unreachable). Silence is a Timeout: whether a service that
// does not answer is there cannot be told. On Linux an ICMP error quotes its probe; elsewhere it is taken for one about
// the oldest probe in flight, and of several at once the system keeps one.
//
// # TCP
//
// MethodTCP sends the same messages over one connection to a listener of ours, which takes no other client and is closed
// as soon as that has come. Messages have one length and a stream keeps their order, so nothing else tells them apart.
// A stall is a Timeout for each probe, since what is under way comes late and in order. When the connection ends, what
// is in flight fails, and so does every later probe: with ECONNRESET after a reset, EPIPE after a close, EPROTO where
// more came back than was sent, or what connect said. TCP repeats what is lost: loss shows as an RTT of 200 ms and more, or as Late.
//
// MethodConnect (Connect, or Port with TCP) makes a connection of each probe, to a listener of ours or to a service.
// The end of the handshake is the reply, and the RTT runs from just before connect; no data is sent and Size is not
// used. ECONNREFUSED (nobody listens, or a firewall rejects), ECONNRESET, ETIMEDOUT and EADDRNOTAVAIL (no port is left)
// are faults of their probe; a full backlog or a firewall that drops is silence. A connection that the system made with
// itself, since it chose the port that was asked for, counts as refused. Each connection is reset (SO_LINGER 0): a close
// in order would keep a port for a minute each, and a long run would use them up. A service sees a client that connects
// and resets, as from other TCP health checks. At most 128 connections are under way at once; beyond that a probe is
// refused with EAGAIN.
//
// # Messages
//
// Echo request and reply are those of RFC 792 (types 8 and 0) and RFC 4443 (types 128 and 129). The data starts
// with a nonce of up to 8 bytes that differs from probe to probe and from run to run, then the pattern or a
// counter. With Sizes each probe has the next size. Every reply is compared whole. Nothing in it is ever taken for a time.
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
