package images_test

import (
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/images"
	"fnb/images/imagestest"
	"fnb/internal/fixture"
)

// What is attached to an image is there once, is listed with what was said of it, and goes with the last
// reference of the image, as does what is attached to it in turn.
func TestAttached(t *testing.T) {
	t.Parallel()
	s := imagestest.NewStore(t)
	img := imagestest.NewImage(t)
	desc := imagestest.Put(t, s, "a:1", img)
	imagestest.Put(t, s, "a:2", img)
	note := images.Attachment{ArtifactType: "application/x-note", MediaType: "text/plain", Annotations: map[string]string{"is": "it"}, Blob: []byte("a note")}
	other := note
	other.Blob = []byte("another")
	for range 2 {
		fixture.Must(t, s.Attach(t.Context(), desc, note, other))
	}
	list := func(of v1.Hash, want int) []v1.Descriptor {
		t.Helper()
		all, err := s.Attached(of)
		if err != nil || len(all) != want {
			t.Fatalf("%d are attached (%v), not %d: %v", len(all), err, want, all)
		}
		return all
	}
	all := list(desc.Digest, 2)
	if a := all[0]; a.ArtifactType != note.ArtifactType || len(a.Annotations) != 1 || a.Annotations["is"] != "it" {
		t.Errorf("%+v", a)
	}
	fixture.Must(t, s.Attach(t.Context(), all[0], other))
	list(all[0].Digest, 1)
	if refs, err := s.List(); err != nil || len(refs) != 2 {
		t.Errorf("%v, %v", refs, err)
	}
	out, err := s.Remove(t.Context(), "a:1")
	if err != nil || out.Blobs != 0 {
		t.Errorf("%+v, %v", out, err)
	}
	list(desc.Digest, 2)
	// A manifest and a blob each, one of which two share, and the configuration of all three.
	out, err = s.Remove(t.Context(), "a:2")
	if err != nil || out.Blobs != 3+3+2+1 {
		t.Errorf("%+v, %v", out, err)
	}
	list(desc.Digest, 0)
	list(all[0].Digest, 0)
}
