package front

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Quirks are the ways in which registries differ, one by one.
func Quirks() []Quirk {
	var all []Quirk
	for _, some := range [][]Quirk{headerQuirks(), placeQuirks(), statusQuirks(), methodQuirks(), accountQuirks(), hostQuirks()} {
		all = append(all, some...)
	}
	return all
}

const (
	digestField = "Docker-Content-Digest"
	typeField   = "Content-Type"
	lengthField = "Content-Length"
	placeField  = "Location"
)

func ofManifest(r *http.Request) bool { return strings.Contains(r.URL.Path, "/manifests/") }
func ofBlob(r *http.Request) bool     { return strings.Contains(r.URL.Path, "/blobs/sha256:") }
func begins(r *http.Request) bool     { return r.Method == http.MethodPost }

// without leaves fields out of all answers.
func without(name string, fields ...string) Quirk {
	return Quirk{Name: name, change: func(_ *Registry, resp *http.Response) {
		for _, f := range fields {
			resp.Header.Del(f)
		}
	}}
}

// withType calls manifests something.
func withType(name string, call func(was string) string) Quirk {
	return Quirk{Name: name, change: func(_ *Registry, resp *http.Response) {
		if ofManifest(resp.Request) && resp.StatusCode == http.StatusOK {
			resp.Header[typeField] = []string{call(resp.Header.Get(typeField))}
		}
	}}
}

func headerQuirks() []Quirk {
	head := func(field, value string) func(*Registry, *http.Response) {
		return func(_ *Registry, resp *http.Response) {
			if resp.Request.Method == http.MethodHead && resp.StatusCode == http.StatusOK {
				resp.Header.Set(field, value)
			}
		}
	}
	untyped := withType("no Content-Type", nil)
	untyped.change = func(_ *Registry, resp *http.Response) { resp.Header[typeField] = nil }
	return []Quirk{
		without("no Docker-Content-Digest", digestField),
		{Name: "a Docker-Content-Digest that is none", change: head(digestField, "W/abc")}, //nolint:bodyclose // the front's own proxy closes it
		{Name: "no Content-Length", change: func(_ *Registry, resp *http.Response) {
			resp.Header.Del(lengthField)
			resp.ContentLength = -1
		}},
		{Name: "a Content-Length of 0 for HEAD", change: head(lengthField, "0")}, //nolint:bodyclose // as above
		untyped,
		withType("a Content-Type with parameters", func(was string) string { return was + "; charset=utf-8" }),
		withType("a Content-Type of text", func(string) string { return "text/plain; charset=utf-8" }),
		withType("a Content-Type of JSON", func(string) string { return "application/json" }),
		withType("a Content-Type of bytes", func(string) string { return "application/octet-stream" }),
		without("no optional field", digestField, "Docker-Distribution-Api-Version", "Docker-Upload-Uuid", "Range", "OCI-Chunk-Min-Length", "Etag", "Cache-Control", "X-Content-Type-Options"),
	}
}

// placed changes the places of uploads.
func placed(name string, change func(f *Registry, at *url.URL, r *http.Request) string) Quirk {
	return Quirk{Name: name, change: func(f *Registry, resp *http.Response) {
		if at, err := resp.Location(); err == nil {
			at.Scheme, at.Host = "http", f.Host
			resp.Header.Set(placeField, change(f, at, resp.Request))
		}
	}}
}

func placeQuirks() []Quirk {
	forgetful := Quirk{
		Name: "no Location after PATCH",
		change: func(f *Registry, resp *http.Response) {
			if at, err := resp.Location(); err == nil && resp.Request.Method == http.MethodPatch {
				f.mu.Lock()
				f.state[at.Path] = at.RawQuery
				f.mu.Unlock()
				resp.Header.Del(placeField)
			}
		},
		answer: func(f *Registry, _ http.ResponseWriter, r *http.Request) bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			if state, ok := f.state[r.URL.Path]; ok && r.Method == http.MethodPut {
				r.URL.RawQuery = state + "&digest=" + r.URL.Query().Get("digest")
			}
			return false
		},
	}
	return []Quirk{
		placed("an absolute Location", func(_ *Registry, at *url.URL, _ *http.Request) string { return at.String() }),
		placed("a Location that is a path", func(_ *Registry, at *url.URL, _ *http.Request) string { return at.RequestURI() }),
		placed("a Location that is a name", func(_ *Registry, at *url.URL, _ *http.Request) string {
			return strings.TrimPrefix(at.RequestURI(), at.Path[:strings.LastIndex(at.Path, "/")+1])
		}),
		placed("a Location without a scheme", func(_ *Registry, at *url.URL, _ *http.Request) string { return at.Host + at.RequestURI() }),
		placed("a Location with a query", func(_ *Registry, at *url.URL, _ *http.Request) string {
			return at.String() + "&sig=a%2Fb%2Bc%3D&empty="
		}),
		placed("a Location at another host", func(f *Registry, at *url.URL, _ *http.Request) string {
			at.Host = f.Other
			return at.String()
		}),
		forgetful,
	}
}

// status answers with another status where the registry has done what was asked.
func status(method string, of func(*http.Request) bool, code int) func(*Registry, *http.Response) {
	return func(_ *Registry, resp *http.Response) {
		if resp.Request.Method == method && of(resp.Request) && resp.StatusCode < 300 {
			resp.StatusCode = code
		}
	}
}

func statusQuirks() []Quirk {
	var all []Quirk
	add := func(what, method string, of func(*http.Request) bool, codes ...int) {
		for _, c := range codes {
			all = append(all, Quirk{Name: what + " answered " + strconv.Itoa(c), change: status(method, of, c)}) //nolint:bodyclose // the front's own proxy closes it
		}
	}
	content := func(r *http.Request) bool { return !ofManifest(r) }
	plainly := func(r *http.Request) bool { return !r.URL.Query().Has("mount") }
	add("POST", http.MethodPost, plainly, 200, 201, 204)
	add("PATCH", http.MethodPatch, content, 200, 201, 204)
	add("PUT of a blob", http.MethodPut, content, 200, 202, 204)
	add("PUT of a manifest", http.MethodPut, ofManifest, 200, 202, 204)
	return append(all, refused("the first answer 503", func(f *Registry, r *http.Request) bool { return f.count(r.Method) == 0 }, 503),
		refused("429", func(f *Registry, r *http.Request) bool { return f.count(r.Method) == 0 }, 429),
		Quirk{Name: "429 with Retry-After", answer: func(f *Registry, w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut || f.count(r.Method) > 0 {
				return false
			}
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		}})
}

// refused answers some requests with an error.
func refused(name string, of func(f *Registry, r *http.Request) bool, code int) Quirk {
	return Quirk{Name: name, answer: func(f *Registry, w http.ResponseWriter, r *http.Request) bool {
		if of(f, r) {
			w.WriteHeader(code)
			return true
		}
		return false
	}}
}

func methodQuirks() []Quirk {
	var all []Quirk
	for _, code := range []int{403, 405, 501} {
		all = append(all,
			refused("HEAD of a blob answered "+strconv.Itoa(code), func(_ *Registry, r *http.Request) bool { return r.Method == http.MethodHead && ofBlob(r) }, code),
			refused("HEAD of a manifest answered "+strconv.Itoa(code), func(_ *Registry, r *http.Request) bool { return r.Method == http.MethodHead && ofManifest(r) }, code))
	}
	for _, code := range []int{403, 404, 405} {
		all = append(all, refused("a mount answered "+strconv.Itoa(code), func(_ *Registry, r *http.Request) bool { return begins(r) && r.URL.Query().Has("mount") }, code))
	}
	all = append(all, Quirk{Name: "a mount answered 202", answer: func(_ *Registry, _ http.ResponseWriter, r *http.Request) bool {
		if begins(r) {
			r.URL.RawQuery = "" // an upload then begins
		}
		return false
	}})
	for _, code := range []int{404, 405} {
		all = append(all, refused("no root, "+strconv.Itoa(code), func(_ *Registry, r *http.Request) bool { return r.URL.Path == "/v2/" }, code))
	}
	return all
}

// account wants credentials, and says so in a way of its own. {HOST} in what it offers
// is the front's address, {OTHER} the other one.
func account(name string, offers ...string) Quirk {
	return Quirk{Name: name, Account: true, answer: func(f *Registry, w http.ResponseWriter, r *http.Request) bool {
		if allowed(r) {
			return false
		}
		for _, o := range offers {
			w.Header().Add("Www-Authenticate", strings.NewReplacer("{HOST}", f.Host, "{OTHER}", f.Other).Replace(o))
		}
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}}
}

func accountQuirks() []Quirk {
	rootless := account("tokens, and no root", `Bearer realm="http://{HOST}/token",service="s"`)
	wants := rootless.answer
	rootless.answer = func(f *Registry, w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v2/" {
			w.WriteHeader(http.StatusNotFound)
			return true
		}
		return wants(f, w, r)
	}
	return []Quirk{
		account("a password", `Basic realm="registry"`),
		account("a password, without quotes", `BASIC realm=registry`),
		account("a password, asked for with no field"),
		account("a password among others in one field", `Negotiate, Basic realm="a, b", charset="UTF-8"`),
		account("a password among others in several fields", `Negotiate`, `NTLM`, `basic realm="x"`),
		account("tokens", `Bearer realm="http://{HOST}/token",service="s"`),
		account("tokens, without a service", `Bearer realm="http://{HOST}/token"`),
		account("tokens, spelled otherwise", `bearer  Realm = "http://{HOST}/token" , SERVICE=s`),
		account("tokens called access_token", `Bearer realm="http://{HOST}/token/access",service="s"`),
		account("tokens of both names", `Bearer realm="http://{HOST}/token/both",service="s"`),
		account("tokens of another host", `Bearer realm="http://{OTHER}/token",service="s"`),
		account("tokens or a password in one field", `Basic realm="x", Bearer realm="http://{HOST}/token",service="s"`),
		account("tokens that lead nowhere, or a password", `Bearer service="s"`, `Basic realm="x"`),
		rootless,
	}
}

func hostQuirks() []Quirk {
	redirects := func(of func(*http.Request) bool) func(*Registry, http.ResponseWriter, *http.Request) bool {
		return func(f *Registry, w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet || !of(r) {
				return false
			}
			http.Redirect(w, r, "http://"+f.Other+r.URL.Path, http.StatusTemporaryRedirect)
			return true
		}
	}
	return []Quirk{
		{Name: "blobs at another host", answer: redirects(ofBlob)},
		{Name: "manifests at another host", answer: redirects(ofManifest)},
		{Name: "IPv6", Address: "[::1]:0"},
	}
}
