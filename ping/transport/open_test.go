package transport

import (
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

var (
	loopback4 = netip.MustParseAddr("127.0.0.1")
	loopback6 = netip.MustParseAddr("::1")
)

func TestOpenError(t *testing.T) {
	denied := os.NewSyscallError("socket", syscall.EACCES)
	notPermitted := os.NewSyscallError("socket", syscall.EPERM)
	gone := os.NewSyscallError("bind", syscall.EADDRNOTAVAIL)
	unknown := os.NewSyscallError("socket", syscall.EPROTONOSUPPORT)
	noCall, invalid := os.NewSyscallError("socket", syscall.ENOSYS), os.NewSyscallError("socket", syscall.EINVAL)
	inBind := os.NewSyscallError("bind", syscall.EINVAL)
	v6 := netip.MustParseAddr("::1")
	tests := []struct {
		name         string
		err          OpenError
		want         string
		notPermitted bool
		noAddress    bool
	}{
		{"both refused", OpenError{Address: loopback4, Dgram: denied, Raw: notPermitted},
			"no ICMP socket on 127.0.0.1: datagram: " + denied.Error() + "; raw: " + notPermitted.Error(), true, false},
		{"datagram alone", OpenError{Address: v6, Dgram: denied, Raw: nil}, "no ICMP socket on ::1: datagram: " + denied.Error(), true, false},
		{"raw alone", OpenError{Address: v6, Dgram: nil, Raw: notPermitted}, "no ICMP socket on ::1: raw: " + notPermitted.Error(), true, false},
		{"no such socket here", OpenError{Address: loopback4, Dgram: unknown, Raw: notPermitted},
			"no ICMP socket on 127.0.0.1: datagram: " + unknown.Error() + "; raw: " + notPermitted.Error(), true, false},
		{"a policy in other words", OpenError{Address: loopback4, Dgram: noCall, Raw: invalid},
			"no ICMP socket on 127.0.0.1: datagram: " + noCall.Error() + "; raw: " + invalid.Error(), true, false},
		{"another call", OpenError{Address: loopback4, Dgram: inBind},
			"no ICMP socket on 127.0.0.1: datagram: " + inBind.Error(), false, false},
		{"address gone", OpenError{Address: loopback4, Dgram: gone, Raw: gone},
			"no ICMP socket on 127.0.0.1: datagram: " + gone.Error() + "; raw: " + gone.Error(), false, true},
		{"refused, and address gone", OpenError{Address: loopback4, Dgram: denied, Raw: gone},
			"no ICMP socket on 127.0.0.1: datagram: " + denied.Error() + "; raw: " + gone.Error(), false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.err.Error(); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			if got := tt.err.NotPermitted(); got != tt.notPermitted {
				t.Errorf("NotPermitted is %v, want %v", got, tt.notPermitted)
			}
			if got := tt.err.NoAddress(); got != tt.noAddress {
				t.Errorf("NoAddress is %v, want %v", got, tt.noAddress)
			}
			for _, kind := range []error{tt.err.Dgram, tt.err.Raw} {
				if kind != nil && !errors.Is(&tt.err, kind) {
					t.Errorf("errors.Is does not find %v", kind)
				}
			}
		})
	}
}

// TestOpenICMP: datagram first, then raw, as far as the mode allows; the error holds what each said.
func TestOpenICMP(t *testing.T) {
	refused := map[string]error{MethodDgram: syscall.EACCES, MethodRaw: syscall.EPERM}
	for _, tt := range []struct {
		name       string
		mode       SocketMode
		works      string
		tried      []string
		dgram, raw error
	}{
		{"datagram works", SocketAuto, MethodDgram, []string{MethodDgram}, nil, nil},
		{"raw works", SocketAuto, MethodRaw, []string{MethodDgram, MethodRaw}, nil, nil},
		{"none works", SocketAuto, "", []string{MethodDgram, MethodRaw}, syscall.EACCES, syscall.EPERM},
		{"datagram alone works", SocketDgram, MethodDgram, []string{MethodDgram}, nil, nil},
		{"datagram alone", SocketDgram, MethodRaw, []string{MethodDgram}, syscall.EACCES, nil},
		{"raw alone works", SocketRaw, MethodRaw, []string{MethodRaw}, nil, nil},
		{"raw alone", SocketRaw, MethodDgram, []string{MethodRaw}, nil, syscall.EPERM},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var tried []string
			config := Config{Address: loopback4, Proto: ProtoICMP, Socket: tt.mode}
			_, s, err := openAny(config, func(_ Config, method string) (Conn, Socket, error) {
				tried = append(tried, method)
				if method != tt.works {
					return nil, Socket{}, refused[method]
				}
				return nil, Socket{Method: method}, nil
			})
			if !slices.Equal(tried, tt.tried) {
				t.Errorf("tried %v, want %v", tried, tt.tried)
			}
			if tt.dgram == nil && tt.raw == nil {
				if err != nil || s.Method != tt.works {
					t.Errorf("got %v, want %s", err, tt.works)
				}
				return
			}
			want := OpenError{Address: loopback4, Dgram: tt.dgram, Raw: tt.raw}
			if got, ok := errors.AsType[*OpenError](err); !ok || *got != want {
				t.Errorf("got %v, %v; want %v", s, err, &want)
			}
		})
	}
}

// TestOpenAuto: UDP comes last, and only where each kind of ICMP socket was refused for lack of permission.
func TestOpenAuto(t *testing.T) {
	allowed := map[string]error{}
	denied := map[string]error{MethodDgram: syscall.EACCES, MethodRaw: syscall.EPERM}
	gone := map[string]error{MethodDgram: syscall.EADDRNOTAVAIL, MethodRaw: syscall.EPERM}
	none := map[string]error{MethodDgram: syscall.EACCES, MethodRaw: syscall.EPERM, MethodUDP: syscall.EADDRINUSE}
	for _, tt := range []struct {
		name   string
		config Config
		says   map[string]error
		want   string // the method, or the error
	}{
		{"ICMP works", Config{}, allowed, MethodDgram},
		{"raw works", Config{}, map[string]error{MethodDgram: syscall.EACCES}, MethodRaw},
		{"nothing is permitted", Config{}, denied, MethodUDP},
		{"ICMP alone is asked for", Config{Proto: ProtoICMP}, denied, "no ICMP socket"},
		{"a kind is asked for", Config{Socket: SocketDgram}, denied, "no ICMP socket"},
		{"the address is gone", Config{}, gone, "no ICMP socket"},
		{"UDP does not work either", Config{}, none,
			"no socket on 127.0.0.1: datagram: permission denied; raw: operation not permitted; UDP: "},
		{"too large for UDP", Config{Size: MaxSizeIPv4}, denied, "UDP: size 65507 is outside 0 to 65499"},
		{"UDP is asked for", Config{Proto: ProtoUDP}, allowed, MethodUDP},
		{"UDP is asked for in vain", Config{Proto: ProtoUDP}, none, "no socket on 127.0.0.1: UDP: "},
		{"TCP is asked for", Config{Proto: ProtoTCP}, denied, MethodTCP},
		{"a port is asked for", Config{Proto: ProtoTCP, Port: 80}, denied, MethodTCP},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, s, err := openAny(tt.config.WithDefaults(), func(_ Config, method string) (Conn, Socket, error) {
				if e := tt.says[method]; e != nil {
					return nil, Socket{}, e
				}
				return nil, Socket{Method: method}, nil
			})
			if err != nil {
				_, ok := errors.AsType[*OpenError](err)
				if !ok || s != (Socket{}) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, %v; want %q", s, err, tt.want)
				}
				return
			}
			if got := s.Method; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			fell := tt.config.Proto == ProtoAuto && tt.want == MethodUDP
			if fell != (s.Denied != nil) {
				t.Errorf("denied: %v", s.Denied)
			}
			if want := (OpenError{Address: loopback4, Dgram: syscall.EACCES, Raw: syscall.EPERM}); fell && *s.Denied != want {
				t.Errorf("denied: %v, want %v", s.Denied, &want)
			}
		})
	}
}
