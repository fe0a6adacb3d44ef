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

// What the place of an output may be.
var (
	ErrNotRegular = errors.New("is there and is no regular file")
	errLinks      = errors.New("too many links")
)

// maxLinks is how many links to follow to a file, as the kernel does (path_resolution(7)).
const maxLinks = 40

// File is an output that takes its name only when it is whole: whoever reads that file sees the old one or the new one.
// From the first write until then it stands beside it, with a name that no pattern for the file's own kind matches.
type File struct {
	path string
	// old is what is in its place; nil where nothing is.
	old fs.FileInfo
	// beside is nil before the first write, and after the file is done with.
	beside *os.File
}

// Create prepares a file that Commit will put in the place of path, and tries whether it can be made there. What is in that
// place must be a regular file; where it is a link, the file that it leads to is meant.
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

// follow is where links lead to, whether or not a file is there. A descriptor of a process has a link in /proc, but no place
// where another file could stand.
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

// create makes the file beside. Who may read and write it is as it was, and so is whose it is, as far as this process may
// give it away.
func (f *File) create() error {
	name := ".lping." + strconv.FormatUint(rand.Uint64(), 36) + ".tmp"
	beside, err := os.OpenFile(filepath.Join(filepath.Dir(f.path), name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666) // less the umask
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

// Write writes to the file beside.
func (f *File) Write(b []byte) (int, error) {
	if f.beside == nil {
		if err := f.create(); err != nil {
			return 0, err
		}
	}
	return f.beside.Write(b)
}

// Commit puts the file in its place.
func (f *File) Commit() error {
	if _, err := f.Write(nil); err != nil { // of an output without a word, too
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

// Discard forgets what was not committed.
func (f *File) Discard() {
	if f.beside == nil {
		return
	}
	f.beside.Close()
	os.Remove(f.beside.Name())
	f.beside = nil
}
