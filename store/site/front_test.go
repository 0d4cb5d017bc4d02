package site

import (
	"context"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/schema"
)

// TestFront shows what is new, and topics, on the first page of all entries alone.
func TestFront(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	server := newServer(t, s, nil)
	_, page := get(t, server, "/")
	for _, want := range []string{
		`<a href="index.html?tag=images">images <span>2</span></a>`, `<li class="group"><h2>Functions</h2></li>`, `<li class="group"><h2>Templates</h2></li>`,
		`<span>1.1.0, 2026-09-09</span>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the first page has no %s", want)
		}
	}
	_, after, _ := strings.Cut(page, `<h2 id="new">`)
	latest, _, _ := strings.Cut(after, "</section>")
	if n := strings.Count(latest, "<li>"); n != maxNew {
		t.Errorf("%d entries are new, want %d", n, maxNew)
	}
	if strings.Contains(latest, "cobol") || strings.Contains(latest, "elixir") {
		t.Errorf("what is withdrawn or deprecated is new: %s", latest)
	}
	for _, path := range []string{"/?q=go", "/?tag=images"} {
		if _, page := get(t, server, path); strings.Contains(page, `id="front"`) || strings.Contains(page, `class="group"`) {
			t.Errorf("%s has the front of the first page", path)
		}
	}
	mixed := large(120)
	if _, page := get(t, newServer(t, mixed, nil), "/"); strings.Contains(page, `class="group"`) {
		t.Error("a list whose kinds alternate has headings for them")
	}
}

// TestChosen begins the form with an example, whose headers are sent too.
func TestChosen(t *testing.T) {
	t.Parallel()
	var sent schema.Example
	server := newServer(t, newSample(t), func(_ context.Context, _ string, request schema.Example) (Answer, error) {
		sent = request
		return Answer{Line: "200 OK"}, nil
	})
	for path, want := range map[string][2]string{
		"": {"One. Two! Three? Four.", ""}, "?example=1": {"", "Accept: text/plain"}, "?example=2": {"One. Two! Three? Four.", ""}, "?example=-1": {"One. Two! Three? Four.", ""},
	} {
		_, page := get(t, server, "/f/acme/shorten.html"+path)
		for n, name := range []string{"body", "headers"} {
			if m := regexp.MustCompile(`<textarea id="` + name + `"[^>]*>([^<]*)</textarea>`).FindStringSubmatch(page); m == nil || m[1] != want[n] {
				t.Errorf("%q: %s is %q, want %q", path, name, m, want[n])
			}
		}
	}
	_, page := get(t, server, "/f/acme/shorten.html")
	if !strings.Contains(page, `href="../../f/acme/shorten.html?example=1#try"`) {
		t.Error("an example has no way into the form")
	}
	token := regexp.MustCompile(`name="token" value="([^"]+)"`).FindStringSubmatch(page)[1]
	post := func(headers string) string {
		t.Helper()
		form := url.Values{"token": {token}, "name": {"acme/shorten"}, "body": {"hi"}, "headers": {headers}}
		res, err := server.Client().PostForm(server.URL+"/try", form)
		if err != nil {
			t.Fatal(err)
		}
		return readAll(t, res)
	}
	post("Accept: text/html\r\n\r\n X-Two :  a: b \r\n")
	if diff := cmp.Diff(map[string]string{"Accept": "text/html", "X-Two": "a: b"}, sent.Headers); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for headers, says := range map[string]string{"no colon": "has no colon", "a b: c": "is not a header"} {
		if page := post(headers); !strings.Contains(page, "It was not sent: ") || !strings.Contains(page, says) {
			t.Errorf("%q does not say %q", headers, says)
		}
	}
}
