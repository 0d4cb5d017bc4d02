package builder_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fnb/builder"
	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// program puts a shell script into PATH.
func program(t *testing.T, name, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// What a program that leads to a builder complains about is what is said of the builder, however late it says it,
// and nothing that another program would have said.
func TestCommandComplains(t *testing.T) {
	for _, test := range []struct{ name, address, program, script, want string }{
		{
			"no pod", "kube-pod://bk-1?namespace=build", "kubectl",
			"echo 'Defaulted container \"a\" out of: a, b' >&2; echo \"Error from server (NotFound): pods \\\"$4\\\" not found\" >&2; exit 1",
			`no builder answers at kube-pod://bk-1?namespace=build: kubectl: Error from server (NotFound): pods "bk-1" not found`,
		},
		{"slow", "kube-pod://bk-1", "kubectl", "echo 'error dialing backend: no such host' >&2; exec sleep 60", "no answer in time; kubectl: error dialing backend: no such host"},
		{"no container", "podman-container://bk", "podman", "echo \"Error: no container with name or ID \\\"$3\\\" found\" >&2; exit 125", `podman: Error: no container with name or ID "bk" found`},
		{"no engine", "docker-container://bk?context=far", "docker", "echo \"$1: Cannot connect to the Docker daemon\" >&2; exit 1", "docker: --context=far: Cannot connect to the Docker daemon"},
		{"no host", "ssh://me@nowhere:2222", "ssh", "echo \"ssh: Could not resolve hostname $6\" >&2; exit 255", "ssh: ssh: Could not resolve hostname nowhere"},
		{"a terminal's code", "nerdctl-container://bk", "nerdctl", "printf 'one\\ntwo\\n\\033[2Jthree\\nfour\\n' >&2; exit 1", "nerdctl: two; "},
	} {
		t.Run(test.name, func(t *testing.T) {
			program(t, test.program, test.script)
			c, err := builder.Dial(t.Context(), builder.Options{Address: test.address, Patience: 2 * time.Second})
			if err == nil {
				_ = c.Close() // it should not be there
				t.Fatal("somebody answers")
			}
			var ue *builder.UnreachableError
			if !errors.As(err, &ue) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "18.09") || strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Errorf("got %T %v\nwant %s", err, err, test.want)
			}
		})
	}
}

// Ctrl-C while kubectl looks for pods is no builder that does not answer.
func TestPodsInterrupted(t *testing.T) {
	program(t, "kubectl", "exec sleep 60")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if _, err := builder.Expand(ctx, []builder.Options{{Address: "kube-pod://?selector=app=bk"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestCommandIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := builder.Dial(t.Context(), builder.Options{Address: "podman-container://bk", Patience: 2 * time.Second})
	if !errors.As(err, new(*builder.UnreachableError)) || !strings.Contains(err.Error(), "podman: it is not on PATH") {
		t.Errorf("%T %v", err, err)
	}
	if _, err := builder.Dial(t.Context(), builder.Options{Address: "kube-pod://a_b"}); !errors.As(err, new(*builder.AddressError)) {
		t.Errorf("%T %v", err, err)
	}
}

// plainEngine is the part of a Docker Engine that says what it is and leads to its BuildKit, in front of one that has no engine.
func plainEngine(t *testing.T, status string) string {
	t.Helper()
	behind := strings.TrimPrefix(servers.BuildkitdFor(t, servers.BuildkitdOptions{}).Address, "unix://")
	dir, err := os.MkdirTemp("", "fnb-engine-") //nolint:usetesting // a test's own folder is too long for its sockets
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "d.sock"))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /info", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"Driver": "overlay2", "DriverStatus": %s}`, status)
	})
	mux.HandleFunc("POST /grpc", func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close() //nolint:errcheck // whoever reads notices
		to, err := net.Dial("unix", behind)
		if err != nil {
			return
		}
		defer to.Close() //nolint:errcheck // as above
		_, _ = io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
		go func() {
			_, _ = io.Copy(to, conn)
			_ = to.Close() // the other direction ends
		}()
		_, _ = io.Copy(conn, to)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }() // it ends with Close
	t.Cleanup(func() {
		_ = server.Close()
		_ = os.RemoveAll(dir)
	})
	return "docker://" + filepath.Join(dir, "d.sock")
}

// An engine with a store of its own says so before anything is built.
func TestEngineStore(t *testing.T) {
	t.Parallel()
	address := plainEngine(t, `[["Backing Filesystem", "extfs"]]`)
	c, err := builder.Dial(t.Context(), builder.Options{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // it was only asked
	open := func() (io.WriteCloser, error) { return nil, errors.New("it was opened") }
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, out := range []builder.Output{{Store: t.TempDir()}, {Push: []string{"127.0.0.1:1/a:1"}}, {OCI: open}, {Docker: open}} {
		_, err := c.Solve(ctx, builder.Request{Name: "f", Output: out, Context: fixture.Files("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")})
		var ee *builder.ExportError
		if !errors.As(err, &ee) || !ee.Unsupported || !strings.Contains(ee.Problem, "a store of its own") {
			t.Errorf("%T %v", err, err)
		}
	}
}
