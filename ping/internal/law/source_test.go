package law

import (
	"go/ast"
	"go/build"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	// module is the import path of this module. Its packages are named by what follows it.
	module = "lping"
	// root is the module's directory.
	root = "../../.."
)

// source is one parsed Go file of this module.
type source struct {
	path string // from the top level, with slashes
	pkg  string // its directory, "." for the command
	test bool
	fset *token.FileSet
	file *ast.File
}

// sources are all Go files that the go command would look at, whatever system they are for.
func sources(t *testing.T) []source {
	t.Helper()
	list, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

var parsed = sync.OnceValues(func() (list []source, err error) {
	fset := token.NewFileSet()
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(entry.Name(), ".") || strings.HasPrefix(entry.Name(), "_")
		if name != root && hidden || entry.Name() == "testdata" {
			return skip(entry)
		}
		if entry.IsDir() || filepath.Ext(name) != ".go" {
			return nil
		}
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		name, err = filepath.Rel(root, name)
		name = filepath.ToSlash(name)
		test := strings.HasSuffix(name, "_test.go")
		list = append(list, source{path: name, pkg: path.Dir(name), test: test, fset: fset, file: file})
		return err
	})
	return list, err
})

func skip(entry fs.DirEntry) error {
	if entry.IsDir() {
		return fs.SkipDir
	}
	return nil
}

func (s source) line(pos token.Pos) int { return s.fset.Position(pos).Line }

// imports reports whether the file imports a module or a package of it.
func (s source) imports(name string) bool {
	return slices.ContainsFunc(s.file.Imports, func(spec *ast.ImportSpec) bool {
		return inTrees(importPath(spec), []string{name})
	})
}

// constrained reports whether a //go:build line or the file's name keeps the file from some systems.
func (s source) constrained(t *testing.T) bool {
	t.Helper()
	for _, group := range s.file.Comments {
		for _, comment := range group.List {
			if comment.Pos() < s.file.Package && constraint.IsGoBuild(comment.Text) {
				return true
			}
		}
	}
	return !s.isFor(t, "none") // without a line, it is left out there for its name
}

// isFor reports whether the file is built for a system.
func (s source) isFor(t *testing.T, goos string) bool {
	t.Helper()
	system := build.Default
	system.GOOS, system.GOARCH = goos, "amd64"
	match, err := system.MatchFile(filepath.Join(root, s.pkg), path.Base(s.path))
	if err != nil {
		t.Fatal(err)
	}
	return match
}

func importPath(spec *ast.ImportSpec) string {
	// The parser let only valid string literals through.
	value, _ := strconv.Unquote(spec.Path.Value)
	return value
}

func localName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	return path.Base(importPath(spec))
}

func inTrees(name string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		return name == root || strings.HasPrefix(name, root+"/")
	})
}
