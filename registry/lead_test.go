package registry

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"fnb/internal/fixture"
	"fnb/origin"
)

// TestRegistryLeadsInward has a registry elsewhere give out its tokens on this machine.
func TestRegistryLeadsInward(t *testing.T) {
	t.Parallel()
	asked := 0
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	t.Cleanup(inside.Close)
	host := strings.TrimPrefix(inside.URL, "http://")
	for _, test := range []struct {
		least, met origin.Reach
		named      string
		allow      string
		ok         bool
	}{
		{origin.Machine, origin.Public, "ghcr.io", "", false},
		{origin.Machine, origin.Network, "10.0.0.1", "", false},
		{origin.Machine, origin.Machine, "127.0.0.1:1", "", true},
		{origin.Machine, origin.Public, host, "", true},
		{origin.Machine, origin.Public, "ghcr.io", host, true},
		{origin.Public, origin.Public, host, "", false},
		{origin.Network, origin.Machine, "127.0.0.1:1", "", false},
		{origin.Public, origin.Public, host, host, true},
	} {
		g := newLeadGuard(&http.Transport{}, net.Dialer{}, func(h string) bool { return h == test.allow })
		g.least = test.least
		g.met = func() (nearest, farthest origin.Reach, ok bool) { return test.met, origin.Public, true }
		g.name(test.named)
		before := asked
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, inside.URL+"/token", nil)
		fixture.Must(t, err)
		resp, err := g.RoundTrip(req)
		if err == nil {
			fixture.Must(t, resp.Body.Close())
		}
		_, refused := errors.AsType[*origin.ReachError](err)
		if refused == test.ok || test.ok != (asked > before) {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

// TestOutward has an image of a registry elsewhere name one of this machine.
func TestOutward(t *testing.T) {
	t.Parallel()
	for _, met := range []origin.Reach{origin.Machine, origin.Network} {
		c := newClient(t, Options{})
		c.trans.lead.met = func() (nearest, farthest origin.Reach, ok bool) { return met, origin.Public, true }
		out, err := c.Outward()
		fixture.Must(t, err)
		_, err = out.Head(t.Context(), "127.0.0.1:1/base:1")
		if _, refused := errors.AsType[*origin.ReachError](err); refused != (met == origin.Network) || err == nil {
			t.Errorf("after one %v: %v", met, err)
		}
	}
}

// TestRedirectTakesNoSecret has a registry lead whoever has shown a secret to another
// port, which asks for one as well (CVE-2020-15157).
func TestRedirectTakesNoSecret(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var first, told []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, r.Header.Get("Authorization"))
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(other.Close)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mu.Lock()
		first = append(first, r.URL.Path)
		mu.Unlock()
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(front.Close)
	host := strings.TrimPrefix(front.URL, "http://")
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "config.json"), `{"auths": {"`+host+`": {"auth": "`+basic("ada", "s3cret")+`"}}}`)
	_, err := newClient(t, Options{DockerConfig: dir, AuthFiles: []string{}}).Head(t.Context(), host+"/acme/hello:1")
	if err == nil || len(first) == 0 || len(told) == 0 || strings.Join(told, "") != "" {
		t.Errorf("%v; first %q, then %q", err, first, told)
	}
	c := newClient(t, Options{DockerConfig: dir, AuthFiles: []string{}, Anonymous: true})
	if user, secret, err := c.Credentials(t.Context(), host); err != nil || user+secret != "" {
		t.Errorf("anonymous: %q %q %v", user, secret, err)
	}
}

// TestCredentialsOfOddHosts asks for hosts that are lines of what a helper reads.
func TestCredentialsOfOddHosts(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{DockerConfig: t.TempDir(), AuthFiles: []string{}})
	for _, host := range []string{"ghcr.io\nevil.example.com", "ghcr.io\r", "ghcr.io\x00", "", "a b", "-x", "ghcr.io/../x"} {
		if _, _, err := c.Credentials(t.Context(), host); err == nil {
			t.Errorf("%q was looked up", host)
		}
	}
}
