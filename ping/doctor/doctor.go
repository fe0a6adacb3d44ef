// Package doctor shows the whole picture of a machine's loopback, healthy or not: it reads what the system tells of it,
// tries each kind of socket, probes every address by each protocol, and writes what came of it as a page or as JSON.
package doctor

import (
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"lping/ping/report"
	"lping/platform"
	"lping/platform/diagnose"
	"lping/stats"
)

// Picture is what Examine found out.
type Picture struct {
	// At is when that began.
	At      time.Time
	Facts   platform.Facts
	Sockets []SocketTrial
	// Watches says that the kernel tells lping where it drops packets.
	Watches platform.Known[bool]
	// Results are those of short probes, by family and then by method.
	Results []report.Result
	// Evidence is what the findings were drawn from; only the JSON form shows it.
	Evidence []diagnose.Evidence
	Verdict  stats.Verdict
	ExitCode int
}

// Options are how the page is written.
type Options struct {
	// Color paints ok, warn and fail.
	Color bool
	// Verbose shows all facts, and not only those of parts that are not as they should be.
	Verbose bool
}

// Write writes the picture for a person, in one Write: the verdict, what was found, and a section for each part of loopback, those
// that are not as they should be first. A section that is all right is one line, unless all is to be shown. A mark starts each of
// them: ok, info, ??, warn or fail. A line is wider than 80 columns only if it holds a single word, or a fix.
func Write(w io.Writer, pic Picture, o Options) error {
	p := page{color: o.Color}
	p.put(0, title(pic.Facts))
	list := mergedFindings(pic)
	p.blank()
	p.marked(markOfVerdict(pic.Verdict), conclusion(pic, list))
	p.findings(list)
	all := sections(pic, list)
	if !o.Verbose {
		slices.SortStableFunc(all, func(a, b section) int { return int(b.mark) - int(a.mark) })
	}
	folded := false
	for _, s := range all {
		fold := !o.Verbose && s.folds()
		if !fold || !folded {
			p.blank()
		}
		p.section(s, fold)
		folded = fold
	}
	if folded {
		p.blank()
		p.put(0, "lping doctor -v shows all that was read.")
	}
	_, err := w.Write(p.b)
	return err
}

// title says what the page is about: what a network namespace holds is the loopback of all that is in it.
func title(f platform.Facts) string {
	what := "this machine"
	if c := f.Container.Value; c.Runtime != "" && !c.HostNetwork {
		what = "this container (" + c.Runtime + ")"
	}
	name, ok := f.Network.Get()
	if !ok {
		name = "in a network namespace that is unknown, because " + f.Network.Reason()
	}
	what += ", " + name
	kernel, ok := f.Kernel.Get()
	if !ok {
		kernel = "(kernel release unknown, because " + f.Kernel.Reason() + ")"
	}
	return "lping doctor: the loopback of " + what + ", " + f.System + " " + kernel
}

// mergedFinding is a finding of one result or more, with the evidence that each of them gave.
type mergedFinding struct {
	diagnose.Finding
	evidence []string
}

// mergedFindings are those of all results, each once, the most severe first and else in the order of the diagnosis.
func mergedFindings(pic Picture) []mergedFinding {
	var list []mergedFinding
	for _, r := range pic.Results {
		list = mergeFindings(list, r.Findings)
	}
	slices.SortStableFunc(list, func(a, b mergedFinding) int { return int(b.Severity) - int(a.Severity) })
	return list
}

// mergeFindings adds findings to a list. Of one that is in the list already, only the evidence is added.
func mergeFindings(list []mergedFinding, findings []diagnose.Finding) []mergedFinding {
	for _, f := range findings {
		evidence := f.Evidence
		f.Evidence = ""
		at := slices.IndexFunc(list, func(known mergedFinding) bool { return known.Finding == f })
		if at < 0 {
			at = len(list)
			list = append(list, mergedFinding{Finding: f})
		}
		if evidence != "" && !slices.Contains(list[at].evidence, evidence) {
			list[at].evidence = append(list[at].evidence, evidence)
		}
	}
	return list
}

// findings adds the findings in full. A fix is a line of its own, however long: a shell would take two lines for two commands.
func (p *page) findings(list []mergedFinding) {
	for _, f := range list {
		p.blank()
		p.marked(markOf(f.Severity), string(f.Code)+" ("+f.Severity.String()+"): "+f.Cause)
		for _, evidence := range f.evidence {
			p.put(gutter, "evidence: "+evidence)
		}
		if fix := strings.TrimSpace(report.Clean(f.Fix)); fix != "" {
			p.put(gutter, "fix:")
			p.b = append(appendBlanks(p.b, gutter+hang), fix+"\n"...)
		}
	}
}

// conclusion is the verdict, what it rests on, and the exit status.
func conclusion(pic Picture, list []mergedFinding) string {
	s := pic.Verdict.String()
	if because := reasons(pic, list); because != "" {
		s += ": " + because
	}
	return s + "; exit status " + strconv.Itoa(pic.ExitCode)
}

// reasons are the replies of a healthy host, else the codes of what was found, else the causes of the results.
func reasons(pic Picture, list []mergedFinding) string {
	var parts []string
	if pic.Verdict == stats.Healthy {
		return strings.Join(repliesByAddress(pic.Results), ", ")
	}
	for _, f := range list {
		if f.Severity > diagnose.Info && !slices.Contains(parts, string(f.Code)) {
			parts = append(parts, string(f.Code))
		}
	}
	if len(parts) > 0 {
		return strings.Join(parts, ", ")
	}
	for _, r := range pic.Results {
		if why := r.Why(); why != "" {
			parts = append(parts, report.Address(r)+" "+why)
		}
	}
	return strings.Join(parts, ", ")
}

// repliesByAddress says how many probes of each address were answered, over all methods, whose results are neighbours.
func repliesByAddress(results []report.Result) []string {
	var parts []string
	for len(results) > 0 {
		whole := results[0]
		for results = results[1:]; len(results) > 0 && report.Address(results[0]) == report.Address(whole); results = results[1:] {
			whole.Summary.Sent += results[0].Summary.Sent
			whole.Summary.Received += results[0].Summary.Received
		}
		parts = append(parts, report.Address(whole)+" "+report.Ratio(whole))
	}
	return parts
}
