package images_test

import (
	"bytes"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	contentlocal "github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/images"
	"fnb/images/imagestest"
	"fnb/internal/fixture"
)

// TestContentStoreWritesIntoTheImageStore writes an image as BuildKit's client
// does: through containerd's content store, into the same folder.
func TestContentStoreWritesIntoTheImageStore(t *testing.T) {
	t.Parallel()
	s := imagestest.NewStore(t)
	cs, err := contentlocal.NewStore(s.Dir())
	fixture.Must(t, err)
	other := imagestest.NewStore(t)
	desc := imagestest.WriteBlobs(t, other, imagestest.NewIndex(t))
	tree, err := other.Walk(t.Context(), desc)
	fixture.Must(t, err)
	release, err := s.Hold(t.Context())
	fixture.Must(t, err)
	for _, d := range append(tree.Blobs, tree.Manifests...) {
		r, err := other.Blob(d).Compressed()
		fixture.Must(t, err)
		var b bytes.Buffer
		_, err = b.ReadFrom(r)
		fixture.Must(t, err)
		fixture.Must(t, r.Close())
		to := ocispec.Descriptor{Digest: digest.Digest(d.Digest.String()), Size: d.Size}
		fixture.Must(t, content.WriteBlob(t.Context(), cs, to.Digest.String(), &b, to))
	}
	fixture.Must(t, s.Put(t.Context(), "hello:1", desc))
	release()
	imagestest.Verify(t, s, "hello:1")
	if _, err := s.Prune(t.Context(), images.PruneOptions{Keep: all}); err != nil {
		t.Error(err)
	}
	imagestest.Verify(t, s, "hello:1")
}
