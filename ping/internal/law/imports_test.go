// Package law holds what is true of all the code of lping: which package may import which, what stands where, and how long a
// function may be. It reads the sources of every system, of which go list would see only those of this one.
package law

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// importLaw says which of our packages each of our packages may import. "." is the command, "*" is all of them. Tests may
// import what they want: it is in no binary.
var importLaw = map[string][]string{
	".":                      {"*"},
	"ping":                   {"ping/transport", "ping/transport/service"},
	"ping/check":             {"ping", "ping/report", "stats", "platform", "platform/diagnose", "platform/droptrace"},
	"ping/cmdline":           {"ping", "ping/report", "ping/serve", "stats", "platform"},
	"ping/doctor":            {"ping", "ping/check", "ping/report", "stats", "platform", "platform/diagnose"},
	"ping/report":            {"ping", "stats", "platform", "platform/diagnose"},
	"ping/serve":             {"platform"},
	"ping/transport":         {"ping/transport/service"},
	"ping/transport/service": nil,
	"platform":               {"platform/fact", "platform/netlink"},
	"platform/diagnose":      {"platform", "platform/droptrace"},
	"platform/droptrace":     nil,
	"platform/fact":          nil,
	"platform/file":          nil,
	"platform/netlink":       {"platform/fact"},
	"platform/output":        nil,
	"platform/startup":       nil,
	"platform/terminal":      nil,
	"stats":                  nil,
}

// mainOnly are the names that only main.go may use: they end the process, or they write to standard output although the
// function was given a writer.
var mainOnly = map[string][]string{
	"os":      {"Exit", "Stdout"},
	"syscall": {"Exit", "Stdout"},
	"fmt":     {"Print", "Printf", "Println"},
	"log":     {"Fatal", "Fatalf", "Fatalln"},
}

func TestImports(t *testing.T) {
	for _, src := range sources(t) {
		if src.pkg != "." && src.imports("github.com/urfave/cli") {
			t.Errorf("%s imports urfave/cli: only main may", src.path)
		}
		if src.test {
			continue
		}
		allowed, known := importLaw[src.pkg]
		if !known {
			t.Errorf("%s: package %s is not in the import law: add it to importLaw", src.path, src.pkg)
			continue
		}
		for _, spec := range src.file.Imports {
			target, ours := strings.CutPrefix(importPath(spec), module+"/")
			if ours && !slices.Contains(allowed, "*") && !slices.Contains(allowed, target) {
				t.Errorf("%s imports %s: package %s may import of ours: %q", src.path, target, src.pkg, allowed)
			}
		}
	}
}

func TestMainOnly(t *testing.T) {
	for _, src := range sources(t) {
		if src.test || src.path == "main.go" {
			continue
		}
		for _, spec := range src.file.Imports {
			from := importPath(spec)
			if names := mainOnly[from]; names != nil {
				reportUses(t, src, localName(spec), from, names)
			}
		}
	}
}

// reportUses reports every use of the named things of package from, which the file calls local.
func reportUses(t *testing.T, src source, local, from string, names []string) {
	t.Helper()
	if local == "." {
		t.Errorf("%s: dot import of %s hides what is used of it", src.path, from)
	}
	ast.Inspect(src.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok || !slices.Contains(names, sel.Sel.Name) {
			return true
		}
		// An identifier that the parser resolved is a variable that shadows the package.
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == local && x.Obj == nil {
			t.Errorf("%s:%d uses %s.%s: only main.go may", src.path, src.line(sel.Pos()), from, sel.Sel.Name)
		}
		return true
	})
}
