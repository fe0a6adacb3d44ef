package netlink

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// diagMessage is struct inet_diag_msg.
func diagMessage(family byte, port uint16, address []byte, device, queue, backlog uint32) []byte {
	b := make([]byte, sizeofDiagMessage)
	b[0], b[1] = family, stateEstablished
	binary.BigEndian.PutUint16(b[4:], port)
	copy(b[8:], address)
	binary.NativeEndian.PutUint32(b[40:], device)
	binary.NativeEndian.PutUint32(b[56:], queue)
	binary.NativeEndian.PutUint32(b[60:], backlog)
	binary.NativeEndian.PutUint32(b[68:], 7)
	return b
}

func TestParseSocket(t *testing.T) {
	only := attribute(diagIPv6Only, []byte{1})
	tests := []struct {
		name string
		in   []byte
		want Socket
		err  error
	}{
		{"IPv4", diagMessage(unix.AF_INET, 8080, ip("127.0.0.1"), 0, 2, 1),
			Socket{Listener{Address: netip.MustParseAddr("127.0.0.1"), Queue: 2, Backlog: 1}, 8080, stateEstablished, 7}, nil},
		{"IPv6 alone", slices.Concat(diagMessage(unix.AF_INET6, 53, ip("::"), 3, 0, 128), only),
			Socket{Listener{Address: netip.IPv6Unspecified(), IPv6Only: true, Interface: 3, Backlog: 128}, 53, stateEstablished, 7}, nil},
		{"IPv4 by an IPv6 socket", diagMessage(unix.AF_INET6, 53, ip("::ffff:127.0.0.1"), 0, 0, 0),
			Socket{Listener{Address: netip.MustParseAddr("127.0.0.1")}, 53, stateEstablished, 7}, nil},
		{"short", diagMessage(unix.AF_INET, 1, nil, 0, 0, 0)[:71], Socket{}, errShort},
		{"another family", diagMessage(unix.AF_UNIX, 1, nil, 0, 0, 0), Socket{}, errShort},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := ParseSocket(tt.in); got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %+v, %v, want %+v, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

// TestSocketWaits: a connection waits while it is open at the service's end and no program has it.
func TestSocketWaits(t *testing.T) {
	for _, tt := range []struct {
		state     byte
		inode     uint32
		waits, ok bool
	}{
		{stateEstablished, 0, true, true}, {stateSynReceived, 0, true, true}, {stateCloseWait, 0, true, true},
		{stateEstablished, 7, false, true}, {stateCloseWait, 7, false, true}, {stateClose, 0, false, true},
		{stateListen, 7, false, false}, {stateListen, 0, false, false},
	} {
		if waits, ok := (Socket{State: tt.state, Inode: tt.inode}).Waits(); waits != tt.waits || ok != tt.ok {
			t.Errorf("%+v: got %v, %v", tt, waits, ok)
		}
	}
}

func FuzzSocket(f *testing.F) {
	f.Add(diagMessage(unix.AF_INET, 8080, ip("127.0.0.1"), 0, 2, 1))
	f.Add(slices.Concat(diagMessage(unix.AF_INET6, 53, ip("::"), 3, 0, 128), attribute(diagIPv6Only, []byte{1})))
	f.Add(diagMessage(unix.AF_INET6, 53, ip("::ffff:127.0.0.1"), 0, 0, 0)[:71])
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSocket(b)
		if err == nil != s.Address.IsValid() || s.Address.Is4In6() {
			t.Errorf("got %+v, %v", s, err)
		}
	})
}
