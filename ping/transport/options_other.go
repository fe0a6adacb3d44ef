//go:build !linux && !windows

package transport

import (
	"errors"
	"fmt"
)

// setPath sets the path-MTU mode and the interface.
func setPath(_ int, c Config) error {
	switch {
	case c.PathMTU != PathMTUDefault:
		return fmt.Errorf("path-MTU mode: %w on this system", errors.ErrUnsupported)
	case c.Interface != "":
		return fmt.Errorf("choosing an interface: %w on this system", errors.ErrUnsupported)
	}
	return nil
}
