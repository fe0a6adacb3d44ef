package diagnose

import (
	"fmt"

	"lping/platform"
)

// payloadCorrupted sees what raw sockets of IPv4 get as it is. For the others the kernel compares checksums, and what
// was changed on the way is lost.
func payloadCorrupted(_ platform.Facts, e Evidence) (Finding, bool) {
	out := Finding{
		Severity: Error,
		Cause:    fmt.Sprintf("%d of %d answers carry other data than was sent", e.Corrupted, e.Corrupted+e.Received+e.Late),
		Evidence: join(fmt.Sprintf("%d of %d probes came back changed", e.Corrupted, e.Sent), e.Sweep),
		Fix:      "remove what rewrites packets (nft list ruleset, tc filter show dev lo), then test the memory",
	}
	if e.Corrupted > 0 {
		return out, true
	}
	out.Cause = "packets are likely changed on the way, and dropped for their checksum"
	out.Evidence = join(e.moved(), e.udp())
	return out, e.stage() == damaged
}

// duplicateReplies are a warning: every probe was answered.
func duplicateReplies(_ platform.Facts, e Evidence) (Finding, bool) {
	return Finding{
		Severity: Warning,
		Cause:    fmt.Sprintf("%d answers came more than once", e.Duplicates),
		Evidence: fmt.Sprintf("%d duplicates of %d probes", e.Duplicates, e.Sent),
		Fix:      "remove the rule that copies packets (nft list ruleset: dup; iptables -t mangle -S: TEE; tc: mirred)",
	}, e.Duplicates > 0
}
