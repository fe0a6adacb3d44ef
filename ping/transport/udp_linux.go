//go:build !portable

package transport

import (
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// udpConn carries echo messages over UDP. Its far end is a socket on the target's address that sends back what the
// client's socket sent. It works in the thread of the run, so that no scheduler stands between a request and its reply.
type udpConn struct {
	datagrams
	// echo is the far end; -1 if a service answers.
	echo int
	buf  []byte
	// config is what was asked for.
	config Config
	// client is the address of the client's socket, met where its messages came from at the far end, if there was one. That may
	// be another address: a NAT rule may rewrite it.
	client, met netip.AddrPort
	// paired says that the far end hears nobody but met. Until then it knows the messages by sent.
	paired bool
	sent   heads
	// back is where the far end sends to; nil if it is connected.
	back *rawAddr
	// latest is the length of the latest datagram at the far end; it still stands in buf, as it was sent back.
	latest int
	// deaf is why the far end may not receive, if a policy denies it that.
	deaf syscall.Errno
}

// openUDP opens the client's socket and, unless there is a service, the far end.
func openUDP(c Config) (Conn, Socket, error) {
	uc := &udpConn{echo: -1, config: c}
	s, err := uc.open(c)
	if err != nil {
		closeAll(uc.echo)
		return nil, s, err
	}
	return uc, s, nil
}

func (uc *udpConn) open(c Config) (Socket, error) {
	port := c.Port
	if port != 0 {
		there, err := bindSocket(unix.SOCK_DGRAM, netip.AddrPortFrom(c.Address, 0), noOptions)
		if err != nil {
			return Socket{}, err
		}
		unix.Close(there)
		return uc.dial(c, port)
	}
	var err error
	if uc.echo, err = bindSocket(unix.SOCK_DGRAM, netip.AddrPortFrom(c.Address, 0), noOptions); err != nil {
		return Socket{}, err
	}
	local, err := localAddress(uc.echo)
	if err != nil {
		return Socket{}, err
	}
	s, err := uc.dial(c, local.Port())
	if err != nil {
		return s, err
	}
	uc.watch(uc.echo)
	uc.buf = make([]byte, maxDatagram)
	if uc.client, err = localAddress(uc.fd); err != nil {
		uc.datagrams.Close()
	}
	return s, err
}

// dial opens the client's socket, connected to a port of the target.
func (uc *udpConn) dial(c Config, port uint16) (Socket, error) {
	options := func(fd int) error { return setProbeOptions(fd, c) }
	at := netip.AddrPortFrom(c.source(), 0)
	fd, err := bindSocket(unix.SOCK_DGRAM, at, options)
	if err != nil {
		return Socket{}, err
	}
	if local, err := localAddress(fd); err == nil && local.Port() == port && at.Addr() == c.Address {
		// The system chose the very port that is asked for, and a socket would answer itself.
		self := fd
		fd, err = bindSocket(unix.SOCK_DGRAM, at, options)
		unix.Close(self)
		if err != nil {
			return Socket{}, err
		}
	}
	s := describeSocket(c, MethodUDP, port)
	err = uc.takeOver(fd, c, &s)
	uc.opaque = c.Port != 0
	return s, err
}

// meet takes one datagram at the far end before it is paired. The first message of ours shows where they come from: the far
// end is connected to that, so that the kernel lets nothing in from elsewhere, and paired when nothing is left of what came
// before. If connect is refused it goes on without.
func (uc *udpConn) meet() (n int, e syscall.Errno) {
	n, sa, err := unix.Recvfrom(uc.echo, uc.buf, unix.MSG_DONTWAIT)
	if err != nil {
		e = errno(err)
		uc.paired = idle(e) && uc.met.IsValid() && uc.back == nil
		return 0, e
	}
	if !uc.sent.has(uc.buf[:n]) {
		return 0, 0 // a stranger
	}
	if from := addressOf(sa); !uc.met.IsValid() {
		if to, err := rawAddress(from); err == nil {
			if to.connect(uc.echo) != 0 {
				uc.back = to
			}
		}
		uc.met = from
	}
	return n, 0
}

// Rewritten is the address that our messages come from, if it is not the one that they were sent from.
func (uc *udpConn) Rewritten() netip.Addr {
	if !uc.met.IsValid() || uc.met.Addr() == uc.client.Addr() {
		return netip.Addr{}
	}
	return uc.met.Addr()
}

func (uc *udpConn) Send(msg []byte) error {
	if uc.echo >= 0 && !uc.paired {
		uc.sent.add(msg)
	}
	if err := uc.datagrams.Send(msg); err != nil {
		return err
	}
	if uc.sendBack(); uc.deaf != 0 {
		uc.latest = copy(uc.buf, msg)
		makeReply(uc.buf[:uc.latest])
		uc.blame(Fault{Errno: uc.deaf, Call: "recvfrom"})
	}
	return nil
}

func (uc *udpConn) Recv(p *Packet, b []byte, until time.Time) error {
	for {
		if err := uc.try(p, b); err != ErrTimeout {
			uc.config.recognizeEcho(p)
			return err
		}
		if uc.sendBack() {
			continue
		}
		if err := uc.await(until); err != nil {
			return err
		}
	}
}

// sendBack is the far end: it returns one datagram, if one waits there, and says whether there was one. While a report
// waits it does nothing, so that no report takes another's place.
func (uc *udpConn) sendBack() bool {
	if uc.echo < 0 || uc.deaf != 0 || uc.report.Fault.Errno != 0 {
		return false
	}
	receive := recvBytes
	if !uc.paired {
		receive = func(int, []byte) (int, syscall.Errno) { return uc.meet() }
	}
	n, e := receive(uc.echo, uc.buf)
	switch {
	case idle(e):
		return false
	case deniable(e):
		uc.deaf = e
		return false
	case e != 0: // this is about the latest echo: a firewall refused it on its way back
		uc.blame(Fault{Errno: e})
		return true
	case n == 0:
		return true
	}
	uc.latest = n
	makeReply(uc.buf[:n])
	if _, e := sendBytes(uc.echo, uc.buf[:n], uc.back); e != 0 {
		uc.blame(Fault{Errno: e})
	}
	return true
}

// blame reports an error of the latest echo as one of its request.
func (uc *udpConn) blame(f Fault) {
	request := uc.reportBuf[:copy(uc.reportBuf[:], uc.buf[:uc.latest])]
	if len(request) > 0 {
		makeRequest(request)
		uc.report = Packet{Msg: request, From: uc.target, Fault: f}
	}
}

func (uc *udpConn) Close() error {
	closeAll(uc.echo)
	return uc.datagrams.Close()
}
