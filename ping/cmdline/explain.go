package cmdline

import (
	"slices"
	"strings"
)

// Codes are those that explain is asked for, of all that there are; none is a question for the list. The error is about an
// option, or about a code that is unknown.
func (in *Input) Codes(all []string) (codes []string, err error) {
	if err := in.takesOnly(nil, "lping explain [CODE ...]"); err != nil {
		return nil, err
	}
	for _, o := range in.operands {
		if !slices.Contains(all, o.word) {
			return nil, &Error{"explain: " + show(o.word) + " is no code", codeHint(all, o.word)}
		}
		codes = append(codes, o.word)
	}
	return codes, nil
}

// codeHint is the hint for an unknown code: the nearest one, those that hold the word, or the list.
func codeHint(all []string, word string) string {
	word = strings.ReplaceAll(strings.ToLower(word), "-", "_")
	found := slices.DeleteFunc(slices.Clone(all), func(code string) bool { return !strings.Contains(code, word) })
	switch best := nearest(all, word); {
	case best != "":
		return "did you mean " + best + "?"
	case word != "" && len(found) > 0 && len(found) < len(all)/2:
		return "did you mean " + strings.Join(found, " or ") + "?"
	}
	return "lping explain lists the codes"
}
