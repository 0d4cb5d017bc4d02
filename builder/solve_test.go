package builder

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

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

func TestArgumentsTargetsAndTests(t *testing.T) {
	t.Parallel()
	c := stock(t)
	fsys := files("Dockerfile", small(t)+`ARG WHO
RUN echo $WHO >/who
`+strings.TrimSpace(small(t))+` AS test
ARG FAIL=0
RUN echo tested; exit $FAIL
FROM scratch AS small
COPY --from=0 /who /who
FROM scratch
COPY --from=0 /who /big
`)
	dir := rootFS(t, c, Request{Name: "f", Context: fsys, Target: "small", BuildArgs: map[string]string{"WHO": "me & you"}})
	if got := read(t, dir, "who"); got != "me & you\n" {
		t.Errorf("got %q", got)
	}
	dir = rootFS(t, c, Request{Name: "f", Context: fsys, Test: "test", BuildArgs: map[string]string{"WHO": "x"}})
	if got := read(t, dir, "big"); got != "x\n" {
		t.Errorf("got %q", got)
	}
	store := t.TempDir()
	_, err := c.Solve(t.Context(), Request{Name: "f", Context: fsys, Test: "test", BuildArgs: map[string]string{"FAIL": "3"}, Output: Output{Store: store}})
	var se *SolveError
	if !errors.As(err, &se) || !strings.Contains(se.Problem, "exit code: 3") || !slices.Equal(se.Log, []string{"tested"}) || se.Line != 6 || !strings.Contains(se.Step, "RUN echo tested") {
		t.Errorf("a failing test: %T %+v", err, se)
	}
	noLeftovers(t, store)
}

func TestNoCacheAndPull(t *testing.T) {
	t.Parallel()
	c, host := stock(t), registryHost(t)
	base := host + "/pull/base:1"
	push := func(text string) {
		solve(t, c, Request{Name: "b", Context: files("Dockerfile", "FROM scratch\nCOPY v /v\n", "v", text), Output: Output{Push: []string{base}}})
	}
	push("one")
	fsys := files("Dockerfile", "FROM "+base+"\nCOPY Dockerfile /d\n")
	if got := read(t, rootFS(t, c, Request{Name: "f", Context: fsys}), "v"); got != "one" {
		t.Errorf("got %q", got)
	}
	push("two")
	if got := read(t, rootFS(t, c, Request{Name: "f", Context: fsys, Pull: true}), "v"); got != "two" {
		t.Errorf("with Pull got %q", got)
	}
	random := files("Dockerfile", small(t)+"RUN cat /proc/sys/kernel/random/uuid >/uuid\nFROM scratch\nCOPY --from=0 /uuid /\n")
	first := read(t, rootFS(t, c, Request{Name: "f", Context: random}), "uuid")
	if again := read(t, rootFS(t, c, Request{Name: "f", Context: random}), "uuid"); again != first {
		t.Error("the cache was not used")
	}
	if again := read(t, rootFS(t, c, Request{Name: "f", Context: random, NoCache: true}), "uuid"); again == first {
		t.Error("with NoCache the cache was used")
	}
	res := solve(t, c, Request{Name: "f", Context: random})
	if res.CachedPart != 1 {
		t.Errorf("cached part %v", res.CachedPart)
	}
}

// Proxies reach a step and nothing else: not the image, not the cache key.
func TestProxies(t *testing.T) {
	t.Parallel()
	c := stock(t)
	fsys := files("Dockerfile", small(t)+"RUN cat /proc/sys/kernel/random/uuid >/out; echo $HTTP_PROXY >>/out\n")
	outputs := map[string]string{}
	for _, proxy := range []string{"http://user:pw@one.example:1", "http://two.example:2"} {
		store := t.TempDir()
		req := Request{Name: "f", Context: fsys, Platforms: threePlatforms[:1], Proxy: map[string]string{"HTTP_PROXY": proxy}}
		outputs[proxy] = read(t, rootFS(t, c, req), "out")
		req.Output = Output{Store: store}
		res := solve(t, c, req)
		for _, f := range documents(t, store) {
			if strings.Contains(f, "example:") {
				t.Errorf("the image %s shows the proxy: %s", res.Digest, f)
			}
		}
	}
	one, two := outputs["http://user:pw@one.example:1"], outputs["http://two.example:2"]
	if one != two || !strings.Contains(one, "one.example") {
		t.Errorf("the first step has %q, the second %q", one, two)
	}
}

// documents returns every JSON document of an image store.
func documents(t *testing.T, store string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(store, "blobs/sha256/*"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range paths {
		if raw := read(t, p); json.Valid([]byte(raw)) {
			out = append(out, raw)
		}
	}
	if len(out) == 0 {
		t.Error("the image store has no documents")
	}
	return out
}

// Times in the image are those of the epoch.
func TestEpochInImage(t *testing.T) {
	t.Parallel()
	c := stock(t)
	const epoch = 1_234_567_890
	store := t.TempDir()
	res := solve(t, c, Request{
		Name: "f", Context: files("Dockerfile", small(t)+"ARG SOURCE_DATE_EPOCH\nRUN mkdir /new && echo $SOURCE_DATE_EPOCH >/new/epoch\n"),
		Platforms: threePlatforms[:1], Epoch: epoch, Output: Output{Store: store},
	})
	h, err := v1.NewHash(res.Digest)
	if err != nil {
		t.Fatal(err)
	}
	img, err := indexed(t, store, res).Image(h)
	if err != nil {
		t.Fatal(err)
	}
	conf, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if conf.Created.Unix() != epoch {
		t.Errorf("created %s", conf.Created)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	rc, err := layers[len(layers)-1].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	files := 0
	for r := tar.NewReader(rc); ; files++ {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.ModTime.After(time.Unix(epoch, 0)) {
			t.Errorf("%s is of %s", h.Name, h.ModTime)
		}
	}
	if files < 2 {
		t.Errorf("%d files in the layer", files)
	}
}

// BuildKit says a warning once for every time it reads the Dockerfile.
func TestWarnings(t *testing.T) {
	t.Parallel()
	res := solve(t, stock(t), Request{
		Name: "f", Context: files("Dockerfile", "FROM scratch as one\nMAINTAINER me\nCOPY Dockerfile /\nCMD cat\n"),
		Platforms: threePlatforms, Test: "one",
	})
	slices.Sort(res.Warnings)
	if len(res.Warnings) < 3 || len(slices.Compact(slices.Clone(res.Warnings))) != len(res.Warnings) {
		t.Errorf("got %q", res.Warnings)
	}
}

// Many solves of one client write the same blobs to one image store.
func TestParallelStore(t *testing.T) {
	t.Parallel()
	c, w, base, store := stock(t), newWatchdog(t, "linux/amd64"), small(t), t.TempDir()
	type answer struct {
		res *Result
		err error
	}
	answers := make(chan answer)
	for i := range 8 {
		go func() {
			res, err := c.Solve(t.Context(), Request{
				Name: "f", Context: files("Dockerfile", base+"COPY n /n\n", "n", strings.Repeat("x", i%4)),
				Platforms: threePlatforms[:1], Watchdog: w.Watchdog, Output: Output{Store: store},
			})
			answers <- answer{res, err}
		}()
	}
	for range 8 {
		a := <-answers
		if a.err != nil {
			t.Error(a.err)
			continue
		}
		indexed(t, store, a.res)
	}
	noLeftovers(t, store)
}

// A syntax line with BuildKit's own frontend does not need a registry.
func TestSyntaxLine(t *testing.T) {
	t.Parallel()
	c := stock(t)
	solve(t, c, Request{Name: "f", Context: files("Dockerfile", "# syntax=docker/dockerfile:1\nFROM scratch\nCOPY --chmod=700 <<EOF /x\nhello\nEOF\n")})
	_, err := c.Solve(t.Context(), Request{Name: "f", Context: files("Dockerfile", "# syntax="+registryHost(t)+"/no/frontend:1\nFROM scratch\n")})
	var se *SolveError
	if !errors.As(err, &se) || se.Line != 1 || !strings.Contains(se.Problem, "/no/frontend:1") {
		t.Errorf("%T %v", err, err)
	}
}

func TestCancelledBefore(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := stock(t).Solve(ctx, Request{Name: "f", Context: fstest.MapFS{"Dockerfile": {Data: []byte("FROM scratch\n")}}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %T %v", err, err)
	}
}
