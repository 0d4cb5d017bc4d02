package registry

import (
	"archive/tar"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"fnb/internal/plain"
	"fnb/schema"
)

// WriteOCI writes what ref names as a tar of an OCI image layout, which docker
// load, podman load, skopeo and ctr read. The same image gives the same bytes.
func (s *ImageStore) WriteOCI(ctx context.Context, ref string, w io.Writer) error {
	desc, err := s.Resolve(ref)
	if err != nil {
		return err
	}
	t, err := s.walk(ctx, desc)
	if err != nil {
		return err
	}
	index := emptyIndex()
	desc.Annotations = map[string]string{
		refName: tagOf(desc.Annotations[refName]),
		// containerd's importers read the full name from here.
		"io.containerd.image.name": desc.Annotations[refName],
	}
	index.Manifests = []v1.Descriptor{desc}
	indexJSON, err := json.Marshal(index)
	if err != nil {
		return fmt.Errorf("writing an OCI archive of %s: %w", ref, err)
	}
	tw := tar.NewWriter(w)
	if err := s.writeLayout(ctx, tw, t, indexJSON); err != nil {
		return fmt.Errorf("writing an OCI archive of %s: %w", ref, err)
	}
	return tw.Close()
}

func (s *ImageStore) writeLayout(ctx context.Context, tw *tar.Writer, t *tree, indexJSON []byte) error {
	for _, dir := range []string{"blobs/", "blobs/sha256/"} {
		if err := tw.WriteHeader(&tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755, ModTime: time.Unix(0, 0)}); err != nil {
			return err
		}
	}
	blobs := slices.Concat(t.Blobs, t.Manifests)
	slices.SortFunc(blobs, func(a, b v1.Descriptor) int { return strings.Compare(a.Digest.Hex, b.Digest.Hex) })
	for _, d := range blobs {
		if err := s.writeTarBlob(ctx, tw, d); err != nil {
			return err
		}
	}
	if err := writeTarFile(tw, indexFile, indexJSON); err != nil {
		return err
	}
	return writeTarFile(tw, layoutFile, []byte(layoutText))
}

func (s *ImageStore) writeTarBlob(ctx context.Context, tw *tar.Writer, d v1.Descriptor) error {
	r, err := s.openBlob(d)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // it was only read from
	if err := tw.WriteHeader(tarHeader(path.Join("blobs/sha256", d.Digest.Hex), d.Size)); err != nil {
		return err
	}
	_, err = io.Copy(tw, &interruptible{ctx: ctx, r: r})
	return err
}

func writeTarFile(tw *tar.Writer, name string, content []byte) error {
	if err := tw.WriteHeader(tarHeader(name, int64(len(content)))); err != nil {
		return err
	}
	_, err := tw.Write(content)
	return err
}

func tarHeader(name string, size int64) *tar.Header {
	return &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: size, ModTime: time.Unix(0, 0)}
}

func tagOf(ref string) string {
	r, err := parseReference(ref)
	if err != nil || r.tag == "" {
		return ref
	}
	return r.tag
}

// A PlatformError says that an image is not there for a platform, or that one of
// several has to be named.
type PlatformError struct {
	Reference string
	Want      schema.Platform // the zero value where none was named
	Have      []string
}

func (e *PlatformError) Error() string {
	have := strings.Join(e.Have, ", ")
	if e.Want == (schema.Platform{}) {
		return fmt.Sprintf("%s is for several platforms, name one of %s", e.Reference, have)
	}
	return fmt.Sprintf("%s is not there for %s, only for %s", e.Reference, e.Want, have)
}

// WriteDocker writes what ref names as a docker-archive tar for docker load. The
// format holds one platform: the zero value is the only one the image has. If
// there is a choice to make, or none left, the error is a [*PlatformError].
func (s *ImageStore) WriteDocker(ctx context.Context, ref string, platform schema.Platform, w io.Writer) error {
	desc, err := s.Resolve(ref)
	if err != nil {
		return err
	}
	all, err := s.Platforms(ctx, desc)
	if err != nil {
		return err
	}
	one, err := choose(ref, all, platform)
	if err != nil {
		return err
	}
	img, err := s.Image(one)
	if err != nil {
		return err
	}
	to, err := name.ParseReference(desc.Annotations[refName])
	if err != nil {
		return &ReferenceError{Reference: plain.Short(ref), Reason: plain.Short(err.Error())}
	}
	if err := tarball.Write(to, img, &interruptibleWriter{ctx: ctx, w: w}); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("writing a Docker archive of %s: %w", ref, err)
	}
	return nil
}

// choose returns the one descriptor that is for the platform.
func choose(ref string, all []v1.Descriptor, want schema.Platform) (v1.Descriptor, error) {
	var have []string
	var fit []v1.Descriptor
	for _, d := range all {
		p := schema.Platform{OS: d.Platform.OS, Architecture: d.Platform.Architecture, Variant: d.Platform.Variant}
		have = append(have, p.String())
		// arm64 has one variant, which many leave out.
		same := p.OS == want.OS && p.Architecture == want.Architecture &&
			(p.Variant == want.Variant || want.Variant == "" || p.Variant == "")
		if same || want == (schema.Platform{}) {
			fit = append(fit, d)
		}
	}
	if len(fit) != 1 {
		slices.Sort(have)
		return v1.Descriptor{}, &PlatformError{Reference: ref, Want: want, Have: have}
	}
	return fit[0], nil
}

// An interruptibleWriter fails with the context's error once that is done.
type interruptibleWriter struct {
	ctx context.Context //nolint:containedctx // lives as long as one copy
	w   io.Writer
}

func (i *interruptibleWriter) Write(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.w.Write(p)
}
