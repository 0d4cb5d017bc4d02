package site

import (
	"context"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fnb/internal/servers/browser"
)

// get asks a handler as a browser does.
func get(t *testing.T, server *httptest.Server, path string) (int, string) {
	t.Helper()
	res, err := server.Client().Get(server.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, readAll(t, res)
}

func readAll(t *testing.T, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var (
	tag      = regexp.MustCompile(`<(/?)([a-zA-Z]+[0-9]?)([^>]*)>`)
	external = regexp.MustCompile(`(?i)(?:src|href|action)="([^"]*)"`)
)

// mayHave are the elements that a page is made of: all that is in a record is text.
func mayHave() map[string]bool {
	all := map[string]bool{}
	for _, name := range strings.Fields("html head meta title link script body a header div svg rect circle path nav form input kbd button main h1 h2 h3 h4 h5 h6 p span strong section pre code textarea label details summary ol ul li dl dt dd table thead tbody tr th td aside footer em del blockquote hr br img mark") {
		all[name] = true
	}
	return all
}

// TestHostile shows a record in which every text tries to be HTML, a link or a
// control sequence.
func TestHostile(t *testing.T) {
	t.Parallel()
	s := &sample{}
	d := hostile(t)
	s.add(d)
	server := newServer(t, s, echo)
	for _, path := range []string{"/", "/f/evil/function.html", "/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&kind=%22%3E&lang=%3Cimg%3E", "/search/0.js"} {
		status, page := get(t, server, path)
		if status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, page)
		}
		for _, bad := range []string{"<img src=x", "<script>alert", "\x1b", "\u202e", `"javascript:`, `href="data:`, "ZgotmplZ"} {
			if strings.Contains(page, bad) {
				at := strings.Index(page, bad)
				t.Errorf("%s has %q: …%.200s", path, bad, page[max(0, at-80):])
			}
		}
		if strings.HasSuffix(path, ".js") {
			continue
		}
		for _, m := range tag.FindAllStringSubmatch(page, -1) {
			name := strings.ToLower(m[2])
			if !mayHave()[name] && name != "option" && name != "select" && name != "template" && name != "doctype" {
				t.Errorf("%s has the element %s", path, m[0])
			}
			if regexp.MustCompile(`(?i)\son[a-z]+=`).MatchString(regexp.MustCompile(`"[^"]*"`).ReplaceAllString(m[3], `""`)) {
				t.Errorf("%s has a handler: %s", path, m[0])
			}
			if name == "script" && m[1] == "" && !strings.HasPrefix(m[3], ` src="`) {
				t.Errorf("%s has a script: %s", path, m[0])
			}
			if name == "img" || name == "script" || name == "link" {
				for _, u := range external.FindAllStringSubmatch(m[0], -1) {
					if strings.Contains(html.UnescapeString(u[1]), "//") {
						t.Errorf("%s loads %s", path, u[1])
					}
				}
			}
		}
	}
	_, page := get(t, server, "/f/evil/function.html")
	// Each of these is in the page as text.
	for _, want := range []string{"&lt;script&gt;alert(3)&lt;/script&gt;", `\u001b[31m\u202e`, "https://track.example/pixel.png", "b&lt;script&gt;.py", "It is not text."} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not show %s", want)
		}
	}
	if n := strings.Count(page, "alert(1)"); n < 40 {
		t.Errorf("the page shows only %d of the texts", n)
	}
}

func TestLargeTexts(t *testing.T) {
	t.Parallel()
	p := functionPackage()
	p.Versions = p.Versions[2:]
	p.Versions[0].README = strings.Repeat("all work and no play\n\n", 500_000)
	s := &sample{}
	s.add(Describe(p, nil))
	_, page := get(t, newServer(t, s, nil), "/f/acme/shorten.html")
	if len(page) > 300_000 || !strings.Contains(page, "only its beginning is shown") {
		t.Errorf("the page has %d bytes", len(page))
	}
}

// TestAsked asks as others than the page's own reader would.
func TestAsked(t *testing.T) {
	t.Parallel()
	server := newServer(t, newSample(t), echo)
	_, page := get(t, server, "/f/acme/shorten.html")
	m := regexp.MustCompile(`name="token" value="([^"]+)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatal("the page has no token")
	}
	good := url.Values{"token": {m[1]}, "name": {"acme/shorten"}, "body": {"hi <b>"}}
	without := url.Values{"token": {"x"}, "name": {"acme/shorten"}, "body": {"hi"}}
	to := url.Values{"token": {m[1]}, "name": {"acme/shorten"}, "body": {"hi"}, "method": {"PUT"}, "path": {"/x?y=<b>"}}
	badPath := url.Values{"token": {m[1]}, "name": {"acme/shorten"}, "body": {"hi"}, "path": {"//evil.example/"}}
	badMethod := url.Values{"token": {m[1]}, "name": {"acme/shorten"}, "method": {"CONNECT\r\nX: y"}}
	unknown := url.Values{"token": {m[1]}, "name": {"acme/go"}, "body": {"hi"}}
	for _, test := range []struct {
		what, method, path, host, origin, site string
		form                                   url.Values
		want                                   int
		has                                    string
	}{
		{"the page itself", "POST", "/try", "", server.URL, "same-origin", good, 200, "HI &lt;B&gt;"},
		{"the page itself, to a path", "POST", "/try", "", server.URL, "same-origin", to, 200, "PUT /X?Y=&lt;B&gt; HI"},
		{"the page itself, to what is no path", "POST", "/try", "", server.URL, "same-origin", badPath, 200, "It was not sent: path"},
		{"the page itself, by what is no method", "POST", "/try", "", server.URL, "same-origin", badMethod, 200, "It was not sent: method"},
		{"without the token", "POST", "/try", "", server.URL, "same-origin", without, 403, "out of date"},
		{"a function that is not there", "POST", "/try", "", server.URL, "same-origin", unknown, 404, ""},
		{"a page elsewhere", "POST", "/try", "", "https://evil.example", "cross-site", good, 403, "another origin"},
		{"a page of another port", "POST", "/try", "", "http://127.0.0.1:1", "same-site", good, 403, "another origin"},
		{"a page without an origin", "POST", "/try", "", "null", "cross-site", good, 403, "another origin"},
		{"a script elsewhere that reads", "GET", "/search/0.js", "", "https://evil.example", "cross-site", nil, 403, ""},
		{"another name for this machine", "GET", "/", "evil.example", "", "", nil, 421, "another address"},
		{"another name, and its page", "POST", "/try", "evil.example", "http://evil.example", "same-origin", good, 421, ""},
		{"a GET that would change something", "GET", "/try?name=acme/shorten&token=" + m[1], "", "", "", nil, 404, ""},
		{"a PUT", "PUT", "/", "", "", "", nil, 405, ""},
		{"above the assets", "GET", "/assets/..%2fpages%2flist.html", "", "", "", nil, 404, ""},
		{"a file of the machine", "GET", "/assets/%2fetc%2fpasswd", "", "", "", nil, 404, ""},
		{"a template in a folder", "GET", "/t/./x.html", "", "", "", nil, 404, ""},
		{"a template in a folder, hidden", "GET", "/t/%2e/x.html", "", "", "", nil, 404, ""},
		{"a template at a URL", "GET", "/t/https:%2f%2fevil.example/x.html", "", "", "", nil, 404, ""},
		{"a page after the last", "GET", "/page/99.html", "", "", "", nil, 404, ""},
		{"a page before the first", "GET", "/page/-1.html", "", "", "", nil, 404, ""},
		{"a shard after the last", "GET", "/search/7.js", "", "", "", nil, 404, ""},
		{"a name of this machine", "GET", "/", "LOCALHOST:" + port(server.URL), "", "", nil, 200, "acme/"},
	} {
		reader := strings.NewReader(test.form.Encode())
		req, err := http.NewRequestWithContext(t.Context(), test.method, server.URL+test.path, reader)
		if err != nil {
			t.Fatal(err)
		}
		if req.Host = test.host; test.host == "" {
			req.Host = strings.TrimPrefix(server.URL, "http://")
		}
		for name, value := range map[string]string{"Origin": test.origin, "Sec-Fetch-Site": test.site, "Content-Type": "application/x-www-form-urlencoded"} {
			if value != "" {
				req.Header.Set(name, value)
			}
		}
		res, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got := readAll(t, res)
		if res.StatusCode != test.want || !strings.Contains(got, test.has) {
			t.Errorf("%s: %d, want %d with %q: %.300s", test.what, res.StatusCode, test.want, test.has, got)
		}
		if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", test.what, csp)
		}
	}
}

// TestKey asks with and without the key.
func TestKey(t *testing.T) {
	t.Parallel()
	server, enter := newLocked(t, newSample(t), echo)
	key := strings.TrimPrefix(enter, server.URL+"/?key=")
	name := "fnb-key-" + port(server.URL)
	ask := func(method, path, cookie string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if cookie != "" {
			req.Header.Set("Cookie", cookie)
		}
		res, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	for _, test := range []struct {
		method, path, cookie string
		want                 int
		has                  string
	}{
		{"GET", "/", "", 403, "fnb store browse"},
		{"GET", "/index.html", name + "=x", 403, ""},
		{"GET", "/", name + "=", 403, ""},
		{"GET", "/?key=", "", 403, ""},
		{"GET", "/?key=" + key[1:], "", 403, ""},
		{"GET", "/search/0.js", "", 403, ""},
		{"GET", "/f/acme/shorten.html", "fnb-key-1=" + key, 403, ""},
		{"GET", "/f/acme/shorten.html", name + "=x; " + name + "=" + key, 200, "Keeps the sentences"},
		{"GET", "/", name + "=" + key, 200, "acme/"},
		{"POST", "/try?key=" + key, "", 403, ""},
		{"GET", "/assets/style.css", "", 200, "--paper"}, // it is fnb's, and no secret
		{"GET", "/?key=" + key, "", 200, `content="0; url=/index.html"`},
	} {
		res := ask(test.method, test.path, test.cookie)
		got := readAll(t, res)
		if res.StatusCode != test.want || !strings.Contains(got, test.has) {
			t.Errorf("%s %s with %q: %d, want %d with %q: %.300s", test.method, test.path, test.cookie, res.StatusCode, test.want, test.has, got)
		}
		if res.StatusCode == http.StatusForbidden && strings.Contains(got, "acme") {
			t.Errorf("%s %s tells what there is: %s", test.method, test.path, got)
		}
		if set := res.Cookies(); len(set) > 0 != strings.HasSuffix(test.has, `index.html"`) {
			t.Errorf("%s %s sets %v", test.method, test.path, set)
		}
	}
	set := ask("GET", "/?key="+key, "").Cookies()
	if len(set) != 1 || !set[0].HttpOnly || set[0].SameSite != http.SameSiteStrictMode || set[0].Domain != "" || set[0].Value != key || len(key) < 26 {
		t.Errorf("%+v", set)
	}
}

// A changing source has another entry each time, and may be made to wait.
type changing struct {
	sample
	asked atomic.Int64
	hold  chan struct{}
}

func (c *changing) Items(context.Context) ([]Item, error) {
	n := c.asked.Add(1)
	if n > 1 {
		<-c.hold
	}
	return []Item{{Kind: KindFunction, Name: fmt.Sprintf("acme/number-%d", n)}}, nil
}

// TestListIsReadAnew holds that nobody waits for a list that is read again, and that
// it is shown once it was read.
func TestListIsReadAnew(t *testing.T) {
	t.Parallel()
	c := &changing{hold: make(chan struct{})}
	server := httptest.NewUnstartedServer(nil)
	h, err := New(Options{Source: c, Hosts: HostsOf("", server.Listener.Addr())})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = h
	server.Start()
	t.Cleanup(server.Close)
	shows := func(want string) bool {
		_, page := get(t, server, "/")
		return strings.Contains(page, want)
	}
	for range 2 {
		if !shows("number-1") || c.asked.Load() != 1 {
			t.Errorf("the list was read %d times", c.asked.Load())
		}
	}
	h.mu.Lock()
	h.until = time.Time{}
	h.mu.Unlock()
	for range 3 { // while the source does not answer
		if !shows("number-1") {
			t.Error("the list is not shown as it was")
		}
	}
	close(c.hold)
	for deadline := time.Now().Add(time.Minute); !shows("number-2"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the new list is never shown")
		}
	}
	if n := c.asked.Load(); n != 2 {
		t.Errorf("the list was read %d times", n)
	}
}

func port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

func TestFind(t *testing.T) {
	t.Parallel()
	c := newCatalogue(newSample(t).items)
	for _, test := range []struct {
		query query
		want  string
	}{
		{query{Text: "elixir"}, "acme/elixir"},
		{query{Text: "HTTP go", Kind: KindTemplate}, "acme/go"},
		{query{Text: "pictur"}, "acme/ocr"},
		{query{Tag: "images", Language: "go"}, "tools/qrcode"},
		{query{Text: "chart", Platform: "linux/arm64"}, "acme/chart"},
	} {
		found := c.find(test.query)
		if len(found) == 0 || found[0].Name != test.want {
			t.Errorf("%+v: %+v", test.query, found)
		}
	}
	if found := c.find(query{Platform: "linux/arm/v7", Kind: KindFunction}); len(found) > 0 {
		t.Errorf("%+v", found)
	}
	if found := c.find(query{Text: "chart nothing"}); len(found) > 0 {
		t.Errorf("%+v", found)
	}
}

func TestHighlight(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ file, text, want string }{
		{"Dockerfile", "FROM a # not\n# yes\nRUN echo FROM", `<span class="k">FROM</span> a <span class="c"># not</span>` + "\n" + `<span class="c"># yes</span>` + "\n" + `<span class="k">RUN</span> echo FROM`},
		{"x.go", `return "a\"b" // c`, `<span class="k">return</span> <span class="s">&#34;a\&#34;b&#34;</span> <span class="c">// c</span>`},
		{"x.py", "'''a\nb''' + 12", `<span class="s">&#39;&#39;&#39;a` + "\n" + `b&#39;&#39;&#39;</span> + <span class="n">12</span>`},
		{"x.yml", "a-b: c # d", `<span class="a">a-b</span>: c <span class="c"># d</span>`},
		{"x.json", `{"a": "b"}`, `{<span class="a">&#34;a&#34;</span>: <span class="s">&#34;b&#34;</span>}`},
		{"x.unknown", "<b>", "&lt;b&gt;"},
	} {
		if got := paint(t, test.file, test.text); got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", test.file, got, test.want)
		}
	}
}

func paint(t *testing.T, file, text string) string {
	t.Helper()
	out, err := highlight(t.Context(), file, text)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// FuzzHighlight holds that nothing is lost, and that nothing but spans is added.
func FuzzHighlight(f *testing.F) {
	f.Add("a.go", "x := `<b>` // \x00")
	f.Add("Dockerfile", "FROM <script>\nRUN \"")
	f.Add("a.yml", "a: [\"b")
	spans := regexp.MustCompile(`<span class="[kscna]">|</span>`)
	f.Fuzz(func(t *testing.T, file, text string) {
		out := spans.ReplaceAllString(paint(t, file, text), "")
		if strings.ContainsAny(out, "<>") {
			t.Errorf("%q", out)
		}
		if got := html.UnescapeString(out); got != strings.ReplaceAll(text, "\x00", "\ufffd") && !strings.Contains(text, "&") {
			t.Errorf("%q became %q", text, got)
		}
	})
}

// FuzzMarkdown holds that a README never becomes a script, a handler, a picture or a
// link to anything but the web.
func FuzzMarkdown(f *testing.F) {
	f.Add(sampleReadme)
	f.Add("[a](javascript:x) ![b](http://x) <b onclick=x> <javascript:x>\n\n<script>\n\n[c]: data:x\n[c]")
	f.Fuzz(func(t *testing.T, text string) {
		shown, err := markdown(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		out := string(shown)
		for _, m := range tag.FindAllStringSubmatch(out, -1) {
			name := strings.ToLower(m[2])
			if !mayHave()[name] || name == "script" || name == "img" || name == "form" || name == "input" || name == "link" || name == "meta" {
				t.Errorf("%q made %s", text, m[0])
			}
			for _, u := range external.FindAllStringSubmatch(m[0], -1) {
				if !strings.HasPrefix(u[1], "http://") && !strings.HasPrefix(u[1], "https://") {
					t.Errorf("%q links to %s", text, u[1])
				}
			}
		}
	})
}

// TestWrite writes a store as files: every link is to a file that is there.
func TestWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := Write(t.Context(), dir, newSample(t), About{Name: "acme/store", Intro: "What acme uses."}); err != nil {
		t.Fatal(err)
	}
	pages := 0
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".html") {
			return err
		}
		pages++
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if !strings.Contains(string(data), `http-equiv="Content-Security-Policy"`) {
			t.Errorf("%s has no policy", name)
		}
		for _, u := range external.FindAllStringSubmatch(string(data), -1) {
			link, _, _ := strings.Cut(u[1], "#")
			link, _, _ = strings.Cut(link, "?")
			if link == "" || strings.HasPrefix(link, "https://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(dir, filepath.Dir(name), link)); err != nil {
				t.Errorf("%s links to %s", name, u[1])
			}
		}
		return nil
	})
	if err != nil || pages < 16 {
		t.Errorf("%d pages: %v", pages, err)
	}
}

// TestFirstPage holds that the first page of a large store is small, with all that
// it loads.
func TestFirstPage(t *testing.T) {
	t.Parallel()
	s := large(20_000)
	_, page := get(t, newServer(t, s, nil), "/")
	total := len(page)
	for _, name := range []string{"app.js", "style.css", "icon.svg"} {
		data, err := files.ReadFile("assets/" + name)
		if err != nil {
			t.Fatal(err)
		}
		total += len(data)
	}
	if total > 100_000 {
		t.Errorf("the first page takes %d bytes", total)
	}
	t.Logf("%d bytes", total)
}

// large is a store of many functions and templates.
func large(n int) *sample {
	s := &sample{details: map[string]Detail{}}
	words := strings.Fields("http json queue image resize mail cron proxy cache stream table chart token parse render sort merge")
	languages := strings.Fields("go python node rust java ruby csharp php")
	for i := range n {
		item := Item{
			Kind: []string{KindFunction, KindTemplate}[i%2], Name: fmt.Sprintf("ns%03d/%s-%s-%05d", i*200/n, words[i%len(words)], words[i/7%len(words)], i), Version: fmt.Sprintf("1.%d.0", i%9),
			Description: "does " + words[i%len(words)] + " and " + words[i/11%len(words)] + " well enough for most", Language: languages[i%len(languages)],
			Tags: []string{words[i%5]}, Platforms: []string{"linux/amd64", "linux/arm64"}, Store: "large",
		}
		s.items = append(s.items, item)
		s.details[item.Kind+" "+item.Name] = Detail{Item: item, Commands: templateCommands(item.Name, item.Version)}
	}
	return s
}

// BenchmarkLarge measures a store of 20 000 entries: writing it, and answering a
// search without JavaScript.
func BenchmarkLarge(b *testing.B) {
	s := large(20_000)
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			if err := Write(b.Context(), b.TempDir(), s, About{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	c := newCatalogue(s.items)
	b.Run("find", func(b *testing.B) {
		for b.Loop() {
			if len(c.find(query{Text: "resize queue"})) == 0 {
				b.Fatal("nothing")
			}
		}
	})
	b.Run("catalogue", func(b *testing.B) {
		for b.Loop() {
			c = newCatalogue(s.items)
		}
	})
	b.ReportMetric(float64(len(c.shard(0))), "shard-B")
}

// BenchmarkBrowser opens a store of 20 000 entries in a browser and searches in it:
// how much is sent, until the page is there, until the first search shows all it
// finds, with the index being loaded for it, and how long the others take.
func BenchmarkBrowser(b *testing.B) {
	dir := b.TempDir()
	if err := Write(b.Context(), dir, large(20_000), About{Name: "large/store"}); err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	b.Cleanup(server.Close)
	words := strings.Fields("resize queue mail cron proxy cache stream table chart token go ns100 rust java json")
	var load, first, all []float64
	number := func(tab *browser.Browser, script string) float64 {
		n, err := strconv.ParseFloat(tab.Text(script), 64)
		if err != nil {
			b.Fatal(script, err)
		}
		return n
	}
	// search types a word, and resolves to how long it takes until the rows are painted.
	const search = `((w) => new Promise((done) => {
		const q = document.getElementById("q"), at = performance.now();
		const look = () => requestAnimationFrame(() => setTimeout(() => /^[0-9,]+ match/.test(document.getElementById("count").textContent) ? done(performance.now() - at) : look()));
		q.focus(); q.value = w; q.dispatchEvent(new Event("input", {bubbles: true})); look();
	}))`
	const sent = `performance.getEntriesByType("navigation").concat(performance.getEntriesByType("resource")).reduce((n, e) => n + e.transferSize, 0)`
	for b.Loop() {
		tab := browser.For(b)
		tab.Visit(server.URL + "/index.html")
		tab.Wait(`performance.getEntriesByType("navigation")[0].loadEventEnd > 0`)
		load = append(load, number(tab, `performance.getEntriesByType("navigation")[0].loadEventEnd`))
		page := number(tab, sent)
		first = append(first, number(tab, search+`("resize q")`))
		b.ReportMetric(page, "page-B")
		b.ReportMetric(number(tab, sent)-page, "index-B")
		for _, w := range words {
			all = append(all, number(tab, search+`("`+w+`")`))
		}
	}
	for name, times := range map[string][]float64{"load-ms": load, "first-search-ms": first, "search-ms": all} {
		slices.Sort(times)
		b.ReportMetric(times[len(times)/2], name)
	}
	b.ReportMetric(all[len(all)-1], "worst-search-ms")
}

// A function's page says what is attached to its image.
func TestEvidence(t *testing.T) {
	t.Parallel()
	said := map[string]string{}
	for _, f := range Describe(functionPackage(), nil).Facts {
		said[f.Name] = f.Value
	}
	for name, want := range map[string]string{"SBOM": "92 packages (linux/amd64)", "Provenance": "https://slsa.dev/provenance/v1", "Image signed by": "SHA256:" + strings.Repeat("A", 43)} {
		if said[name] != want {
			t.Errorf("%s: %q, not %q", name, said[name], want)
		}
	}
}
