package registry

import (
	"errors"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"fnb/images/imagestest"
	"fnb/internal/fixture"
	"fnb/internal/servers"
)

func TestDescribe(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{})
	arm := &v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}
	one, other, proof := imagestest.NewImage(t), imagestest.NewImageFor(t, *arm), imagestest.NewImage(t)
	idx := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: other, Descriptor: v1.Descriptor{Platform: arm}},
		mutate.IndexAddendum{Add: one, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: proof, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}}},
	)
	ref := reg.Host + "/acme/hello:1"
	to, err := name.ParseReference(ref, name.Insecure)
	fixture.Must(t, err)
	fixture.Must(t, remote.WriteIndex(to, idx))
	c := newClient(t, Options{})
	got, err := c.Describe(t.Context(), ref)
	fixture.Must(t, err)
	digest, err := idx.Digest()
	fixture.Must(t, err)
	if got.Digest != digest.String() || got.Pinned != reg.Host+"/acme/hello@"+digest.String() || got.Reference != ref {
		t.Errorf("%+v", got)
	}
	if len(got.Platforms) != 2 || got.Platforms[0].Platform != "linux/amd64" || got.Platforms[1].Platform != "linux/arm/v7" {
		t.Fatalf("platforms %+v", got.Platforms)
	}
	m, err := one.Manifest()
	fixture.Must(t, err)
	oneDigest, err := one.Digest()
	fixture.Must(t, err)
	if p := got.Platforms[0]; p.Digest != oneDigest.String() || p.Size != m.Layers[0].Size {
		t.Errorf("%+v", p)
	}

	// A digest decides, also where the tag has moved on; an image without an index
	// is one platform's.
	fixture.Must(t, remote.Write(to, one))
	if got, err := c.Describe(t.Context(), ref+"@"+digest.String()); err != nil || len(got.Platforms) != 2 || got.Digest != digest.String() {
		t.Errorf("by digest: %+v, %v", got, err)
	}
	if got, err := c.Describe(t.Context(), ref); err != nil || len(got.Platforms) != 1 || got.Platforms[0].Platform != "linux/amd64" {
		t.Errorf("one platform: %+v, %v", got, err)
	}
	gone := "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	_, err = c.Describe(t.Context(), ref+"@"+gone)
	if _, ok := errors.AsType[*NotFoundError](err); !ok {
		t.Errorf("an image that is gone: %T %v", err, err)
	}
}
