package main

import (
	"html"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"fnb/internal/servers/browser"
)

const checkout = "../.."

// made makes the site of this checkout, and returns its folder and its pages.
func made(t *testing.T) (dir string, pages map[string]string) {
	t.Helper()
	dir = t.TempDir()
	if err := run(checkout, dir); err != nil {
		t.Fatal(err)
	}
	pages = map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".html" {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		pages[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir, pages
}

var (
	leads = regexp.MustCompile(`<(\w+)[^>]*? (?:src|href)="([^"]*)"`)
	ids   = regexp.MustCompile(` id="([^"]*)"`)
)

// TestLinks follows each link inside the site, to its heading, and holds that nothing is loaded
// from elsewhere.
func TestLinks(t *testing.T) {
	t.Parallel()
	dir, pages := made(t)
	if len(pages) < 90 {
		t.Fatalf("%d pages", len(pages))
	}
	for name, page := range pages {
		for _, m := range leads.FindAllStringSubmatch(page, -1) {
			tag, to := m[1], html.UnescapeString(m[2])
			if strings.Contains(to, ":") {
				if tag != "a" || !strings.HasPrefix(to, "https://") {
					t.Errorf("%s: <%s> leads to %s", name, tag, to)
				}
				continue
			}
			file, fragment, _ := strings.Cut(to, "#")
			file, _, _ = strings.Cut(file, "?")
			at := name
			if file != "" {
				at = path.Join(path.Dir(name), file)
			}
			if _, err := os.Stat(filepath.Join(dir, at)); err != nil {
				t.Errorf("%s leads to %s: %v", name, to, err)
			} else if fragment != "" && !slices.ContainsFunc(ids.FindAllStringSubmatch(pages[at], -1), func(id []string) bool { return html.UnescapeString(id[1]) == fragment }) {
				t.Errorf("%s leads to %s, which has no such heading", name, to)
			}
		}
	}
}

// TestMenu holds that each document can be found from the first page.
func TestMenu(t *testing.T) {
	t.Parallel()
	s, err := read(os.DirFS(checkout))
	if err != nil {
		t.Fatal(err)
	}
	var in []string
	for _, part := range s.menu {
		for _, l := range part.Links {
			in = append(in, l.path)
		}
	}
	for _, p := range s.pages {
		if p.title == "" || p.summary == "" {
			t.Errorf("%s: its title is %q, and what it is about %q", p.source, p.title, p.summary)
		}
		if dir := path.Dir(p.source); (dir == "docs" || dir == "docs/howto") && p.path != "index.html" && !slices.Contains(in, p.path) {
			t.Errorf("docs/index.md does not lead to %s", p.source)
		}
	}
}

// TestBroken holds that a document that leads nowhere makes no site.
func TestBroken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "docs"), 0o750); err != nil {
		t.Fatal(err)
	}
	if _, err := read(os.DirFS(dir)); err == nil || !strings.Contains(err.Error(), "docs/index.md") {
		t.Errorf("without a first page: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "docs", "index.md"), []byte("# x\n\n[y](nowhere.txt)\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := read(os.DirFS(dir)); err == nil || !strings.Contains(err.Error(), "docs/index.md: ") || !strings.Contains(err.Error(), "docs/nowhere.txt") {
		t.Errorf("with a link to nowhere: %v", err)
	}
}

// TestBrowser reads the site from a folder: everybody can, in both colours, on a telephone, with the
// keyboard alone and without JavaScript. It keeps pictures.
func TestBrowser(t *testing.T) {
	t.Parallel()
	b := browser.For(t)
	dir, _ := made(t)
	at := func(name string) string { return "file://" + filepath.Join(dir, name) }
	for _, page := range []string{"index", "tutorial", "troubleshooting", "compare", "howto/private-packages", "reference/fnb_build", "design", "project/README"} {
		for _, scheme := range []string{"light", "dark"} {
			b.Colours(scheme)
			b.Visit(at(page + ".html"))
			for _, bad := range b.Axe() {
				t.Errorf("%s, %s: %s", page, scheme, bad)
			}
			b.Screenshot("docs-" + path.Base(page) + "-" + scheme)
		}
		b.Colours("light")
		b.Do(chromedp.EmulateViewport(390, 844))
		b.Visit(at(page + ".html"))
		if wide := b.Text("document.documentElement.scrollWidth - innerWidth"); wide != "0" {
			t.Errorf("%s is %s pixels wider than a small screen", page, wide)
		}
		b.Screenshot("docs-" + path.Base(page) + "-small")
		b.Do(chromedp.EmulateViewport(1280, 900))
	}
	search(t, b, at)
	without(t, b, at)
}

// settled holds once two frames have been drawn since the last key: what is shown then is of the whole query.
const settled = `(() => {
	const query = document.getElementById("q").value;
	if (window.asked !== query) {
		window.asked = query;
		requestAnimationFrame(() => requestAnimationFrame(() => { window.drawn = query; }));
	}
	return window.drawn === query;
})()`

// search finds a page by an error that somebody has pasted, and by words, without a mouse.
func search(t *testing.T, b *browser.Browser, at func(string) string) {
	t.Helper()
	for query, want := range map[string]string{
		"fnb: hello: the managed builder needs runc (to run containers), which is not on PATH": "troubleshooting.html",
		// What CONTRIBUTING.md says that a newcomer finds.
		"install fnb":              "howto/install.html",
		"private package registry": "howto/private-packages.html",
		"why rebuilt":              "howto/why-rebuilt.html",
		"move pins":                "howto/update.html",
		"run in CI":                "howto/ci.html",
		"run a store":              "run-a-store.html",
		// What they may say in place of it.
		"install":              "howto/install.html",
		"github actions":       "howto/ci.html",
		"upgrade dependencies": "howto/update.html",
		"reason for rebuild":   "howto/why-rebuilt.html",
		"--changed-since":      "",
	} {
		b.Visit(at("howto/ci.html"))
		b.Press("/")
		b.Wait(`document.activeElement.id === "q"`)
		b.Do(chromedp.SendKeys("#q", query))
		b.Wait(settled)
		b.Wait(`document.querySelectorAll("#hits a").length > 0`)
		if got := b.Text(`document.querySelector("#hits a").href`); !strings.Contains(got, "/"+want) {
			t.Errorf("%q finds %s first, not %s", query, got, want)
		}
	}
	for _, bad := range b.Axe() {
		t.Errorf("with what was found: %s", bad)
	}
	b.Screenshot("docs-search")
	b.Press(kb.ArrowDown)
	b.Wait(`document.activeElement === document.querySelector("#hits a")`)
	b.Press(kb.Escape)
	b.Wait(`document.activeElement.id === "q"`)
	b.Press(kb.Escape)
	b.Wait(`document.activeElement.value === "" && document.getElementById("found").hidden`)
	b.Do(chromedp.SendKeys("#q", "exit codes"))
	b.Wait(`document.querySelectorAll("#hits a").length > 0`)
	b.Press(kb.Enter)
	b.Wait(`location.hash !== "" || !location.pathname.endsWith("howto/ci.html")`)
}

// without reads the site with scripts turned off.
func without(t *testing.T, b *browser.Browser, at func(string) string) {
	t.Helper()
	if _, err := chromedp.Call(b.Ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	b.Visit(at("index.html"))
	b.Do(chromedp.Click(`.menu a[href="howto/ci.html"]`), chromedp.WaitVisible("#write-the-pipeline"))
}
