package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

const (
	gatewayIssuer = "http://gateway.openfaas:8080"
	localIssuer   = "http://127.0.0.1:8000"
	issuerWait    = 10 * time.Second
)

// authenticator admits requests whose token the gateway has signed for this function.
type authenticator struct {
	keys     keyfunc.Keyfunc
	parser   *jwt.Parser
	function string // namespace:name
	logs     *logs
	debug    bool
}

// claims are what the gateway says in a token.
type claims struct {
	jwt.RegisteredClaims
	Expires  date `json:"exp"`
	Begins   date `json:"nbf"`
	Issued   date `json:"iat"`
	Function struct {
		Permissions []string `json:"permissions"`
		Audience    []string `json:"audience"`
	} `json:"function"`
}

// GetExpirationTime returns exp, for the parser.
func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return c.Expires.NumericDate, nil }

// GetNotBefore returns nbf, for the parser.
func (c *claims) GetNotBefore() (*jwt.NumericDate, error) { return c.Begins.NumericDate, nil }

// GetIssuedAt returns iat, for the parser.
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error) { return c.Issued.NumericDate, nil }

// date is a time in a token, which is a number (RFC 7519, 2); the library also takes the text of one.
type date struct{ *jwt.NumericDate }

// UnmarshalJSON refuses all but a number.
func (d *date) UnmarshalJSON(text []byte) error {
	if text[0] != '-' && (text[0] < '0' || text[0] > '9') {
		return errors.New("a time that is no number")
	}
	d.NumericDate = &jwt.NumericDate{}
	return d.NumericDate.UnmarshalJSON(text)
}

// newAuthenticator asks the gateway who it is and for its keys, which it keeps up to date until ctx ends.
func newAuthenticator(ctx context.Context, c *config, l *logs) (*authenticator, error) {
	gateway := gatewayIssuer
	if c.jwtAuthLocal {
		gateway = localIssuer
	}
	client := &http.Client{Timeout: issuerWait, Transport: &boundedTransport{http.DefaultTransport}}
	issuer, keysAt, err := discover(ctx, client, gateway)
	if err != nil {
		return nil, fmt.Errorf("jwt_auth: %w", err)
	}
	set, err := newKeySet(ctx, client, keysAt, l)
	if err != nil {
		return nil, fmt.Errorf("jwt_auth: %w", err)
	}
	keys, err := keyfunc.New(keyfunc.Options{Ctx: ctx, Storage: set, UseWhitelist: []jwkset.USE{jwkset.UseSig, ""}})
	if err != nil {
		return nil, fmt.Errorf("jwt_auth: %w", err)
	}
	return &authenticator{
		keys: keys, function: c.namespace + ":" + c.name, logs: l, debug: c.jwtAuthDebug,
		parser: jwt.NewParser(
			jwt.WithIssuer(issuer), jwt.WithAudience(issuer), jwt.WithLeeway(time.Second), jwt.WithExpirationRequired(),
			jwt.WithValidMethods([]string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}),
		),
	}, nil
}

// discover reads the gateway's OpenID configuration.
func discover(ctx context.Context, client *http.Client, gateway string) (issuer, keysAt string, err error) {
	address := gateway + "/.well-known/openid-configuration"
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", "", err
	}
	answer, err := client.Do(r)
	if err != nil {
		return "", "", err
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	if answer.StatusCode != http.StatusOK {
		return "", "", fmt.Errorf("%s answered %s", address, answer.Status)
	}
	var said struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
		return "", "", fmt.Errorf("reading %s: %w", address, err)
	}
	if said.Issuer == "" || said.Keys == "" {
		return "", "", fmt.Errorf("%s names no issuer or no jwks_uri", address)
	}
	return said.Issuer, said.Keys, nil
}

// errForbidden says that a token is good, but not for this function.
var errForbidden = errors.New("insufficient permissions")

// admit reports whether r may be passed on, and answers it if not. A nil *authenticator admits everything.
func (a *authenticator) admit(x *exchange, r *http.Request) bool {
	if a == nil {
		return true
	}
	err := a.check(r)
	if err == nil {
		r.Header["X-Auth-Seconds"] = []string{strconv.FormatFloat(time.Since(x.started).Seconds(), 'f', 6, 64)}
		return true
	}
	if a.debug {
		a.logs.printf("jwt_auth: %s %s: %v", r.Method, r.RequestURI, err)
	}
	x.mark("of-watchdog")
	if errors.Is(err, errForbidden) {
		http.Error(x, errForbidden.Error(), http.StatusForbidden)
		return false
	}
	x.Header()["Www-Authenticate"] = []string{"Bearer realm=IAM function invoke"}
	http.Error(x, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
	return false
}

func (a *authenticator) check(r *http.Request) error {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return errors.New("no bearer token")
	}
	var said claims
	_, err := a.parser.ParseWithClaims(strings.TrimSpace(token), &said, func(t *jwt.Token) (any, error) {
		if _, ok := t.Header["kid"].(string); !ok {
			return nil, errors.New("the token names no key")
		}
		if _, ok := t.Header["crit"]; ok {
			return nil, errors.New("the token has an extension that must be understood, and none is") // RFC 7515, 4.1.11
		}
		return a.keys.Keyfunc(t)
	})
	if err != nil {
		return err
	}
	aud := said.Function.Audience
	if len(aud) > 0 && !anyMatches(aud, a.function) || !anyMatches(said.Function.Permissions, a.function) {
		return fmt.Errorf("%w: %s is not among %q for %q", errForbidden, a.function, said.Function.Permissions, aud)
	}
	return nil
}

func anyMatches(patterns []string, name string) bool {
	for _, pattern := range patterns {
		if matches(pattern, name) {
			return true
		}
	}
	return false
}

// matches compares the whole of name with pattern, in which * stands for any text.
func matches(pattern, name string) bool {
	before, after, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	rest, ok := strings.CutPrefix(name, before)
	if !ok {
		return false
	}
	for at := 0; at <= len(rest); at++ {
		if matches(after, rest[at:]) {
			return true
		}
	}
	return false
}
