package law

import (
	"go/ast"
	"go/token"
	"strconv"
	"testing"
)

// diagnose is the package that has the codes of the findings, as constants of the type Code.
const diagnose = "platform/diagnose"

// word is a code that other things are called, too.
const word = "unknown"

// TestCodes holds that a code is spelled once: who means a finding says the constant.
func TestCodes(t *testing.T) {
	codes := map[string]string{}
	for _, src := range sources(t) {
		if src.pkg == diagnose && !src.test {
			collectCodes(src, codes)
		}
	}
	if len(codes) == 0 {
		t.Fatalf("%s has no constant of the type Code", diagnose)
	}
	delete(codes, word)
	for _, src := range sources(t) {
		if src.test {
			continue
		}
		ast.Inspect(src.file, func(n ast.Node) bool {
			if s, ok := n.(*ast.ValueSpec); ok && src.pkg == diagnose && isCode(s) {
				return false
			}
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			if text, _ := strconv.Unquote(lit.Value); codes[text] != "" {
				t.Errorf("%s:%d: the code %q as a literal; want diagnose.%s", src.path, src.line(lit.Pos()), text, codes[text])
			}
			return true
		})
	}
}

// collectCodes adds the names of the constants by their values.
func collectCodes(src source, codes map[string]string) {
	ast.Inspect(src.file, func(n ast.Node) bool {
		s, ok := n.(*ast.ValueSpec)
		if !ok || !isCode(s) {
			return true
		}
		for i, value := range s.Values {
			if lit, ok := value.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				text, _ := strconv.Unquote(lit.Value)
				codes[text] = s.Names[i].Name
			}
		}
		return false
	})
}

// isCode reports whether a constant is of the type Code.
func isCode(s *ast.ValueSpec) bool {
	name, ok := s.Type.(*ast.Ident)
	return ok && name.Name == "Code"
}
