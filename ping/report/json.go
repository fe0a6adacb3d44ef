package report

import (
	"bytes"
	"encoding/json"
	"io"
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"

	"lping/ping"
	"lping/platform"
	"lping/platform/diagnose"
	"lping/stats"
)

// schema is the version of the objects' form. The first object has it.
const schema = 1

// JSONWriter writes objects of the format json, one a line: those that every report has, and those that a caller adds.
type JSONWriter struct {
	lines
	// begun says that the first object was written.
	begun bool
	// waited is that of the report.
	waited time.Duration
}

// NewJSONWriter gives a writer that has written no object yet.
func NewJSONWriter(w io.Writer) *JSONWriter { return &JSONWriter{lines: newLines(w)} }

// jsonLines is the format json.
type jsonLines struct {
	*JSONWriter
	o Options
}

// NewJSON is the format json: one object a line, with numbers as numbers and null for what was not measured.
func NewJSON(w io.Writer, o Options) Renderer { return &jsonLines{NewJSONWriter(w), o} }

// open starts an object of a type. The first of all gets the schema.
func (j *JSONWriter) open(typ string) []byte {
	b := append(append(j.buf[:0], `{"type":"`...), typ...)
	b = append(b, '"')
	if !j.begun {
		b = strconv.AppendInt(append(b, `,"schema":`...), schema, 10)
	}
	j.begun = true
	return b
}

// Object writes an object of a type with the fields of v, which must be a struct with at least one.
func (j *JSONWriter) Object(typ string, v any) error {
	var fields bytes.Buffer
	e := json.NewEncoder(&fields)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	b := append(j.open(typ), ',')
	return j.putRaw(append(b, fields.Bytes()[1:]...)) // the newline is Encode's
}

type jsonStart struct {
	Name      string  `json:"name"`
	Address   string  `json:"address"`
	Family    int     `json:"family"`
	Method    *string `json:"method"`
	Port      uint16  `json:"port,omitempty"`
	Path      string  `json:"path,omitempty"`
	Echo      bool    `json:"echo,omitempty"`
	Size      int     `json:"size"`
	Sizes     []int   `json:"sizes,omitempty"`
	Stamps    *string `json:"timestamps"`
	Source    string  `json:"source,omitempty"`
	Interface string  `json:"interface,omitempty"`
}

// Start writes what is going to be probed.
func (j *jsonLines) Start(t Target) error {
	s := jsonStart{
		Name: t.Name, Address: t.Address.String(), Family: Family(t.Address), Method: orNull(t.Method),
		Port: t.Port, Path: t.Path, Echo: t.Echo, Size: t.Size, Sizes: t.Sizes, Stamps: timestamps(t), Interface: t.Interface,
	}
	if t.Source.IsValid() {
		s.Source = t.Source.String()
	}
	return j.Object("start", s)
}

// timestamps says who took the time of arrival: the kernel or the user's program. It is null if there was no socket.
func timestamps(t Target) *string {
	switch {
	case t.Method == "":
		return nil
	case t.Stamps:
		return orNull("kernel")
	}
	return orNull("user")
}

// Family is 4 or 6.
func Family(a netip.Addr) int {
	if a.Unmap().Is4() {
		return 4
	}
	return 6
}

// orNull is null for what is empty.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Event writes what happened to a probe. It does without encoding/json, because a flood spends most of its time here.
func (j *jsonLines) Event(t Target, e ping.Event) error {
	if j.o.Quiet {
		return nil
	}
	switch e.Kind {
	case ping.Reply, ping.Duplicate, ping.Late:
		b := exactMillis(append(j.event(t, e), `,"rtt_ms":`...), e.RTT)
		if e.Connect > 0 {
			b = exactMillis(append(b, `,"connect_ms":`...), e.Connect)
		}
		return j.put(append(appendArrival(b, t, e), '}'))
	case ping.Timeout:
		return j.put(append(j.event(t, e), '}'))
	case ping.Corrupt:
		b := appendArrival(j.event(t, e), t, e)
		if !e.Answer.Wrong() {
			b = appendMismatch(b, e.Wrong)
		}
		return j.put(append(b, '}'))
	case ping.SendError:
		return j.put(append(appendAnswer(appendFault(j.event(t, e), t, e.Fault), e.Answer), '}'))
	}
	return nil
}

// event starts the object of an event with the fields that every event has.
func (j *jsonLines) event(t Target, e ping.Event) []byte {
	b := j.open(e.Kind.String())
	if j.o.Timestamp {
		b = exactMillis(append(b, `,"time_ms":`...), time.Duration(e.Time.UnixNano()))
	}
	b = strconv.AppendUint(append(b, `,"seq":`...), e.Seq, 10)
	b = appendAddress(append(b, `,"address":`...), sender(t, e))
	if t.Port != 0 {
		b = strconv.AppendUint(append(b, `,"port":`...), uint64(t.Port), 10)
	}
	if t.Path != "" {
		b = appendQuoted(append(b, `,"path":`...), t.Path)
	}
	if t.Ambiguous {
		b = appendQuoted(append(b, `,"method":`...), t.Method)
	}
	return b
}

// appendAddress appends an address as a string. Only a zone, which is an interface's name, may need escapes.
func appendAddress(b []byte, a netip.Addr) []byte {
	if a.Zone() != "" {
		return appendQuoted(b, a.String())
	}
	return append(a.AppendTo(append(b, '"')), '"')
}

// appendArrival appends the hop limit, if the system told it, and the number of bytes. A connection to a service brings neither.
func appendArrival(b []byte, t Target, e ping.Event) []byte {
	if e.TTL > 0 {
		b = strconv.AppendInt(append(b, `,"ttl":`...), int64(e.TTL), 10)
	}
	if !connectsOnly(t) {
		b = strconv.AppendInt(append(b, `,"bytes":`...), int64(e.Bytes), 10)
	}
	return appendAnswer(b, e.Answer)
}

// appendAnswer appends what a service did or said, if there is more to it than that it answered.
func appendAnswer(b []byte, a *ping.Answer) []byte {
	if a == nil {
		return b
	}
	if a.Reset {
		b = append(b, `,"reset":true`...)
	}
	if a.Status != 0 {
		b = strconv.AppendInt(append(b, `,"status":`...), int64(a.Status), 10)
	}
	if a.Text != "" {
		b = appendQuoted(append(b, `,"said":`...), a.Text)
	}
	return b
}

func appendMismatch(b []byte, m ping.Mismatch) []byte {
	b = strconv.AppendInt(append(b, `,"offset":`...), int64(m.Offset), 10)
	b = strconv.AppendUint(append(b, `,"want":`...), uint64(m.Want), 10)
	b = strconv.AppendUint(append(b, `,"got":`...), uint64(m.Got), 10)
	b = strconv.AppendInt(append(b, `,"want_bytes":`...), int64(m.WantLen), 10)
	return strconv.AppendInt(append(b, `,"got_bytes":`...), int64(m.GotLen), 10)
}

// appendFault appends the error number, if there is one, and for an ICMP error its type and code.
func appendFault(b []byte, t Target, f ping.Fault) []byte {
	if f.Errno != 0 {
		b = appendQuoted(append(b, `,"errno":`...), platform.ErrnoName(f.Errno))
		b = appendQuoted(append(b, `,"message":`...), f.Errno.Error())
	} else if f.ICMP {
		b = append(icmpWords(append(b, `,"message":"`...), t.Address, f.Type, f.Code), '"')
	}
	if f.ICMP {
		b = strconv.AppendUint(append(b, `,"icmp_type":`...), uint64(f.Type), 10)
		b = strconv.AppendUint(append(b, `,"icmp_code":`...), uint64(f.Code), 10)
	}
	return b
}

// appendQuoted appends s as a JSON string (RFC 8259, section 7); bytes that are no UTF-8 become U+FFFD.
func appendQuoted(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ' || r == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&0xf])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// millis is a duration that JSON shows in ms, to the nanosecond.
type millis time.Duration

// MarshalJSON is the number of ms.
func (m millis) MarshalJSON() ([]byte, error) { return exactMillis(nil, time.Duration(m)), nil }

// percent is a share that JSON shows without an exponent, however small it is.
type percent float64

// MarshalJSON is the number of percent.
func (p percent) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(p), 'f', -1, 64), nil
}

type jsonSummary struct {
	Address     string           `json:"address"`
	Family      int              `json:"family"`
	Method      *string          `json:"method"`
	Port        uint16           `json:"port,omitempty"`
	Path        string           `json:"path,omitempty"`
	Sent        uint64           `json:"sent"`
	Received    uint64           `json:"received"`
	Lost        uint64           `json:"lost"`
	Late        uint64           `json:"late"`
	InFlight    uint64           `json:"in_flight"`
	SendErrors  uint64           `json:"send_errors"`
	Duplicates  uint64           `json:"duplicates"`
	Corrupted   uint64           `json:"corrupted"`
	Foreign     uint64           `json:"foreign"`
	LossPercent *percent         `json:"loss_percent"`
	Duration    *millis          `json:"duration_ms"`
	Waited      *millis          `json:"waited_ms,omitempty"`
	Stamps      *string          `json:"timestamps"`
	Stamped     uint64           `json:"stamped"`
	Split       uint64           `json:"split"`
	ClockSteps  uint64           `json:"clock_steps"`
	RTT         jsonDistribution `json:"rtt"`
	Send        jsonDistribution `json:"send"`
	Kernel      jsonDistribution `json:"kernel"`
	Wakeup      jsonDistribution `json:"wakeup"`
	LongestLoss uint64           `json:"longest_loss"`
	Verdict     string           `json:"verdict"`
	Cause       *string          `json:"cause"`
	ExitCode    int              `json:"exit_code"`
	Findings    []jsonFinding    `json:"findings"`
}

type jsonDistribution struct {
	Min    *millis `json:"min_ms"`
	Mean   *millis `json:"mean_ms"`
	Max    *millis `json:"max_ms"`
	StdDev *millis `json:"stddev_ms"`
	P50    *millis `json:"p50_ms"`
	P90    *millis `json:"p90_ms"`
	P99    *millis `json:"p99_ms"`
	P999   *millis `json:"p999_ms"`
	Jitter *millis `json:"jitter_ms"`
}

type jsonFinding struct {
	Code     string `json:"code"`
	Severity string `json:"severity"`
	Cause    string `json:"cause"`
	Evidence string `json:"evidence"`
	Fix      string `json:"fix"`
	// Address, Port, Path and, if it is ambiguous, Method are those of the target, in the object of a finding only.
	Address string `json:"address,omitempty"`
	Port    uint16 `json:"port,omitempty"`
	Path    string `json:"path,omitempty"`
	Method  string `json:"method,omitempty"`
}

type jsonOverall struct {
	Verdict  string `json:"verdict"`
	ExitCode int    `json:"exit_code"`
}

// Finish writes the findings and the summary of each result and, if there are several, the verdict over all of them.
func (j *jsonLines) Finish(r Report) error {
	for _, result := range r.Results {
		j.waited = r.Waited
		if err := j.Result(result); err != nil {
			return err
		}
	}
	if len(r.Results) < 2 {
		return nil
	}
	return j.Overall(r.Verdict, r.ExitCode)
}

// Overall writes the verdict over all results.
func (j *JSONWriter) Overall(v stats.Verdict, exitCode int) error {
	return j.Object("overall", jsonOverall{v.String(), exitCode})
}

// Result writes the findings of a result, and its summary.
func (j *JSONWriter) Result(r Result) error {
	findings := make([]jsonFinding, 0, len(r.Findings))
	for _, f := range r.Findings {
		findings = append(findings, newJSONFinding(f))
	}
	for _, f := range findings {
		f.Address, f.Port, f.Path = r.Target.Address.String(), r.Target.Port, r.Target.Path
		if r.Target.Ambiguous {
			f.Method = r.Target.Method
		}
		if err := j.Object("finding", f); err != nil {
			return err
		}
	}
	s := newJSONSummary(r, findings)
	if j.waited > 0 {
		waited := millis(j.waited)
		s.Waited = &waited
	}
	return j.Object("summary", s)
}

func newJSONFinding(f diagnose.Finding) jsonFinding {
	return jsonFinding{
		Code: string(f.Code), Severity: f.Severity.String(), Cause: f.Cause, Evidence: f.Evidence, Fix: f.Fix,
	}
}

func newJSONSummary(r Result, findings []jsonFinding) jsonSummary {
	s := r.Summary
	out := jsonSummary{
		Address: r.Target.Address.String(), Family: Family(r.Target.Address), Method: orNull(r.Target.Method),
		Port: r.Target.Port, Path: r.Target.Path, Sent: s.Sent, Received: s.Received, Lost: s.Lost, Late: s.Late, InFlight: s.InFlight,
		SendErrors: s.SendErrors, Duplicates: s.Duplicates, Corrupted: s.Corrupted, Foreign: s.Foreign,
		Stamps: timestamps(r.Target), Stamped: s.Stamped, Split: s.Kernel.Count, ClockSteps: s.ClockSteps,
		RTT: newJSONDistribution(s.RTT), Send: newJSONDistribution(s.Send),
		Kernel: newJSONDistribution(s.Kernel), Wakeup: newJSONDistribution(s.Wakeup), LongestLoss: s.LongestLoss,
		Verdict: r.Verdict.String(), Cause: orNull(r.Why()), ExitCode: r.ExitCode, Findings: findings,
	}
	if s.Decided() > 0 {
		loss, duration := percent(s.LossPercent), millis(s.Duration)
		out.LossPercent, out.Duration = &loss, &duration
	}
	return out
}

// newJSONDistribution is all null if nothing was measured.
func newJSONDistribution(d stats.Distribution) jsonDistribution {
	if d.Count == 0 {
		return jsonDistribution{}
	}
	ms := func(d time.Duration) *millis { m := millis(d); return &m }
	return jsonDistribution{
		Min: ms(d.Min), Mean: ms(d.Mean), Max: ms(d.Max), StdDev: ms(d.StdDev),
		P50: ms(d.P50), P90: ms(d.P90), P99: ms(d.P99), P999: ms(d.P999), Jitter: ms(d.Jitter),
	}
}
