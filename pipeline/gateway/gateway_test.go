package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"fnb/schema"
)

// A real is a function behind a real server.
type real struct {
	server *httptest.Server
	wait   chan struct{} // Take waits for it, unless it is nil
	gone   error         // what Take returns
}

func (b *real) Take(ctx context.Context) (http.RoundTripper, func(), error) {
	if b.wait != nil {
		select {
		case <-b.wait:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	if b.gone != nil {
		return nil, nil, b.gone
	}
	return &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, b.server.Listener.Addr().String())
	}}, func() {}, nil
}

func (b *real) Runs() bool { return b.gone == nil }

// A rig is a gateway with functions behind it.
type rig struct {
	*Gateway
	t      *testing.T
	folder string
	url    string
	kept   chan Call
}

// quick are annotations with which nobody waits.
func quick(attempts string) map[string]string {
	return map[string]string{annotationAttempts: attempts, annotationFirst: "1ms", annotationLongest: "5ms"}
}

// newRig starts a gateway; edit may change what it is made of.
func newRig(t *testing.T, functions map[string]http.HandlerFunc, edit func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, folder: t.TempDir(), kept: make(chan Call, 100)}
	o := Options{Folder: r.folder, Version: "1", Kept: func(c Call) { r.kept <- c }}
	for name, h := range functions {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		o.Functions = append(o.Functions, Function{schema.Function{Name: name, Image: name + ":1", Annotations: quick("3")}, &real{server: s}})
	}
	if edit != nil {
		edit(&o)
	}
	r.start(o)
	return r
}

func (r *rig) start(o Options) {
	r.t.Helper()
	var err error
	if r.Gateway, err = New(o); err != nil {
		r.t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	go r.Serve(l)
	r.t.Cleanup(func() { r.Close() })
	r.url = "http://" + l.Addr().String()
}

// do sends a request whose headers are lines, and returns the answer with its body.
func (r *rig) do(method, path, body string, headers ...string) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if req.Header.Add(name, value); name == "Host" {
			req.Host = value
		}
	}
	return r.send(http.DefaultClient, req)
}

func (r *rig) send(c *http.Client, req *http.Request) (*http.Response, string) {
	r.t.Helper()
	res, err := c.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res, string(data)
}

// as is a client that is a function.
func (r *rig) as(function string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return r.Open(ctx, function)
	}}}
}

// echo answers with what it was asked.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Method", r.Method)
	w.Header().Set("X-Uri", r.RequestURI)
	w.Header().Set("X-Asked-By", r.Header.Get("X-Forwarded-For"))
	w.Header().Set("X-Asked-At", r.Header.Get("X-Forwarded-Host"))
	w.Header().Set("X-Had-Call-Id", r.Header.Get("X-Call-Id"))
	w.Header().Set("X-Had-Start", r.Header.Get("X-Start-Time"))
	w.Header().Set("X-Hop", r.Header.Get("X-Hop"))
	w.Header().Set("Content-Type", "text/x-echo")
	_, _ = w.Write(body)
}

func TestFunction(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]http.HandlerFunc{"hello": echo}, nil)
	for path, uri := range map[string]string{
		"/function/hello":                         "/",
		"/function/hello/":                        "/",
		"/function/hello?a=b&c=%2F":               "/?a=b&c=%2F",
		"/function/hello/a/b%2Fc//d?x":            "/a/b%2Fc//d?x",
		"/function/hello.openfaas-fn/orders":      "/orders",
		"/function/hello.staging//evil.example/x": "//evil.example/x",
		"/function/hello/../hello/%2e%2e/x":       "/../hello/%2e%2e/x",
	} {
		req, err := http.NewRequest(http.MethodPut, r.url, strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Opaque = "//" + req.URL.Host + strings.SplitN(path, "?", 2)[0]
		_, req.URL.RawQuery, _ = strings.Cut(path, "?")
		res, body := r.send(http.DefaultClient, req)
		if res.StatusCode != 200 || body != "body" || res.Header.Get("X-Uri") != uri || res.Header.Get("X-Method") != "PUT" {
			t.Errorf("%s: %s %q, %v", path, res.Status, body, res.Header)
		}
	}
	res, _ := r.do("GET", "/function/hello", "", "Connection: X-Hop", "X-Hop: 1")
	h := res.Header
	if h.Get("X-Asked-By") != "127.0.0.1" || h.Get("X-Asked-At") != strings.TrimPrefix(r.url, "http://") || h.Get("X-Hop") != "" {
		t.Errorf("what the function was told: %v", h)
	}
	if len(h["X-Call-Id"]) != 1 || len(h.Get("X-Call-Id")) != 36 || h.Get("X-Had-Call-Id") != h.Get("X-Call-Id") || h.Get("X-Start-Time") == "" || h.Get("X-Had-Start") != h.Get("X-Start-Time") || h.Get("X-Duration-Seconds") == "" {
		t.Errorf("OpenFaaS's headers: %v", h)
	}
	res, _ = r.do("GET", "/function/hello", "", "X-Call-Id: mine", "X-Start-Time: 7", "X-Forwarded-For: 10.1.2.3")
	if h := res.Header; h.Get("X-Call-Id") != "mine" || h.Get("X-Had-Call-Id") != "mine" || h.Get("X-Had-Start") == "7" || h.Get("X-Asked-By") != "10.1.2.3" {
		t.Errorf("with a call id: %v", h)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]http.HandlerFunc{"hello": echo, "other": echo}, func(o *Options) {
		for i, f := range o.Functions {
			if f.Name == "other" {
				o.Functions[i].Namespace = "dev"
				o.Functions[i].Backend = &real{gone: errors.New("it does not run")}
			}
		}
	})
	for _, c := range []struct {
		method, path string
		headers      []string
		status       int
		says         string
	}{
		{"POST", "/function/nope", nil, 404, "error finding function nope.openfaas-fn"},
		{"POST", "/function/", nil, 404, "error finding function"},
		{"POST", "/function/other.prod", nil, 404, "other.prod"},
		{"POST", "/function/other.dev", nil, 503, "function other: it does not run"},
		{"POST", "/async-function/nope", nil, 404, "error finding function nope.openfaas-fn"},
		{"GET", "/async-function/hello", nil, 405, "takes POST only"},
		{"POST", "/async-function/hello", []string{"X-Callback-Url: file:///etc/passwd"}, 400, "must begin with http:// or https://"},
		{"POST", "/async-function/hello", []string{"X-Callback-Url: http://"}, 400, "must begin with http:// or https://"},
		{"POST", "/async-function/hello", []string{"X-Callback-Url: http://a:99999/"}, 400, "99999 is not a port"},
		{"POST", "/async-function/hello", []string{"X-Callback-Url: http://a b/"}, 400, "no URL"},
		{"GET", "/", nil, 404, "/function/NAME"},
		{"POST", "/healthz", nil, 405, "GET"},
		{"DELETE", "/system/functions", nil, 405, "only shows functions"},
		{"POST", "/system/functions", nil, 405, "only shows functions"},
		{"GET", "/system/secrets", nil, 501, "this gateway has /system/functions"},
		{"GET", "/system/function/nope", nil, 404, "no function nope"},
		{"GET", "/function/hello", []string{"Host: evil.example:8080"}, 403, "a request for the host evil.example:8080 is refused"},
		{"GET", "/healthz", []string{"Host: gateway.evil.example"}, 403, "refused"},
		{"POST", "/function/hello", []string{"Origin: https://evil.example"}, 403, "a web page of https://evil.example"},
		{"POST", "/function/hello", []string{"Origin: null"}, 403, "a web page of null"},
		{"POST", "/function/hello", []string{"Origin: http://192.0.2.1:8080"}, 403, "a web page of http://192.0.2.1"},
		{"GET", "/function/hello", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}, 403, "another site"},
		{"POST", "/async-function/hello", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"}, 403, "another site"},
		{"POST", "/function/hello", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"}, 403, "another site"},
	} {
		res, body := r.do(c.method, c.path, "", c.headers...)
		if res.StatusCode != c.status || !strings.Contains(body, c.says) || strings.Count(body, "\n") != 1 {
			t.Errorf("%s %s %v: %s %q", c.method, c.path, c.headers, res.Status, body)
		}
	}
	for _, headers := range [][]string{
		{"Host: localhost:8080"},
		{"Host: shop.localhost"},
		{"Host: [::1]:8080"},
		{"Host: 10.0.0.7"},
		{"Host: GATEWAY.openfaas:8080"},
		{"Origin: http://localhost:3000", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"},
		{"Origin: http://127.0.0.1:3000"},
		{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"},
		{"Sec-Fetch-Site: none"},
	} {
		if res, body := r.do("GET", "/function/hello", "", headers...); res.StatusCode != 200 {
			t.Errorf("%v: %s %s", headers, res.Status, body)
		}
	}
	// A function may name the gateway as it likes: nobody's browser is there.
	req, _ := http.NewRequest("GET", "http://gw.example/function/hello", nil)
	if res, body := r.send(r.as("other"), req); res.StatusCode != 200 {
		t.Errorf("from a function: %s %s", res.Status, body)
	}
}

func TestSystem(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]http.HandlerFunc{"hello": echo}, func(o *Options) {
		o.Functions[0].Environment = map[string]string{"PASSWORD": "s3cret"}
		o.Functions = append(o.Functions, Function{schema.Function{Name: "down", Namespace: "dev"}, &real{gone: errors.New("no")}})
	})
	if res, body := r.do("GET", "/healthz", ""); res.StatusCode != 200 || body != "OK" {
		t.Errorf("healthz: %s %s", res.Status, body)
	}
	r.do("POST", "/function/hello", "")
	res, body := r.do("GET", "/system/functions", "")
	var all []struct {
		Name, Image, Namespace            string
		InvocationCount                   int
		Replicas, AvailableReplicas       int
		CreatedAt                         string
		Labels, Annotations, Environments map[string]string
	}
	if err := json.Unmarshal([]byte(body), &all); err != nil || res.Header.Get("Content-Type") != "application/json" || strings.Contains(body, "s3cret") {
		t.Fatalf("%v: %v %s", err, res.Header, body)
	}
	if len(all) != 2 || all[0].Name != "hello" || all[0].Image != "hello:1" || all[0].Namespace != "openfaas-fn" || all[0].InvocationCount != 1 || all[0].AvailableReplicas != 1 || all[1].AvailableReplicas != 0 || all[1].Replicas != 1 || all[1].Namespace != "dev" {
		t.Errorf("%+v", all)
	}
	if _, body := r.do("GET", "/system/functions?namespace=x", ""); strings.Contains(body, "down") || !strings.Contains(body, `"namespace":"x"`) {
		t.Errorf("of a namespace: %s", body)
	}
	if _, body := r.do("GET", "/system/function/hello?namespace=openfaas-fn", ""); !strings.HasPrefix(body, `{"name":"hello","image":"hello:1"`) {
		t.Errorf("of a function: %s", body)
	}
	if _, body := r.do("GET", "/system/info", ""); !strings.Contains(body, `"name":"fnb"`) {
		t.Errorf("info: %s", body)
	}
	if _, body := r.do("GET", "/system/namespaces", ""); body != "[\"openfaas-fn\"]\n" {
		t.Errorf("namespaces: %s", body)
	}
}

// A first event reaches the client before the function ends, and a client that leaves is
// no longer waited for.
func TestStream(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	r := newRig(t, map[string]http.HandlerFunc{"hello": func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(left)
	}}, nil)
	res, err := http.Get(r.url + "/function/hello")
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(res.Body).ReadString('\n')
	if err != nil || line != "first\n" {
		t.Fatal(line, err)
	}
	_ = res.Body.Close() // in the middle
	<-left
}

// A connection may become another protocol's.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]http.HandlerFunc{"hello": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Upgrade", r.Header.Get("Upgrade"))
		w.Header().Set("Connection", "Upgrade")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		line, _ := rw.ReadString('\n')
		_, _ = conn.Write([]byte("heard " + line))
	}}, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /function/hello HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	r2 := bufio.NewReader(conn)
	res, err := http.ReadResponse(r2, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("X-Call-Id") == "" {
		t.Fatal(err, res)
	}
	_ = res.Body.Close() // there is none
	fmt.Fprint(conn, "hi\n")
	if all, err := io.ReadAll(r2); err != nil || string(all) != "heard hi\n" {
		t.Errorf("%v: %q", err, all)
	}
}

// A request waits for a function that is being started, for as long as its client does.
func TestWaits(t *testing.T) {
	t.Parallel()
	b := &real{wait: make(chan struct{})}
	r := newRig(t, map[string]http.HandlerFunc{"hello": echo}, func(o *Options) {
		b.server = o.Functions[0].Backend.(*real).server
		o.Functions[0].Backend = b
	})
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, "GET", r.url+"/function/hello", nil)
	gaveUp := make(chan error, 1)
	go func() {
		_, err := http.DefaultClient.Do(req) //nolint:bodyclose // there is no answer
		gaveUp <- err
	}()
	cancel()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() {
			if res, body := r.do("POST", "/function/hello", "hi"); res.StatusCode != 200 || body != "hi" {
				t.Error(res.Status, body)
			}
		})
	}
	close(b.wait)
	clients.Wait()
}

// What two requests are is the same to the gateway and to the function behind it.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []string
	r := newRig(t, map[string]http.HandlerFunc{"hello": func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.Method+" "+r.RequestURI+" "+string(body))
	}}, nil)
	inner := "GET /admin HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, raw := range []string{
		"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n" + inner,
		fmt.Sprintf("Content-Length: 3\r\nContent-Length: %d\r\n\r\n%s", len(inner), inner),
		"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + inner,
		"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + inner,
		"X: a\r\n b\r\nContent-Length: +3\r\n\r\n" + inner,
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte("POST /function/hello HTTP/1.1\r\nHost: localhost\r\n" + raw))
		_ = conn.(*net.TCPConn).CloseWrite() // it may be closed
		_, _ = io.ReadAll(conn)              // the same
		_ = conn.Close()                     // the same
	}
	mu.Lock()
	defer mu.Unlock()
	for _, a := range asked {
		if strings.Contains(a, "/admin ") {
			t.Errorf("the function was asked %q", a)
		}
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]string{annotationAttempts: "many", annotationCodes: "429,x", annotationFirst: "5", annotationLongest: "2h"} {
		if _, err := New(Options{Folder: t.TempDir(), Functions: []Function{{schema.Function{Name: "hello", Annotations: map[string]string{name: bad}}, nil}}}); err == nil || !strings.Contains(err.Error(), "function hello: annotation "+name) {
			t.Errorf("%s: %q: %v", name, bad, err)
		}
	}
	p, err := policyOf(map[string]string{annotationAttempts: "0", annotationCodes: "429, 503", annotationFirst: "2s", annotationLongest: "9s"})
	if err != nil || p.attempts != 1 || p.again(500) || !p.again(429) || !p.again(503) {
		t.Errorf("%+v, %v", p, err)
	}
	for tries, want := range map[int]string{1: "2s", 2: "4s", 3: "8s", 4: "9s", 1000: "9s"} {
		if got := p.pause(tries, 0); got.String() != want {
			t.Errorf("after %d tries: %s, want %s", tries, got, want)
		}
	}
}
