package builder

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

	"fnb/internal/servers"
)

// soon is much less than the steps of these tests take, and much more than a busy
// machine needs to end them.
const soon = time.Minute

// An interrupted solve ends at once with its step, leaves nothing half-written,
// and does not hurt the next one.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]*Client{"Stock": stock(t), "Managed": startManaged(t, managed(t, nil))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- sleepy(ctx, t, c, &syncBuffer{}) }()
			eventually(t, 30*time.Second, "the step runs", func() bool { return sleeps(t) })
			cancel()
			began := time.Now()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("got %T %v", err, err)
			}
			if took := time.Since(began); took > soon {
				t.Errorf("it took %s", took)
			}
			eventually(t, soon, "the step is gone", func() bool { return !sleeps(t) })
			solve(t, c, Request{Name: "sleepy", Context: files("Dockerfile", small(t)+"RUN true\n"), Output: Output{Store: t.TempDir()}})
		})
	}
}

// A solve that is interrupted while its image is written leaves no unfinished
// blob, and the blobs that are there are whole.
func TestInterruptExport(t *testing.T) {
	t.Parallel()
	c, store := stock(t), t.TempDir()
	req := Request{Name: "f", Context: files("Dockerfile", small(t)+"RUN head -c 20000000 /dev/urandom >/big\n"), Output: Output{Store: store}, Platforms: threePlatforms[:1]}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := c.Solve(ctx, req)
		done <- err
	}()
	eventually(t, 60*time.Second, "the image is being written", func() bool {
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
	noLeftovers(t, store)
	indexed(t, store, solve(t, c, req))
}

// A builder that is killed in the middle of a solve is unreachable, soon.
func TestKilled(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d := servers.BuildkitdFor(t, servers.BuildkitdOptions{Root: root})
	c := dial(t, Options{Address: d.Address})
	done := make(chan error)
	go func() { done <- sleepy(t.Context(), t, c, &syncBuffer{}) }()
	eventually(t, 30*time.Second, "the step runs", func() bool { return sleeps(t) })
	if err := syscall.Kill(d.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var ue *UnreachableError
	if err := <-done; !errors.As(err, &ue) || ue.Address != d.Address || !strings.Contains(err.Error(), "went away") {
		t.Errorf("got %T %v", err, err)
	}
	if took := time.Since(began); took > soon {
		t.Errorf("it took %s", took)
	}
	if res, err := c.Solve(t.Context(), Request{Name: "f", Context: files("Dockerfile", "FROM scratch\n")}); res != nil || !errors.As(err, &ue) {
		t.Errorf("the next solve: %T %v", err, err)
	}
}

// A builder that is stopped keeps its connections and says nothing. It is given
// up after a while; one that is only slow is not.
func TestSilence(t *testing.T) {
	t.Parallel()
	d := servers.BuildkitdFor(t, servers.BuildkitdOptions{})
	c := dial(t, Options{Address: d.Address, Silence: 4 * time.Second})
	solve(t, c, Request{Name: "slow", Context: files("Dockerfile", small(t)+"RUN sleep 8\n")})
	done := make(chan error)
	go func() { done <- sleepy(t.Context(), t, c, &syncBuffer{}) }()
	eventually(t, 30*time.Second, "the step runs", func() bool { return sleeps(t) })
	if err := syscall.Kill(d.Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(d.Pid(), syscall.SIGCONT) })
	began := time.Now()
	var ue *UnreachableError
	if err := <-done; !errors.As(err, &ue) || !errors.Is(err, errSilent) {
		t.Errorf("got %T %v", err, err)
	}
	if took := time.Since(began); took > soon {
		t.Errorf("it took %s", took)
	}
	if _, err := c.Prune(t.Context(), 0); !errors.As(err, &ue) {
		t.Errorf("pruning: %T %v", err, err)
	}
	// Ctrl-C is not held up by it.
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := c.Solve(ctx, Request{Name: "f", Context: files("Dockerfile", "FROM scratch\n")}); !errors.Is(err, context.DeadlineExceeded) {
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
		opts        Options
		want        string
		unreachable bool
	}{
		{name: "mutual TLS", opts: Options{Address: d.Address, TLSDir: tlsDir}},
		{name: "no certificate", opts: Options{Address: d.Address}, want: "error reading server preface", unreachable: true},
		{name: "no such folder", opts: Options{Address: d.Address, TLSDir: "/no/such"}, want: "/no/such/ca.pem", unreachable: true},
		{name: "another name", opts: Options{Address: d.Address, TLSDir: tlsDir, ServerName: "other.example"}, want: "other.example", unreachable: true},
		{name: "no socket", opts: Options{Address: "unix:///no/such/socket"}, want: "no such file or directory", unreachable: true},
		{name: "no server", opts: Options{Address: "tcp://127.0.0.1:1"}, want: "connection refused", unreachable: true},
		{name: "no Docker Engine", opts: Options{Address: "docker:///no/such/socket"}, want: "no such file or directory", unreachable: true},
		{name: "no scheme", opts: Options{Address: "127.0.0.1:1234"}, want: "it has to begin with one of unix://"},
		{name: "an unknown scheme", opts: Options{Address: "http://127.0.0.1:1234"}, want: "it has to begin with one of unix://"},
		{name: "nothing", opts: Options{}, want: "it has to begin with one of unix://"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			c, err := Dial(t.Context(), tt.opts)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				solve(t, c, Request{Name: "f", Context: files("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")})
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || errors.As(err, new(*UnreachableError)) != tt.unreachable {
				t.Errorf("got %T %v", err, err)
			}
			if took := time.Since(began); took >= dialTimeout {
				t.Errorf("it took %s", took)
			}
		})
	}
	// A server that accepts and says nothing, also behind Docker's address.
	for _, scheme := range []string{"tcp://", "docker://"} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		began := time.Now()
		if _, err := Dial(ctx, Options{Address: scheme + l.Addr().String()}); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) >= dialTimeout {
			t.Errorf("%s: after %s: %T %v", scheme, time.Since(began), err, err)
		}
		cancel()
	}
}
