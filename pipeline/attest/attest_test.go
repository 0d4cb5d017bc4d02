package attest

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"fnb/images"
	"fnb/images/imagestest"
	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/pipeline/inventory"
	"fnb/pipeline/provenance"
	"fnb/registry"
	"fnb/sbom/scan"
	"fnb/schema"
	"fnb/trust"
	"fnb/trust/attestation"
)

// system is a layer with as many packages of Debian as an image of it has.
func system(tb testing.TB, packages int) v1.Layer {
	tb.Helper()
	var status, b bytes.Buffer
	for i := range packages {
		fmt.Fprintf(&status, "Package: lib%d\nStatus: install ok installed\nMaintainer: Some Body <body@example.com>\nArchitecture: amd64\nSource: source%d (1.%d)\nVersion: 1.%d-1+deb12u1\nDescription: x\n\n", i, i, i, i)
	}
	w := tar.NewWriter(&b)
	for name, text := range map[string]string{"etc/os-release": "ID=debian\nVERSION_ID=\"12\"\n", "var/lib/dpkg/status": status.String()} {
		fixture.Must(tb, w.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Mode: 0o644}))
		_, err := io.WriteString(w, text)
		fixture.Must(tb, err)
	}
	fixture.Must(tb, w.Close())
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }, tarball.WithMediaType(types.OCILayer))
	fixture.Must(tb, err)
	return l
}

// made is an image in a registry as a builder has pushed it by digest: it lends what lend has, and nothing if that is nil.
func made(tb testing.TB, c *registry.Client, ref string, lend *images.Store, base v1.Layer) Image {
	tb.Helper()
	s := imagestest.NewStore(tb)
	if lend != nil {
		s = lend
	}
	desc := imagestest.Put(tb, s, ref, imagestest.NewImage(tb, base))
	_, err := c.Push(tb.Context(), s, ref)
	fixture.Must(tb, err)
	raw, err := s.Manifest(desc)
	fixture.Must(tb, err)
	img := Image{
		Reference: ref, Descriptor: v1.Descriptor{MediaType: desc.MediaType, Size: desc.Size, Digest: desc.Digest}, Manifest: raw,
		Making: provenance.Making{Function: "hello", Reference: "go", Template: schema.Pin{Store: "official", Checksum: "fnb1:sha256:" + strings.Repeat("0", 64)}},
		About:  inventory.About{Repository: "hello"},
	}
	if lend != nil {
		img.Blob = func(_ context.Context, digest string) (io.ReadCloser, error) {
			h, err := v1.NewHash(digest)
			if err != nil {
				return nil, err
			}
			return os.Open(filepath.Join(s.Dir(), "blobs", "sha256", h.Hex))
		}
	}
	return img
}

// listed are the types of what is attached to an image.
func listed(tb testing.TB, c *registry.Client, img Image) string {
	tb.Helper()
	all, err := c.Referrers(tb.Context(), img.Reference, img.Descriptor.Digest.String(), "")
	fixture.Must(tb, err)
	var out []string
	for _, d := range all {
		p := attestation.PredicateOf(d.Annotations)
		out = append(out, p[strings.LastIndexAny(p, "/:")+1:])
	}
	return strings.Join(out, " ")
}

func client(tb testing.TB) *registry.Client {
	tb.Helper()
	c, err := registry.New(registry.Options{DockerConfig: tb.TempDir(), AuthFiles: []string{}})
	fixture.Must(tb, err)
	return c
}

func everything() Wants { return Wants{SBOM: true, Provenance: provenance.Min} }

func person(tb testing.TB) *trust.Signer {
	tb.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	fixture.Must(tb, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	fixture.Must(tb, err)
	file := filepath.Join(tb.TempDir(), "key")
	fixture.Must(tb, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	s, err := trust.Open(tb.Context(), file, trust.Options{})
	fixture.Must(tb, err)
	return s
}

// What is wanted is attached and nothing else, once, and signed if there is a key. What the builder lends is not fetched.
func TestAttach(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{Proxy: true})
	base := system(t, 50)
	for name, c := range map[string]struct {
		wants  Wants
		signed bool
		lent   bool
		want   string
	}{
		"nothing":    {want: ""},
		"sbom":       {Wants{SBOM: true}, false, true, "Document"},
		"provenance": {Wants{Provenance: provenance.Min}, false, true, "1 v1"},
		"everything": {everything(), false, false, "1 Document v1"},
		"signature":  {Wants{}, true, true, "v1"},
		"all":        {everything(), true, true, "1 Document v1 v1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var lend *images.Store
			if c.lent {
				lend = imagestest.NewStore(t)
			}
			img := made(t, client(t), reg.Host+"/attach/"+name+":1", lend, base)
			a := &Attester{Wants: c.wants, Registry: client(t), Layers: &scan.Cache{}}
			if c.signed {
				a.Signer = person(t)
			}
			mine := regexp.MustCompile("/attach/" + name + "/")
			for i := range 2 {
				reg.RequestsOf(mine)
				notes, err := a.Attach(t.Context(), img)
				if err != nil || len(notes) > 0 {
					t.Fatalf("%d: %v, %v", i, notes, err)
				}
				asked := reg.RequestsOf(mine)
				fetched := 0
				for _, r := range asked {
					if r.Method == http.MethodGet && strings.Contains(r.Path, "/blobs/") {
						fetched++
					}
				}
				want := 0
				if c.wants.SBOM && !c.lent {
					want = []int{3, 1}[i] // its configuration and two layers, which are known then
				}
				if fetched != want {
					t.Errorf("%d: %d blobs were fetched, not %d: %v", i, fetched, want, asked)
				}
				listing := func(r servers.Request) bool {
					return r.Method == http.MethodPut && strings.Contains(r.Path, "/manifests/sha256-")
				}
				if i == 1 && slices.ContainsFunc(asked, listing) {
					t.Errorf("what is listed already is written again: %v", asked)
				}
				if got := strings.Fields(listed(t, client(t), img)); !slices.Equal(slices.Sorted(slices.Values(got)), strings.Fields(c.want)) {
					t.Errorf("%d: %v is attached, not %s", i, got, c.want)
				}
			}
			all, err := a.Registry.Referrers(t.Context(), img.Reference, img.Descriptor.Digest.String(), "")
			fixture.Must(t, err)
			for _, d := range all {
				if signed := attestation.IsBundle(d.ArtifactType); signed != c.signed {
					t.Errorf("%+v", d)
				}
			}
		})
	}
}

// What a registry does not take, or does not keep, is a note once for each registry, and an error if it was asked for or
// is signed.
func TestRefused(t *testing.T) {
	t.Parallel()
	base := system(t, 3)
	for name, fault := range map[string]servers.Fault{
		"refuses the list": {Method: http.MethodPut, Path: regexp.MustCompile("/manifests/sha256-"), Status: http.StatusForbidden},
		"refuses blobs":    {Method: http.MethodPost, Status: http.StatusMethodNotAllowed},
		"loses the list":   {Method: http.MethodPut, Path: regexp.MustCompile("/manifests/sha256-"), Status: http.StatusCreated},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg := servers.RegistryFor(t, servers.RegistryOptions{Proxy: true})
			store := imagestest.NewStore(t)
			one, two := made(t, client(t), reg.Host+"/refused/one:1", store, base), made(t, client(t), reg.Host+"/refused/two:1", store, base)
			reg.Fail(fault)
			a := &Attester{Wants: everything(), Registry: client(t), Layers: &scan.Cache{}}
			for i, img := range []Image{one, two} {
				notes, err := a.Attach(t.Context(), img)
				if err != nil || len(notes) != 1-i || i == 0 && !strings.Contains(notes[0], reg.Host+" does not take what is attached to images, so they have no SBOM and provenance there: ") {
					t.Errorf("%d: %v, %v", i, notes, err)
				}
			}
			for i, strict := range []*Attester{{Wants: Wants{SBOM: true, Demanded: true}}, {Wants: everything(), Signer: person(t)}} {
				strict.Registry, strict.Layers = client(t), &scan.Cache{}
				_, err := strict.Attach(t.Context(), one)
				e, ok := errors.AsType[*RefusedError](err)
				if want := []string{"SBOM", "SBOM and provenance and signature"}[i]; !ok || e.What != want {
					t.Errorf("%d: %v", i, err)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := a.Attach(ctx, one); err != nil { // it is known not to take it
				t.Error(err)
			}
			if _, err := (&Attester{Wants: everything(), Registry: client(t), Layers: &scan.Cache{}}).Attach(ctx, one); !errors.Is(err, context.Canceled) {
				t.Errorf("interrupted: %v", err)
			}
		})
	}
}

// An image that cannot be looked into has what else is said of it.
func TestUnlooked(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{})
	c := client(t)
	img := made(t, c, reg.Host+"/unlooked/one:1", imagestest.NewStore(t), imagestest.NewLayer(t, 3000))
	lent := img.Blob
	img.Blob = func(ctx context.Context, digest string) (io.ReadCloser, error) {
		r, err := lent(ctx, digest)
		if err != nil {
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{io.LimitReader(r, 100), r}, nil
	}
	a := &Attester{Wants: everything(), Registry: c, Layers: &scan.Cache{}}
	notes, err := a.Attach(t.Context(), img)
	if err != nil || len(notes) != 1 || !strings.HasPrefix(notes[0], "the image has no SBOM: looking into it: ") {
		t.Errorf("%v, %v", notes, err)
	}
	if got := listed(t, c, img); got != "1 v1" && got != "v1 1" {
		t.Errorf("it has %s", got)
	}
	a.Wants.Demanded = true
	if _, err := a.Attach(t.Context(), img); err == nil {
		t.Error("the SBOM was asked for")
	}
}

// What is kept has the same attached, byte for byte.
func TestKeep(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{})
	s, c := imagestest.NewStore(t), client(t)
	img := made(t, c, reg.Host+"/keep/one:1", s, system(t, 3))
	a := &Attester{Wants: everything(), Registry: c, Layers: &scan.Cache{}}
	for range 2 {
		if notes, err := a.Keep(t.Context(), s, img); err != nil || len(notes) > 0 {
			t.Fatal(notes, err)
		}
	}
	_, err := a.Attach(t.Context(), img)
	fixture.Must(t, err)
	there, err := c.Referrers(t.Context(), img.Reference, img.Descriptor.Digest.String(), "")
	fixture.Must(t, err)
	here, err := s.Attached(img.Descriptor.Digest)
	if err != nil || len(here) != 3 || !slices.EqualFunc(here, there, func(a, b v1.Descriptor) bool { return a.Digest == b.Digest }) {
		t.Errorf("%v\n%v\n%v", here, there, err)
	}
}

// BenchmarkSay writes down what is said of an image whose layers are known, and signs it.
func BenchmarkSay(b *testing.B) {
	reg := servers.RegistryFor(b, servers.RegistryOptions{})
	img := made(b, client(b), reg.Host+"/say/one:1", imagestest.NewStore(b), system(b, 90))
	for name, signer := range map[string]*trust.Signer{"unsigned": nil, "signed": person(b)} {
		b.Run(name, func(b *testing.B) {
			a := &Attester{Wants: everything(), Signer: signer, Registry: client(b), Layers: &scan.Cache{}}
			for b.Loop() {
				if _, _, err := a.say(b.Context(), img, a.opener(b.Context(), img)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
