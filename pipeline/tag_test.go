package pipeline

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnreadRepository sees that labels are not left out in silence where a repository
// cannot be read, and that this is said once.
func TestUnreadRepository(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := &Pipeline{git: &checkedOut{dir: dir}}
	if labels, note := p.revisionLabels(t.Context()); labels != nil || note != "" {
		t.Errorf("outside of a repository: %v, %q", labels, note)
	}
	if out, err := exec.CommandContext(t.Context(), "git", "init", "-q", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p.git = &checkedOut{dir: dir}
	if labels, note := p.revisionLabels(t.Context()); labels != nil || note != "" {
		t.Errorf("without a commit: %v, %q", labels, note)
	}
	config := "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tfuture = x\n"
	if err := os.WriteFile(filepath.Join(dir, ".git/config"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p.git = &checkedOut{dir: dir}
	if _, note := p.revisionLabels(t.Context()); !strings.HasPrefix(note, "the labels for revision and source are left out: ") || !strings.Contains(note, "future") {
		t.Errorf("%q", note)
	}
	if _, note := p.revisionLabels(t.Context()); note != "" {
		t.Errorf("said again: %q", note)
	}
}
