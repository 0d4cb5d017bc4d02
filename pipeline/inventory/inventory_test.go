package inventory_test

import (
	"archive/tar"
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/pipeline/inventory"
	"fnb/registry"
	"fnb/sbom"
	"fnb/schema"
	"fnb/trust/attestation"
	"fnb/trust/evidence"
)

// image is one with a package of npm in it.
func image(t *testing.T, version string) v1.Image {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	text := `{"name":"left-pad","version":"` + version + `"}`
	if err := w.WriteHeader(&tar.Header{Name: "a/node_modules/left-pad/package.json", Size: int64(len(text)), Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), l)
	if err == nil {
		img, err = mutate.CreatedAt(img, v1.Time{Time: time.Unix(315532801, 0)})
	}
	if err == nil {
		img, err = mutate.ConfigFile(img, &v1.ConfigFile{OS: "linux", Architecture: "amd64", Created: v1.Time{Time: time.Unix(315532801, 0)}, Config: v1.Config{
			WorkingDir: "/a", Labels: map[string]string{"fnb.template": "node@1.2.0", "fnb.template.checksum": "fnb1:sha256:00", "fnb.watchdog": "ghcr.io/x/dog:1@sha256:" + strings.Repeat("0", 64), "org.opencontainers.image.base.name": "docker.io/library/node:24", "org.opencontainers.image.base.digest": "sha256:" + strings.Repeat("1", 64)},
		}, RootFS: v1.RootFS{Type: "layers", DiffIDs: diffIDs(t, img)}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func diffIDs(t *testing.T, img v1.Image) []v1.Hash {
	t.Helper()
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return c.RootFS.DiffIDs
}

func open(t *testing.T, c *registry.Client, ref string) *registry.Contents {
	t.Helper()
	of, err := c.Open(t.Context(), ref, schema.Platform{})
	if err != nil {
		t.Fatal(err)
	}
	return of
}

// An image says what it is made of, what is attached to it is found again, and the same is attached once.
func TestAttach(t *testing.T) {
	t.Parallel()
	host := servers.RegistryFor(t, servers.RegistryOptions{}).Host
	c, err := registry.New(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ref := host + "/inventory/one:1"
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(r, image(t, "1.3.0")); err != nil {
		t.Fatal(err)
	}
	of := open(t, c, ref)
	l, err := inventory.OfReference(t.Context(), of, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := l.Document
	if len(d.Packages) != 1 || d.Packages[0].Name != "left-pad" || d.Template.Version != "1.2.0" || d.Watchdog.Name != "ghcr.io/x/dog:1" || !strings.HasSuffix(d.Base.Digest, "11") || d.Subject.Platform != "linux/amd64" || d.Subject.Digest == "" {
		t.Errorf("%+v", d)
	}
	if found, notes, err := inventory.Attached(t.Context(), c, of); err != nil || len(found)+len(notes) > 0 {
		t.Errorf("%v %v %v", found, notes, err)
	}
	says := func(l inventory.List, s *attestation.Statement, err error) {
		t.Helper()
		var a registry.Attachment
		if err == nil {
			a, err = evidence.Seal(t.Context(), s, nil)
		}
		if err == nil {
			_, err = c.Attach(t.Context(), l.Reference, l.Subject, a)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		s, err := l.Statement()
		says(l, s, err)
	}
	found, notes, err := inventory.Attached(t.Context(), c, of)
	if err != nil || len(found) != 1 || len(notes) > 0 || found[0].Signed {
		t.Fatalf("%v %v %v", found, notes, err)
	}
	got, _ := inventory.In(found, sbom.FormatSPDX)
	want, err := l.Document.SPDX()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("what was attached is\n%s", got)
	}
	other, _ := inventory.In(found, sbom.FormatCycloneDX)
	if want, err := l.Document.CycloneDX(); err != nil || !bytes.Equal(other, want) {
		t.Errorf("%v: the other format is\n%s", err, other)
	}
	wrong, err := attestation.New(attestation.PredicateSPDX, map[string]string{}, attestation.Image("sha256:"+strings.Repeat("2", 64)))
	says(l, wrong, err)
	if found, notes, err = inventory.Attached(t.Context(), c, of); err != nil || len(found) != 1 || len(notes) != 1 || !strings.Contains(notes[0], "about another image") {
		t.Errorf("%v %v %v", found, notes, err)
	}
}

// What BuildKit puts into an index is found, for the platform that is asked for.
func TestInIndex(t *testing.T) {
	t.Parallel()
	host := servers.RegistryFor(t, servers.RegistryOptions{}).Host
	c, err := registry.New(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	one, two := image(t, "1.0.0"), image(t, "2.0.0")
	digest, err := one.Digest()
	if err != nil {
		t.Fatal(err)
	}
	s, err := attestation.New(attestation.PredicateSPDX, map[string]any{"spdxVersion": "SPDX-2.3", "packages": []any{}}, attestation.Image(digest.String()))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := s.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	says, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), mutate.Addendum{
		Layer: static.NewLayer(raw, "application/vnd.in-toto+json"), Annotations: map[string]string{"in-toto.io/predicate-type": attestation.PredicateSPDX},
	})
	if err != nil {
		t.Fatal(err)
	}
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
		mutate.IndexAddendum{Add: one, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: two, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}},
		mutate.IndexAddendum{Add: says, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}, Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": digest.String()}}})
	ref := host + "/inventory/index:1"
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(r, index); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Open(t.Context(), ref, schema.Platform{}); err == nil || !strings.Contains(err.Error(), "for several platforms") {
		t.Errorf("%v", err)
	}
	for arch, want := range map[string]int{"amd64": 1, "arm64": 0} {
		of, err := c.Open(t.Context(), ref, schema.Platform{OS: "linux", Architecture: arch})
		if err != nil {
			t.Fatal(err)
		}
		found, notes, err := inventory.Attached(t.Context(), c, of)
		if err != nil || len(found) != want || len(notes) > 0 {
			t.Errorf("%s: %v %v %v", arch, found, notes, err)
		}
	}

	// An image that is made of it names what its base says of itself: in the index, attached, and not at all.
	whole, err := index.Digest()
	fixture.Must(t, err)
	inside, err := says.Digest()
	fixture.Must(t, err)
	second, err := two.Digest()
	fixture.Must(t, err)
	base := func(arch string) (string, error) {
		return inventory.OfBase(t.Context(), c, &sbom.Document{Subject: sbom.Subject{Platform: "linux/" + arch}, Base: sbom.Base{Reference: ref, Digest: whole.String()}})
	}
	if got, err := base("amd64"); err != nil || got != host+"/inventory/index@"+inside.String() {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := base("arm64"); err != nil || got != "" {
		t.Errorf("%s, %v", got, err)
	}
	made, err := attestation.New(attestation.PredicateCycloneDX, map[string]any{"bomFormat": "CycloneDX"}, attestation.Image(second.String()))
	fixture.Must(t, err)
	a, err := evidence.Seal(t.Context(), made, nil)
	fixture.Must(t, err)
	size, err := two.Size()
	fixture.Must(t, err)
	at, err := c.Attach(t.Context(), ref, v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: second, Size: size}, a)
	fixture.Must(t, err)
	if got, err := base("arm64"); err != nil || len(at) != 1 || got != host+"/inventory/index@"+at[0].Digest.String() {
		t.Errorf("%s, %v, of %v", got, err, at)
	}
	if got, err := inventory.OfBase(t.Context(), c, &sbom.Document{}); err != nil || got != "" {
		t.Errorf("without a base image: %s, %v", got, err)
	}
	if _, err := base("s390x"); err == nil || !strings.Contains(err.Error(), "looking for the SBOM of the base image: ") {
		t.Errorf("of a platform that it has not: %v", err)
	}
}
