package site

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"fnb/internal/servers/browser"
)

// TestKeyboard walks through the page without a mouse.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	b := browser.For(t)
	s := newSample(t)
	server := newServer(t, s, echo)
	all := fmt.Sprintf(`document.querySelectorAll("#rows .row").length === %d`, len(s.items))
	b.Visit(server.URL + "/")
	key := func(keys ...string) {
		t.Helper()
		for _, k := range keys {
			b.Press(k)
		}
	}
	key("/")
	b.Wait(`document.activeElement.id === "q"`)
	key("e", "l", "i", "x", "i", "r")
	b.Wait(`document.querySelectorAll("#rows .row").length === 1 && document.getElementById("count").textContent === "1 match"`)
	key(kb.ArrowDown)
	b.Wait(`document.activeElement.textContent === "acme/elixir"`)
	key(kb.Escape)
	b.Wait(`document.activeElement.id === "q" && document.activeElement.value === "elixir"`)
	key(kb.Escape)
	b.Wait(`document.activeElement.value === "" && location.search === "" && ` + all)
	key("h", "t", "t", "p", kb.ArrowDown, kb.ArrowDown, kb.ArrowDown, kb.ArrowUp)
	b.Wait(`[...document.querySelectorAll("#rows a")].indexOf(document.activeElement) === 1`)
	key(kb.ArrowUp, kb.ArrowUp)
	b.Wait(`document.activeElement.id === "q"`)
	key(kb.Enter)
	b.Wait(`[...document.querySelectorAll("#rows a")].indexOf(document.activeElement) === 0`)
	name := b.Text("document.activeElement.textContent")
	key(kb.Enter)
	b.Do(chromedp.WaitVisible("h1 .own"))
	if got := b.Text(`document.querySelector("h1").textContent`); !strings.HasPrefix(got, name) {
		t.Errorf("Enter on %s opened %s", name, got)
	}
	key("/", "q", "r", kb.Enter)
	b.Do(chromedp.WaitVisible("#find"))
	b.Wait(`document.getElementById("find") !== null && document.querySelectorAll("#rows .row").length === 1`)
	if got := b.Text(`document.querySelector("#rows a").textContent`); got != "tools/qrcode" {
		t.Errorf("a search from an entry found %s", got)
	}
	b.Visit(server.URL + "/t/acme/go.html")
	key(kb.Escape)
	b.Do(chromedp.WaitVisible("#find"))
	if got := b.Text("location.pathname"); got != "/index.html" {
		t.Errorf("Escape on an entry went to %s", got)
	}
}

// TestFilters narrows the list, chooses colours, copies and tries with the mouse.
func TestFilters(t *testing.T) {
	t.Parallel()
	b := browser.For(t)
	s := newSample(t)
	server := newServer(t, s, echo)
	b.Visit(server.URL + "/")
	b.Text(`(() => { const s = document.querySelector("select[name=lang]"); s.value = "go"; s.dispatchEvent(new Event("input", {bubbles: true})); })()`)
	b.Wait(`document.getElementById("count").textContent === "5 matches" && location.search === "?lang=go"`)
	b.Do(chromedp.Click(`input[value=function]`))
	b.Wait(`document.getElementById("count").textContent === "3 matches"`)
	b.Do(chromedp.Reload(), chromedp.WaitVisible("#main"))
	b.Wait(`document.getElementById("count").textContent === "3 matches" && document.querySelector("input[value=function]").checked`)
	b.Do(chromedp.Click("#clear"))
	b.Wait(fmt.Sprintf(`document.querySelectorAll("#rows .row").length === %d`, len(s.items)))
	before := b.Text("getComputedStyle(document.body).backgroundColor")
	b.Do(chromedp.Click("#theme"), chromedp.Click("#theme"))
	if after := b.Text("getComputedStyle(document.body).backgroundColor"); after == before {
		t.Errorf("the colours stay %s", after)
	}
	b.Visit(server.URL + "/f/acme/shorten.html")
	if theme := b.Text("document.documentElement.dataset.theme"); theme != "dark" {
		t.Errorf("another page is %q", theme)
	}
	b.Do(chromedp.Click("section .copy"))
	b.Wait(`document.querySelector("section .copy").textContent === "Copied" && document.getElementById("said").textContent === "Copied"`)
	b.Do(chromedp.Click("#tryform button"))
	b.Wait(`document.getElementById("answer").textContent.includes("POST /?N=3 ONE. TWO! THREE? FOUR.")`)
	b.Do(chromedp.SetValue(`#tryform select`, "PUT"), chromedp.SetValue(`#tryform input[name=path]`, "/other"), chromedp.Click("#tryform button"))
	b.Wait(`document.getElementById("answer").textContent.includes("PUT /OTHER ONE. TWO!")`)
	if got := b.Text("location.pathname"); got != "/f/acme/shorten.html" {
		t.Errorf("trying went to %s", got)
	}
	b.Screenshot("tried-dark")
	b.Do(chromedp.Click(`a[href$="?example=1#try"]`), chromedp.WaitVisible("#tryform"))
	b.Wait(`document.getElementById("headers").value === "Accept: text/plain" && document.querySelector("#tryform select").value === "GET"`)
	b.Visit(server.URL + "/")
	b.Do(chromedp.Click(`.topics a[href$="?tag=images"]`), chromedp.WaitVisible("#rows"))
	b.Wait(`document.getElementById("count").textContent === "2 matches" && document.getElementById("front") === null`)
	b.Do(chromedp.Click("#clear"))
	b.Wait(`location.search === ""`)
}

// TestKeyInBrowser opens a page that has a key: without it, from a file as a desktop
// does, with and without scripts.
func TestKeyInBrowser(t *testing.T) {
	t.Parallel()
	b := browser.For(t)
	server, enter := newLocked(t, newSample(t), echo)
	shows := func(want string) {
		t.Helper()
		if text, err := chromedp.Run(b.Ctx, chromedp.Text("#main")); err != nil || !strings.Contains(text, want) {
			t.Errorf("the page does not show %q: %v\n%.400s", want, err, text)
		}
	}
	b.Visit(server.URL + "/f/acme/shorten.html")
	shows("Open the address that fnb store browse has printed")
	for _, scheme := range []string{"light", "dark"} {
		b.Colours(scheme)
		for _, bad := range b.Axe() {
			t.Errorf("without the key, %s: %s", scheme, bad)
		}
		b.Screenshot("locked-" + scheme)
	}
	door := filepath.Join(t.TempDir(), "door.html")
	if err := os.WriteFile(door, []byte(`<meta http-equiv=refresh content="0; url=`+enter+`">`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, scripts := range []bool{true, false} {
		if _, err := chromedp.Call(b.Ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !scripts}); err != nil {
			t.Fatal(err)
		}
		if _, err := chromedp.Call(b.Ctx, network.ClearBrowserCookies, struct{}{}); err != nil {
			t.Fatal(err)
		}
		b.Do(chromedp.Navigate("file://"+door), chromedp.WaitVisible("#find"))
		if at, err := chromedp.Run(b.Ctx, chromedp.Location()); err != nil || at != server.URL+"/index.html" {
			t.Errorf("it leads to %s: %v", at, err)
		}
		b.Do(chromedp.Click(`a[href="f/acme/shorten.html"]`), chromedp.WaitVisible("#tryform"), chromedp.Click("#tryform button"), chromedp.WaitVisible("#answer pre"))
		shows("ONE. TWO! THREE? FOUR.")
	}
	if _, err := chromedp.Call(b.Ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{}); err != nil {
		t.Fatal(err)
	}
	b.Visit(server.URL + "/")
	if got := b.Text("document.cookie"); got != "" {
		t.Errorf("a script can read %s", got)
	}
}

// TestWithoutJavaScript does what there is to do with scripts turned off.
func TestWithoutJavaScript(t *testing.T) {
	t.Parallel()
	b := browser.For(t)
	if _, err := chromedp.Call(b.Ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	s := large(120)
	sample := newSample(t)
	s.items = append(s.items, sample.items...)
	for k, d := range sample.details {
		s.details[k] = d
	}
	server := newServer(t, s, echo)
	shows := func(want string) {
		t.Helper()
		text, err := chromedp.Run(b.Ctx, chromedp.Text("#main"))
		if err != nil || !strings.Contains(text, want) {
			t.Errorf("the page does not show %q: %v\n%.400s", want, err, text)
		}
	}
	b.Visit(server.URL + "/")
	shows(fmt.Sprintf("%d entries, page 1 of 3", len(s.items)))
	b.Screenshot("plain-list")
	b.Do(chromedp.Click(`.pages a[aria-label="Page 3"]`), chromedp.WaitVisible(`.pages [aria-current][aria-label="Page 3"]`))
	shows("acme/shorten")
	b.Do(chromedp.SendKeys("#q", "shorten"), chromedp.Click("#find button"), chromedp.WaitVisible(`a[href="f/acme/shorten.html"]`))
	shows("1 match")
	b.Do(chromedp.Click(`a[href="f/acme/shorten.html"]`), chromedp.WaitVisible("#tryform"))
	shows("Keeps the sentences")
	b.Do(chromedp.SendKeys("#body", "hello"), chromedp.Click("#tryform button"), chromedp.WaitVisible("#answer pre"))
	shows("HELLO")
	b.Screenshot("plain-function")

	dir := t.TempDir()
	if err := Write(t.Context(), dir, s, About{Name: "acme/store"}); err != nil {
		t.Fatal(err)
	}
	b.Visit("file://" + filepath.Join(dir, "index.html"))
	b.Screenshot("plain-file")
	shows("Without it all entries are on these pages")
	b.Do(chromedp.Click(`.pages a[aria-label="Page 3"]`), chromedp.WaitVisible(`a[href="../f/acme/shorten.html"]`), chromedp.Click(`a[href="../t/acme/elixir.html"]`), chromedp.WaitVisible(".notice"))
	shows("Nobody looks after it.")
	b.Screenshot("plain-static")
}

// TestStatic uses the written files, from a folder and below a path of a server.
func TestStatic(t *testing.T) {
	t.Parallel()
	b := browser.For(t)
	dir := t.TempDir()
	if err := Write(t.Context(), dir, large(20_000), About{Name: "large/store", Intro: "Twenty thousand entries."}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.StripPrefix("/some/path/", http.FileServer(http.Dir(dir))))
	t.Cleanup(server.Close)
	for _, root := range []string{"file://" + dir + "/", server.URL + "/some/path/"} {
		b.Visit(root + "index.html")
		if got := b.Text(`document.getElementById("count").textContent`); got != "20,000 entries, page 1 of 400" {
			t.Errorf("%s: %s", root, got)
		}
		b.Do(chromedp.SendKeys("#q", "resize queue"))
		b.Wait(`/^[0-9,]+ matches$/.test(document.getElementById("count").textContent)`)
		took := b.Text(`(() => { const q = document.getElementById("q"); const at = performance.now(); let n = 0; for (const w of ["resize", "resize q", "queue mail", "xyz"]) { q.value = w; q.dispatchEvent(new Event("input", {bubbles: true})); n++; } return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(Math.round(performance.now() - at))))); })()`)
		t.Logf("%s: %s matches, a search takes %s ms", root, b.Text(`document.getElementById("count").textContent`), took)
		b.Do(chromedp.KeyEvent(kb.Escape), chromedp.KeyEvent("chart-resize"))
		b.Wait(`document.querySelector("#rows .row a")?.textContent.includes("chart-resize")`)
		b.Do(chromedp.Click("#rows .row a"), chromedp.WaitVisible("h1 .own"))
		if got := b.Text(`getComputedStyle(document.querySelector("h1")).fontWeight`); got != "650" {
			t.Errorf("%s: the page of an entry has no style", root)
		}
	}
	b.Screenshot("static")
}

// TestHostileInBrowser opens the record whose texts try to be something else: no
// script of theirs runs, and nothing is asked from elsewhere.
func TestHostileInBrowser(t *testing.T) {
	t.Parallel()
	b := browser.For(t)
	s := &sample{}
	s.add(hostile(t))
	var mu sync.Mutex
	var asked []string
	server := httptest.NewUnstartedServer(nil)
	h, err := New(Options{Source: s, Hosts: HostsOf("", server.Listener.Addr()), Try: echo})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.URL.Path)
		mu.Unlock()
		h.ServeHTTP(w, r)
	})
	server.Start()
	t.Cleanup(server.Close)
	for _, path := range []string{"/", "/?q=alert", "/f/evil/function.html"} {
		b.Visit(server.URL + path)
		got := b.Text(`[...performance.getEntriesByType("resource")].map((e) => e.name).filter((n) => !n.startsWith(location.origin)).join(" ")`)
		if got != "" {
			t.Errorf("%s loads %s", path, got)
		}
		if got := b.Text(`document.querySelectorAll("main script, main img, main iframe, main [onerror], main [onclick], main a[href^='javascript']").length`); got != "0" {
			t.Errorf("%s has %s elements that are a record's", path, got)
		}
	}
	b.Visit(server.URL + "/")
	b.Do(chromedp.SendKeys("#q", "script"))
	b.Wait(`document.getElementById("count").textContent === "1 match"`)
	if got := b.Text(`document.querySelectorAll("main script, main img").length + document.querySelectorAll("#rows mark").length / 1000`); !strings.HasPrefix(got, "0.") {
		t.Errorf("a row of the search: %s", got)
	}
	b.Screenshot("hostile")
	mu.Lock()
	defer mu.Unlock()
	for _, path := range asked {
		if path != "/" && !strings.HasPrefix(path, "/assets/") && !strings.HasPrefix(path, "/search/") && path != "/f/evil/function.html" {
			t.Errorf("the page asked for %s", path)
		}
	}
}
