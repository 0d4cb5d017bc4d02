package registry

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"fnb/images/imagestest"
	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/schema"
)

// newClient returns a client that sees no credentials but those given to it.
func newClient(tb testing.TB, opts Options) *Client {
	tb.Helper()
	if opts.DockerConfig == "" {
		opts.DockerConfig = tb.TempDir()
	}
	if opts.AuthFiles == nil {
		opts.AuthFiles = []string{}
	}
	c, err := New(opts)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// count returns how many requests match.
func count(requests []servers.Request, method, path string) int {
	n, re := 0, regexp.MustCompile(path)
	for _, r := range requests {
		if r.Method == method && re.MatchString(r.Path) {
			n++
		}
	}
	return n
}

func TestPushAndPull(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{Proxy: true})
	s, c := imagestest.NewStore(t), newClient(t, Options{})
	ref := reg.Host + "/acme/hello:0.1.0"
	desc := imagestest.Put(t, s, ref, imagestest.NewIndex(t))

	got, err := c.Push(t.Context(), s, ref, ref, reg.Host+"/acme/hello:latest", reg.Host+"/other/hello@"+desc.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	if got.Digest != desc.Digest.String() || got.Unchanged || got.Sent == 0 || got.Mounted != got.Sent || len(got.References) != 3 {
		t.Errorf("first push: %+v", got)
	}
	for _, r := range []string{ref, reg.Host + "/acme/hello:latest", reg.Host + "/other/hello@" + desc.Digest.String()} {
		h, err := c.Head(t.Context(), r)
		if err != nil || h.Digest != desc.Digest || h.MediaType != types.OCIImageIndex || h.Size != desc.Size {
			t.Errorf("Head %s: %+v, %v", r, h, err)
		}
	}

	to := imagestest.NewStore(t)
	pulled, err := c.Pull(t.Context(), ref, to, schema.Platform{})
	if err != nil || pulled.Digest != desc.Digest {
		t.Fatalf("Pull: %v, %v", pulled.Digest, err)
	}
	imagestest.Verify(t, to, ref)
	idx, err := to.Index(pulled)
	fixture.Must(t, err)
	fixture.Must(t, validate.Index(idx))
}

func TestPushSendsNothingTwice(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{Proxy: true})
	s := imagestest.NewStore(t)
	shared := imagestest.NewLayer(t, 100_000)
	a, b := reg.Host+"/acme/a:1", reg.Host+"/acme/b:1"
	imagestest.Put(t, s, a, imagestest.NewImage(t, shared))
	imagestest.Put(t, s, b, imagestest.NewImage(t, shared))
	size, err := shared.Size()
	fixture.Must(t, err)

	if _, err := newClient(t, Options{}).Push(t.Context(), s, a); err != nil {
		t.Fatal(err)
	}
	reg.Requests()

	// Another run: what it knows of a's blobs it has from the image store.
	got, err := newClient(t, Options{}).Push(t.Context(), s, b)
	fixture.Must(t, err)
	if got.Mounted != size {
		t.Errorf("the shared layer was not mounted: %+v", got)
	}
	requests := reg.Requests()
	if n := count(requests, "PATCH", ""); n != 2 {
		t.Errorf("%d blobs sent, want b's own layer and configuration: %v", n, requests)
	}

	again, err := newClient(t, Options{}).Push(t.Context(), s, b)
	fixture.Must(t, err)
	if !again.Unchanged || again.Sent+again.Mounted+again.Present != 0 {
		t.Errorf("pushing it again: %+v", again)
	}
	for _, r := range reg.Requests() {
		if r.Method != http.MethodHead && r.Method != http.MethodGet {
			t.Errorf("pushing it again asked for %s %s", r.Method, r.Path)
		}
	}

	tagged, err := newClient(t, Options{}).Push(t.Context(), s, b, reg.Host+"/acme/b:2")
	fixture.Must(t, err)
	requests = reg.Requests()
	if tagged.Unchanged || count(requests, "HEAD", "/blobs/") != 0 || count(requests, "PUT", "/manifests/2$") != 1 {
		t.Errorf("another tag of the same repository: %+v, %v", tagged, requests)
	}
}

func TestParallelPushesShareOneUpload(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{Proxy: true})
	s, c := imagestest.NewStore(t), newClient(t, Options{})
	watchdog := imagestest.NewLayer(t, 3_000_000)
	const functions = 6
	for i := range functions {
		imagestest.Put(t, s, fmt.Sprintf("%s/acme/f%d:1", reg.Host, i), imagestest.NewImage(t, watchdog))
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var mounted, sent int64
	for i := range functions {
		wg.Go(func() {
			got, err := c.Push(t.Context(), s, fmt.Sprintf("%s/acme/f%d:1", reg.Host, i))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			mounted += got.Mounted
			sent += got.Sent
		})
	}
	wg.Wait()
	size, err := watchdog.Size()
	fixture.Must(t, err)
	if mounted < (functions-1)*size || sent > 2*size {
		t.Errorf("layer of %d bytes: mounted %d, sent %d", size, mounted, sent)
	}
	if n := count(reg.Requests(), "PATCH", ""); n != 1+2*functions {
		t.Errorf("%d blobs sent, want one watchdog and two of each function", n)
	}
}

func TestPushSurvives(t *testing.T) {
	t.Parallel()
	uploads, manifests := regexp.MustCompile(`/blobs/uploads/`), regexp.MustCompile(`/manifests/`)
	for _, test := range []struct {
		name   string
		faults []servers.Fault
	}{
		{"two 429s with Retry-After", []servers.Fault{{Status: 429, RetryAfter: 1, Times: 2}}},
		{"a 500 on the first contact", []servers.Fault{{Path: regexp.MustCompile(`^/v2/$`), Status: 500, Times: 1}}},
		{"500 thrice when an upload starts", []servers.Fault{{Method: "POST", Status: 500, Times: 3}}},
		{"503 thrice for the manifest", []servers.Fault{{Method: "PUT", Path: manifests, Status: 503, Times: 3}}},
		{"the connection breaks in the middle of a blob", []servers.Fault{{Method: "PATCH", Path: uploads, BodyBytes: 50_000, Times: 1}}},
		{"the connection breaks before every blob's answer once", []servers.Fault{{Method: "PUT", Path: uploads, Times: 3}}},
		{"a 502 in the middle of a blob", []servers.Fault{{Method: "PATCH", Path: uploads, Status: 502, Times: 2}}},
		{"the registry has lost an upload", []servers.Fault{{Method: "PATCH", Path: uploads, Status: 416, Times: 1}}},
		{"the connection breaks at the manifest", []servers.Fault{{Method: "PUT", Path: manifests, Times: 2}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			reg := servers.RegistryFor(t, servers.RegistryOptions{Proxy: true})
			c := newClient(t, Options{})
			s := imagestest.NewStore(t)
			ref := reg.Host + "/acme/hello:1"
			desc := imagestest.Put(t, s, ref, imagestest.NewImage(t, imagestest.NewLayer(t, 200_000)))
			reg.Fail(test.faults...)
			if _, err := c.Push(t.Context(), s, ref); err != nil {
				t.Fatal(err)
			}
			h, err := c.Head(t.Context(), ref)
			if err != nil || h.Digest != desc.Digest {
				t.Fatalf("the registry has %v, %v", h.Digest, err)
			}
			to := imagestest.NewStore(t)
			_, err = c.Pull(t.Context(), ref, to, schema.Platform{})
			fixture.Must(t, err)
			imagestest.Verify(t, to, ref)
		})
	}
}

func TestPullSurvives(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{Proxy: true})
	s, c := imagestest.NewStore(t), newClient(t, Options{})
	ref := reg.Host + "/acme/hello:1"
	imagestest.Put(t, s, ref, imagestest.NewIndex(t))
	_, err := c.Push(t.Context(), s, ref)
	fixture.Must(t, err)
	reg.Fail(
		servers.Fault{Method: "GET", Path: regexp.MustCompile(`/blobs/`), Times: 2},
		servers.Fault{Method: "GET", Path: regexp.MustCompile(`/blobs/`), Status: 503, Times: 1},
		servers.Fault{Method: "GET", Path: regexp.MustCompile(`/manifests/`), Status: 500, Times: 1},
	)
	to := imagestest.NewStore(t)
	arm := schema.Platform{OS: "linux", Architecture: "arm64"}
	desc, err := newClient(t, Options{}).Pull(t.Context(), ref, to, arm)
	fixture.Must(t, err)
	img, err := to.Image(desc)
	fixture.Must(t, err)
	config, err := img.ConfigFile()
	fixture.Must(t, err)
	if config.Architecture != "arm64" {
		t.Errorf("pulled %s", config.Architecture)
	}
	imagestest.Verify(t, to, ref)

	_, err = c.Pull(t.Context(), ref, to, schema.Platform{OS: "linux", Architecture: "riscv64"})
	e, ok := errors.AsType[*PlatformError](err)
	if !ok || cmp.Diff(e.Have, []string{"linux/amd64", "linux/arm64"}) != "" {
		t.Errorf("a platform that is not there: %v", err)
	}
}
