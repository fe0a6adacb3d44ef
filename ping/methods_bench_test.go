package ping

import "testing"

// BenchmarkMethods is one probe over a real socket.
func BenchmarkMethods(b *testing.B) {
	for _, k := range methodKinds() {
		b.Run(k.String(), func(b *testing.B) {
			flood(b, k.open(b, Config{Transport: Transport{Size: 56, Timeout: longEnough}, Flood: true}))
		})
	}
}
