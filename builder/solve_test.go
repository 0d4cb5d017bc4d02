package builder

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

	"fnb/schema"
)

var threePlatforms = []schema.Platform{
	{OS: "linux", Architecture: "amd64"},
	{OS: "linux", Architecture: "arm64"},
	{OS: "linux", Architecture: "arm", Variant: "v7"},
}

// A multi-platform image of files alone, with a watchdog for each platform.
func TestPlatforms(t *testing.T) {
	t.Parallel()
	c, host := stock(t), registryHost(t)
	w := newWatchdog(t, "linux/amd64", "linux/arm64", "linux/arm/v7")
	req := Request{
		Name: "hello", Context: files("Dockerfile", "FROM scratch\nARG TARGETARCH\nCOPY handler /\nCMD [\"/handler\"]\n", "handler*", "x"),
		Platforms: append(slices.Clone(threePlatforms), schema.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}),
		Watchdog:  w.Watchdog,
		Config:    schema.ImageConfig{Entrypoint: []string{"/usr/bin/fwatchdog"}, Labels: map[string]string{"fnb.template": "go@1.0.0"}},
		Output:    Output{Push: []string{host + "/platforms/hello:1", host + "/platforms/hello:latest"}},
	}
	res := solve(t, c, req)
	if len(res.Platforms) != 3 || res.MediaType != "application/vnd.oci.image.index.v1+json" || res.Size == 0 {
		t.Errorf("got %+v", res)
	}
	// The same in an image store is the same image.
	store := t.TempDir()
	req.Output = Output{Store: store}
	if stored := solve(t, c, req); stored.Digest != res.Digest {
		t.Errorf("pushed %s, stored %s", res.Digest, stored.Digest)
	}
	indexed(t, store, res)
	noLeftovers(t, store)
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

func checkPlatforms(t *testing.T, tag string, w testWatchdog) {
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
		if last := im.Layers[len(im.Layers)-1]; last.Digest.String() != w.layers[id] {
			t.Errorf("%s: the watchdog's layer is %s, in the layout %s", id, last.Digest, w.layers[id])
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
		if !slices.Contains(conf.Config.Env, "fprocess=/handler") || conf.Created.Unix() != DefaultEpoch {
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
	c, w := stock(t), newWatchdog(t, "linux/amd64")
	for _, dockerfile := range []string{"FROM scratch\nCOPY Dockerfile /\n", small(t) + "RUN echo hello >/hello\n", small(t), "FROM scratch\n"} {
		store := t.TempDir()
		res := solve(t, c, Request{Name: "f", Context: files("Dockerfile", dockerfile), Platforms: threePlatforms[:1], Watchdog: w.Watchdog, Output: Output{Store: store}})
		idx, err := indexed(t, store, res).ImageIndex()
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
		if last := m.Layers[len(m.Layers)-1].Digest.String(); last != w.layers["linux/amd64"] {
			t.Errorf("%q: the last layer is %s, the watchdog's %s", dockerfile, last, w.layers["linux/amd64"])
		}
	}
}

// A watchdog can be taken from an image by its reference.
func TestWatchdogByReference(t *testing.T) {
	t.Parallel()
	c, host := stock(t), registryHost(t)
	ref := host + "/watchdogs/of-watchdog:1"
	solve(t, c, Request{Name: "wd", Context: files("Dockerfile", "FROM scratch\nCOPY fwatchdog /\n", "fwatchdog", "another watchdog"), Output: Output{Push: []string{ref}}})
	dir := rootFS(t, c, Request{Name: "f", Context: files("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n"), Watchdog: Watchdog{Reference: ref}})
	if got := read(t, dir, "usr/bin/fwatchdog"); got != "another watchdog" {
		t.Errorf("got %q", got)
	}
	if fi, err := os.Stat(filepath.Join(dir, "usr/bin/fwatchdog")); err != nil || fi.Mode() != 0o755 {
		t.Errorf("mode %v %v", fi.Mode(), err)
	}
	_, err := c.Solve(t.Context(), Request{Name: "f", Context: files("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n"), Watchdog: Watchdog{Reference: host + "/no/such:1"}})
	var se *SolveError
	if !errors.As(err, &se) || !strings.Contains(se.Problem, "/no/such:1") {
		t.Errorf("a watchdog that does not exist: %T %v", err, err)
	}
}

// Tars hold the image under its names.
func TestTars(t *testing.T) {
	t.Parallel()
	c := stock(t)
	req := Request{Name: "f", Context: files("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n"), Platforms: threePlatforms[:1]}
	path := filepath.Join(t.TempDir(), "docker.tar")
	open := func() (io.WriteCloser, error) { return os.Create(path) }
	req.Output = Output{Docker: open, Names: []string{"example.com/f:1", "example.com/f:2"}}
	solve(t, c, req)
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
	req.Output = Output{OCI: open, Names: []string{"example.com/f:1"}}
	res := solve(t, c, req)
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
	req.Output = Output{OCI: func() (io.WriteCloser, error) { return nil, refuse }}
	_, err = c.Solve(t.Context(), req)
	var ee *ExportError
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
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
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
