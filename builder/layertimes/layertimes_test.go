package layertimes_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"

	"fnb/builder/layertimes"
)

func TestPossible(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"FROM scratch\nCOPY a /": true,
		"FROM golang AS build\nRUN make\nFROM static AS runtime\nWORKDIR /home/app\nFROM runtime\nCOPY --from=build /out/ /home/app/\nUSER 1": true,
		"FROM debian\nRUN make":                               false,
		"FROM debian AS base\nRUN make\nFROM base\nCOPY a /":  false,
		"FROM debian AS Base\nRUN make\nFROM bASE\nCOPY a /":  false,
		"FROM debian\nADD a.tar /":                            false,
		"ARG A=x\nFROM debian-${A}\nCOPY a /":                 true,
		"FROM debian-${TARGETARCH}\nCOPY a /":                 false,
		"ARG A=$TARGETARCH\nFROM debian-$A\nCOPY a /":         false,
		"FROM debian AS one\nCOPY a /\nFROM debian\nRUN make": false,
		"no Dockerfile": false,
		"":              false,
	} {
		if got := layertimes.Possible([]byte(text), ""); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
	two := []byte("FROM debian AS one\nCOPY a /\nFROM debian\nRUN make")
	for target, want := range map[string]bool{"one": true, "ONE": true, "0": true, "1": false, "none": false} {
		if got := layertimes.Possible(two, target); got != want {
			t.Errorf("%s: %t", target, got)
		}
	}
}

func define(t *testing.T, st llb.State) *llb.Definition {
	t.Helper()
	def, err := st.Marshal(t.Context(), llb.LinuxAmd64)
	if err != nil {
		t.Fatal(err)
	}
	return def
}

// actions are those of the steps that a result is made of, as their kind, place and time say.
func actions(t *testing.T, def *llb.Definition) []string {
	t.Helper()
	known, needed := map[string]bool{}, map[string]bool{digest.FromBytes(def.Def[len(def.Def)-1]).String(): true}
	for _, raw := range slices.Backward(def.Def) {
		var op pb.Op
		if err := op.UnmarshalVT(raw); err != nil {
			t.Fatal(err)
		}
		for _, in := range op.GetInputs() {
			needed[in.GetDigest()] = needed[in.GetDigest()] || needed[digest.FromBytes(raw).String()]
		}
	}
	var all []string
	for _, raw := range def.Def {
		if !needed[digest.FromBytes(raw).String()] {
			continue
		}
		var op pb.Op
		if err := op.UnmarshalVT(raw); err != nil {
			t.Fatal(err)
		}
		for _, in := range op.GetInputs() {
			if !known[in.GetDigest()] {
				t.Errorf("a step is made of %s, which is not before it", in.GetDigest())
			}
		}
		known[digest.FromBytes(raw).String()] = true
		count := int64(len(op.GetInputs()))
		for i, a := range op.GetFile().GetActions() {
			if last := i == len(op.GetFile().GetActions())-1; last != (a.GetOutput() == 0) || a.GetInput() >= count+int64(i) || i > 0 && a.GetInput() != count+int64(i)-1 {
				t.Errorf("action %d takes %d and is %d", i, a.GetInput(), a.GetOutput())
			}
			at := func(kind, place string, time int64) {
				if time != 1_000_000_000 {
					kind += "?"
				}
				all = append(all, kind+" "+place)
			}
			if m := a.GetMkdir(); m != nil {
				at("mkdir", m.GetPath(), m.GetTimestamp())
			}
			if c := a.GetCopy(); c != nil {
				at("copy", c.GetSrc()+" "+c.GetDest(), c.GetTimestamp())
			}
		}
	}
	return all
}

func TestSet(t *testing.T) {
	t.Parallel()
	built := llb.Image("golang").File(llb.Copy(llb.Local("context"), "/", "/src/"))
	base := llb.Image("static").File(llb.Mkdir("/home/app", 0o755, llb.WithParents(true)))
	root := base.File(llb.Copy(built, "/b/", "/"))
	app := root.File(llb.Copy(built, "/out/", "/home/app/").Copy(built, "/etc/x", "/etc/", llb.WithUser("app")))
	app = app.File(llb.Copy(llb.Local("context"), "/", "/function"))
	app = app.File(llb.Copy(llb.Local("context"), "/*.py", "/home/app/", &llb.CopyInfo{AllowWildcard: true, AllowEmptyWildcard: true}))
	linked := llb.Merge([]llb.State{app, llb.Scratch().File(llb.Copy(built, "/a", "/usr/bin/a")), llb.OCILayout("fnb.local/watchdog@" + digest.FromString("x").String())})
	def := define(t, linked)
	if err := layertimes.Set(def, 1); err != nil {
		t.Fatal(err)
	}
	want := `copy? / /src/
mkdir /empty
mkdir /home/app
copy /empty /home
copy /empty /home/app
copy /b /
copy /out /home/app/
copy /etc/x /etc/
copy /empty /etc
copy /empty /home
copy /empty /home/app
copy / /function
copy /empty /function
copy /*.py /home/app/
copy /empty /home
copy /empty /home/app
copy /a /usr/bin/a
copy /empty /usr
copy /empty /usr/bin`
	if got := strings.Join(actions(t, def), "\n"); got != want {
		t.Errorf("%s", got)
	}
	for _, raw := range def.Def {
		if _, ok := def.Metadata[digest.FromBytes(raw)]; !ok {
			t.Error("nothing is said of a step")
		}
	}
}

func TestImpossible(t *testing.T) {
	t.Parallel()
	context := llb.Local("context")
	for name, st := range map[string]llb.State{
		"RUN":              llb.Image("debian").Run(llb.Shlex("make")).Root(),
		"below":            llb.Image("debian").Run(llb.Shlex("make")).Root().File(llb.Copy(context, "/", "/src/")),
		"no slash":         llb.Image("debian").File(llb.Copy(context, "/a", "/bin/a")),
		"unpacked":         llb.Image("debian").File(llb.Copy(context, "/a", "/", &llb.CopyInfo{AttemptUnpack: true})),
		"patterns":         llb.Image("debian").File(llb.Copy(context, "/", "/a/", llb.WithExcludePatterns([]string{"b"}))),
		"removed":          llb.Image("debian").File(llb.Rm("/a")),
		"a file":           llb.Image("debian").File(llb.Mkfile("/a", 0o644, nil)),
		"a context":        context,
		"merged":           llb.Merge([]llb.State{llb.Image("debian"), llb.Image("debian").Run(llb.Shlex("make")).Root()}),
		"wildcard":         llb.Image("debian").File(llb.Copy(context, "/*", "/a/", &llb.CopyInfo{AllowWildcard: true})),
		"wildcards linked": llb.Merge([]llb.State{llb.Image("debian").File(llb.Mkdir("/a", 0o755)), llb.Scratch().File(llb.Copy(context, "/*", "/a/", &llb.CopyInfo{AllowWildcard: true}))}),
		"a name for many":  llb.Scratch().File(llb.Copy(context, "/*", "/a", &llb.CopyInfo{AllowWildcard: true})),
		"removed, on it's": llb.Image("debian").File(llb.Mkdir("/a", 0o755).Rm("/b")),
	} {
		def := define(t, st)
		before := len(def.Def)
		if err := layertimes.Set(def, 1); !errors.Is(err, layertimes.ErrImpossible) || len(def.Def) != before {
			t.Errorf("%s: %v", name, err)
		}
	}
}
