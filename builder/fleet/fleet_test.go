package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"fnb/builder"
	"fnb/builder/buildertest"
	"fnb/builder/fleet"
	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/schema"
)

// secured makes certificates, and the folder of a client's.
func secured(t *testing.T) (*servers.Certs, string) {
	t.Helper()
	certs, err := servers.MakeCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, path := range map[string]string{"ca.pem": certs.CA, "cert.pem": certs.ClientCert, "key.pem": certs.ClientKey} {
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return certs, dir
}

// fleetOf makes a fleet of builders that is closed with the test.
func fleetOf(t *testing.T, opts fleet.Options) *fleet.Fleet {
	t.Helper()
	f := fleet.New(opts)
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// fleetOfTwo makes a fleet of two new builders.
func fleetOfTwo(t *testing.T) *fleet.Fleet {
	t.Helper()
	var nodes []builder.Options
	for range 2 {
		d := servers.BuildkitdFor(t, servers.BuildkitdOptions{TCP: true})
		nodes = append(nodes, builder.Options{Address: d.Address})
	}
	return fleetOf(t, fleet.Options{Builders: nodes})
}

// Four builders, of which one is killed, one stopped and one cut off in the
// middle of their solves: every function is made, once, as it would be by one
// builder. Nothing of the fleet is left afterwards.
func TestFleetOutages(t *testing.T) {
	base, one := buildertest.SmallBase(t), buildertest.Stock(t)
	certs, tlsDir := secured(t)
	root := t.TempDir()
	var daemons []*servers.Buildkitd
	var proxies []*servers.TCPProxy
	var nodes []builder.Options
	for i := range 4 {
		opts := servers.BuildkitdOptions{TCP: true, TLS: certs}
		if i == 0 {
			opts.Root = root
		}
		d := servers.BuildkitdFor(t, opts)
		p := servers.TCPProxyFor(t, strings.TrimPrefix(d.Address, "tcp://"))
		daemons, proxies = append(daemons, d), append(proxies, p)
		nodes = append(nodes, builder.Options{Address: "tcp://" + p.Addr, TLSDir: tlsDir})
	}

	before, began := runtime.NumGoroutine(), time.Now()
	phase := func(what string) { t.Logf("%6.1f s: %s", time.Since(began).Seconds(), what) }
	f := fleet.New(fleet.Options{Builders: nodes, Load: 1, Patience: 6 * time.Second, Silence: 6 * time.Second})
	functions := 8
	request := func(i int) builder.Request {
		return builder.Request{
			Name: fmt.Sprintf("f%d", i), Affinity: "template", Output: builder.Output{Store: t.TempDir()},
			Context: fixture.Files("Dockerfile", base+fmt.Sprintf("COPY id /\nRUN exec sleep 14.%s\nRUN echo %d >/number\n", buildertest.SleepID(t), i), "id", fmt.Sprint(i)),
		}
	}
	results := make([]*builder.Result, functions)
	errs := make([]error, functions)
	var wg sync.WaitGroup
	for i := range functions {
		wg.Go(func() { results[i], errs[i] = f.Solve(t.Context(), request(i)) })
	}
	fixture.Eventually(t, 60*time.Second, "every builder is in the middle of two solves", func() bool {
		return processes(t, "sleep\x0014."+buildertest.SleepID(t)) == functions
	})
	phase("every builder works")
	if err := syscall.Kill(daemons[0].Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(daemons[1].Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(daemons[1].Pid(), syscall.SIGCONT) })
	proxies[2].Cut()
	wg.Wait()
	phase("all is made")
	moved := 0

	for i := range functions {
		if errs[i] != nil {
			t.Errorf("f%d: %T %v", i, errs[i], errs[i])
			continue
		}
		if i == 0 {
			alone := buildertest.Solve(t, one, request(i))
			if results[i].Digest != alone.Digest {
				t.Errorf("f%d is %s, and %s of one builder", i, results[i].Digest, alone.Digest)
			}
		}
		if results[i].Builders[0] != nodes[3].Address {
			t.Errorf("f%d was made by %v", i, results[i].Builders)
		}
		if slices.ContainsFunc(results[i].Warnings, func(w builder.Warning) bool { return strings.HasPrefix(w.Text, "solved again on another builder: ") }) {
			moved++
		}
	}
	lost := f.Lost()
	if len(lost) != 3 || moved != functions*3/4 {
		t.Errorf("%d moved, lost %v", moved, lost)
	}
	for _, err := range lost {
		t.Log(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	fixture.Eventually(t, 10*time.Second, "no connection is left", func() bool { return proxies[0].Open()+proxies[2].Open()+proxies[3].Open() == 0 })
	fixture.Eventually(t, 10*time.Second, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before+2*len(proxies) })
}

// silentServer accepts connections and says nothing.
func silentServer(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// processes counts the processes whose command line begins so.
func processes(t *testing.T, command string) int {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, p := range paths {
		if raw, err := os.ReadFile(p); err == nil && strings.HasPrefix(string(raw), command) {
			n++
		}
	}
	return n
}

// A builder that is told to end, as one on Kubernetes is, finishes what it is
// doing or hands it over, and gets nothing more.
func TestFleetEnding(t *testing.T) {
	t.Parallel()
	base := buildertest.SmallBase(t)
	var daemons []*servers.Buildkitd
	var nodes []builder.Options
	for range 2 {
		d := servers.BuildkitdFor(t, servers.BuildkitdOptions{TCP: true})
		daemons, nodes = append(daemons, d), append(nodes, builder.Options{Address: d.Address})
	}
	f := fleetOf(t, fleet.Options{Builders: nodes})
	done := make(chan error)
	req := builder.Request{Name: "f", Output: builder.Output{Store: t.TempDir()}, Context: fixture.Files("Dockerfile", base+"RUN exec sleep 4."+buildertest.SleepID(t)+"\n")}
	go func() {
		_, err := f.Solve(t.Context(), req)
		done <- err
	}()
	fixture.Eventually(t, 60*time.Second, "the step runs", func() bool { return processes(t, "sleep\x004."+buildertest.SleepID(t)) == 1 })
	ending := 0
	if fleet.Score(nodes[1].Address, "f") > fleet.Score(nodes[0].Address, "f") {
		ending = 1
	}
	if err := syscall.Kill(daemons[ending].Pid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatalf("%T %v", err, err)
	}
	fixture.Eventually(t, 20*time.Second, "the builder has ended", func() bool { return syscall.Kill(daemons[ending].Pid(), 0) != nil })
	res, err := f.Solve(t.Context(), req)
	if err != nil {
		t.Fatalf("%T %v", err, err)
	}
	if len(f.Lost()) != 1 || res.Builders[0] == nodes[ending].Address {
		t.Errorf("made by %v, lost %v", res.Builders, f.Lost())
	}
}

// Who gives up says nothing of the builders: none is retired for it, even where it has
// not been heard of for long.
func TestFleetGivenUp(t *testing.T) {
	t.Parallel()
	base := buildertest.SmallBase(t)
	f := fleetOfTwo(t)
	if err := f.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req := builder.Request{Name: "f", Output: builder.Output{Store: t.TempDir()}, Context: fixture.Files("Dockerfile", base+"COPY Dockerfile /\n")}
	own, err := f.DefaultPlatform(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	req.Platforms = []schema.Platform{own}
	f.Forget()
	if _, err := f.Together(ctx, "f", req); !errors.Is(err, context.Canceled) {
		t.Errorf("%T %v", err, err)
	}
	f.Forget()
	if _, err := f.Solve(t.Context(), req); err != nil || len(f.Lost()) > 0 {
		t.Errorf("afterwards: %v, lost %v", err, f.Lost())
	}
}

// What is wrong with a function is its own fault, whatever words it uses.
func TestFleetSolveError(t *testing.T) {
	t.Parallel()
	base := buildertest.SmallBase(t)
	f := fleetOfTwo(t)
	for _, step := range []string{
		"RUN echo >&2 no; exit 7", "RUN echo 'rpc error: code = Unavailable'; echo 'transport is closing'; exit 1",
		"RUN echo context canceled; exit 1", "COPY nothing /", "FROM " + buildertest.RegistryHost(t) + "/no/such:1", "NONSENSE",
	} {
		_, err := f.Solve(t.Context(), builder.Request{Name: "f", Context: fixture.Files("Dockerfile", base+step+"\n")})
		var se *builder.SolveError
		if !errors.As(err, &se) {
			t.Errorf("%s: %T %v", step, err, err)
		}
		if lost := f.Lost(); len(lost) > 0 {
			t.Fatalf("%s: lost %v", step, lost)
		}
	}
	_, err := f.Solve(t.Context(), builder.Request{Name: "f", Context: fixture.Files("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n"), Output: builder.Output{Push: []string{"127.0.0.1:1/f:1"}}})
	if !errors.As(err, new(*builder.ExportError)) || len(f.Lost()) > 0 {
		t.Errorf("%T %v, lost %v", err, err, f.Lost())
	}
	// An interrupt is one.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Solve(ctx, builder.Request{Name: "f", Context: fixture.Files("Dockerfile", base+"RUN sleep 60\n")}); !errors.Is(err, context.Canceled) || len(f.Lost()) > 0 {
		t.Errorf("%T %v, lost %v", err, err, f.Lost())
	}
}

// Nobody is dialled before there is work; then whoever answers is used, and
// nobody is an error of its own.
func TestFleetUnreachable(t *testing.T) {
	t.Parallel()
	d := servers.BuildkitdFor(t, servers.BuildkitdOptions{TCP: true})
	p := servers.TCPProxyFor(t, strings.TrimPrefix(d.Address, "tcp://"))
	silent := silentServer(t)
	req := builder.Request{Name: "f", Context: fixture.Files("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")}
	nodes := []builder.Options{{Address: "tcp://127.0.0.1:1"}, {Address: "tcp://" + silent}, {Address: "tcp://" + p.Addr}}
	f := fleetOf(t, fleet.Options{Builders: nodes, Patience: 5 * time.Second})
	if p.Open() != 0 {
		t.Error("it was dialled")
	}
	res, err := f.Solve(t.Context(), req)
	if err != nil || res.Builders[0] != nodes[2].Address || len(f.Lost()) != 2 {
		t.Errorf("%v %v, lost %v", res, err, f.Lost())
	}
	p.Cut()
	_, err = f.Solve(t.Context(), req)
	var fe *fleet.NoneLeftError
	if !errors.As(err, &fe) || len(fe.Lost) != 3 || !errors.As(err, new(*builder.UnreachableError)) {
		t.Errorf("%T %v", err, err)
	}
	if _, _, err := f.Digests(t.Context(), req, []string{"docker.io/library/debian:1"}); !errors.As(err, &fe) {
		t.Errorf("%T %v", err, err)
	}
	if err := fleet.New(fleet.Options{Builders: nodes}).Close(); err != nil {
		t.Error(err)
	}
}

// Platforms go to the builders that have them, and the image is the one that a
// single builder makes, to the byte.
func TestFleetPlatforms(t *testing.T) {
	t.Parallel()
	host, w := buildertest.RegistryHost(t), buildertest.NewWatchdog(t, "linux/amd64", "linux/arm64", "linux/arm/v7")
	one := buildertest.Stock(t)
	base := host + "/base/several:1"
	buildertest.Solve(t, one, builder.Request{Name: "base", Platforms: buildertest.ThreePlatforms(), Context: fixture.Files("Dockerfile", "FROM scratch\nARG TARGETARCH\nCOPY Dockerfile /of-$TARGETARCH\n"), Output: builder.Output{Push: []string{base}}})
	var nodes []builder.Options
	for _, p := range [][]string{{"linux/amd64", "linux/386"}, {"linux/arm64", "linux/arm/v7"}, {"linux/amd64", "linux/386"}} {
		d := servers.BuildkitdFor(t, servers.BuildkitdOptions{TCP: true, Platforms: p})
		nodes = append(nodes, builder.Options{Address: d.Address})
	}
	f := fleetOf(t, fleet.Options{Builders: nodes})
	req := builder.Request{
		Name: "f", Platforms: buildertest.ThreePlatforms(), Watchdog: w.Watchdog, Recipe: builder.Recipe{Base: base},
		Context: fixture.Files("Dockerfile", "FROM "+base+"\nARG TARGETARCH\nCOPY code /code-$TARGETARCH\nCMD [\"/code\"]\n", "code", "x"),
		Config:  schema.ImageConfig{Labels: map[string]string{"a": "b"}, Entrypoint: []string{"/usr/bin/fwatchdog"}},
	}
	alone, together := req, req
	aloneDir, togetherDir := t.TempDir(), t.TempDir()
	alone.Output, together.Output = builder.Output{Store: aloneDir}, builder.Output{Store: togetherDir}
	want := buildertest.Solve(t, one, alone)
	got, err := f.Solve(t.Context(), together)
	if err != nil {
		t.Fatal(err)
	}
	if got.Digest != want.Digest || got.MediaType != want.MediaType || got.Size != want.Size {
		t.Errorf("%+v\n%s\n%+v\n%s", got, fixture.Read(t, togetherDir, "blobs/sha256", got.Digest[7:]), want, fixture.Read(t, aloneDir, "blobs/sha256", want.Digest[7:]))
	}
	buildertest.Indexed(t, togetherDir, got)
	buildertest.NoLeftovers(t, togetherDir)
	if len(got.Builders) != 2 || !slices.Contains(got.Builders, nodes[1].Address) {
		t.Errorf("made by %v", got.Builders)
	}

	together.Output = builder.Output{Push: []string{host + "/apart/f:1", host + "/apart/f:2"}}
	pushed, err := f.Solve(t.Context(), together)
	if err != nil {
		t.Fatal(err)
	}
	if pushed.Digest != want.Digest || string(pushed.Index) != fixture.Read(t, aloneDir, "blobs/sha256", want.Digest[7:]) {
		t.Errorf("%+v\n%s", pushed, pushed.Index)
	}

	together.Output = builder.Output{Local: t.TempDir()}
	if _, err := f.Solve(t.Context(), together); !errors.As(err, new(*fleet.ApartError)) {
		t.Errorf("%T %v", err, err)
	}
	together.Platforms = nil
	if _, err := f.Solve(t.Context(), together); !errors.As(err, new(*fleet.MixedError)) {
		t.Errorf("%T %v", err, err)
	}
	// One that nobody has is no matter where nothing has to be run.
	together.Platforms, together.Output = []schema.Platform{{OS: "linux", Architecture: "s390x"}}, builder.Output{}
	together.Watchdog, together.Context, together.Config.Entrypoint = builder.Watchdog{}, fixture.Files("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n"), nil
	if _, err := f.Solve(t.Context(), together); err != nil {
		t.Error(err)
	}
}
