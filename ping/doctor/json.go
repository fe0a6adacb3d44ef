package doctor

import (
	"errors"
	"io"
	"syscall"
	"time"

	"lping/ping/report"
	"lping/platform"
	"lping/platform/diagnose"
)

type jsonPicture struct {
	Facts    platform.Facts      `json:"facts"`
	Sockets  []jsonSocket        `json:"sockets"`
	Evidence []diagnose.Evidence `json:"evidence"`
	// Watches says whether the kernel tells lping where it drops packets.
	Watches platform.Known[bool] `json:"watches_drops"`
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
func WriteJSON(w io.Writer, pic Picture) error {
	j := report.NewJSONWriter(w, func() time.Time { return pic.At })
	if err := j.Object("doctor", newJSONPicture(pic)); err != nil {
		return err
	}
	for _, r := range pic.Results {
		if err := j.Result(r); err != nil {
			return err
		}
	}
	return j.Overall(pic.Verdict, pic.ExitCode)
}

// newJSONPicture has empty lists, not null, for what there is none of.
func newJSONPicture(pic Picture) jsonPicture {
	out := jsonPicture{Facts: pic.Facts, Sockets: []jsonSocket{}, Evidence: pic.Evidence, Watches: pic.Watches}
	if out.Evidence == nil {
		out.Evidence = []diagnose.Evidence{}
	}
	for _, t := range pic.Sockets {
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
