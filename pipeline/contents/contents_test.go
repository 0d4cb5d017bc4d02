package contents_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"fnb/images"
	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/pipeline/contents"
	"fnb/pipeline/inventory"
	"fnb/registry"
	"fnb/sbom"
	"fnb/schema"
	"fnb/trust/attestation"
	"fnb/trust/evidence"
)

// image is one for an architecture, with a package of npm in it.
func image(t *testing.T, arch, version string) v1.Image {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	text := `{"name":"left-pad","version":"` + version + `"}`
	fixture.Must(t, w.WriteHeader(&tar.Header{Name: "a/node_modules/left-pad/package.json", Size: int64(len(text)), Mode: 0o644}))
	_, err := io.WriteString(w, text)
	fixture.Must(t, err)
	fixture.Must(t, w.Close())
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	fixture.Must(t, err)
	img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), l)
	fixture.Must(t, err)
	config, err := img.ConfigFile()
	fixture.Must(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", arch
	img, err = mutate.ConfigFile(img, config)
	fixture.Must(t, err)
	return img
}

// index is for this machine's architecture and another one.
func index(t *testing.T) v1.ImageIndex {
	t.Helper()
	idx := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for arch, version := range map[string]string{"s390x": "0.1.0", runtime.GOARCH: "1.3.0"} {
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: image(t, arch, version), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	return idx
}

// opened is a finder, and what it asks.
func opened(t *testing.T) (*contents.Finder, *servers.Registry) {
	t.Helper()
	reg := servers.RegistryFor(t, servers.RegistryOptions{Proxy: true})
	c, err := registry.New(registry.Options{})
	fixture.Must(t, err)
	kept, err := images.Open(t.TempDir())
	fixture.Must(t, err)
	return &contents.Finder{Images: kept, Registry: c, Cache: t.TempDir(), Version: "1.0.0"}, reg
}

func push(t *testing.T, ref string) {
	t.Helper()
	r, err := name.ParseReference(ref)
	fixture.Must(t, err)
	fixture.Must(t, remote.WriteIndex(r, index(t)))
}

// attach attaches an SBOM to the image of this machine's platform.
func attach(t *testing.T, c *registry.Client, ref string, change func(*sbom.Document)) {
	t.Helper()
	of, err := c.Open(t.Context(), ref, schema.Platform{OS: "linux", Architecture: runtime.GOARCH})
	fixture.Must(t, err)
	l, err := inventory.OfReference(t.Context(), of, nil)
	fixture.Must(t, err)
	change(&l.Document)
	s, err := l.Statement()
	fixture.Must(t, err)
	a, err := evidence.Seal(t.Context(), s, nil)
	fixture.Must(t, err)
	_, err = c.Attach(t.Context(), l.Reference, l.Subject, a)
	fixture.Must(t, err)
}

func names(i contents.Image) string {
	var all []string
	for _, p := range i.Packages {
		all = append(all, p.Name+"@"+p.Version)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// blobs is how many blobs were fetched.
func blobs(all []servers.Request) (n int) {
	for _, r := range all {
		if r.Method == http.MethodGet && strings.Contains(r.Path, "/blobs/") {
			n++
		}
	}
	return n
}

// What is attached says what is in an image, and no layer is fetched; without, one platform's layers are read.
func TestAttached(t *testing.T) {
	t.Parallel()
	f, reg := opened(t)
	ref := reg.Host + "/contents/one:1"
	push(t, ref)
	reg.Requests()
	got, err := f.Image(t.Context(), ref)
	fixture.Must(t, err)
	if n := blobs(reg.Requests()); names(got) != "left-pad@1.3.0" || n != 2 || got.Subject.Platform != "linux/"+runtime.GOARCH || got.Subject.Digest == "" {
		t.Errorf("by layers: %s, %d blobs, %+v", names(got), n, got.Subject)
	}
	// What was found in layers is kept: their contents cannot change.
	if got, err = f.Image(t.Context(), ref); err != nil || names(got) != "left-pad@1.3.0" || len(reg.Requests()) > 3 {
		t.Errorf("again: %s, %v", names(got), err)
	}
	attach(t, f.Registry, ref, func(d *sbom.Document) {
		d.Packages[0].Version = "1.3.1"
		d.Packages[0].PURL = sbom.NodePURL("left-pad", "1.3.1")
	})
	reg.Requests()
	f.Cache = t.TempDir()
	for round, most := range []int{1, 0} { // the second time its list of SBOMs is the same
		got, err = f.Image(t.Context(), ref)
		fixture.Must(t, err)
		asked := reg.Requests()
		if n := blobs(asked); names(got) != "left-pad@1.3.1" || n != most || len(got.Notes) > 0 || len(asked) > 4+most {
			t.Errorf("round %d: %s, %d blobs of %v, %q", round, names(got), n, asked, got.Notes)
		}
	}
	// Another one adds to it, and what was found before does not stand in its way.
	attach(t, f.Registry, ref, func(d *sbom.Document) {
		d.Packages[0].Name = "right-pad"
		d.Packages[0].PURL = sbom.NodePURL("right-pad", "1.3.0")
	})
	if got, err = f.Image(t.Context(), ref); err != nil || names(got) != "left-pad@1.3.1 right-pad@1.3.0" {
		t.Errorf("two: %s, %v", names(got), err)
	}
	f.Layers = true
	if got, err = f.Image(t.Context(), ref); err != nil || names(got) != "left-pad@1.3.0" {
		t.Errorf("by layers again: %s, %v", names(got), err)
	}
	if _, err := f.Image(t.Context(), reg.Host+"/contents/none:1"); err == nil {
		t.Error("an image that is not there is read")
	}
}

// An SBOM that is too large, about another image, or none, is a note, and the layers are read.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	f, reg := opened(t)
	ref := reg.Host + "/contents/bad:1"
	push(t, ref)
	of, err := f.Registry.Open(t.Context(), ref, schema.Platform{OS: "linux", Architecture: runtime.GOARCH})
	fixture.Must(t, err)
	for about, predicate := range map[string]any{
		of.Descriptor.Digest.String():              map[string]string{"spdxVersion": "SPDX-2.3", "comment": strings.Repeat("x", 50<<20)},
		"sha256:" + strings.Repeat("1", 64):        map[string]string{"spdxVersion": "SPDX-2.3"},
		of.Descriptor.Digest.String() + " no SPDX": map[string]string{"a": "b"},
	} {
		digest, _, _ := strings.Cut(about, " ")
		s, err := attestation.New(attestation.PredicateSPDX, predicate, attestation.Image(digest))
		fixture.Must(t, err)
		a, err := attestation.Unsigned(s)
		fixture.Must(t, err)
		_, err = f.Registry.Attach(t.Context(), of.Reference, of.Descriptor, registry.Attachment(a))
		fixture.Must(t, err)
	}
	got, err := f.Image(t.Context(), ref)
	fixture.Must(t, err)
	notes := strings.Join(got.Notes, "\n")
	for _, want := range []string{"is larger than what is read", "it is about another image", "it is neither SPDX 2 nor CycloneDX"} {
		if strings.Count(notes, want) != 1 {
			t.Errorf("no %q in %s", want, notes)
		}
	}
	if names(got) != "left-pad@1.3.0" || strings.Count(notes, of.Reference+": an SBOM is not read: ") != 3 {
		t.Errorf("%s\n%s", names(got), notes)
	}
	// The layers are kept, and the note with them is not: it is told once.
	if got, err = f.Image(t.Context(), ref); err != nil || len(got.Notes) > 0 {
		t.Errorf("again: %q, %v", got.Notes, err)
	}
}

// A list of ten thousand referrers is looked through, and one that has too many SBOMs is left alone.
func TestManyReferrers(t *testing.T) {
	t.Parallel()
	f, reg := opened(t)
	push(t, reg.Host+"/contents/many:1")
	var predicate atomic.Value
	to, err := url.Parse(reg.URL)
	fixture.Must(t, err)
	proxy := httputil.NewSingleHostReverseProxy(to)
	// A registry takes no list of what it has not, so the list is put before it.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/manifests/sha256-") {
			proxy.ServeHTTP(w, r)
			return
		}
		m := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
		for i := range 10_000 {
			m.Manifests = append(m.Manifests, v1.Descriptor{
				MediaType: types.OCIManifestSchema1, Size: 1, ArtifactType: attestation.MediaTypeBundle, Digest: v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%064d", i)},
				Annotations: map[string]string{attestation.AnnotationPredicateType: fmt.Sprint(predicate.Load())},
			})
		}
		w.Header().Set("Content-Type", string(m.MediaType))
		_ = json.NewEncoder(w).Encode(m)
	}))
	t.Cleanup(server.Close)
	ref := strings.TrimPrefix(server.URL, "http://") + "/contents/many:1"
	predicate.Store(attestation.PredicateSignature)
	if got, err := f.Image(t.Context(), ref); err != nil || names(got) != "left-pad@1.3.0" || len(got.Notes) > 0 {
		t.Errorf("signatures: %s, %q, %v", names(got), got.Notes, err)
	}
	f.Cache = t.TempDir()
	predicate.Store(attestation.PredicateSPDX)
	got, err := f.Image(t.Context(), ref)
	if err != nil || names(got) != "left-pad@1.3.0" || len(got.Notes) != 1 || !strings.Contains(got.Notes[0], "more than 100 things are attached to sha256:") {
		t.Errorf("SBOMs: %s, %q, %v", names(got), got.Notes, err)
	}
}
