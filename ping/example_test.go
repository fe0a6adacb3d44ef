package ping_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"time"

	"lping/ping"
)

// One echo to 127.0.0.1: over ICMP or, where this process may not open such a socket, over UDP.
func Example() {
	p, err := ping.Open(ping.Config{Transport: ping.Transport{Size: 56, Timeout: 5 * time.Second}, Count: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	err = p.Run(context.Background(), func(e ping.Event) {
		if e.Kind == ping.Reply {
			fmt.Printf("%v answered in time: %v\n", e.From, e.RTT < 5*time.Second)
		}
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: 127.0.0.1 answered in time: true
}

// A run tells what happens to each probe, on the calling goroutine.
func ExamplePinger_Run() {
	p, err := ping.Open(ping.Config{Transport: ping.Transport{Size: 56, Timeout: 5 * time.Second}, Count: 3,
		Interval: time.Millisecond})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	var sent, received, other int
	err = p.Run(context.Background(), func(e ping.Event) {
		switch e.Kind {
		case ping.Sent:
			sent++
		case ping.Reply:
			received++
		case ping.Timeout, ping.Corrupt, ping.SendError:
			other++
		}
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d sent, %d received, %d not\n", sent, received, other)
	// Output: 3 sent, 3 received, 0 not
}

// A UDP check of 127.0.0.1 needs no privilege: this process answers itself.
func ExampleOpen_udp() {
	p, err := ping.Open(ping.Config{Transport: ping.Transport{Address: netip.MustParseAddr("127.0.0.1"),
		Proto: ping.ProtoUDP, Timeout: 5 * time.Second}, Count: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	err = p.Run(context.Background(), func(e ping.Event) {
		fmt.Println(p.Socket().Method, e.Kind, e.Seq)
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// udp sent 1
	// udp reply 1
}

// A local service: does it take connections? Nobody listens on this port.
func ExampleOpen_service() {
	p, err := ping.Open(ping.Config{Transport: ping.Transport{Proto: ping.ProtoTCP, Port: 1, Timeout: 5 * time.Second}, Count: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	err = p.Run(context.Background(), func(e ping.Event) {
		if e.Kind == ping.SendError {
			fmt.Println(e.Fault.Errno)
		}
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: connection refused
}

// A context with a deadline ends a run that has no end of its own; what is in flight stays undecided.
func ExamplePinger_Run_deadline() {
	p, err := ping.Open(ping.Config{Transport: ping.Transport{Timeout: 5 * time.Second}, Interval: 10 * time.Millisecond})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	received := 0
	err = p.Run(ctx, func(e ping.Event) {
		if e.Kind == ping.Reply {
			received++
		}
	})
	fmt.Println(errors.Is(err, context.DeadlineExceeded), received > 0)
	// Output: true true
}
