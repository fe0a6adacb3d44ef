package ping

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	v4, v6 := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")
	mapped := netip.MustParseAddr("::ffff:127.0.0.1")
	tests := []struct {
		name   string
		config Config
		want   string // part of the error; empty: none
	}{
		{"zero value", Config{}, ""},
		{"everything", Config{Transport: Transport{Address: v6, Source: v6, Interface: "lo", Socket: SocketRaw,
			Timeout: time.Hour, Size: MaxSizeIPv6, TTL: 255, TOS: 255, PathMTU: PathMTUProbe}, Count: 1 << 63, Interval: time.Nanosecond, Deadline: time.Hour, Pattern: make([]byte, MaxPattern), Flood: true, Adaptive: true, Preload: MaxPreload}, ""},
		{"source of the other family", Config{Transport: Transport{Source: v6}}, "different families"},
		{"target of the other family", Config{Transport: Transport{Address: v6, Source: v4}}, "different families"},
		{"mapped source", Config{Transport: Transport{Source: mapped}}, ""},
		{"mapped target", Config{Transport: Transport{Address: mapped, Source: v4}}, ""},
		{"mapped target is of IPv4", Config{Transport: Transport{Address: mapped, Size: MaxSizeIPv4 + 1}}, "65507"},
		{"negative interval", Config{Interval: -1}, "negative"},
		{"negative timeout", Config{Transport: Transport{Timeout: -1}}, "negative"},
		{"negative deadline", Config{Deadline: -1}, "negative"},
		{"longest times", Config{Transport: Transport{Timeout: MaxTime}, Interval: MaxTime, Deadline: MaxTime}, ""},
		{"long interval", Config{Interval: MaxTime + 1}, "above"},
		{"long timeout", Config{Transport: Transport{Timeout: MaxTime + 1}}, "above"},
		{"long deadline", Config{Deadline: MaxTime + 1}, "above"},
		{"largest size", Config{Transport: Transport{Size: MaxSizeIPv4}}, ""},
		{"one more", Config{Transport: Transport{Size: MaxSizeIPv4 + 1}}, "size 65508 is outside 0 to 65507"},
		{"one more on IPv6", Config{Transport: Transport{Address: v6, Size: MaxSizeIPv6 + 1}}, "size 65528 is outside 0 to 65527"},
		{"sizes", Config{Transport: Transport{Sizes: []int{0, MaxSizeIPv4, 0}}}, ""},
		{"one size too large", Config{Transport: Transport{Sizes: []int{0, MaxSizeIPv4 + 1}}}, "size 65508 is outside 0 to 65507"},
		{"one size negative", Config{Transport: Transport{Sizes: []int{0, -1}}}, "size -1 is outside 0 to 65507"},
		{"sizes over UDP", Config{Transport: Transport{Proto: ProtoUDP, Sizes: []int{MaxSizeIPv4}}},
			"size 65507 is outside 0 to 65499"},
		{"sizes over TCP", Config{Transport: Transport{Proto: ProtoTCP, Sizes: []int{1, MaxSizeTCP}}}, ""},
		{"too large for TCP", Config{Transport: Transport{Proto: ProtoTCP, Sizes: []int{1, MaxSizeTCP + 1}}}, "outside 0 to 65507"},
		{"sizes to a TCP service", Config{Transport: Transport{Proto: ProtoTCP, Port: 80, Sizes: []int{1}}}, "gets no data"},
		{"many sizes", Config{Transport: Transport{Sizes: make([]int, MaxSizes)}}, ""},
		{"too many sizes", Config{Transport: Transport{Sizes: make([]int, MaxSizes+1)}}, "65537 sizes"},
		{"negative size", Config{Transport: Transport{Size: -1}}, "size -1"},
		{"long pattern", Config{Pattern: make([]byte, MaxPattern+1)}, "pattern of 17 bytes"},
		{"large preload", Config{Preload: MaxPreload + 1}, "preload 65536"},
		{"negative preload", Config{Preload: -1}, "preload -1"},
		{"TTL", Config{Transport: Transport{TTL: 256}}, "TTL 256"},
		{"negative TTL", Config{Transport: Transport{TTL: -1}}, "TTL -1"},
		{"TOS", Config{Transport: Transport{TOS: 256}}, "TOS 256"},
		{"negative TOS", Config{Transport: Transport{TOS: -1}}, "TOS -1"},
		{"socket", Config{Transport: Transport{Socket: SocketRaw + 1}}, "socket mode 3"},
		{"path MTU", Config{Transport: Transport{PathMTU: PathMTUProbe + 1}}, "path-MTU mode 5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.config.Validate()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if tt.want == "" {
				return
			}
			if p, openErr := Open(tt.config); openErr == nil || openErr.Error() != err.Error() {
				t.Errorf("Open: %v, %v", p, openErr)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	got := Config{}.withDefaults()
	want := netip.MustParseAddr("127.0.0.1")
	if got.Address != want || got.Interval != 50*ms || got.Timeout != 400*ms || got.Preload != 1 {
		t.Errorf("got %+v", got)
	}
	set := Config{Transport: Transport{Address: netip.MustParseAddr("::1"), Timeout: 2}, Interval: 1, Preload: 3}
	if got := set.withDefaults(); got.Address != set.Address || got.Interval != 1 || got.Timeout != 2 || got.Preload != 3 {
		t.Errorf("got %+v, want %+v", got, set)
	}
}

func TestMaxSize(t *testing.T) {
	for address, want := range map[netip.Addr]int{
		{}:                                       65507,
		netip.MustParseAddr("127.0.0.1"):         65507,
		netip.MustParseAddr("::ffff:127.0.0.1"):  65507,
		netip.MustParseAddr("::1"):               65527,
		netip.MustParseAddr("fe80::1%interface"): 65527,
	} {
		if got := (Transport{Address: address}).MaxSize(); got != want {
			t.Errorf("%v: got %d, want %d", address, got, want)
		}
	}
}

func TestKindString(t *testing.T) {
	seen := map[string]bool{}
	for k := Sent; int(k) < len(kindNames); k++ {
		s := k.String()
		if s == "" || s == "unknown" || seen[s] {
			t.Errorf("kind %d is %q", k, s)
		}
		seen[s] = true
	}
	for _, k := range []Kind{0, Kind(len(kindNames)), 255} {
		if got := k.String(); got != "unknown" {
			t.Errorf("kind %d is %q, want %q", k, got, "unknown")
		}
	}
}

func TestLongest(t *testing.T) {
	tests := []struct {
		name   string
		config Config
		want   time.Duration
	}{
		{"no end", Config{}, MaxTime},
		{"one probe", Config{Count: 1}, DefaultTimeout},
		{"five", Config{Count: 5}, 4*DefaultInterval + DefaultTimeout},
		{"own times", Config{Transport: Transport{Timeout: time.Second}, Count: 3, Interval: time.Minute}, 2*time.Minute + time.Second},
		{"deadline", Config{Deadline: time.Hour, Count: 5}, time.Hour},
		{"more than fits", Config{Transport: Transport{Timeout: MaxTime}, Count: 1 << 63, Interval: MaxTime}, MaxTime},
	}
	for _, test := range tests {
		if got := test.config.Longest(); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
