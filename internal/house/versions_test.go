package house

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// TestVersions holds that fnb and the servers of its tests need the same versions of
// golang.org/x, on which nearly all of their packages rest: else these are compiled twice.
func TestVersions(t *testing.T) {
	t.Parallel()
	own, servers := versions(t, "go.mod"), versions(t, "tools/go.mod")
	if len(own) == 0 || len(servers) == 0 {
		t.Fatal("no versions are found")
	}
	for path, version := range servers {
		if mine, ok := own[path]; ok && mine != version {
			t.Errorf("tools/go.mod has %s %s, and go.mod %s: go -C tools get %s@%s", path, version, mine, path, mine)
		}
	}
}

// versions are those of golang.org/x that a go.mod asks for.
func versions(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.Parse(file, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, r := range mod.Require {
		if strings.HasPrefix(r.Mod.Path, "golang.org/x/") {
			all[r.Mod.Path] = r.Mod.Version
		}
	}
	return all
}
