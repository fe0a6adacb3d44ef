package service

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"unicode"
	"unicode/utf8"
)

// talk is a connection on which a service says what r holds, and then no more. It keeps what it was asked.
type talk struct {
	net.Conn
	r     io.Reader
	asked bytes.Buffer
	// read is how many bytes were read.
	read int
}

func (c *talk) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.read += n
	return n, err
}

func (c *talk) Write(b []byte) (int, error) { return c.asked.Write(b) }

// endless says the same for ever.
type endless struct {
	text string
	at   int
}

func (e *endless) Read(b []byte) (n int, err error) {
	for ; n < len(b); n++ {
		b[n] = e.text[e.at]
		e.at = (e.at + 1) % len(e.text)
	}
	return n, nil
}

func TestGet(t *testing.T) {
	const proceed = "HTTP/1.1 100 Continue\r\n\r\n"
	long := strings.Repeat("x", maxResponse/2)
	for _, tt := range []struct {
		name, says string
		status     int
		text       string
		err        error
	}{
		{"normal", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "OK", nil},
		{"an old version", "HTTP/1.0 404 Not Found\r\n\r\n", 404, "Not Found", nil},
		{"a reason of some words", "HTTP/1.1 503 no room at the inn\r\n\r\n", 503, "no room at the inn", nil},
		{"no reason", "HTTP/1.1 204 \r\n\r\n", 204, "", nil},
		{"no reason, no space", "HTTP/1.1 204\r\n\r\n", 204, "", nil},
		{"line feeds alone", "HTTP/1.1 302 Found\nLocation: /\n\n", 302, "Found", nil},
		{"more than one space", "HTTP/1.1   301  Moved\r\n\r\n", 301, "Moved", nil},
		{"the largest status", "HTTP/1.1 999 x\r\n\r\n", 999, "x", nil},
		{"no header after the status", "HTTP/1.1 200 OK", 200, "OK", nil},
		{"a header that is not over", "HTTP/1.1 200 OK\r\nA: b", 200, "OK", nil},
		{"a long line", "HTTP/1.1 500 " + long + "\r\n\r\n", 500, strings.Repeat("x", 60), nil},
		{"1xx first", proceed + "HTTP/1.1 200 OK\r\n\r\n", 200, "OK", nil},
		{"1xx with a header first", "HTTP/1.1 103 Early Hints\r\nLink: a\r\nLink: b\r\n\r\nHTTP/1.1 500 Oh\r\n\r\n", 500, "Oh", nil},
		{"1xx by line feeds first", "HTTP/1.1 102\n\nHTTP/1.1 200 OK\n\n", 200, "OK", nil},
		{"many 1xx", strings.Repeat(proceed, 1000) + "HTTP/1.1 200 OK\r\n\r\n", 200, "OK", nil},
		{"1xx with a long field", "HTTP/1.1 103\r\nA: " + long + "\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 200, "OK", nil},
		{"1xx with a field as long as the buffer", "HTTP/1.1 103\r\n" + long[:4096] + "\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 200, "OK", nil},
		{"1xx with a reason as long as the buffer", "HTTP/1.1 103 " + long[:4083] + "\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 200, "OK", nil},

		{"nothing", "", 0, "", io.EOF},
		{"an end in the protocol", "HTT", 0, "", NotHTTP("HTT")},
		{"an end in the version", "HTTP/1.", 0, "", NotHTTP("HTTP/1.")},
		{"an end in the status", "HTTP/1.1 20", 0, "", NotHTTP("HTTP/1.1 20")},
		{"an end after 1xx", proceed, 0, "", io.EOF},
		{"an end in the header of 1xx", "HTTP/1.1 100 Continue\r\nA: b\r\n", 0, "", io.EOF},
		{"an end in the line of 1xx", "HTTP/1.1 100 Cont", 0, "", io.EOF},
		{"a banner", "220 mail ready\r\n", 0, "", NotHTTP("220 mail ready")},
		{"several lines", "SSH-2.0-x\r\n\x00\x01more", 0, "", NotHTTP("SSH-2.0-x    more")},
		{"in lower case", "http/1.1 200 OK\r\n\r\n", 0, "", NotHTTP("http/1.1 200 OK")},
		{"an empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", 0, "", NotHTTP("HTTP/1.1 200 OK")},
		{"a status too short", "HTTP/1.1 99 x\r\n\r\n", 0, "", NotHTTP("HTTP/1.1 99 x")},
		{"a status too long", "HTTP/1.1 2000 x\r\n\r\n", 0, "", NotHTTP("HTTP/1.1 2000 x")},
		{"a status below 100", "HTTP/1.1 020 x\r\n\r\n", 0, "", NotHTTP("HTTP/1.1 020 x")},
		{"a status with a sign", "HTTP/1.1 +20 x\r\n\r\n", 0, "", NotHTTP("HTTP/1.1 +20 x")},
		{"no status", "HTTP/1.1 \r\n\r\n", 0, "", NotHTTP("HTTP/1.1")},
		{"no HTTP after 1xx", proceed + "+PONG\r\n", 0, "", NotHTTP("+PONG")},
		{"a binary answer", "\x15\x03\x01\x00\x02\x02", 0, "", NotHTTP("")},

		{"control characters in the reason", "HTTP/1.1 500 a\x1b[31mb\tc\x7f\r\n\r\n", 500, "a [31mb c", nil},
		{"no UTF-8 in the reason", "HTTP/1.1 500 a\xff\xfeb\r\n\r\n", 500, "a  b", nil},
		{"characters that do not print", "HTTP/1.1 500 a\u202eb\u00a0c\r\n\r\n", 500, "a b c", nil},
		{"characters of many bytes", "HTTP/1.1 500 " + strings.Repeat("ü", 99) + "\r\n\r\n", 500, strings.Repeat("ü", 60), nil},
	} {
		for step, r := range map[string]io.Reader{
			"": strings.NewReader(tt.says), " in bytes": iotest.OneByteReader(strings.NewReader(tt.says)),
			" with the end": iotest.DataErrReader(strings.NewReader(tt.says)),
		} {
			a, err := Get(&talk{r: r}, "/", "h", "a")
			if !errors.Is(err, tt.err) && !(step == " in bytes" && errors.As(err, new(NotHTTP)) && errors.As(tt.err, new(NotHTTP))) {
				t.Errorf("%s%s: %v, want %v", tt.name, step, err, tt.err)
			}
			if (a == nil) != (tt.err != nil) || a != nil && *a != (Answer{Status: tt.status, Text: tt.text}) {
				t.Errorf("%s%s: %+v, want %d %q", tt.name, step, a, tt.status, tt.text)
			}
		}
	}
}

// TestGetAsks holds the request, byte for byte.
func TestGetAsks(t *testing.T) {
	c := &talk{r: strings.NewReader("HTTP/1.1 200 OK\r\n\r\n")}
	if _, err := Get(c, "/live?deep=1", "localhost:8080", "lping/1"); err != nil {
		t.Fatal(err)
	}
	want := "GET /live?deep=1 HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: lping/1\r\nConnection: close\r\n\r\n"
	if got := c.asked.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestGetEndless: what a service says is read to a bound, and then the answer is that it has no end.
func TestGetEndless(t *testing.T) {
	noEnd := NotHTTP("a header without an end")
	for _, tt := range []struct {
		name, start, text string
		want              error
	}{
		{"a field", "HTTP/1.1 100 Continue\r\nA: ", "x", noEnd},
		{"fields", "HTTP/1.1 100 Continue\r\n", "A: b\r\n", noEnd},
		{"1xx", "", "HTTP/1.1 100 Continue\r\n\r\n", noEnd},
		{"1xx, another length", "", "HTTP/1.1 100 Continue!\r\n\r\n", noEnd},
		{"a status that is none", "", "HTTP/", noEnd},
		{"no HTTP", "", "no ", NotHTTP(strings.Repeat("no ", 20)[:59])},
		{"the reason of 1xx", "HTTP/1.1 100 ", "x", noEnd},
		{"the reason", "HTTP/1.1 200 ", "x", nil},
	} {
		c := &talk{r: io.MultiReader(strings.NewReader(tt.start), &endless{text: tt.text})}
		if _, err := Get(c, "/", "h", "a"); err != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if c.read > maxResponse {
			t.Errorf("%s: %d bytes were read, want at most %d", tt.name, c.read, maxResponse)
		}
	}
}

// TestGetFails: an error of the connection is that error, whatever came before it, unless the status was there.
func TestGetFails(t *testing.T) {
	for _, says := range []string{"", "H", "HTTP/1.1 5", "HTTP/1.1 100 Continue\r\nA:", "HTTP/1.1 100 Continue\r\n\r\n"} {
		for _, want := range []error{syscall.ECONNRESET, os.ErrDeadlineExceeded} {
			a, err := Get(&talk{r: io.MultiReader(strings.NewReader(says), iotest.ErrReader(want))}, "/", "h", "a")
			if err != want || a != nil {
				t.Errorf("%q: %+v, %v; want %v", says, a, err, want)
			}
		}
	}
	a, err := Get(&talk{r: io.MultiReader(strings.NewReader("HTTP/1.1 200 OK\r\n"), iotest.ErrReader(syscall.ECONNRESET))}, "/", "h", "a")
	if err != nil || a.Status != 200 {
		t.Errorf("a reset after the status: %+v, %v", a, err)
	}
	if _, err := Get(unwritable{}, "/", "h", "a"); err != syscall.EPIPE {
		t.Errorf("a connection that takes nothing: %v", err)
	}
}

// unwritable is a connection that takes no request.
type unwritable struct{ net.Conn }

func (unwritable) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestNotHTTP(t *testing.T) {
	err := error(NotHTTP("220 hello"))
	if !errors.Is(err, syscall.EPROTO) || err.Error() != "no HTTP: 220 hello" {
		t.Errorf("%v", err)
	}
}

func TestWrong(t *testing.T) {
	for _, tt := range []struct {
		a    *Answer
		want bool
	}{
		{nil, false}, {&Answer{}, false}, {&Answer{Reset: true}, false}, {&Answer{Text: "x"}, false},
		{&Answer{Status: 199}, true}, {&Answer{Status: 200}, false}, {&Answer{Status: 399}, false}, {&Answer{Status: 400}, true},
		{&Answer{Status: 503}, true}, {&Answer{Status: 999}, true},
	} {
		if got := tt.a.Wrong(); got != tt.want {
			t.Errorf("%+v: got %v", tt.a, got)
		}
	}
}

// FuzzGet: whatever a service says and in steps of whatever size, it is read to a bound; a status has three digits and is
// final, and what is kept of the text prints. A response that package net/http takes for one has the same status here.
func FuzzGet(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 503 \xff\x1b\r\n\r\n", "HTTP/1.1 204\n\n",
		"220 hello\r\n", "HTTP/", "", strings.Repeat("HTTP/1.1 100 x\r\n\r\n", 300), "HTTP/1.1 103 " + strings.Repeat("y", 4083) + "\r\n\r\n",
	} {
		f.Add([]byte(s), uint16(1))
		f.Add([]byte(s), uint16(1<<12))
	}
	f.Fuzz(func(t *testing.T, says []byte, step uint16) {
		c := &talk{r: inSteps{bytes.NewReader(says), 1 + int(step)}}
		a, err := Get(c, "/", "h", "a")
		if c.read > maxResponse {
			t.Errorf("%d bytes were read", c.read)
		}
		if (a == nil) == (err == nil) {
			t.Fatalf("%+v, %v", a, err)
		}
		if err != nil {
			var no NotHTTP
			if !errors.As(err, &no) && err != io.EOF {
				t.Errorf("%v", err)
			}
			checkPrintable(t, string(no))
		} else {
			if a.Status < 200 || a.Status > 999 || a.Reset {
				t.Errorf("%+v", a)
			}
			checkPrintable(t, a.Text)
		}
		r, failed := http.ReadResponse(bufio.NewReader(bytes.NewReader(says)), nil)
		if failed == nil && r.StatusCode >= 200 && len(says) < 4096 && (a == nil || a.Status != r.StatusCode) {
			t.Errorf("net/http reads the status %d, got %+v, %v", r.StatusCode, a, err)
		}
	})
}

// inSteps reads so many bytes at a time.
type inSteps struct {
	r    io.Reader
	step int
}

func (s inSteps) Read(b []byte) (int, error) { return s.r.Read(b[:min(len(b), s.step)]) }

func checkPrintable(t *testing.T, s string) {
	t.Helper()
	if utf8.RuneCountInString(s) > maxSaid || !utf8.ValidString(s) || strings.TrimSpace(s) != s {
		t.Errorf("%q: want at most %d characters of UTF-8 without space around them", s, maxSaid)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			t.Errorf("%q holds %U, which does not print", s, r)
		}
	}
}
