package builder_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/builder"
	"fnb/builder/buildertest"
	"fnb/internal/fixture"
)

func TestArgumentsTargetsAndTests(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	fsys := fixture.Files("Dockerfile", buildertest.SmallBase(t)+`ARG WHO
RUN echo $WHO >/who
`+strings.TrimSpace(buildertest.SmallBase(t))+` AS test
ARG FAIL=0
RUN echo tested; exit $FAIL
FROM scratch AS small
COPY --from=0 /who /who
FROM scratch
COPY --from=0 /who /big
`)
	dir := buildertest.RootFS(t, c, builder.Request{Name: "f", Context: fsys, Recipe: builder.Recipe{Target: "small", BuildArgs: map[string]string{"WHO": "me & you"}}})
	if got := fixture.Read(t, dir, "who"); got != "me & you\n" {
		t.Errorf("got %q", got)
	}
	dir = buildertest.RootFS(t, c, builder.Request{Name: "f", Context: fsys, Recipe: builder.Recipe{Test: "test", BuildArgs: map[string]string{"WHO": "x"}}})
	if got := fixture.Read(t, dir, "big"); got != "x\n" {
		t.Errorf("got %q", got)
	}
	store := t.TempDir()
	_, err := c.Solve(t.Context(), builder.Request{Name: "f", Context: fsys, Recipe: builder.Recipe{Test: "test", BuildArgs: map[string]string{"FAIL": "3"}}, Output: builder.Output{Store: store}})
	var se *builder.SolveError
	if !errors.As(err, &se) || !strings.Contains(se.Problem, "exit code: 3") || !slices.Equal(se.Log, []string{"tested"}) || se.Line != 6 || !strings.Contains(se.Step, "RUN echo tested") {
		t.Errorf("a failing test: %T %+v", err, se)
	}
	buildertest.NoLeftovers(t, store)
}

func TestNoCacheAndPull(t *testing.T) {
	t.Parallel()
	c, host := buildertest.Stock(t), buildertest.RegistryHost(t)
	base := host + "/pull/base:1"
	push := func(text string) {
		buildertest.Solve(t, c, builder.Request{Name: "b", Context: fixture.Files("Dockerfile", "FROM scratch\nCOPY v /v\n", "v", text), Output: builder.Output{Push: []string{base}}})
	}
	push("one")
	fsys := fixture.Files("Dockerfile", "FROM "+base+"\nCOPY Dockerfile /d\n")
	if got := fixture.Read(t, buildertest.RootFS(t, c, builder.Request{Name: "f", Context: fsys}), "v"); got != "one" {
		t.Errorf("got %q", got)
	}
	push("two")
	if got := fixture.Read(t, buildertest.RootFS(t, c, builder.Request{Name: "f", Context: fsys, Recipe: builder.Recipe{Pull: true}}), "v"); got != "two" {
		t.Errorf("with Pull got %q", got)
	}
	random := fixture.Files("Dockerfile", buildertest.SmallBase(t)+"RUN cat /proc/sys/kernel/random/uuid >/uuid\nFROM scratch\nCOPY --from=0 /uuid /\n")
	first := fixture.Read(t, buildertest.RootFS(t, c, builder.Request{Name: "f", Context: random}), "uuid")
	if again := fixture.Read(t, buildertest.RootFS(t, c, builder.Request{Name: "f", Context: random}), "uuid"); again != first {
		t.Error("the cache was not used")
	}
	if again := fixture.Read(t, buildertest.RootFS(t, c, builder.Request{Name: "f", Context: random, Recipe: builder.Recipe{NoCache: true}}), "uuid"); again == first {
		t.Error("with NoCache the cache was used")
	}
	res := buildertest.Solve(t, c, builder.Request{Name: "f", Context: random})
	if res.CachedPart != 1 {
		t.Errorf("cached part %v", res.CachedPart)
	}
}

// Proxies reach a step and nothing else: not the image, not the cache key.
func TestProxies(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	fsys := fixture.Files("Dockerfile", buildertest.SmallBase(t)+"RUN cat /proc/sys/kernel/random/uuid >/out; echo $HTTP_PROXY >>/out\n")
	outputs := map[string]string{}
	for _, proxy := range []string{"http://user:pw@one.example:1", "http://two.example:2"} {
		store := t.TempDir()
		req := builder.Request{Name: "f", Context: fsys, Platforms: buildertest.ThreePlatforms()[:1], Inputs: builder.Inputs{Proxy: map[string]string{"HTTP_PROXY": proxy}}}
		outputs[proxy] = fixture.Read(t, buildertest.RootFS(t, c, req), "out")
		req.Output = builder.Output{Store: store}
		res := buildertest.Solve(t, c, req)
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
		if raw := fixture.Read(t, p); json.Valid([]byte(raw)) {
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
	c := buildertest.Stock(t)
	epoch := int64(1_234_567_890)
	store := t.TempDir()
	res := buildertest.Solve(t, c, builder.Request{
		Name: "f", Context: fixture.Files("Dockerfile", buildertest.SmallBase(t)+"ARG SOURCE_DATE_EPOCH\nRUN mkdir /new && echo $SOURCE_DATE_EPOCH >/new/epoch\n"),
		Platforms: buildertest.ThreePlatforms()[:1], Epoch: &epoch, Output: builder.Output{Store: store},
	})
	h, err := v1.NewHash(res.Digest)
	if err != nil {
		t.Fatal(err)
	}
	img, err := buildertest.Indexed(t, store, res).Image(h)
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
	for h := range fixture.Entries(t, rc) {
		files++
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
	res := buildertest.Solve(t, buildertest.Stock(t), builder.Request{
		Name: "f", Context: fixture.Files("Dockerfile", "FROM scratch as one\nMAINTAINER me\nCOPY Dockerfile /\nCMD cat\n"),
		Platforms: buildertest.ThreePlatforms(), Recipe: builder.Recipe{Test: "one"},
	})
	slices.Sort(res.Lints)
	if len(res.Warnings) > 0 || len(res.Lints) < 3 || len(slices.Compact(slices.Clone(res.Lints))) != len(res.Lints) {
		t.Errorf("got %q and %q", res.Lints, res.Warnings)
	}
}

// Many solves of one client write the same blobs to one image store.
func TestParallelStore(t *testing.T) {
	t.Parallel()
	c, w, base, store := buildertest.Stock(t), buildertest.NewWatchdog(t, "linux/amd64"), buildertest.SmallBase(t), t.TempDir()
	type answer struct {
		res *builder.Result
		err error
	}
	answers := make(chan answer)
	for i := range 8 {
		go func() {
			res, err := c.Solve(t.Context(), builder.Request{
				Name: "f", Context: fixture.Files("Dockerfile", base+"COPY n /n\n", "n", strings.Repeat("x", i%4)),
				Platforms: buildertest.ThreePlatforms()[:1], Watchdog: w.Watchdog, Output: builder.Output{Store: store},
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
		buildertest.Indexed(t, store, a.res)
	}
	buildertest.NoLeftovers(t, store)
}

// A syntax line with BuildKit's own frontend does not need a registry.
func TestSyntaxLine(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	buildertest.Solve(t, c, builder.Request{Name: "f", Context: fixture.Files("Dockerfile", "# syntax=docker/dockerfile:1\nFROM scratch\nCOPY --chmod=700 <<EOF /x\nhello\nEOF\n")})
	_, err := c.Solve(t.Context(), builder.Request{Name: "f", Context: fixture.Files("Dockerfile", "# syntax="+buildertest.RegistryHost(t)+"/no/frontend:1\nFROM scratch\n")})
	var se *builder.SolveError
	if !errors.As(err, &se) || se.Line != 1 || !strings.Contains(se.Problem, "/no/frontend:1") {
		t.Errorf("%T %v", err, err)
	}
}

func TestCancelledBefore(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := buildertest.Stock(t).Solve(ctx, builder.Request{Name: "f", Context: fstest.MapFS{"Dockerfile": {Data: []byte("FROM scratch\n")}}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %T %v", err, err)
	}
}
