package ping

import (
	"net/netip"
	"time"
)

// Kind says what happened to a probe, or what arrived.
type Kind uint8

const (
	// Sent: the probe was handed to the kernel, or is about to fail there.
	Sent Kind = iota + 1
	// Reply: the right answer, within the timeout.
	Reply
	// Duplicate: one more right answer to a probe that had one.
	Duplicate
	// NoAnswer: the next probe is about to leave and this one has no answer yet.
	NoAnswer
	// Timeout: the timeout passed; the probe is lost unless Late follows.
	Timeout
	// Late: the right answer to a probe that had been called lost.
	Late
	// Corrupt: an answer to this probe whose data is not what was sent.
	Corrupt
	// SendError: the kernel refused the probe, or an ICMP error came back for it.
	SendError
	// Foreign: a reply on our socket that answers no probe of this run.
	Foreign
	// ClockStep: the wall clock was set while probes were under way; their RTTs end with the return of the read.
	ClockStep
)

var kindNames = [...]string{
	Sent: "sent", Reply: "reply", Duplicate: "duplicate", NoAnswer: "no-answer", Timeout: "timeout",
	Late: "late", Corrupt: "corrupt", SendError: "error", Foreign: "foreign", ClockStep: "clock-step",
}

// String is the event's name in lower case.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return "unknown"
}

// Event is one thing that happened in a run. It is a value: keep it as long as you like.
type Event struct {
	Kind Kind
	// Seq is the probe's number, from 1, 64 bits; 0 for Foreign and ClockStep. On the wire stand its low 16 bits.
	Seq uint64
	// Time is when the event was noticed, with a monotonic reading.
	Time time.Time
	// From is who answered or reported the error; the target for Sent, NoAnswer, Timeout and local errors.
	From netip.Addr
	// RTT is from just before the send to the kernel's receive stamp (Stamped) or to the return of the read; Reply,
	// Duplicate and Late only.
	RTT     time.Duration
	Stamped bool
	// Connect is the part of RTT until the TCP handshake was done; 0 if there was none, or nothing after it.
	Connect time.Duration
	// Split divides a stamped round trip, if the kernel told when the probe left too (Divided).
	Split   Split
	Divided bool
	// Step is by how much the wall clock was set; ClockStep only.
	Step time.Duration
	// TTL is the reply's time to live or hop limit, 0 if the system did not tell.
	TTL int
	// Bytes is the length of the echo message that arrived, header included, or of what a service answered.
	Bytes int
	// Ident is the echo identifier on the wire.
	Ident uint16
	// InFlight is how many probes are undecided after this event.
	InFlight int
	// Wrong is where the data of a Corrupt reply first differs.
	Wrong Mismatch
	// Fault is what a SendError reports.
	Fault Fault
	// Answer is what a service did or said, if there is more to it than that it answered; else nil.
	Answer *Answer
}

// Mismatch is the first difference between the data sent and the data received.
type Mismatch struct {
	// Offset counts data bytes from 0. If only the lengths differ it is the shorter one, and Want and Got are 0.
	Offset    int
	Want, Got byte
	// WantLen and GotLen are the lengths of the data in bytes.
	WantLen, GotLen int
}
