package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"unicode/utf8"

	"lping/platform/diagnose"
	"lping/stats"
)

// prometheus writes the text exposition format 0.0.4, all at the end and in one Write. The figures are those of this run
// alone, so they are gauges: the next run starts again.
type prometheus struct{ atTheEnd }

// NewPrometheus is the format prometheus.
func NewPrometheus(w io.Writer, _ Options) Renderer { return &prometheus{atTheEnd{newLines(w)}} }

// Finish writes every metric, with a sample for each result.
func (p *prometheus) Finish(r Report) error {
	e := exposition{b: p.buf[:0], results: r.Results}
	e.family("lping_healthy", "gauge", "Whether the verdict is healthy or degraded (1) or anything else (0).",
		func(s *sample, r Result) { s.value(bit(well(r.Verdict))) })
	e.family("lping_verdict", "gauge", "The verdict: 1 for the one that was given, 0 for the others.", verdicts)
	e.family("lping_finding", "gauge", "What was found; the value is always 1.", findings)
	e.family("lping_probes", "gauge", "Probes of this run, each in the one class that it ended in.", probes)
	e.family("lping_packets_unexpected", "gauge", "Packets of this run that decided no probe: duplicates and foreign ones.",
		func(s *sample, r Result) {
			s.value(float64(r.Summary.Duplicates), "kind", "duplicate")
			s.value(float64(r.Summary.Foreign), "kind", "foreign")
		})
	e.family("lping_loss_ratio", "gauge", "Lost, late, corrupted and refused probes of those that were decided, 0 to 1.",
		func(s *sample, r Result) {
			if r.Summary.Decided() > 0 {
				s.value(r.Summary.LossPercent / 100)
			}
		})
	e.family("lping_rtt_seconds", "histogram", "Round trip times of this run.", histogram)
	e.family("lping_rtt_jitter_seconds", "gauge", "Smoothed mean deviation of consecutive round trip times (RFC 3550).",
		func(s *sample, r Result) {
			if r.Summary.RTT.Count > 0 {
				s.value(r.Summary.RTT.Jitter.Seconds())
			}
		})
	e.family("lping_run_duration_seconds", "gauge", "Time from the first send to the last decision.",
		func(s *sample, r Result) { s.value(r.Summary.Duration.Seconds()) })
	e.b = fmt.Appendf(e.b, "# HELP lping_overall_healthy %s\n# TYPE lping_overall_healthy gauge\nlping_overall_healthy %g\n",
		"Whether the verdict over all addresses is healthy or degraded (1) or anything else (0).", bit(well(r.Verdict)))
	return p.putRaw(e.b)
}

func well(v stats.Verdict) bool { return v == stats.Healthy || v == stats.Degraded }

// exposition is the text as it grows, and what it tells of.
type exposition struct {
	b       []byte
	results []Result
}

// family adds a metric with the samples that each result has of it. A metric without a sample is left out.
func (e *exposition) family(name, kind, help string, add func(*sample, Result)) {
	before := len(e.b)
	e.b = fmt.Appendf(e.b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	header := len(e.b)
	for _, r := range e.results {
		t := r.Target
		labels := []string{
			"address", t.Address.String(), "family", strconv.Itoa(Family(t.Address)), "method", Method(t),
		}
		if t.Port != 0 {
			labels = append(labels, "port", strconv.Itoa(int(t.Port)))
		}
		if t.Path != "" {
			labels = append(labels, "path", t.Path)
		}
		add(&sample{e, name, labels}, r)
	}
	if len(e.b) == header {
		e.b = e.b[:before]
	}
}

// sample adds samples of one metric and one result.
type sample struct {
	*exposition
	name   string
	labels []string
}

// value adds one sample. more holds further labels, each followed by its value.
func (s *sample) value(v float64, more ...string) { s.suffixed("", v, more...) }

// suffixed adds one sample of the metric whose name has this suffix.
func (s *sample) suffixed(suffix string, v float64, more ...string) {
	b := fmt.Appendf(s.b, "%s%s{", s.name, suffix)
	separator := ""
	for pair := range slices.Chunk(slices.Concat(s.labels, more), 2) {
		b = fmt.Appendf(b, `%s%s="%s"`, separator, pair[0], appendLabel(nil, pair[1]))
		separator = ","
	}
	s.b = fmt.Appendf(b, "} %g\n", v)
}

// appendLabel appends the value of a label with its escapes.
func appendLabel(b []byte, s string) []byte {
	for _, r := range s {
		switch r {
		case '\\', '"':
			b = append(b, '\\', byte(r))
		case '\n':
			b = append(b, `\n`...)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}

func verdicts(s *sample, r Result) {
	for _, v := range []stats.Verdict{stats.Healthy, stats.Degraded, stats.Unhealthy, stats.Unknown} {
		s.value(bit(v == r.Verdict), "verdict", v.String())
	}
}

// findings adds each code once: readers refuse a file that has the same sample twice.
func findings(s *sample, r Result) {
	seen := map[diagnose.Code]bool{}
	for _, f := range r.Findings {
		if !seen[f.Code] {
			seen[f.Code] = true
			s.value(1, "code", string(f.Code), "severity", f.Severity.String())
		}
	}
}

func probes(s *sample, r Result) {
	n := r.Summary
	for _, c := range []struct {
		class string
		n     uint64
	}{
		{"received", n.Received}, {"late", n.Late}, {"lost", n.Lost}, {"corrupted", n.Corrupted},
		{"send_error", n.SendErrors}, {"in_flight", n.InFlight},
	} {
		s.value(float64(c.n), "class", c.class)
	}
}

// histogram adds the buckets, which are cumulative.
func histogram(s *sample, r Result) {
	d := r.Summary.RTT
	for _, bucket := range r.Buckets {
		s.suffixed("_bucket", float64(bucket.Count), "le", strconv.FormatFloat(bucket.UpTo.Seconds(), 'g', -1, 64))
	}
	s.suffixed("_bucket", float64(d.Count), "le", "+Inf")
	s.suffixed("_sum", d.Mean.Seconds()*float64(d.Count))
	s.suffixed("_count", float64(d.Count))
}

func bit(on bool) float64 {
	if on {
		return 1
	}
	return 0
}
