package law

import (
	"go/ast"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// topLevel is what may stand beside the dotfiles in the module's directory.
var topLevel = []string{
	"LICENSE", "README.md", "go.mod", "go.sum", "main.go", "ping", "ping_test.go", "platform", "stats",
}

// constrained are the trees whose files may be meant for some systems only, and testConstrained those of tests.
var (
	constrained     = []string{"ping/transport", "platform"}
	testConstrained = []string{"ping", "platform"}
)

// Limits of what has to be read at once. None is for tests.
const (
	maxFunctionLines = 60 // from "func" to the closing brace
	maxFileLines     = 400
	maxFiles         = 15 // of a package, for one system
)

// tables are files that hold a table, which may have as many lines as it has rows.
var tables = []string{}

func TestTopLevel(t *testing.T) {
	names := trackedNames(t)
	if len(names) == 0 {
		names = namesOnDisk(t)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, ".") && !slices.Contains(topLevel, name) {
			t.Errorf("%s stands at the top level, which holds only %s and dotfiles", name, strings.Join(topLevel, ", "))
		}
	}
}

func TestConstraints(t *testing.T) {
	for _, src := range sources(t) {
		trees := constrained
		if src.test {
			trees = testConstrained
		}
		if !inTrees(src.path, trees) && src.constrained(t) {
			t.Errorf("%s has a build constraint: only %s may", src.path, strings.Join(trees, " and "))
		}
	}
}

func TestFunctionLength(t *testing.T) {
	for _, src := range sources(t) {
		if src.test {
			continue
		}
		ast.Inspect(src.file, func(n ast.Node) bool {
			switch n.(type) {
			case *ast.FuncDecl, *ast.FuncLit:
				first, last := src.line(n.Pos()), src.line(n.End())
				if lines := last - first + 1; lines > maxFunctionLines {
					t.Errorf("%s:%d: function of %d lines; want at most %d", src.path, first, lines, maxFunctionLines)
				}
			}
			return true
		})
	}
}

func TestFileLength(t *testing.T) {
	for _, src := range sources(t) {
		lines := src.fset.File(src.file.FileStart).LineCount()
		if !src.test && lines > maxFileLines && !slices.Contains(tables, src.path) {
			t.Errorf("%s has %d lines; want at most %d", src.path, lines, maxFileLines)
		}
	}
}

func TestPackageSize(t *testing.T) {
	for _, goos := range []string{"linux", "darwin", "windows"} {
		files := map[string]int{}
		for _, src := range sources(t) {
			if !src.test && src.isFor(t, goos) {
				files[src.pkg]++
			}
		}
		for pkg, n := range files {
			if n > maxFiles {
				t.Errorf("package %s has %d files for %s; want at most %d", pkg, n, goos, maxFiles)
			}
		}
	}
}

// trackedNames returns the first path elements that git tracks, or none if git or its repository is missing.
func trackedNames(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("git", "-C", root, "ls-files", "-z").Output()
	if err != nil {
		t.Logf("git ls-files: %v; listing the directory", err)
		return nil
	}
	var names []string
	for file := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		name, _, _ := strings.Cut(file, "/")
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// namesOnDisk returns what the directory holds, without what .gitignore calls build output.
func namesOnDisk(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	ignore, err := os.ReadFile(root + "/.gitignore")
	if err != nil {
		t.Logf("%v; nothing is taken for build output", err)
	}
	patterns := strings.Fields(string(ignore))
	var names []string
	for _, entry := range entries {
		ignored := slices.ContainsFunc(patterns, func(pattern string) bool {
			ok, _ := path.Match(strings.TrimPrefix(pattern, "/"), entry.Name())
			return ok
		})
		if !ignored {
			names = append(names, entry.Name())
		}
	}
	return names
}
