package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	"fnb/cmd/fwatchdog/internal/metrics"
	"fnb/cmd/fwatchdog/internal/token"
	"fnb/cmd/fwatchdog/internal/wire"
)

// patience is how long a connection of the differential test may last. None should come near it.
const patience = 20 * time.Second

// setup is one way of running the watchdog, and what net/http is asked to do in its place.
type setup struct {
	name      string
	variables []string
	prefix    string                                   // of upstream_url
	proxied   bool                                     // the function is reached through http_proxy
	full      bool                                     // every place of max_inflight is taken
	own       bool                                     // requests are to the watchdog's own paths
	token     bool                                     // jwt_auth
	rewrite   func(stream string) string               // what is changed in each stream before it is sent; nil: nothing
	reference func(function http.Handler) http.Handler // what stands before the function; nil: nothing
	every     bool                                     // another client asks after each stream, not only after odd answers
	same      string                                   // the set-up whose result of the reference is this one's as well
}

// bench is what all runs of a differential test share.
type bench struct {
	folder  string // of static mode
	witness string // the program of the forking modes
	auth    *authenticator
	bearer  string
}

// passes reports whether the first request of a stream reaches a function that answers it over HTTP.
func (s *setup) passes() bool {
	return s.mode() == modeHTTP && !s.full && !s.own && (!s.token || s.rewrite != nil)
}

func (s *setup) mode() string {
	for _, v := range s.variables {
		if mode, ok := strings.CutPrefix(v, "mode="); ok {
			return mode
		}
	}
	return modeHTTP
}

// setups are the ways in which the watchdog is compared.
func (b *bench) setups() []*setup {
	return []*setup{
		{name: "http", every: true},
		{name: "buffered", variables: []string{"buffer_http=true"}, reference: readFirst},
		{name: "limited", variables: []string{"max_inflight=1"}, every: true, same: "http"},
		{name: "prefix", prefix: "/base"},
		{name: "proxied", prefix: "/base", proxied: true},
		{name: "token", token: true, rewrite: b.addToken},
		{name: "no-token", token: true, reference: answerAll(http.StatusUnauthorized)},
		{name: "full", variables: []string{"max_inflight=1"}, full: true, reference: answerAll(http.StatusTooManyRequests)},
		{name: "own-paths", own: true, rewrite: toOwnPaths, reference: ownPaths},
		{name: "streaming", variables: []string{"mode=streaming"}, reference: runProgram},
		{name: "serializing", variables: []string{"mode=serializing"}, reference: runProgram, same: "streaming"},
		{name: "static", variables: []string{"mode=static"}, reference: b.serveFolder},
	}
}

// addToken gives the requests of a stream a token.
func (b *bench) addToken(stream string) string {
	for _, line := range []string{"\r\nHost: h\r\n", " HTTP/1.1\r\n", " HTTP/1.0\r\n"} {
		if head, _, _ := strings.Cut(stream, "\r\n\r\n"); strings.Contains(head+"\r\n", line) {
			start, rest := line[:strings.Index(line, "\r\n")+2], line[strings.Index(line, "\r\n")+2:]
			return strings.ReplaceAll(stream, line, start+"Authorization: Bearer "+b.bearer+"\r\n"+rest)
		}
	}
	return stream
}

// toOwnPaths has the requests of a stream ask for the watchdog's health.
func toOwnPaths(stream string) string {
	return strings.NewReplacer(" /p HTTP/", " /_/health HTTP/", " / HTTP/", " /_/ready HTTP/").Replace(stream)
}

// newWatchdog starts a watchdog of this process before the function at address.
func (b *bench) newWatchdog(tb testing.TB, s *setup, address string) *inside {
	tb.Helper()
	pairs := append([]string{
		"fprocess=" + b.witness, "static_path=" + b.folder, "suppress_lock=true", "port=0", "metrics_port=0", "exec_timeout=15s",
		"upstream_url=http://" + address + s.prefix, "mode=http",
	}, s.variables...)
	c, err := readConfig(pairs)
	if err != nil {
		tb.Fatal(err)
	}
	in := &inside{}
	d := &watchdog{config: c, logs: newLogs(c, &in.log, &in.log), metrics: metrics.New(), limiter: newLimiter(c), health: &health{}}
	d.health.accepting.Store(true)
	if s.token {
		auth := *b.auth
		auth.logs = d.logs
		d.auth = &auth
	}
	in.life = &life{watchdog: d, kids: &children{}, pairs: pairs}
	if in.mainPort, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		tb.Fatal(err)
	}
	if c.mode != modeHTTP {
		if _, err := in.startFunction(); err != nil {
			tb.Fatal(err)
		}
	} else {
		if in.upstream, err = newUpstream(c.upstream); err != nil {
			tb.Fatal(err)
		}
		if s.proxied { // as newUpstream does where the environment names a proxy, which is read once a process
			in.upstream.route.Prefix = proxiedHost + s.prefix
			in.upstream.route.ProxyAuth = proxyPassword
		}
		ready := make(chan struct{})
		close(ready)
		d.fn, d.prefixed = newProxy(in.upstream, c, ready), in.upstream.route.Prefix != ""
	}
	if s.full {
		d.limiter.slots <- struct{}{}
	}
	in.startServers(make(chan error, 4))
	return in
}

const (
	proxiedHost   = "http://fn.internal.test"
	proxyPassword = "Basic dTpw"
)

// inside is a watchdog that runs in this process.
type inside struct {
	*life
	log syncBuffer
}

// take returns what has been written since the last time.
func (s *syncBuffer) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.b.String()
	s.b.Reset()
	return text
}

// isIdle waits until no request is under way and every place is free.
func (in *inside) isIdle(s *setup) bool {
	taken := 0
	if s.full {
		taken = 1
	}
	return eventually(patience, func() bool {
		return in.metrics.InFlight() == 0 && (in.limiter == nil || len(in.limiter.slots) == taken)
	})
}

// settle ends what a stream has begun, and returns what it has left behind that it should not have.
func (in *inside) settle(s *setup) []string {
	var left []string
	if !in.isIdle(s) {
		left = append(left, "a place is not free again")
	}
	if in.upstream != nil {
		in.upstream.mu.Lock()
		for _, c := range in.upstream.idle {
			_ = c.Close() // the next stream begins anew
		}
		in.upstream.idle = nil
		in.upstream.mu.Unlock()
	}
	if strings.Contains(in.log.take(), "panic") {
		left = append(left, "a panic in the log")
	}
	return left
}

func (in *inside) end() {
	_ = in.mainPort.Close() // no connection is accepted from here on
	_ = in.main.Close()     // what is left is cut off
}

// newReference is net/http's server with httputil.ReverseProxy before the function at address. What docs/watchdog.md
// promises of statuses is asked of it as well: 500 where the function fails, 400 where a body breaks off, 501 for CONNECT. Its connections
// to the function are used once: it notices bytes that nobody asked for only by chance, the next request's
// answer shall be that request's.
func newReference(tb testing.TB, s *setup, address string) (*http.Server, net.Listener) {
	tb.Helper()
	target := &url.URL{Scheme: "http", Host: address, Path: s.prefix}
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: wire.HeadMost, ExpectContinueTimeout: patience}
	proxy := &httputil.ReverseProxy{
		Transport: transport, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.RawQuery = r.In.URL.RawQuery
			r.SetURL(target)
			r.Out.Host = r.In.Host
			for name, values := range r.In.Header {
				if (strings.HasPrefix(name, "X-Forwarded-") || name == "Forwarded") && !wire.Listed(r.In.Header["Connection"], name) {
					r.Out.Header[name] = values
				}
			}
			if s.proxied { // http.Transport would have the client's Host header say what the proxy is asked for
				r.Out.URL.Opaque = proxiedHost + r.Out.URL.EscapedPath()
				r.Out.Header["Proxy-Authorization"] = []string{proxyPassword}
			}
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, _ error) {
			if body, ok := r.Context().Value(bodyKey{}).(*watchedBody); ok && body.isBroken() {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			w.WriteHeader(http.StatusInternalServerError)
		},
	}
	handler := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { proxy.ServeHTTP(&asIs{w}, r) }))
	if s.reference != nil {
		handler = s.reference(handler)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	server := &http.Server{
		ReadTimeout: patience, WriteTimeout: patience, MaxHeaderBytes: wire.HeadMost, ErrorLog: log.New(io.Discard, "", 0),
		DisableGeneralOptionsHandler: true, // OPTIONS * is a request like others
		Handler:                      http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answerAsDocumented(handler, w, r) }),
	}
	go func() { _ = server.Serve(l) }() // it ends with Close
	return server, l
}

func answerAsDocumented(handler http.Handler, w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusNotImplemented)
		return
	}
	// A client that has closed its sending side still gets its answer.
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	body := &watchedBody{ReadCloser: r.Body}
	r = r.WithContext(context.WithValue(ctx, bodyKey{}, body))
	if r.Body != http.NoBody {
		r.Body = body
	}
	handler.ServeHTTP(w, r)
}

// asIs is a ResponseWriter that guesses no Content-Type.
type asIs struct{ http.ResponseWriter }

func (w *asIs) WriteHeader(status int) {
	if _, ok := w.Header()["Content-Type"]; !ok && status >= http.StatusOK {
		w.Header()["Content-Type"] = nil
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the server's writer.
func (w *asIs) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// bodyKey is the context key of a request's *watchedBody.
type bodyKey struct{}

// watchedBody remembers that its reading has failed.
type watchedBody struct {
	io.ReadCloser
	mu     sync.Mutex
	broken bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.mu.Lock()
		b.broken = true
		b.mu.Unlock()
	}
	return n, err
}

func (b *watchedBody) isBroken() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.broken
}

// answerAll answers every request with status, and reads no body.
func answerAll(status int) func(http.Handler) http.Handler {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
		})
	}
}

// readFirst reads each body whole before it is passed on.
func readFirst(function http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			function.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.Header.Del("Expect")
		r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
		function.ServeHTTP(w, r)
	})
}

// ownPaths answers the watchdog's own paths.
func ownPaths(function http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/_/health" && r.Method != http.MethodGet:
			w.WriteHeader(http.StatusMethodNotAllowed)
		case r.URL.Path == "/_/health":
			_, _ = io.WriteString(w, "OK") // the client may be gone
		case r.URL.Path == "/_/ready":
			w.WriteHeader(http.StatusOK)
		default:
			function.ServeHTTP(w, r)
		}
	})
}

// runProgram answers as the witness of the forking modes does.
func runProgram(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		told := []string{"Http_Method=" + r.Method}
		if r.URL.Path != "" && !strings.Contains(r.URL.Path, "\x00") {
			told = append(told, "Http_Path="+r.URL.Path)
		}
		for name, values := range r.Header {
			switch name {
			case "Method", "Query", "Path", "Transfer-Encoding", "Transfer_encoding":
				continue // these names are taken by the request itself
			}
			told = append(told, "Http_"+strings.ReplaceAll(name, "-", "_")+"="+values[0])
		}
		if r.URL.RawQuery != "" {
			told = append(told, "Http_Query="+r.URL.RawQuery)
		}
		for _, coding := range r.TransferEncoding {
			told = append(told, "Http_Transfer_Encoding="+coding)
		}
		for i, pair := range told {
			told[i] = strconv.Quote(pair)
		}
		slices.Sort(told)
		w.Header().Set("Content-Type", "application/octet-stream")
		fmt.Fprintf(w, "%s\n\n%s", strings.Join(told, "\n"), body)
	})
}

func (b *bench) serveFolder(http.Handler) http.Handler { return http.FileServer(http.Dir(b.folder)) }

// newBench makes what the set-ups need.
func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{folder: t.TempDir(), witness: buildWitness(t)}
	for _, name := range []string{"p", "probe", "next"} {
		if err := os.WriteFile(b.folder+"/"+name, []byte("the file "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := newGateway(t)
	g.rotate(t, "k1")
	keys, err := keyfunc.NewJWKSetJSON(json.RawMessage(g.keySet(t)))
	if err != nil {
		t.Fatal(err)
	}
	b.auth = &authenticator{tokens: token.With(keys.Keyfunc, token.Gateway, "fn:hello")}
	b.bearer = g.token(t, "k1", func(c jwt.MapClaims) { c["exp"] = time.Now().Add(time.Hour).Unix() })
	return b
}

// buildWitness builds the program that the forking modes run: it has to start fast.
func buildWitness(t *testing.T) string {
	t.Helper()
	path := t.TempDir() + "/witness"
	build := buildCommand(t, path)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the witness: %v\n%s", err, out)
	}
	return path
}
