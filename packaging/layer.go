package packaging

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/internal/disk"
	"fnb/schema"
	"fnb/schema/words"
)

// WriteWatchdog writes an OCI layout into the folder dir with one image for
// each platform, whose only layer holds the watchdog at /usr/bin/fwatchdog.
// Binaries are files, by platform ("linux/arm/v7"). Other files in dir stay,
// blobs of an earlier layout do not.
//
// The same binaries give the same bytes. The layer is also what BuildKit makes
// of it when it rewrites times: a tar by archive/tar, compressed by
// compress/gzip at its default level. So its digest in an image is the one in
// the layout, whether times are rewritten or not.
func WriteWatchdog(dir string, binaries map[string]string) error {
	if len(binaries) == 0 {
		return errors.New("watchdog layout: no binaries")
	}
	if err := os.RemoveAll(filepath.Join(dir, ocispec.ImageBlobsDir)); err != nil {
		return err
	}
	w := layoutWriter{dir: dir}
	var list []schema.Platform
	files := map[schema.Platform]string{}
	for name, file := range binaries {
		p, err := schema.ParsePlatform(name)
		if err != nil {
			return fmt.Errorf("watchdog layout: %w", err)
		}
		if _, twice := files[p]; twice {
			return fmt.Errorf("watchdog layout: two binaries for %s", p)
		}
		files[p] = file
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b schema.Platform) int { return strings.Compare(a.String(), b.String()) })
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for _, p := range list {
		m, err := w.image(p, files[p])
		if err != nil {
			return fmt.Errorf("watchdog layout: %s: %w", p, err)
		}
		index.Manifests = append(index.Manifests, m)
	}
	return w.finish(index)
}

type layoutWriter struct{ dir string }

// image writes the image of one platform and returns its manifest's descriptor.
func (w layoutWriter) image(p schema.Platform, file string) (ocispec.Descriptor, error) {
	var none ocispec.Descriptor
	binary, err := os.ReadFile(file)
	if err != nil {
		return none, err
	}
	plain, err := layerTar(binary)
	if err != nil {
		return none, err
	}
	packed, err := compress(plain)
	if err != nil {
		return none, err
	}
	layer, err := w.blob(ocispec.MediaTypeImageLayerGzip, packed)
	if err != nil {
		return none, err
	}
	layer.Annotations = map[string]string{words.AnnotationLayer: "watchdog"}
	platform := ocispec.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}
	config, err := w.document(ocispec.MediaTypeImageConfig, ocispec.Image{
		Platform: platform,
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(plain)}},
	})
	if err != nil {
		return none, err
	}
	manifest, err := w.document(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    config,
		Layers:    []ocispec.Descriptor{layer},
	})
	manifest.Platform = &platform
	return manifest, err
}

// layerTar returns the layer's files: the binary and the folders it is in, all
// of root's and of the Unix epoch.
func layerTar(binary []byte) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	epoch := time.Unix(0, 0).UTC()
	name := strings.TrimPrefix(watchdogPath, "/")
	for _, dir := range []string{path.Dir(path.Dir(name)), path.Dir(name)} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: epoch, Format: tar.FormatUSTAR}); err != nil {
			return nil, err
		}
	}
	header := tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(binary)), Mode: 0o755, ModTime: epoch, Format: tar.FormatUSTAR}
	if err := w.WriteHeader(&header); err != nil {
		return nil, err
	}
	if _, err := w.Write(binary); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// compress returns data as BuildKit compresses a layer that it was not told how
// to compress.
func compress(data []byte) ([]byte, error) {
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.DefaultCompression)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(w, bytes.NewReader(data)); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func (w layoutWriter) document(mediaType string, value any) (ocispec.Descriptor, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return w.blob(mediaType, data)
}

// blob writes one blob and returns its descriptor.
func (w layoutWriter) blob(mediaType string, data []byte) (ocispec.Descriptor, error) {
	d := digest.FromBytes(data)
	place := filepath.Join(w.dir, ocispec.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		return ocispec.Descriptor{}, err
	}
	if err := disk.ReplaceFile(place, data, 0o644); err != nil {
		return ocispec.Descriptor{}, err
	}
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(data))}, nil
}

// finish writes the two files that make the folder a layout, the index last.
func (w layoutWriter) finish(index ocispec.Index) error {
	version, err := json.Marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	if err != nil {
		return err
	}
	list, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return err
	}
	if err := disk.ReplaceFile(filepath.Join(w.dir, ocispec.ImageLayoutFile), version, 0o644); err != nil {
		return err
	}
	return disk.ReplaceFile(filepath.Join(w.dir, ocispec.ImageIndexFile), append(list, '\n'), 0o644)
}
