package lazyregexp

import "testing"

// An expression is itself wherever it is used first; one that cannot be compiled is found by any test of its package.
func TestNew(t *testing.T) {
	word := New(`(?m)^(\w+)=(\w*)$`)
	if !word.MatchString("a=b") || word.Match([]byte("-=b")) {
		t.Error("MatchString and Match differ from regexp's")
	}
	if got := word.ReplaceAllString("a=b\nc=d", "$2"); got != "b\nd" {
		t.Errorf("ReplaceAllString gives %q", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("nothing is said of an expression that cannot be compiled")
		}
	}()
	New("(")
}
