package builder

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/apicaps"
	apicapspb "github.com/moby/buildkit/util/apicaps/pb"
	digest "github.com/opencontainers/go-digest"

	"fnb/schema"
)

// A testWatchdog is an OCI layout with a stand-in for the watchdog.
type testWatchdog struct {
	Watchdog
	layers map[string]string // digests, by platform
}

// program is the stand-in for the watchdog of a platform.
func program(platform string) string { return "the watchdog for " + platform + "\n" }

func newWatchdog(t *testing.T, platforms ...string) testWatchdog {
	t.Helper()
	dir := t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	w := testWatchdog{Watchdog: Watchdog{Layout: os.DirFS(dir), Manifests: map[string]string{}}, layers: map[string]string{}}
	for _, name := range platforms {
		p, err := v1.ParsePlatform(name)
		if err != nil {
			t.Fatal(err)
		}
		layer := static.NewLayer(watchdogLayer(t, program(name)), types.OCILayer)
		img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layer)
		if err != nil {
			t.Fatal(err)
		}
		conf, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		conf.OS, conf.Architecture, conf.Variant = p.OS, p.Architecture, p.Variant
		conf.RootFS.DiffIDs = []v1.Hash{diffID(t, program(name))}
		if img, err = mutate.ConfigFile(img, conf); err != nil {
			t.Fatal(err)
		}
		if err := path.AppendImage(img); err != nil {
			t.Fatal(err)
		}
		dgst, err := img.Digest()
		if err != nil {
			t.Fatal(err)
		}
		l, err := layer.Digest()
		if err != nil {
			t.Fatal(err)
		}
		w.Manifests[name], w.layers[name] = dgst.String(), l.String()
	}
	return w
}

// watchdogTar is a layer's tar as the packaging room makes it.
func watchdogTar(t *testing.T, program string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeDir, Name: "usr/", Mode: 0o755},
		{Typeflag: tar.TypeDir, Name: "usr/bin/", Mode: 0o755},
		{Typeflag: tar.TypeReg, Name: "usr/bin/fwatchdog", Mode: 0o755, Size: int64(len(program))},
	} {
		h.Format = tar.FormatUSTAR
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Write([]byte(program)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func watchdogLayer(t *testing.T, program string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(watchdogTar(t, program)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func diffID(t *testing.T, program string) v1.Hash {
	t.Helper()
	h, err := v1.NewHash(digest.FromBytes(watchdogTar(t, program)).String())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// A builder that can merge gets the layer as it is, another a copy of the file.
func TestMergeOrCopy(t *testing.T) {
	t.Parallel()
	w := newWatchdog(t, "linux/amd64")
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
			b := &build{req: &Request{Watchdog: w.Watchdog}}
			p := ociPlatform(schema.Platform{OS: "linux", Architecture: "amd64"})
			layer, err := b.watchdog(p, set)
			if err != nil {
				t.Fatal(err)
			}
			def, err := merge(llb.Scratch().File(llb.Mkdir("/x", 0o755)), layer, set).Marshal(t.Context(), llb.Platform(p))
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
	b := &build{req: &Request{Watchdog: w.Watchdog}}
	if _, err := b.watchdog(ociPlatform(schema.Platform{OS: "linux", Architecture: "s390x"}), capSet(nil)); err == nil || !strings.Contains(err.Error(), "linux/s390x") {
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
func TestWatchdogFS(t *testing.T) {
	t.Parallel()
	w := newWatchdog(t, "linux/amd64", "linux/arm64")
	for platform, manifest := range w.Manifests {
		f := &watchdogFS{layout: w.Layout, manifest: manifest}
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
		if got := readAll(t, f, paths[2]); got != program(platform) {
			t.Errorf("%s: got %q", platform, got)
		}
	}
	f := &watchdogFS{layout: w.Layout, manifest: digest.FromString("no such").String()}
	if _, err := f.Open("usr/bin/fwatchdog"); err == nil {
		t.Error("a missing manifest was read")
	}
}
