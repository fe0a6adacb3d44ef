//go:build !unix

package platform

import "os"

// StatusSignals are the signals by which users ask a program how far it is.
func StatusSignals() []os.Signal { return nil }
