package watchdog

import (
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/apicaps"
	apicapspb "github.com/moby/buildkit/util/apicaps/pb"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/internal/fixture"
)

// A builder that can merge gets the layer as it is, another a copy of the file.
func TestMergeOrCopy(t *testing.T) {
	t.Parallel()
	w := watchdogOf(t, "linux/amd64")
	tests := []struct {
		name  string
		caps  []apicaps.CapID
		ops   []string // in the definition
		never []string
	}{
		{"all", []apicaps.CapID{pb.CapMergeOp, pb.CapSourceOCILayout}, []string{"merge", "oci-layout://"}, []string{"copy", "local://"}},
		{"no merge", []apicaps.CapID{pb.CapSourceOCILayout}, []string{"copy", "oci-layout://"}, []string{"merge", "local://"}},
		{"neither", nil, []string{"copy", "local://fnbwatchdog-linux-amd64"}, []string{"merge", "oci-layout://"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			set := capSet(tt.caps)
			p := ocispecs.Platform{OS: "linux", Architecture: "amd64"}
			st, err := w.Over(llb.Scratch().File(llb.Mkdir("/x", 0o755)), p, set)
			if err != nil {
				t.Fatal(err)
			}
			def, err := st.Marshal(t.Context(), llb.Platform(p))
			if err != nil {
				t.Fatal(err)
			}
			got := describe(t, def)
			for _, op := range tt.ops {
				if !strings.Contains(got, op) {
					t.Errorf("no %q in %q", op, got)
				}
			}
			for _, op := range tt.never {
				if strings.Contains(got, op) {
					t.Errorf("%q in %q", op, got)
				}
			}
		})
	}
	if _, err := w.State(Image, ocispecs.Platform{OS: "linux", Architecture: "s390x"}, capSet(nil)); err == nil || !strings.Contains(err.Error(), "linux/s390x") {
		t.Errorf("a platform without a watchdog: %v", err)
	}
}

// capSet is what a builder says that has these capabilities of the two.
func capSet(ids []apicaps.CapID) apicaps.CapSet {
	var known apicaps.CapList
	var has []*apicapspb.APICap
	for _, id := range []apicaps.CapID{pb.CapMergeOp, pb.CapSourceOCILayout} {
		known.Init(apicaps.Cap{ID: id, Enabled: true})
		if slices.Contains(ids, id) {
			has = append(has, &apicapspb.APICap{ID: string(id), Enabled: true})
		}
	}
	return known.CapSet(has)
}

// describe names the operations of a definition.
func describe(t *testing.T, def *llb.Definition) string {
	t.Helper()
	var words []string
	for _, raw := range def.Def {
		var op pb.Op
		if err := op.UnmarshalVT(raw); err != nil {
			t.Fatal(err)
		}
		switch o := op.Op.(type) {
		case *pb.Op_Merge:
			words = append(words, "merge")
		case *pb.Op_Source:
			words = append(words, o.Source.Identifier)
		case *pb.Op_File:
			for _, a := range o.File.Actions {
				if a.GetCopy() != nil {
					words = append(words, "copy")
				}
			}
		}
	}
	return strings.Join(words, " ")
}

// What a builder without OCI layouts is sent is the program in the layer.
func TestProgram(t *testing.T) {
	t.Parallel()
	w := watchdogOf(t, "linux/amd64", "linux/arm64")
	for platform, manifest := range w.Manifests {
		f := &program{layout: w.Layout, manifest: manifest}
		var paths []string
		if err := f.Walk(t.Context(), "", func(p string, d fs.DirEntry, _ error) error {
			paths = append(paths, p)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if len(paths) != 3 || filepath.ToSlash(paths[2]) != "usr/bin/fwatchdog" {
			t.Errorf("%s: walked %q", platform, paths)
		}
		r, err := f.Open(paths[2])
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != fixture.Program(platform) {
			t.Errorf("%s: got %q, %v", platform, got, err)
		}
	}
	f := &program{layout: w.Layout, manifest: digest.FromString("no such").String()}
	if _, err := f.Open("usr/bin/fwatchdog"); err == nil {
		t.Error("a missing manifest was read")
	}
}

// watchdogOf is a stand-in for the watchdog of some platforms.
func watchdogOf(t *testing.T, platforms ...string) Layer {
	t.Helper()
	layout, manifests, _ := fixture.WatchdogLayout(t, platforms...)
	return Layer{Layout: layout, Manifests: manifests}
}
