package service

import (
	"bufio"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

const (
	// version is how a response begins.
	version = "HTTP/"
	// maxResponse bounds what is read of a response until its final status, in bytes.
	maxResponse = 64 << 10
	// maxSaid is how much of what a service says is kept, in characters.
	maxSaid = 60
)

// NotHTTP says that a service answers, and not by HTTP; its text is the start of what it said.
type NotHTTP string

func (e NotHTTP) Error() string { return "no HTTP: " + string(e) }

// Unwrap gives the nearest error number.
func (e NotHTTP) Unwrap() error { return syscall.EPROTO }

// Get asks for a path and reads the status of the response (RFC 9112). host and agent are the values of the fields Host and
// User-Agent. The error is one of the connection, or a NotHTTP.
func Get(socket net.Conn, path, host, agent string) (*Answer, error) {
	request := "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: " + agent + "\r\nConnection: close\r\n\r\n"
	if _, err := io.WriteString(socket, request); err != nil {
		return nil, err
	}
	response := &io.LimitedReader{R: socket, N: maxResponse}
	answer, err := readStatus(bufio.NewReader(response))
	if err != nil && response.N == 0 {
		err = NotHTTP("a header without an end")
	}
	return answer, err
}

// readStatus reads status lines until one is final. Those of 1xx are followed by others, after a header of their own.
func readStatus(r *bufio.Reader) (*Answer, error) {
	for {
		if start, err := r.Peek(len(version)); string(start) != version {
			if len(start) > 0 && (err == nil || err == io.EOF) {
				said, _ := r.Peek(r.Buffered())
				err = NotHTTP(Printable(string(said)))
			}
			return nil, err
		}
		line, err := readLine(r)
		if err != nil && err != io.EOF {
			return nil, err
		}
		a, ok := parseStatus(line)
		switch {
		case !ok:
			return nil, NotHTTP(Printable(line))
		case a.Status >= 200:
			return &a, nil
		}
		for line != "" {
			if line, err = readLine(r); err != nil {
				return nil, err
			}
		}
	}
}

// readLine reads a line without its end. Of one that is too long the start is kept.
func readLine(r *bufio.Reader) (string, error) {
	slice, err := r.ReadSlice('\n')
	line := strings.TrimRight(string(slice), "\r\n")
	for err == bufio.ErrBufferFull { // the rest of a line is no line
		_, err = r.ReadSlice('\n')
	}
	return line, err
}

// parseStatus reads a status line, such as "HTTP/1.1 200 OK". The reason may be missing.
func parseStatus(line string) (Answer, bool) {
	protocol, rest, _ := strings.Cut(line, " ")
	code, reason, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	n, err := strconv.ParseUint(code, 10, 16)
	if !strings.HasPrefix(protocol, version) || err != nil || len(code) != 3 || n < 100 {
		return Answer{}, false
	}
	return Answer{Status: int(n), Text: Printable(reason)}, true
}

// Printable is the start of what a service said, with spaces for what does not print.
func Printable(s string) string {
	var b []rune
	for _, r := range s {
		if len(b) == maxSaid {
			break
		}
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			r = ' '
		}
		b = append(b, r)
	}
	return strings.TrimSpace(string(b))
}
