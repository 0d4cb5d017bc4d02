package rollout_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fnb/internal/servers/openfaas"
	"fnb/rollout"
	"fnb/schema/deploy"
)

// What faas-cli keeps belongs to one gateway: scheme, host, port and path.
func TestReadLogin(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config.yml")
	const text = `auths:
- gateway: https://faas.example.com
  auth: basic
  token: YWRtaW46c2U6Y3JldA==
  options: []
- gateway: http://127.0.0.1:8080/sub/
  auth: oauth2
  token: abc
- gateway: http://127.0.0.1:9
  auth: basic
  token: no
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ url, user, password, bearer string }{
		{"https://faas.example.com", "admin", "se:cret", ""},
		{"https://FAAS.example.com:443/", "admin", "se:cret", ""},
		{"http://127.0.0.1:8080/sub", "", "", "abc"},
		{"http://faas.example.com", "", "", ""},
		{"https://faas.example.com:8443", "", "", ""},
		{"https://faas.example.com/other", "", "", ""},
		{"http://127.0.0.1:8080", "", "", ""},
	} {
		got, err := rollout.ReadLogin(file, tt.url)
		if err != nil || got.User != tt.user || got.Password != tt.password || got.Bearer != tt.bearer {
			t.Errorf("%s: %q %q, %v", tt.url, got.User, got.Bearer, err)
		}
	}
	if _, err := rollout.ReadLogin(file, "http://127.0.0.1:9"); err == nil || !strings.Contains(err.Error(), "base64") {
		t.Errorf("a token that is none: %v", err)
	}
	if got, err := rollout.ReadLogin(file+"x", "http://127.0.0.1:9"); err != nil || got != (rollout.Login{}) {
		t.Errorf("no file: %v, %v", got, err)
	}
}

// A password goes to nobody that the gateway leads to.
func TestGatewayLeadsElsewhere(t *testing.T) {
	t.Parallel()
	var reached bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer other.Close()
	gateway := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer gateway.Close()
	g, err := rollout.NewGateway(rollout.GatewayOptions{URL: gateway.URL, Login: rollout.Login{User: "a", Password: "b"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Find(t.Context(), "hello"); err == nil || !strings.Contains(err.Error(), "leads elsewhere") {
		t.Errorf("%v", err)
	}
	if reached {
		t.Error("the other server was asked")
	}
}

// Where containerd runs functions, nothing expands variables.
func TestVariables(t *testing.T) {
	t.Parallel()
	f := deploy.Function{Name: "hello", Image: "x/y@sha256:" + strings.Repeat("1", 64), Environment: map[string]string{"A": "$(B)"}}
	for orchestration, want := range map[string]string{"kubernetes": "+envVars.A: $$(B)\n", "containerd": "+envVars.A: $(B)\n"} {
		o := openfaas.Start(openfaas.Options{Orchestration: orchestration})
		defer o.Close()
		g, err := rollout.NewGateway(rollout.GatewayOptions{URL: o.URL})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := g.Diff(t.Context(), f); err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %q, %v", orchestration, got, err)
		}
	}
}

// Ctrl-C ends the wait for a function.
func TestWaitEnds(t *testing.T) {
	t.Parallel()
	f := deploy.Function{Name: "hello", Image: "x/y@sha256:" + strings.Repeat("1", 64)}
	o := openfaas.Start(openfaas.Options{Never: []string{"hello"}})
	defer o.Close()
	g, err := rollout.NewGateway(rollout.GatewayOptions{URL: o.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Apply(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if _, err := g.Wait(ctx, f, time.Hour); err != context.Canceled { //nolint:errorlint // it is that one
		t.Errorf("%v", err)
	}
}
