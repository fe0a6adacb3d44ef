package ping

import (
	"errors"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
)

func TestOpenError(t *testing.T) {
	denied := os.NewSyscallError("socket", syscall.EACCES)
	notPermitted := os.NewSyscallError("socket", syscall.EPERM)
	gone := os.NewSyscallError("bind", syscall.EADDRNOTAVAIL)
	unknown := os.NewSyscallError("socket", syscall.EPROTONOSUPPORT)
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

// TestOpenConn: datagram first, then raw, as far as the mode allows; the error holds what each said.
func TestOpenConn(t *testing.T) {
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
			cn, err := openConn(Config{Address: loopback4, Socket: tt.mode}, func(_ Config, method string) (conn, error) {
				tried = append(tried, method)
				if method != tt.works {
					return nil, refused[method]
				}
				return &fakeConn{sock: Socket{Method: method}}, nil
			})
			if !slices.Equal(tried, tt.tried) {
				t.Errorf("tried %v, want %v", tried, tt.tried)
			}
			if tt.dgram == nil && tt.raw == nil {
				if err != nil || cn.socket().Method != tt.works {
					t.Errorf("got %v, want %s", err, tt.works)
				}
				return
			}
			want := OpenError{Address: loopback4, Dgram: tt.dgram, Raw: tt.raw}
			if got, ok := errors.AsType[*OpenError](err); !ok || *got != want || cn != nil {
				t.Errorf("got %v, %v; want %v", cn, err, &want)
			}
		})
	}
}
