package ping

import "testing"

// BenchmarkMethods is one probe over a real socket.
func BenchmarkMethods(b *testing.B) {
	for _, k := range methodKinds() {
		b.Run(k.String(), func(b *testing.B) {
			flood(b, k.open(b, Config{Size: k.size(56), Flood: true, Timeout: longEnough}))
		})
	}
}
