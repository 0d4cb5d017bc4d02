package builder_test

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"fnb/builder"
	"fnb/builder/buildertest"
	"fnb/internal/fixture"
	"fnb/schema"
	"fnb/schema/layers"
	"fnb/schema/words"
)

// A multi-platform image of files alone, with a watchdog for each platform.
func TestPlatforms(t *testing.T) {
	t.Parallel()
	c, host := buildertest.Stock(t), buildertest.RegistryHost(t)
	w := buildertest.NewWatchdog(t, "linux/amd64", "linux/arm64", "linux/arm/v7")
	req := builder.Request{
		Name: "hello", Context: fixture.Files("Dockerfile", "FROM scratch\nARG TARGETARCH\nCOPY handler /\nCMD [\"/handler\"]\n", "handler*", "x"),
		Platforms: append(slices.Clone(buildertest.ThreePlatforms()), schema.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}),
		Watchdog:  w.Watchdog,
		Config:    schema.ImageConfig{Entrypoint: []string{"/usr/bin/fwatchdog"}, Labels: map[string]string{"fnb.template": "go@1.0.0"}},
		Output:    builder.Output{Push: []string{host + "/platforms/hello:1", host + "/platforms/hello:latest"}},
	}
	res := buildertest.Solve(t, c, req)
	if len(res.Platforms) != 3 || res.MediaType != "application/vnd.oci.image.index.v1+json" || res.Size == 0 {
		t.Errorf("got %+v", res)
	}
	// The same in an image store is the same image.
	store := t.TempDir()
	req.Output = builder.Output{Store: store}
	if stored := buildertest.Solve(t, c, req); stored.Digest != res.Digest {
		t.Errorf("pushed %s, stored %s", res.Digest, stored.Digest)
	}
	buildertest.Indexed(t, store, res)
	buildertest.NoLeftovers(t, store)
	for _, tag := range []string{"1", "latest"} {
		ref, err := name.NewDigest(host + "/platforms/hello@" + res.Digest)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := remote.Head(ref.Context().Tag(tag)); err != nil || d.Digest.String() != res.Digest {
			t.Errorf("tag %s: %v %v", tag, d, err)
		}
	}
	checkPlatforms(t, host+"/platforms/hello:1", w)
}

func checkPlatforms(t *testing.T, tag string, w buildertest.Watchdog) {
	t.Helper()
	ref, err := name.ParseReference(tag)
	if err != nil {
		t.Fatal(err)
	}
	idx, err := remote.Index(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(idx); err != nil {
		t.Error(err)
	}
	m, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if m.Annotations["fnb.template"] != "go@1.0.0" {
		t.Errorf("index annotations %v", m.Annotations)
	}
	var seen []string
	for _, d := range m.Manifests {
		id := d.Platform.String()
		seen = append(seen, id)
		img, err := idx.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		im, err := img.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		if last := im.Layers[len(im.Layers)-1]; last.Digest.String() != w.Layers[id] {
			t.Errorf("%s: the watchdog's layer is %s, in the layout %s", id, last.Digest, w.Layers[id])
		}
		if im.Annotations["fnb.template"] != "go@1.0.0" {
			t.Errorf("%s: annotations %v", id, im.Annotations)
		}
		conf, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if got := conf.Platform().String(); got != id {
			t.Errorf("%s: configuration says %s", id, got)
		}
		if !slices.Contains(conf.Config.Env, "fprocess=/handler") || conf.Created.Unix() != builder.DefaultEpoch {
			t.Errorf("%s: env %q, created %s", id, conf.Config.Env, conf.Created)
		}
		layers := 0
		for _, h := range conf.History {
			if !h.EmptyLayer {
				layers++
			}
		}
		if layers != len(im.Layers) {
			t.Errorf("%s: %d layers, and history has %d", id, len(im.Layers), layers)
		}
	}
	if want := []string{"linux/amd64", "linux/arm64", "linux/arm/v7"}; !slices.Equal(seen, want) {
		t.Errorf("platforms %q", seen)
	}
}

// The watchdog's layer is one blob in images of different functions and bases.
func TestWatchdogLayerIsShared(t *testing.T) {
	t.Parallel()
	c, w := buildertest.Stock(t), buildertest.NewWatchdog(t, "linux/amd64")
	for dockerfile, says := range map[string]string{
		"FROM scratch\nCOPY Dockerfile /\n":                           "copy handler=1,watchdog=1",
		buildertest.SmallBase(t) + "RUN echo hello >/hello\n":         "run base=1,packages=1,watchdog=1",
		buildertest.SmallBase(t) + "RUN true\nCOPY --link . /hello\n": "run base=1,packages=1,handler=1,watchdog=1",
		buildertest.SmallBase(t):                                      "copy base=1,watchdog=1",
		"FROM scratch\n":                                              "copy watchdog=1",
	} {
		store := t.TempDir()
		res := buildertest.Solve(t, c, builder.Request{Name: "f", Context: fixture.Files("Dockerfile", dockerfile), Platforms: buildertest.ThreePlatforms()[:1], Watchdog: w.Watchdog, Output: builder.Output{Store: store}})
		idx, err := buildertest.Indexed(t, store, res).ImageIndex()
		if err != nil {
			t.Fatal(err)
		}
		h, err := v1.NewHash(res.Digest)
		if err != nil {
			t.Fatal(err)
		}
		img, err := idx.Image(h)
		if err != nil {
			t.Fatal(err)
		}
		m, err := img.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		if last := m.Layers[len(m.Layers)-1].Digest.String(); last != w.Layers["linux/amd64"] {
			t.Errorf("%q: the last layer is %s, the watchdog's %s", dockerfile, last, w.Layers["linux/amd64"])
		}
		conf, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		labels := conf.Config.Labels
		if l, err := layers.Parse(labels[words.LabelLayers]); err != nil || l.Len() != len(m.Layers) || labels[words.LabelClass]+" "+l.String() != says {
			t.Errorf("%q: of %d layers it says %v", dockerfile, len(m.Layers), labels)
		}
		if m.Annotations[words.LabelLayers] != labels[words.LabelLayers] || m.Annotations[words.LabelClass] != labels[words.LabelClass] {
			t.Errorf("%q: the annotations are %v", dockerfile, m.Annotations)
		}
	}
}

// A watchdog can be taken from an image by its reference.
func TestWatchdogByReference(t *testing.T) {
	t.Parallel()
	c, host := buildertest.Stock(t), buildertest.RegistryHost(t)
	ref := host + "/watchdogs/of-watchdog:1"
	buildertest.Solve(t, c, builder.Request{Name: "wd", Context: fixture.Files("Dockerfile", "FROM scratch\nCOPY fwatchdog /\n", "fwatchdog", "another watchdog"), Output: builder.Output{Push: []string{ref}}})
	dir := buildertest.RootFS(t, c, builder.Request{Name: "f", Context: fixture.Files("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n"), Watchdog: builder.Watchdog{Reference: ref}})
	if got := fixture.Read(t, dir, "usr/bin/fwatchdog"); got != "another watchdog" {
		t.Errorf("got %q", got)
	}
	if fi, err := os.Stat(filepath.Join(dir, "usr/bin/fwatchdog")); err != nil || fi.Mode() != 0o755 {
		t.Errorf("mode %v %v", fi.Mode(), err)
	}
	_, err := c.Solve(t.Context(), builder.Request{Name: "f", Context: fixture.Files("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n"), Watchdog: builder.Watchdog{Reference: host + "/no/such:1"}})
	var se *builder.SolveError
	if !errors.As(err, &se) || !strings.Contains(se.Problem, "/no/such:1") {
		t.Errorf("a watchdog that does not exist: %T %v", err, err)
	}
}

// Tars hold the image under its names.
func TestTars(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	req := builder.Request{Name: "f", Context: fixture.Files("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n"), Platforms: buildertest.ThreePlatforms()[:1]}
	path := filepath.Join(t.TempDir(), "docker.tar")
	open := func() (io.WriteCloser, error) { return os.Create(path) }
	req.Output = builder.Output{Docker: open, Names: []string{"example.com/f:1", "example.com/f:2"}}
	buildertest.Solve(t, c, req)
	tag, err := name.NewTag("example.com/f:2")
	if err != nil {
		t.Fatal(err)
	}
	img, err := tarball.ImageFromPath(path, &tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img); err != nil {
		t.Error(err)
	}
	req.Output = builder.Output{OCI: open, Names: []string{"example.com/f:1"}}
	res := buildertest.Solve(t, c, req)
	dir := t.TempDir()
	untar(t, path, dir)
	p, err := layout.FromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	idx, err := p.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	descs, err := partial.FindManifests(idx, func(v1.Descriptor) bool { return true })
	if err != nil || len(descs) != 1 || descs[0].Digest.String() != res.Digest || descs[0].Annotations["io.containerd.image.name"] != "example.com/f:1" {
		t.Errorf("got %+v %v, want %s", descs, err, res.Digest)
	}
	refuse := errors.New("no place for it")
	req.Output = builder.Output{OCI: func() (io.WriteCloser, error) { return nil, refuse }}
	_, err = c.Solve(t.Context(), req)
	var ee *builder.ExportError
	if !errors.As(err, &ee) || !strings.Contains(ee.Problem, refuse.Error()) {
		t.Errorf("a tar that cannot be opened: %T %v", err, err)
	}
}

func untar(t *testing.T, path, dir string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for h, r := range fixture.Entries(t, f) {
		to := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			if err := os.MkdirAll(to, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		raw, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
