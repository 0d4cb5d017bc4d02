package store_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/store"
	"fnb/store/git"
	"fnb/store/publish"
	"fnb/store/records"
)

// A static server is one of files, as they are now, with ETags.
type static struct {
	*httptest.Server
	mu      sync.Mutex
	dir     string
	answers []int // its status codes
	instead http.HandlerFunc
}

func serveFiles(t *testing.T, dir string) *static {
	t.Helper()
	s := &static{dir: dir}
	s.Server = httptest.NewServer(s)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func (s *static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	instead := s.instead
	s.mu.Unlock()
	if instead != nil {
		instead(w, r)
		return
	}
	data, err := os.ReadFile(filepath.Join(s.dir, filepath.FromSlash(r.URL.Path)))
	code := http.StatusOK
	etag := `"` + records.Sum(data) + `"`
	switch {
	case err != nil:
		code = http.StatusNotFound
	case r.Header.Get("If-None-Match") == etag:
		code = http.StatusNotModified
	}
	s.mu.Lock()
	s.answers = append(s.answers, code)
	s.mu.Unlock()
	w.Header().Set("ETag", etag)
	w.WriteHeader(code)
	if code == http.StatusOK {
		_, _ = w.Write(data) // the client checks what it gets
	}
}

// answer makes the server answer all with h; nil for its files.
func (s *static) answer(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instead = h
}

// said returns the status codes since the last time.
func (s *static) said() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.answers
	s.answers = nil
	return all
}

// indexOf generates the index of a store that has the files of an archive.
func indexOf(t *testing.T, files, out string) {
	t.Helper()
	g := gitServer(t, servers.GitOptions{})
	commit(t, g, "store", servers.Commit{Files: files})
	_, err := generateFrom(t, clone(t, g.RepoURL("store")), out)
	fixture.Must(t, err)
}

// mixedStore is a store with all that a store can have.
func mixedStore(t *testing.T, g *servers.Git) (files string, recs []rec) {
	t.Helper()
	recs = published(t, g, "1.0.0", "1.1.0", "1.2.0")
	recs[1].more = `, "later": {"b": "<&>", "a": 2}`
	recs[2].yank = "too loud"
	return storeTree(recs...) +
		"-- templates/acme/echo/package.json --\n{\"v\": 1, \"description\": \"says it again\", \"tags\": [\"parrot\"]}\n" +
		"-- templates/acme-x/echo/v/1.0.0.json --\n{\"v\": 9}\n" +
		functionRecord("acme/shorten", "1.9.0", "linux/amd64,linux/arm64", `, "title": "Shorten", "readme": "# <b>&"`) +
		functionRecord("acme/shorten", "1.10.0", "linux/amd64", "") +
		"-- functions/acme/shorten/package.json --\n{\"v\": 1, \"deprecated\": {\"reason\": \"use scissors\", \"replacement\": \"acme/cut\"}, \"later\": 1}\n" +
		functionRecord("a-b/cut", "0.1.0", "linux/arm64", "") +
		"-- functions/a-b/cut/v/0.1.0.yank.json --\n{\"v\": 7}\n", recs
}

// indexFolder is where the cache has what it knows of a store.
func indexFolder(s *store.Finder, url string) string {
	return filepath.Join(s.Opts().CacheDir, "stores", fmt.Sprintf("%x", sha256.Sum256([]byte(url))))
}

// cached are the files of what the cache has of the store at an address.
func cached(t *testing.T, s *store.Finder, url string) map[string]string {
	t.Helper()
	x, ok := s.Cache().OpenIndex(url)
	if !ok {
		t.Fatalf("the cache has nothing of %s", url)
	}
	files := map[string]string{}
	for _, name := range []string{"versions.ndjson", "templates.3.tsv", "functions.3.tsv"} {
		data, err := os.ReadFile(filepath.Join(indexFolder(s, url), x.State.Dir, name))
		fixture.Must(t, err)
		files[name] = string(data)
	}
	return files
}

// An index is the store that it was generated from, wherever it is.
func TestIndexIsAStore(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	files, recs := mixedStore(t, g)
	commit(t, g, "store", servers.Commit{Files: files})
	fromGit := publisher(t, g.RepoURL("store"))
	want := cached(t, fromGit, g.RepoURL("store"))
	out := filepath.Join(t.TempDir(), "index")
	made, err := generateFrom(t, clone(t, g.RepoURL("store")), out)
	fixture.Must(t, err)
	if made.Packages != 3 || made.Versions != 6 {
		t.Errorf("%+v", made)
	}
	server := serveFiles(t, filepath.Dir(out))
	mine := versionless(t, g, "one", "x")
	for _, url := range []string{server.URL + "/index/", server.URL + "/index", server.URL + "/index///", out} {
		s := withStores(t, store.Options{})
		c, notes, err := s.AddStore(t.Context(), "main", url, nil)
		fixture.Must(t, err)
		if kept := map[bool]string{true: out + "/", false: server.URL + "/index/"}[url == out]; c.URL != kept || !cmp.Equal(c.Namespaces, []string{"a-b", "acme"}) {
			t.Errorf("%s: %+v", url, c)
		}
		// The file that only a later fnb reads is not in it, the yank that is no good is.
		if len(notes) != 0 {
			t.Errorf("%s: notes %q", url, notes)
		}
		if diff := cmp.Diff(want, cached(t, s, c.URL)); diff != "" {
			t.Errorf("%s: %s", url, diff)
		}
		_, pin, _, err := s.Resolve(t.Context(), "acme/echo", store.Scope{Root: t.TempDir()})
		if err != nil || pin.Version != "1.1.0" || pin.Checksum != recs[1].sum || pin.Store != "main" {
			t.Errorf("%s: %+v %v", url, pin, err)
		}
		f, notes, err := s.Function(t.Context(), "acme/shorten", store.Scope{})
		if err != nil || f.Record.Version != "1.10.0" || len(notes) != 1 || !strings.Contains(notes[0], "use scissors") {
			t.Errorf("%s: %+v %q %v", url, f, notes, err)
		}
		_, err = publish.Template(t.Context(), s, publish.Publication{Dir: mine, Store: "main", Name: "acme/x", Version: "1.0.0"})
		if err == nil || !strings.Contains(err.Error(), "cannot be published to") {
			t.Errorf("%s: publishing: %v", url, err)
		}
		s.Opts().Offline = true
		if found, _, err := s.Search(t.Context(), []string{"parrot"}, store.Scope{Root: t.TempDir()}); err != nil || len(found) != 1 {
			t.Errorf("%s: %+v %v", url, found, err)
		}
	}
}

// One request says that nothing has changed; what has is there after another.
func TestIndexIsRefreshed(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	recs := published(t, g, "1.0.0", "1.1.0")
	dir := t.TempDir()
	indexOf(t, storeTree(recs[0]), filepath.Join(dir, "i"))
	server := serveFiles(t, dir)
	s := withStores(t, store.Options{TTL: time.Nanosecond})
	_, _, err := s.AddStore(t.Context(), "main", server.URL+"/i/", nil)
	fixture.Must(t, err)
	resolve := func(want string) []string {
		t.Helper()
		_, pin, notes, err := s.Resolve(t.Context(), "acme/echo", store.Scope{Root: t.TempDir()})
		if err != nil || pin.Version != want {
			t.Errorf("%+v %v, want %s", pin, err, want)
		}
		return notes
	}
	resolve("1.0.0")
	if said := server.said(); !cmp.Equal(said, []int{200, 304}) {
		t.Errorf("the server said %v", said)
	}
	indexOf(t, storeTree(recs...), filepath.Join(dir, "i"))
	resolve("1.1.0")
	if said := server.said(); !cmp.Equal(said, []int{200}) {
		t.Errorf("the server said %v", said)
	}
	// Without an ETag the whole file comes, and is known by its content.
	x, _ := s.Cache().OpenIndex(server.URL + "/i/")
	server.answer(func(w http.ResponseWriter, r *http.Request) {
		data, _ := os.ReadFile(filepath.Join(dir, "i", records.SnapshotFile))
		_, _ = w.Write(data) // the client checks what it gets
	})
	for range 2 {
		_, err = s.UpdateStores(t.Context())
		fixture.Must(t, err)
	}
	if again, _ := s.Cache().OpenIndex(server.URL + "/i/"); again.State.Dir != x.State.Dir || again.State.ETag != "" {
		t.Errorf("%+v", again.State)
	}
	// One that a server has unpacked is taken as well.
	server.answer(func(w http.ResponseWriter, r *http.Request) {
		f, err := os.Open(filepath.Join(dir, "i", records.SnapshotFile))
		fixture.Must(t, err)
		defer func() { _ = f.Close() }() // it was only read from
		z, err := gzip.NewReader(f)
		fixture.Must(t, err)
		_, _ = io.Copy(w, z) // the client checks what it gets
	})
	_, err = s.UpdateStores(t.Context())
	fixture.Must(t, err)
	// A server that is gone leaves what the cache has.
	server.Close()
	if notes := resolve("1.1.0"); len(notes) != 1 || !strings.Contains(notes[0], "used as it was") {
		t.Errorf("notes %q", notes)
	}
	if _, err := s.UpdateStores(t.Context()); err == nil {
		t.Error("a server that is gone is no error")
	}
	fixture.Must(t, s.RemoveStore(t.Context(), "main"))
}

// packed is a snapshot with some lines.
func packed(t *testing.T, lines ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.WriteString(z, strings.Join(lines, "\n")+"\n")
	fixture.Must(t, err)
	fixture.Must(t, z.Close())
	return b.Bytes()
}

// Whatever is wrong with an index is an error that says so, and the cache goes on.
func TestBadIndexes(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	recs := published(t, g, "1.0.0", "1.1.0")
	dir := t.TempDir()
	indexOf(t, storeTree(recs...), filepath.Join(dir, "i"))
	good, err := os.ReadFile(filepath.Join(dir, "i", records.SnapshotFile))
	fixture.Must(t, err)
	z, err := gzip.NewReader(bytes.NewReader(good))
	fixture.Must(t, err)
	text, err := io.ReadAll(z)
	fixture.Must(t, err)
	// The head, the package, two versions, the end.
	line := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(line) != 5 {
		t.Fatalf("%d lines:\n%s", len(line), text)
	}
	end := func(packages, versions int) string {
		return fmt.Sprintf(`{"end":{"packages":%d,"versions":%d}}`, packages, versions)
	}
	send := func(data []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) }
	}
	lines := func(all ...string) http.HandlerFunc { return send(packed(t, all...)) }
	leads := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
	}
	code := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
		limits git.Limits
	}{
		"back in time":       {answer: lines(line[0], line[1], line[2], end(1, 1)), want: "version 1.1.0 of acme/echo is gone or different"},
		"another content":    {answer: lines(line[0], line[1], strings.Replace(line[2], recs[0].sum, recs[1].sum, 1), line[3], line[4]), want: "version 1.0.0 of acme/echo is gone or different"},
		"all is gone":        {answer: lines(line[0], end(0, 0)), want: "is gone or different"},
		"cut off":            {answer: send(good[:len(good)/2]), want: "the index is damaged: unexpected EOF"},
		"cut off and packed": {answer: lines(line[:4]...), want: "its end is missing"},
		"cut off on the way": {answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "99999")
			_, _ = w.Write(good)
		}, want: "ended the connection"},
		"less than it says":  {answer: lines(line[0], line[1], line[2], line[4]), want: "it has 1 packages with 1 versions, but must have 1 with 2"},
		"more than it says":  {answer: lines(append(line, line[1])...), want: "line 6: it is after the end"},
		"changed on the way": {answer: send(append(append(bytes.Clone(good[:len(good)-8]), 0), good[len(good)-7:]...)), want: "invalid checksum"},
		"a version twice":    {answer: lines(line[0], line[1], line[2], line[2], line[3], end(1, 3)), want: "version 1.0.0 of acme/echo is there twice, or not in order"},
		"a package twice":    {answer: lines(line[0], line[1], line[2], line[1], line[3], end(2, 2)), want: "acme/echo is there twice, or not in order"},
		"no package":         {answer: lines(line[0], line[2], end(0, 1)), want: "before any package"},
		"no name":            {answer: lines(line[0], strings.Replace(line[1], "acme/echo", "../echo", 1), line[2], end(1, 1)), want: "line 2: "},
		"no JSON":            {answer: lines(line[0], line[1], line[2][:40]), want: "line 3: "},
		"of a later fnb":     {answer: lines(`{"index":{"v":2}}`, line[4]), want: "its format is 2"},
		"a web page":         {answer: send([]byte("<!DOCTYPE html>\n<p>\x1b[2Jwelcome")), want: "it is not the index of a store"},
		"nothing":            {answer: send(nil), want: "it is not the index of a store"},
		"too large":          {answer: send(good), want: "the index has more bytes than the limit of 100", limits: git.Limits{Download: 100}},
		"too large unpacked": {answer: lines(append([]string{line[0], `{"news":1}`}, line[1:]...)...), want: "the index unpacked has more bytes than the limit of 500", limits: git.Limits{Unpacked: 500}},
		"a bomb":             {answer: lines(line[0], strings.Repeat(" ", 8<<20)), want: "line 2 of the index has more bytes than the limit of"},
		"a large package":    {answer: lines(append([]string{line[0], line[1]}, many(300, `{"record":"`+strings.Repeat("x", 400<<10)+`"}`)...)...), want: "the records of acme/echo have more bytes than the limit of"},
		"keeps silent":       {answer: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, want: "the server has said nothing for"},
		"stalls": {answer: func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(good[:50])
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, want: "the server has said nothing for"},
		"leads to a file":     {answer: leads("file:///etc/passwd"), want: "it redirects to file://"},
		"leads out of TLS":    {answer: leads("http://localhost/" + records.SnapshotFile), want: "it redirects to http://localhost"},
		"leads in circles":    {answer: leads("/i/" + records.SnapshotFile), want: "more than five times"},
		"is gone":             {answer: code(404), want: "the server has no such file"},
		"fails":               {answer: code(500), want: "the server answered 500"},
		"wants credentials":   {answer: code(401), want: "wants credentials"},
		"cuts the connection": {answer: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, want: "ended the connection"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := send(good)
			var mu sync.Mutex
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				now := answer
				mu.Unlock()
				now(w, r)
			}))
			t.Cleanup(func() {
				server.CloseClientConnections()
				server.Close()
			})
			roots := x509.NewCertPool()
			roots.AddCert(server.Certificate())
			s := withStores(t, store.Options{RootCAs: roots, Getenv: func(string) string { return "" }})
			_, _, err := s.AddStore(t.Context(), "main", server.URL+"/i/", nil)
			fixture.Must(t, err)
			mu.Lock()
			answer = c.answer
			mu.Unlock()
			was := cached(t, s, server.URL+"/i/")
			opts := *s.Opts()
			if opts.Limits = c.limits; strings.Contains(c.want, "said nothing") {
				opts.Timeout = 500 * time.Millisecond
			}
			limited := newStore(t, opts)
			_, err = limited.UpdateStores(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Errorf("%v, want %q in it", err, c.want)
			}
			if diff := cmp.Diff(was, cached(t, s, server.URL+"/i/")); diff != "" {
				t.Error(diff)
			}
			s.Opts().Offline = true
			if v, err := s.Versions(t.Context(), "acme/echo"); err != nil || len(v) != 2 {
				t.Errorf("%+v %v", v, err)
			}
			left, err := os.ReadDir(filepath.Join(s.Opts().CacheDir, "unfinished"))
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
}

// many is a text many times.
func many(n int, text string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = text
	}
	return all
}

// What only one record has wrong does not keep the others from being used.
func TestIndexPassesOver(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	recs := published(t, g, "1.0.0", "1.1.0")
	dir := t.TempDir()
	recs[1].sum = recs[0].sum // it is not what is in the repository
	indexOf(t, storeTree(recs...), filepath.Join(dir, "i"))
	f, err := os.Open(filepath.Join(dir, "i", records.SnapshotFile))
	fixture.Must(t, err)
	z, err := gzip.NewReader(f)
	fixture.Must(t, err)
	text, err := io.ReadAll(z)
	fixture.Must(t, err)
	fixture.Must(t, f.Close())
	line := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	data := packed(t, line[0], `{"package":{"kind":"recipe","name":"a/b"}}`, line[2], line[1], line[2], line[3],
		strings.ReplaceAll(line[3], `"1.1.0"`, `"one"`), strings.ReplaceAll(line[3], "acme/echo", "other/echo"),
		strings.ReplaceAll(line[3], "file:", "x:"), `{"news":1}`, `{"package":{"kind":"template","name":"acme/none","about":{"v":9}}}`,
		`{"end":{"packages":3,"versions":6}}`)
	server := serveFiles(t, dir)
	server.answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) })
	s := withStores(t, store.Options{})
	_, notes, err := s.AddStore(t.Context(), "main", server.URL+"/i/", nil)
	if err == nil || !strings.Contains(err.Error(), "1.1.0 of acme/echo is there twice") {
		t.Fatal(notes, err)
	}
	data = packed(t, line[0], `{"package":{"kind":"recipe","name":"a/b"}}`, line[2], line[1], line[2], line[3],
		strings.ReplaceAll(line[3], `"1.1.0"`, `"one"`), strings.ReplaceAll(line[3], "acme/echo", "other/echo"),
		`{"news":1}`, `{"package":{"kind":"template","name":"acme/none","about":{"v":9}}}`,
		`{"end":{"packages":3,"versions":5}}`)
	c, notes, err := s.AddStore(t.Context(), "main", server.URL+"/i/", nil)
	fixture.Must(t, err)
	if !cmp.Equal(c.Namespaces, []string{"acme"}) || len(notes) != 1 || !strings.Contains(notes[0], "4 files were skipped, the first because of this: line 2 of the index") {
		t.Errorf("%v %q", c.Namespaces, notes)
	}
	if _, _, _, err := s.Resolve(t.Context(), "acme/echo@1.1.0", store.Scope{Root: t.TempDir()}); !fixture.Is[*store.MismatchError](err) {
		t.Errorf("files that are not those of the record: %v", err)
	}
	if _, pin, _, err := s.Resolve(t.Context(), "acme/echo@1.0.0", store.Scope{Root: t.TempDir()}); err != nil || pin.Checksum != recs[0].sum {
		t.Errorf("%+v %v", pin, err)
	}
}

// A server of files may ask for credentials, which are never sent to another.
func TestPrivateIndex(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	dir := t.TempDir()
	indexOf(t, storeTree(published(t, g, "1.0.0")...), filepath.Join(dir, "i"))
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); ok {
			t.Error("the credentials went to another server")
		}
		http.ServeFile(w, r, filepath.Join(dir, "i", records.SnapshotFile))
	}))
	t.Cleanup(elsewhere.Close)
	server := serveFiles(t, dir)
	server.answer(func(w http.ResponseWriter, r *http.Request) {
		switch user, password, _ := r.BasicAuth(); {
		case user != "git" || password != "s3cret":
			w.WriteHeader(http.StatusUnauthorized)
		case strings.HasPrefix(r.URL.Path, "/away/"):
			http.Redirect(w, r, strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1)+"/"+records.SnapshotFile, http.StatusFound)
		default:
			http.ServeFile(w, r, filepath.Join(dir, filepath.FromSlash(r.URL.Path)))
		}
	})
	for token, works := range map[string]bool{"": false, "wr0ng": false, "s3cret": true} {
		s := withStores(t, store.Options{Getenv: func(name string) string {
			if strings.HasPrefix(name, "FNB_GIT_TOKEN_") {
				return token
			}
			return ""
		}})
		for i, path := range []string{"/i/", "/away/"} {
			_, _, err := s.AddStore(t.Context(), fmt.Sprintf("s%d", i), server.URL+path, nil)
			if works != (err == nil) || !works && (!fixture.Is[*git.AuthError](err) || strings.Contains(err.Error(), "wr0ng")) {
				t.Errorf("%s with %q: %v", path, token, err)
			}
		}
	}
}
