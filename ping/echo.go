package ping

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Over UDP and TCP the probes are echo messages like those of ICMP, so that one engine knows them all. Who echoes a
// message makes its type that of a reply: our own request, if it ever came back, would not pass for one.

// turnOf makes the type of an echo request that of its reply, and back, by exclusive or.
func turnOf(c Config) byte {
	if c.Address.Is6() {
		return typeEchoRequestV6 ^ typeEchoReplyV6
	}
	return typeEchoRequestV4 ^ typeEchoReplyV4
}

// echoSocket describes the socket of a run over UDP or TCP.
func echoSocket(c Config, port uint16) Socket {
	return Socket{Method: c.method(), Local: source(c), Ident: uint16(rand.Uint32()), Port: port}
}

// head is the header of an echo request, by which the engine knows its probe.
type head uint64

func headOf(msg []byte) head { return head(binary.BigEndian.Uint64(msg)) }

// put writes the header to b, its type changed by turn (0: a request), and returns the message.
func (h head) put(b []byte, turn byte) []byte {
	binary.BigEndian.PutUint64(b, uint64(h))
	b[0] ^= turn
	return b[:headerLen]
}

// heads are the requests that no answer came to, the oldest first.
type heads struct {
	list  []head
	first int
}

func (q *heads) len() int { return len(q.list) - q.first }

func (q *heads) push(h head) {
	if q.first > len(q.list)/2 {
		q.list = q.list[:copy(q.list, q.list[q.first:])]
		q.first = 0
	}
	q.list = append(q.list, h)
}

// oldest is the one that pop would take.
func (q *heads) oldest() head { return q.list[q.first] }

// pop takes the oldest, of which there must be one.
func (q *heads) pop() head {
	h := q.oldest()
	q.first++
	return h
}

// mailbox is the receiving half of a conn whose packets other goroutines bring.
type mailbox struct {
	arrived chan letter
	free    chan []byte
	woken   chan struct{}
	done    chan struct{} // closed by close: nobody reads any more
	workers sync.WaitGroup
	timer   *time.Timer
	room    int
}

// maxLetters is how many letters may wait; more waits in the kernel, with those who bring it.
const maxLetters = 64

// letter is what one recv returns. The packet's msg is a buffer of the mailbox.
type letter struct {
	packet packet
	err    error
}

// init prepares a mailbox for messages of room bytes at most.
func (m *mailbox) init(room int) {
	m.arrived, m.free = make(chan letter, maxLetters), make(chan []byte, maxLetters)
	m.woken, m.done = make(chan struct{}, 1), make(chan struct{})
	m.timer, m.room = time.NewTimer(time.Hour), room
	m.timer.Stop()
}

// buffer is room for one message.
func (m *mailbox) buffer() []byte {
	select {
	case b := <-m.free:
		return b
	default:
		return make([]byte, m.room)
	}
}

// put hands over a letter; it waits while the mailbox is full and reports false where nobody will read it.
func (m *mailbox) put(l letter) bool {
	select {
	case m.arrived <- l:
		return true
	case <-m.done:
		return false
	}
}

func (m *mailbox) recv(p *packet, b []byte, until time.Time) error {
	select {
	case l := <-m.arrived:
		return m.open(l, p, b)
	default:
	}
	left := timeLeft(until)
	if left <= 0 {
		return errTimeout
	}
	m.timer.Reset(left)
	defer m.timer.Stop()
	select {
	case l := <-m.arrived:
		return m.open(l, p, b)
	case <-m.woken:
		return errWoken
	case <-m.timer.C:
		return errTimeout
	}
}

// open copies a message to b, and its buffer is free again.
func (m *mailbox) open(l letter, p *packet, b []byte) error {
	*p = l.packet
	p.msg = b[:copy(b, l.packet.msg)]
	m.release(l.packet.msg)
	return l.err
}

// release makes a buffer free for another message.
func (m *mailbox) release(b []byte) {
	if b == nil {
		return
	}
	select {
	case m.free <- b[:cap(b)]:
	default:
	}
}

func (m *mailbox) wake() {
	select {
	case m.woken <- struct{}{}:
	default: // a wake is waiting already
	}
}

// timeLeft is how long a recv may wait; not at all where until is the zero time.
func timeLeft(until time.Time) time.Duration {
	if until.IsZero() {
		return 0
	}
	return time.Until(until)
}

// netNetwork is the name that package net knows the sockets of c by; kind is udp or tcp.
func netNetwork(c Config, kind string) string {
	if c.Address.Is6() {
		return kind + "6"
	}
	return kind + "4"
}

// netDialer sets what c asks for on the sockets of the client.
func netDialer(c Config) net.Dialer {
	return net.Dialer{Control: func(_, _ string, rc syscall.RawConn) error {
		var err error
		if failed := rc.Control(func(fd uintptr) { err = setClientOptions(int(fd), c) }); failed != nil {
			return failed
		}
		return err
	}}
}

// plainError is an error of package net as the system call put it.
func plainError(err error) error {
	if err == nil {
		return nil
	}
	var call *os.SyscallError
	if e := errno(err); e != 0 && errors.As(err, &call) {
		return os.NewSyscallError(call.Syscall, plainErrno(e))
	}
	return err
}

// netOnThisHost is an error where the target's address is not one of this host: nothing else would notice in time.
func netOnThisHost(c Config) error {
	there, err := listenNetUDP(c)
	if err != nil {
		return err
	}
	return there.Close()
}
