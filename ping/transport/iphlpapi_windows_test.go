package transport

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// underWine says that this is no Windows but wine.
func underWine() bool {
	return windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil
}

// openHere opens c on the real API. It skips IPv6 if there is none.
func openHere(t *testing.T, c Config) (Conn, Socket) {
	t.Helper()
	c = c.WithDefaults()
	if c.Address.Is6() {
		if underWine() {
			t.Skip("wine's Icmp6SendEcho2 does nothing")
		}
		if err := assigned(c.Address); err != nil {
			t.Skipf("this host has no %v (%v): enable IPv6 on its loopback interface", c.Address, err)
		}
	}
	conn, s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return conn, s
}

// echoHere sends count messages, each of which must be answered, on the real API. A slow machine loses nothing.
func echoHere(t *testing.T, c Config, count int) {
	t.Helper()
	c.Timeout = 10 * time.Second
	conn, s := openHere(t, c)
	roundTrips(t, conn, s, c.WithDefaults().Address, count, c.Size)
}

func TestWindowsEcho(t *testing.T) {
	for _, address := range []netip.Addr{loopback4, netip.MustParseAddr("127.1.2.3"), loopback6} {
		t.Run(address.String(), func(t *testing.T) {
			conn, s := openHere(t, Config{Address: address, Size: 56, Timeout: 10 * time.Second})
			if err := conn.Send(request(address, s.Ident, 1, 56)); err != nil {
				t.Fatal(err)
			}
			var p Packet
			err := conn.Recv(&p, make([]byte, 100), time.Now().Add(longEnough))
			if err != nil || p.From != address || len(p.Msg) != 64 || p.RTT <= 0 || p.RTT > 10*time.Second {
				t.Errorf("reply %+v, %v", p, err)
			}
		})
	}
}

func TestWindowsEchoSizes(t *testing.T) {
	for _, address := range []netip.Addr{loopback4, loopback6} {
		for _, size := range []int{0, 1, 7, 8, 9, 1472, 1473, 65500} { // ping.exe -l takes up to 65500
			t.Run(fmt.Sprint(address, size), func(t *testing.T) {
				echoHere(t, Config{Address: address, Size: size}, 2)
			})
		}
	}
}

func TestWindowsEchoOptions(t *testing.T) {
	for name, c := range map[string]Config{
		"TTL":            {TTL: 1},
		"TOS":            {TOS: 0x10},
		"don't fragment": {PathMTU: PathMTUDo},
		"may fragment":   {PathMTU: PathMTUDont},
		"source":         {Source: netip.MustParseAddr("127.0.0.2")},
		"datagram":       {Socket: SocketDgram},
		"hop limit":      {Address: loopback6, TTL: 1},
		"source ::1":     {Address: loopback6, Source: loopback6},
	} {
		t.Run(name, func(t *testing.T) {
			c.Size = 56
			echoHere(t, c, 2)
		})
	}
}

// TestWindowsEchoMany has more messages on their way than there are calls.
func TestWindowsEchoMany(t *testing.T) {
	conn, s := openHere(t, Config{Size: 56, Timeout: 10 * time.Second})
	for seq := range uint16(2 * maxCalls) {
		if err := conn.Send(request(loopback4, s.Ident, seq, 56)); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 2 * maxCalls {
		if err := conn.Recv(new(Packet), make([]byte, 100), time.Now().Add(longEnough)); err != nil {
			t.Fatalf("after %d replies: %v", n, err)
		}
	}
}

// TestWindowsEchoMessage looks at the message that a reply becomes.
func TestWindowsEchoMessage(t *testing.T) {
	conn, s := openHere(t, Config{Size: 100, Timeout: 10 * time.Second})
	if s.Method != MethodDgram || s.Local != loopback4 || s.Checksum || s.Stamps {
		t.Errorf("socket %+v", s)
	}
	msg := request(loopback4, s.Ident, 0x2345, 100)
	if err := conn.Send(msg); err != nil {
		t.Fatal(err)
	}
	var p Packet
	if err := conn.Recv(&p, make([]byte, 200), time.Now().Add(20*time.Second)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(p.Msg, replyTo(msg)) || p.Fault != (Fault{}) || p.From != loopback4 {
		t.Errorf("packet %+v for % x", p, msg)
	}
}

// TestWindowsEchoAllocs holds that an echo allocates nothing.
func TestWindowsEchoAllocs(t *testing.T) {
	conn, s := openHere(t, Config{Size: 56, Timeout: 10 * time.Second})
	msg, b, p := request(loopback4, s.Ident, 1, 56), make([]byte, 100), new(Packet)
	allocs := testing.AllocsPerRun(100, func() {
		if err := conn.Send(msg); err != nil {
			t.Error(err)
		}
		if err := conn.Recv(p, b, time.Now().Add(20*time.Second)); err != nil {
			t.Error(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations an echo, want 0", allocs)
	}
}

// TestWindowsEchoWake wakes a real wait.
func TestWindowsEchoWake(t *testing.T) {
	conn, _ := openHere(t, Config{})
	time.AfterFunc(10*ms, conn.Wake)
	if err := conn.Recv(new(Packet), make([]byte, 100), time.Now().Add(time.Minute)); err != ErrWoken {
		t.Errorf("got %v, want %v", err, ErrWoken)
	}
}

// TestWindowsEchoClose closes with requests on their way.
func TestWindowsEchoClose(t *testing.T) {
	for range 20 {
		conn, s, err := openICMP(Config{Timeout: time.Second}.WithDefaults(), MethodDgram)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if err := conn.Send(request(loopback4, s.Ident, 1, 8)); err != nil {
				t.Error(err)
			}
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestReplyLayout(t *testing.T) {
	want := uintptr(40)
	if unsafe.Sizeof(uintptr(0)) == 4 {
		want = 28
	}
	if got := unsafe.Sizeof(echoReplyV4{}); got != want {
		t.Errorf("ICMP_ECHO_REPLY has %d bytes, want %d", got, want)
	}
	if room := replyRoom(10); room < replyLenV6+10+errorLen || room < int(want)+10+errorLen {
		t.Errorf("a buffer of %d bytes holds no reply", room)
	}
}

// replyV4 is a buffer with an ICMP_ECHO_REPLY whose data lies at so many bytes from base.
func replyV4(status uint32, base, offset uintptr, size uint16, length int) []byte {
	r := echoReplyV4{addr: [4]byte{127, 0, 0, 1}, status: status, dataSize: size, data: base + offset, options: ipOptions{ttl: 128}}
	b := make([]byte, length)
	for i := range b {
		b[i] = byte(i)
	}
	copy(b, unsafe.Slice((*byte)(unsafe.Pointer(&r)), unsafe.Sizeof(r)))
	return b
}

func TestParseReplyV4(t *testing.T) {
	const base, far = 0x10000, ^uintptr(0)
	head := unsafe.Sizeof(echoReplyV4{})
	tests := []struct {
		name string
		b    []byte
		ok   bool
		len  int
	}{
		{"right", replyV4(ipSuccess, base, head, 8, 60), true, 8},
		{"to the end", replyV4(ipSuccess, base, head, uint16(60-head), 60), true, int(60 - head)},
		{"none", replyV4(ipSuccess, base, 0, 0, 40), true, 0},
		{"none, no address", replyV4(ipSuccess, 0, 0, 0, 40), true, 0},
		{"past the end", replyV4(ipSuccess, base, head, uint16(61-head), 60), false, 0},
		{"behind the end", replyV4(ipSuccess, base, 61, 1, 60), false, 0},
		{"before the start", replyV4(ipSuccess, base, far, 1, 60), false, 0},
		{"around", replyV4(ipSuccess, base, far-3, 8, 60), false, 0},
		{"short", replyV4(ipSuccess, base, head, 8, 60)[:head-1], false, 0},
		{"error", replyV4(ipDestHostUnreachable, base, head, 8, 60), false, 0},
	}
	for _, tt := range tests {
		a := parseReplyV4(tt.b, base)
		if ok := a.status == ipSuccess; ok != tt.ok || len(a.data) != tt.len {
			t.Errorf("%s: %+v", tt.name, a)
		}
		if tt.ok && (!a.answered || a.from != loopback4 || a.ttl != 128) {
			t.Errorf("%s: %+v", tt.name, a)
		}
	}
}

// TestParseReplyV6 reads a reply byte for byte.
func TestParseReplyV6(t *testing.T) {
	b := make([]byte, replyLenV6+3)
	b[21], b[32] = 1, 7 // the last byte of ::1; 7 ms
	copy(b[36:], "abc")
	a := parseReplyV6(b, 3)
	if a.status != ipSuccess || !a.answered || a.from != loopback6 || string(a.data) != "abc" {
		t.Errorf("got %+v", a)
	}
	if a := parseReplyV6(b, 4); a.status != ipGeneralFailure {
		t.Errorf("too short: %+v", a)
	}
	binary.NativeEndian.PutUint32(b[28:], ipReqTimedOut)
	if a := parseReplyV6(b, 3); a.status != ipReqTimedOut || a.data != nil {
		t.Errorf("timed out: %+v", a)
	}
	b[21] = 0
	if a := parseReplyV6(b, 3); a.answered || a.from.IsValid() {
		t.Errorf("from nobody: %+v", a)
	}
}

func FuzzParseReply(f *testing.F) {
	const base = 0x10000
	f.Add(replyV4(ipSuccess, base, unsafe.Sizeof(echoReplyV4{}), 8, 60), uint16(8))
	f.Add(replyV4(ipSuccess, base, ^uintptr(0), 8, 60), uint16(8))
	f.Add(replyV4(ipDestNetUnreachable, base, 40, 8, 41), uint16(60000))
	f.Add([]byte{}, uint16(0))
	f.Fuzz(func(t *testing.T, b []byte, size uint16) {
		for _, a := range []answer{parseReplyV4(b, base), parseReplyV6(b, int(size))} {
			if len(a.data) > len(b) || a.answered != a.from.IsValid() || a.data != nil && a.status != ipSuccess {
				t.Errorf("%+v of % x", a, b)
			}
			if f := faultOf(a, size%2 == 0); a.status != ipSuccess && f.Errno == 0 {
				t.Errorf("status %d is no error", a.status)
			}
		}
	})
}

// TestErrnos holds that every IP_STATUS has a number that other systems know: their own texts are of other errors.
func TestErrnos(t *testing.T) {
	for status := uint32(ipBufTooSmall); status <= ipGeneralFailure; status++ {
		for _, v6 := range []bool{false, true} {
			if e := errnoOf(status, v6); e < syscall.APPLICATION_ERROR {
				t.Errorf("status %d is %d", status, e)
			}
		}
	}
	for status, want := range map[uint32]syscall.Errno{
		uint32(windows.WSAEADDRNOTAVAIL):          syscall.EADDRNOTAVAIL,
		uint32(windows.ERROR_ACCESS_DENIED):       syscall.EACCES,
		uint32(windows.ERROR_FILE_NOT_FOUND):      syscall.ERROR_FILE_NOT_FOUND,
		uint32(windows.ERROR_INVALID_PARAMETER):   syscall.EINVAL,
		uint32(windows.ERROR_NOT_ENOUGH_MEMORY):   syscall.ENOBUFS,
		uint32(windows.ERROR_NETWORK_UNREACHABLE): syscall.ENETUNREACH,
	} {
		if got := errnoOf(status, false); got != want {
			t.Errorf("error %d is %d, want %d", status, got, want)
		}
	}
}

func TestStopwatch(t *testing.T) {
	w, err := newStopwatch()
	if err != nil {
		t.Fatal(err)
	}
	var start, now int64
	w.read(&start)
	for now = start; now == start; { // it moves by itself, and finely
		w.read(&now)
	}
	if step := w.duration(now - start); step <= 0 || step > time.Second {
		t.Errorf("one step is %v", step)
	}
	w.read(&start)
	time.Sleep(50 * time.Millisecond)
	w.read(&now)
	if slept := w.duration(now - start); slept < 15*time.Millisecond { // the runtime's clock may be off by two steps
		t.Errorf("slept %v, want 50ms or more", slept)
	}
}

func TestStopwatchDuration(t *testing.T) {
	for _, perSecond := range []int64{1, 1000, 3_579_545, 10_000_000, 3_000_000_000} {
		w := stopwatch{perSecond: perSecond}
		for _, want := range []time.Duration{0, time.Second, time.Hour, 1000 * time.Hour} {
			if got := w.duration(int64(want/time.Second) * perSecond); got != want {
				t.Errorf("%v at %d Hz is %v", want, perSecond, got)
			}
		}
		ticks := perSecond/3 + 1
		want := float64(ticks) / float64(perSecond)
		if got := w.duration(ticks).Seconds(); math.Abs(got-want) > 1e-9 {
			t.Errorf("%d ticks at %d Hz are %v s, want %v", ticks, perSecond, got, want)
		}
	}
}

func TestSender(t *testing.T) {
	for _, tt := range []struct{ address, source, want string }{
		{"127.0.0.1", "", "0.0.0.0"},
		{"127.9.9.9", "127.0.0.1", "127.0.0.1"},
		{"10.0.0.1", "", "10.0.0.1"},
		{"::1", "", "::"},
		{"::1", "::1", "::1"},
		{"fe80::1%1", "", "fe80::1%1"},
	} {
		c := Config{Address: netip.MustParseAddr(tt.address)}
		if tt.source != "" {
			c.Source = netip.MustParseAddr(tt.source)
		}
		if got := sender(c); got.String() != tt.want {
			t.Errorf("%s from %q: %v, want %s", tt.address, tt.source, got, tt.want)
		}
	}
}

// TestCallTime holds that a call outlasts the timeout of its probe.
func TestCallTime(t *testing.T) {
	for timeout, want := range map[time.Duration]uint32{
		time.Nanosecond:        100,
		400 * time.Millisecond: 800,
		math.MaxInt64:          math.MaxInt32,
	} {
		api, err := openAPI(Config{Timeout: timeout}.WithDefaults())
		if err != nil {
			t.Fatal(err)
		}
		if api.wait != want {
			t.Errorf("timeout %v: %d ms, want %d", timeout, api.wait, want)
		}
		if err := api.close(); err != nil {
			t.Error(err)
		}
	}
}

// TestSockaddrV6 takes a zone as a number or a name.
func TestSockaddrV6(t *testing.T) {
	sa, err := sockaddrV6(netip.MustParseAddr("fe80::1%7"))
	if err != nil || sa.Scope_id != 7 || sa.Addr != netip.MustParseAddr("fe80::1").As16() {
		t.Errorf("got %+v, %v", sa, err)
	}
	if sa, err := sockaddrV6(netip.MustParseAddr("fe80::1%no such interface")); err == nil {
		t.Errorf("got %+v, want an error", sa)
	}
}
