package scripttools

import (
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
	"tcp-closes":  {stream: acceptEach(func(c net.Conn) { c.Read(make([]byte, 1)) })},
	"tcp-writes":  {stream: acceptEach(func(c net.Conn) { io.Copy(c, zeros{}) })},
	"udp-echo":    {datagram: answer(1)},
	"udp-chatty":  {datagram: answer(2)},
	"udp-silent":  {datagram: answer(0)},
	"udp-unread":  {datagram: func(net.PacketConn) error { return nil }},
	"udp-forge":   {datagram: forgeDatagrams},
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
	return func(c net.PacketConn) error {
		go func() {
			b := make([]byte, 1<<16)
			for {
				n, from, err := c.ReadFrom(b)
				if errors.Is(err, net.ErrClosed) {
					return
				}
				for range times {
					c.WriteTo(b[:n], from)
				}
			}
		}()
		return nil
	}
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

// portsOfUDP reads the local ports from /proc/net/udp and udp6: the second field is address:port, in hexadecimal.
func portsOfUDP() (list []int) {
	for _, name := range []string{"/proc/self/net/udp", "/proc/self/net/udp6"} {
		b, _ := os.ReadFile(name)
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) < 2 {
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
