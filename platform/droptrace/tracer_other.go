//go:build !linux || portable

package droptrace

import "time"

// Tracer watches for drops. There is none on this system.
type Tracer struct{}

// Open returns ErrSystem.
func Open(string) (*Tracer, error) { return nil, ErrSystem }

// Drops has none to tell.
func (*Tracer) Drops() ([]Drop, error) { return nil, ErrSystem }

// Name has no names to tell.
func (*Tracer) Name([]Drop, time.Duration) error { return ErrSystem }

// Close has nothing to close.
func (*Tracer) Close() error { return nil }
