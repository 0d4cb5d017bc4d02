package packaging

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/templates"
)

func hardLink(t *testing.T, root, from, to string) {
	t.Helper()
	if err := os.Link(filepath.Join(root, from), filepath.Join(root, to)); err != nil {
		t.Fatal(err)
	}
}

// TestHardLinksOfSecrets: a secret stays out of a context by each of its names, in a
// handler, in what is copied into it, and in a template.
func TestHardLinksOfSecrets(t *testing.T) {
	t.Parallel()
	root := files(t, map[string]string{
		"hello/x": "x", "hello/list.txt": "", "common/y": "y", "own": "1", "other": "2", "given": "3", "equal": "1",
		"mine/template.yml": "fprocess: x\n", "mine/Dockerfile": "FROM a\nCOPY . .\n", "mine/function/z": "z",
	})
	hardLink(t, root, "own", "hello/own")
	hardLink(t, root, "other", "hello/other")
	hardLink(t, root, "given", "common/given")
	hardLink(t, root, "given", "common/single")
	hardLink(t, root, "equal", "hello/equal") // another file of the same contents
	in := Input{
		Function: function(), Template: plainTemplate(t), Root: root, Copy: []string{"common"},
		Hidden: Hide(root, []string{"other", filepath.Join(root, "given"), "gone"}),
	}
	in.Function.BuildSecrets = map[string]string{"own": "own"}
	got := assemble(t, in)
	for name, there := range map[string]bool{
		"function/x": true, "function/common/y": true, "function/equal": true,
		"function/own": false, "function/other": false, "function/common/given": false, "function/common/single": false,
	} {
		if _, err := fs.Stat(got.FS, name); (err == nil) != there {
			t.Errorf("%s: %v", name, err)
		}
	}
	if all := strings.Join(got.Notes, "\n"); !strings.Contains(all, "function/own is a build secret") || !strings.Contains(all, "common/given is a build secret") {
		t.Errorf("notes: %s", all)
	}
	in.Copy = []string{"common/single"}
	if _, err := fs.Stat(assemble(t, in).FS, "function/common/single"); err == nil {
		t.Error("a single file that is a secret is copied")
	}

	hardLink(t, root, "own", "mine/key")
	tmpl, err := templates.OpenDir(filepath.Join(root, "mine"))
	if err != nil {
		t.Fatal(err)
	}
	in.Template = tmpl
	if _, err := Assemble(t.Context(), in); err == nil || !strings.Contains(err.Error(), "the build secret key is a file of template mine") {
		t.Errorf("in a template: %v", err)
	}
}

// TestCredentials: what only a person's tools need stays out, what else looks like a
// credential is said, and a line with "!" or an ignore file ends both.
func TestCredentials(t *testing.T) {
	t.Parallel()
	list := map[string]string{
		"hello/list.txt": "", "hello/.aws/credentials": "x", "hello/.git-credentials": "x", "hello/.env": "A=1",
		"hello/deep/id_ed25519": "x", "hello/.npmrc": "registry=https://example.com/", "common/.docker/config.json": "{}", "common/.netrc": "x",
	}
	in := func(root string) Input {
		return Input{Function: function(), Template: plainTemplate(t), Root: root, Copy: []string{"common"}}
	}
	credentials := func(c *Context) []string {
		var out []string
		for _, n := range c.Notes {
			if strings.Contains(n, "credentials") {
				out = append(out, n)
			}
		}
		return out
	}
	got := assemble(t, in(files(t, list)))
	want := []string{
		"not copied, since only your own tools need such credentials: .aws/credentials, .git-credentials, common/.docker/config.json; have one copied with a line !.aws/credentials in .fnbignore",
		"copied, though it looks like credentials: .env, common/.netrc, deep/id_ed25519; leave such a file out with .dockerignore, give it to a step as a build secret, or say that it belongs there with a line !.env in .fnbignore",
	}
	if diff := cmp.Diff(want, credentials(got)); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	for name, there := range map[string]bool{
		"function/.env": true, "function/.npmrc": true, "function/deep/id_ed25519": true, "function/common/.netrc": true,
		"function/.aws/credentials": false, "function/.git-credentials": false, "function/common/.docker/config.json": false,
	} {
		if _, err := fs.Stat(got.FS, name); (err == nil) != there {
			t.Errorf("%s: %v", name, err)
		}
	}

	list["hello/.fnbignore"] = "!.aws/credentials\n!.env\n!**/id_ed25519\n!**\n!common/.netrc\n!common/.docker\n"
	list["hello/.dockerignore"] = ".git-credentials\n"
	got = assemble(t, in(files(t, list)))
	want = []string{"not copied, since only your own tools need such credentials: .git-credentials, common/.docker/config.json; have one copied with a line !.git-credentials in .fnbignore"}
	if diff := cmp.Diff(want, credentials(got)); diff != "" {
		t.Errorf("with an ignore file, notes (-want +got):\n%s", diff)
	}
	if _, err := fs.Stat(got.FS, "function/.aws/credentials"); err != nil {
		t.Error(err)
	}
}

// TestLoginsInLists: a package list with a login in a URL is copied, and said.
func TestLoginsInLists(t *testing.T) {
	t.Parallel()
	list := map[string]string{
		"hello/requirements.txt": "-i https://me:secret@example.com/simple\n", "hello/bunfig.toml": "[install]\nregistry = {token = \"abc\"}\n",
		"hello/deep/package-lock.json": `{"resolved": "https://me:secret@example.com/a.tgz"}`, "hello/yarn.lock": "resolved https://example.com/a.tgz\n",
	}
	noted := func() string {
		return strings.Join(assemble(t, Input{Function: function(), Template: plainTemplate(t), Root: files(t, list)}).Notes, "\n")
	}
	got := noted()
	for _, want := range []string{
		"copied with a login in a URL, which whoever has the image or its build cache can read: deep/package-lock.json, requirements.txt; take the login out",
		"copied, though it looks like credentials: bunfig.toml; ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	list["hello/.fnbignore"] = "!requirements.txt\n"
	if got := noted(); !strings.Contains(got, "read: deep/package-lock.json; take") {
		t.Errorf("with an ignore file: %q", got)
	}
}

// TestCopiesFromElsewhere: what is allowed outside of the stack's folder has a place
// under its own name.
func TestCopiesFromElsewhere(t *testing.T) {
	t.Parallel()
	root := files(t, map[string]string{"stack/hello/list.txt": "", "stack/link": "-> ../shared/lib", "shared/lib/a": "a", "shared/one": "1", "other": "2"})
	in := Input{
		Function: function(), Template: plainTemplate(t), Root: filepath.Join(root, "stack"),
		Allow: []string{filepath.Join(root, "shared")}, Copy: []string{"../shared/lib", "../shared/one", "link"},
	}
	got := assemble(t, in)
	for _, name := range []string{"function/lib/a", "function/one", "function/link/a"} {
		if _, err := fs.Stat(got.FS, name); err != nil {
			t.Error(err)
		}
	}
	in.Copy = []string{"../other"}
	if _, err := Assemble(t.Context(), in); err == nil || !strings.Contains(err.Error(), "leads out of the stack file's folder") {
		t.Errorf("what is not allowed: %v", err)
	}
}
