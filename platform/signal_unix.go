//go:build unix && !(darwin || dragonfly || freebsd || netbsd || openbsd)

package platform

import (
	"os"
	"syscall"
)

// StatusSignals are the signals by which users ask a program how far it is.
func StatusSignals() []os.Signal { return []os.Signal{syscall.SIGQUIT} }
