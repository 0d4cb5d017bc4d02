package ci

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestStoreFiles writes what a store begins with for each host, whole and for a shell to read.
func TestStoreFiles(t *testing.T) {
	t.Parallel()
	for _, host := range append(StoreHosts(), "") {
		files, err := NewStore{Host: host, Name: "ours", Title: "Ours <b>`x`", Branch: "trunk", Namespaces: []string{"b", "a", "b"}, Owners: []string{"ann"}}.Files()
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]string{}
		for _, f := range files {
			seen[f.Path] = string(f.Data)
			if strings.Contains(string(f.Data), "[[") && !strings.Contains(f.Path, ".sh") {
				t.Errorf("%s: %s is not filled", host, f.Path)
			}
			if filepath.Ext(f.Path) != ".sh" {
				continue
			}
			if f.Mode != 0o755 {
				t.Errorf("%s: %s has the mode %o", host, f.Path, f.Mode)
			}
			script := filepath.Join(t.TempDir(), "script.sh")
			if err := os.WriteFile(script, f.Data, 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), "bash", "-n", script).CombinedOutput(); err != nil {
				t.Errorf("%s: %s: %v\n%s", host, f.Path, err, out)
			}
		}
		for _, name := range []string{"store.json", "namespaces/a.json", "namespaces/b.json", "README.md", "RULES.md"} {
			if seen[name] == "" {
				t.Errorf("%q: no %s", host, name)
			}
		}
		if !strings.HasPrefix(seen["README.md"], "# `` Ours <b>`x` ``\n") || !strings.Contains(seen["namespaces/a.json"], `"ann"`) || !strings.Contains(seen["RULES.md"], "origin/trunk") {
			t.Errorf("%q: README %q, namespace %q", host, seen["README.md"], seen["namespaces/a.json"])
		}
		if (host == "") != (len(files) == 5) {
			t.Errorf("%q: %d files", host, len(files))
		}
	}
}
