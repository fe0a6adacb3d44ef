package ping

import (
	"strings"
	"testing"
)

// BenchmarkEcho is one echo an iteration, in a flood on lo in a namespace of its own: v4/dgram, v4/dgram/quick and so on.
func BenchmarkEcho(b *testing.B) {
	for _, k := range socketKinds() {
		family := map[bool]string{false: "v4", true: "v6"}[k.address.Is6()]
		kind := strings.TrimPrefix(k.String(), k.address.String()+"/icmp-")
		b.Run(family+"/"+kind, func(b *testing.B) {
			inNamespace(b)
			flood(b, k.open(b, Config{Transport: Transport{Size: 56, Timeout: patience}, Flood: true}))
		})
	}
}
