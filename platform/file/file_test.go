package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// put writes what a test has in the place before.
func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// holds holds what is in a directory: one file with this content.
func holds(t *testing.T, dir, name, content string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != name {
		t.Errorf("%s holds %v, %v, want %s alone", dir, entries, err, name)
	}
	if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != content {
		t.Errorf("%s holds %q, %v, want %q", name, b, err, content)
	}
}

func TestCommit(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	for _, content := range []string{"new", "newer", ""} {
		f, err := Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
		if err := f.Commit(); err != nil {
			t.Fatal(err)
		}
		f.Discard()
		holds(t, dir, "out", content)
	}
}

// TestDiscard holds that what was there stays if nothing is committed, and that nothing else does.
func TestDiscard(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	put(t, path, "old")
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	holds(t, dir, "out", "old") // before the first write nothing stands beside it
	if _, err := f.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	f.Discard()
	f.Discard()
	holds(t, dir, "out", "old")
}

func TestMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows knows no such modes")
	}
	path := filepath.Join(t.TempDir(), "out")
	put(t, path, "old")
	if err := os.Chmod(path, 0o604); err != nil {
		t.Fatal(err)
	}
	f, err := Create(path)
	if err == nil {
		err = f.Commit()
	}
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o604 {
		t.Errorf("got %v, %v, want mode 0604", info.Mode(), err)
	}
}

// TestLink holds that a link stays one, wherever it leads.
func TestLink(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	for _, target := range []string{filepath.Join(other, "out"), "round"} {
		if err := os.Symlink(target, filepath.Join(dir, filepath.Base(target))); err != nil {
			t.Skipf("this system makes no links for us: %v", err)
		}
	}
	f, err := Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("new")); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	holds(t, other, "out", "new")
	if _, err := os.Readlink(filepath.Join(dir, "out")); err != nil {
		t.Errorf("the link is gone: %v", err)
	}
	if f, err := Create(filepath.Join(dir, "round")); !errors.Is(err, errLinks) {
		t.Errorf("got %v, %v, want %v", f, err, errLinks)
	}
}

func TestCreateRefused(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]error{
		dir: ErrNotRegular, os.DevNull: ErrNotRegular, filepath.Join(dir, "nowhere", "out"): fs.ErrNotExist,
	} {
		f, err := Create(name)
		if p, ok := errors.AsType[*fs.PathError](err); !errors.Is(err, want) || !ok || p.Op != "write" || p.Path != name {
			t.Errorf("%s: got %v, %v, want %v", name, f, err, want)
		}
	}
}
