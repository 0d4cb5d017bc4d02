package words_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"fnb/schema/words"
)

// TestModes compares the modes with the watchdog's own, which imports no other room.
func TestModes(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "../../cmd/fwatchdog/config.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	own := []string{words.ModeInProcess} // which no image of fnb has
	ast.Inspect(file, func(n ast.Node) bool {
		c, ok := n.(*ast.ValueSpec)
		if !ok || len(c.Names) != 1 || len(c.Values) != 1 || !strings.HasPrefix(c.Names[0].Name, "mode") {
			return true
		}
		if lit, ok := c.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
			word, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			own = append(own, word)
		}
		return true
	})
	got := words.Modes()
	slices.Sort(own)
	slices.Sort(got)
	if !slices.Equal(got, own) {
		t.Errorf("a template may name %v; the watchdog has %v", got, own)
	}
}
