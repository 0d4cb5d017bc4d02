package registry

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"

	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// TestRegistriesAreAskedOnce asks for many repositories of one registry at once
// and counts how often it is asked how it wants to be spoken to, over HTTPS too.
func TestRegistriesAreAskedOnce(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{Proxy: true})
	c := newClient(t, Options{})
	var secure atomic.Int32
	below := c.trans.inner
	c.trans.inner = roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Scheme == "https" {
			secure.Add(1)
		}
		return below.RoundTrip(r)
	})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, err := c.Ask(t.Context(), fmt.Sprintf("%s/acme/f%d:1", reg.Host, i)); !fixture.Is[*NotFoundError](err) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := count(reg.Requests(), "GET", "^/v2/$"); n != 1 || secure.Load() != 1 {
		t.Errorf("asked %d times in plain HTTP, %d times over HTTPS", n, secure.Load())
	}
}

// TestFailedPingsAreNotRemembered has a registry come back.
func TestFailedPingsAreNotRemembered(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{Proxy: true})
	c := newClient(t, Options{})
	reg.Fail(servers.Fault{Method: http.MethodGet, Path: regexp.MustCompile("^/v2/$"), Status: http.StatusForbidden, Times: 1})
	if _, err := c.Ask(t.Context(), reg.Host+"/acme/hello:1"); !fixture.Is[*AuthError](err) {
		t.Errorf("a registry that refuses: %v", err)
	}
	if _, err := c.Ask(t.Context(), reg.Host+"/acme/hello:1"); !fixture.Is[*NotFoundError](err) {
		t.Errorf("once it does not: %v", err)
	}
}

// TestPingsEndWithTheirContext waits for a registry that somebody else asks.
func TestPingsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	asked, answer := make(chan struct{}), make(chan struct{})
	pings := &pingTransport{inner: roundTripper(func(*http.Request) (*http.Response, error) {
		close(asked)
		<-answer
		return nil, context.Canceled
	})}
	request := func(ctx context.Context) *http.Request {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://reg.example/v2/", http.NoBody)
		fixture.Must(t, err)
		return r
	}
	first := make(chan struct{})
	go func() {
		defer close(first)
		_, _ = pings.RoundTrip(request(t.Context())) //nolint:bodyclose // there is none
	}()
	<-asked
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pings.RoundTrip(request(ctx)); err == nil { //nolint:bodyclose // there is none
		t.Error("somebody who waited got an answer")
	}
	close(answer)
	<-first
}
