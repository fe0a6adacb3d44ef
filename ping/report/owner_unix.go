//go:build unix

package report

import (
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives a file to the owner and the group of another.
func keepOwner(f *os.File, old fs.FileInfo) error {
	if s, ok := old.Sys().(*syscall.Stat_t); ok {
		return f.Chown(int(s.Uid), int(s.Gid))
	}
	return nil
}
