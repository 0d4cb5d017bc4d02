package store_test

import (
	"strings"
	"testing"

	"fnb/internal/fixture"
	"fnb/schema"
	"fnb/store"
)

// Each name is one that a stack can write, once, with a repository.
func TestOpenFaaSNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for line := range strings.Lines(store.OpenFaaSNames()) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, _, _ := strings.Cut(line, " ")
		ref, err := schema.ParseTemplateRef(name)
		if err != nil || ref.Kind != schema.RefName || seen[name] {
			t.Errorf("%q: %v", line, err)
		}
		seen[name] = true
		if at, err := schema.ParseTemplateRef(store.OpenFaaSRepository(name)); err != nil || at.Kind != schema.RefGit {
			t.Errorf("%q: %v", line, err)
		}
	}
	if len(seen) < 50 || !seen["golang-middleware"] || !seen["python3-http"] || !seen["node22"] {
		t.Errorf("%d names", len(seen))
	}
	if !strings.Contains(store.OpenFaaSNames(), store.OpenFaaSDate) {
		t.Errorf("the list is not of %s", store.OpenFaaSDate)
	}
	if got := store.OpenFaaSRepository("golang"); got != "" {
		t.Errorf("a part of a name is found: %s", got)
	}
}

// A template of OpenFaaS's is found for its own stacks only.
func TestOpenFaaSOnly(t *testing.T) {
	t.Parallel()
	s, err := store.New(store.Options{CacheDir: t.TempDir(), Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	_, _, notes, err := s.Resolve(t.Context(), "golang-http", store.Scope{Root: t.TempDir(), OpenFaaS: true})
	if !fixture.Is[*store.OfflineError](err) || !strings.Contains(strings.Join(notes, "\n"), "https://github.com/openfaas/golang-http-template") {
		t.Errorf("%v, noted %q", err, notes)
	}
	_, _, _, err = s.Resolve(t.Context(), "golang-http", store.Scope{Root: t.TempDir()})
	if !fixture.Is[*store.NotFoundError](err) {
		t.Errorf("%v", err)
	}
}
