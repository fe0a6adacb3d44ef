package diagnose

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"lping/platform"
	"lping/platform/droptrace"
)

// Evidence is what a run saw of one target, and what the extra probe saw that was sent to find out more. Errors are
// symbols such as EPERM (platform.ErrnoName), so that evidence from one system can be judged on another; an empty
// one is no error. The JSON form of facts and evidence is a test case.
type Evidence struct {
	// Family is 4 or 6.
	Family int        `json:"family"`
	Target netip.Addr `json:"target"`
	// Named says that the target was asked for as localhost.
	Named bool `json:"named,omitempty"`
	// Size is the number of data bytes of a probe, the largest of a sweep.
	Size int `json:"size,omitempty"`
	// Sweep says at which size a sweep failed first, and how; empty if none did.
	Sweep string `json:"sweep,omitempty"`
	// Asked says that the user asked for this family, and not for a look at both.
	Asked bool `json:"asked"`
	// Method is how the probes travel: icmp-dgram, icmp-raw, udp, tcp or http; empty if no socket could be opened.
	Method string `json:"method"`
	// Port is that of the service that is probed; 0 if the kernel or lping itself answers.
	Port uint16 `json:"port,omitempty"`
	// Echo says that the service is asked as an echo, Path what it is asked for over HTTP.
	Echo bool   `json:"echo,omitempty"`
	Path string `json:"path,omitempty"`
	// Datagram and Raw say why an ICMP socket of that kind could not be opened.
	Datagram string `json:"open_datagram,omitempty"`
	Raw      string `json:"open_raw,omitempty"`
	// Stream says why a socket for UDP or TCP could not be opened.
	Stream string `json:"open_udp_tcp,omitempty"`
	// DatagramCall, RawCall and StreamCall are the system calls that failed then.
	DatagramCall string `json:"open_datagram_call,omitempty"`
	RawCall      string `json:"open_raw_call,omitempty"`
	StreamCall   string `json:"open_udp_tcp_call,omitempty"`
	// Receive says why the run ended since it could not read its socket.
	Receive string `json:"receive,omitempty"`
	// Bind says why a socket could not be bound to the target's own address.
	Bind string `json:"bind,omitempty"`

	// Every probe counts once, as in the summary.
	Sent       uint64 `json:"sent"`
	Received   uint64 `json:"received"`
	Lost       uint64 `json:"lost"`
	Late       uint64 `json:"late"`
	Corrupted  uint64 `json:"corrupted"`
	SendErrors uint64 `json:"send_errors"`
	// Silent are the probes of an interrupted run that had already waited for too long.
	Silent uint64 `json:"silent,omitempty"`
	// Unaccepted are connections that were made and not accepted in time, Held those that were not begun, since the queue of the
	// service had no room for them without harm.
	Unaccepted uint64 `json:"unaccepted,omitempty"`
	Held       uint64 `json:"held,omitempty"`
	// Hanging are connections that were made, may have been accepted, and brought no answer in time to what was asked.
	Hanging uint64 `json:"hanging,omitempty"`
	// Resets are connections that the service accepted and reset.
	Resets uint64 `json:"resets,omitempty"`
	// Wrong are answers of a service that were not as they should be. Status is that of the last one over HTTP, or 0; Said is the
	// reason with it or what was said instead.
	Wrong  uint64 `json:"wrong,omitempty"`
	Status int    `json:"status,omitempty"`
	Said   string `json:"said,omitempty"`
	// Timeout is how long an answer may take, Slowest how long a late one took, in ms.
	Timeout float64 `json:"timeout_ms,omitempty"`
	Slowest float64 `json:"slowest_ms,omitempty"`
	// Duplicates are answers beyond the first one of a probe.
	Duplicates uint64 `json:"duplicates"`
	// Refused are the errors that the kernel had for a send, at once or on the error queue. Reports are the ICMP
	// errors that came back, which are not in Refused whatever errno they became. Both are send errors.
	Refused []Refusal `json:"refused,omitempty"`
	Reports []Report  `json:"reports,omitempty"`
	// LossAllowed says that the user's limits allow what was lost: then what explains it is no error, unless the loopback or
	// the service is away and nothing was received.
	LossAllowed bool `json:"loss_allowed,omitempty"`

	// Over says that answers come again: then what kept them away is told in the past tense.
	Over bool `json:"over,omitempty"`

	// Probe is the extra probe, sent by the same method; nil if none was.
	Probe *Probe `json:"probe,omitempty"`
	// RewrittenFrom is the address from which our own echo got the probes, if they were sent from another.
	RewrittenFrom string `json:"rewritten_from,omitempty"`
	// Redirected says that a firewall rule sends the port of the service elsewhere. It is read only if the port was refused.
	Redirected platform.Known[bool] `json:"redirected,omitzero"`
	// AnswersFrom is the address and port from which a service over UDP answered, if they are others than those that were asked.
	AnswersFrom string `json:"answers_from,omitempty"`
	// UDP is a datagram to a socket of our own on the same address; nil if none was sent.
	UDP *Datagram `json:"udp,omitempty"`
	// Listeners are the sockets on the port of the service, PortsInUse is how many of the ports that the system gives out
	// have a socket. Both are about the protocol of the probes, and not read for ICMP.
	Listeners  platform.Known[[]platform.Listener] `json:"listeners,omitzero"`
	PortsInUse platform.Known[int]                 `json:"ports_in_use,omitzero"`
	// QueueDrops are the answers that found the queue of our own socket full.
	QueueDrops platform.Known[uint64] `json:"queue_drops"`

	// Kernel is the time between the kernel's send and receive stamps, Wakeup that from there to the return of
	// the read; nil if there were no stamps.
	Kernel *Latency `json:"kernel,omitempty"`
	Wakeup *Latency `json:"wakeup,omitempty"`
	// RTT is that of probes which no service answers; nil for the others.
	RTT *Latency `json:"rtt,omitempty"`
	// Pace is what a datagram takes through a UNIX socket, in ms: the machine's own speed, without a rule or a queue on the way. It
	// is measured if the kernel's path looks slow.
	Pace platform.Known[float64] `json:"pace_ms,omitzero"`
	// Lag is the longest time by which a probe left too late, in ms; 0 if the probes had no steady pace.
	Lag float64 `json:"send_lag_ms,omitempty"`
	// ClockStep is by how much the wall clock was moved against the monotonic one during the run, in ms.
	ClockStep float64 `json:"clock_step_ms,omitempty"`
}

// Refusal is an error of send.
type Refusal struct {
	Errno string `json:"errno"`
	// Call is the system call that may have been denied, if it is another than a send.
	Call  string `json:"call,omitempty"`
	Count uint64 `json:"count"`
}

// Report is an ICMP error (RFC 792, RFC 4443) that came back for a probe.
type Report struct {
	Type  uint8  `json:"type"`
	Code  uint8  `json:"code"`
	Count uint64 `json:"count"`
}

// Probe is one echo request with the counters read around it.
type Probe struct {
	// Errno is what send returned.
	Errno string `json:"errno,omitempty"`
	// Call is the system call that may have been denied, if it was another.
	Call     string `json:"call,omitempty"`
	Answered bool   `json:"answered"`
	// HalfOpen says that a connection to the target waits for the last step of its handshake: the SYN arrived.
	HalfOpen bool `json:"half_open,omitempty"`
	// Passing says that lo took packets of others meanwhile.
	Passing bool `json:"passing,omitempty"`
	// Dropped are the packets of this process that the kernel dropped meanwhile; read only if nothing had been answered.
	Dropped platform.Known[[]droptrace.Drop] `json:"dropped,omitzero"`
	// Counted is how far the counters of the family moved, from just before the send to the end of the wait.
	Counted platform.Known[platform.Counters] `json:"counted"`
}

// Datagram is a UDP datagram to oneself.
type Datagram struct {
	// Errno is what bind or send returned, Connect what a socket said that asked for no more than a route.
	Errno    string `json:"errno,omitempty"`
	Connect  string `json:"connect,omitempty"`
	Answered bool   `json:"answered"`
}

// Latency is a distribution of times, in ms.
type Latency struct {
	Count uint64  `json:"count"`
	Min   float64 `json:"min_ms"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
}

// verb is the form of a verb that tells of what is, or of what is over.
func (e Evidence) verb(is, was string) string {
	if e.Over {
		return was
	}
	return is
}

// missing is how many probes got no answer in time. A corrupted answer is not among them.
func (e Evidence) missing() uint64 { return e.Lost + e.Late + e.SendErrors + e.Silent }

// some is what the probes, the echo request or the echo reply are called of which some were lost and others not: then it tells how
// many.
func (e Evidence) some(what string) string {
	plural := strings.NewReplacer("the ", "", "request", "requests", "reply", "replies").Replace(what)
	if e.Received == 0 || e.missing() == 0 || e.Over {
		return what
	}
	return fmt.Sprintf("%d of %d %s", e.missing(), e.decided(), plural)
}

// lacksAnswers says that answers are missing, or that no socket could be opened.
func (e Evidence) lacksAnswers() bool { return e.Method == "" || e.missing() > 0 }

// Unanswered says that probes were sent and none was answered.
func (e Evidence) Unanswered() bool { return e.Sent > 0 && e.Received == 0 }

// icmp says whether the probes are echo requests.
func (e Evidence) icmp() bool { return strings.HasPrefix(e.Method, "icmp") }

// tcp says whether the probes travel over TCP.
func (e Evidence) tcp() bool { return e.Method == "tcp" || e.Method == "http" }

// refused says whether send failed with one of these errors, in the run or in the extra probe. TCP sends when it connects; but
// it is no packet that was refused if another call than send got EPERM.
func (e Evidence) refused(errnos ...string) bool {
	if e.Probe != nil && !(e.Probe.Errno == "EPERM" && e.Probe.Call != "") && slices.Contains(errnos, e.Probe.Errno) {
		return true
	}
	return slices.ContainsFunc(e.Refused, func(r Refusal) bool {
		return !(r.Errno == "EPERM" && r.Call != "") && slices.Contains(errnos, r.Errno)
	})
}

// counted is what the extra probe moved, if both are known.
func (e Evidence) counted() (platform.Counters, bool) {
	if e.Probe == nil {
		return platform.Counters{}, false
	}
	return e.Probe.Counted.Get()
}

// sends tells what became of the probes, for a person.
func (e Evidence) sends() string {
	var parts []string
	for _, r := range e.Refused {
		parts = append(parts, fmt.Sprintf("%d %s got %s", r.Count, calls(r.Call, r.Count), r.Errno))
	}
	for _, r := range e.Reports {
		parts = append(parts, fmt.Sprintf("%d ICMP errors of type %d code %d", r.Count, r.Type, r.Code))
	}
	if len(parts) == 0 && e.Probe != nil && e.Probe.Errno != "" {
		parts = append(parts, "send got "+e.Probe.Errno)
	}
	if e.Bind != "" {
		parts = append(parts, "bind got "+e.Bind)
	}
	return strings.Join(parts, ", ")
}

// calls is the word for so many system calls.
func calls(name string, n uint64) string {
	name = cmp.Or(name, "send")
	if n == 1 {
		return name
	}
	return name + "s"
}

// udp tells what became of the UDP datagram.
func (e Evidence) udp() string {
	switch {
	case e.UDP == nil:
		return ""
	case e.UDP.Answered:
		return "UDP to the same address works"
	case e.UDP.Errno != "":
		return "UDP to the same address got " + e.UDP.Errno
	}
	return "UDP to the same address is lost too"
}

// ruleList tells the routing rules.
func ruleList(rules []platform.Rule) string {
	return listed(rules, "none", func(r platform.Rule) string {
		return fmt.Sprintf("%d %s", r.Priority, r.Text())
	})
}

// localTable tells what the local table has for the target.
func localTable(family platform.Family) string {
	routes, ok := family.Local.Get()
	if !ok {
		return "local table unknown: " + family.Local.Reason()
	}
	return "the local table has " + listed(routes, "nothing for it", func(r platform.Route) string {
		return r.Type + " " + r.Destination.String()
	})
}

// lookup tells what the kernel answers to `ip route get`.
func lookup(family platform.Family) string {
	l, ok := family.Lookup.Get()
	switch {
	case !ok:
		return ""
	case l.Errno != "":
		return "ip route get: " + l.Errno
	case l.Route.Interface == "":
		return "ip route get: " + l.Route.Type
	}
	return "ip route get: " + l.Route.Type + " dev " + l.Route.Interface
}

// listed joins what say returns for each element of a list; none is for an empty one.
func listed[T any](list []T, none string, say func(T) string) string {
	if len(list) == 0 {
		return none
	}
	var parts []string
	for _, v := range list {
		parts = append(parts, say(v))
	}
	return strings.Join(parts, ", ")
}

// join puts the parts that are not empty on one line.
func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
}
