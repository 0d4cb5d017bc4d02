package templates

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"fnb/internal/servers"
)

// TestRustTools runs the tests of what the template rust builds with, file by file and
// without packages. The server is tested by TestLanguages in cmd/fnb.
func TestRustTools(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("rustc")
	servers.Require(t, "rust", err)
	dir := write(t, "rust", nil)
	for _, file := range []string{"prepare/main.rs", "entry/src/pause.rs"} {
		program := filepath.Join(t.TempDir(), "tests")
		compile := exec.CommandContext(t.Context(), "rustc", "--test", "--edition", "2021", "-A", "dead_code", "-o", program, file)
		compile.Dir = dir
		compile.Env = os.Environ()
		if out, err := compile.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", file, err, out)
		}
		run := exec.CommandContext(t.Context(), program)
		run.Dir = t.TempDir()
		if out, err := run.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}
