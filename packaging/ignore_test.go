package packaging

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestTemplatesIgnoreFile(t *testing.T) {
	t.Parallel()
	tpl := template(t, map[string]string{
		"template.yml":  "fprocess: x\n",
		"Dockerfile":    "FROM a:1\n",
		".dockerignore": "*\n!function\n!index.js\nfunction/node_modules\n",
		"index.js":      "i", "notes.txt": "n", "function/package.json": "{}",
	})
	root := files(t, map[string]string{"hello/node_modules/a": "x", "hello/handler.js": "h"})
	got := assemble(t, Input{Function: function(), Template: tpl, Root: root})
	want := map[string]string{"Dockerfile": "FROM a:1\n", "index.js": "i", "function/handler.js": "h", "function/package.json": "{}"}
	if diff := cmp.Diff(want, contents(t, got.FS)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func FuzzIgnore(f *testing.F) {
	for _, seed := range []string{"*\n!a/b", "**/x\n!**/a", "a/\n!a/b/c", "a/b\n!a/*/c", "/a\n!/a/b", "a?\n!a[b-c]/x", "!a"} {
		f.Add(seed)
	}
	paths := []string{"a", "a/b", "a/b/c", "a/x", "ab/x", "b", "b/a", "b/a/x"}
	f.Fuzz(func(t *testing.T, patterns string) {
		m, err := newMatcher(fstest.MapFS{ignoreFile: {Data: []byte(patterns)}}, ignoreFile)
		if err != nil || m == nil {
			return
		}
		for _, p := range paths {
			whole, err := m.patterns.MatchesOrParentMatches(p)
			if err != nil {
				return
			}
			// Whether a file is left out does not depend on the folders above
			// it being skipped before it is looked at.
			skipped := false
			for i := range p {
				if p[i] != '/' {
					continue
				}
				above, err := m.skip(p[:i], true)
				if err != nil {
					return
				}
				skipped = skipped || above
			}
			if skipped && !whole {
				t.Errorf("%q: %s is not ignored, but a folder above it is skipped", patterns, p)
			}
		}
	})
}
