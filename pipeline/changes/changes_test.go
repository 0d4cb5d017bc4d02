package changes

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/gitrepo"
	"fnb/internal/fixture"
	"fnb/pipeline"
	"fnb/registry"
	"fnb/schema"
	"fnb/store"
)

const twoFunctions = "functions:\n" +
	"  a: {lang: dockerfile, handler: ./a, image: 'registry.test/acme/a:1', watchdog: none}\n" +
	"  b: {lang: dockerfile, handler: ./b, image: 'registry.test/acme/b:1', watchdog: none}\n"

// A project is a folder with two functions.
type project struct {
	t   *testing.T
	dir string
}

func newProject(t *testing.T) *project {
	t.Helper()
	p := &project{t, t.TempDir()}
	for name, text := range map[string]string{
		"stack.yaml":   twoFunctions,
		"a/Dockerfile": "FROM scratch\nCOPY . /\n", "b/Dockerfile": "FROM scratch\nCOPY . /\n",
		"a/data": "a", "b/data": "b",
	} {
		p.write(name, text)
	}
	return p
}

func (p *project) write(name, text string) {
	p.t.Helper()
	fixture.Write(p.t, text, p.dir, filepath.FromSlash(name))
}

func (p *project) git(args ...string) {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), "git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
	cmd.Dir = p.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

// open is a pipeline that only compares.
func (p *project) open() *pipeline.Pipeline {
	p.t.Helper()
	stack, err := schema.ReadStack(filepath.Join(p.dir, "stack.yaml"), func(string) (string, bool) { return "", false })
	if err != nil {
		p.t.Fatal(err)
	}
	finder, err := store.New(store.Options{CacheDir: p.t.TempDir(), Offline: true})
	if err != nil {
		p.t.Fatal(err)
	}
	reg, err := registry.New(registry.Options{})
	if err != nil {
		p.t.Fatal(err)
	}
	line, err := pipeline.New(stack, pipeline.Settings{CompareOnly: true}, pipeline.Means{Store: finder, Registry: reg, CacheDir: p.t.TempDir()})
	if err != nil {
		p.t.Fatal(err)
	}
	return line
}

// TestSince compares with a revision: by git alone where it knows, else by inputs.
func TestSince(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.git("init", "-q")
	p.git("add", ".")
	p.git("commit", "-qm", "one")
	changed := func() []string {
		t.Helper()
		line := p.open()
		got, err := Since(t.Context(), line, line.Stack.Functions, "HEAD", func() (*gitrepo.Repo, error) {
			return gitrepo.Open(t.Context(), p.dir, gitrepo.Options{})
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	expect := func(what string, want ...string) {
		t.Helper()
		if want == nil {
			want = []string{}
		}
		if diff := cmp.Diff(want, changed()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	expect("nothing")
	p.write("b/data", "changed")
	expect("a file", "b")
	p.write("b/data", "b")
	expect("a file and back")
	p.write("stack.yaml", "# a comment\n"+twoFunctions)
	expect("a comment in the stack file")
	p.write("stack.yaml", strings.Replace(twoFunctions, "acme/a:1", "acme/a:2", 1))
	expect("another image", "a")
	p.write("stack.yaml", twoFunctions+"  c: {lang: dockerfile, handler: ./b, image: 'registry.test/acme/c:1', watchdog: none}\n")
	expect("a new function", "c")
	line := p.open()
	all, err := Since(t.Context(), line, line.Stack.Functions, strings.Repeat("0", 40), nil)
	if err != nil || len(all) != 3 {
		t.Errorf("since nothing: %v, %v", all, err)
	}
}
