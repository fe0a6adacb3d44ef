// Package terminal tells what a terminal can do, and hears its keys.
package terminal

import (
	"cmp"
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/term"
)

// descriptor is what a file has, and what stands for one.
type descriptor interface{ Fd() uintptr }

// Is says whether w is a terminal.
func Is(w io.Writer) bool {
	f, ok := w.(descriptor)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Size tells how many columns and lines a terminal has whenever it is called; 80 and 24 if the terminal does not say.
func Size(w io.Writer) func() (width, height int) {
	f, ok := w.(descriptor)
	return func() (int, int) {
		if ok {
			if width, height, err := term.GetSize(int(f.Fd())); err == nil && width > 0 && height > 0 {
				return width, height
			}
		}
		return 80, 24
	}
}

// Colors says whether to write in colour: always, never, or else on a terminal that has colours, unless NO_COLOR is set
// (no-color.org).
func Colors(w io.Writer, when string) bool {
	if when == "always" || when == "never" {
		return when == "always"
	}
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && Is(w)
}

// Unicode says whether the locale shows more than ASCII (locale(7)): on Windows and macOS it always does.
func Unicode() bool {
	locale := strings.ToLower(cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_CTYPE"), os.Getenv("LANG")))
	return runtime.GOOS == "windows" || runtime.GOOS == "darwin" || strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
}

// controlC is the key that a terminal turns into SIGINT, unless it is in raw mode.
const controlC = 3

// OnQuit calls quit at a q or ^C on the terminal in, until restore is called, which must be: meanwhile the terminal neither shows
// nor interprets keys. If in is no terminal nothing happens.
func OnQuit(in *os.File, quit func()) (restore func()) {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return func() {}
	}
	go func() {
		key := make([]byte, 1)
		for {
			n, err := in.Read(key)
			if err != nil {
				return
			}
			if n == 1 && (key[0] == 'q' || key[0] == controlC) {
				quit()
			}
		}
	}()
	return func() { _ = term.Restore(int(in.Fd()), before) } // a terminal that is gone needs no more
}
