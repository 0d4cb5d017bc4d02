package templates

import (
	"errors"
	"flag"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"fnb/internal/fixture"
	"fnb/schema"
	"fnb/schema/document"
	"fnb/schema/languages"
	"fnb/templates/tree"
)

func mapFS(list map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range list {
		m[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			m[name] = &fstest.MapFile{Data: []byte(target), Mode: 0o777 | fs.ModeSymlink}
		}
	}
	return m
}

// minimal is a template without problems, but for what more says.
func minimal(more map[string]string) map[string]string {
	all := map[string]string{
		"template.yml":       "fprocess: ./run\n",
		"Dockerfile":         "FROM debian:bookworm-slim\nCOPY function/ .\nUSER 1000\n",
		"function/handler.x": "starter",
	}
	maps.Copy(all, more)
	return all
}

func TestOpenFillsTheFourParts(t *testing.T) {
	t.Parallel()
	got, err := Open(mapFS(map[string]string{
		"template.yml":              "language: x\nfprocess: python index.py\nmode: http\nupstream_url: http://127.0.0.1:5000\nbuild_options: [{name: dev, packages: [make]}]\n",
		"Dockerfile":                openFaaSGo,
		"index.py":                  "",
		"requirements.txt":          "waitress",
		"README.md":                 "",
		".dockerignore":             "x",
		"meta.json":                 `{"repository": "https://example.com/t.git", "ref_name": "", "sha": "", "written_at": "2026-01-01T00:00:00Z"}`,
		"sub/meta.json":             `{"repository": "a", "written_at": "b"}`,
		"function/handler.py.tmpl":  "",
		"function/requirements.txt": "",
		"function/tests/x_test.py":  "",
		".git/config":               "",
	}), "python3-http")
	if err != nil {
		t.Fatal(err)
	}
	want := schema.Template{
		Name: "python3-http",
		Manifest: schema.Manifest{
			Language: "x", FProcess: "python index.py", Mode: "http", UpstreamURL: "http://127.0.0.1:5000",
			BuildOptions: []schema.BuildOption{{Name: "dev", Packages: []string{"make"}}},
		},
		Entrypoint: schema.Entrypoint{FProcess: "python index.py", Mode: "http", UpstreamURL: "http://127.0.0.1:5000", Files: []string{"index.py", "requirements.txt", "sub/meta.json"}},
		Handler:    schema.Starter{Folder: "function", Files: []string{"handler.py", "requirements.txt", "tests/x_test.py"}},
		Packages: schema.Packages{
			Lists:   []schema.PackageList{{Ecosystem: "pypi", Manifest: "function/requirements.txt"}},
			Options: []schema.BuildOption{{Name: "dev", Packages: []string{"make"}}},
		},
	}
	got.Template.Dockerfile = schema.Dockerfile{}
	if diff := cmp.Diff(want, got.Template); diff != "" {
		t.Errorf("template (-want +got):\n%s", diff)
	}
	for _, name := range []string{"meta.json", ".git", "function/handler.py.tmpl"} {
		if _, err := fs.Stat(got.FS, name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there: %v", name, err)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  string
		kind  any
	}{
		"no manifest":             {map[string]string{"Dockerfile": "FROM a"}, "template x: template.yml is missing", nil},
		"another manifest's name": {map[string]string{"template.yaml": ""}, "rename template.yaml", nil},
		"several templates":       {map[string]string{"template/a/template.yml": ""}, "the folder holds several templates, below template/", nil},
		"no Dockerfile":           {map[string]string{"template.yml": "", "function/x": ""}, "Dockerfile is missing, and the handler in function brings none", nil},
		"a broken Dockerfile":     {minimal(map[string]string{"Dockerfile": "FROM a\nFORM b\n"}), "Dockerfile:2: unknown instruction: FORM", new(*document.FieldError)},
		"a broken manifest":       {minimal(map[string]string{"template.yml": "fproces: x\nversion: 1\n"}), "template.yml:2", new(*document.FieldError)},
		"a folder that leaves":    {minimal(map[string]string{"template.yml": "handler_folder: ../../x\n"}), "handler_folder", new(*document.FieldError)},
		"the root as folder":      {minimal(map[string]string{"template.yml": "handler_folder: .\n"}), "handler_folder", new(*document.FieldError)},
		"two files of one name":   {minimal(map[string]string{"a.tmpl": "", "a": ""}), "a: is there twice", new(*tree.PathError)},
		"a link that leaves":      {minimal(map[string]string{"a": "-> ../b"}), "a: the link leaves its folder: ../b", new(*tree.PathError)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Open(mapFS(c.files), "x")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, not %q", err, c.want)
			}
			if c.kind != nil && !errors.As(err, c.kind) {
				t.Errorf("the error is a %T, not a %T", err, c.kind)
			}
			if c.kind == nil && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the error %v is not fs.ErrNotExist", err)
			}
		})
	}
}

func TestOpenDirReadsNothingOutside(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mine")
	if err := os.CopyFS(dir, mapFS(minimal(nil))); err != nil {
		t.Fatal(err)
	}
	got, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "mine" || got.Source != dir {
		t.Errorf("name %q, source %q", got.Name, got.Source)
	}
	for _, kind := range []uint32{syscall.S_IFIFO, syscall.S_IFSOCK, syscall.S_IFCHR} {
		place := filepath.Join(dir, "special")
		if err := fixture.Special(place, kind); err != nil {
			t.Skip(err)
		}
		var p *tree.PathError
		if _, err := OpenDir(dir); !errors.As(err, &p) || p.Path != "special" {
			t.Errorf("mode %o: %v", kind, err)
		}
		if err := os.Remove(place); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := OpenDir(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
	if _, err := OpenDir(filepath.Join(dir, "Dockerfile")); err == nil {
		t.Error("a file opens as a template")
	}
}

var update = flag.Bool("update", false, "write the golden files")

// TestOfficialChecksums holds the checksums of the official templates. They
// change with any change to a template's files, which is what makes locks hold;
// a release that changes one raises the version in its template.yml. Rewrite the
// file with: go test ./templates -update
func TestOfficialChecksums(t *testing.T) {
	t.Parallel()
	all, err := Official()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, tpl := range all {
		lines = append(lines, tpl.Name+" "+tpl.Manifest.Version+" "+tpl.Checksum+"\n")
	}
	got := strings.Join(lines, "")
	const golden = "testdata/checksums.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("checksums (-want +got):\n%s", diff)
	}
}

// TestOfficialFor holds that each language leads to a template that there is, and that each
// template is that of a language.
func TestOfficialFor(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"ts": "typescript", "js": "node", "JavaScript": "node", "py": "python3", "python": "python3", "golang": "go", "rs": "rust", "bash": "command",
		"csharp": "", "ruby": "", "": "", "cobol": "",
	} {
		if got := OfficialFor(word); got != want {
			t.Errorf("%q leads to %q, want %q", word, got, want)
		}
	}
	all, err := Official()
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, tpl := range all {
		there[tpl.Name] = true
		if got := OfficialFor(tpl.Name); got != tpl.Name {
			t.Errorf("%s: its language leads to %q", tpl.Name, got)
		}
	}
	for _, l := range languages.All() {
		if l.Template != "" && !there[l.Template] {
			t.Errorf("%v: there is no template %s", l.Words, l.Template)
		}
	}
}

func TestOfficialTemplates(t *testing.T) {
	t.Parallel()
	all, err := Official()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tpl := range all {
		names = append(names, tpl.Name)
		for _, p := range tpl.Lint() {
			t.Errorf("%s: %s", tpl.Name, p)
		}
		if tpl.Source != "official" || tpl.Dockerfile.BringsWatchdog {
			t.Errorf("%s: %+v", tpl.Name, tpl)
		}
		m := tpl.Manifest
		if m.Version == "" || m.Description == "" || m.License == "" || m.WelcomeMessage == "" || len(m.Platforms) < 2 || m.Test == nil {
			t.Errorf("%s: the manifest says too little: %+v", tpl.Name, m)
		}
		if last := strings.Split(strings.TrimSpace(m.WelcomeMessage), "\n"); !strings.HasPrefix(last[len(last)-1], "Test it with: fnb test") {
			t.Errorf("%s: the welcome message does not end with how it is tested: %q", tpl.Name, m.WelcomeMessage)
		}
		copied := filepath.Join(t.TempDir(), tpl.Name)
		if err := os.CopyFS(copied, tpl.FS); err != nil {
			t.Fatal(err)
		}
		fromDir, err := OpenDir(copied)
		if err != nil {
			t.Fatal(err)
		}
		if fromDir.Checksum != tpl.Checksum {
			t.Errorf("%s: embedded %s, in a folder %s", tpl.Name, tpl.Checksum, fromDir.Checksum)
		}
		stored, err := openOfficial(os.DirFS("official"), tpl.Name)
		if err != nil {
			t.Fatal(err)
		}
		if stored.Checksum != tpl.Checksum {
			t.Errorf("%s: embedded %s, as stored %s: does a file have the permission to be run?", tpl.Name, tpl.Checksum, stored.Checksum)
		}
	}
	folders, err := os.ReadDir("official")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, f := range folders {
		want = append(want, f.Name())
	}
	if !slices.Equal(names, want) {
		t.Errorf("the templates are %q, the folders %q", names, want)
	}
	for _, name := range []string{"none", "", ".", "..", "go/function", "../official/go"} {
		if _, err := OpenOfficial(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestShared compares what two templates have in common, or one has at two places: the
// types that a build of java takes are those that its starter has.
func TestShared(t *testing.T) {
	t.Parallel()
	read := func(place string) map[string]string {
		name, below, _ := strings.Cut(place, "/")
		tpl, err := OpenOfficial(name)
		if err != nil {
			t.Fatal(err)
		}
		files := map[string]string{}
		err = fs.WalkDir(tpl.FS, below, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := fs.ReadFile(tpl.FS, p)
			files[p[len(below):]] = string(text)
			return err
		})
		if err != nil || len(files) == 0 {
			t.Fatal(len(files), err)
		}
		return files
	}
	for place, stands := range shared() {
		if diff := cmp.Diff(read(stands), read(place)); diff != "" {
			t.Errorf("%s and %s (-stands +shown):\n%s", stands, place, diff)
		}
	}
}
