package house

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the linter's rules")

// root is the folder of the module, seen from this package.
const root = "../.."

type listed struct {
	ImportPath string
	Imports    []string
}

// packages are those of the module, as the go command lists them for this platform.
func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", Module+"...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestImports(t *testing.T) {
	t.Parallel()
	lived := map[string]bool{}
	for _, p := range packages(t) {
		room, known := RoomOf(p.ImportPath)
		if !known {
			t.Errorf("%s is in no room: add it to Rooms and to docs/design.md", p.ImportPath)
			continue
		}
		lived[room.Path] = true
		for _, imp := range p.Imports {
			if err := mayImport(room, imp); err != nil {
				t.Errorf("%s: %v", p.ImportPath, err)
			}
		}
	}
	for _, room := range Rooms() {
		if !lived[room.Path] {
			t.Errorf("the room %s has no package", room.Path)
		}
	}
}

// mayImport says why a room may not import a package; nil if it may.
func mayImport(room Room, imp string) error {
	if strings.HasPrefix(imp, Module) {
		other, _ := RoomOf(imp)
		if other.Path != room.Path && !slices.Contains(room.May(), other.Path) {
			return fmt.Errorf("imports %s; %s may import %v", imp, room.Path, room.May())
		}
		return nil
	}
	for lib, users := range Libraries() {
		if strings.HasPrefix(imp, lib) && !slices.Contains(users, room.Path) {
			return fmt.Errorf("imports %s, which is for %v", imp, users)
		}
	}
	return nil
}

func TestMayImport(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		room, imp string
		may       bool
	}{
		{"schema", "fnb/origin", true},
		{"schema", "fnb/store", false},
		{"store", "fnb/store/site", false},
		{"store/site", "fnb/store", true},
		{"cmd/fnb", "fnb/builder", true},
		{"cmd/fnb", "fnb/internal/servers", false},
		{"store", "github.com/spf13/cobra", false},
		{"store", "golang.org/x/sync/errgroup", true},
		{"registry", "github.com/moby/buildkit/client/llb", false},
	} {
		room, known := RoomOf(c.room)
		if !known {
			t.Fatalf("no room %s", c.room)
		}
		if err := mayImport(room, c.imp); (err == nil) != c.may {
			t.Errorf("%s imports %s: %v", c.room, c.imp, err)
		}
	}
}

// TestDesign compares the table of docs/design.md with the rooms.
func TestDesign(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "docs", "design.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n## Rooms\n")
	table, _, _ = strings.Cut(table, "\n## ")
	told := map[string]string{}
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) > 4 && strings.HasPrefix(cells[1], " `") {
			told[strings.Trim(cells[1], " `")] = strings.TrimSpace(cells[3])
		}
	}
	for _, r := range Rooms() {
		want := "nothing"
		switch {
		case r.KnowsRooms:
			want = "all"
		case len(r.MayImport) > 0:
			want = strings.Join(r.MayImport, ", ")
		}
		if got, ok := told[r.Path]; !ok {
			t.Errorf("docs/design.md has no row for the room %s", r.Path)
		} else if got != want {
			t.Errorf("docs/design.md says that %s may import %q; the table says %q", r.Path, got, want)
		}
		delete(told, r.Path)
	}
	for path := range told {
		t.Errorf("docs/design.md has a row for %s, which is no room", path)
	}
}

var linterRules = regexp.MustCompile(`(?s)( {6}# Written by go test \./internal/house -update\.\n).*?(\n {4}forbidigo:)`)

// TestLinter compares the linter's rules for imports with the rooms.
func TestLinter(t *testing.T) {
	t.Parallel()
	file := filepath.Join(root, ".golangci.yml")
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !linterRules.Match(have) {
		t.Fatalf("%s has no place for the rules of the rooms", file)
	}
	want := linterRules.ReplaceAll(have, []byte("${1}"+strings.ReplaceAll(rules(), "$", "$$")+"${2}"))
	if bytes.Equal(have, want) {
		return
	}
	if !*update {
		t.Fatal("the linter's rules are not those of the rooms; write them with: go test ./internal/house -update")
	}
	if err := os.WriteFile(file, want, 0o644); err != nil {
		t.Fatal(err)
	}
}

// rules are depguard's, one for each room that does not know all others.
func rules() string {
	var b strings.Builder
	b.WriteString("      rules:")
	for _, r := range Rooms() {
		if r.KnowsRooms {
			continue
		}
		files := []string{"**/" + r.Path + "/*.go", "**/" + r.Path + "/**/*.go"}
		for _, below := range Rooms() {
			if strings.HasPrefix(below.Path, r.Path+"/") {
				files = append(files, "!**/"+below.Path+"/**", "!**/"+below.Path+"/*.go")
			}
		}
		files = append(files, "!$test")
		words := "nothing of fnb"
		if len(r.MayImport) > 0 {
			words = strings.Join(r.MayImport, ", ")
		}
		allow := []string{Module + r.Path}
		for _, m := range r.MayImport {
			allow = append(allow, Module+m)
		}
		fmt.Fprintf(&b, "\n        %s:\n          files: [%s]\n          list-mode: lax\n          allow: [%s]\n          deny:\n",
			strings.ReplaceAll(r.Path, "/", "-"), quoted(files), strings.Join(uncovered(allow), ", "))
		fmt.Fprintf(&b, "            - { pkg: %s, desc: %q }", strings.TrimSuffix(Module, "/"), r.Path+" may import "+words)
		for _, below := range Rooms() { // allowing a room allows no other one below it
			if !slices.Contains(allow, Module+below.Path) && slices.ContainsFunc(allow, func(a string) bool { return strings.HasPrefix(Module+below.Path, a+"/") }) {
				fmt.Fprintf(&b, "\n            - { pkg: %s, desc: %q }", Module+below.Path, r.Path+" may import "+words)
			}
		}
	}
	return b.String()
}

// uncovered are the packages that are below no other one. Of several that begin alike the linter reads only the
// one that sorts right before an import: fnb/schema/deploy, and not fnb/schema, before fnb/schema/document.
func uncovered(allow []string) []string {
	return slices.DeleteFunc(slices.Clone(allow), func(pkg string) bool {
		return slices.ContainsFunc(allow, func(above string) bool { return strings.HasPrefix(pkg, above+"/") })
	})
}

func quoted(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = fmt.Sprintf("%q", w)
	}
	return strings.Join(out, ", ")
}
