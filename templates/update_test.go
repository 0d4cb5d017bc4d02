package templates

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func starter(t *testing.T, version string, files map[string]string) *Template {
	t.Helper()
	all := map[string]string{"template.yml": "fprocess: ./run\nversion: " + version + "\n"}
	for name, text := range files {
		all["function/"+name] = text
	}
	m := mapFS(minimal(all))
	delete(m, "function/handler.x")
	for name, f := range m {
		if strings.HasSuffix(name, ".sh") {
			f.Mode = 0o755
		}
	}
	tpl, err := Open(m, "x")
	if err != nil {
		t.Fatal(err)
	}
	return tpl
}

// contents returns the files below a folder: their text, "-> " and a link's target.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name, mode := range listing(t, dir) {
		full := filepath.Join(dir, name)
		switch mode[0] {
		case 'd':
		case 'L':
			target, err := os.Readlink(full)
			if err != nil {
				t.Fatal(err)
			}
			out[name] = "-> " + target
		default:
			data, err := os.ReadFile(full)
			if err != nil {
				t.Fatal(err)
			}
			out[name] = string(data)
		}
	}
	return out
}

func TestMergeStarter(t *testing.T) {
	t.Parallel()
	was := starter(t, "1.0.0", map[string]string{
		"same": "same\n", "up": "1\n", "both": "a\nb\nc\nd\n", "clash": "a\nb\nc\n", "gone": "old\n", "gone-changed": "old\n",
		"deleted": "1\n", "picture": "\x00one", "link": "-> up", "crlf": "a\nb\nc\n", "sub/deep/only": "x\n", "mode.txt": "m\n", "tail": "a\nb", "to-file/x": "x\n",
	})
	now := starter(t, "1.1.0", map[string]string{
		"same": "same\n", "up": "2\n", "both": "A\nb\nc\nd\n", "clash": "a\nB\nc\n", "deleted": "2\n", "picture": "\x00two", "link": "-> both",
		"crlf": "a\nb\nC\n", "new/file.sh": "#!/bin/sh\n", "mode.txt": "m\n", "tail": "a\nb\nc\n", "taken": "theirs\n", "to-file/x": "x\n", "to-file/y": "y\n",
	})
	dir := filepath.Join(t.TempDir(), "handler")
	if _, err := was.Scaffold(dir); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"both": "a\nb\nc\nmine\n", "clash": "a\nmine\nc\n", "gone-changed": "mine\n", "picture": "\x00mine", "crlf": "mine\r\na\r\nb\r\nc\r\n",
		"own": "untouched\n", "tail": "mine\na\nb", "taken": "mine\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"deleted", "to-file/x", "to-file"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "to-file"), []byte("mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := contents(t, dir)
	m, err := MergeStarter(was, now, dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
		t.Errorf("it wrote: %s", diff)
	}
	want := map[string]string{
		"both": "merged", "clash": "conflict", "crlf": "merged", "deleted": "deleted", "gone": "removed", "gone-changed": "kept", "link": "updated",
		"new/file.sh": "added", "picture": "conflict", "sub/deep/only": "removed", "tail": "merged", "taken": "conflict", "to-file/y": "conflict", "up": "updated",
	}
	got := map[string]string{}
	for _, c := range m.Changes {
		got[c.File] = c.Action
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := m.Write(); err != nil {
		t.Fatal(err)
	}
	marks := func(base, ours, theirs string) string {
		return "<<<<<<< yours\n" + ours + "||||||| template x 1.0.0\n" + base + "=======\n" + theirs + ">>>>>>> template x 1.1.0\n"
	}
	after := map[string]string{
		"both": "A\nb\nc\nmine\n", "clash": "a\n" + marks("b\n", "mine\n", "B\n") + "c\n", "crlf": "mine\r\na\r\nb\r\nC\r\n", "gone-changed": "mine\n",
		"link": "-> both", "mode.txt": "m\n", "new/file.sh": "#!/bin/sh\n", "own": "untouched\n", "picture": "\x00mine", "picture.new": "\x00two", "same": "same\n",
		"tail": "mine\na\nb\nc\n", "taken": marks("", "mine\n", "theirs\n"), "to-file": "mine\n", "up": "2\n",
	}
	if diff := cmp.Diff(after, contents(t, dir)); diff != "" {
		t.Error(diff)
	}
	modes := listing(t, dir)
	for name, want := range map[string]string{"new/file.sh": "-rwxr-xr-x", "both": "-rw-r--r--", "up": "-rw-r--r--"} {
		if modes[name] != want {
			t.Errorf("%s has the mode %s, want %s", name, modes[name], want)
		}
	}
	if _, err := MergeStarter(was, now, dir); !isUnresolved(err) {
		t.Errorf("marks that are left: %v", err)
	}
}

func isUnresolved(err error) bool {
	_, ok := errors.AsType[*UnresolvedError](err)
	return ok
}

// A handler that is a link's target elsewhere, or has folders that lead out of it,
// is not written to.
func TestMergeStarterStaysInside(t *testing.T) {
	t.Parallel()
	was, now := starter(t, "1.0.0", map[string]string{"sub/a": "1\n"}), starter(t, "1.1.0", map[string]string{"sub/a": "2\n", "sub/b": "new\n"})
	top := t.TempDir()
	dir := filepath.Join(top, "handler")
	for _, d := range []string{dir, filepath.Join(top, "elsewhere")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../elsewhere", filepath.Join(dir, "sub")); err != nil {
		t.Fatal(err)
	}
	m, err := MergeStarter(was, now, dir)
	if err == nil {
		err = m.Write()
	}
	if err == nil {
		t.Error("no error")
	}
	if got := contents(t, filepath.Join(top, "elsewhere")); len(got) > 0 {
		t.Errorf("written outside: %v", got)
	}
}

// TestMergeStarterMeetsAChange changes a file after it was merged: whatever somebody has
// written stays, and nothing else is written.
func TestMergeStarterMeetsAChange(t *testing.T) {
	t.Parallel()
	was := starter(t, "1.0.0", map[string]string{"a": "1\n", "b": "1\n2\n3\n", "gone": "1\n", "picture": "\x001", "z": "1\n"})
	now := starter(t, "1.1.0", map[string]string{"a": "2\n", "b": "1\n2\n4\n", "new": "2\n", "picture": "\x002", "z": "2\n"})
	begun := map[string]string{"a": "1\n", "b": "mine\n1\n2\n3\n", "gone": "1\n", "picture": "\x00mine", "z": "1\n", ".a.merging": "mine"}
	for name, change := range map[string]func(dir string) error{
		"a":           func(dir string) error { return os.WriteFile(filepath.Join(dir, "a"), []byte("meanwhile\n"), 0o600) },
		"b":           func(dir string) error { return os.WriteFile(filepath.Join(dir, "b"), []byte("meanwhile\n"), 0o600) },
		"gone":        func(dir string) error { return os.WriteFile(filepath.Join(dir, "gone"), []byte("meanwhile\n"), 0o600) },
		"new":         func(dir string) error { return os.WriteFile(filepath.Join(dir, "new"), []byte("meanwhile\n"), 0o600) },
		"picture.new": func(dir string) error { return os.WriteFile(filepath.Join(dir, "picture.new"), []byte("mine"), 0o600) },
		"z":           func(dir string) error { return os.Remove(filepath.Join(dir, "z")) },
	} {
		dir := t.TempDir()
		for file, content := range begun {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		m, err := MergeStarter(was, now, dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := change(dir); err != nil {
			t.Fatal(err)
		}
		want := contents(t, dir)
		err = m.Write()
		if c, ok := errors.AsType[*ChangedError](err); !ok || c.File != filepath.Join(dir, name) {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, contents(t, dir)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		// The next time what is there now is merged.
		if m, err = MergeStarter(was, now, dir); err == nil {
			err = m.Write()
		}
		if got := contents(t, dir); err != nil || got[".a.merging"] != "mine" || len(got) > len(begun)+3 {
			t.Errorf("%s: %v, %v", name, err, got)
		}
	}
}
