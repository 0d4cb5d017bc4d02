package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"fnb/images/imagestest"
	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// note is something to attach.
func note(text string) Attachment {
	return Attachment{ArtifactType: "application/x-note", MediaType: "text/plain", Annotations: map[string]string{"is": text}, Blob: []byte(text)}
}

// pushed puts an image into a registry.
func pushed(t *testing.T, c *Client, ref string) v1.Descriptor {
	t.Helper()
	s := imagestest.NewStore(t)
	desc := imagestest.Put(t, s, ref, imagestest.NewIndex(t))
	_, err := c.Push(t.Context(), s, ref, ref)
	fixture.Must(t, err)
	return desc
}

// withReferrers is a registry with the referrers API, go-containerregistry's; around, if given, is before it.
func withReferrers(t *testing.T, around func(http.Handler) http.Handler) string {
	t.Helper()
	h := ggcr.New(ggcr.WithReferrersSupport(true), ggcr.Logger(log.New(io.Discard, "", 0)))
	if around != nil {
		h = around(h)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// TestAttach attaches to an image in registries with the referrers API and without it.
func TestAttach(t *testing.T) {
	t.Parallel()
	hosts := map[string]string{"api": withReferrers(t, nil)}
	for _, program := range []string{"", "docker-registry", "crane"} {
		hosts["program "+program] = servers.RegistryFor(t, servers.RegistryOptions{Program: program}).Host
	}
	for name, host := range hosts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, Options{})
			ref := host + "/acme/hello:1"
			desc := pushed(t, c, ref)
			if got, err := c.Referrers(t.Context(), ref, desc.Digest.String(), ""); err != nil || len(got) != 0 {
				t.Errorf("before: %v, %v", got, err)
			}
			other := note("two")
			other.ArtifactType = "application/x-other"
			made, err := c.Attach(t.Context(), ref, v1.Descriptor{}, note("one"), other)
			if err != nil || len(made) != 2 {
				t.Fatalf("%v, %v", made, err)
			}
			one, two := made[0], made[1]
			again, err := newClient(t, Options{}).Attach(t.Context(), ref, desc, note("one"))
			if err != nil || again[0].Digest != one.Digest {
				t.Errorf("again: %v, %v", again, err)
			}
			got, err := newClient(t, Options{}).Referrers(t.Context(), ref, desc.Digest.String(), "")
			if err != nil || len(got) != 2 || !has(got, one) || !has(got, two) {
				t.Errorf("after: %v, %v", got, err)
			}
			got, err = c.Referrers(t.Context(), ref, desc.Digest.String(), "application/x-note")
			if err != nil || !has(got, one) || name != "api" && (len(got) != 1 || got[0].Annotations["is"] != "one" || got[0].ArtifactType != "application/x-note") {
				t.Fatalf("of a type: %v, %v", got, err)
			}
			got[0] = one // go-containerregistry's says of all that they are of no type
			a, err := c.Attached(t.Context(), ref, desc.Digest.String(), one, 100)
			if err != nil || string(a.Blob) != "one" || a.MediaType != "text/plain" || a.ArtifactType != "application/x-note" {
				t.Errorf("read: %+v, %v", a, err)
			}
			for words, err := range map[string]error{
				"it has 3 B, more than the 2 B allowed": second(c.Attached(t.Context(), ref, desc.Digest.String(), got[0], 2)),
				"it refers to another image":            second(c.Attached(t.Context(), ref, one.Digest.String(), got[0], 100)),
			} {
				if _, ok := errors.AsType[*AttachedError](err); !ok || !strings.Contains(err.Error(), words) {
					t.Errorf("got %v, want %s", err, words)
				}
			}
			if h, err := c.Head(t.Context(), ref); err != nil || h.Digest != desc.Digest {
				t.Errorf("the image is now %v (%v)", h.Digest, err)
			}
		})
	}
}

func second(_ Attachment, err error) error { return err }

// TestAttachCosts counts requests: what is there already costs one.
func TestAttachCosts(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{Proxy: true, User: "me", Password: "secret"})
	c := newClient(t, Options{})
	ref := reg.Host + "/acme/hello:1"
	_, err := c.Login(t.Context(), reg.Host, "me", "secret")
	fixture.Must(t, err)
	desc := pushed(t, c, ref)
	_, err = c.Attach(t.Context(), ref, desc, note("one"))
	fixture.Must(t, err)
	reg.Requests()
	_, err = c.Attach(t.Context(), ref, desc, note("one"))
	fixture.Must(t, err)
	if after := reg.Requests(); len(after) != 1 || after[0].Method != http.MethodGet {
		t.Errorf("the same again made %v", after)
	}
	// Three for each, of which one is its manifest, beside those for the list.
	_, err = c.Attach(t.Context(), ref, desc, note("two"), note("three"), note("one"))
	fixture.Must(t, err)
	if after := reg.Requests(); len(after) != 1+2*3+3 {
		t.Errorf("two more made %v", after)
	}
}

// TestAttachNewCosts counts requests for an image that was just made: the list is read once before it is written, and the
// configuration of what is attached is asked for by what begins to send it, or not at all if something attached was read.
func TestAttachNewCosts(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{Proxy: true})
	ref := reg.Host + "/acme/hello:1"
	desc := pushed(t, newClient(t, Options{}), ref)
	for _, test := range []struct {
		what string
		read bool // what is attached to another image
		want int
	}{
		{"the first of a repository", false, 2 + 3*3 + 3},
		{"the next", false, 1 + 3*3 + 3},
		{"after one was read", true, 3*3 + 3},
	} {
		c := newClient(t, Options{})
		all, err := c.Referrers(t.Context(), ref, desc.Digest.String(), "") // tells what the registry is, too
		fixture.Must(t, err)
		if test.read {
			_, err := c.Attached(t.Context(), ref, desc.Digest.String(), all[0], 100)
			fixture.Must(t, err)
		}
		if len(all) > 0 {
			desc.Digest, _, err = v1.SHA256(strings.NewReader(test.what))
			fixture.Must(t, err)
		}
		reg.Requests()
		_, err = c.AttachNew(t.Context(), ref, desc, note("one"), note("two"), note("three"))
		fixture.Must(t, err)
		if after := reg.Requests(); len(after) != test.want {
			t.Errorf("%s made %d, not %d: %v", test.what, len(after), test.want, after)
		}
	}
}

// TestAttachAtOnce has several clients attach to one image whose registry has no referrers API.
func TestAttachAtOnce(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{})
	c := newClient(t, Options{})
	ref := reg.Host + "/acme/hello:1"
	desc := pushed(t, c, ref)
	const many = 6
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			if _, err := c.Attach(t.Context(), ref, desc, note(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := c.Referrers(t.Context(), ref, desc.Digest.String(), "")
	if err != nil || len(got) != many {
		t.Errorf("%d of %d are listed (%v)", len(got), many, err)
	}
}

// TestReferrersLost has a registry list what it has not, lose what it is given, and say nothing of what it has.
func TestReferrersLost(t *testing.T) {
	t.Parallel()
	var mode string
	host := withReferrers(t, func(inner http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			list := strings.Contains(r.URL.Path, "/referrers/") || strings.Contains(r.URL.Path, "/manifests/sha256-")
			switch {
			case list && r.Method == http.MethodPut && mode == "loses":
				w.WriteHeader(http.StatusCreated)
			case list && mode == "loses":
				http.NotFound(w, r)
			case list && mode == "many":
				pages(w, r, 11_000)
			case list && mode == "some":
				pages(w, r, 450)
			case strings.Contains(r.URL.Path, "/manifests/"+strings.Repeat("0", 3)):
				http.NotFound(w, r)
			default:
				inner.ServeHTTP(w, r)
			}
		})
	})
	c := newClient(t, Options{})
	ref := host + "/acme/hello:1"
	desc := pushed(t, c, ref)
	lost := func(err error) *ReferrersError {
		t.Helper()
		e, ok := errors.AsType[*ReferrersError](err)
		if !ok {
			t.Fatalf("got %v", err)
		}
		return e
	}
	mode = "many"
	_, err := c.Referrers(t.Context(), ref, desc.Digest.String(), "")
	if e := lost(err); e.Count <= maxReferrers {
		t.Errorf("got %+v", e)
	}
	mode = "some"
	got, err := c.Referrers(t.Context(), ref, desc.Digest.String(), "")
	if err != nil || len(got) != 450 {
		t.Fatalf("several pages have %d, %v", len(got), err)
	}
	_, err = c.Attached(t.Context(), ref, desc.Digest.String(), got[0], 100)
	if e := lost(err); e.Lost != got[0].Digest.String() {
		t.Errorf("got %+v", e)
	}
	mode = "loses"
	_, err = newClient(t, Options{}).Attach(t.Context(), ref, desc, note("one"))
	if e := lost(err); e.Lost == "" || !strings.Contains(err.Error(), "has lost what was attached") {
		t.Errorf("got %+v", e)
	}
	// It is there now, and not listed.
	mode = ""
	_, err = newClient(t, Options{}).Attach(t.Context(), ref, desc, note("one"))
	fixture.Must(t, err)
}

// pages answers with one of the pages of a list of so many that are not there. Its link leads
// to another host, which is not followed.
func pages(w http.ResponseWriter, r *http.Request, all int) {
	const page = 200
	from := 0
	_, _ = fmt.Sscan(r.URL.Query().Get("last"), &from)
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	for i := from; i < min(from+page, all); i++ {
		index.Manifests = append(index.Manifests, v1.Descriptor{MediaType: types.OCIManifestSchema1, Size: 1, Digest: v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%064d", i)}})
	}
	w.Header().Set("Content-Type", string(types.OCIImageIndex))
	if from+page < all {
		w.Header().Set("Link", fmt.Sprintf("<http://169.254.169.254%s?last=%d>; rel=\"next\"", r.URL.Path, from+page))
	}
	_ = json.NewEncoder(w).Encode(index)
}
