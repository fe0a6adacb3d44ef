package ping

import (
	"fmt"
	"testing"
)

// BenchmarkEcho is one echo an iteration, in a flood on lo in a namespace of its own. "user" is without kernel stamps.
func BenchmarkEcho(b *testing.B) {
	for _, k := range socketKinds() {
		family := "v4"
		if k.address.Is6() {
			family = "v6"
		}
		variant := map[SocketMode]string{SocketDgram: "dgram", SocketRaw: "raw"}[k.mode]
		if k.portable {
			variant += "/portable"
		}
		for _, userTime := range []bool{false, true} {
			name := fmt.Sprintf("%s/%s", family, variant)
			if userTime {
				name += "/user"
			}
			if userTime && k.portable {
				continue // it has no stamps to do without
			}
			b.Run(name, func(b *testing.B) {
				inNamespace(b)
				flood(b, k.open(b, Config{Size: 56, Flood: true, Timeout: patience, UserTime: userTime}))
			})
		}
	}
}
