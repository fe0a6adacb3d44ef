package report

import (
	"errors"
	"io"
	"syscall"

	"lping/platform"
	"lping/platform/diagnose"
)

type jsonDoctor struct {
	Facts    platform.Facts      `json:"facts"`
	Sockets  []jsonSocket        `json:"sockets"`
	Evidence []diagnose.Evidence `json:"evidence"`
}

type jsonSocket struct {
	Kind      string  `json:"kind"`
	Family    int     `json:"family"`
	Permitted bool    `json:"permitted"`
	Errno     *string `json:"errno"`
	Error     *string `json:"error"`
}

// WriteDoctorJSON writes the picture for a program, one object a line: one of type doctor, which holds everything that
// was read, then what was found and a summary for each result, as in the format json, and last the overall verdict.
// The facts can be read back into platform.Facts.
func WriteDoctorJSON(w io.Writer, d Doctor) error {
	j := jsonLines{lines: newLines(w)}
	if err := j.object("doctor", newJSONDoctor(d)); err != nil {
		return err
	}
	for _, f := range d.Findings {
		if err := j.object("finding", newJSONFinding(f)); err != nil {
			return err
		}
	}
	for _, r := range d.Results {
		if err := j.summary(r); err != nil {
			return err
		}
	}
	return j.object("overall", jsonOverall{d.Verdict.String(), d.ExitCode})
}

// newJSONDoctor has empty lists where there is nothing.
func newJSONDoctor(d Doctor) jsonDoctor {
	out := jsonDoctor{Facts: d.Facts, Sockets: []jsonSocket{}, Evidence: d.Evidence}
	if out.Evidence == nil {
		out.Evidence = []diagnose.Evidence{}
	}
	for _, t := range d.Sockets {
		out.Sockets = append(out.Sockets, newJSONSocket(t))
	}
	return out
}

func newJSONSocket(t SocketTrial) jsonSocket {
	s := jsonSocket{Kind: t.Kind, Family: t.Family, Permitted: t.Err == nil}
	if t.Err == nil {
		return s
	}
	s.Error = orNull(t.Err.Error())
	if errno, ok := errors.AsType[syscall.Errno](t.Err); ok {
		s.Errno = orNull(platform.ErrnoName(errno))
	}
	return s
}
