package servers

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"fnb/internal/servers/layertar"
)

// checkRuns runs an image that serves HTTP on port 8080, twice at a time.
func checkRuns(t *testing.T, ref string) {
	t.Helper()
	for range 2 {
		c := ContainerFor(t, ref, ContainerOptions{})
		if err := c.Await(t.Context(), "/", http.StatusOK); err != nil {
			t.Fatal(err)
		}
	}
}

// program is run in the containers of these tests: it says who it is, drains
// for a moment on SIGTERM, and exits with 7.
const program = `package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		fmt.Println("draining")
		time.Sleep(100 * time.Millisecond)
		os.Exit(7)
	}()
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		dir, _ := os.Getwd()
		root := "writable"
		if err := os.WriteFile("/file", nil, 0o644); err != nil {
			root = "not writable"
		}
		fmt.Fprintln(w, os.Getuid(), os.Getgid(), dir, os.Getenv("NAME"), os.Args[1:], root)
	})
	fmt.Println("listening")
	http.ListenAndServe("127.0.0.1:8080", nil)
}
`

func TestContainer(t *testing.T) {
	t.Parallel()
	img := programImage(t)
	reg := RegistryFor(t, RegistryOptions{})
	ref := mustRef(t, reg, "program:v1")
	if err := remote.Write(ref, img, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		opts ContainerOptions
		want string
	}{
		{"as its configuration says", ContainerOptions{}, "1000 1001 /home image [a b] not writable\n"},
		{"with another environment", ContainerOptions{Env: []string{"NAME=test"}}, "1000 1001 /home test [a b] not writable\n"},
		{"as another user by number", ContainerOptions{User: "12:34"}, "12 34 /home image [a b] not writable\n"},
		{"as root", ContainerOptions{User: "0"}, "0 0 /home image [a b] writable\n"},
		{"as root with a read-only root", ContainerOptions{User: "0", ReadOnly: true}, "0 0 /home image [a b] not writable\n"},
		{"with another command", ContainerOptions{Cmd: []string{"/program", "c"}}, "1000 1001 /home image [c] not writable\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := ContainerFor(t, ref.String(), tt.opts)
			if err := c.Await(t.Context(), "/", http.StatusOK); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, get(t, c)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			exit, err := c.Stop(ctx)
			if err != nil || exit.Code != 7 || exit.After < 100*time.Millisecond {
				t.Errorf("stopped with %+v, %v; want code 7 after 100ms", exit, err)
			}
			if want := "listening\ndraining\n"; c.Log() != want {
				t.Errorf("log %q, want %q", c.Log(), want)
			}
		})
	}
}

func TestContainerThatEnds(t *testing.T) {
	t.Parallel()
	_, err := ociRuntime()
	Require(t, "runc", err)
	img := programImage(t)
	_, err = Run(t.Context(), img, ContainerOptions{Cmd: []string{"/none"}})
	if err == nil || !strings.Contains(err.Error(), "/none") {
		t.Errorf("starting a program that is not there: %v", err)
	}
	c, err := Run(t.Context(), img, ContainerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := c.Await(t.Context(), "/", http.StatusOK); err == nil || !strings.Contains(err.Error(), "it ended") {
		t.Errorf("waiting for a container that was killed: %v", err)
	}
}

func get(t *testing.T, c *Container) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// programImage builds program and puts it into an image of two layers, the
// upper of which removes a file of the lower.
func programImage(t *testing.T) v1.Image {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", "program", "main.go")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	binary, err := os.ReadFile(filepath.Join(dir, "program"))
	if err != nil {
		t.Fatal(err)
	}
	lower := filepath.Join(dir, "lower.tar.gz")
	upper := filepath.Join(dir, "upper.tar.gz")
	for path, write := range map[string]func(*layertar.Writer) error{
		lower: func(w *layertar.Writer) error {
			return firstError(
				w.File("etc/passwd", 0o644, []byte("app:x:1000:1001::/home:/bin/sh\n")),
				w.File("file", 0o666, nil), w.File("program", 0o644, []byte("old")), w.Symlink("bin", "usr/bin"))
		},
		upper: func(w *layertar.Writer) error {
			return firstError(w.Mkdir("home"), w.File(".wh.file", 0o644, nil), w.File("program", 0o755, binary))
		},
	} {
		if err := layertar.WriteFile(path, write); err != nil {
			t.Fatal(err)
		}
	}
	img, err := composeProgram(lower, upper)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func composeProgram(paths ...string) (v1.Image, error) {
	img := empty.Image
	for _, path := range paths {
		layer, err := tarball.LayerFromFile(path)
		if err != nil {
			return nil, err
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			return nil, err
		}
	}
	return mutate.ConfigFile(img, &v1.ConfigFile{
		OS: "linux", Architecture: runtime.GOARCH,
		Config: v1.Config{
			User: "app", WorkingDir: "/home", Env: []string{"NAME=image"},
			Entrypoint: []string{"/program"}, Cmd: []string{"a", "b"},
		},
		RootFS: must(img.ConfigFile()).RootFS,
	})
}

// must is for values that tests have just made themselves.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
