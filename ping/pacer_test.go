package ping

import (
	"testing"
	"time"
)

// TestPacer plays moves on one pacer: "left" at a time, "rtt", or a look at when the next is due.
func TestPacer(t *testing.T) {
	type move struct {
		left, rtt  time.Duration
		unanswered uint64
		want       time.Duration
	}
	left := func(at time.Duration) move { return move{left: at, want: -1} }
	rtt := func(d time.Duration) move { return move{rtt: d, want: -2} }
	due := func(unanswered uint64, want time.Duration) move { return move{unanswered: unanswered, want: want} }
	paced := Config{Interval: 50 * ms}
	tests := []struct {
		name   string
		config Config
		moves  []move
	}{
		{"steady", paced, []move{
			due(0, 0), left(0), due(1, 50*ms), left(51 * ms), due(0, 100*ms), left(100 * ms), due(3, 150*ms)}},
		{"no burst after a stall", paced, []move{left(0), left(170 * ms), due(0, 220*ms), left(220 * ms), due(0, 270*ms)}},
		{"a small delay is made up for", paced, []move{left(0), left(99 * ms), due(0, 100*ms)}},
		{"a delay of one interval is not", paced, []move{left(0), left(100 * ms), due(0, 150*ms)}},
		{"a fast one catches up", Config{Interval: ms}, []move{
			left(0), left(5 * ms), due(0, 2*ms), left(5 * ms), due(0, 3*ms), left(5 * ms), due(0, 4*ms)}},
		{"a service gets no burst", Config{Transport: Transport{Port: 80}, Interval: ms}, []move{
			left(0), left(5 * ms), due(0, 6*ms), left(8 * ms), due(0, 9*ms)}},
		{"but not with what a stall of 10 ms missed", Config{Interval: ms}, []move{
			left(0), left(11 * ms), due(0, 12*ms)}},
		{"nor into a full queue", Config{Interval: ms}, []move{
			left(0), left(5 * ms), due(999, 2*ms), due(1000, 6*ms), left(6 * ms), due(1001, 7*ms), due(0, 3*ms)}},
		{"late start", paced, []move{left(30 * ms), due(0, 80*ms)}},
		{"preload", Config{Interval: 50 * ms, Preload: 3}, []move{
			due(0, 0), left(0), due(1, 0), left(ms), due(2, 0), left(2 * ms), due(3, 52*ms)}},
		{"flood", Config{Flood: true}, []move{
			due(0, 0), left(0), due(1, 10*ms), due(0, 0), left(3 * ms), due(1, 13*ms), due(0, 0)}},
		{"flood with preload", Config{Flood: true, Preload: 2}, []move{
			left(0), due(1, 0), left(0), due(2, 10*ms), due(1, 0), due(5, 10*ms)}},
		{"adaptive without an answer", Config{Interval: 50 * ms, Adaptive: true}, []move{left(0), due(1, 50*ms), due(0, 0)}},
		{"adaptive", Config{Interval: 50 * ms, Adaptive: true}, []move{
			left(0), rtt(8 * ms), due(0, 8*ms), due(1, 50*ms), left(8 * ms), rtt(0), due(0, 15*ms), rtt(15 * ms), due(0, 16*ms)}},
		{"adaptive, slower than the interval", Config{Interval: 5 * ms, Adaptive: true}, []move{
			left(0), rtt(8 * ms), due(0, 5*ms)}},
		{"adaptive with preload", Config{Interval: 50 * ms, Adaptive: true, Preload: 2}, []move{
			left(0), left(0), due(2, 50*ms), rtt(8 * ms), due(1, 8*ms)}},
		{"flood rules over adaptive", Config{Flood: true, Adaptive: true}, []move{left(0), due(1, 10*ms), due(0, 0)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPacer(tt.config.withDefaults(), 1000)
			for i, m := range tt.moves {
				switch m.want {
				case -1:
					p.noteSent(m.left)
				case -2:
					p.replied(m.rtt)
				default:
					if got := p.due(m.unanswered); got != m.want {
						t.Errorf("move %d: due at %v, want %v", i, got, m.want)
					}
				}
			}
		})
	}
}
