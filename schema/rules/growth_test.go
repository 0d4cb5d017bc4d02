package rules

import (
	"strings"
	"testing"

	"fnb/internal/growth"
	"fnb/schema/document"
)

// TestGrowth reads policies of repositories that mean harm: the time grows with their length.
func TestGrowth(t *testing.T) {
	var readers []growth.Reader
	for _, c := range []struct{ what, before, part, after string }{
		{"allow", "bases: {allow: [a", ", a#", "]}\n"},
		{"allow and deny", "bases:\n  deny: ['**a*b', '*x*y*z']\n  allow: [a", ", a#", "]\n"},
		{"deny and allow", "bases:\n  allow: [aaaa, bbbb]\n  deny: [x", ", '*#*a*b*'", "]\n"},
		{"signers", "images:\n  signed-by: [a", ", b#", "]\n"},
		{"patterns of signers", "images:\n  signed-by:\n    a: b\n", "    a#: b\n", ""},
		{"keys", "mode: warn\n", "x#: 1\n", ""},
		{"a pattern", "bases: {allow: ['", "*a", "']}\n"},
	} {
		readers = append(readers, growth.Reader{Name: c.what, Size: document.MaxBytes - 1000, Begin: func(size int) func() {
			data := []byte(c.before + growth.Numbered(c.part, size-len(c.before)-len(c.after)-len(c.part)) + c.after)
			return func() { _, _ = Parse("policy.yaml", data) }
		}})
	}
	// As many patterns as there may be, each as long and as bad as it may be.
	readers = append(readers, growth.Reader{Name: "as many and as long", Size: maxPatterns, Begin: func(size int) func() {
		long := strings.Repeat("*a", maxPattern/2)
		list := strings.Repeat(", '"+long+"'", size)[2:]
		data := []byte("bases:\n  allow: [" + strings.ReplaceAll(list, "*", "a") + "]\n  deny: [" + strings.ReplaceAll(list, long, long[1:]+"b") + "]\n")
		if len(data) > document.MaxBytes {
			data = data[:document.MaxBytes]
		}
		return func() { _, _ = Parse("policy.yaml", data) }
	}})
	for _, part := range []string{"*a", "**", "a", "*", "a/"} {
		readers = append(readers, growth.Reader{Name: "a match of " + part, Size: 100_000, Begin: func(size int) func() {
			text := strings.Repeat("a/", size/2)
			pattern := strings.Repeat(part, maxPattern/len(part))
			return func() { Matches(pattern, text) }
		}})
	}
	growth.Check(t, readers...)
}
