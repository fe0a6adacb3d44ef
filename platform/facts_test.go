package platform

import (
	"encoding/json"
	"errors"
	"net/netip"
	"testing"
)

// TestKnownMissing holds that a fact that is not there is not taken for a zero that was read.
func TestKnownMissing(t *testing.T) {
	var f Facts
	if err := json.Unmarshal([]byte(`{"ipv4":{}}`), &f); err != nil {
		t.Fatal(err)
	}
	if on, ok := f.IPv4.EchoIgnored.Get(); ok || on {
		t.Errorf("got %v, known %v, want unknown", on, ok)
	}
	if got := f.IPv4.EchoIgnored.Reason(); got != "not read" {
		t.Errorf("reason %q, want %q", got, "not read")
	}
	if got := Know(false).Reason(); got != "" {
		t.Errorf("reason %q of a known fact, want none", got)
	}
}

func TestKnownError(t *testing.T) {
	if got := known(3, nil); got != Know(3) {
		t.Errorf("got %+v", got)
	}
	if got := known(3, errors.New("is empty")); got != Unknown[int]("is empty") {
		t.Errorf("got %+v", got)
	}
}

// FuzzKnown holds that what can be read is written and read again as the same.
func FuzzKnown(f *testing.F) {
	f.Add([]byte(`{"system":"linux","loopback":[{"name":"lo","flags":["UP"],"addresses":[{"prefix":"::1/128"}]}]}`))
	f.Add([]byte(`{"ipv4":{"lookup":{"errno":"EINVAL"},"rules":[{"priority":5,"users":{"low":1,"high":2}}]}}`))
	f.Add([]byte(`{"cpu":{"unknown":"not read"},"process":{"user_namespace":{"unknown":""}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var one, two Facts
		if json.Unmarshal(b, &one) != nil {
			return
		}
		first, err := json.Marshal(one)
		if err != nil {
			return // a number that JSON cannot hold
		}
		if err := json.Unmarshal(first, &two); err != nil {
			t.Fatalf("%s: %v", first, err)
		}
		second, err := json.Marshal(two)
		if err != nil || string(first) != string(second) {
			t.Errorf("got %s, %v, want %s", second, err, first)
		}
	})
}

// TestRead reads this host, whatever it is: there is a loopback interface, and the facts survive being written.
func TestRead(t *testing.T) {
	f := Read("/", netip.MustParseAddr("127.0.0.1"), Flow{})
	list, ok := f.Loopback.Get()
	if !ok || len(list) == 0 {
		t.Fatalf("loopback interfaces %+v, unknown: %s", list, f.Loopback.Reason())
	}
	if i := list[0]; i.Name == "" || i.Index == 0 || i.MTU == 0 {
		t.Errorf("interface %+v lacks name, index or MTU", i)
	}
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var again Facts
	if err := json.Unmarshal(b, &again); err != nil {
		t.Fatal(err)
	}
	if second, err := json.Marshal(again); err != nil || string(second) != string(b) {
		t.Errorf("got %s, %v\nwant %s", second, err, b)
	}
}

func TestTargets(t *testing.T) {
	tests := []struct{ in, v4, v6 string }{
		{"", "127.0.0.1", "::1"}, {"127.0.0.2", "127.0.0.2", "::1"}, {"::ffff:127.0.0.3", "127.0.0.3", "::1"},
		{"fe80::1%lo", "127.0.0.1", "fe80::1"},
	}
	for _, tt := range tests {
		a, _ := netip.ParseAddr(tt.in)
		var f Facts
		f.setTargets(a, Flow{})
		if v4, v6 := f.IPv4.Target, f.IPv6.Target; v4.String() != tt.v4 || v6.String() != tt.v6 {
			t.Errorf("%q: got %s and %s, want %s and %s", tt.in, v4, v6, tt.v4, tt.v6)
		}
	}
}

func TestUsable(t *testing.T) {
	tests := []struct {
		flags []string
		want  bool
	}{
		{nil, true}, {[]string{"deprecated"}, true}, {[]string{"tentative"}, false},
		{[]string{"tentative", "optimistic"}, true}, {[]string{"dadfailed", "tentative"}, false},
	}
	for _, tt := range tests {
		if got := (Address{Flags: tt.flags}).Usable(); got != tt.want {
			t.Errorf("%v: got %v, want %v", tt.flags, got, tt.want)
		}
	}
}

func TestCountersSub(t *testing.T) {
	before := Counters{OutEchos: 5, InEchos: 1<<32 - 1, InReceives: 9, OutDiscards: 1 << 40}
	after := Counters{OutEchos: 7, InEchos: 2, InReceives: 8, OutDiscards: 1<<40 + 1, InEchoReps: 1}
	// InEchos went past 2^32 on a 32-bit kernel; InReceives went back by itself.
	want := Counters{OutEchos: 2, InEchos: 3, OutDiscards: 1, InEchoReps: 1}
	if got := after.Sub(before); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
