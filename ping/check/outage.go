package check

import (
	"slices"
	"time"

	"lping/ping/report"
	"lping/platform/diagnose"
	"lping/stats"
)

const (
	// brief is how long a run may take, whatever comes back, that tells of its outages at its end alone.
	brief = 3 * time.Second
	// respite is the least time from the start of one investigation of a target to that of the next.
	respite = time.Second
)

// trouble is what went wrong with a target, and what is known of it.
type trouble struct {
	// latest is the latest outage that the statistics told of.
	latest stats.Outage
	// investigation looks for the cause of the outage about or, if that is zero, of what is none yet; nil while nobody looks.
	// explained says that the findings about it are known, and were told if the run may last; told that any were.
	investigation *investigation
	about         stats.Outage
	explained     bool
	told          bool
	// suspicion is an investigation of what may become the next outage; nil if there is none.
	suspicion *investigation
	// past are the findings of outages that are over, the latest of each code.
	past []diagnose.Finding
	// ended says that the run is.
	ended bool
}

// lasts says that a job may take so long that what goes wrong is told at once.
func (j *job) lasts() bool { return j.target.Longest() > brief }

// investigate starts to look for the cause of what is wrong with a target, once for each time without an answer.
func (k *Check) investigate(j *job) {
	i := j.investigation
	if j.suspicion != nil {
		i = j.suspicion
	}
	now, answers := time.Now(), j.recorder.Received()
	known := i != nil && i.answers == answers || j.latest.Lasts() && j.about.Since.Equal(j.latest.Since)
	if k.patient || known || i != nil && (now.Sub(i.begun) < respite || !i.over()) {
		return
	}
	i = k.investigator.start(j.target.Config, j.target.Method, j.flow(), func() sighting { return k.seen(j) }, func() { k.explainLater(j) })
	i.begun, i.answers = now, answers
	switch {
	case j.latest.Lasts():
		j.look(i)
	case j.investigation == nil:
		j.investigation = i
	default:
		j.suspicion = i
	}
}

// over says that answers come again after the outage that was investigated.
func (t *trouble) over() bool { return !t.about.Until.IsZero() && !t.latest.Lasts() }

// look makes an investigation the one of the latest outage.
func (t *trouble) look(i *investigation) {
	t.investigation, t.suspicion, t.about, t.explained = i, nil, t.latest, false
}

// outage takes in that an outage began, or is over.
func (k *Check) outage(j *job, o stats.Outage) {
	same := j.about.Since.Equal(o.Since)
	j.latest = o
	switch {
	case o.Lasts() && j.suspicion != nil && !j.suspicion.begun.Before(o.Since):
		j.look(j.suspicion)
	case o.Lasts() && j.investigation != nil && !j.investigation.begun.Before(o.Since):
		j.look(j.investigation)
	case !o.Lasts() && same:
		j.about = o
	}
	told := same && j.explained && j.lasts()
	k.explain(j)
	if !o.Lasts() {
		k.show(func(r report.Renderer) error { return r.Outage(j.target, report.Outage{Outage: o, Told: told}) })
	}
}

// explainLater is explain when an investigation is over.
func (k *Check) explainLater(j *job) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !j.ended {
		k.explain(j)
	}
}

// explain tells why there is an outage when that is known, and keeps it when the outage is over.
func (k *Check) explain(j *job) {
	if j.about.Lost == 0 || j.explained && j.about.Lasts() || !j.investigation.over() {
		return
	}
	list := k.causes(j)
	for _, f := range list {
		if !j.explained && j.lasts() {
			j.told = true
			k.show(func(r report.Renderer) error { return r.Finding(j.target, f) })
		}
		if !j.about.Lasts() {
			same := func(other diagnose.Finding) bool { return other.Code == f.Code }
			j.past = append(slices.DeleteFunc(j.past, same), f)
		}
	}
	j.explained = j.explained || len(list) > 0
}

// causes is why the outage came that was investigated, as far as it is known while the run goes on; none if the limits allow it.
func (k *Check) causes(j *job) []diagnose.Finding {
	s := j.recorder.Summary()
	v, _ := k.config.Limits.Judge(s)
	if v == stats.Healthy {
		return nil
	}
	list := j.diagnose(j.gather(s, v))
	return slices.DeleteFunc(list, func(f diagnose.Finding) bool { return !f.Code.Fails() })
}

// diagnose finds the causes in what was investigated, and says from when to when they had effect.
func (j *job) diagnose(e diagnose.Evidence) []diagnose.Finding {
	found := j.investigation.wait()
	found.addTo(&e)
	j.evidence = e
	list := diagnose.Diagnose(found.facts, e)
	for i := range list {
		if f := &list[i]; f.Code.Fails() {
			f.Since = j.about.Since
			if j.over() {
				f.Until = j.about.Until
			}
		}
	}
	return list
}

// withPast adds what explains earlier outages, and no later one, to what was found at the end. The most basic cause comes first.
func (t *trouble) withPast(list []diagnose.Finding) []diagnose.Finding {
	for _, f := range t.past {
		place := diagnose.Place(f.Code)
		at := slices.IndexFunc(list, func(other diagnose.Finding) bool { return diagnose.Place(other.Code) >= place })
		switch {
		case at < 0:
			list = append(list, f)
		case list[at].Code != f.Code:
			list = slices.Insert(list, at, f)
		}
	}
	return list
}

// show lets the renderer write, unless a write failed before. The first that fails ends the runs.
func (k *Check) show(write func(report.Renderer) error) {
	if k.writeErr != nil || k.config.Renderer == nil {
		return
	}
	if k.writeErr = write(k.config.Renderer); k.writeErr != nil && k.stop != nil {
		k.stop(k.writeErr)
	}
}
