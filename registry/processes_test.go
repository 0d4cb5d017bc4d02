package registry

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"fnb/schema"
)

func TestManyGoroutinesPut(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	desc := writeBlobs(t, s, newImage(t))
	var wg sync.WaitGroup
	const workers, each = 8, 10
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				if err := s.Put(t.Context(), fmt.Sprintf("w%d:%d", w, i), desc); err != nil {
					t.Error(err)
				}
				if _, err := s.List(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	entries, err := s.List()
	if err != nil || len(entries) != workers*each {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

// TestPutProcess is not a test of its own: it is the program that the tests
// below start several times.
func TestPutProcess(t *testing.T) {
	dir, name := os.Getenv("FNB_TEST_STORE"), os.Getenv("FNB_TEST_NAME")
	if dir == "" {
		t.Skip("run by other tests")
	}
	s, err := OpenImageStore(dir)
	must(t, err)
	var desc v1.Descriptor
	must(t, json.Unmarshal([]byte(os.Getenv("FNB_TEST_DESCRIPTOR")), &desc))
	count, err := strconv.Atoi(os.Getenv("FNB_TEST_COUNT"))
	must(t, err)
	for i := range count {
		must(t, s.Put(t.Context(), fmt.Sprintf("%s:%d", name, i), desc))
	}
}

func putProcess(t *testing.T, s *ImageStore, desc v1.Descriptor, name string, count int) *exec.Cmd {
	t.Helper()
	b, err := json.Marshal(desc)
	must(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPutProcess$")
	cmd.Env = append(os.Environ(), "FNB_TEST_STORE="+s.Dir(), "FNB_TEST_NAME="+name,
		"FNB_TEST_DESCRIPTOR="+string(b), "FNB_TEST_COUNT="+strconv.Itoa(count))
	return cmd
}

func TestSeveralProcessesPut(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	desc := writeBlobs(t, s, newImage(t))
	var wg sync.WaitGroup
	for p := range 4 {
		wg.Go(func() {
			if out, err := putProcess(t, s, desc, fmt.Sprintf("p%d", p), 15).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	entries, err := s.List()
	if err != nil || len(entries) != 60 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

func TestKilledProcessLeavesAWholeStore(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	desc := writeBlobs(t, s, newImage(t))
	for round := range 5 {
		cmd := putProcess(t, s, desc, fmt.Sprintf("r%d", round), 1_000_000)
		must(t, cmd.Start())
		time.Sleep(time.Duration(60+40*round) * time.Millisecond)
		must(t, cmd.Process.Kill())
		// It was killed; how it ended is known.
		_ = cmd.Wait()
		if err := s.Put(t.Context(), fmt.Sprintf("after%d", round), desc); err != nil {
			t.Fatal(err)
		}
		entries, err := s.List()
		if err != nil || len(entries) <= round {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
	}
	if _, err := s.prune(t.Context(), time.Now().Add(time.Minute)); err != nil {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(s.Dir(), temporary+"*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestWriteOCI(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	desc := put(t, s, "ghcr.io/acme/hello:0.1.0", newIndex(t))
	put(t, s, "ghcr.io/acme/other:1", newImage(t))
	var first, second bytes.Buffer
	must(t, s.WriteOCI(t.Context(), "ghcr.io/acme/hello:0.1.0", &first))
	must(t, s.WriteOCI(t.Context(), "ghcr.io/acme/hello:0.1.0", &second))
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two archives of one image differ")
	}
	dir := t.TempDir()
	untar(t, &first, dir)
	p, err := layout.FromPath(dir)
	must(t, err)
	root, err := p.ImageIndex()
	must(t, err)
	m, err := root.IndexManifest()
	must(t, err)
	if len(m.Manifests) != 1 || m.Manifests[0].Digest != desc.Digest || m.Manifests[0].Annotations[refName] != "0.1.0" {
		t.Errorf("index.json: %+v", m.Manifests)
	}
	idx, err := root.ImageIndex(desc.Digest)
	must(t, err)
	must(t, validate.Index(idx))
}

func untar(t *testing.T, r io.Reader, dir string) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	must(t, err)
	defer root.Close()
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		must(t, err)
		if h.Typeflag == tar.TypeDir {
			must(t, root.MkdirAll(strings.TrimSuffix(h.Name, "/"), 0o755))
			continue
		}
		b, err := io.ReadAll(tr)
		must(t, err)
		must(t, root.WriteFile(h.Name, b, 0o600))
	}
}

func TestWriteDocker(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	put(t, s, "ghcr.io/acme/one:1", newImage(t))
	put(t, s, "ghcr.io/acme/all:1", newIndex(t))
	file := filepath.Join(t.TempDir(), "image.tar")
	for _, test := range []struct {
		ref      string
		platform schema.Platform
		ok       bool
	}{
		{"ghcr.io/acme/one:1", schema.Platform{}, true},
		{"ghcr.io/acme/one:1", schema.Platform{OS: "linux", Architecture: "s390x"}, false},
		{"ghcr.io/acme/all:1", schema.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}, true},
		{"ghcr.io/acme/all:1", schema.Platform{}, false},
	} {
		f, err := os.Create(file)
		must(t, err)
		err = s.WriteDocker(t.Context(), test.ref, test.platform, f)
		must(t, f.Close())
		if !test.ok {
			if _, ok := errors.AsType[*PlatformError](err); !ok {
				t.Errorf("%s for %q: %v", test.ref, test.platform, err)
			}
			continue
		}
		must(t, err)
		img, err := tarball.ImageFromPath(file, nil)
		must(t, err)
		must(t, validate.Image(img))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.WriteDocker(ctx, "ghcr.io/acme/one:1", schema.Platform{}, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}
