package platform

import (
	"errors"
	"strings"
	"testing"
)

const snmp = `Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates OutTransmits
Ip: 1 64 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18
Icmp: InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs InSrcQuenchs InRedirects InEchos InEchoReps InTimestamps InTimestampReps InAddrMasks InAddrMaskReps OutMsgs OutErrors OutRateLimitGlobal OutRateLimitHost OutDestUnreachs OutTimeExcds OutParmProbs OutSrcQuenchs OutRedirects OutEchos OutEchoReps OutTimestamps OutTimestampReps OutAddrMasks OutAddrMaskReps
Icmp: 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49
IcmpMsg: InType0 InType3
IcmpMsg: 1 1
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn
Tcp: 1 200 120000 -1
Udp: InDatagrams NoPorts InErrors
Udp: 50 51 52
UdpLite: InDatagrams NoPorts InErrors
UdpLite: 53 2 55
`

const snmp6 = `Ip6InReceives                   	1
Ip6InHdrErrors                  	2
Ip6InAddrErrors                 	3
Ip6InUnknownProtos              	5
Ip6InDiscards                   	6
Ip6InDelivers                   	7
Ip6OutForwDatagrams             	4
Ip6OutRequests                  	8
Ip6OutDiscards                  	9
Ip6OutNoRoutes                  	10
Ip6OutTransmits                 	18
Icmp6OutRateLimitHost 	37
Ip6ReasmReqds                   	12
Ip6ReasmOKs                     	13
Icmp6InErrors                   	22
Icmp6InDestUnreachs             	24
Icmp6InEchos                    	29
Icmp6InEchoReplies              	30
Icmp6OutEchos                   	44
Icmp6OutEchoReplies             	45
Icmp6OutDestUnreachs            	39
Udp6NoPorts                     	51
UdpLite6NoPorts                 	2
`

// counted is what both samples hold.
func counted() Counters {
	return Counters{InReceives: 1, InErrors: 2 + 3 + 5, Forwarded: 4, InDiscards: 6, InDelivers: 7, OutRequests: 8,
		OutDiscards: 9, OutNoRoutes: 10, Fragments: 12, Reassembled: 13, InMsgErrors: 22, InDestUnreachs: 24,
		OutTransmits: 18, InEchos: 29, InEchoReps: 30, OutDestUnreachs: 39, OutEchos: 44, OutEchoReps: 45, NoPorts: 51 + 2, RateLimited: 37}
}

func TestParseSNMP(t *testing.T) {
	want := counted()
	want.RateLimited = 37
	if got, err := parseSNMP([]byte(snmp)); err != nil || got != want {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	if got, err := parseSNMP6([]byte(snmp6)); err != nil || got != counted() {
		t.Errorf("got %+v, %v\nwant %+v", got, err, counted())
	}
}

// TestSNMPLacking holds that a counter that is not there does not read as 0.
func TestSNMPLacking(t *testing.T) {
	for _, name := range []string{"InEchos", "OutDiscards", "OutEchoReps", "InReceives"} {
		if got, err := parseSNMP([]byte(strings.ReplaceAll(snmp, name, "Other"))); !errors.Is(err, errNoCounters) {
			t.Errorf("without %s: got %+v, %v", name, got, err)
		}
	}
	for _, s := range []string{"", "Ip:\nIp:\n", "Ip: InReceives\nIp: x\n", "Icmp: InEchos\n", strings.Repeat("Ip: a\n", 3)} {
		if got, err := parseSNMP([]byte(s)); !errors.Is(err, errNoCounters) {
			t.Errorf("%q: got %+v, %v", s, got, err)
		}
		if got, err := parseSNMP6([]byte(s)); !errors.Is(err, errNoCounters) {
			t.Errorf("%q: got %+v, %v", s, got, err)
		}
	}
}

func TestParseSocketDrops(t *testing.T) {
	const header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"
	tests := []struct {
		name, in string
		want     uint64
		err      error
	}{
		{"none", header, 0, nil},
		{"two sockets", header + "    1: 0100007F:0001 0 07 0 0 0 0 2 0000 3\n    2: 0100007F:0002 0 07 0 0 0 0 2 0000 4\n\n", 7, nil},
		{"absurd number", header + "    1: x 99999999999999999999\n", 0, nil},
		{"no column", "  sl  local_address\n 1: 3\n", 0, errNoColumn},
		{"empty", "\n", 0, errEmpty},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := parseSocketDrops([]byte(tt.in)); got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %d, %v, want %d, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestReadCounters(t *testing.T) {
	h := tree(t, map[string]string{
		"proc/net/snmp": snmp, "proc/net/snmp6": snmp6, "proc/net/icmp6": "sl drops\n1: 5\n",
		"proc/net/stat/nf_conntrack": "entries  clashres drop early_drop\n0000000f  00000000 0000000a 00000001\n0000000f  00000000 00000001 00000001\n",
		"proc/net/xfrm_stat": "XfrmInError 1\nXfrmOutPolBlock         \t2\nXfrmInPolBlock 3\n" +
			"XfrmInNoPols 4\nXfrmInTmplMismatch 5\nXfrmOutNoStates 6\nXfrmOutNoStates x\n",
	})
	for family, drops := range map[int]uint64{4: 0, 6: 5} {
		want := counted()
		want.SocketDrops, want.XfrmBlocks, want.XfrmInBlocks = drops, 2, 3
		want.TrackDrops, want.TrackCounted = 11, true
		if family == 4 {
			want.RateLimited = 37
		}
		want.XfrmDefaultBlocks, want.XfrmUnprotected, want.XfrmCounted = 4, 11, true
		got, ok := ReadCounters(h.root, family).Get()
		got.QueueDrops, got.LinkSent = 0, 0 // those of this host
		if !ok || got != want {
			t.Errorf("IPv%d: got %+v, want %+v", family, got, want)
		}
	}
}

func TestParseTrackDrops(t *testing.T) {
	for in, want := range map[string]uint64{
		"entries drop\n1 ff\n1 1\n": 256, "entries drop\n1\n": 0, "entries\n1\n": 0, "": 0, "drop\nx\n": 0,
	} {
		if got, counted := parseTrackDrops([]byte(in)); got != want || counted != (want > 0) {
			t.Errorf("%q: got %d, %v, want %d", in, got, counted, want)
		}
	}
}

func FuzzCounters(f *testing.F) {
	f.Add([]byte(snmp))
	f.Add([]byte(snmp6))
	f.Add([]byte("sl drops\n1: 5\n2: 7\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, parse := range []func([]byte) (Counters, error){parseSNMP, parseSNMP6} {
			c, err := parse(b)
			if err != nil && c != (Counters{}) {
				t.Errorf("got %+v with %v", c, err)
			}
			if d := c.Sub(c); d != (Counters{}) {
				t.Errorf("a snapshot less itself is %+v", d)
			}
		}
		parseSent(b)
		parseTrackDrops(b)
		if n, err := parseSocketDrops(b); err != nil && n != 0 {
			t.Errorf("got %d with %v", n, err)
		}
	})
}

func TestParseSent(t *testing.T) {
	const head = "Inter-|   Receive                                                |  Transmit\n" +
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"
	for _, tt := range []struct {
		name, in   string
		lo, others uint64
	}{
		{"none", "", 0, 0},
		{"lo alone", head + "    lo: 1 2 0 0 0 0 0 0 1 2 0 0 0 0 0 0\n", 2, 0},
		{"two more", head + "    lo: 1 2 0 0 0 0 0 0 1 2 0 0 0 0 0 0\n  eth0:11 12 0 0 0 0 0 0 13 14 0 0 0 0 0 0\nlo0: 1 1 0 0 0 0 0 0 1 3 0\n", 2, 17},
		{"short", head + "eth0: 1 2 3\neth1 1 2 0 0 0 0 0 0 1 2 0\neth2: 1 2 0 0 0 0 0 0 1 x 0\n", 0, 0},
	} {
		if lo, others := parseSent([]byte(tt.in)); lo != tt.lo || others != tt.others {
			t.Errorf("%s: got %d and %d, want %d and %d", tt.name, lo, others, tt.lo, tt.others)
		}
	}
}
