package doctor

import (
	"errors"
	"io"
	"syscall"

	"lping/ping/report"
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

// WriteJSON writes the picture for a program, one object a line: one of type doctor, which holds everything that
// was read, then what was found and a summary for each result, as in the format json, and last the overall verdict.
// The facts can be read back into platform.Facts.
func WriteJSON(w io.Writer, d Doctor) error {
	j := report.NewJSONWriter(w)
	if err := j.Object("doctor", newJSONDoctor(d)); err != nil {
		return err
	}
	for _, r := range d.Results {
		if err := j.Result(r); err != nil {
			return err
		}
	}
	return j.Overall(d.Verdict, d.ExitCode)
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
	s.Error = new(t.Err.Error())
	if errno, ok := errors.AsType[syscall.Errno](t.Err); ok {
		s.Errno = new(platform.ErrnoName(errno))
	}
	return s
}
