package registry

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"fnb/images"
	"fnb/images/imagestest"
	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/schema"
)

func newForward(t *testing.T, backend string) http.Handler {
	t.Helper()
	to, err := url.Parse(backend)
	fixture.Must(t, err)
	return &httputil.ReverseProxy{ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}}
}

// TestRefusals puts a server in front of a real registry that answers some
// requests as registries do that have accounts, quotas and rules.
func TestRefusals(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{})
	for _, test := range []struct {
		name   string
		method string
		path   string
		status int
		body   string
		check  func(t *testing.T, err error)
	}{
		{
			"401 without credentials", "", "", 401, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`,
			func(t *testing.T, err error) {
				e, ok := errors.AsType[*AuthError](err)
				if !ok || e.Status != 401 || !e.Anonymous || !strings.Contains(e.Error(), "none are stored") {
					t.Errorf("%#v", err)
				}
			},
		},
		{
			"403 for an upload", "POST", "/blobs/uploads/", 403, `{"errors":[{"code":"DENIED","message":"no push\u001b[31m for\u202e you\n"}]}`,
			func(t *testing.T, err error) {
				e, ok := errors.AsType[*AuthError](err)
				if !ok || e.Status != 403 || e.Message != "no push for you" {
					t.Errorf("%#v", err)
				}
			},
		},
		{
			"a quota", "PUT", "/manifests/", 412, `{"errors":[{"code":"DENIED","message":"quota exceeded: 5 of 5 GiB"}]}`,
			func(t *testing.T, err error) {
				e, ok := errors.AsType[*PolicyError](err)
				if !ok || e.Status != 412 || e.Code != "DENIED" || !strings.Contains(e.Error(), "quota exceeded: 5 of 5 GiB") {
					t.Errorf("%#v", err)
				}
			},
		},
		{
			"a tag that must not change", "PUT", "/manifests/", 409, `{"errors":[{"code":"TAG_INVALID","message":"tag 1 is immutable"}]}`,
			func(t *testing.T, err error) {
				if e, ok := errors.AsType[*PolicyError](err); !ok || e.Message != "tag 1 is immutable" {
					t.Errorf("%#v", err)
				}
			},
		},
		{
			"a repository that must be made first", "POST", "/blobs/uploads/", 404, `{"errors":[{"code":"NAME_UNKNOWN","message":"the repository does not exist"}]}`,
			func(t *testing.T, err error) {
				if e, ok := errors.AsType[*NotFoundError](err); !ok || e.Message != "the repository does not exist" {
					t.Errorf("%#v", err)
				}
			},
		},
		{
			"a rate limit for longer than anybody waits", "", "", 429, `{"errors":[{"code":"TOOMANYREQUESTS","message":"come back tomorrow"}]}`,
			func(t *testing.T, err error) {
				if e, ok := errors.AsType[*PolicyError](err); !ok || e.Status != 429 {
					t.Errorf("%#v", err)
				}
			},
		},
		{
			"words without end", "PUT", "/manifests/", 400, strings.Repeat("x", 1<<20),
			func(t *testing.T, err error) {
				if len(err.Error()) > 2000 {
					t.Errorf("the error has %d bytes", len(err.Error()))
				}
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			forward := newForward(t, reg.URL)
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if (test.method == "" || test.method == r.Method) && strings.Contains(r.URL.Path, test.path) {
					w.Header().Set("Retry-After", "86400")
					w.WriteHeader(test.status)
					_, _ = w.Write([]byte(test.body))
					return
				}
				forward.ServeHTTP(w, r)
			}))
			t.Cleanup(front.Close)
			s, c := imagestest.NewStore(t), newClient(t, Options{})
			ref := strings.TrimPrefix(front.URL, "http://") + "/acme/" + strings.ReplaceAll(strings.ToLower(test.name), " ", "-") + ":1"
			imagestest.Put(t, s, ref, imagestest.NewImage(t))
			start := time.Now()
			_, err := c.Push(t.Context(), s, ref)
			if err == nil {
				t.Fatal("no error")
			}
			test.check(t, err)
			if d := time.Since(start); d > 20*time.Second {
				t.Errorf("took %v", d)
			}
			if strings.ContainsAny(err.Error(), "\x1b\n\u202e") {
				t.Errorf("control characters in %q", err)
			}
		})
	}
}

func TestPushWithCredentials(t *testing.T) {
	t.Parallel()
	certs, err := servers.MakeCerts(t.TempDir())
	fixture.Must(t, err)
	reg := servers.RegistryFor(t, servers.RegistryOptions{User: "ada", Password: "s3cret word", TLS: certs})
	pem, err := os.ReadFile(certs.CA)
	fixture.Must(t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	s := imagestest.NewStore(t)
	ref := reg.Host + "/acme/hello:1"
	imagestest.Put(t, s, ref, imagestest.NewImage(t))

	c := newClient(t, Options{RootCAs: pool})
	_, err = c.Push(t.Context(), s, ref)
	if e, ok := errors.AsType[*AuthError](err); !ok || e.Host != reg.Host || !e.Anonymous {
		t.Errorf("without credentials: %v", err)
	}
	_, err = c.Login(t.Context(), reg.Host, "ada", "wrong word")
	if e, ok := errors.AsType[*AuthError](err); !ok || e.Status != 401 || strings.Contains(err.Error(), "wrong word") {
		t.Errorf("with a wrong password: %v", err)
	}
	stored, err := c.Login(t.Context(), reg.Host, "ada", "s3cret word")
	if err != nil || stored.File == "" {
		t.Fatalf("Login: %+v, %v", stored, err)
	}
	if _, err := c.Push(t.Context(), s, ref); err != nil {
		t.Errorf("after Login: %v", err)
	}
	had, err := c.Logout(t.Context(), reg.Host)
	if err != nil || !had {
		t.Errorf("Logout: %v, %v", had, err)
	}
	if user, secret, err := c.Credentials(t.Context(), reg.Host); err != nil || user+secret != "" {
		t.Errorf("after Logout: %q, %v", user, err)
	}

	_, err = newClient(t, Options{}).Push(t.Context(), s, ref)
	if e, ok := errors.AsType[*UnavailableError](err); !ok || e.PlainHTTP || !strings.Contains(e.Error(), "certificate") {
		t.Errorf("an unknown authority: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	s := imagestest.NewStore(t)
	imagestest.Put(t, s, "127.0.0.1:1/acme/hello:1", imagestest.NewImage(t))
	start := time.Now()
	_, err := newClient(t, Options{}).Push(t.Context(), s, "127.0.0.1:1/acme/hello:1")
	if e, ok := errors.AsType[*UnavailableError](err); !ok || e.Host != "127.0.0.1:1" || !e.PlainHTTP || !strings.Contains(e.Error(), "connection refused") {
		t.Errorf("%v", err)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %v to say that nobody listens", d)
	}
}

func TestInterruptedPush(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{Proxy: true})
	s, c := imagestest.NewStore(t), newClient(t, Options{})
	ref := reg.Host + "/acme/hello:1"
	imagestest.Put(t, s, ref, imagestest.NewImage(t))
	reg.Fail(servers.Fault{Method: "POST", Status: 503})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	start := time.Now()
	if _, err := c.Push(ctx, s, ref); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
	reg.Heal()
	if _, err := c.Push(t.Context(), s, ref); err != nil {
		t.Errorf("the same client afterwards: %v", err)
	}
}

func TestPlainHTTPOnlyWhereAsked(t *testing.T) {
	t.Parallel()
	var asked []string
	guard := &schemeGuard{
		inner: roundTripper(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.URL.String())
			return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
		}),
		plain: newClient(t, Options{Insecure: []string{"registry.lan:5000"}}).plain,
	}
	for url, ok := range map[string]bool{
		"https://ghcr.io/v2/":           true,
		"http://ghcr.io/v2/":            false,
		"http://127.0.0.1:5000/v2/":     true,
		"http://127.8.9.1/v2/":          true,
		"http://[::1]:5000/v2/":         true,
		"http://localhost/v2/":          true,
		"http://reg.localhost:5000/":    true,
		"http://registry.lan:5000/v2/":  true,
		"http://registry.lan:5001/v2/":  false,
		"http://10.0.0.7:5000/v2/":      false,
		"http://127.0.0.1.example.com/": false,
		"http://localhost.example.com/": false,
		"file:///etc/passwd":            false,
		"ftp://127.0.0.1/x":             false,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		fixture.Must(t, err)
		resp, err := guard.RoundTrip(r)
		if resp != nil {
			fixture.Must(t, resp.Body.Close())
		}
		if _, refused := errors.AsType[*PlainHTTPError](err); refused == ok {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, u := range asked {
		if strings.Contains(u, "ghcr") && strings.HasPrefix(u, "http:") {
			t.Errorf("asked %s", u)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestRedirectsStayInHTTPS lets a registry, reached by HTTPS, send the client
// away to plain HTTP.
func TestRedirectsStayInHTTPS(t *testing.T) {
	t.Parallel()
	front := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		http.Redirect(w, r, "http://blobs.example.com"+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(front.Close)
	pool := x509.NewCertPool()
	pool.AddCert(front.Certificate())
	_, err := newClient(t, Options{RootCAs: pool}).Head(t.Context(), strings.TrimPrefix(front.URL, "https://")+"/acme/hello:1")
	if e, ok := errors.AsType[*PlainHTTPError](err); !ok || e.Host != "blobs.example.com" {
		t.Errorf("%v", err)
	}
}

func TestDamagedBlobIsNotPushed(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{})
	s, c := imagestest.NewStore(t), newClient(t, Options{})
	ref := reg.Host + "/acme/hello:1"
	img := imagestest.NewImage(t)
	imagestest.Put(t, s, ref, img)
	m, err := img.Manifest()
	fixture.Must(t, err)
	path := filepath.Join(s.Dir(), "blobs", "sha256", m.Layers[0].Digest.Hex)
	b, err := os.ReadFile(path)
	fixture.Must(t, err)
	b[0] ^= 1
	fixture.Must(t, os.WriteFile(path, b, 0o600))
	_, err = c.Push(t.Context(), s, ref)
	if e, ok := errors.AsType[*images.DamagedError](err); !ok || e.Digest != m.Layers[0].Digest.String() {
		t.Errorf("%v", err)
	}
	if _, err := c.Head(t.Context(), ref); !fixture.Is[*NotFoundError](err) {
		t.Errorf("Head: %v", err)
	}
}

func TestPushRefusesReferences(t *testing.T) {
	t.Parallel()
	s, c := imagestest.NewStore(t), newClient(t, Options{})
	imagestest.Put(t, s, "localhost:1/acme/hello:1", imagestest.NewImage(t))
	for _, target := range []string{"", "localhost:1/UPPER:1", "localhost:1/acme/hello:no tag", "localhost:1/acme/hello:1@sha256:" + strings.Repeat("0", 64)} {
		_, err := c.Push(t.Context(), s, "localhost:1/acme/hello:1", target)
		if _, ok := errors.AsType[*schema.ImageError](err); !ok {
			t.Errorf("%q: %v", target, err)
		}
	}
	if _, err := c.Push(t.Context(), s, "localhost:1/acme/unknown:1"); !fixture.Is[*images.NotFoundError](err) {
		t.Errorf("not in the store: %v", err)
	}
}

// TestPushedImagesAreWhole reads a pushed image back with another client.
func TestPushedImagesAreWhole(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{})
	s, c := imagestest.NewStore(t), newClient(t, Options{})
	ref := reg.Host + "/acme/hello:1"
	imagestest.Put(t, s, ref, imagestest.NewImage(t, imagestest.NewLayer(t, 10_000)))
	_, err := c.Push(t.Context(), s, ref)
	fixture.Must(t, err)
	r, err := c.parse(ref)
	fixture.Must(t, err)
	img, err := remote.Image(r.name(), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: "amd64"}))
	fixture.Must(t, err)
	fixture.Must(t, validate.Image(img))
}

// TestStalls lets the registry stop in the middle of a blob, once in each
// direction, without breaking the connection.
func TestStalls(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{})
	forward := newForward(t, reg.URL)
	var up, down atomic.Bool
	end := make(chan struct{})
	layer := imagestest.NewLayer(t, 20_000_000)
	digest, err := layer.Digest()
	fixture.Must(t, err)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.ContentLength > 1_000_000 && up.CompareAndSwap(false, true):
			_, _ = io.CopyN(io.Discard, r.Body, 1000)
			<-end
		case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/blobs/"+digest.String()) && down.CompareAndSwap(false, true):
			w.Header().Set("Content-Length", "5000")
			_, _ = w.Write(make([]byte, 1000))
			_ = http.NewResponseController(w).Flush()
			<-end
		default:
			forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(front.Close)
	t.Cleanup(func() { close(end) })
	c := newClient(t, Options{})
	c.stall = 300 * time.Millisecond
	s := imagestest.NewStore(t)
	ref := strings.TrimPrefix(front.URL, "http://") + "/acme/hello:1"
	imagestest.Put(t, s, ref, imagestest.NewImage(t, layer))
	_, err = c.Push(t.Context(), s, ref)
	fixture.Must(t, err)
	to := imagestest.NewStore(t)
	_, err = c.Pull(t.Context(), ref, to, schema.Platform{})
	fixture.Must(t, err)
	imagestest.Verify(t, to, ref)
	if !up.Load() || !down.Load() {
		t.Error("nothing stalled")
	}
}
