package builder_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fnb/builder"
	"fnb/builder/buildertest"
	"fnb/internal/fixture"
	"fnb/internal/servers/engines"
)

// A Docker Engine with graph drivers has neither merge, nor OCI layouts, nor
// exporters for images. What it can do works; what not says so.
func TestDockerEngine(t *testing.T) {
	t.Parallel()
	base := buildertest.SmallBase(t)
	c := buildertest.Connect(t, builder.Options{Address: engines.DockerFor(t, engines.DockerOptions{Reach: []string{buildertest.RegistryHost(t)}}).Address()})
	info, err := c.Info(t.Context())
	if err != nil || len(info.Platforms) == 0 {
		t.Errorf("%+v %v", info, err)
	}
	w := buildertest.NewWatchdog(t, "linux/amd64")
	req := builder.Request{
		Name: "f", Platforms: buildertest.ThreePlatforms()[:1], Watchdog: w.Watchdog,
		Context: fixture.Files("Dockerfile", base+"COPY sub /sub\n", "sub/handler*", "x"),
	}
	dir := buildertest.RootFS(t, c, req)
	if got := fixture.Read(t, dir, "usr/bin/fwatchdog"); got != fixture.Program("linux/amd64") {
		t.Errorf("the watchdog is %q", got)
	}
	if fi, err := os.Stat(filepath.Join(dir, "usr/bin/fwatchdog")); err != nil || fi.Mode() != 0o755 {
		t.Errorf("%v %v", fi, err)
	}
	if got := fixture.Read(t, dir, "sub/handler"); got != "x" {
		t.Errorf("the handler is %q", got)
	}
	// The large way, with a change that keeps size and time.
	for _, text := range []string{"AAAA", "BBBB"} {
		large := req
		large.Context = padded(fixture.Files("Dockerfile", "FROM scratch\nCOPY handler /\n", "handler", text))
		if got := fixture.Read(t, buildertest.RootFS(t, c, large), "handler"); got != text {
			t.Errorf("got %s, want %s", got, text)
		}
	}
	open := func() (io.WriteCloser, error) { return os.Create(filepath.Join(t.TempDir(), "x.tar")) }
	refused := make(chan error)
	outputs := []builder.Output{{Store: t.TempDir()}, {Push: []string{buildertest.RegistryHost(t) + "/a/b:1"}}, {OCI: open}, {Docker: open}}
	for _, out := range outputs {
		req := req
		req.Output = out
		go func() {
			_, err := c.Solve(t.Context(), req)
			refused <- err
		}()
	}
	for range outputs {
		err := <-refused
		var ee *builder.ExportError
		if !errors.As(err, &ee) || !ee.Unsupported || !strings.Contains(ee.Problem, "this builder cannot write images itself") {
			t.Errorf("%T %v", err, err)
		}
	}
	// This engine does not say which step failed.
	req.Context, req.Output = fixture.Files("Dockerfile", base+"RUN false\n"), builder.Output{}
	_, err = c.Solve(t.Context(), req)
	var se *builder.SolveError
	if !errors.As(err, &se) || !strings.Contains(se.Step, "RUN false") {
		t.Errorf("a failing step: %T %v; %+v", err, err, se)
	}
}
