package registry

import (
	"bytes"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	contentlocal "github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestContentStoreWritesIntoTheImageStore writes an image as BuildKit's client
// does: through containerd's content store, into the same folder.
func TestContentStoreWritesIntoTheImageStore(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	cs, err := contentlocal.NewStore(s.Dir())
	must(t, err)
	other := newStore(t)
	desc := writeBlobs(t, other, newIndex(t))
	tree, err := other.walk(t.Context(), desc)
	must(t, err)
	release, err := s.Hold(t.Context())
	must(t, err)
	for _, d := range append(tree.Blobs, tree.Manifests...) {
		r, err := other.openBlob(d)
		must(t, err)
		var b bytes.Buffer
		_, err = b.ReadFrom(r)
		must(t, err)
		must(t, r.Close())
		to := ocispec.Descriptor{Digest: digest.Digest(d.Digest.String()), Size: d.Size}
		must(t, content.WriteBlob(t.Context(), cs, to.Digest.String(), &b, to))
	}
	must(t, s.Put(t.Context(), "hello:1", desc))
	release()
	must(t, s.Verify(t.Context(), "hello:1"))
	if _, err := s.Prune(t.Context()); err != nil {
		t.Error(err)
	}
	must(t, s.Verify(t.Context(), "hello:1"))
}
