package store

import (
	"strings"
	"testing"

	"fnb/schema"
)

// Each name is one that a stack can write, once, with a repository.
func TestOpenFaaSNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for line := range strings.Lines(openFaaSNames) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, _, _ := strings.Cut(line, " ")
		ref, err := schema.ParseTemplateRef(name)
		if err != nil || ref.Kind != schema.RefName || seen[name] {
			t.Errorf("%q: %v", line, err)
		}
		seen[name] = true
		if at, err := schema.ParseTemplateRef(OpenFaaSRepository(name)); err != nil || at.Kind != schema.RefGit {
			t.Errorf("%q: %v", line, err)
		}
	}
	if len(seen) < 50 || !seen["golang-middleware"] || !seen["python3-http"] || !seen["node22"] {
		t.Errorf("%d names", len(seen))
	}
	if !strings.Contains(openFaaSNames, openFaaSDate) {
		t.Errorf("the list is not of %s", openFaaSDate)
	}
	if got := OpenFaaSRepository("golang"); got != "" {
		t.Errorf("a part of a name is found: %s", got)
	}
}

// A template of OpenFaaS's is found for its own stacks only.
func TestOpenFaaSOnly(t *testing.T) {
	t.Parallel()
	s, err := New(Options{CacheDir: t.TempDir(), Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	_, _, notes, err := s.Resolve(t.Context(), "golang-http", Where{Root: t.TempDir(), OpenFaaS: true})
	if !is[*OfflineError](err) || !strings.Contains(strings.Join(notes, "\n"), "https://github.com/openfaas/golang-http-template") {
		t.Errorf("%v, noted %q", err, notes)
	}
	_, _, _, err = s.Resolve(t.Context(), "golang-http", Where{Root: t.TempDir()})
	if !is[*NotFoundError](err) {
		t.Errorf("%v", err)
	}
}
