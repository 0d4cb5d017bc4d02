package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"fnb/schema"
)

// A heard is what a callback was told.
type heard struct {
	header http.Header
	body   string
}

// listener is where callbacks go; answers says what it answers, one after the other.
func listener(t *testing.T, answers ...int) (url string, told chan heard) {
	t.Helper()
	told = make(chan heard, 100)
	var mu sync.Mutex
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		if len(answers) > 0 {
			w.WriteHeader(answers[0])
			answers = answers[1:]
		}
		mu.Unlock()
		told <- heard{r.Header, r.Method + " " + r.RequestURI + " " + string(body)}
	}))
	t.Cleanup(s.Close)
	return s.URL, told
}

// statuses is a function that answers with each status once, and then with 200 and its body.
func statuses(codes ...int) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("X-Own", "1")
		w.Header().Set("Retry-After", "0")
		if len(codes) > 0 {
			w.WriteHeader(codes[0])
			codes = codes[1:]
		}
		_, _ = w.Write([]byte(r.Method + " " + r.RequestURI + " " + r.Header.Get("X-Call-Id") + " " + string(body)))
	}
}

func TestAsync(t *testing.T) {
	t.Parallel()
	url, told := listener(t, 503)
	r := newRig(t, map[string]http.HandlerFunc{"hello": statuses(500, 429)}, nil)
	res, body := r.do("POST", "/async-function/hello.openfaas-fn/a/b?c=d", "hi", "X-Callback-Url: "+url+"/done?x=1", "X-Call-Id: mine")
	if res.StatusCode != 202 || body != "" || res.Header.Get("X-Call-Id") != "mine" || res.Header.Get("X-Start-Time") == "" {
		t.Fatalf("%s %q %v", res.Status, body, res.Header)
	}
	<-told // was answered with 503, so it comes again
	got := <-told
	h := got.header
	if got.body != "POST /done?x=1 POST /a/b?c=d mine hi" || h.Get("X-Call-Id") != "mine" || h.Get("X-Function-Name") != "hello" || h.Get("X-Function-Status") != "200" || h.Get("X-Duration-Seconds") == "" || h.Get("X-Own") != "1" || h.Get("X-Start-Time") == "" {
		t.Errorf("%+v", got)
	}
	if res, _ := r.do("POST", "/async-function/hello", ""); len(res.Header.Get("X-Call-Id")) != 36 {
		t.Errorf("without a call id: %v", res.Header)
	}
	r.Close()
	if files, _ := filepath.Glob(r.folder + "/.fnb/*/*"); len(files) > 1 { // the lock; the last call may have been kept
		for _, f := range files {
			if strings.Contains(f, callsFolder) && !strings.HasSuffix(f, lockFile) {
				t.Errorf("it has left %s", f)
			}
		}
	}
}

// wantLetter waits for the one dead letter of a rig.
func (r *rig) wantLetter(why string) Call {
	r.t.Helper()
	c := <-r.kept
	all, err := r.letters.List("")
	if err != nil || len(all) != 1 || all[0].ID != c.ID || !strings.Contains(all[0].Why, why) {
		r.t.Fatalf("%v: %+v, want %q", err, all, why)
	}
	return all[0]
}

func TestDeadLetter(t *testing.T) {
	t.Parallel()
	url, told := listener(t)
	r := newRig(t, map[string]http.HandlerFunc{"hello": statuses(500, 500, 502, 500)}, nil)
	r.do("POST", "/async-function/hello/x?y", "the body", "X-Callback-Url: "+url, "Authorization: Bearer s3cret")
	c := r.wantLetter("it answered 502 Bad Gateway")
	if got := <-told; got.header.Get("X-Function-Status") != "502" {
		t.Errorf("the callback of the last try: %+v", got)
	}
	if c.Tries != 3 || c.Function != "hello" || c.Path != "/x?y" || c.Size != 8 || c.Method != "POST" || c.Header.Get("Authorization") != "Bearer s3cret" {
		t.Errorf("%+v", c)
	}
	for path, mode := range map[string]os.FileMode{lettersFolder: 0o700, lettersFolder + "/" + c.ID: 0o600} {
		if info, err := os.Stat(filepath.Join(r.folder, path)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
	raw, err := os.ReadFile(filepath.Join(r.folder, lettersFolder, c.ID))
	if err != nil || !strings.HasSuffix(string(raw), "\nthe body") {
		t.Errorf("%v: %s", err, raw)
	}
	if raw, _ := os.ReadFile(filepath.Join(r.folder, ".fnb", ".gitignore")); string(raw) != "*\n" {
		t.Errorf(".gitignore: %q", raw)
	}

	// It fails once more, and then arrives.
	if status, err := r.Resend(t.Context(), c.ID); status != 500 || err == nil || err.Error() != "it answered 500 Internal Server Error" {
		t.Errorf("sent again: %d %v", status, err)
	}
	if all, _ := r.letters.List("hello"); len(all) != 1 || all[0].Tries != 4 {
		t.Errorf("%+v", all)
	}
	<-told
	if status, err := r.Resend(t.Context(), c.ID); status != 200 || err != nil {
		t.Errorf("sent again: %d %v", status, err)
	}
	if got := <-told; !strings.HasSuffix(got.body, " the body") || got.header.Get("X-Call-Id") != c.CallID {
		t.Errorf("%+v", got)
	}
	if _, err := r.Resend(t.Context(), c.ID); !errors.As(err, new(*UnknownLetterError)) {
		t.Errorf("sent a third time: %v", err)
	}
	for _, id := range []string{"", "..", "../../x", c.ID + "/../x"} {
		if _, err := r.Resend(t.Context(), id); !errors.As(err, new(*UnknownLetterError)) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// An answer that is no error is not asked for again; a callback that fails makes a dead letter.
func TestCallbackFails(t *testing.T) {
	t.Parallel()
	url, told := listener(t, 404)
	r := newRig(t, map[string]http.HandlerFunc{"hello": statuses(404)}, nil)
	r.do("POST", "/async-function/hello", "hi", "X-Callback-Url: "+strings.Replace(url, "//", "//me:s3cret@", 1))
	c := r.wantLetter("it answered 404 Not Found")
	if got := <-told; got.header.Get("X-Function-Status") != "404" || !strings.HasPrefix(got.header.Get("Authorization"), "Basic ") {
		t.Errorf("%+v", got)
	}
	if c.Tries != 1 || strings.Contains(c.Why, "s3cret") || !strings.Contains(c.Why, "its callback http://me:xxxxx@") {
		t.Errorf("%+v", c)
	}
}

// An answer of 500 and more is no success, also where trying again would not help.
func TestAnswerOfNoUse(t *testing.T) {
	t.Parallel()
	url, told := listener(t, 501)
	r := newRig(t, map[string]http.HandlerFunc{"hello": statuses(501, 501)}, nil)
	r.do("POST", "/async-function/hello", "hi")
	c := r.wantLetter("it answered 501 Not Implemented")
	if c.Tries != 1 {
		t.Errorf("%+v", c)
	}
	if status, err := r.Resend(t.Context(), c.ID); status != 501 || err == nil {
		t.Errorf("sent again: %d %v", status, err)
	}
	if status, err := r.Resend(t.Context(), c.ID); status != 200 || err != nil {
		t.Errorf("sent again: %d %v", status, err)
	}
	r.do("POST", "/async-function/hello", "hi", "X-Callback-Url: "+url)
	r.wantLetter("its callback " + url + ": it answered 501 Not Implemented")
	<-told
}

// A letter that this user's fnb has not kept leads where its function may go, whatever it says.
func TestUnsealedLetters(t *testing.T) {
	t.Parallel()
	url, told := listener(t)
	r := newRig(t, map[string]http.HandlerFunc{"hello": statuses(500, 500, 500), "other": statuses()}, func(o *Options) { o.Key = []byte("of the user") })
	r.do("POST", "/async-function/hello", "hi", "X-Callback-Url: "+url)
	c := r.wantLetter("500")
	<-told
	file := filepath.Join(r.folder, lettersFolder, c.ID)
	line, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, edit := range [][2]string{
		{`"seal":"` + c.Seal + `",`, ""},
		{`"seal":"`, `"from":"other","seal":"`},
		{`"callback":"`, `"callback":"http://127.0.0.1:1/","was":"`},
		{`"function":"hello"`, `"function":"other"`},
	} {
		edited := strings.Replace(string(line), edit[0], edit[1], 1)
		if edited == string(line) {
			t.Fatalf("%s has no %s", line, edit[0])
		}
		if err := os.WriteFile(file, []byte(edited), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Resend(t.Context(), c.ID); err == nil || !strings.Contains(err.Error(), "does not reach 127.0.0.1:") || !strings.Contains(err.Error(), "not one that this user's fnb has kept") {
			t.Errorf("%s: %v", edit[1], err)
		}
	}
	if len(told) > 0 {
		t.Errorf("a callback was told: %+v", <-told)
	}
	if err := os.WriteFile(file, line, 0o600); err != nil {
		t.Fatal(err)
	}
	r.Close()
	again := &rig{t: t, folder: r.folder}
	f := r.o.Functions
	again.start(Options{Folder: r.folder, Functions: f, Key: []byte("of the user")})
	if _, err := again.Resend(t.Context(), c.ID); err != nil {
		t.Errorf("the user's own, in another run: %v", err)
	}
	<-told
}

// A function's answer does not say where the answer of another call goes.
func TestAnswerNamesCallback(t *testing.T) {
	t.Parallel()
	url, told := listener(t)
	asked := make(chan http.Header, 1)
	r := newRig(t, map[string]http.HandlerFunc{
		"hello": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Callback-Url", url) },
		"other": func(_ http.ResponseWriter, r *http.Request) { asked <- r.Header },
	}, nil)
	r.do("POST", "/async-function/hello", "hi", "X-Callback-Url: http://gateway:8080/async-function/other")
	if h := <-asked; h.Get("X-Callback-Url") != "" {
		t.Errorf("%v", h)
	}
	r.Close() // all calls are done
	if len(told) > 0 {
		t.Errorf("%+v", <-told)
	}
}

func TestDamagedLetters(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]http.HandlerFunc{"hello": statuses(500, 500, 500)}, nil)
	r.do("POST", "/async-function/hello", "hi")
	c := r.wantLetter("500")
	file := filepath.Join(r.folder, lettersFolder, c.ID)
	for text, why := range map[string]string{
		"": "it is empty", `{"v":1`: "its first line has no end", "{\n": "its first line: unexpected end of JSON input", `{"v":2}` + "\n": "v 2, and this fnb reads 1",
		`{"v":1,"id":"x"}` + "\n": "has the id x", "null\n": "v 0",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{second(r.Resend(t.Context(), c.ID)), second(r.letters.List(""))} {
			var damaged *DamagedLetterError
			if !errors.As(err, &damaged) || damaged.File != file || !strings.Contains(err.Error(), why) {
				t.Errorf("%q: %v", text, err)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestOpenKey(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "fnb", "calls.key")
	key, err := OpenKey(t.Context(), file)
	if err != nil || len(key) != keySize {
		t.Fatal(key, err)
	}
	if again, err := OpenKey(t.Context(), file); string(again) != string(key) || err != nil {
		t.Errorf("%x is now %x, %v", key, again, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if err := os.WriteFile(file, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKey(t.Context(), file); err == nil || !strings.Contains(err.Error(), file) {
		t.Error(err)
	}
}

func TestAnswerTooLarge(t *testing.T) {
	t.Parallel()
	url, _ := listener(t)
	r := newRig(t, map[string]http.HandlerFunc{"hello": func(w http.ResponseWriter, _ *http.Request) {
		for range 100 {
			if _, err := w.Write(make([]byte, 1000)); err != nil {
				return
			}
		}
	}}, func(o *Options) { o.Limits.Body = 1000 })
	r.do("POST", "/async-function/hello", "hi", "X-Callback-Url: "+url)
	r.wantLetter("reading its answer: http: request body too large")
}

// Of calls that were under way nothing is lost when the gateway is closed.
func TestClose(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 10)
	r := newRig(t, map[string]http.HandlerFunc{"hello": func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body) // only then a client that leaves is noticed
		begun <- struct{}{}
		<-r.Context().Done()
	}}, nil)
	for i := range turns + 2 { // some wait for their turn
		r.do("POST", "/async-function/hello", strconv.Itoa(i))
	}
	for range turns {
		<-begun
	}
	if kept := r.Close(); kept != turns+2 {
		t.Errorf("%d were kept", kept)
	}
	l, err := OpenLetters(r.folder)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	all, err := l.List("")
	if err != nil || len(all) != turns+2 || !strings.Contains(all[0].Why, "fnb run ended before the call was done") {
		t.Errorf("%v %+v", err, all)
	}
	if kept := r.Close(); kept != 0 {
		t.Error("closed twice")
	}
}

// What a run that was killed leaves becomes dead letters; what one that goes on has does not.
func TestKilled(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	begun := make(chan struct{}, 1)
	r := newRig(t, map[string]http.HandlerFunc{"hello": func(_ http.ResponseWriter, _ *http.Request) {
		begun <- struct{}{}
		<-stop
	}}, nil)
	defer close(stop)
	chunked, _ := http.NewRequest("POST", r.url+"/async-function/hello", io.MultiReader(strings.NewReader("of no "), strings.NewReader("known length")))
	r.send(http.DefaultClient, chunked)
	<-begun
	list := func() []Call {
		l, err := OpenLetters(r.folder)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		all, err := l.List("")
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if all := list(); len(all) != 0 {
		t.Errorf("of a run that goes on: %+v", all)
	}
	r.unlock() // as a kill does
	all := list()
	if len(all) != 1 || all[0].Why != "fnb run was killed before the call was done" || all[0].Size != int64(len("of no known length")) {
		t.Errorf("%+v", all)
	}
	if runs, _ := filepath.Glob(filepath.Join(r.folder, callsFolder, "*", "*")); len(runs) != 0 {
		t.Errorf("%v", runs)
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	r := newRig(t, map[string]http.HandlerFunc{"hello": func(http.ResponseWriter, *http.Request) { <-stop }}, func(o *Options) {
		o.Limits = Limits{Body: 10, Calls: 3, Bytes: 20, Letters: 1000}
	})
	defer close(stop)
	for _, c := range []struct {
		body   string
		status int
		says   string
	}{
		{"more than ten", 413, "at most 10 B"},
		{"123456789", 202, ""},
		{"1234567890", 202, ""},
		{"123456", 429, "have 19 B already"},
		{"1", 202, ""},
		{"", 429, "3 calls wait already"},
	} {
		res, body := r.do("POST", "/async-function/hello", c.body)
		if res.StatusCode != c.status || !strings.Contains(body, c.says) || c.status == 429 && res.Header.Get("Retry-After") == "" {
			t.Errorf("%q: %s %s", c.body, res.Status, body)
		}
	}
	r.mu.Lock()
	bytes := r.bytes
	r.o.Limits.Calls, r.o.Limits.Letters = 100, 3
	r.mu.Unlock()
	if bytes != 20 {
		t.Errorf("%d bytes wait", bytes)
	}
	if res, body := r.do("POST", "/async-function/hello", ""); res.StatusCode != 429 || !strings.Contains(body, "dead letters") {
		t.Errorf("with too many dead letters: %s %s", res.Status, body)
	}
}

// Bodies of no known length are bounded too, and one that breaks off is no call.
func TestBodies(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]http.HandlerFunc{"hello": echo}, func(o *Options) { o.Limits.Body = 10 })
	req, _ := http.NewRequest("POST", r.url+"/async-function/hello", io.MultiReader(strings.NewReader("more than"), strings.NewReader(" ten")))
	if res, body := r.send(http.DefaultClient, req); res.StatusCode != 413 {
		t.Errorf("%s %s", res.Status, body)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = conn.Write([]byte("POST /async-function/hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc"))
	_ = conn.(*net.TCPConn).CloseWrite() // the answer says what came of it
	answer, _ := io.ReadAll(conn)
	_ = conn.Close() // it was read
	if len(answer) > 0 && !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
		t.Errorf("%s", answer)
	}
	r.Close()
	if r.calls != 0 || r.bytes != 0 {
		t.Errorf("%d calls, %d bytes", r.calls, r.bytes)
	}
}

// What a function gives as a callback leads to the gateway, or where that function may go.
func TestCallbackOfFunction(t *testing.T) {
	t.Parallel()
	url, told := listener(t)
	got := make(chan string, 10)
	r := newRig(t, map[string]http.HandlerFunc{"hello": echo, "other": func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.Header.Get("X-Function-Name") + " " + string(body)
	}}, func(o *Options) {
		o.Reach = func(function, host string, port int) func(context.Context) (net.Conn, error) {
			if function != "hello" || host != "mail" || port != 25 {
				return nil
			}
			return func(ctx context.Context) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimPrefix(url, "http://"))
			}
		}
	})
	call := func(from, callback string) (*http.Response, string) {
		req, _ := http.NewRequest("POST", "http://gateway.openfaas:8080/async-function/hello", strings.NewReader("hi"))
		req.Header.Set("X-Callback-Url", callback)
		return r.send(r.as(from), req)
	}
	for _, bad := range []string{url, "http://127.0.0.1:1/", "http://gateway:8081/", "http://169.254.169.254/", "https://mail/", "http://MAIL.:26/"} {
		if res, body := call("hello", bad); res.StatusCode != 403 || !strings.Contains(body, "the function hello does not reach") {
			t.Errorf("%s: %s %s", bad, res.Status, body)
		}
	}
	if res, body := call("other", "http://mail:25/"); res.StatusCode != 403 {
		t.Errorf("another's: %s %s", res.Status, body)
	}
	if res, body := call("hello", "http://Mail.:25/x"); res.StatusCode != 202 {
		t.Errorf("%s %s", res.Status, body)
	}
	if h := <-told; h.body != "POST /x hi" {
		t.Errorf("%+v", h)
	}
	if res, body := call("hello", "http://gateway.openfaas.svc.cluster.local:8080/function/other"); res.StatusCode != 202 {
		t.Errorf("%s %s", res.Status, body)
	}
	if s := <-got; s != "hello hi" {
		t.Error(s)
	}
	// The developer's leads anywhere, also by the gateway's names.
	r.do("POST", "/async-function/hello", "dev", "X-Callback-Url: http://gateway:8080/function/other")
	if s := <-got; s != "hello dev" {
		t.Error(s)
	}
}

// A function that is gone leaves its letter where it is.
func TestResendGone(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]http.HandlerFunc{"hello": statuses(500, 500, 500)}, nil)
	r.do("POST", "/async-function/hello", "hi")
	c := r.wantLetter("500")
	r.Close()
	again := &rig{t: t, folder: r.folder}
	again.start(Options{Folder: r.folder, Functions: []Function{{schema.Function{Name: "other"}, &real{}}}})
	control := httptest.NewServer(again.Control())
	defer control.Close()
	rt := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", control.Listener.Addr().String())
	}}
	defer rt.CloseIdleConnections()
	sent, err := Send(t.Context(), rt, c)
	if err != nil || sent.Error != "this fnb run has no such function" || sent.Function != "hello" {
		t.Errorf("%+v %v", sent, err)
	}
	if all, _ := again.letters.List("hello"); len(all) != 1 {
		t.Errorf("%+v", all)
	}
	if all, _ := again.letters.List("other"); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

// What somebody else may have put there is no dead letter.
func TestForeignLetters(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	for name, prepare := range map[string]func(folder string) error{
		"a link": func(folder string) error { return os.Symlink(outside, filepath.Join(folder, ".fnb")) },
		"open folder": func(folder string) error {
			dir := filepath.Join(folder, lettersFolder)
			return errors.Join(os.MkdirAll(dir, 0o700), os.Chmod(dir, 0o755)) //nolint:gosec // what is wrong with it
		},
		"a file": func(folder string) error {
			return errors.Join(os.Mkdir(filepath.Join(folder, ".fnb"), 0o700), os.WriteFile(filepath.Join(folder, lettersFolder), nil, 0o600))
		},
	} {
		folder := t.TempDir()
		if err := prepare(folder); err != nil {
			t.Fatal(err)
		}
		if g, err := New(Options{Folder: folder}); err == nil {
			g.Close()
			t.Errorf("%s: it is used", name)
		}
	}
	if files, _ := os.ReadDir(outside); len(files) > 0 {
		t.Errorf("%v", files)
	}
	r := newRig(t, map[string]http.HandlerFunc{"hello": statuses(500, 500, 500)}, nil)
	r.do("POST", "/async-function/hello", "hi")
	c := r.wantLetter("500")
	file := filepath.Join(r.folder, lettersFolder, c.ID)
	if err := os.Chmod(file, 0o644); err != nil { //nolint:gosec // as of git
		t.Fatal(err)
	}
	if all, err := r.letters.List(""); len(all) != 0 || err == nil || !strings.Contains(err.Error(), "is not a file of the user's alone") {
		t.Errorf("%+v %v", all, err)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for v, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "-1": 0, "99999999": time.Hour, "Fri, 02 Jan 2026 03:05:05 GMT": time.Minute, "Fri, 02 Jan 2025 03:05:05 GMT": 0, "soon": 0} {
		if got := retryAfter(http.Header{"Retry-After": {v}}, now); got != want {
			t.Errorf("%q: %s", v, got)
		}
	}
	p := policy{first: time.Second, longest: 10 * time.Second}
	if p.pause(1, 5*time.Second) != 5*time.Second || p.pause(1, time.Hour) != 10*time.Second {
		t.Error("Retry-After is not obeyed within bounds")
	}
}
