package netlink

import (
	"encoding/binary"
	"math"
	"net/netip"

	"golang.org/x/sys/unix"

	"lping/platform/fact"
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
	stateEstablished = 1
	stateSynReceived = 3
	stateClose       = 7
	stateCloseWait   = 8
	stateListen      = 10
	stateNewReceived = 12 // a connection in SYN-RECEIVED that is no whole socket yet
	allStates        = math.MaxUint32
)

// Socket is what sock_diag tells of a socket. The backlog of a socket of UDP has no meaning.
type Socket struct {
	Listener
	Port uint16
	// State is one of net/tcp_states.h. Inode is 0 as long as no program has the socket.
	State byte
	Inode uint32
}

// Waits says that a connection is still to be accepted. ok is false if the socket is none: the kernel tells of the listener if
// there is no such connection.
func (s Socket) Waits() (waits, ok bool) {
	open := s.State == stateEstablished || s.State == stateSynReceived || s.State == stateCloseWait
	return open && s.Inode == 0, s.State != stateListen
}

// GetListeners asks for the sockets of a family that take what comes to a port.
func GetListeners(family byte, protocol string, port uint16) Request {
	states := uint32(1 << stateListen)
	if protocol == UDP {
		states = 1 << stateClose
	}
	return getSockets(family, protocol, states, fact.Range{Low: int64(port), High: int64(port)})
}

// GetSockets asks for all sockets of a family whose local port is within a range.
func GetSockets(family byte, protocol string, ports fact.Range) Request {
	return getSockets(family, protocol, allStates, ports)
}

// GetHalfOpen asks for the connections of a family to ports within a range that wait for the last step of the handshake.
func GetHalfOpen(family byte, ports fact.Range) Request {
	return getSockets(family, TCP, 1<<stateSynReceived|1<<stateNewReceived, ports)
}

// GetConnection asks for the end of a TCP connection that is a service's.
func GetConnection(client, service netip.AddrPort) Request {
	b := make([]byte, sizeofDiagRequest)
	b[0], b[1] = unix.AF_INET, unix.IPPROTO_TCP
	if service.Addr().Is6() {
		b[0] = unix.AF_INET6
	}
	binary.NativeEndian.PutUint32(b[4:], allStates)
	binary.BigEndian.PutUint16(b[8:], service.Port())
	binary.BigEndian.PutUint16(b[10:], client.Port())
	copy(b[12:28], service.Addr().AsSlice())
	copy(b[28:44], client.Addr().AsSlice())
	copy(b[48:], []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) // INET_DIAG_NOCOOKIE, twice
	return get(sockDiagByFamily, b)
}

// getSockets is struct inet_diag_req_v2 with a filter by port, which the kernel applies. A single port stands in the
// identity of the socket too: then the kernel looks at that port alone.
func getSockets(family byte, protocol string, states uint32, ports fact.Range) Request {
	b := make([]byte, sizeofDiagRequest)
	b[0], b[1] = family, unix.IPPROTO_TCP
	if protocol == UDP {
		b[1] = unix.IPPROTO_UDP
	}
	binary.NativeEndian.PutUint32(b[4:], states)
	if ports.Low == ports.High {
		binary.BigEndian.PutUint16(b[8:], uint16(ports.Low))
	}
	return dump(sockDiagByFamily, appendAttribute(b, diagBytecode, portFilter(ports)))
}

// portFilter is a program of four operations (struct inet_diag_bc_op). Each has a code and two jumps, for yes and for no. A
// jump beyond the end of the program refuses the socket.
func portFilter(ports fact.Range) (b []byte) {
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

// ParseSocket reads struct inet_diag_msg: family and state, ports and addresses, and the length of the queues.
func ParseSocket(b []byte) (Socket, error) {
	if len(b) < sizeofDiagMessage {
		return Socket{}, errShort
	}
	s := Socket{State: b[1], Port: binary.BigEndian.Uint16(b[4:]), Inode: binary.NativeEndian.Uint32(b[68:])}
	switch b[0] {
	case unix.AF_INET:
		s.Address = netip.AddrFrom4([4]byte(b[8:]))
	case unix.AF_INET6:
		s.Address = netip.AddrFrom16([16]byte(b[8:])).Unmap()
	default:
		return Socket{}, errShort
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
