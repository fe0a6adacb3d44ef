//go:build !portable

package transport

import "testing"

func TestParseStamp(t *testing.T) {
	for _, tt := range []struct {
		name string
		data []byte
		want int64
	}{
		{"64 bits", timespecs(8, 1_700_000_000, 123_456_789), 1_700_000_000_123_456_789},
		{"32 bits", timespecs(4, 1_700_000_000, 123_456_789), 1_700_000_000_123_456_789},
		{"not set", timespecs(8, 0, 0), 0},
		{"before 1970", timespecs(8, -1, 5), -999_999_995},
		{"before 1970, 32 bits", timespecs(4, -1, 5), -999_999_995},
		{"cut off", timespecs(4, 1, 2)[:23], 0},
		{"empty", nil, 0},
	} {
		if got := parseStamp(tt.data); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

// TestTransmissions: the stamp of each send is found by the sequence number that it had.
func TestTransmissions(t *testing.T) {
	var tr transmissions
	for seq := range 200_000 {
		wire := uint16(seq + 1)
		if got := tr.at(wire); got != 0 {
			t.Fatalf("before send %d: %d", seq, got)
		}
		tr.add(wire, true)
		if got := tr.at(wire); got != 0 {
			t.Fatalf("before the stamp of send %d: %d", seq, got)
		}
		tr.stamp(uint32(seq), int64(seq)+1000)
		if got := tr.at(wire); got != int64(seq)+1000 {
			t.Fatalf("send %d: %d", seq, got)
		}
	}
}

// TestTransmissionsLate: stamps may come some sends later; what is too old is unknown, not wrong.
func TestTransmissionsLate(t *testing.T) {
	var tr transmissions
	for seq := range 1500 {
		tr.add(uint16(seq), true)
	}
	for seq := range 1500 {
		tr.stamp(uint32(seq), int64(seq)+1000)
	}
	for seq := range 1500 {
		want := int64(seq) + 1000
		if seq < 1500-len(tr.ring) {
			want = 0
		}
		if got := tr.at(uint16(seq)); got != want {
			t.Fatalf("send %d: %d, want %d", seq, got, want)
		}
	}
}

// TestTransmissionsAfterRefusal: the kernel may or may not have counted a send that it refused.
func TestTransmissionsAfterRefusal(t *testing.T) {
	for _, counted := range []bool{false, true} {
		var tr transmissions
		id, refusals := uint32(0), 0
		for seq := range uint16(3000) {
			refused := seq%7 == 3
			tr.add(seq, !refused)
			if refused {
				refusals++
				if counted {
					id++
				}
				if got := tr.at(seq); got != 0 {
					t.Fatalf("counted=%v: refused send %d has the stamp %d", counted, seq, got)
				}
				continue
			}
			tr.stamp(id, int64(seq)+1000)
			id++
			if got := tr.at(seq); got != int64(seq)+1000 {
				t.Fatalf("counted=%v: send %d after %d refusals: %d", counted, seq, refusals, got)
			}
		}
	}
}
