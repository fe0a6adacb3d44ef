package platform

import (
	"encoding/binary"
	"math"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Constants and structures of linux/inet_diag.h (sock_diag(7)), which package unix lacks.
const (
	sockDiagByFamily = 20 // SOCK_DIAG_BY_FAMILY
	// sizeofDiagRequest is that of struct inet_diag_req_v2, sizeofDiagMessage that of struct inet_diag_msg.
	sizeofDiagRequest = 56
	sizeofDiagMessage = 72
	diagIPv6Only      = 11 // INET_DIAG_SKV6ONLY
	diagBytecode      = 1  // INET_DIAG_REQ_BYTECODE
	// sourceAtLeast and sourceAtMost compare the local port with that of the operation after them.
	sourceAtLeast = 2 // INET_DIAG_BC_S_GE
	sourceAtMost  = 3 // INET_DIAG_BC_S_LE
	// stateClose and stateListen are those of net/tcp_states.h. A socket of UDP is closed unless connected.
	stateClose  = 7
	stateListen = 10
	allStates   = math.MaxUint32
	// maxSockets bounds what the sockets of one family may bring, in bytes: some 120 bytes each, a port each at best.
	maxSockets = 16 << 20
)

// socket is what sock_diag tells of a socket.
type socket struct {
	Listener
	port uint16
}

// ReadListeners reads who listens on a port of this network namespace, in some 100 us. It needs no privilege.
func ReadListeners(protocol string, port uint16) Known[[]Listener] {
	states := uint32(1 << stateListen)
	if protocol == UDP {
		states = 1 << stateClose
	}
	list := []Listener{}
	err := eachSocket(protocol, states, Range{int64(port), int64(port)}, func(s socket) {
		if protocol == UDP {
			s.Backlog = 0
		}
		list = append(list, s.Listener)
	})
	return known(list, err)
}

// ReadPortsInUse counts the different local ports within a range that sockets of this network namespace have, whatever
// they do: a port that IPv4 has is taken for IPv6 too. On a server with many connections it takes some milliseconds.
func ReadPortsInUse(protocol string, ports Range) Known[int] {
	used := map[uint16]bool{}
	err := eachSocket(protocol, allStates, ports, func(s socket) { used[s.port] = true })
	return known(len(used), err)
}

// eachSocket calls f with every socket of both families whose local port is within the range.
func eachSocket(protocol string, states uint32, ports Range, f func(socket)) error {
	n, err := openNetlink(unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return err
	}
	defer n.close()
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		request := socketRequest(family, protocol, states, ports)
		err := n.stream(sockDiagByFamily, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, request, maxSockets, func(more []message) bool {
			for _, m := range more {
				if s, err := parseSocket(m.Data); err == nil && ports.Contains(int64(s.port)) {
					f(s)
				}
			}
			return false
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// socketRequest is struct inet_diag_req_v2 with a filter by port, which the kernel applies. One port is also told by the
// socket's own identity: of it the kernel knows where to look.
func socketRequest(family byte, protocol string, states uint32, ports Range) []byte {
	b := make([]byte, sizeofDiagRequest)
	b[0], b[1] = family, unix.IPPROTO_TCP
	if protocol == UDP {
		b[1] = unix.IPPROTO_UDP
	}
	binary.NativeEndian.PutUint32(b[4:], states)
	if ports.Low == ports.High {
		binary.BigEndian.PutUint16(b[8:], uint16(ports.Low))
	}
	return appendAttribute(b, diagBytecode, portFilter(ports))
}

// portFilter is a program of four operations (struct inet_diag_bc_op): code, how far to go on if it is so and if not. A
// program that is left by more than its length refuses the socket.
func portFilter(ports Range) (b []byte) {
	const operation = 4
	for _, op := range []struct {
		code byte
		port int64
		left uint16
	}{{sourceAtLeast, ports.Low, 4 * operation}, {sourceAtMost, ports.High, 2 * operation}} {
		b = append(b, op.code, 2*operation)
		b = binary.NativeEndian.AppendUint16(b, op.left+operation)
		b = append(b, 0, 0)
		b = binary.NativeEndian.AppendUint16(b, uint16(max(0, min(op.port, math.MaxUint16))))
	}
	return b
}

// parseSocket reads struct inet_diag_msg: family and state, ports and addresses, and after them what waits.
func parseSocket(b []byte) (socket, error) {
	if len(b) < sizeofDiagMessage {
		return socket{}, errShort
	}
	s := socket{port: binary.BigEndian.Uint16(b[4:])}
	switch b[0] {
	case unix.AF_INET:
		s.Address = netip.AddrFrom4([4]byte(b[8:]))
	case unix.AF_INET6:
		s.Address = netip.AddrFrom16([16]byte(b[8:])).Unmap()
	default:
		return socket{}, errShort
	}
	s.Interface = int(binary.NativeEndian.Uint32(b[40:]))
	s.Queue, s.Backlog = binary.NativeEndian.Uint32(b[56:]), binary.NativeEndian.Uint32(b[60:])
	attributes(b[sizeofDiagMessage:], func(typ uint16, v []byte) {
		if typ == diagIPv6Only {
			s.IPv6Only = number(v) != 0
		}
	})
	return s, nil
}
