package site

import (
	"context"
	"crypto/rand"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"fnb/internal/servers/browser"
	"fnb/schema"
)

// newServer serves a source at an address of this machine.
func newServer(t *testing.T, source Source, try func(context.Context, string, schema.Example) (Answer, error)) *httptest.Server {
	t.Helper()
	server, _ := serve(t, Options{Source: source, Try: try})
	return server
}

// newLocked is a server with a key, and the address that has it.
func newLocked(t *testing.T, source Source, try func(context.Context, string, schema.Example) (Answer, error)) (server *httptest.Server, enter string) {
	t.Helper()
	return serve(t, Options{Source: source, Try: try, Key: rand.Text()})
}

func serve(t *testing.T, opts Options) (server *httptest.Server, enter string) {
	t.Helper()
	server = httptest.NewUnstartedServer(nil)
	opts.Hosts = HostsOf("127.0.0.1:0", server.Listener.Addr())
	h, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = h
	server.Start()
	t.Cleanup(server.Close)
	return server, h.Enter(server.URL + "/")
}

func echo(_ context.Context, _ string, request schema.Example) (Answer, error) {
	return Answer{Line: "200 OK in 12 ms", Body: strings.ToUpper(request.Method + " " + request.Path + " " + request.Body), Log: "listening"}, nil
}

// TestAccessible looks at each kind of page in both colours with axe-core, and keeps
// pictures of them.
func TestAccessible(t *testing.T) {
	t.Parallel()
	b := browser.For(t)
	server := newServer(t, newSample(t), echo)
	for _, page := range []struct{ name, path string }{
		{"list", "/"},
		{"search", "/?q=http"},
		{"nothing", "/?q=nothing+like+this"},
		{"template", "/t/acme/go.html"},
		{"official", "/t/-/python3.html"},
		{"deprecated", "/t/acme/elixir.html"},
		{"yanked", "/t/acme/cobol.html"},
		{"function", "/f/acme/shorten.html"},
		{"missing", "/t/acme/missing.html"},
	} {
		for _, scheme := range []string{"light", "dark"} {
			b.Colours(scheme)
			b.Visit(server.URL + page.path)
			for _, bad := range b.Axe() {
				t.Errorf("%s, %s: %s", page.path, scheme, bad)
			}
			b.Screenshot(page.name + "-" + scheme)
		}
		b.Colours("light")
		b.Do(chromedp.EmulateViewport(390, 844))
		b.Visit(server.URL + page.path)
		if wide := b.Text("document.documentElement.scrollWidth - innerWidth"); wide != "0" {
			t.Errorf("%s is %s pixels wider than a small screen", page.path, wide)
		}
		b.Screenshot(page.name + "-small")
		b.Do(chromedp.EmulateViewport(1280, 900))
	}
}
