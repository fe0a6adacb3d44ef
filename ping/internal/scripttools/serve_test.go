package scripttools

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// services are what "serve" can be: each does its work until the socket is closed.
var services = map[string]struct {
	// stream and datagram are nil for a service of the other protocol.
	stream   func(net.Listener) error
	datagram func(net.PacketConn) error
}{
	"tcp":         {stream: acceptEach(func(c net.Conn) { io.Copy(io.Discard, c) })},
	"tcp-backlog": {stream: fillBacklog},
	"tcp-banner":  {stream: acceptEach(func(c net.Conn) { io.WriteString(c, banner); io.Copy(io.Discard, c) })},
	"tcp-closes":  {stream: acceptEach(func(c net.Conn) { c.Read(make([]byte, 1)) })},
	"tcp-ends":    {stream: acceptEach(func(net.Conn) {})},
	"tcp-hangs":   {stream: func(net.Listener) error { return nil }},
	"tcp-holds":   {stream: acceptEach(func(net.Conn) { select {} })},
	"tcp-resets":  {stream: acceptEach(func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) })},
	"tcp-writes":  {stream: acceptEach(func(c net.Conn) { io.Copy(c, zeros{}) })},
	// These answer what comes as an echo does, or not quite.
	"tcp-echo":  {stream: acceptEach(func(c net.Conn) { io.Copy(c, c) })},
	"tcp-else":  {stream: acceptEach(answerOnce(func(b []byte) []byte { return bytes.ToUpper(append([]byte("what? "), b...)) }))},
	"tcp-half":  {stream: acceptEach(answerOnce(half))},
	"tcp-more":  {stream: acceptEach(answerOnce(func(b []byte) []byte { return append(b, b...) }))},
	"tcp-wrong": {stream: acceptEach(answerOnce(wrong))},

	"udp-echo":      {datagram: answer(1)},
	"udp-chatty":    {datagram: answer(2)},
	"udp-silent":    {datagram: answer(0)},
	"udp-unread":    {datagram: func(net.PacketConn) error { return nil }},
	"udp-half":      {datagram: answerWith(func(c net.PacketConn, b []byte, to net.Addr) { c.WriteTo(half(b), to) })},
	"udp-wrong":     {datagram: answerWith(func(c net.PacketConn, b []byte, to net.Addr) { c.WriteTo(wrong(b), to) })},
	"udp-else":      {datagram: answerWith(func(c net.PacketConn, b []byte, to net.Addr) { c.WriteTo([]byte("what?"), to) })},
	"udp-100ms":     {datagram: answerAfter(100 * time.Millisecond)},
	"udp-300ms":     {datagram: answerAfter(300 * time.Millisecond)},
	"udp-500ms":     {datagram: answerAfter(500 * time.Millisecond)},
	"udp-elsewhere": {datagram: answerElsewhere},
	"udp-forge":     {datagram: forgeDatagrams},
}

// serve is "serve KIND ADDRESS:PORT,… COMMAND": while the command runs such a service is there. The result is the
// command's exit status.
func serve(args []string) int {
	if len(args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: serve KIND ADDRESS:PORT,... COMMAND [ARG ...]")
		return badUsage
	}
	for address := range strings.SplitSeq(args[1], ",") {
		c, err := startService(args[0], address)
		if err != nil {
			fmt.Fprintln(os.Stderr, "serve:", err)
			return badUsage
		}
		defer c.Close()
	}
	status := follow(args[2:])
	if args[0] == "udp-forge" && forged.Load() == 0 {
		fmt.Fprintln(os.Stderr, "serve: found no socket to forge for")
		return badUsage
	}
	return status
}

// startService opens the socket of a service and lets it work.
func startService(kind, address string) (io.Closer, error) {
	switch s := services[kind]; {
	case s.stream != nil:
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil, err
		}
		return l, s.stream(l)
	case s.datagram != nil:
		c, err := net.ListenPacket("udp", address)
		if err != nil {
			return nil, err
		}
		return c, s.datagram(c)
	}
	return nil, fmt.Errorf("no kind of service %q", kind)
}

// acceptEach takes each connection and closes it when f is done with it.
func acceptEach(f func(net.Conn)) func(net.Listener) error {
	return func(l net.Listener) error {
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					f(c)
					c.Close()
				}()
			}
		}()
		return nil
	}
}

// banner is what a service may say unasked.
const banner = "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"

// answerOnce reads once and sends back what f makes of it, and then reads to the end.
func answerOnce(f func([]byte) []byte) func(net.Conn) {
	return func(c net.Conn) {
		b := make([]byte, 1<<16)
		n, _ := c.Read(b)
		c.Write(f(b[:n:n]))
		io.Copy(io.Discard, c)
	}
}

func half(b []byte) []byte { return b[:len(b)/2] }

// wrong changes the last byte.
func wrong(b []byte) []byte {
	b = bytes.Clone(b)
	if len(b) > 0 {
		b[len(b)-1]++
	}
	return b
}

// zeros has no end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// fillBacklog accepts nothing, and fills the queue of a listener whose backlog is 1 (net.core.somaxconn): the kernel
// takes one connection more. They last as long as this process.
func fillBacklog(l net.Listener) error {
	for range 2 {
		if _, err := net.DialTimeout("tcp", l.Addr().String(), 20*time.Second); err != nil {
			return err
		}
	}
	return nil
}

// answer sends back what comes, some times.
func answer(times int) func(net.PacketConn) error {
	return answerWith(func(c net.PacketConn, b []byte, to net.Addr) {
		for range times {
			c.WriteTo(b, to)
		}
	})
}

// answerAfter sends back what comes, one after the other, and needs this long for each.
func answerAfter(d time.Duration) func(net.PacketConn) error {
	return answerWith(func(c net.PacketConn, b []byte, to net.Addr) {
		time.Sleep(d)
		c.WriteTo(b, to)
	})
}

// answerWith has f answer each datagram.
func answerWith(f func(c net.PacketConn, b []byte, to net.Addr)) func(net.PacketConn) error {
	return func(c net.PacketConn) error {
		go func() {
			b := make([]byte, 1<<16)
			for {
				n, from, err := c.ReadFrom(b)
				if errors.Is(err, net.ErrClosed) {
					return
				}
				f(c, b[:n], from)
			}
		}()
		return nil
	}
}

// answerElsewhere sends back what comes, from the port after its own.
func answerElsewhere(c net.PacketConn) error {
	own := c.LocalAddr().(*net.UDPAddr)
	other, err := net.ListenUDP("udp", &net.UDPAddr{IP: own.IP, Port: own.Port + 1})
	if err != nil {
		return err
	}
	return answerWith(func(_ net.PacketConn, b []byte, to net.Addr) { other.WriteTo(b, to) })(c)
}

// forged counts the datagrams of forgeDatagrams.
var forged atomic.Uint64

// forgeDatagrams sends what a reply might be to every socket of UDP that comes to be in this namespace.
func forgeDatagrams(c net.PacketConn) error {
	go func() {
		for err := error(nil); !errors.Is(err, net.ErrClosed); time.Sleep(100 * time.Microsecond) {
			own := c.LocalAddr().(*net.UDPAddr)
			for _, port := range portsOfUDP() {
				if port != own.Port {
					_, err = c.WriteTo(make([]byte, 64), &net.UDPAddr{IP: own.IP, Port: port})
					forged.Add(1)
				}
			}
		}
	}()
	return nil
}

// portsOfUDP are the local ports of UDP.
func portsOfUDP() []int { return localPorts("udp", "") }

// localPorts reads the local ports of the sockets in this state, or in any, from /proc/net: the second field is address:port and
// the fourth the state, in hexadecimal.
func localPorts(protocol, state string) (list []int) {
	for _, name := range []string{protocol, protocol + "6"} {
		b, _ := os.ReadFile("/proc/self/net/" + name)
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) < 4 || state != "" && f[3] != state {
				continue
			}
			_, port, _ := strings.Cut(f[1], ":")
			if n, err := strconv.ParseUint(port, 16, 16); err == nil && n != 0 {
				list = append(list, int(n))
			}
		}
	}
	return list
}
