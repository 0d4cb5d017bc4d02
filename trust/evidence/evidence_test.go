package evidence_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/registry"
	"fnb/trust"
	"fnb/trust/attestation"
	"fnb/trust/evidence"
)

// state attaches a statement, signed unless signer is nil.
func state(tb testing.TB, c *registry.Client, ref string, subject v1.Descriptor, s *attestation.Statement, signer *trust.Signer) {
	tb.Helper()
	a, err := evidence.Seal(tb.Context(), s, signer)
	fixture.Must(tb, err)
	_, err = c.Attach(tb.Context(), ref, subject, a)
	fixture.Must(tb, err)
}

// person makes a key.
func person(tb testing.TB) (*trust.Signer, []trust.TrustedKey) {
	tb.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	fixture.Must(tb, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	fixture.Must(tb, err)
	file := filepath.Join(tb.TempDir(), "key")
	fixture.Must(tb, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	s, err := trust.Open(tb.Context(), file, trust.Options{})
	fixture.Must(tb, err)
	return s, []trust.TrustedKey{{PublicKey: s.Key()}}
}

// image pushes an image of its own.
func image(tb testing.TB, ref string) v1.Descriptor {
	tb.Helper()
	img, err := random.Image(100, 1)
	fixture.Must(tb, err)
	r, err := name.ParseReference(ref)
	fixture.Must(tb, err)
	fixture.Must(tb, remote.Write(r, img))
	d, err := remote.Head(r)
	fixture.Must(tb, err)
	return *d
}

func client(tb testing.TB) *registry.Client {
	tb.Helper()
	c, err := registry.New(registry.Options{})
	fixture.Must(tb, err)
	return c
}

// missing is the error that says what there is instead.
func missing(t *testing.T, err error) *evidence.MissingError {
	t.Helper()
	e, ok := errors.AsType[*evidence.MissingError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	return e
}

// TestVerify wants signatures of images that have one, none, or something else that looks like one.
func TestVerify(t *testing.T) {
	t.Parallel()
	host := servers.RegistryFor(t, servers.RegistryOptions{}).Host
	c := client(t)
	ann, annKeys := person(t)
	bob, bobKeys := person(t)
	now := time.Now()
	spdx := func(digest string) *attestation.Statement {
		s, err := attestation.New(attestation.PredicateSPDX, map[string]string{"spdxVersion": "SPDX-2.3"}, attestation.Image(digest))
		fixture.Must(t, err)
		return s
	}
	// One that is signed, and a list of its packages that another has signed.
	ref := host + "/acme/good:1"
	good := image(t, ref)
	digest := good.Digest.String()
	for _, want := range []bool{true, false} {
		if changed, err := evidence.Sign(t.Context(), c, ref, good, ann); err != nil || changed != want {
			t.Errorf("signing: %t, %v", changed, err)
		}
	}
	state(t, c, ref, good, spdx(digest), bob)
	proof, err := evidence.Verify(t.Context(), c, ref, digest, annKeys, evidence.Signature(), now)
	if err != nil || !proof.Key.Equal(ann.Key()) || proof.Statement.PredicateType != attestation.PredicateSignature {
		t.Errorf("%+v, %v", proof, err)
	}
	if proof, err = evidence.Verify(t.Context(), c, ref, digest, bobKeys, evidence.SBOM(), now); err != nil || proof.What != "SBOM" {
		t.Errorf("%+v, %v", proof, err)
	}
	// GitHub writes the version of SPDX into the type.
	versioned := spdx(digest)
	versioned.PredicateType += "/v2.3"
	eve, eveKeys := person(t)
	state(t, c, ref, good, versioned, eve)
	if proof, err = evidence.Verify(t.Context(), c, ref, digest, eveKeys, evidence.SBOM(), now); err != nil || proof.What != "SBOM" {
		t.Errorf("%+v, %v", proof, err)
	}
	_, err = evidence.Verify(t.Context(), c, ref, digest, bobKeys, evidence.Signature(), now)
	if e := missing(t, err); !strings.HasSuffix(e.Error(), "no signature of the image counts: none of the given keys has signed it") {
		t.Error(e)
	}
	annKeys[0].Before = now.Add(-time.Hour)
	_, err = evidence.Verify(t.Context(), c, ref, digest, annKeys, evidence.Signature(), now)
	if e, ok := errors.AsType[*trust.TimeError](missing(t, err)); !ok || !e.Before.Equal(annKeys[0].Before) {
		t.Errorf("a key that has expired: %v", err)
	}
	annKeys[0].Before = time.Time{}

	// What is no signature of the image.
	signed := func(s *attestation.Statement) attestation.Artifact {
		a, err := attestation.Sign(t.Context(), ann, s)
		fixture.Must(t, err)
		return a
	}
	announced := func(a attestation.Artifact, predicate string) attestation.Artifact {
		a.Annotations = map[string]string{attestation.AnnotationPredicateType: predicate}
		return a
	}
	for what, tt := range map[string]struct {
		attached func(digest string) attestation.Artifact
		want     string
	}{
		"nothing":                     {nil, "the image has no signature"},
		"an SBOM":                     {func(d string) attestation.Artifact { return signed(spdx(d)) }, "the image has no signature, only: https://spdx.dev/Document"},
		"an SBOM that says to be one": {func(d string) attestation.Artifact { return announced(signed(spdx(d)), attestation.PredicateSignature) }, "it says https://spdx.dev/Document, and not https://sigstore.dev/cosign/sign/v1"},
		"one that says to be another": {func(d string) attestation.Artifact {
			return announced(signed(attestation.Signature(d)), attestation.PredicateSPDX)
		}, "the image has no signature, only: https://spdx.dev/Document"},
		"one of another image": {func(string) attestation.Artifact { return signed(attestation.Signature(digest)) }, "it is about another image"},
		"two signatures in one": {func(d string) attestation.Artifact {
			a := signed(attestation.Signature(d))
			a.Blob = bytes.Replace(a.Blob, []byte(`"signatures":[`), []byte(`"signatures":[{"sig":"AAAA"},`), 1)
			return a
		}, "the bundle has 2 signatures where it must have one"},
		"one that is cut off": {func(d string) attestation.Artifact {
			a := signed(attestation.Signature(d))
			a.Blob = a.Blob[:len(a.Blob)/2]
			return a
		}, "it is not a bundle of sigstore"},
	} {
		ref := host + "/acme/" + strings.ReplaceAll(strings.ToLower(what), " ", "-") + ":1"
		desc := image(t, ref)
		if tt.attached != nil {
			_, err := c.Attach(t.Context(), ref, desc, registry.Attachment(tt.attached(desc.Digest.String())))
			fixture.Must(t, err)
		}
		_, err := evidence.Verify(t.Context(), c, ref, desc.Digest.String(), annKeys, evidence.Signature(), now)
		if e := missing(t, err); !strings.Contains(e.Error(), tt.want) {
			t.Errorf("%s: %v", what, e)
		}
	}

	// One that nobody has signed, and a signature in cosign's older form.
	ref = host + "/acme/unsigned:1"
	desc := image(t, ref)
	state(t, c, ref, desc, spdx(desc.Digest.String()), nil)
	_, err = evidence.Verify(t.Context(), c, ref, desc.Digest.String(), annKeys, evidence.SBOM(), now)
	if e := missing(t, err); !e.Unsigned || !strings.Contains(e.Error(), "it has one that nobody has signed") {
		t.Errorf("%+v", e)
	}
	image(t, host+"/acme/unsigned:"+strings.Replace(desc.Digest.String(), ":", "-", 1)+".sig")
	_, err = evidence.Verify(t.Context(), c, ref, desc.Digest.String(), annKeys, evidence.Signature(), now)
	if e := missing(t, err); !e.Old || !strings.Contains(e.Error(), "in the form that cosign had before version 3") {
		t.Errorf("%+v", e)
	}
}

// TestMany finds a signature among ten thousand other statements, and gives up where too many may be signatures.
func TestMany(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{})
	ann, annKeys := person(t)
	desc := image(t, reg.Host+"/acme/many:1")
	state(t, client(t), reg.Host+"/acme/many:1", desc, attestation.Signature(desc.Digest.String()), ann)
	predicate, more := attestation.PredicateSPDX, 9_999
	to, err := url.Parse(reg.URL)
	fixture.Must(t, err)
	proxy := httputil.NewSingleHostReverseProxy(to)
	// A registry takes no list of what it has not, so it is added to what the registry has.
	proxy.ModifyResponse = func(r *http.Response) error {
		if !strings.Contains(r.Request.URL.Path, "/manifests/sha256-") || r.Request.Method != http.MethodGet {
			return nil
		}
		var m v1.IndexManifest
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			return err
		}
		for i := range more {
			m.Manifests = append(m.Manifests, v1.Descriptor{
				MediaType: types.OCIManifestSchema1, Size: 1, ArtifactType: attestation.MediaTypeBundle, Digest: v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%064d", i)},
				Annotations: map[string]string{attestation.AnnotationPredicateType: predicate},
			})
		}
		var b bytes.Buffer
		if err := json.NewEncoder(&b).Encode(m); err != nil {
			return err
		}
		r.Body, r.ContentLength = nopCloser{&b}, int64(b.Len())
		r.Header.Set("Content-Length", fmt.Sprint(b.Len()))
		r.Header.Del("Docker-Content-Digest")
		return nil
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	ref := strings.TrimPrefix(server.URL, "http://") + "/acme/many:1"
	if _, err := evidence.Verify(t.Context(), client(t), ref, desc.Digest.String(), annKeys, evidence.Signature(), time.Now()); err != nil {
		t.Errorf("among others: %v", err)
	}
	more = 10_000
	_, err = evidence.Verify(t.Context(), client(t), ref, desc.Digest.String(), annKeys, evidence.Signature(), time.Now())
	if e, ok := errors.AsType[*registry.ReferrersError](err); !ok || !strings.Contains(err.Error(), "more than 10000 things are attached to sha256:") {
		t.Errorf("too many to list: %v, %v", e, err)
	}
	// The registry lists what it has not.
	predicate, more = attestation.PredicateSignature, 100
	_, err = evidence.Verify(t.Context(), client(t), ref, desc.Digest.String(), annKeys, evidence.Signature(), time.Now())
	if e, ok := errors.AsType[*registry.ReferrersError](err); !ok || e.Lost == "" {
		t.Errorf("lost ones: %v", err)
	}
}

type nopCloser struct{ *bytes.Buffer }

func (nopCloser) Close() error { return nil }

// BenchmarkVerify is what it costs to find and check the signature of an image at a registry.
func BenchmarkVerify(b *testing.B) {
	host := servers.RegistryFor(b, servers.RegistryOptions{}).Host
	ann, keys := person(b)
	ref := host + "/acme/bench:1"
	desc := image(b, ref)
	state(b, client(b), ref, desc, attestation.Signature(desc.Digest.String()), ann)
	for b.Loop() {
		if _, err := evidence.Verify(b.Context(), client(b), ref, desc.Digest.String(), keys, evidence.Signature(), time.Now()); err != nil {
			b.Fatal(err)
		}
	}
}
