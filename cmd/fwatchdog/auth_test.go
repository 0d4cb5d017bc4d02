package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"fnb/cmd/fwatchdog/internal/token"
)

// gateway is OpenFaaS's gateway as far as tokens go: it says who it is and shows its keys. The watchdog
// finds it under its name through http_proxy.
type gateway struct {
	mu      sync.Mutex
	keys    map[string]*ecdsa.PrivateKey
	marks   map[string]jwkset.JWKMetadataOptions // of keys that are not simply for signatures
	slow    time.Duration                        // how long it takes to show them
	shown   int
	address string
}

// keysWait is how long a request waits at most for keys that its token makes the watchdog fetch.
const keysWait = time.Second

func newGateway(t *testing.T) *gateway {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{keys: map[string]*ecdsa.PrivateKey{}, address: l.Addr().String()}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": token.Gateway, "jwks_uri": token.Gateway + "/keys"}) // the watchdog complains
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.shown++
		slow := g.slow
		g.mu.Unlock()
		time.Sleep(slow)
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

// add adds a key that is marked for some use.
func (g *gateway) add(t *testing.T, kid string, mark jwkset.JWKMetadataOptions) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	mark.KID = kid
	g.mu.Lock()
	defer g.mu.Unlock()
	g.keys[kid] = key
	if g.marks == nil {
		g.marks = map[string]jwkset.JWKMetadataOptions{}
	}
	g.marks[kid] = mark
}

func (g *gateway) keySet(t *testing.T) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	set := jwkset.NewMemoryStorage()
	for kid, key := range g.keys {
		mark, ok := g.marks[kid]
		if !ok {
			mark = jwkset.JWKMetadataOptions{KID: kid, ALG: jwkset.AlgES256, USE: jwkset.UseSig}
		}
		jwk, err := jwkset.NewJWKFromKey(key.Public(), jwkset.JWKOptions{Metadata: mark})
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
	return g.tokenWith(t, kid, nil, change)
}

// tokenWith is token with more in the token's head.
func (g *gateway) tokenWith(t *testing.T, kid string, head map[string]any, change func(jwt.MapClaims)) string {
	t.Helper()
	said := jwt.MapClaims{
		"iss": token.Gateway, "aud": token.Gateway, "sub": "user", "exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix(),
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
	maps.Copy(token.Header, head)
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
	g.add(t, "unmarked", jwkset.JWKMetadataOptions{})
	g.add(t, "verifies", jwkset.JWKMetadataOptions{KEYOPS: []jwkset.KEYOPS{jwkset.KeyOpsVerify}})
	g.add(t, "encrypts", jwkset.JWKMetadataOptions{USE: jwkset.UseEnc})
	g.add(t, "wraps", jwkset.JWKMetadataOptions{KEYOPS: []jwkset.KEYOPS{jwkset.KeyOpsEncrypt, jwkset.KeyOpsWrapKey}})
	d := withToken(t, g, "jwt_auth_debug=1", "ready_path=/status/202")
	claim := func(name string, value any) string {
		return g.token(t, "k1", func(c jwt.MapClaims) { c[name] = value })
	}
	soon := time.Now().Add(time.Minute).Unix()
	hs := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": token.Gateway, "aud": token.Gateway})
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
		{"whose end is a text", "Bearer " + claim("exp", fmt.Sprint(soon)), 401},
		{"whose end is null", "Bearer " + claim("exp", nil), 401},
		{"whose end is a list", "Bearer " + claim("exp", []int64{soon}), 401},
		{"whose end is true", "Bearer " + claim("exp", true), 401},
		{"whose end is a fraction", "Bearer " + claim("exp", float64(soon)+0.5), 200},
		{"that begins in time", "Bearer " + claim("nbf", time.Now().Add(-time.Minute).Unix()), 200},
		{"that begins too late", "Bearer " + claim("nbf", soon), 401},
		{"whose beginning is a text", "Bearer " + claim("nbf", "0"), 401},
		{"whose beginning is null", "Bearer " + claim("nbf", nil), 401},
		{"whose time of issue is a text", "Bearer " + claim("iat", "0"), 401},
		{"with what must be understood", "Bearer " + g.tokenWith(t, "k1", map[string]any{"crit": []string{"exp"}}, nil), 401},
		{"with a crit of another type", "Bearer " + g.tokenWith(t, "k1", map[string]any{"crit": nil}, nil), 401},
		{"by a key for anything", "Bearer " + g.token(t, "unmarked", nil), 200},
		{"by a key that verifies", "Bearer " + g.token(t, "verifies", nil), 200},
		{"by a key for encryption", "Bearer " + g.token(t, "encrypts", nil), 401},
		{"by a key whose operations are others", "Bearer " + g.token(t, "wraps", nil), 401},
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

// TestUnknownKeysCostLittle sends many tokens that name keys nobody knows, to a gateway that takes its time.
func TestUnknownKeysCostLittle(t *testing.T) {
	ours(t)
	g := newGateway(t)
	g.rotate(t, "k1")
	d := withToken(t, g)
	good := g.token(t, "k1", nil)
	g.mu.Lock()
	g.slow, g.shown = 3*time.Second, 0
	g.mu.Unlock()
	var clients sync.WaitGroup
	for i := range 100 {
		clients.Go(func() {
			for j := range 3 {
				token, begun := g.tokenWith(t, "k1", map[string]any{"kid": fmt.Sprintf("unknown-%d-%d", i, j)}, nil), time.Now()
				d.get("/", "Authorization: Bearer "+token).wantStatus(t, http.StatusUnauthorized)
				if took := time.Since(begun); took > 2*keysWait {
					t.Errorf("an unknown key held a request for %v", took)
				}
			}
		})
	}
	clients.Go(func() {
		begun := time.Now()
		d.get("/", "Authorization: Bearer "+good).wantStatus(t, http.StatusOK)
		if took := time.Since(begun); took > keysWait/2 {
			t.Errorf("unknown keys held a good token's request for %v", took)
		}
	})
	clients.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shown != 1 {
		t.Errorf("300 unknown keys had the keys fetched %d times", g.shown)
	}
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
