package builder_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fnb/builder"
	"fnb/builder/buildertest"
	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// An interrupted solve ends at once with its step, leaves nothing half-written,
// and does not hurt the next one.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]*builder.Client{"Stock": buildertest.Stock(t), "Managed": buildertest.StartManaged(t, buildertest.NewManaged(t, nil))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- buildertest.Sleepy(ctx, t, c, &fixture.Buffer{}) }()
			fixture.Eventually(t, 30*time.Second, "the step runs", func() bool { return buildertest.Sleeps(t) })
			cancel()
			began := time.Now()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("got %T %v", err, err)
			}
			if took := time.Since(began); took > buildertest.Soon {
				t.Errorf("it took %s", took)
			}
			fixture.Eventually(t, buildertest.Soon, "the step is gone", func() bool { return !buildertest.Sleeps(t) })
			buildertest.Solve(t, c, builder.Request{Name: "sleepy", Context: fixture.Files("Dockerfile", buildertest.SmallBase(t)+"RUN true\n"), Output: builder.Output{Store: t.TempDir()}})
		})
	}
}

// A solve that is interrupted while its image is written leaves no unfinished
// blob, and the blobs that are there are whole.
func TestInterruptExport(t *testing.T) {
	t.Parallel()
	c, store := buildertest.Stock(t), t.TempDir()
	req := builder.Request{Name: "f", Context: fixture.Files("Dockerfile", buildertest.SmallBase(t)+"RUN head -c 20000000 /dev/urandom >/big\n"), Output: builder.Output{Store: store}, Platforms: buildertest.ThreePlatforms()[:1]}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := c.Solve(ctx, req)
		done <- err
	}()
	fixture.Eventually(t, 60*time.Second, "the image is being written", func() bool {
		parts, _ := filepath.Glob(filepath.Join(store, "ingest/*/ingest/*/data"))
		for _, p := range parts {
			if fi, err := os.Stat(p); err == nil && fi.Size() > 0 {
				return true
			}
		}
		return false
	})
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %T %v", err, err)
	}
	buildertest.NoLeftovers(t, store)
	buildertest.Indexed(t, store, buildertest.Solve(t, c, req))
}

// A builder that is killed in the middle of a solve is unreachable, soon.
func TestKilled(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d := servers.BuildkitdFor(t, servers.BuildkitdOptions{Root: root})
	c := buildertest.Connect(t, builder.Options{Address: d.Address})
	done := make(chan error)
	go func() { done <- buildertest.Sleepy(t.Context(), t, c, &fixture.Buffer{}) }()
	fixture.Eventually(t, 30*time.Second, "the step runs", func() bool { return buildertest.Sleeps(t) })
	if err := syscall.Kill(d.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var ue *builder.UnreachableError
	if err := <-done; !errors.As(err, &ue) || ue.Address != d.Address || !strings.Contains(err.Error(), "went away") {
		t.Errorf("got %T %v", err, err)
	}
	if took := time.Since(began); took > buildertest.Soon {
		t.Errorf("it took %s", took)
	}
	if res, err := c.Solve(t.Context(), builder.Request{Name: "f", Context: fixture.Files("Dockerfile", "FROM scratch\n")}); res != nil || !errors.As(err, &ue) {
		t.Errorf("the next solve: %T %v", err, err)
	}
}

// A builder that is stopped keeps its connections and says nothing. It is given
// up after a while; one that is only slow is not.
func TestSilence(t *testing.T) {
	t.Parallel()
	d := servers.BuildkitdFor(t, servers.BuildkitdOptions{})
	c := buildertest.Connect(t, builder.Options{Address: d.Address, Silence: 4 * time.Second})
	buildertest.Solve(t, c, builder.Request{Name: "slow", Context: fixture.Files("Dockerfile", buildertest.SmallBase(t)+"RUN sleep 8\n")})
	done := make(chan error)
	go func() { done <- buildertest.Sleepy(t.Context(), t, c, &fixture.Buffer{}) }()
	fixture.Eventually(t, 30*time.Second, "the step runs", func() bool { return buildertest.Sleeps(t) })
	if err := syscall.Kill(d.Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(d.Pid(), syscall.SIGCONT) })
	began := time.Now()
	var ue *builder.UnreachableError
	if err := <-done; !errors.As(err, &ue) || !errors.Is(err, builder.ErrSilent) {
		t.Errorf("got %T %v", err, err)
	}
	if took := time.Since(began); took > buildertest.Soon {
		t.Errorf("it took %s", took)
	}
	if _, err := c.Prune(t.Context(), 0); !errors.As(err, &ue) {
		t.Errorf("pruning: %T %v", err, err)
	}
	// Ctrl-C is not held up by it.
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := c.Solve(ctx, builder.Request{Name: "f", Context: fixture.Files("Dockerfile", "FROM scratch\n")}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%T %v", err, err)
	}
}

func TestDial(t *testing.T) {
	t.Parallel()
	certs, err := servers.MakeCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d := servers.BuildkitdFor(t, servers.BuildkitdOptions{TCP: true, TLS: certs})
	tlsDir := t.TempDir()
	for name, path := range map[string]string{"ca.pem": certs.CA, "cert.pem": certs.ClientCert, "key.pem": certs.ClientKey} {
		if err := os.Symlink(path, filepath.Join(tlsDir, name)); err != nil {
			t.Fatal(err)
		}
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	tests := []struct {
		name        string
		opts        builder.Options
		want        string
		unreachable bool
	}{
		{name: "mutual TLS", opts: builder.Options{Address: d.Address, TLSDir: tlsDir}},
		{name: "no certificate", opts: builder.Options{Address: d.Address}, want: "error reading server preface", unreachable: true},
		{name: "no such folder", opts: builder.Options{Address: d.Address, TLSDir: "/no/such"}, want: "/no/such/ca.pem", unreachable: true},
		{name: "another name", opts: builder.Options{Address: d.Address, TLSDir: tlsDir, ServerName: "other.example"}, want: "other.example", unreachable: true},
		{name: "no socket", opts: builder.Options{Address: "unix:///no/such/socket"}, want: "no such file or directory", unreachable: true},
		{name: "no server", opts: builder.Options{Address: "tcp://127.0.0.1:1"}, want: "connection refused", unreachable: true},
		{name: "no Docker Engine", opts: builder.Options{Address: "docker:///no/such/socket"}, want: "no such file or directory", unreachable: true},
		{name: "no scheme", opts: builder.Options{Address: "127.0.0.1:1234"}, want: "it must begin with one of unix://"},
		{name: "an unknown scheme", opts: builder.Options{Address: "http://127.0.0.1:1234"}, want: "it must begin with one of unix://"},
		{name: "nothing", opts: builder.Options{}, want: "it must begin with one of unix://"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			c, err := builder.Dial(t.Context(), tt.opts)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				buildertest.Solve(t, c, builder.Request{Name: "f", Context: fixture.Files("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")})
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || errors.As(err, new(*builder.UnreachableError)) != tt.unreachable {
				t.Errorf("got %T %v", err, err)
			}
			if took := time.Since(began); took >= builder.DialTimeout {
				t.Errorf("it took %s", took)
			}
		})
	}
	// A server that accepts and says nothing, also behind Docker's address.
	for _, scheme := range []string{"tcp://", "docker://"} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		began := time.Now()
		if _, err := builder.Dial(ctx, builder.Options{Address: scheme + l.Addr().String()}); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) >= builder.DialTimeout {
			t.Errorf("%s: after %s: %T %v", scheme, time.Since(began), err, err)
		}
		cancel()
	}
}
