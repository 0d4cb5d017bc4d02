package steps_test

import (
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/builder/steps"
	"fnb/schema/words"
)

var linux = llb.Platform(ocispecs.Platform{OS: "linux", Architecture: "amd64"})

func marshalled(t *testing.T, st llb.State) *llb.Definition {
	t.Helper()
	def, err := st.Marshal(t.Context(), linux)
	if err != nil {
		t.Fatal(err)
	}
	return def
}

func run(from llb.State, opts ...llb.RunOption) llb.State {
	return from.Run(append([]llb.RunOption{llb.Args([]string{"true"})}, opts...)...).Root()
}

// What a layer is there for is told from what its step reads, also by way of other stages.
func TestLayers(t *testing.T) {
	t.Parallel()
	context := llb.Scratch().File(llb.Mkdir("/function", 0o755).Mkfile("/function/handler.py", 0o644, []byte("x")).Mkdir("/packages", 0o755).Mkfile("/index.py", 0o644, nil))
	base := llb.Image("docker.io/library/debian:12")
	from := func(st llb.State, source llb.State, src string, opts ...llb.CopyOption) llb.State {
		return st.File(llb.Copy(source, src, "/out/", opts...))
	}
	deps := run(from(run(base), context, "/packages"))
	mounted := run(base, llb.AddMount("/mnt", context, llb.SourcePath("function")))
	entry := run(from(base, context, "/function/"))
	for name, c := range map[string]struct {
		state   llb.State
		handler string
		want    string
		class   string
	}{
		"nothing":             {llb.Scratch(), "function", "", words.ClassCopy},
		"base alone":          {base, "function", "base=3", words.ClassCopy},
		"no base":             {from(llb.Scratch(), context, "/function"), "function", "handler=1", words.ClassCopy},
		"template's own file": {from(base, context, "/index.py"), "function", "base=3,packages=1", words.ClassCopy},
		"packages, handler":   {from(from(base.File(llb.Mkdir("/w", 0o755)), deps, "/venv"), context, "function"), "function", "base=3,packages=2,handler=1", words.ClassCopy},
		"made of the handler": {from(from(base, entry, "/x"), context, "/index.py"), "function", "base=3,handler=1,packages=1", words.ClassCopy},
		"mounted handler":     {from(base, mounted, "/x"), "function", "base=3,handler=1", words.ClassCopy},
		"all of the context":  {from(base, context, "/"), "function", "base=3,handler=1", words.ClassCopy},
		"all is the handler":  {from(base, context, "/index.py"), ".", "base=3,handler=1", words.ClassCopy},
		"a pattern":           {from(base, context, "/*.py"), "function", "base=3,handler=1", words.ClassCopy},
		"a package list":      {from(base, context, "/function/requirements.tx[t]"), "function", "base=3,packages=1", words.ClassCopy},
		"several in one":      {base.File(llb.Copy(context, "/index.py", "/").Copy(context, "/function", "/").Copy(context, "/index.py", "/b")), "function", "base=3,handler=1", words.ClassCopy},
		"linked":              {llb.Merge([]llb.State{base, from(llb.Scratch(), context, "/function"), from(llb.Scratch(), context, "/index.py")}), "function", "base=3,handler=1,packages=1", words.ClassCopy},
		"run":                 {from(run(base), context, "/function"), "function", "base=3,packages=1,handler=1", words.ClassRun},
		"run behind":          {run(from(base, context, "/function")), "function", "base=3,handler=1,packages=1", words.ClassRun},
		"run on the handler":  {run(base, llb.AddMount("/mnt", context)), "function", "base=3,handler=1", words.ClassRun},
		"run that leaves it":  {run(base, llb.AddMount("/cache", llb.Scratch(), llb.AsPersistentCacheDir("x", llb.CacheMountShared))), "function", "base=3,packages=1", words.ClassRun},
		"owner of the image":  {from(base, context, "/function", llb.WithUser("app")), "function", "base=3,handler=1", words.ClassRun},
		"owner by number":     {from(base, context, "/function", llb.WithUser("1000:1000")), "function", "base=3,handler=1", words.ClassCopy},
		"folder of somebody":  {base.File(llb.Mkdir("/home/x", 0o755, llb.WithUser("x"))), "function", "base=3,packages=1", words.ClassRun},
		"mount of a stage": {base.With(func(s llb.State) llb.State {
			return from(s, base.Run(llb.Args([]string{"x"}), llb.AddMount("/out", llb.Scratch())).GetMount("/out"), "/")
		}), "function", "base=3,packages=1", words.ClassCopy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, class, err := steps.Layers(marshalled(t, c.state), steps.Source{
				Base: 3, Context: marshalled(t, context).ToPB(), Handler: c.handler, Lists: []string{"function/requirements.txt", ""},
			})
			if err != nil || got.String() != c.want || class != c.class {
				t.Errorf("%s, %s, %v; want %s, %s", got, class, err, c.want, c.class)
			}
		})
	}
	for name, st := range map[string]llb.State{
		"of files":      from(llb.Local("x"), context, "/function"),
		"a difference":  llb.Diff(base, from(base, context, "/function")),
		"of repository": llb.Git("https://git.example.com/x.git", "main"),
	} {
		if got, _, err := steps.Layers(marshalled(t, st), steps.Source{Base: 3}); err == nil {
			t.Errorf("%s: %s", name, got)
		}
	}
	def := marshalled(t, base)
	def.Def[0] = []byte("\xff\xff")
	if _, _, err := steps.Layers(def, steps.Source{}); err == nil {
		t.Error("what is no description was read")
	}
	if _, _, err := steps.Layers(&llb.Definition{Def: [][]byte{mustMarshal(t, &pb.Op{Inputs: []*pb.Input{{Digest: "sha256:x"}}})}}, steps.Source{}); err == nil {
		t.Error("a step that is not there was read")
	}
}

func mustMarshal(t *testing.T, op *pb.Op) []byte {
	t.Helper()
	raw, err := op.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
