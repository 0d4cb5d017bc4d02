package pipeline

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/packaging"
	"fnb/registry"
	"fnb/schema"
	"fnb/store"
)

// A project is a folder with a stack file, for tests.
type project struct {
	t   *testing.T
	dir string
}

func newProject(t *testing.T, files map[string]string) *project {
	t.Helper()
	p := &project{t, t.TempDir()}
	for name, text := range files {
		p.write(name, text)
	}
	return p
}

func (p *project) write(name, text string) {
	p.t.Helper()
	fixture.Write(p.t, text, p.dir, filepath.FromSlash(name))
}

// open is a pipeline that asks no builder.
func (p *project) open(s Settings) *Pipeline {
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
	line, err := New(stack, s, Means{Store: finder, Registry: reg, CacheDir: p.t.TempDir()})
	if err != nil {
		p.t.Fatal(err)
	}
	return line
}

const twoFunctions = "functions:\n" +
	"  a: {lang: dockerfile, handler: ./a, image: 'registry.test/acme/a:1', watchdog: none}\n" +
	"  b: {lang: dockerfile, handler: ./b, image: 'registry.test/acme/b:1', watchdog: none}\n"

func two() map[string]string {
	return map[string]string{
		"stack.yaml":   twoFunctions,
		"a/Dockerfile": "FROM scratch\nCOPY . /\n", "b/Dockerfile": "FROM scratch\nCOPY . /\n",
		"a/data": "a", "b/data": "b",
	}
}

// Functions with one image are one job where it is needed once, and an error where they
// would make different ones.
func TestJobs(t *testing.T) {
	t.Parallel()
	p := newProject(t, two())
	const entry = "  %: {lang: dockerfile, handler: ./a, image: 'registry.test/acme/a:1', watchdog: none"
	share := func(name, more string) string { return strings.Replace(entry, "%", name, 1) + more + "}\n" }
	p.write("stack.yaml", twoFunctions+share("c", "")+share("d", ", skip_build: true"))
	names := func(jobs []*Job) string {
		var out []string
		for _, j := range jobs {
			one := j.Function.Name
			for _, fn := range j.Also {
				one += "+" + fn.Name
			}
			out = append(out, one)
		}
		return strings.Join(out, " ")
	}
	for want, d := range map[string]Destination{
		"a+c b": {}, "a b c": {Kind: ToOCI, Path: "%s.tar"}, "a b c d": {Kind: ToContainer},
	} {
		line := p.open(Settings{Destination: d})
		jobs, err := line.Jobs(t.Context(), line.Stack.Functions)
		if got := names(jobs); err != nil || got != want {
			t.Errorf("%v: %q, %v, want %q", d, got, err, want)
		}
	}
	p.write("stack.yaml", twoFunctions+share("c", ", build_args: {X: '1'}"))
	line := p.open(Settings{})
	var fe *FunctionError
	if _, err := line.Jobs(t.Context(), line.Stack.Functions); !errors.As(err, &fe) || fe.Name != "c" || !strings.Contains(err.Error(), "they differ in build_args") {
		t.Errorf("different ones: %v", err)
	}
	line = p.open(Settings{Destination: Destination{Kind: ToOCI, Path: "all.tar"}})
	var oe *OverwriteError
	if _, err := line.Jobs(t.Context(), line.Stack.Functions); !errors.As(err, &oe) || oe.Functions != 3 {
		t.Errorf("one file for three: %v", err)
	}
	line = p.open(Settings{Tags: []string{"sha"}})
	var te *TagError
	if _, err := line.Jobs(t.Context(), line.Stack.Functions); !errors.As(err, &te) || te.Rule != "sha" {
		t.Errorf("a tag of no commit: %v", err)
	}
}

// The input digest changes with what decides an image, and with nothing else.
func TestPrepare(t *testing.T) {
	t.Parallel()
	p := newProject(t, two())
	digest := func(s Settings) string {
		t.Helper()
		line := p.open(s)
		pl, err := line.Prepare(t.Context(), &Job{Function: line.Stack.Functions[0]})
		if err != nil {
			t.Fatal(err)
		}
		if pl.Template == nil || pl.Pin.Store == "" {
			t.Errorf("no template, or none with a pin: %+v", pl.resolved)
		}
		return pl.Digest
	}
	s := Settings{CompareOnly: true}
	first := digest(s)
	p.write("b/data", "changed")
	if digest(s) != first {
		t.Error("another function's file decides it")
	}
	for name, change := range map[string]func(*Inputs){
		"labels":    func(in *Inputs) { in.Labels = map[string]string{"team": "a"} },
		"platforms": func(in *Inputs) { in.Platforms = schema.Platforms{{OS: "linux", Architecture: "arm64"}} },
		"secrets":   func(in *Inputs) { in.Secrets = map[string][]byte{"token": []byte("x")} },
		"epoch":     func(in *Inputs) { in.Epoch = new(int64(1)) },
	} {
		other := s
		change(&other.Inputs)
		if digest(other) == first {
			t.Errorf("%s do not decide it", name)
		}
	}
	with, without := s, s
	with.Inputs.Secrets = map[string][]byte{"token": []byte("x")}
	without.Inputs.Secrets = map[string][]byte{"token": []byte("y")}
	if digest(with) != digest(without) {
		t.Error("the value of a secret decides it")
	}
	p.write("a/data", "changed")
	if digest(s) == first {
		t.Error("its own file does not decide it")
	}
}

// What fails on the way has a report with what was found until then, and says what was
// being done.
func TestRecordFailure(t *testing.T) {
	t.Parallel()
	files := two()
	files["a/Dockerfile"] = "FROM scratch\nCOPY\n"
	p := newProject(t, files)
	line := p.open(Settings{CompareOnly: true})
	j := &Job{Function: line.Stack.Functions[0], Refs: []Reference{mustRef(t, "registry.test/acme/a:1")}}
	o, err := line.Build(t.Context(), j)
	if err == nil {
		t.Fatal("it was built")
	}
	r := o.Report
	if r.Status != "failed" || r.Error == "" || r.Name != "a" || r.Reference != j.Refs[0].Text || r.Pin == nil {
		t.Errorf("%+v", r)
	}
	if _, ok := r.Seconds["resolve"]; !ok {
		t.Errorf("no time of what worked: %v", r.Seconds)
	}
	f := j.Failed(err)
	if f.Doing != "packaging ./a" || strings.Contains(r.Error, "packaging ./a") {
		t.Errorf("doing %q: %s", f.Doing, r.Error)
	}
}

func TestFunctions(t *testing.T) {
	t.Parallel()
	j := &Job{Function: schema.Function{Name: "a", Line: 2}, Also: []schema.Function{{Name: "z", Line: 1}}}
	made := Functions([]Outcome{{Job: j, Report: schema.FunctionReport{Name: "a", Status: "built", Digest: "d", Warnings: []string{"w"}, Sent: 3}}})
	if len(made) != 2 || made[0].Report.Name != "z" || made[1].Report.Name != "a" {
		t.Fatalf("%+v", made)
	}
	if z := made[0].Report; z.Status != "skipped" || z.Reason != "its image is that of a" || z.Digest != "d" || z.Warnings != nil || z.Sent != 0 {
		t.Errorf("%+v", z)
	}
}

// Each outcome of a run comes back, also where the run is interrupted before.
func TestEachOutcome(t *testing.T) {
	t.Parallel()
	line := newProject(t, two()).open(Settings{})
	jobs := []*Job{{Function: schema.Function{Name: "a"}}, {Function: schema.Function{Name: "b"}, Also: []schema.Function{{Name: "c"}}}}
	broken := errors.New("broken")
	made, err := line.eachOutcome(t.Context(), jobs, 2, func(_ context.Context, j *Job) (Outcome, error) {
		if j.Function.Name == "b" {
			return Outcome{Job: j, Report: j.report()}, While("breaking", broken)
		}
		return Outcome{Job: j, Report: schema.FunctionReport{Name: "a", Status: "built"}}, nil
	})
	var run *RunError
	if !errors.As(err, &run) || run.All != 3 || len(run.Failed) != 1 || run.Failed[0].Doing != "breaking" || !slices.Equal(run.Failed[0].Also, []string{"c"}) || !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if len(made) != 2 || made[0].Report.Status != "built" {
		t.Errorf("%+v", made)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	made, err = line.eachOutcome(ctx, jobs, 2, func(context.Context, *Job) (Outcome, error) { panic("it was begun") })
	if !errors.Is(err, context.Canceled) || len(made) != 2 || made[1].Report.Name != "b" {
		t.Errorf("%v, %+v", err, made)
	}
}

// What a registry has already is taken from there by its inputs, and gets the references
// that are wanted; a registry that does not answer is asked once.
func TestReusePushed(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{})
	p := newProject(t, two())
	line := p.open(Settings{Destination: Destination{Kind: ToRegistry}})
	var err error
	if line.Registry, err = registry.New(registry.Options{Insecure: []string{reg.Host}}); err != nil {
		t.Fatal(err)
	}
	pl := &Plan{Job: &Job{Function: line.Stack.Functions[0], Refs: []Reference{mustRef(t, reg.Host+"/acme/a:1")}}, Digest: "sha256:" + strings.Repeat("1", 64)}
	there, err := line.reuse(t.Context(), pl, nil)
	if err != nil || there.image != nil || there.earlier != nil {
		t.Fatalf("%+v, %v", there, err)
	}
	if _, measured := there.seconds["check"]; !measured {
		t.Error("its time is not known")
	}
	if ref := inputRef(pl.Job.Refs[0], pl.Digest); ref.Text != reg.Host+"/acme/a:"+packaging.InputTag(pl.Digest) {
		t.Errorf("the tag of the inputs is %s", ref.Text)
	}
	away := &Plan{Job: &Job{Refs: []Reference{mustRef(t, "127.0.0.1:1/acme/a:1")}}, Digest: pl.Digest}
	for i, notes := range []int{1, 0} {
		there, err := line.reuse(t.Context(), away, nil)
		if err != nil || there.image != nil || len(there.Notes) != notes {
			t.Errorf("%d: %+v, %v", i, there, err)
		}
	}
	for name, s := range map[string]Settings{"no-cache": {NoCache: true, Destination: line.settings.Destination}, "": {Destination: Destination{Kind: ToOCI}}} {
		line.settings = s
		if n := line.mustSolve(pl); n.Text == "" || string(n.Kind) != name {
			t.Errorf("%+v", n)
		}
	}
}
