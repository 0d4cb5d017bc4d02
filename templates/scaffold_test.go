package templates

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func scaffoldable(t *testing.T) *Template {
	t.Helper()
	m := mapFS(minimal(map[string]string{"function/sub/b.txt": "b", "function/go.mod.tmpl": "module x", "function/link": "-> sub/b.txt"}))
	m["function/run.sh"] = &fstest.MapFile{Data: []byte("#!"), Mode: 0o755}
	tpl, err := Open(m, "x")
	if err != nil {
		t.Fatal(err)
	}
	return tpl
}

// listing returns the files below a folder with their permissions.
func listing(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		below, err := filepath.Rel(dir, name)
		out[filepath.ToSlash(below)] = info.Mode().String()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestScaffold(t *testing.T) {
	t.Parallel()
	tpl := scaffoldable(t)
	top := t.TempDir()
	if err := os.Mkdir(filepath.Join(top, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"new", "a/b/deep", "empty", "slash/"} {
		dir := top + "/" + name
		files, err := tpl.Scaffold(dir)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"go.mod", "handler.x", "link", "run.sh", "sub/b.txt"}, files); diff != "" {
			t.Errorf("%s: files (-want +got):\n%s", name, diff)
		}
		got := listing(t, dir)
		want := map[string]string{
			".": "drwxr-xr-x", "go.mod": "-rw-r--r--", "handler.x": "-rw-r--r--", "link": "Lrwxrwxrwx",
			"run.sh": "-rwxr-xr-x", "sub": "drwxr-xr-x", "sub/b.txt": "-rw-r--r--",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", name, diff)
		}
	}
	list, err := os.ReadDir(top)
	if err != nil || len(list) != 4 {
		t.Errorf("something else is left in the folder: %v, %v", list, err)
	}
}

func TestScaffoldNeverOverwrites(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	err := errors.Join(
		os.Mkdir(filepath.Join(top, "full"), 0o755),
		os.WriteFile(filepath.Join(top, "full", "mine"), nil, 0o600),
		os.WriteFile(filepath.Join(top, "file"), nil, 0o600),
		os.Symlink("nowhere", filepath.Join(top, "link")),
	)
	if err != nil {
		t.Fatal(err)
	}
	before := listing(t, top)
	for _, name := range []string{"full", "file", "link"} {
		dir := filepath.Join(top, name)
		_, err := scaffoldable(t).Scaffold(dir)
		var exists *ExistsError
		if !errors.As(err, &exists) || exists.Dir != dir {
			t.Errorf("%s: %v", name, err)
		}
	}
	if diff := cmp.Diff(before, listing(t, top)); diff != "" {
		t.Errorf("the folder has changed (-before +after):\n%s", diff)
	}
}

// broken is a file system whose file "function/b" cannot be read.
type broken struct{ fs.FS }

func (b broken) Open(name string) (fs.File, error) {
	if name == "function/b" {
		return nil, errors.New("unreadable")
	}
	return b.FS.Open(name)
}

func TestScaffoldWritesAllOrNothing(t *testing.T) {
	t.Parallel()
	list := minimal(nil)
	maps.Copy(list, map[string]string{"function/a": "", "function/b": "", "function/c": ""})
	tpl, err := Open(mapFS(list), "x")
	if err != nil {
		t.Fatal(err)
	}
	tpl.FS = broken{tpl.FS}
	top := t.TempDir()
	if err := os.Mkdir(filepath.Join(top, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	before := listing(t, top)
	for _, name := range []string{"new", "empty", "a/b/deep"} {
		if _, err := tpl.Scaffold(filepath.Join(top, name)); err == nil {
			t.Errorf("%s: there is no error", name)
		}
	}
	if diff := cmp.Diff(before, listing(t, top)); diff != "" {
		t.Errorf("something was left behind (-before +after):\n%s", diff)
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "template", "acme")
	files, err := Start("acme", dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"Dockerfile", "function/handler.sh", "function/packages.txt", "run.sh", "template.yml"}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Error(diff)
	}
	// Its description alone is left to its author.
	if problems, err := LintDir(dir); err != nil || len(problems) != 1 || !strings.Contains(problems[0].Message, "description: is still that of fnb template init") {
		t.Errorf("%v %v", problems, err)
	}
	tpl, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if tpl.Manifest.Language != "acme" || len(tpl.Entrypoint.Files) != 1 || len(tpl.Packages.Lists) != 1 || len(tpl.Handler.Files) != 2 {
		t.Errorf("%+v", tpl.Template)
	}
	if _, err := Start("acme", dir); !isExists(err) {
		t.Errorf("a second time: %v", err)
	}
	if _, err := Start("../x", dir+"2"); err == nil {
		t.Error("a name that is none")
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if _, err := tpl.Copy(copied); err != nil {
		t.Fatal(err)
	}
	if again, err := OpenDir(copied); err != nil || again.Checksum != tpl.Checksum {
		t.Errorf("the copy is another template: %v", err)
	}
	if _, err := tpl.Copy(copied); !isExists(err) {
		t.Errorf("copied over: %v", err)
	}
}
