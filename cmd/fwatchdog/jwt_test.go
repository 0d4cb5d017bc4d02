package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// gateway is OpenFaaS's gateway as far as tokens go: it says who it is and shows its keys. The watchdog
// finds it under its name through http_proxy.
type gateway struct {
	mu      sync.Mutex
	keys    map[string]*ecdsa.PrivateKey
	address string
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{keys: map[string]*ecdsa.PrivateKey{}, address: l.Addr().String()}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": gatewayIssuer, "jwks_uri": gatewayIssuer + "/keys"}) // the watchdog complains
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(g.keySet(t)) // the watchdog complains
	})
	s := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.Serve(l) }()      // it ends with Close
	t.Cleanup(func() { _ = s.Close() }) // the test is over
	return g
}

// rotate replaces all keys by a new one.
func (g *gateway) rotate(t *testing.T, kid string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.keys = map[string]*ecdsa.PrivateKey{kid: key}
}

func (g *gateway) keySet(t *testing.T) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	set := jwkset.NewMemoryStorage()
	for kid, key := range g.keys {
		jwk, err := jwkset.NewJWKFromKey(key.Public(), jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: kid, ALG: jwkset.AlgES256, USE: jwkset.UseSig}})
		if err != nil {
			t.Error(err)
			return nil
		}
		if err := set.KeyWrite(t.Context(), jwk); err != nil {
			t.Error(err)
		}
	}
	text, err := set.JSONPublic(t.Context())
	if err != nil {
		t.Error(err)
	}
	return text
}

// token signs claims that change turns from good ones into others.
func (g *gateway) token(t *testing.T, kid string, change func(jwt.MapClaims)) string {
	t.Helper()
	said := jwt.MapClaims{
		"iss": gatewayIssuer, "aud": gatewayIssuer, "sub": "user", "exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix(),
		"function": map[string]any{"permissions": []string{"fn:*"}},
	}
	if change != nil {
		change(said)
	}
	g.mu.Lock()
	key := g.keys[kid]
	g.mu.Unlock()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, said)
	token.Header["kid"] = kid
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func withToken(t *testing.T, g *gateway, more ...string) *dog {
	t.Helper()
	return launch(t, fn(t, "server", append([]string{
		"jwt_auth=true", "OPENFAAS_NAME=hello", "OPENFAAS_NAMESPACE=fn", "http_proxy=http://" + g.address,
	}, more...)...)...).serving()
}

func permissions(list ...string) func(jwt.MapClaims) {
	return func(c jwt.MapClaims) { c["function"] = map[string]any{"permissions": list} }
}

func TestTokens(t *testing.T) {
	ours(t)
	g := newGateway(t)
	g.rotate(t, "k1")
	d := withToken(t, g, "jwt_auth_debug=1", "ready_path=/status/202")
	hs := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": gatewayIssuer, "aud": gatewayIssuer})
	hs.Header["kid"] = "k1"
	forged, err := hs.SignedString([]byte("guess"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, header string
		status       int
	}{
		{"none", "", 401},
		{"no bearer", "Basic dTpw", 401},
		{"garbage", "Bearer garbage", 401},
		{"a good one", "Bearer " + g.token(t, "k1", nil), 200},
		{"in lower case", "bearer " + g.token(t, "k1", nil), 200},
		{"for all functions", "Bearer " + g.token(t, "k1", permissions("*")), 200},
		{"for this function", "Bearer " + g.token(t, "k1", permissions("fn:hello")), 200},
		{"for another function", "Bearer " + g.token(t, "k1", permissions("fn:other")), 403},
		{"for a longer name", "Bearer " + g.token(t, "k1", permissions("fn:hello-admin", "afn:hello")), 403},
		{"for another namespace", "Bearer " + g.token(t, "k1", permissions("dev:*")), 403},
		{"for nothing", "Bearer " + g.token(t, "k1", permissions()), 403},
		{"with another audience", "Bearer " + g.token(t, "k1", func(c jwt.MapClaims) {
			c["function"] = map[string]any{"permissions": []string{"*"}, "audience": []string{"fn:other"}}
		}), 403},
		{"with this audience", "Bearer " + g.token(t, "k1", func(c jwt.MapClaims) {
			c["function"] = map[string]any{"permissions": []string{"*"}, "audience": []string{"fn:hello"}}
		}), 200},
		{"expired", "Bearer " + g.token(t, "k1", func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Minute).Unix() }), 401},
		{"without an end", "Bearer " + g.token(t, "k1", func(c jwt.MapClaims) { delete(c, "exp") }), 401},
		{"of another issuer", "Bearer " + g.token(t, "k1", func(c jwt.MapClaims) { c["iss"] = "http://evil" }), 401},
		{"for another service", "Bearer " + g.token(t, "k1", func(c jwt.MapClaims) { c["aud"] = "http://other" }), 401},
		{"signed with a password", "Bearer " + forged, 401},
		{"with a changed signature", "Bearer " + g.token(t, "k1", nil) + "AA", 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := d.get("/see", "Authorization: "+tt.header)
			r.wantStatus(t, tt.status)
			switch tt.status {
			case 401:
				if r.Header.Get("WWW-Authenticate") != "Bearer realm=IAM function invoke" {
					t.Errorf("WWW-Authenticate: %q", r.Header.Get("WWW-Authenticate"))
				}
			case 403:
				if strings.TrimSpace(r.body) != "insufficient permissions" {
					t.Errorf("body %q", r.body)
				}
			case 200:
				if saw(t, r).Header.Get("X-Auth-Seconds") == "" {
					t.Error("the function got no X-Auth-Seconds")
				}
			}
		})
	}
	d.get("/_/health").wantStatus(t, http.StatusOK)
	d.get("/_/ready").wantStatus(t, http.StatusAccepted) // what the function says
}

func TestTokenKeysRotate(t *testing.T) {
	ours(t)
	g := newGateway(t)
	g.rotate(t, "k1")
	d := withToken(t, g)
	old := g.token(t, "k1", nil)
	d.get("/", "Authorization: Bearer "+old).wantStatus(t, http.StatusOK)
	g.rotate(t, "k2")
	d.get("/", "Authorization: Bearer "+g.token(t, "k2", nil)).wantStatus(t, http.StatusOK)
	d.get("/", "Authorization: Bearer "+old).wantStatus(t, http.StatusUnauthorized)
}

func TestTokensWithoutAGateway(t *testing.T) {
	ours(t)
	code, _, errs := once(t, nil, fn(t, "server", "jwt_auth=1", "OPENFAAS_NAME=a", "OPENFAAS_NAMESPACE=b", "http_proxy=http://127.0.0.1:"+freePort(t)))
	if code != 1 || !strings.Contains(errs, "jwt_auth: ") {
		t.Errorf("exit %d, stderr %q", code, errs)
	}
	code, _, errs = once(t, nil, fn(t, "server", "jwt_auth=1", "jwt_auth_local=1", "OPENFAAS_NAME=a", "OPENFAAS_NAMESPACE=b"))
	if code != 1 || !strings.Contains(errs, "127.0.0.1:8000/") {
		t.Errorf("with jwt_auth_local: exit %d, stderr %q", code, errs)
	}
}
