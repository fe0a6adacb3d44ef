package report

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
)

var errNotRegular = errors.New("is there and is no regular file")

// File is an output that takes its name only when it is whole: whoever reads that file sees the old one or the new one.
// Until then it stands beside it, with a name that no pattern for the file's own kind matches.
type File struct {
	*os.File
	path string
}

// CreateFile starts a file that Commit will put in the place of path. What is there must be a regular file.
func CreateFile(path string) (*File, error) {
	mode := fs.FileMode(0o666) // less the umask
	info, err := os.Lstat(path)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return nil, err
		}
		info, err = os.Lstat(path)
	}
	switch {
	case err == nil && !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "write", Path: path, Err: errNotRegular}
	case err == nil:
		mode = info.Mode().Perm()
	}
	dir, base := filepath.Split(path)
	beside := filepath.Join(dir, "."+base+"."+strconv.FormatUint(rand.Uint64(), 36)+".tmp")
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return nil, err
	}
	return &File{f, path}, nil
}

// Commit puts the file in its place.
func (f *File) Commit() error {
	err := f.Close()
	if err == nil {
		err = os.Rename(f.Name(), f.path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// Discard forgets a file that was not committed.
func (f *File) Discard() {
	if f.Close() == nil { // else it was committed
		os.Remove(f.Name())
	}
}
