package transport

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

const (
	// maxCalls is how many requests may be on their way at once; each holds a thread until its answer or its timeout.
	maxCalls = 128
	// sendWait is how long a send waits for one of maxCalls requests to end before it is refused, as by a full queue.
	sendWait = 100 * time.Millisecond
	// closeWait is how long close waits for requests on their way.
	closeWait = 50 * time.Millisecond
)

// echoer makes echo requests. Its echo may be called from many goroutines.
type echoer interface {
	// echo sends the request of an exchange and waits for its answer.
	echo(x *exchange)
	close() error
}

// icmpConn carries echo messages over the echo requests of the Windows API (IcmpSendEcho2Ex, Icmp6SendEcho2), which
// needs no privilege. Windows makes the ICMP header and matches the reply: only the data of a message goes out, and a
// reply gets the header of its request back. Duplicates and foreign replies are not seen.
//
// A request is one call that returns with its answer. Up to maxCalls of them run at once, on as many goroutines.
// Beyond that send waits, for sendWait at most: so many requests without an answer are no healthy loopback.
type icmpConn struct {
	api echoer
	v6  bool

	work    chan *exchange // to the goroutines; closed by close
	done    chan *exchange // from them
	woken   chan struct{}
	workers sync.WaitGroup

	// What follows belongs to the goroutine that sends and receives.
	started int         // goroutines
	out     int         // exchanges that are in work, with a goroutine or in done
	ended   []*exchange // taken from done by send
	free    []*exchange
	timer   *time.Timer
}

// exchange is one request and its answer.
type exchange struct {
	msg        []byte // the echo request as the engine made it
	buf        []byte // what the system writes, replyRoom long
	start, end int64  // when the call began and ended, by the stopwatch
	answer     answer // its data may lie in buf
}

// openICMP opens the echo API for MethodDgram: like a datagram socket elsewhere it needs no privilege. There is no
// MethodRaw, since raw sockets on Windows do not see what stays on the host.
func openICMP(c Config, method string) (Conn, Socket, error) {
	if err := supported(c, method); err != nil {
		return nil, Socket{}, err
	}
	for _, a := range []netip.Addr{c.Address, c.source()} {
		if err := assigned(a); err != nil {
			return nil, Socket{}, err
		}
	}
	api, err := openAPI(c)
	if err != nil {
		return nil, Socket{}, err
	}
	return newICMPConn(c, api), describeSocket(c, method, 0), nil
}

// supported says what of c the API cannot do.
func supported(c Config, method string) error {
	switch {
	case method == MethodRaw:
		return fmt.Errorf("raw sockets do not see loopback: %w on this system", errors.ErrUnsupported)
	case c.Interface != "":
		return fmt.Errorf("choosing an interface: %w on this system", errors.ErrUnsupported)
	case c.PathMTU == PathMTUWant, c.PathMTU == PathMTUProbe, c.PathMTU == PathMTUDo && c.Address.Is6():
		return fmt.Errorf("path-MTU mode: %w on this system", errors.ErrUnsupported)
	}
	return nil
}

// assigned says whether an address is one of this host: the API has nothing to bind, a UDP socket has.
func assigned(a netip.Addr) error {
	var data windows.WSAData
	if err := windows.WSAStartup(0x202, &data); err != nil {
		return socketError("WSAStartup", err)
	}
	defer windows.WSACleanup()
	family, sa, err := socketAddress(a)
	if err != nil {
		return err
	}
	s, err := windows.WSASocket(family, windows.SOCK_DGRAM, 0, nil, 0, windows.WSA_FLAG_NO_HANDLE_INHERIT)
	if err != nil {
		return socketError("socket", err)
	}
	defer windows.Closesocket(s)
	return socketError("bind", windows.Bind(s, sa))
}

// socketAddress is a as bind wants it.
func socketAddress(a netip.Addr) (family int32, sa windows.Sockaddr, err error) {
	if a.Is4() {
		return windows.AF_INET, &windows.SockaddrInet4{Addr: a.As4()}, nil
	}
	raw, err := sockaddrV6(a)
	return windows.AF_INET6, &windows.SockaddrInet6{Addr: raw.Addr, ZoneId: raw.Scope_id}, err
}

// socketError is err under the error number that other systems use.
func socketError(call string, err error) error {
	if e := errno(err); e != 0 {
		err = errnoOf(uint32(e), false)
	}
	return os.NewSyscallError(call, err)
}

func newICMPConn(c Config, api echoer) *icmpConn {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return &icmpConn{
		api: api, v6: c.Address.Is6(),
		work: make(chan *exchange, maxCalls), done: make(chan *exchange, maxCalls), woken: make(chan struct{}, 1),
		timer: timer,
	}
}

func (ic *icmpConn) Send(msg []byte) error {
	if ic.out == maxCalls {
		if err := ic.awaitRoom(); err != nil {
			return err
		}
	}
	if ic.out == ic.started {
		ic.started++
		ic.workers.Go(ic.serve)
	}
	x := ic.exchange(len(msg))
	copy(x.msg, msg)
	ic.out++
	ic.work <- x // never waits: there is room for all
	return nil
}

// awaitRoom waits until one of the requests has ended.
func (ic *icmpConn) awaitRoom() error {
	ic.timer.Reset(sendWait)
	defer ic.timer.Stop()
	select {
	case x := <-ic.done:
		ic.out--
		ic.ended = append(ic.ended, x)
		return nil
	case <-ic.timer.C:
		return os.NewSyscallError("send", syscall.ENOBUFS)
	}
}

// exchange is an unused exchange for a message of n bytes.
func (ic *icmpConn) exchange(n int) *exchange {
	if last := len(ic.free) - 1; last >= 0 && len(ic.free[last].msg) == n {
		x := ic.free[last]
		ic.free = ic.free[:last]
		return x
	}
	return &exchange{msg: make([]byte, n), buf: make([]byte, replyRoom(n-HeaderLen))}
}

// serve makes requests until close.
func (ic *icmpConn) serve() {
	for x := range ic.work {
		ic.api.echo(x)
		ic.done <- x
	}
}

func (ic *icmpConn) Recv(p *Packet, b []byte, until time.Time) error {
	for {
		x, err := ic.next(until)
		if err != nil {
			return err
		}
		got, ok := ic.read(x, b)
		ic.free = append(ic.free, x)
		if ok {
			*p = got
			return nil
		}
	}
}

// next is the next exchange that has ended.
func (ic *icmpConn) next(until time.Time) (*exchange, error) {
	if len(ic.ended) > 0 {
		x := ic.ended[0]
		ic.ended = ic.ended[1:]
		return x, nil
	}
	select {
	case x := <-ic.done:
		ic.out--
		return x, nil
	default:
	}
	if until.IsZero() || time.Until(until) <= 0 {
		return nil, ErrTimeout
	}
	ic.timer.Reset(time.Until(until))
	defer ic.timer.Stop()
	select {
	case x := <-ic.done:
		ic.out--
		return x, nil
	case <-ic.woken:
		return nil, ErrWoken
	case <-ic.timer.C:
		return nil, ErrTimeout
	}
}

// read puts what an exchange brought into b: an echo reply, or the request and what is reported about it. If it
// brought nothing, ok is false.
func (ic *icmpConn) read(x *exchange, b []byte) (p Packet, ok bool) {
	switch x.answer.status {
	case ipReqTimedOut:
		return Packet{}, false
	case ipSuccess:
		n := copy(b, x.msg[:HeaderLen])
		makeReply(b)
		b[2], b[3] = 0, 0 // Windows has looked at the checksum and keeps it
		n += copy(b[n:], x.answer.data)
		return Packet{Msg: b[:n], From: x.answer.from, TTL: x.answer.ttl, RTT: x.answer.rtt}, true
	}
	return Packet{Msg: b[:copy(b, x.msg)], From: x.answer.from, Fault: faultOf(x.answer, ic.v6)}, true
}

// Wake makes a Recv that waits, or else the next one that would wait, return ErrWoken.
func (ic *icmpConn) Wake() {
	select {
	case ic.woken <- struct{}{}:
	default: // a wake is waiting already
	}
}

// Close waits for the requests on their way, but for closeWait at most, since Windows cannot take them back: what is
// left keeps its thread until its timeout, and the last one closes the handle.
func (ic *icmpConn) Close() error {
	close(ic.work)
	closed := make(chan error, 1)
	go func() {
		ic.workers.Wait()
		closed <- ic.api.close()
	}()
	ic.timer.Reset(closeWait)
	defer ic.timer.Stop()
	select {
	case err := <-closed:
		return err
	case <-ic.timer.C:
		return nil
	}
}
