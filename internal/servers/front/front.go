// Package front puts what registries do differently before a real one: [For] starts a
// proxy with one of [Quirks].
package front

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"fnb/internal/servers"
)

// RobotUser and RobotPassword are what a [Registry] with an account wants.
const (
	RobotUser     = "robot$acme+ci"
	RobotPassword = "s3cret: word/+"
)

// A Quirk is one way in which registries differ that the OCI distribution
// specification allows, or that is met so often that clients have to take it.
type Quirk struct {
	Name string
	// Account says that the registry wants [RobotUser] and [RobotPassword].
	Account bool
	// Address is where the front listens; "" means a port of 127.0.0.1.
	Address string

	// answer may answer in the registry's place, and says whether it did.
	answer func(f *Registry, w http.ResponseWriter, r *http.Request) bool
	// change changes what the registry answers.
	change func(f *Registry, resp *http.Response)
}

// A Registry is a registry with a quirk: a real one, behind a proxy that has it.
type Registry struct {
	// Host is the address, to be put before a repository's name.
	Host string
	// Other is another address of the same registry, without the quirk: who gives out
	// its tokens, or where its blobs are.
	Other string

	quirk   Quirk
	forward *httputil.ReverseProxy

	mu    sync.Mutex
	seen  map[string]int
	state map[string]string
}

// For puts a quirk before a registry, for one test.
func For(tb testing.TB, reg *servers.Registry, quirk Quirk) *Registry {
	tb.Helper()
	to := &url.URL{Scheme: "http", Host: reg.Host}
	f := &Registry{quirk: quirk, seen: map[string]int{}, state: map[string]string{}}
	f.forward = &httputil.ReverseProxy{
		ErrorLog: noise(),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
			r.Out.Header.Del("Authorization") // the front has looked at it
		},
		ModifyResponse: func(resp *http.Response) error {
			if quirk.change != nil {
				quirk.change(f, resp)
			}
			return nil
		},
	}
	address := quirk.Address
	if address == "" {
		address = "127.0.0.1:0"
	}
	f.Host = listenFor(tb, address, f)
	other := &httputil.ReverseProxy{
		ErrorLog: noise(),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			// The registry makes its Location headers of the name it was called by.
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
	}
	f.Other = listenFor(tb, "127.0.0.2:0", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/token") {
			f.token(w, r)
			return
		}
		other.ServeHTTP(w, r)
	}))
	return f
}

// noise drops what cut connections would have to say in a test's output.
func noise() *log.Logger { return log.New(io.Discard, "", 0) }

// listenFor serves h at an address until the test ends, and returns where that is.
func listenFor(tb testing.TB, address string, h http.Handler) string {
	tb.Helper()
	l, err := net.Listen("tcp", address) //nolint:noctx // it does not block
	if err != nil {
		tb.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = noise()
	_ = s.Listener.Close() // it has another one
	s.Listener = l
	s.Start()
	tb.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return l.Addr().String()
}

// ServeHTTP answers as the registry with the quirk does.
func (f *Registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/token") {
		f.token(w, r)
		return
	}
	if f.quirk.answer != nil && f.quirk.answer(f, w, r) {
		return
	}
	f.forward.ServeHTTP(w, r)
}

// count returns how often it was called with what before.
func (f *Registry) count(what string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen[what]++
	return f.seen[what] - 1
}

// allowed reports whether a request has the account's credentials, or a token.
func allowed(r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	return ok && user == RobotUser && password == RobotPassword || r.Header.Get("Authorization") == "Bearer the.token"
}

// token gives out the token, in the way that the path names.
func (f *Registry) token(w http.ResponseWriter, r *http.Request) {
	if user, password, ok := r.BasicAuth(); !ok || user != RobotUser || password != RobotPassword {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	switch strings.TrimPrefix(r.URL.Path, "/token") {
	case "/access":
		_, _ = w.Write([]byte(`{"access_token": "the.token"}`))
	case "/both":
		_, _ = w.Write([]byte(`{"token": "the.token", "access_token": "the.token", "expires_in": 60, "issued_at": "2020-01-01T00:00:00Z"}`))
	default:
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte(`{"token": "the.token"}`))
	}
}
