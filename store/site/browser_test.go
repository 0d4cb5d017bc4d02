package site

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"fnb/internal/servers"
	"fnb/schema"
)

// A browser is a headless Chromium with one tab.
type browser struct {
	t   testing.TB
	ctx context.Context
}

func startBrowser(t testing.TB) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	servers.Require(t, "chromium", err)
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.UserDataDir(t.TempDir()))
	ctx, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(stop)
	ctx, stopTab := chromedp.NewContext(ctx)
	t.Cleanup(stopTab)
	err = chromedp.Do(ctx, chromedp.EmulateViewport(1280, 900))
	servers.Require(t, "chromium", err)
	return &browser{t, ctx}
}

// do does what a person would, within a minute.
func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, time.Minute)
	defer stop()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// visit opens a page.
func (b *browser) visit(address string) {
	b.t.Helper()
	b.do(chromedp.Navigate(address), chromedp.WaitVisible("#main"))
}

// text is what a script on the page says.
func (b *browser) text(script string) string {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, time.Minute)
	defer stop()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string]("Promise.resolve("+script+").then(String)", chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(script, err)
	}
	return s
}

// wait waits until a script on the page says true.
func (b *browser) wait(script string) {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, 20*time.Second)
	defer stop()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](script)); err != nil {
		b.t.Fatalf("waiting until %s: %v", script, err)
	}
}

// press presses a key; what it types is not typed where the page has taken it.
func (b *browser) press(key string) {
	b.t.Helper()
	if len(key) != 1 || key < " " || key > "~" {
		b.do(chromedp.KeyEvent(key))
		return
	}
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeKeyDown, input.DispatchKeyEventTypeKeyUp} {
		p := input.DispatchKeyEventParams{Type: kind, Key: key}
		if kind == input.DispatchKeyEventTypeKeyDown {
			p.Text = key
		}
		if _, err := chromedp.Call(b.ctx, input.DispatchKeyEvent, p); err != nil {
			b.t.Fatal(err)
		}
	}
}

// colours makes the system light or dark.
func (b *browser) colours(scheme string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// screenshot keeps a picture of the page in the folder that FNB_SCREENSHOTS names,
// or in the test's own.
func (b *browser) screenshot(name string) {
	b.t.Helper()
	data, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	dir := os.Getenv("FNB_SCREENSHOTS")
	if dir == "" {
		dir = b.t.TempDir()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), data, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

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

// axe runs axe-core on the page and returns its findings that are more than minor.
func (b *browser) axe() []string {
	b.t.Helper()
	script, err := os.ReadFile(filepath.Join("..", "..", "tools", "axe", "node_modules", "axe-core", "axe.min.js"))
	servers.Require(b.t, "chromium", err)
	b.text("(() => {" + string(script) + "})()")
	result := b.text(`axe.run(document, {resultTypes: ["violations"]}).then((r) => JSON.stringify(r.violations))`)
	var violations []struct {
		ID, Impact, Help string
		Nodes            []struct{ HTML, FailureSummary string }
	}
	if err := json.Unmarshal([]byte(result), &violations); err != nil {
		b.t.Fatal(err)
	}
	var bad []string
	for _, v := range violations {
		text := fmt.Sprintf("%s (%s): %s", v.ID, v.Impact, v.Help)
		for _, n := range v.Nodes {
			text += "\n\t" + n.HTML + "\n\t" + n.FailureSummary
		}
		if v.Impact == "minor" {
			b.t.Log(text)
		} else {
			bad = append(bad, text)
		}
	}
	return bad
}

// TestAccessible looks at each kind of page in both colours with axe-core, and keeps
// pictures of them.
func TestAccessible(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	server := newServer(t, newSample(t), echo)
	for _, page := range []struct{ name, path string }{
		{"list", "/"},
		{"search", "/?q=http"},
		{"nothing", "/?q=nothing+like+this"},
		{"template", "/t/acme/go.html"},
		{"official", "/t/-/python3.html"},
		{"deprecated", "/t/acme/rust.html"},
		{"yanked", "/t/acme/cobol.html"},
		{"function", "/f/acme/shorten.html"},
		{"missing", "/t/acme/missing.html"},
	} {
		for _, scheme := range []string{"light", "dark"} {
			b.colours(scheme)
			b.visit(server.URL + page.path)
			for _, bad := range b.axe() {
				t.Errorf("%s, %s: %s", page.path, scheme, bad)
			}
			b.screenshot(page.name + "-" + scheme)
		}
		b.colours("light")
		b.do(chromedp.EmulateViewport(390, 844))
		b.visit(server.URL + page.path)
		if wide := b.text("document.documentElement.scrollWidth - innerWidth"); wide != "0" {
			t.Errorf("%s is %s pixels wider than a small screen", page.path, wide)
		}
		b.screenshot(page.name + "-small")
		b.do(chromedp.EmulateViewport(1280, 900))
	}
}
