package packaging

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"fnb/internal/fixture"
	"fnb/schema"
	"fnb/schema/checksum"
	"fnb/schema/document"
	"fnb/templates"
	"fnb/templates/tree"
)

// files writes a folder: a name that ends in a slash is a folder, a text that
// begins with "-> " is a link, one that begins with "#!" may be run.
func files(t *testing.T, list map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range slices.Sorted(maps.Keys(list)) {
		place := filepath.Join(root, name)
		err := os.MkdirAll(filepath.Dir(place), 0o700)
		text := list[name]
		target, link := strings.CutPrefix(text, "-> ")
		switch {
		case strings.HasSuffix(name, "/"):
			err = errors.Join(err, os.MkdirAll(place, 0o700))
		case link:
			err = errors.Join(err, os.Symlink(target, place))
		case strings.HasPrefix(text, "#!"):
			err = errors.Join(err, os.WriteFile(place, []byte(text), 0o700))
		default:
			err = errors.Join(err, os.WriteFile(place, []byte(text), 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func template(t *testing.T, list map[string]string) *templates.Template {
	t.Helper()
	m := fstest.MapFS{}
	for name, text := range list {
		m[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	tpl, err := templates.Open(m, "test")
	if err != nil {
		t.Fatal(err)
	}
	return tpl
}

func plainTemplate(t *testing.T) *templates.Template {
	t.Helper()
	return template(t, map[string]string{
		"template.yml":          "fprocess: ./run\nmode: http\nupstream_url: http://127.0.0.1:1\nversion: 1.2.3\nbuild_options: [{name: dev, packages: [make, gcc]}, {name: web, packages: [curl, make]}]\npackages: [{ecosystem: x, manifest: function/list.txt, lock: function/list.lock}]\n",
		"Dockerfile":            "FROM debian:bookworm-slim\nCOPY function/ .\n",
		"main.x":                "entry",
		"function/handler.x":    "starter",
		"function/list.txt":     "template's list",
		"function/list.lock":    "template's lock",
		"function/sub/other.md": "starter",
	})
}

func function() schema.Function { return schema.Function{Name: "hello", Handler: "./hello"} }

// contents returns the files of fsys: text, or "-> " and a link's target, with
// "* " before what may be run.
func contents(t *testing.T, fsys fs.FS) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.Type() == fs.ModeSymlink {
			target, err := fs.ReadLink(fsys, name)
			out[name] = "-> " + target
			return err
		}
		data, err := fs.ReadFile(fsys, name)
		out[name] = string(data)
		if info.Mode()&0o100 != 0 {
			out[name] = "* " + out[name]
		}
		if want := info.Mode().Perm(); want != 0o644 && want != 0o755 {
			t.Errorf("%s has mode %s", name, info.Mode())
		}
		if !info.ModTime().Equal(time.Unix(0, 0)) {
			t.Errorf("%s has time %s", name, info.ModTime())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// base is what every context of the plain template has.
func base(more map[string]string) map[string]string {
	all := map[string]string{"main.x": "entry"}
	maps.Copy(all, more)
	return all
}

func assemble(t *testing.T, in Input) *Context {
	t.Helper()
	c, err := Assemble(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAssembleFiles(t *testing.T) {
	t.Parallel()
	own := map[string]string{"hello/list.txt": "own list"}
	for name, c := range map[string]struct {
		stack map[string]string
		copy  []string
		want  map[string]string
		notes []string
	}{
		"the handler replaces the starter": {
			stack: map[string]string{"hello/mine.x": "mine"},
			want:  map[string]string{"function/mine.x": "mine", "function/list.lock": "template's lock"},
			notes: []string{"function/list.txt and function/list.lock from the template, because the handler has none"},
		},
		"no name is special": {
			stack: map[string]string{"hello/build/x": "1", "hello/template/y": "2", "hello/Dockerfile": "3"},
			want:  map[string]string{"function/build/x": "1", "function/template/y": "2", "function/Dockerfile": "3"},
		},
		"git's files stay out": {
			stack: map[string]string{"hello/.git/HEAD": "x", "hello/sub/.git": "gitdir: y", "hello/.gitignore": "z"},
			want:  map[string]string{"function/.gitignore": "z"},
		},
		"what may be run may be run": {
			stack: map[string]string{"hello/run.sh": "#!/bin/sh"},
			want:  map[string]string{"function/run.sh": "* #!/bin/sh"},
		},
		"links inside stay links": {
			stack: map[string]string{"hello/a/file": "x", "hello/b": "-> a/file", "hello/a/c": "-> ../b", "hello/dir": "-> a", "hello/gone": "-> a/none", "hello/loop": "-> loop"},
			want:  map[string]string{"function/a/file": "x", "function/b": "-> a/file", "function/a/c": "-> ../b", "function/dir": "-> a", "function/gone": "-> a/none", "function/loop": "-> loop"},
		},
		"empty folders are left out": {
			stack: map[string]string{"hello/empty/deep/": "", "hello/x": "x"},
			want:  map[string]string{"function/x": "x"},
		},
		"an ignore file leaves out": {
			stack: map[string]string{"hello/.dockerignore": "# comment\nnode_modules\n*.log\n", "hello/node_modules/a/b": "x", "hello/a.log": "x", "hello/sub/a.log": "deeper", "hello/a": "a"},
			want:  map[string]string{"function/sub/a.log": "deeper", "function/a": "a"},
		},
		"a pattern takes back": {
			stack: map[string]string{"hello/.dockerignore": "data/**\n!data/keep\n", "hello/data/x": "x", "hello/data/keep": "k"},
			want:  map[string]string{"function/data/keep": "k"},
		},
		".fnbignore comes after .dockerignore": {
			stack: map[string]string{"hello/.dockerignore": "a\nb\n", "hello/.fnbignore": "!b\nc\n", "hello/a": "a", "hello/b": "b", "hello/c": "c"},
			want:  map[string]string{"function/b": "b"},
		},
		"ignored FIFOs and links are not looked at": {
			stack: map[string]string{"hello/.fnbignore": "venv\n", "hello/venv/python": "-> /usr/bin/python3", "hello/x": "x"},
			want:  map[string]string{"function/x": "x"},
		},
		"an ignored package list is the template's": {
			stack: map[string]string{"hello/.fnbignore": "list.*\n", "hello/list.txt": "own"},
			want:  map[string]string{"function/list.txt": "template's list", "function/list.lock": "template's lock"},
			notes: []string{"the handler ./hello has no files", "function/list.txt and function/list.lock from the template, because the handler has none"},
		},
		"copies come below the handler": {
			stack: map[string]string{"hello/x": "x", "common/a/b": "ab", "common/link": "-> a/b", "one/file.txt": "1", "one/other.txt": "2"},
			copy:  []string{"./common", "one/file.txt", "common/a", "common/"},
			want:  map[string]string{"function/x": "x", "function/common/a/b": "ab", "function/common/link": "-> a/b", "function/one/file.txt": "1"},
		},
		"a copy may lie beside the handler's files": {
			stack: map[string]string{"hello/common/mine": "x", "common/theirs": "y"},
			copy:  []string{"common"},
			want:  map[string]string{"function/common/mine": "x", "function/common/theirs": "y"},
		},
		"a lock that no step uses is named": {
			stack: map[string]string{"hello/pnpm-lock.yaml": "x", "hello/sub/yarn.lock": "y"},
			want:  map[string]string{"function/pnpm-lock.yaml": "x", "function/sub/yarn.lock": "y", "function/list.lock": "template's lock"},
			notes: []string{"pnpm-lock.yaml is not used: no step of template test names it", "function/list.txt and function/list.lock from the template, because the handler has none"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stack, want := maps.Clone(c.stack), base(c.want)
			if c.notes == nil {
				maps.Copy(stack, own)
				want["function/list.txt"] = "own list"
			} else {
				want["function/list.txt"], want["function/list.lock"] = "template's list", "template's lock"
			}
			tpl := plainTemplate(t)
			got := assemble(t, Input{Function: function(), Template: tpl, Root: files(t, stack), Copy: c.copy})
			for _, name := range []string{"template.yml", "Dockerfile"} {
				data, err := fs.ReadFile(tpl.FS, name)
				if err != nil {
					t.Fatal(err)
				}
				want[name] = string(data)
			}
			if diff := cmp.Diff(want, contents(t, got.FS)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.notes, append(got.Notes, got.Details...)); diff != "" {
				t.Errorf("notes (-want +got):\n%s", diff)
			}
			if err := fstest.TestFS(got.FS, "Dockerfile"); err != nil && !strings.Contains(name, "links") {
				t.Error(err)
			}
			if sum, err := checksum.Of(got.FS); err != nil || sum != got.Digest {
				t.Errorf("digest %s is not the checksum %s, %v", got.Digest, sum, err)
			}
		})
	}
}

func TestAssembleErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stack map[string]string
		in    func(*Input)
		mkfs  func(t *testing.T, root string)
		want  string
		path  string // of the tree.PathError
	}{
		"no handler":               {stack: map[string]string{"x": ""}, want: "handler ./hello: there is no such folder: file does not exist"},
		"a file as handler":        {stack: map[string]string{"hello": "x"}, want: "handler ./hello: it is not a folder"},
		"a link that leaves":       {stack: map[string]string{"hello/sub/l": "-> ../../secret", "secret": "x"}, path: "sub/l"},
		"an absolute link":         {stack: map[string]string{"hello/l": "-> /etc/passwd"}, path: "l"},
		"a link through a link":    {stack: map[string]string{"hello/d/e/f": "-> ../../top", "hello/top/x": "", "hello/d/l": "-> e/f/../../x"}, path: "d/l"},
		"a linked folder outside":  {stack: map[string]string{"hello/dir": "-> ../other", "other/x": "x"}, path: "dir"},
		"a FIFO":                   {stack: map[string]string{"hello/x": ""}, mkfs: special(syscall.S_IFIFO), path: "special"},
		"a device":                 {stack: map[string]string{"hello/x": ""}, mkfs: special(syscall.S_IFCHR), path: "special"},
		"a socket":                 {stack: map[string]string{"hello/x": ""}, mkfs: special(syscall.S_IFSOCK), path: "special"},
		"a line break in a name":   {stack: map[string]string{"hello/a\nb": ""}, path: `"a\nb"`},
		"bytes that are no text":   {stack: map[string]string{"hello/a\xff": ""}, path: `"a\xff"`},
		"a bad pattern":            {stack: map[string]string{"hello/.dockerignore": "[a-"}, want: "handler: .dockerignore: syntax error in pattern"},
		"an ignore file's link":    {stack: map[string]string{"hello/.dockerignore": "-> ../x", "x": "y"}, want: "escapes"},
		"a bad name":               {stack: map[string]string{"hello/x": ""}, in: func(i *Input) { i.Function.Name = "../x" }, want: `"../x" is not a function's name`},
		"an unknown option":        {stack: map[string]string{"hello/x": ""}, in: func(i *Input) { i.BuildOptions = []string{"devv"} }, want: `the template has no build option "devv"; it has ["dev" "web"]`},
		"a copy that is missing":   {stack: map[string]string{"hello/x": ""}, in: copies("nothing"), want: "copy nothing: there is no such file or folder"},
		"a copy outside":           {stack: map[string]string{"hello/x": ""}, in: copies("../proj-evil"), want: `copy ../proj-evil: "../proj-evil" leads out of the stack file's folder`},
		"an absolute copy":         {stack: map[string]string{"hello/x": ""}, in: copies("/etc"), want: `copy /etc: "/etc" leads out of the stack file's folder`},
		"a copy of all":            {stack: map[string]string{"hello/x": ""}, in: copies("a/.."), want: "copy a/..: it is the stack file's folder itself"},
		"an empty copy":            {stack: map[string]string{"hello/x": ""}, in: copies(""), want: "copy: a path is empty"},
		"a copy that links out":    {stack: map[string]string{"hello/x": "", "out": "-> /etc"}, in: copies("out"), want: `copy out: "out" leads out of the stack file's folder, to /etc`},
		"a copy with a link out":   {stack: map[string]string{"hello/x": "", "c/l": "-> ../hello/x"}, in: copies("c"), path: "l"},
		"a copy over the handler":  {stack: map[string]string{"hello/c/x": "", "c/x": ""}, in: copies("c"), path: "function/c/x"},
		"a copy file on a folder":  {stack: map[string]string{"hello/c/x": "", "c": ""}, in: copies("c"), path: "function/c"},
		"a secret that is missing": {stack: map[string]string{"hello/x": ""}, in: secret("none"), want: "build secret s: none: file does not exist"},
		"a folder as secret":       {stack: map[string]string{"hello/x": ""}, in: secret("hello"), want: "build secret s: hello is not a file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := files(t, c.stack)
			if c.mkfs != nil {
				c.mkfs(t, filepath.Join(root, "hello"))
			}
			in := Input{Function: function(), Template: plainTemplate(t), Root: root}
			if c.in != nil {
				c.in(&in)
			}
			_, err := Assemble(t.Context(), in)
			if err == nil {
				t.Fatal("there is no error")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %q, not %q", err, c.want)
			}
			var p *tree.PathError
			if c.path != "" && (!errors.As(err, &p) || p.Path != c.path) {
				t.Errorf("the error %q (%#v) is not about %q", err, p, c.path)
			}
		})
	}
}

func special(kind uint32) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		if err := fixture.Special(filepath.Join(dir, "special"), kind); err != nil {
			t.Skipf("mknod: %v", err)
		}
	}
}

func copies(p string) func(*Input) { return func(i *Input) { i.Copy = []string{p} } }

func secret(p string) func(*Input) {
	return func(i *Input) { i.Function.BuildSecrets = map[string]string{"s": p} }
}

func TestAssembleReportsAllBadFiles(t *testing.T) {
	t.Parallel()
	root := files(t, map[string]string{"hello/a": "-> /etc/passwd", "hello/b": "-> ../..", "hello/c": "x"})
	_, err := Assemble(t.Context(), Input{Function: function(), Template: plainTemplate(t), Root: root})
	if err == nil || !strings.Contains(err.Error(), "a: the link") || !strings.Contains(err.Error(), "b: the link") {
		t.Errorf("the error is %v", err)
	}
	var folder *FolderError
	if !errors.As(err, &folder) || folder.Dir != "./hello" {
		t.Errorf("the error %v does not name the handler", err)
	}
}

func TestAssembleWithTheHandlersDockerfile(t *testing.T) {
	t.Parallel()
	tpl, err := templates.OpenOfficial("dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	own := "FROM ghcr.io/openfaas/classic-watchdog:0.3.3 AS watchdog\nFROM alpine:3\nCOPY --from=watchdog /fwatchdog /usr/bin/fwatchdog\nCMD [\"fwatchdog\"]\n"
	for name, c := range map[string]struct {
		dockerfile, watchdog string
		entrypoint           bool
	}{
		"a plain one":                {"FROM debian:12\nCMD [\"cat\"]\n", "default", true},
		"one that brings a watchdog": {own, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := files(t, map[string]string{"hello/Dockerfile": c.dockerfile, "hello/.dockerignore": "Dockerfile\n.dockerignore\nb\n", "hello/a": "a", "hello/b": "b", "common/c": "c"})
			got := assemble(t, Input{Function: function(), Template: tpl, Root: root, Copy: []string{"common"}})
			want := map[string]string{"Dockerfile": c.dockerfile, "a": "a", "common/c": "c"}
			if diff := cmp.Diff(want, contents(t, got.FS)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if got.Watchdog != c.watchdog || (len(got.Config.Entrypoint) > 0) != c.entrypoint {
				t.Errorf("watchdog %q, entrypoint %q", got.Watchdog, got.Config.Entrypoint)
			}
		})
	}
	_, err = Assemble(t.Context(), Input{Function: function(), Template: tpl, Root: files(t, map[string]string{"hello/a": ""})})
	if err == nil || !strings.Contains(err.Error(), "handler ./hello: it has no Dockerfile") {
		t.Errorf("without a Dockerfile the error is %v", err)
	}
	_, err = Assemble(t.Context(), Input{Function: function(), Template: tpl, Root: files(t, map[string]string{"hello/Dockerfile": "FROM a\nCOPPY x y\n"})})
	var field *document.FieldError
	if !errors.As(err, &field) || field.Line != 2 {
		t.Errorf("with a broken Dockerfile the error is %v", err)
	}
}

// TestHandlerMayLieElsewhere: where it is allowed, and only there.
func TestHandlerMayLieElsewhere(t *testing.T) {
	t.Parallel()
	root := files(t, map[string]string{"stack/x": "", "stack/in": "-> ../shared/fn", "shared/fn/a": "a", "shared/fn/list.txt": "", "linked": "-> shared/fn"})
	for _, handler := range []string{"../shared/fn", "../linked", "in", filepath.Join(root, "shared/fn")} {
		f := function()
		f.Handler = handler
		in := Input{Function: f, Template: plainTemplate(t), Root: filepath.Join(root, "stack")}
		_, err := Assemble(t.Context(), in)
		if e, ok := errors.AsType[*schema.OutsideError](err); !ok || e.Path != handler {
			t.Errorf("handler %s: %v", handler, err)
		}
		in.Allow = []string{filepath.Join(root, "shared")}
		if _, err := fs.Stat(assemble(t, in).FS, "function/a"); err != nil {
			t.Errorf("handler %s: %v", handler, err)
		}
	}
}

// What would keep a handler's program from starting is said when it is built.
func TestProgramOfTheHandler(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fprocess, script string
		mode             fs.FileMode
		want             []string
	}{
		"well":                   {"./run.sh x", "#!/bin/sh\n", 0o755, nil},
		"Windows":                {"./run.sh", "#!/bin/sh\r\necho\r\n", 0o755, []string{"./run.sh, which fprocess names, has the line ends of Windows, so its interpreter is not found; write it with those of Unix"}},
		"not executable":         {"./run.sh", "#!/bin/sh\n", 0o644, []string{"./run.sh, which fprocess starts, is not executable: allow it with chmod +x"}},
		"an interpreter's":       {"sh run.sh", "echo\n", 0o644, nil},
		"an argument":            {"cat x run.sh", "#!/bin/sh\r\n", 0o644, nil},
		"nothing to see":         {"cat", "#!/bin/sh\r\n", 0o644, nil},
		"outside of the handler": {"../../../etc/passwd", "", 0o644, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := files(t, map[string]string{"hello/run.sh": test.script, "hello/list.txt": "x"})
			if err := os.Chmod(filepath.Join(root, "hello/run.sh"), test.mode); err != nil {
				t.Fatal(err)
			}
			fn := function()
			fn.FProcess = test.fprocess
			got := assemble(t, Input{Function: fn, Template: plainTemplate(t), Root: root})
			if diff := cmp.Diff(test.want, got.Notes); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
