package check

import (
	"errors"
	"time"

	"lping/platform"
	"lping/platform/droptrace"
)

// How long finding the names of functions may take. To read all of them takes 75 to 250 ms, and seconds on a machine that is
// slow or at a quota of 1 %.
const (
	naming         = 200 * time.Millisecond
	thoroughNaming = 3 * time.Second
)

// watch is how long naming what dropped the probe may take, if that is to be watched at all; else 0.
func (v *investigator) watch(seen sighting, f platform.Facts) time.Duration {
	switch {
	case seen.answered || !mayWatch(f.Process):
		return 0
	case v.thorough:
		return thoroughNaming
	}
	return naming
}

// errNotWatched is why nothing is known of drops: nobody else but root on the host can, and a policy may kill who tries.
var errNotWatched = errors.New("only root in the first user namespace may look, and only if nothing was answered")

// mayWatch says that this process may be allowed to watch what the kernel drops.
func mayWatch(process platform.Known[platform.Process]) bool {
	p, ok := process.Get()
	return !ok || p.UID == 0 && !p.UserNamespace.Value
}

func watchDrops(watch bool) (*droptrace.Tracer, error) {
	if !watch {
		return nil, errNotWatched
	}
	return droptrace.Open("/")
}

// maxAgain is how many more probes are sent if the kernel dropped none that anybody saw.
const maxAgain = 2

// dropped is what the kernel dropped while a tracer watched, if no answer came, and ends the watch. again sends one more probe,
// if it may: a busy machine receives elsewhere at times, where nobody watches.
func dropped(t *droptrace.Tracer, err error, naming time.Duration, answered bool, again func() bool) platform.Known[[]droptrace.Drop] {
	if err != nil {
		return platform.Unknown[[]droptrace.Drop](err.Error())
	}
	defer t.Close()
	if answered {
		return platform.Know([]droptrace.Drop{})
	}
	list, err := t.Drops()
	for tries := 0; tries < maxAgain && len(list) == 0 && err == nil && again(); tries++ {
		list, err = t.Drops()
	}
	if err != nil {
		return platform.Unknown[[]droptrace.Drop](err.Error())
	}
	_ = t.Name(list, naming) // a reason without a place is something, too
	return platform.Know(list)
}
