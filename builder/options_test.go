package builder

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

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
	epoch := int64(1_234_567_890)
	store := t.TempDir()
	res := solve(t, c, Request{
		Name: "f", Context: files("Dockerfile", small(t)+"ARG SOURCE_DATE_EPOCH\nRUN mkdir /new && echo $SOURCE_DATE_EPOCH >/new/epoch\n"),
		Platforms: threePlatforms[:1], Epoch: &epoch, Output: Output{Store: store},
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
	slices.Sort(res.Lints)
	if len(res.Warnings) > 0 || len(res.Lints) < 3 || len(slices.Compact(slices.Clone(res.Lints))) != len(res.Lints) {
		t.Errorf("got %q and %q", res.Lints, res.Warnings)
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
