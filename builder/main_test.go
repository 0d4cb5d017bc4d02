package builder

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/sirupsen/logrus"

	"fnb/internal/servers"
	"fnb/schema"
)

// The first argument makes the test program a managed builder, or one that
// starts it.
const (
	serveCommand = "serve-builder"
	startCommand = "start-builder"
	stdioCommand = "dial-stdio" // to a socket, as buildctl in a pod does
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == serveCommand {
		m, o := serveFlags(os.Args[2:])
		os.Exit(exitCode(Serve(context.Background(), m, o)))
	}
	if len(os.Args) > 3 && os.Args[1] == startCommand {
		m, _ := serveFlags(os.Args[4:])
		m.Command = os.Args[2:]
		_, err := m.Start(context.Background())
		os.Exit(exitCode(err))
	}
	if len(os.Args) > 2 && os.Args[1] == stdioCommand {
		os.Exit(exitCode(dialStdio(os.Args[2])))
	}
	logrus.SetOutput(io.Discard) // the content store says which file systems lack fs-verity
	code := m.Run()
	if err := world.close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func exitCode(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func dialStdio(socket string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(conn, os.Stdin)
		_ = conn.(*net.UnixConn).CloseWrite()
	}()
	_, err = io.Copy(os.Stdout, conn)
	return err
}

// serveFlags reads the arguments of the tests' managed builder.
func serveFlags(args []string) (m Managed, o ServeOptions) {
	var mirrors, reach string
	f := flag.NewFlagSet(serveCommand, flag.ExitOnError)
	f.StringVar(&m.Root, "root", "", "")
	f.StringVar(&m.Socket, "socket", "", "")
	f.StringVar(&m.Identity, "identity", "", "")
	f.BoolVar(&m.Rootless, "rootless", false, "")
	f.DurationVar(&o.Idle, "idle", 0, "")
	f.Int64Var(&o.CacheBytes, "cache", 0, "")
	f.IntVar(&o.records, "records", 0, "")
	f.StringVar(&mirrors, "mirrors", "", "")
	f.StringVar(&o.Network, "network", "", "")
	f.StringVar(&reach, "reach", "", "")
	_ = f.Parse(args) // it exits
	if reach != "" {
		o.Reach = strings.Split(reach, ",")
	}
	o.Registries = map[string]schema.RegistryConfig{}
	for pair := range strings.SplitSeq(mirrors, ",") {
		if host, mirror, ok := strings.Cut(pair, "="); ok {
			o.Registries[host] = schema.RegistryConfig{Mirrors: []string{mirror}}
			o.Registries[mirror] = schema.RegistryConfig{HTTP: true}
		}
	}
	return m, o
}

// world is what the tests of this process share.
var world shared

type shared struct {
	mu       sync.Mutex
	bases    *servers.Bases
	daemon   *servers.Buildkitd
	registry *servers.Registry
	small    bool // the small base image is in the registry
}

func (s *shared) close() error {
	var errs []error
	if s.daemon != nil {
		errs = append(errs, s.daemon.Close())
	}
	if s.registry != nil {
		errs = append(errs, s.registry.Close())
	}
	if s.bases != nil {
		errs = append(errs, s.bases.Close())
	}
	return errors.Join(errs...)
}

// mirrors leads to the base images.
func mirrors(t *testing.T) map[string]string {
	t.Helper()
	world.mu.Lock()
	defer world.mu.Unlock()
	if world.bases == nil {
		b, err := servers.StartBases(context.WithoutCancel(t.Context()), servers.BasesOptions{Log: t.Logf})
		servers.Require(t, "bases", err)
		world.bases = b
	}
	return world.bases.Mirrors
}

// registryHost is the registry that the tests share.
func registryHost(t *testing.T) string {
	t.Helper()
	world.mu.Lock()
	defer world.mu.Unlock()
	if world.registry == nil {
		r, err := servers.StartRegistry(context.WithoutCancel(t.Context()), servers.RegistryOptions{})
		servers.Require(t, "registry", err)
		world.registry = r
	}
	return world.registry.Host
}

// stock connects to the buildkitd that the tests share.
func stock(t *testing.T) *Client {
	t.Helper()
	m := mirrors(t)
	world.mu.Lock()
	defer world.mu.Unlock()
	if world.daemon == nil {
		d, err := servers.StartBuildkitd(context.WithoutCancel(t.Context()), servers.BuildkitdOptions{Mirrors: m})
		servers.Require(t, "buildkit", err)
		world.daemon = d
	}
	return dial(t, Options{Address: world.daemon.Address})
}

func dial(t *testing.T, opts Options) *Client {
	t.Helper()
	c, err := Dial(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

const debian = "FROM docker.io/library/debian:bookworm-slim\n"

// small returns a FROM line with a base image of a shell and few programs, for
// builders that are slow or have no mirrors.
func small(t *testing.T) string {
	t.Helper()
	c, ref := stock(t), registryHost(t)+"/base/small:1"
	world.mu.Lock()
	defer world.mu.Unlock()
	if !world.small {
		solve(t, c, Request{Name: "small", Output: Output{Push: []string{ref}}, Context: files("Dockerfile", debian+`RUN mkdir -p /s/usr/bin && ln -s usr/bin /s/bin && cp /usr/bin/dash /s/usr/bin/sh && cd /usr/bin && cp cat chmod date head id ln ls mkdir rm sleep true wc /s/usr/bin/
RUN for f in $(ldd /s/usr/bin/* | grep -o '/lib[^ ]*' | sort -u); do mkdir -p /s$(dirname $f) && cp -L $f /s$f; done
FROM scratch
COPY --from=0 /s /
ENV PATH=/usr/bin
`)})
		world.small = true
	}
	return "FROM " + ref + "\n"
}

// files is a build context of ordinary files. A name that ends in * is a
// program.
func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		name, program := strings.CutSuffix(pairs[i], "*")
		mode := fs.FileMode(0o644)
		if program {
			mode = 0o755
		}
		m[name] = &fstest.MapFile{Data: []byte(pairs[i+1]), Mode: mode, ModTime: time.Unix(0, 0)}
		for d := filepath.Dir(name); d != "."; d = filepath.Dir(d) {
			m[d] = &fstest.MapFile{Mode: fs.ModeDir | 0o755, ModTime: time.Unix(0, 0)}
		}
	}
	return m
}

// solve fails the test when the solve fails.
func solve(t *testing.T, c *Client, req Request) *Result {
	t.Helper()
	res, err := c.Solve(t.Context(), req)
	if err != nil {
		var se *SolveError
		if errors.As(err, &se) {
			t.Logf("step %s\n%s\n%v", se.Step, strings.Join(se.Log, "\n"), se.Err)
		}
		t.Fatalf("%T: %v", err, err)
	}
	return res
}

// rootFS makes the image's files on disk and returns the folder.
func rootFS(t *testing.T, c *Client, req Request) string {
	t.Helper()
	dir := t.TempDir()
	req.Output = Output{Local: dir}
	solve(t, c, req)
	return dir
}

func read(t *testing.T, elems ...string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(elems...))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// indexed gives the image store an index.json with one image, and returns its
// path for go-containerregistry.
func indexed(t *testing.T, dir string, res *Result) layout.Path {
	t.Helper()
	index := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`,
		res.MediaType, res.Digest, res.Size)
	for name, text := range map[string]string{"index.json": index, "oci-layout": `{"imageLayoutVersion":"1.0.0"}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := layout.FromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	idx, err := p.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(idx); err != nil {
		t.Fatal(err)
	}
	return p
}

// noLeftovers fails when a solve left something unfinished in an image store.
func noLeftovers(t *testing.T, store string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(store, "ingest"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("ingest/%s was left in the image store", e.Name())
	}
}

// A syncBuffer can be written and read at the same time.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// eventually waits until something holds.
func eventually(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("after %s still not: %s", limit, what)
}
