package ping

import (
	"errors"
	"fmt"
	"math/rand/v2"
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

// apiConn carries echo messages over the echo requests of the Windows API (IcmpSendEcho2Ex, Icmp6SendEcho2), which
// needs no privilege. Windows makes the ICMP header and matches the reply: only the data of a message goes out, and a
// reply gets the header of its request back. Duplicates and foreign replies are not seen.
//
// A request is one call that returns with its answer. Up to maxCalls of them run at once, on as many goroutines.
// Beyond that send waits, for sendWait at most: so many requests without an answer are no healthy loopback.
type apiConn struct {
	api  echoer
	sock Socket
	v6   bool

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

// listen opens the echo API for MethodDgram: like a datagram socket elsewhere it needs no privilege. There is no
// MethodRaw, since raw sockets on Windows do not see what stays on the host.
func listen(c Config, method string) (conn, error) {
	if err := supported(c, method); err != nil {
		return nil, err
	}
	for _, a := range []netip.Addr{c.Address, source(c)} {
		if err := assigned(a); err != nil {
			return nil, err
		}
	}
	api, err := openAPI(c)
	if err != nil {
		return nil, err
	}
	return newAPIConn(c, api), nil
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

// source is the address to send from: the target's own, unless the caller chose one.
func source(c Config) netip.Addr {
	if c.Source.IsValid() {
		return c.Source.Unmap()
	}
	return c.Address
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

func newAPIConn(c Config, api echoer) *apiConn {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return &apiConn{
		api: api, v6: c.Address.Is6(),
		sock: Socket{Method: MethodDgram, Local: source(c), Ident: uint16(rand.Uint32())},
		work: make(chan *exchange, maxCalls), done: make(chan *exchange, maxCalls), woken: make(chan struct{}, 1),
		timer: timer,
	}
}

func (ac *apiConn) send(msg []byte) error {
	if ac.out == maxCalls {
		if err := ac.awaitRoom(); err != nil {
			return err
		}
	}
	if ac.out == ac.started {
		ac.started++
		ac.workers.Go(ac.serve)
	}
	x := ac.exchange(len(msg))
	copy(x.msg, msg)
	ac.out++
	ac.work <- x // never waits: there is room for all
	return nil
}

// awaitRoom waits until one of the requests has ended.
func (ac *apiConn) awaitRoom() error {
	ac.timer.Reset(sendWait)
	defer ac.timer.Stop()
	select {
	case x := <-ac.done:
		ac.out--
		ac.ended = append(ac.ended, x)
		return nil
	case <-ac.timer.C:
		return os.NewSyscallError("send", syscall.ENOBUFS)
	}
}

// exchange is an unused exchange for a message of n bytes.
func (ac *apiConn) exchange(n int) *exchange {
	if last := len(ac.free) - 1; last >= 0 && len(ac.free[last].msg) == n {
		x := ac.free[last]
		ac.free = ac.free[:last]
		return x
	}
	return &exchange{msg: make([]byte, n), buf: make([]byte, replyRoom(n-headerLen))}
}

// serve makes requests until close.
func (ac *apiConn) serve() {
	for x := range ac.work {
		ac.api.echo(x)
		ac.done <- x
	}
}

func (ac *apiConn) recv(p *packet, b []byte, until time.Time) error {
	for {
		x, err := ac.next(until)
		if err != nil {
			return err
		}
		got, ok := ac.read(x, b)
		ac.free = append(ac.free, x)
		if ok {
			*p = got
			return nil
		}
	}
}

// next is the next exchange that has ended.
func (ac *apiConn) next(until time.Time) (*exchange, error) {
	if len(ac.ended) > 0 {
		x := ac.ended[0]
		ac.ended = ac.ended[1:]
		return x, nil
	}
	select {
	case x := <-ac.done:
		ac.out--
		return x, nil
	default:
	}
	if until.IsZero() || time.Until(until) <= 0 {
		return nil, errTimeout
	}
	ac.timer.Reset(time.Until(until))
	defer ac.timer.Stop()
	select {
	case x := <-ac.done:
		ac.out--
		return x, nil
	case <-ac.woken:
		return nil, errWoken
	case <-ac.timer.C:
		return nil, errTimeout
	}
}

// read puts what an exchange brought into b: an echo reply, or the request and what is reported about it. Where it
// brought nothing, ok is false.
func (ac *apiConn) read(x *exchange, b []byte) (p packet, ok bool) {
	switch x.answer.status {
	case ipReqTimedOut:
		return packet{}, false
	case ipSuccess:
		h := replyHeader(x.msg, ac.v6)
		n := copy(b, h[:])
		n += copy(b[n:], x.answer.data)
		return packet{msg: b[:n], from: x.answer.from, ttl: x.answer.ttl, rtt: x.answer.rtt}, true
	}
	return packet{msg: b[:copy(b, x.msg)], from: x.answer.from, fault: faultOf(x.answer, ac.v6)}, true
}

// replyHeader is the header of the reply to a request. Its checksum is 0: Windows has looked at it and keeps it.
func replyHeader(request []byte, v6 bool) (h [headerLen]byte) {
	h[0] = typeEchoReplyV4
	if v6 {
		h[0] = typeEchoReplyV6
	}
	copy(h[4:], request[4:headerLen])
	return h
}

func (ac *apiConn) wake() {
	select {
	case ac.woken <- struct{}{}:
	default: // a wake is waiting already
	}
}

func (ac *apiConn) socket() Socket { return ac.sock }

// close waits for the requests on their way, but for closeWait at most, since Windows cannot take them back: what is
// left keeps its thread until its timeout, and the last one closes the handle.
func (ac *apiConn) close() error {
	close(ac.work)
	closed := make(chan error, 1)
	go func() {
		ac.workers.Wait()
		closed <- ac.api.close()
	}()
	ac.timer.Reset(closeWait)
	defer ac.timer.Stop()
	select {
	case err := <-closed:
		return err
	case <-ac.timer.C:
		return nil
	}
}
