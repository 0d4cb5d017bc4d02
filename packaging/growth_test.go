package packaging

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"fnb/internal/growth"
)

// TestGrowth matches paths with patterns that attackers would write: the time grows with
// the length of an ignore file.
func TestGrowth(t *testing.T) {
	deep := strings.Repeat("aaaa/", 60) + "a"
	var readers []growth.Reader
	for _, line := range []string{"**/a#\n", "**/*a*/**/*a*/**/x\n", "*a*a*a*a*a*a*x\n", "a/**/**/**/**/**/b\n", "!**/a*x\n", "[a-z][a-z]*\n", "\\a\n", "a?a?a?a?\n", "a/b/c/d/e/f#\n"} {
		readers = append(readers, growth.Reader{Name: fmt.Sprintf("%q", line), Size: maxPatterns - 10, Begin: func(size int) func() {
			var b strings.Builder
			for n := range size {
				b.WriteString(strings.ReplaceAll(line, "#", fmt.Sprint(n)))
			}
			fsys := fstest.MapFS{ignoreFile: {Data: []byte(b.String())}}
			return func() {
				m, err := newMatcher(fsys, ignoreFile)
				if err != nil {
					t.Error(err)
					return
				}
				for _, path := range []string{"a", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", deep} {
					if _, err := m.skip(path, true); err != nil {
						t.Error(err)
					}
				}
			}
		}})
	}
	// One pattern, as long as it may be.
	for _, part := range []string{"*a", "**/", "a?", "[a-z]"} {
		readers = append(readers, growth.Reader{Name: "one of " + part, Size: maxPattern - 10, Begin: func(size int) func() {
			fsys := fstest.MapFS{ignoreFile: {Data: []byte(strings.Repeat(part, size/len(part)) + "x")}}
			return func() {
				m, err := newMatcher(fsys, ignoreFile)
				if err == nil {
					_, err = m.skip(deep, true)
				}
				if err != nil {
					t.Error(err)
				}
			}
		}})
	}
	growth.Check(t, readers...)
}

// A handler of many deep folders ends in an error, not in hours.
func TestIgnoreStepsAreBounded(t *testing.T) {
	t.Parallel()
	m, err := newMatcher(fstest.MapFS{ignoreFile: {Data: []byte("a\n!b\n")}}, ignoreFile)
	if err != nil {
		t.Fatal(err)
	}
	m.steps = 9 // two for each of the folders x, x/y, x/y/z and the file, once
	if _, err := m.skip("x/y/z/f", false); err != nil {
		t.Error(err)
	}
	if _, err := m.skip("x/y/z/g", false); !errors.Is(err, errTooManySteps) {
		t.Errorf("%v", err)
	}
}

// TestIgnoreIsBounded has ignore files that are larger than any is.
func TestIgnoreIsBounded(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		strings.Repeat("a\n", maxPatterns+1):            "more than 1000 patterns",
		strings.Repeat("a", maxPattern+1):               "a pattern of more than 1000 bytes",
		strings.Repeat("#\n", maxIgnoreFile/2) + "a":    "more than 1048576 bytes",
		"a\n" + strings.Repeat("*a", maxPattern) + "\n": "a pattern of more than 1000 bytes",
	} {
		_, err := newMatcher(fstest.MapFS{ignoreFile: {Data: []byte(text)}}, ignoreFile)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}
