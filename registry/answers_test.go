package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fnb/images/imagestest"
	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/internal/servers/front"
	"fnb/schema"
)

// TestAnswersAreBounded asks registries whose manifests and tokens have no end.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		what, endless string
		limit         string
		kind          string
	}{
		{"a manifest", "/v2/a/b/manifests/1", "4194304 bytes", "application/vnd.oci.image.manifest.v1+json"},
		{"a manifest of no type", "/v2/a/b/manifests/1", "4194304 bytes", "text/plain"},
		{"a token", "/token", "", "application/json"},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			var sent atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case test.endless:
					w.Header().Set("Content-Type", test.kind)
					for r.Method != http.MethodHead && r.Context().Err() == nil {
						n, err := io.WriteString(w, strings.Repeat(" ", 10_000))
						if sent.Add(int64(n)); err != nil {
							return
						}
					}
				case "/v2/":
					if test.endless == "/token" {
						w.Header().Set("Www-Authenticate", `Bearer realm="http://`+r.Host+`/token"`)
						w.WriteHeader(http.StatusUnauthorized)
					}
				}
			}))
			t.Cleanup(server.Close)
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			_, err := newClient(t, Options{}).Head(ctx, strings.TrimPrefix(server.URL, "http://")+"/a/b:1")
			if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), test.limit) {
				t.Errorf("%T %v", err, err)
			}
			server.Close()
			if sent.Load() > 32<<20 {
				t.Errorf("%d bytes were read", sent.Load())
			}
		})
	}
}

// TestBlobsAreNotBounded pulls a layer that is longer than any manifest may be, from
// the registry itself and from where it leads.
func TestBlobsAreNotBounded(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{})
	ref := reg.Host + "/acme/large:1"
	s := imagestest.NewStore(t)
	imagestest.Put(t, s, ref, imagestest.NewImage(t, imagestest.NewLayer(t, 4<<20+1000)))
	c := newClient(t, Options{})
	_, err := c.Push(t.Context(), s, ref)
	fixture.Must(t, err)
	for _, quirk := range front.Quirks() {
		if quirk.Name != "blobs at another host" {
			continue
		}
		for _, from := range []string{reg.Host, front.For(t, reg, quirk).Host} {
			_, err = c.Pull(t.Context(), from+"/acme/large:1", imagestest.NewStore(t), schema.Platform{})
			fixture.Must(t, err)
		}
		return
	}
	t.Error("no registry leads elsewhere")
}

// TestNoRegistry asks hosts that answer and are no registry.
func TestNoRegistry(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		kind   string
		says   string
	}{
		"nothing":  {http.StatusNotFound, "text/plain", " answers 404 at /v2/: is it a registry?"},
		"a page":   {http.StatusOK, "text/html; charset=utf-8", " answers 200 at /v2/ with a web page: is it a registry?"},
		"no page":  {http.StatusNotFound, "text/html", " answers 404 at /v2/ with a web page: is it a registry?"},
		"no verbs": {http.StatusMethodNotAllowed, "", " answers 405 at /v2/: is it a registry?"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", test.kind)
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, "<html>welcome</html>")
			}))
			t.Cleanup(server.Close)
			host := strings.TrimPrefix(server.URL, "http://")
			s, c := imagestest.NewStore(t), newClient(t, Options{})
			ref := host + "/acme/hello:1"
			imagestest.Put(t, s, ref, imagestest.NewImage(t))
			_, push := c.Push(t.Context(), s, ref)
			_, ask := c.Ask(t.Context(), ref)
			_, login := c.Login(t.Context(), host, "ada", "word")
			for _, err := range []error{push, ask, login, c.MayPush(t.Context(), ref)} {
				if e, ok := errors.AsType[*NoRegistryError](err); !ok || e.Error() != host+test.says {
					t.Errorf("%T %v", err, err)
				}
			}
		})
	}
}
