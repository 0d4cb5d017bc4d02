package packaging

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/util/converter/tarconverter"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/internal/fixture"
	"fnb/schema"
	"fnb/schema/words"
)

// binary returns a file that is about as hard to compress as a program.
func binary(t *testing.T, seed byte) string {
	t.Helper()
	data := make([]byte, 1<<17)
	state := uint32(seed) + 1
	for i := range data {
		state = state*1664525 + 1013904223
		data[i] = byte(state>>24) & 0x3f
	}
	name := filepath.Join(t.TempDir(), "fwatchdog")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestWatchdogLayout(t *testing.T) {
	t.Parallel()
	dir, again := t.TempDir(), t.TempDir()
	old := filepath.Join(dir, "blobs", "sha256", "old")
	if err := errors.Join(os.MkdirAll(filepath.Dir(old), 0o755), os.WriteFile(old, nil, 0o600), os.WriteFile(filepath.Join(dir, "README.md"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	list := map[string]string{"linux/amd64": binary(t, 1), "linux/arm64": binary(t, 2), "linux/arm/v7": binary(t, 3)}
	for _, d := range []string{dir, again} {
		if err := WriteWatchdog(d, list); err != nil {
			t.Fatal(err)
		}
	}
	one, err := readWatchdog(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	two, err := readWatchdog(os.DirFS(again))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(one.Manifests, two.Manifests); diff != "" {
		t.Errorf("the same binaries give other images:\n%s", diff)
	}
	if len(one.Layers) != 3 || one.Layers["linux/arm/v7"] == "" {
		t.Errorf("the layers are %v", one.Layers)
	}
	if _, err := os.Stat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an old blob stays: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "README.md")); err != nil {
		t.Error(err)
	}
	checkLayout(t, one)
}

// checkLayout checks every blob of a layout against its name, and each layer
// against what the layer has to be.
func checkLayout(t *testing.T, w *WatchdogLayers) {
	t.Helper()
	for platform, d := range w.Manifests {
		var manifest ocispec.Manifest
		parse(t, blob(t, w.FS, digest.Digest(d)), &manifest)
		var config ocispec.Image
		parse(t, blob(t, w.FS, manifest.Config.Digest), &config)
		p := schema.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}
		if p.String() != platform {
			t.Errorf("the image of %s says it is for %s", platform, p)
		}
		layer := manifest.Layers[0]
		if layer.Annotations[words.AnnotationLayer] != "watchdog" || layer.MediaType != ocispec.MediaTypeImageLayerGzip {
			t.Errorf("%s: the layer's descriptor is %+v", platform, layer)
		}
		packed := blob(t, w.FS, layer.Digest)
		plain := unpack(t, packed)
		if got := digest.FromBytes(plain); got != config.RootFS.DiffIDs[0] {
			t.Errorf("%s: the diff id is %s, not %s", platform, config.RootFS.DiffIDs[0], got)
		}
		checkLayer(t, plain)
		if len(plain) > 1<<20 {
			continue // compressing a whole program again takes seconds, and shows nothing new
		}
		if again := rewrite(t, plain); !bytes.Equal(again, packed) {
			t.Errorf("%s: BuildKit's rewriting of times changes the layer: %d bytes, not %d", platform, len(again), len(packed))
		}
	}
}

func blob(t *testing.T, layout fs.FS, d digest.Digest) []byte {
	t.Helper()
	data, err := fs.ReadFile(layout, "blobs/sha256/"+d.Encoded())
	if err != nil {
		t.Fatal(err)
	}
	if got := digest.FromBytes(data); got != d {
		t.Fatalf("blob %s has the digest %s", d, got)
	}
	return data
}

func unpack(t *testing.T, packed []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// checkLayer checks that a layer has the three entries it should have, and
// nothing that depends on who made it.
func checkLayer(t *testing.T, plain []byte) {
	t.Helper()
	var names []string
	for h := range fixture.Entries(t, bytes.NewReader(plain)) {
		names = append(names, h.Name)
		if h.Mode != 0o755 || h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" || !h.ModTime.Equal(time.Unix(0, 0)) || len(h.PAXRecords) > 0 {
			t.Errorf("%s: %+v", h.Name, h)
		}
	}
	if diff := cmp.Diff([]string{"usr/", "usr/bin/", "usr/bin/fwatchdog"}, names); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

// rewrite does what BuildKit's exporter does to a layer with rewrite-timestamp:
// its own tar converter, and gzip at the default level in blocks of io.Copy.
func rewrite(t *testing.T, plain []byte) []byte {
	t.Helper()
	epoch := time.Unix(0, 0)
	r := tarconverter.NewReader(bytes.NewReader(plain), func(h *tar.Header) {
		for _, when := range []*time.Time{&h.ModTime, &h.AccessTime, &h.ChangeTime} {
			if when.After(epoch) {
				*when = epoch
			}
		}
	})
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := io.Copy(w, r); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), r.Close()); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func parse(t *testing.T, data []byte, value any) {
	t.Helper()
	if err := json.Unmarshal(data, value); err != nil {
		t.Fatal(err)
	}
}

func TestWatchdogLayoutErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		list map[string]string
		want string
	}{
		"no binaries":      {nil, "no binaries"},
		"a bad platform":   {map[string]string{"linux": "x"}, `"linux"`},
		"no such file":     {map[string]string{"linux/amd64": "/nonexistent/file"}, "linux/amd64: open /nonexistent/file"},
		"a platform twice": {map[string]string{"linux/arm64": "x", "linux/arm64/v8": "x"}, "two binaries for linux/arm64"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := WriteWatchdog(t.TempDir(), c.list)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, not %q", err, c.want)
			}
		})
	}
	if _, err := readWatchdog(os.DirFS(t.TempDir())); !errors.Is(err, ErrNoWatchdog) {
		t.Errorf("without a layout the error is %v", err)
	}
}

// TestEmbeddedWatchdog checks the layers that are part of the program, where it
// was built with them.
func TestEmbeddedWatchdog(t *testing.T) {
	t.Parallel()
	w, err := Watchdog()
	if errors.Is(err, ErrNoWatchdog) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	checkLayout(t, w)
}
