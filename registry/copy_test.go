package registry

import (
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/images/imagestest"
	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/schema"
)

// evident is an image in a registry with something attached to it, to the image of its first platform, and to
// what is attached to that.
func evident(t *testing.T, c *Client, ref string) (desc, first v1.Descriptor) {
	t.Helper()
	desc = pushed(t, c, ref)
	of, err := c.Open(t.Context(), ref, schema.Platform{OS: "linux", Architecture: "amd64"})
	fixture.Must(t, err)
	_, err = c.Attach(t.Context(), ref, desc, note("signature"), note("provenance"))
	fixture.Must(t, err)
	made, err := c.Attach(t.Context(), ref, of.Descriptor, note("sbom"))
	fixture.Must(t, err)
	_, err = c.Attach(t.Context(), ref, made[0], note("signature of the sbom"))
	fixture.Must(t, err)
	return desc, of.Descriptor
}

// whole fails unless all that evident has made is there.
func whole(t *testing.T, c *Client, ref string, desc, first v1.Descriptor) {
	t.Helper()
	if got, err := c.Head(t.Context(), ref); err != nil || got.Digest != desc.Digest {
		t.Errorf("%s is %v (%v), not %s", ref, got.Digest, err, desc.Digest)
	}
	var last v1.Descriptor
	for i, want := range []struct {
		of v1.Hash
		n  int
	}{{desc.Digest, 2}, {first.Digest, 1}, {v1.Hash{}, 1}} {
		if i == 2 {
			want.of = last.Digest
		}
		got, err := c.Referrers(t.Context(), ref, want.of.String(), "")
		if err != nil || len(got) != want.n {
			t.Fatalf("%d: %s has %d attached (%v), not %d", i, want.of, len(got), err, want.n)
		}
		last = got[0]
		if _, err := c.Attached(t.Context(), ref, want.of.String(), last, 100); err != nil {
			t.Error(err)
		}
	}
}

// TestCopy copies an image with all that is attached to it, between registries with the referrers API
// and without it, and by way of an image store.
func TestCopy(t *testing.T) {
	t.Parallel()
	hosts := map[string]string{"api": withReferrers(t, nil), "tag": servers.RegistryFor(t, servers.RegistryOptions{}).Host}
	for from, source := range hosts {
		for to, target := range hosts {
			t.Run(from+" to "+to, func(t *testing.T) {
				t.Parallel()
				c := newClient(t, Options{})
				ref := source + "/from-" + from + "-" + to + "/hello:1"
				desc, first := evident(t, c, ref)
				at := target + "/to-" + from + "-" + to + "/hello:1"
				out, err := newClient(t, Options{}).Copy(t.Context(), ref, at)
				if err != nil || out.Attached != 4 || out.Unchanged || out.Digest != desc.Digest.String() {
					t.Fatalf("%+v, %v", out, err)
				}
				whole(t, c, at, desc, first)
				// What was attached later comes with the next one, and nothing else.
				_, err = c.Attach(t.Context(), ref, desc, note("late"))
				fixture.Must(t, err)
				if out, err = c.Copy(t.Context(), ref+"@"+desc.Digest.String(), at); err != nil || out.Attached != 1 || !out.Unchanged {
					t.Errorf("again: %+v, %v", out, err)
				}
				s := imagestest.NewStore(t)
				if _, err := c.PullAttached(t.Context(), at, s); err != nil {
					t.Fatal(err)
				}
				back := source + "/back-" + from + "-" + to + "/hello:2"
				if out, err = c.Push(t.Context(), s, at, back); err != nil || out.Attached != 5 {
					t.Errorf("by way of a store: %+v, %v", out, err)
				}
			})
		}
	}
}

// TestCopyOrder holds that a tag is written last, that blobs within a registry are taken over, and that what is there
// is not sent.
func TestCopyOrder(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{Proxy: true})
	c := newClient(t, Options{})
	desc, first := evident(t, c, reg.Host+"/acme/hello:1")
	reg.Requests()
	heal := reg.Fail(servers.Fault{Method: http.MethodPut, Path: regexp.MustCompile("/team/hello/manifests/sha256-"), Status: http.StatusForbidden})
	if _, err := c.Copy(t.Context(), reg.Host+"/acme/hello:1", reg.Host+"/team/hello:1"); err == nil {
		t.Fatal("what cannot be listed was copied")
	}
	if _, err := c.Head(t.Context(), reg.Host+"/team/hello:1"); err == nil {
		t.Error("the tag is there before what is attached")
	}
	heal()
	c = newClient(t, Options{})
	_, err := c.Copy(t.Context(), reg.Host+"/acme/hello:1", reg.Host+"/team/hello:1")
	fixture.Must(t, err)
	var puts []string
	for _, r := range reg.Requests() {
		if r.Method == http.MethodPatch {
			t.Errorf("a blob was sent: %s", r.Path)
		}
		if r.Method == http.MethodPut && strings.Contains(r.Path, "/manifests/") {
			puts = append(puts, r.Path)
		}
	}
	if last := puts[len(puts)-1]; !strings.HasSuffix(last, "/manifests/1") {
		t.Errorf("the last is %s", last)
	}
	whole(t, c, reg.Host+"/team/hello:1", desc, first)
}

// TestCopyBad copies nothing of what has too much attached, or is not all there.
func TestCopyBad(t *testing.T) {
	t.Parallel()
	mode := ""
	host := withReferrers(t, func(inner http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch list := strings.Contains(r.URL.Path, "/acme/hello/referrers/"); {
			case list && mode == "many":
				pages(w, r, 10_000)
			case list && mode == "lost":
				pages(w, r, 1)
			case r.Method != http.MethodGet && r.Method != http.MethodHead && mode != "":
				t.Errorf("%s %s", r.Method, r.URL.Path)
				fallthrough
			default:
				inner.ServeHTTP(w, r)
			}
		})
	})
	c := newClient(t, Options{})
	from, to := host+"/acme/hello:1", host+"/team/hello:1"
	pushed(t, c, from)
	for m, words := range map[string]string{"many": "more than 1000 things are attached", "lost": "has lost what was attached"} {
		mode = m
		_, err := c.Copy(t.Context(), from, to)
		if e, ok := errors.AsType[*ReferrersError](err); !ok || !strings.Contains(err.Error(), words) || !strings.HasPrefix(e.Reference, host+"/acme/hello") {
			t.Errorf("%s: %v", m, err)
		}
	}
	mode = "none"
	_, err := c.Copy(t.Context(), host+"/acme/none:1", to)
	if e, ok := errors.AsType[*NotFoundError](err); !ok || e.Pushed || !strings.Contains(err.Error(), "/acme/none:1") {
		t.Errorf("%v", err)
	}
	if _, err := c.Copy(t.Context(), from, to+"@sha256:"+strings.Repeat("0", 64)); err == nil || !strings.Contains(err.Error(), "its digest is not the image's") {
		t.Errorf("%v", err)
	}
}

// A blob that is not what its digest says is not passed on.
func TestCopyFalse(t *testing.T) {
	t.Parallel()
	var layer string
	host := withReferrers(t, func(inner http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if layer != "" && r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, layer) {
				_, _ = w.Write(make([]byte, 2000))
				return
			}
			inner.ServeHTTP(w, r)
		})
	})
	other := withReferrers(t, nil)
	c := newClient(t, Options{})
	s := imagestest.NewStore(t)
	img := imagestest.NewImage(t)
	from := host + "/acme/hello:1"
	imagestest.Put(t, s, from, img)
	_, err := c.Push(t.Context(), s, from)
	fixture.Must(t, err)
	all, err := img.Layers()
	fixture.Must(t, err)
	digest, err := all[0].Digest()
	fixture.Must(t, err)
	layer = digest.String()
	if _, err := c.Copy(t.Context(), from, other+"/acme/hello:1"); err == nil {
		t.Error("it was copied")
	}
	r, err := name.ParseReference(other + "/acme/hello:1")
	fixture.Must(t, err)
	if _, err := c.Head(t.Context(), r.String()); err == nil {
		t.Error("it is there")
	}
}

// The image store brings along what is attached, before the tag.
func TestPushAttached(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{Proxy: true})
	c := newClient(t, Options{})
	s := imagestest.NewStore(t)
	ref := reg.Host + "/acme/hello:1"
	desc := imagestest.Put(t, s, ref, imagestest.NewImage(t))
	fixture.Must(t, s.Attach(t.Context(), desc, note("one")))
	out, err := c.Push(t.Context(), s, ref)
	if err != nil || out.Attached != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	if got, err := c.Referrers(t.Context(), ref, desc.Digest.String(), "application/x-note"); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	reg.Requests()
	if out, err = newClient(t, Options{}).Push(t.Context(), s, ref); err != nil || !out.Unchanged {
		t.Errorf("%+v, %v", out, err)
	}
	if got := reg.Requests(); len(got) != 2 || got[1].Method != http.MethodHead { // after GET /v2/
		t.Errorf("again it took %v", got)
	}
}
