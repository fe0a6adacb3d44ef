//go:build !portable

package transport

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// cmsg is one control message as this machine lays it out (cmsg(3)), padded as the kernel pads it.
func cmsg(level, typ int32, data []byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(data)))
	if length := unix.CmsgLen(len(data)); unix.SizeofCmsghdr == 16 {
		binary.NativeEndian.PutUint64(b, uint64(length))
	} else {
		binary.NativeEndian.PutUint32(b, uint32(length))
	}
	binary.NativeEndian.PutUint32(b[unix.SizeofCmsghdr-8:], uint32(level))
	binary.NativeEndian.PutUint32(b[unix.SizeofCmsghdr-4:], uint32(typ))
	copy(b[unix.SizeofCmsghdr:], data)
	return b
}

func native32(values ...uint32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	return b
}

// extErr is a struct sock_extended_err.
func extErr(e syscall.Errno, origin, typ, code byte, data uint32, offender ...byte) []byte {
	b := append(native32(uint32(e)), origin, typ, code, 0)
	b = append(b, native32(0, data)...)
	return append(b, offender...)
}

// offender4 is a struct sockaddr_in, offender6 a struct sockaddr_in6.
func offender4(a string) []byte {
	b := binary.NativeEndian.AppendUint16(nil, unix.AF_INET)
	b = append(b, 0, 0)
	b = append(b, netip.MustParseAddr(a).AsSlice()...)
	return append(b, make([]byte, 8)...)
}

func offender6(a string) []byte {
	b := binary.NativeEndian.AppendUint16(nil, unix.AF_INET6)
	b = append(b, 0, 0, 0, 0, 0, 0)
	b = append(b, netip.MustParseAddr(a).AsSlice()...)
	return append(b, 0, 0, 0, 0)
}

func TestParseControl(t *testing.T) {
	ttl := cmsg(unix.IPPROTO_IP, unix.IP_TTL, native32(64))
	refused := cmsg(unix.IPPROTO_IP, unix.IP_RECVERR,
		extErr(syscall.ECONNREFUSED, unix.SO_EE_ORIGIN_ICMP, 3, 3, 0, offender4("127.0.0.9")...))
	icmp4 := Fault{Errno: syscall.ECONNREFUSED, ICMP: true, Type: 3, Code: 3}
	icmp6 := Fault{Errno: syscall.EACCES, ICMP: true, Type: 1, Code: 1}
	endless := cmsg(unix.IPPROTO_IP, unix.IP_TTL, native32(64))
	endless[0] = 0xff
	none := cmsg(unix.IPPROTO_IP, unix.IP_TTL, native32(64))
	clear(none[:unix.SizeofCmsghdr-8])
	host := netip.MustParseAddr
	for _, tt := range []struct {
		name string
		b    []byte
		want Packet
	}{
		{"nothing", nil, Packet{}},
		{"TTL", ttl, Packet{TTL: 64}},
		{"hop limit", cmsg(unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, native32(255)), Packet{TTL: 255}},
		{"TTL too short", cmsg(unix.IPPROTO_IP, unix.IP_TTL, []byte{64, 0, 0}), Packet{}},
		{"another level", cmsg(unix.SOL_SOCKET, unix.IP_TTL, native32(64)), Packet{}},
		{"another type, then the TTL", slices.Concat(cmsg(unix.IPPROTO_IP, 99, []byte{1}), ttl), Packet{TTL: 64}},
		{"ICMP error", refused, Packet{Fault: icmp4, From: host("127.0.0.9")}},
		{"ICMP error and TTL", slices.Concat(refused, ttl), Packet{Fault: icmp4, From: host("127.0.0.9"), TTL: 64}},
		{"ICMPv6 error", cmsg(unix.IPPROTO_IPV6, unix.IPV6_RECVERR,
			extErr(syscall.EACCES, unix.SO_EE_ORIGIN_ICMP6, 1, 1, 0, offender6("::1")...)),
			Packet{Fault: icmp6, From: host("::1")}},
		{"local error", cmsg(unix.IPPROTO_IP, unix.IP_RECVERR,
			extErr(syscall.EMSGSIZE, unix.SO_EE_ORIGIN_LOCAL, 0, 0, 0)), Packet{Fault: Fault{Errno: syscall.EMSGSIZE}}},
		{"no family", cmsg(unix.IPPROTO_IP, unix.IP_RECVERR,
			extErr(syscall.EMSGSIZE, unix.SO_EE_ORIGIN_LOCAL, 0, 0, 0, make([]byte, 16)...)),
			Packet{Fault: Fault{Errno: syscall.EMSGSIZE}}},
		{"address cut off", cmsg(unix.IPPROTO_IP, unix.IP_RECVERR,
			extErr(syscall.ECONNREFUSED, unix.SO_EE_ORIGIN_ICMP, 3, 3, 0, offender4("127.0.0.9")[:7]...)), Packet{Fault: icmp4}},
		{"IPv6 address cut off", cmsg(unix.IPPROTO_IPV6, unix.IPV6_RECVERR,
			extErr(syscall.EACCES, unix.SO_EE_ORIGIN_ICMP6, 1, 1, 0, offender6("::1")[:23]...)), Packet{Fault: icmp6}},
		{"error cut off", cmsg(unix.IPPROTO_IP, unix.IP_RECVERR, make([]byte, 15)), Packet{}},
		{"receive stamp", cmsg(unix.SOL_SOCKET, unix.SCM_TIMESTAMPING, timespecs(8, 1_700_000_000, 123_456_789)),
			Packet{Kernel: 1_700_000_000_123_456_789}},
		{"length beyond the end", endless, Packet{}},
		{"length of nothing", none, Packet{}},
		{"header cut off", ttl[:unix.SizeofCmsghdr-1], Packet{}},
		{"data cut off", ttl[:unix.SizeofCmsghdr+3], Packet{}},
		{"no padding at the end", ttl[:unix.CmsgLen(4)], Packet{TTL: 64}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got received
			parseControl(tt.b, &got)
			if !sameReceived(got, received{Packet: tt.want}) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestParseControlTransmitStamp(t *testing.T) {
	var got received
	parseControl(cmsg(unix.IPPROTO_IP, unix.IP_RECVERR, extErr(syscall.ENOMSG, unix.SO_EE_ORIGIN_TIMESTAMPING, 0, 0, 77)), &got)
	if want := (received{stamp: true, stampID: 77}); !sameReceived(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// sameReceived compares all but the message.
func sameReceived(a, b received) bool {
	return a.From == b.From && a.TTL == b.TTL && a.Kernel == b.Kernel && a.Fault == b.Fault && a.stamp == b.stamp &&
		a.stampID == b.stampID
}

// timespecs is a struct scm_timestamping with halves of size bytes: the software stamp and two that are not set.
func timespecs(size int, sec, nsec int64) []byte {
	b := make([]byte, 6*size)
	if size == 8 {
		binary.NativeEndian.PutUint64(b, uint64(sec))
		binary.NativeEndian.PutUint64(b[8:], uint64(nsec))
		return b
	}
	binary.NativeEndian.PutUint32(b, uint32(sec))
	binary.NativeEndian.PutUint32(b[4:], uint32(nsec))
	return b
}

// FuzzParseControl holds the parser against x/sys/unix, which knows the layout but not what is in it.
func FuzzParseControl(f *testing.F) {
	ttl := cmsg(unix.IPPROTO_IP, unix.IP_TTL, native32(64))
	report := cmsg(unix.IPPROTO_IPV6, unix.IPV6_RECVERR,
		extErr(syscall.EACCES, unix.SO_EE_ORIGIN_ICMP6, 1, 1, 0, offender6("::1")...))
	stamp := cmsg(unix.IPPROTO_IP, unix.IP_RECVERR, extErr(syscall.ENOMSG, unix.SO_EE_ORIGIN_TIMESTAMPING, 0, 0, 7))
	// On the other word size the length has 4 bytes, or 8, and the padding differs.
	narrow := append(native32(16, unix.IPPROTO_IP, unix.IP_TTL), native32(64)...)
	wide := append(native32(20, 0, unix.IPPROTO_IP, unix.IP_TTL), native32(64, 0)...)
	for _, b := range [][]byte{
		nil, ttl, report, stamp, slices.Concat(ttl, report), slices.Concat(report, ttl, stamp), narrow, wide,
		slices.Concat(narrow, narrow), slices.Concat(wide, narrow), ttl[:len(ttl)-1], report[:len(report)/2],
		cmsg(unix.SOL_SOCKET, unix.SCM_TIMESTAMPING, timespecs(8, 1, 2)),
		cmsg(unix.SOL_SOCKET, unix.SCM_TIMESTAMPING, timespecs(4, 1, 2)), bytes.Repeat([]byte{0xff}, 64), make([]byte, 64),
	} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var got, want received
		parseControl(b, &got)
		if got.TTL < 0 || got.TTL > 255 {
			t.Errorf("TTL %d", got.TTL)
		}
		messages, err := unix.ParseSocketControlMessage(b)
		if err != nil {
			return // it refuses the whole where ours takes what stands before the damage
		}
		for _, m := range messages {
			applyControl(m.Header.Level, m.Header.Type, m.Data, &want)
		}
		if !sameReceived(got, want) {
			t.Errorf("% x: got %+v, want %+v", b, got, want)
		}
	})
}
