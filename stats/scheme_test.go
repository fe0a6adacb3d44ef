package stats

import "testing"

func TestSchemeStatus(t *testing.T) {
	for _, tt := range []struct {
		scheme                                         Scheme
		healthy, degraded, unhealthy, unknown, nothing int
	}{
		{SchemePing, 0, 0, 1, 1, 2},
		{SchemeHealth, 0, 0, 1, 1, 1},
		{SchemeNagios, 0, 1, 2, 2, 3},
	} {
		got := [...]int{
			tt.scheme.Status(Healthy, true), tt.scheme.Status(Degraded, true), tt.scheme.Status(Unhealthy, true),
			tt.scheme.Status(Unknown, true), tt.scheme.Status(Healthy, false),
		}
		if want := [...]int{tt.healthy, tt.degraded, tt.unhealthy, tt.unknown, tt.nothing}; got != want {
			t.Errorf("scheme %d: got %v, want %v", tt.scheme, got, want)
		}
	}
}
