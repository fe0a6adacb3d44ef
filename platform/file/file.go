// Package file writes a file whole or not at all.
package file

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// What may be wrong with the place of a file.
var (
	ErrNotRegular = errors.New("is there and is no regular file")
	errLinks      = errors.New("too many links")
)

// maxLinks is how many links to follow to a file, as the kernel does (path_resolution(7)).
const maxLinks = 40

// File gets its name only when it is whole, so that whoever reads it sees the old file or the new one. From the first write
// until then it has another name in the same directory, which no pattern for files of its kind matches.
type File struct {
	path string
	// old is what is in its place; nil if nothing is.
	old fs.FileInfo
	// beside is the file under its other name; nil before the first write, and after Commit and Discard.
	beside *os.File
}

// Create prepares a file that Commit will put in the place of path, and tries whether it can be made there. What is in that
// place must be a regular file. If it is a link, the file that it leads to is meant. Errors about the place are of type
// *fs.PathError with the operation "write".
func Create(path string) (*File, error) {
	path, err := follow(path)
	if err != nil {
		return nil, err
	}
	f := &File{path: path}
	if f.old, err = os.Lstat(path); err == nil && !f.old.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "write", Path: path, Err: ErrNotRegular}
	} else if err != nil {
		f.old = nil
	}
	if err := f.create(); err != nil {
		return nil, err
	}
	f.Discard()
	return f, nil
}

// follow is the path that links lead to, whether or not a file is there. The link of a descriptor in /proc is refused: no
// file can be put in the place that it leads to.
func follow(name string) (string, error) {
	path := name
	for range maxLinks {
		target, err := os.Readlink(path)
		if err != nil {
			return path, nil
		}
		dir, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(dir, "/proc/") {
			return "", &fs.PathError{Op: "write", Path: name, Err: ErrNotRegular}
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(dir, target)
		}
		path = target
	}
	return "", &fs.PathError{Op: "write", Path: name, Err: errLinks}
}

// create makes the file under its other name. It gets the mode of the old one, and the owner as far as this process may
// give it away.
func (f *File) create() error {
	name := ".lping." + strconv.FormatUint(rand.Uint64(), 36) + ".tmp"
	name = filepath.Join(filepath.Dir(f.path), name)
	beside, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666) // less the umask
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: "write", Path: f.path, Err: e.Err}
	} else if err != nil {
		return err
	}
	if f.beside = beside; f.old != nil {
		_ = beside.Chmod(f.old.Mode().Perm()) // which not every file system knows; while the file is still ours
		keepOwner(beside, f.old)
	}
	return nil
}

// Write writes to the file under its other name.
func (f *File) Write(b []byte) (int, error) {
	if f.beside == nil {
		if err := f.create(); err != nil {
			return 0, err
		}
	}
	return f.beside.Write(b)
}

// Commit gives the file its name.
func (f *File) Commit() error {
	if _, err := f.Write(nil); err != nil { // makes the file, if nothing was written
		return err
	}
	err := f.beside.Close()
	if err == nil {
		err = os.Rename(f.beside.Name(), f.path)
	}
	if err != nil {
		os.Remove(f.beside.Name())
	}
	f.beside = nil
	return err
}

// Discard removes what was written since the last Commit, if anything was.
func (f *File) Discard() {
	if f.beside == nil {
		return
	}
	f.beside.Close()
	os.Remove(f.beside.Name())
	f.beside = nil
}
