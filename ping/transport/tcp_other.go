//go:build !linux || portable

package transport

import "syscall"

// Spare knows nothing of descriptors.
func Spare(int) error { return nil }

// reporter knows no more than connect says.
type reporter struct{}

func (r *reporter) prepare(syscall.RawConn, bool) {}

func (r *reporter) explain(f Fault) Fault { return f }

func (r *reporter) close() {}

// bindable is an error if the target's address is not one of this host.
func bindable(c Config) error { return onThisHost(c) }
