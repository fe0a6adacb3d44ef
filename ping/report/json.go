package report

import (
	"bytes"
	"encoding/json"
	"io"
	"net/netip"
	"strconv"
	"time"

	"lping/platform/diagnose"
	"lping/stats"
)

// schema is the version of the objects' form. The first object has it.
const schema = 1

// JSONWriter writes objects of the format json, one a line: those that every report has, and those that a caller adds.
type JSONWriter struct {
	lines
	now func() time.Time
	// told are the codes of the findings that were written while the run lasted.
	told map[jsonPlace]bool
	// begun says that the first object was written.
	begun bool
	// waited is that of the report.
	waited time.Duration
}

// NewJSONWriter gives a writer that has written no object yet. now is the time of an object that has none of its own.
func NewJSONWriter(w io.Writer, now func() time.Time) *JSONWriter {
	return &JSONWriter{lines: newLines(w), now: now, told: map[jsonPlace]bool{}}
}

// jsonLines is the format json.
type jsonLines struct {
	*JSONWriter
	o Options
}

// jsonPlace says of what target a code was found.
type jsonPlace struct {
	jsonAddress
	code diagnose.Code
}

// NewJSON is the format json: one object a line, with numbers as numbers and null for what was not measured.
func NewJSON(w io.Writer, o Options) Renderer {
	return &jsonLines{NewJSONWriter(w, o.now), o}
}

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

// end ends an object with its time, and writes it.
func (j *JSONWriter) end(b []byte, at time.Time) error {
	return j.put(append(unixTime(append(b, `,"time":`...), at), '}'))
}

// Object writes an object of a type with the fields of v, which must be a struct with at least one.
func (j *JSONWriter) Object(typ string, v any) error { return j.object(typ, v, j.now()) }

func (j *JSONWriter) object(typ string, v any, at time.Time) error {
	var fields bytes.Buffer
	e := json.NewEncoder(&fields)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	b := append(j.open(typ), ',')
	return j.end(append(b, bytes.TrimSuffix(fields.Bytes()[1:], []byte("}\n"))...), at)
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
	return j.object("start", s, t.Begun)
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
	Outages     uint64           `json:"outages"`
	Longest     *jsonOutage      `json:"longest_outage"`
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
	// Since and Until are those of the outage that it explains.
	Since *unixSeconds `json:"since,omitempty"`
	Until *unixSeconds `json:"until,omitempty"`
	// jsonAddress is in the object of a finding only.
	jsonAddress
}

// jsonAddress names a target: its address, port, path and, if it is ambiguous, method.
type jsonAddress struct {
	Address string `json:"address,omitempty"`
	Port    uint16 `json:"port,omitempty"`
	Path    string `json:"path,omitempty"`
	Method  string `json:"method,omitempty"`
}

func newJSONAddress(t Target) jsonAddress {
	a := jsonAddress{Address: t.Address.String(), Port: t.Port, Path: t.Path}
	if t.Ambiguous {
		a.Method = t.Method
	}
	return a
}

type jsonOutage struct {
	Since  *unixSeconds `json:"since"`
	Until  *unixSeconds `json:"until"`
	Length millis       `json:"duration_ms"`
	Lost   uint64       `json:"lost"`
}

func newJSONOutage(o stats.Outage) *jsonOutage {
	if o.Lost == 0 {
		return nil
	}
	return &jsonOutage{newUnixSeconds(o.Since), newUnixSeconds(o.Until), millis(o.Length), o.Lost}
}

// unixSeconds is a time that JSON shows in seconds since 1970, to the microsecond.
type unixSeconds time.Time

// newUnixSeconds is nil for no time.
func newUnixSeconds(t time.Time) *unixSeconds {
	if t.IsZero() {
		return nil
	}
	u := unixSeconds(t)
	return &u
}

// MarshalJSON is the number of seconds.
func (u unixSeconds) MarshalJSON() ([]byte, error) { return unixTime(nil, time.Time(u)), nil }

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

// Finding writes a finding about a target while its run lasts.
func (j *JSONWriter) Finding(t Target, f diagnose.Finding) error {
	j.told[jsonPlace{newJSONAddress(t), f.Code}] = true
	return j.finding(t, f)
}

func (j *JSONWriter) finding(t Target, f diagnose.Finding) error {
	o := newJSONFinding(f)
	o.jsonAddress = newJSONAddress(t)
	return j.Object("finding", o)
}

// Outage writes an outage of a target.
func (j *JSONWriter) Outage(t Target, o Outage) error {
	return j.Object("outage", struct {
		jsonAddress
		*jsonOutage
	}{newJSONAddress(t), newJSONOutage(o.Outage)})
}

// Result writes the findings of a result that were not written while it ran, and its summary.
func (j *JSONWriter) Result(r Result) error {
	findings := make([]jsonFinding, 0, len(r.Findings))
	for _, f := range r.Findings {
		findings = append(findings, newJSONFinding(f))
		if j.told[jsonPlace{newJSONAddress(r.Target), f.Code}] {
			continue
		}
		if err := j.finding(r.Target, f); err != nil {
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
		Since: newUnixSeconds(f.Since), Until: newUnixSeconds(f.Until),
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
		Outages: s.Outages, Longest: newJSONOutage(s.Longest),
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
