package ping

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lping/stats"
)

// recordOutages enters what decides probes into the statistics, and keeps what these tell of outages, with the time when they do.
func recordOutages(start time.Time, now *time.Time, told *strings.Builder) func(Event) {
	r := stats.NewRecorder(func(o stats.Outage) {
		state := "lasts"
		if !o.Lasts() {
			state = fmt.Sprintf("until %v, %d lost", o.Until.Sub(start), o.Lost)
		}
		fmt.Fprintf(told, "%v: since %v, %s\n", now.Sub(start), o.Since.Sub(start), state)
	})
	return func(e Event) {
		*now = e.Time
		switch e.Kind {
		case Sent:
			r.Sent(e.Time)
		case Reply:
			r.Reply(e.Seq, e.RTT, e.Time)
		case Timeout:
			r.Lost(e.Seq, e.Time)
		case Late:
			r.Late(e.Seq, e.Time)
		case Corrupt:
			r.Corrupt(e.Seq, e.Time)
		case SendError:
			r.SendError(e.Seq, e.Time)
		}
	}
}

// TestOutages: an outage begins when its first probe left and ends with the answer to the next one that has an answer, by their
// numbers, however many are in flight and whatever comes first. It is told when that is certain.
func TestOutages(t *testing.T) {
	lost := silence
	soon, slow := replies(ms), replies(30*ms)
	for _, tt := range []struct {
		name   string
		config Config
		script script
		want   string
	}{
		{"none", Config{Count: 3}, soon, ""},
		{"one probe", Config{Count: 3}, inTurn(soon, lost, soon), `
			450ms: since 50ms, lasts
			450ms: since 50ms, until 101ms, 1 lost`},
		{"answers come before the loss is certain", Config{Count: 20}, inTurn(soon, lost, lost, soon), `
			450ms: since 50ms, lasts
			500ms: since 50ms, until 151ms, 2 lost`},
		{"two", Config{Count: 5, Transport: Transport{Timeout: 10 * ms}}, inTurn(lost, soon, lost, lost, soon), `
			10ms: since 0s, lasts
			51ms: since 0s, until 51ms, 1 lost
			110ms: since 100ms, lasts
			201ms: since 100ms, until 201ms, 2 lost`},
		{"one that lasts", Config{Count: 3, Transport: Transport{Timeout: 10 * ms}}, inTurn(soon, lost), `
			60ms: since 50ms, lasts`},
		{"refused", Config{Count: 3}, inTurn(soon, refuses(syscall.EPERM), soon), `
			50ms: since 50ms, lasts
			101ms: since 50ms, until 101ms, 1 lost`},
		{"a late answer is none", Config{Count: 3, Transport: Transport{Timeout: 20 * ms}}, inTurn(slow, slow, soon), `
			20ms: since 0s, lasts
			101ms: since 0s, until 101ms, 2 lost`},
		{"nor is another answer", Config{Count: 2, Transport: Transport{Size: 56}}, inTurn(brings(ms, flipped(20)), soon), `
			1ms: since 0s, lasts
			51ms: since 0s, until 51ms, 1 lost`},
		{"preload: the third of five", Config{Count: 5, Preload: 5}, inTurn(soon, soon, lost, soon, soon), `
			400ms: since 0s, lasts
			400ms: since 0s, until 1ms, 1 lost`},
		{"preload: the next probe is answered after the one after it", Config{Count: 3, Preload: 3}, inTurn(lost, slow, soon), `
			400ms: since 0s, lasts
			400ms: since 0s, until 30ms, 1 lost`},
		{"preload: a refused one waits for those before it", Config{Count: 3, Preload: 3}, inTurn(slow, refuses(syscall.EPERM), soon), `
			30ms: since 0s, lasts
			30ms: since 0s, until 1ms, 1 lost`},
		{"preload: two apart", Config{Count: 5, Preload: 5}, inTurn(soon, lost, soon, lost, soon), `
			400ms: since 0s, lasts
			400ms: since 0s, until 1ms, 1 lost
			400ms: since 0s, lasts
			400ms: since 0s, until 1ms, 1 lost`},
		{"flood", Config{Count: 6, Flood: true}, inTurn(soon, lost, lost, soon), `
			401ms: since 1ms, lasts
			411ms: since 1ms, until 22ms, 2 lost`},
		{"adaptive", Config{Count: 5, Adaptive: true}, inTurn(soon, lost, soon), `
			401ms: since 1ms, lasts
			401ms: since 1ms, until 52ms, 1 lost`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told strings.Builder
				var now time.Time
				c := tt.config.withDefaults()
				c.Address = loopback4
				p := pingerOver(c, newFake(c.Address, tt.script))
				if err := p.Run(t.Context(), recordOutages(time.Now(), &now, &told)); err != nil {
					t.Fatal(err)
				}
				if got, want := trimLines(told.String()), trimLines(tt.want); got != want {
					t.Errorf("got:\n%s\nwant:\n%s", got, want)
				}
			})
		})
	}
}
