//go:build unix

package store_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/schema"
	"fnb/store"
	"fnb/store/git"
)

// TestPipes has named pipes where files should be: nobody waits for their other end.
func TestPipes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := func(name string) string {
		file := filepath.Join(dir, filepath.FromSlash(name))
		fixture.Must(t, os.MkdirAll(filepath.Dir(file), 0o755))
		fixture.Must(t, syscall.Mkfifo(file, 0o600))
		return file
	}
	s := withStores(t, store.Options{})
	_, _, err := s.AddStore(t.Context(), "list", pipe("templates.json"), nil)
	if !fixture.Is[*git.UnreachableError](err) || !strings.Contains(err.Error(), "is not a plain file") {
		t.Errorf("a list: %v", err)
	}
	// In a store's folder: one version, why another was withdrawn, and what a template says of itself.
	g := gitServer(t, servers.GitOptions{})
	recs := published(t, g, "1.0.0", "1.1.0")
	folder := filepath.Join(dir, "store")
	for _, part := range strings.Split(storeTree(recs...), "-- ")[1:] {
		if name, content, ok := strings.Cut(part, " --\n"); ok {
			fixture.Write(t, content, folder, filepath.FromSlash(name))
		}
	}
	pipe("store/templates/acme/echo/v/1.2.0.json")
	pipe("store/templates/acme/echo/v/1.1.0.yank.json")
	pipe("store/templates/acme/echo/package.json")
	_, notes, err := s.AddStore(t.Context(), "main", folder, nil)
	if err != nil || len(notes) != 1 || !strings.Contains(notes[0], "3 files were skipped") || !strings.Contains(notes[0], "it is not a plain file") {
		t.Errorf("%q %v", notes, err)
	}
	if _, pin, _, err := s.Resolve(t.Context(), "acme/echo", store.Scope{Root: t.TempDir()}); err != nil || pin.Version != "1.0.0" {
		t.Errorf("%+v %v", pin, err)
	}
	if _, _, _, err := s.Resolve(t.Context(), "acme/echo@1.1.0", store.Scope{Root: t.TempDir()}); !fixture.Is[*store.YankedError](err) {
		t.Errorf("withdrawn by a pipe: %v", err)
	}
	// In a template.
	tmpl := filepath.Join(dir, "tmpl")
	writeTemplate(t, tmpl, "1.0.0")
	pipe("tmpl/function/pipe")
	if _, _, _, err := s.Resolve(t.Context(), tmpl, store.Scope{Root: dir, Lock: &schema.Lock{}}); err == nil || !strings.Contains(err.Error(), "function/pipe: is a FIFO") {
		t.Errorf("a template: %v", err)
	}
}
