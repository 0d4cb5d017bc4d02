package buildertest

import (
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

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/sirupsen/logrus"

	"fnb/builder"
	"fnb/builder/daemon"
	"fnb/builder/managed"
	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/schema/settings"
)

// The first argument makes the test program a managed builder, or one that
// starts it.
const (
	serveCommand = "serve-builder"
	StartCommand = "start-builder"
	StdioCommand = "dial-stdio" // to a socket, as buildctl in a pod does
)

// Main runs the tests of a package, or what the first argument of the test program asks
// for instead, and returns the exit code.
func Main(m *testing.M, out, errs io.Writer) int {
	if len(os.Args) > 1 && os.Args[1] == serveCommand {
		b, o := serveFlags(os.Args[2:])
		return exitCode(errs, daemon.Serve(context.Background(), b, o))
	}
	if len(os.Args) > 3 && os.Args[1] == StartCommand {
		b, _ := serveFlags(os.Args[4:])
		b.Command = os.Args[2:]
		_, err := b.Start(context.Background())
		return exitCode(errs, err)
	}
	if len(os.Args) > 2 && os.Args[1] == StdioCommand {
		return exitCode(errs, dialStdio(os.Args[2], out))
	}
	logrus.SetOutput(io.Discard) // the content store says which file systems lack fs-verity
	return max(m.Run(), exitCode(errs, world.close()))
}

func exitCode(errs io.Writer, err error) int {
	if err != nil {
		fmt.Fprintln(errs, err)
		return 1
	}
	return 0
}

func dialStdio(socket string, out io.Writer) error {
	conn, err := new(net.Dialer).DialContext(context.Background(), "unix", socket)
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(conn, os.Stdin)
		_ = conn.(*net.UnixConn).CloseWrite()
	}()
	_, err = io.Copy(out, conn)
	return err
}

// serveFlags reads the arguments of the tests' managed builder.
func serveFlags(args []string) (m managed.Builder, o daemon.Options) {
	var mirrors, reach string
	f := flag.NewFlagSet(serveCommand, flag.ExitOnError)
	f.StringVar(&m.Root, "root", "", "")
	f.StringVar(&m.Socket, "socket", "", "")
	f.StringVar(&m.Identity, "identity", "", "")
	f.BoolVar(&m.Rootless, "rootless", false, "")
	f.DurationVar(&o.Idle, "idle", 0, "")
	f.Int64Var(&o.CacheBytes, "cache", 0, "")
	f.IntVar(&o.Records, "records", 0, "")
	f.StringVar(&mirrors, "mirrors", "", "")
	f.StringVar(&o.Network, "network", "", "")
	f.StringVar(&reach, "reach", "", "")
	_ = f.Parse(args) // it exits
	if reach != "" {
		o.Reach = strings.Split(reach, ",")
	}
	o.Registries = map[string]settings.Registry{}
	for pair := range strings.SplitSeq(mirrors, ",") {
		if host, mirror, ok := strings.Cut(pair, "="); ok {
			o.Registries[host] = settings.Registry{Mirrors: []string{mirror}}
			o.Registries[mirror] = settings.Registry{HTTP: true}
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

// Mirrors leads to the base images.
func Mirrors(t *testing.T) map[string]string {
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

// RegistryHost is the registry that the tests share.
func RegistryHost(t *testing.T) string {
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

// Stock connects to the buildkitd that the tests share.
func Stock(t *testing.T) *builder.Client {
	t.Helper()
	m := Mirrors(t)
	world.mu.Lock()
	defer world.mu.Unlock()
	if world.daemon == nil {
		d, err := servers.StartBuildkitd(context.WithoutCancel(t.Context()), servers.BuildkitdOptions{Mirrors: m})
		servers.Require(t, "buildkit", err)
		world.daemon = d
	}
	return Connect(t, builder.Options{Address: world.daemon.Address})
}

// Connect is a client of a builder, until the test ends.
func Connect(t *testing.T, opts builder.Options) *builder.Client {
	t.Helper()
	c, err := builder.Dial(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Debian is a FROM line with a base image of a whole system.
const Debian = "FROM docker.io/library/debian:bookworm-slim\n"

// SmallBase returns a FROM line with a base image of a shell and few programs, for
// builders that are slow or have no mirrors.
func SmallBase(t *testing.T) string {
	t.Helper()
	c, ref := Stock(t), RegistryHost(t)+"/base/small:1"
	world.mu.Lock()
	defer world.mu.Unlock()
	if !world.small {
		Solve(t, c, builder.Request{Name: "small", Output: builder.Output{Push: []string{ref}}, Context: fixture.Files("Dockerfile", Debian+`RUN mkdir -p /s/usr/bin && ln -s usr/bin /s/bin && cp /usr/bin/dash /s/usr/bin/sh && cd /usr/bin && cp cat chmod date head id ln ls mkdir rm sleep true wc /s/usr/bin/
RUN for f in $(ldd /s/usr/bin/* | grep -o '/lib[^ ]*' | sort -u); do mkdir -p /s$(dirname $f) && cp -L $f /s$f; done
FROM scratch
COPY --from=0 /s /
ENV PATH=/usr/bin
`)})
		world.small = true
	}
	return "FROM " + ref + "\n"
}

// Solve fails the test when the solve fails.
func Solve(t *testing.T, c *builder.Client, req builder.Request) *builder.Result {
	t.Helper()
	res, err := c.Solve(t.Context(), req)
	if err != nil {
		var se *builder.SolveError
		if errors.As(err, &se) {
			t.Logf("step %s\n%s\n%v", se.Step, strings.Join(se.Log, "\n"), se.Err)
		}
		t.Fatalf("%T: %v", err, err)
	}
	return res
}

// RootFS makes the image's files on disk and returns the folder.
func RootFS(t *testing.T, c *builder.Client, req builder.Request) string {
	t.Helper()
	dir := t.TempDir()
	req.Output = builder.Output{Local: dir}
	Solve(t, c, req)
	return dir
}

// Indexed gives the image store an index.json with one image, and returns its
// path for go-containerregistry.
func Indexed(t *testing.T, dir string, res *builder.Result) layout.Path {
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

// NoLeftovers fails when a solve left something unfinished in an image store.
func NoLeftovers(t *testing.T, store string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(store, "ingest"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("ingest/%s was left in the image store", e.Name())
	}
}
