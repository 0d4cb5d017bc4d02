package servers

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

func TestRegistry(t *testing.T) {
	t.Parallel()
	certs, err := MakeCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	basic := remote.WithAuth(&authn.Basic{Username: "ann", Password: "secret"})
	tests := []struct {
		name    string
		opts    RegistryOptions
		options []remote.Option
		status  int // of a push without credentials or with wrong ones
	}{
		{name: "open to everybody"},
		{name: "behind a proxy", opts: RegistryOptions{Proxy: true}},
		{name: "with TLS", opts: RegistryOptions{TLS: certs}},
		{name: "with TLS behind a proxy", opts: RegistryOptions{TLS: certs, Proxy: true}},
		{
			name: "with a password", opts: RegistryOptions{User: "ann", Password: "secret"},
			options: []remote.Option{basic}, status: http.StatusUnauthorized,
		},
		{
			name: "with a password behind a proxy", opts: RegistryOptions{User: "ann", Password: "secret", Proxy: true},
			options: []remote.Option{basic}, status: http.StatusUnauthorized,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := RegistryFor(t, tt.opts)
			options := append(tt.options, remote.WithContext(t.Context()), remote.WithTransport(r.Client(tt.opts.TLS).Transport))
			img, err := random.Image(1000, 2)
			if err != nil {
				t.Fatal(err)
			}
			ref := mustRef(t, r, "some/image:v1")
			if err := remote.Write(ref, img, options...); err != nil {
				t.Fatal(err)
			}
			got, err := remote.Image(ref, options...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(mustDigest(t, img), mustDigest(t, got)); diff != "" {
				t.Errorf("digest pulled (-pushed +pulled):\n%s", diff)
			}
			if tt.status == 0 {
				return
			}
			wrong := remote.WithAuth(&authn.Basic{Username: "ann", Password: "wrong"})
			err = remote.Write(ref, img, append(options, wrong)...)
			if refused, ok := errors.AsType[*transport.Error](err); !ok || refused.StatusCode != tt.status {
				t.Errorf("pushing with a wrong password: got %v, want status %d", err, tt.status)
			}
		})
	}
}

func TestRegistryKeepsItsFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	img, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	first, err := StartRegistry(t.Context(), RegistryOptions{Dir: dir})
	Require(t, "registry", err)
	err = remote.Write(mustRef(t, first, "kept"), img, remote.WithContext(t.Context()))
	if err := errors.Join(err, first.Close()); err != nil {
		t.Fatal(err)
	}
	second := RegistryFor(t, RegistryOptions{Dir: dir})
	got, err := remote.Head(mustRef(t, second, "kept"), remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if got.Digest != mustDigest(t, img) {
		t.Errorf("got %s, want %s", got.Digest, mustDigest(t, img))
	}
}

func TestRegistryFaults(t *testing.T) {
	t.Parallel()
	manifests := regexp.MustCompile(`/manifests/`)
	tests := []struct {
		name  string
		fault Fault
		want  []int // the answers to four requests for a manifest
	}{
		{"always 403", Fault{Status: 403}, []int{403, 403, 403, 403}},
		{"429 twice", Fault{Status: 429, RetryAfter: 1, Times: 2}, []int{429, 429, 404, 404}},
		{"500 once after one good answer", Fault{Status: 500, Skip: 1, Times: 1}, []int{404, 500, 404, 404}},
		{"a cut connection", Fault{Path: manifests, Times: 1}, []int{0, 404, 404, 404}},
		{"another method", Fault{Method: http.MethodPut, Status: 500}, []int{404, 404, 404, 404}},
		{"another path", Fault{Path: regexp.MustCompile(`/blobs/`), Status: 500}, []int{404, 404, 404, 404}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := RegistryFor(t, RegistryOptions{Proxy: true})
			r.Fail(tt.fault)
			var got []int
			for range tt.want {
				got = append(got, getStatus(t.Context(), t, r))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
			var recorded []int
			for _, req := range r.Requests() {
				recorded = append(recorded, req.Status)
			}
			if !slices.Equal(recorded, tt.want) {
				t.Errorf("recorded %v, want %v", recorded, tt.want)
			}
			r.Heal()
			if got := getStatus(t.Context(), t, r); got != http.StatusNotFound {
				t.Errorf("after healing: status %d", got)
			}
		})
	}
}

// getStatus asks for a manifest that is not there; 0 means no answer.
func getStatus(ctx context.Context, t *testing.T, r *Registry) int {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL+"/v2/none/manifests/none", nil)
	if err != nil {
		t.Fatal(err)
	}
	// Without keep-alive no request is sent a second time by the client itself.
	req.Close = true
	resp, err := r.Client(nil).Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func mustRef(t *testing.T, r *Registry, repository string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(r.Host + "/" + repository)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func mustDigest(t *testing.T, img v1.Image) v1.Hash {
	t.Helper()
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d
}
