package transport

// Over UDP and TCP the messages are echo messages like those of ICMP, so that one engine knows them all. Whoever echoes
// a message makes its type that of a reply: our own request, if it ever came back, would not pass for one.

// ICMP message types (RFC 792, RFC 4443).
const (
	TypeEchoReplyV4   = 0
	TypeEchoRequestV4 = 8
	TypeEchoRequestV6 = 128
	TypeEchoReplyV6   = 129
)

// HeaderLen is the length of an echo header in bytes: type, code, checksum (2), identifier (2), sequence number (2).
const HeaderLen = 8

// maxDatagram is room for the data of any datagram.
const maxDatagram = 1 << 16

// maxAttempts bounds each loop over what others send us, such as packets that came before a filter was set.
const maxAttempts = 1024

// makeReply makes the reply of an echo request, in place.
func makeReply(msg []byte) {
	setType(msg, TypeEchoRequestV4, TypeEchoReplyV4, TypeEchoRequestV6, TypeEchoReplyV6)
}

// makeRequest undoes makeReply.
func makeRequest(msg []byte) {
	setType(msg, TypeEchoReplyV4, TypeEchoRequestV4, TypeEchoReplyV6, TypeEchoRequestV6)
}

func setType(msg []byte, from4, to4, from6, to6 byte) {
	switch {
	case len(msg) == 0:
	case msg[0] == from4:
		msg[0] = to4
	case msg[0] == from6:
		msg[0] = to6
	}
}
