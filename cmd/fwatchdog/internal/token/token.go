// Package token checks the tokens that OpenFaaS's gateway signs for a function. New asks the gateway who it is and for its
// keys; Check says what is wrong with a request's token.
package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

const (
	// Gateway is the address of OpenFaaS's gateway in a cluster, and what its tokens are issued by.
	Gateway = "http://gateway.openfaas:8080"
	// LocalGateway is the address of one on this machine.
	LocalGateway = "http://127.0.0.1:8000"

	gatewayWait = 10 * time.Second
)

// Checker checks tokens for one function.
type Checker struct {
	keys     jwt.Keyfunc
	parser   *jwt.Parser
	function string // namespace:name
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
		return errors.New("a time that is not a number")
	}
	d.NumericDate = &jwt.NumericDate{}
	return d.NumericDate.UnmarshalJSON(text)
}

// New asks the gateway who it is and for its keys, which it keeps up to date until ctx ends. What goes wrong then is
// complained of.
func New(ctx context.Context, gateway, function string, complain func(error)) (*Checker, error) {
	client := &http.Client{Timeout: gatewayWait, Transport: &boundedTransport{http.DefaultTransport}}
	issuer, keysAt, err := discover(ctx, client, gateway)
	if err != nil {
		return nil, err
	}
	set, err := newKeySet(ctx, client, keysAt, complain)
	if err != nil {
		return nil, err
	}
	keys, err := keyfunc.New(keyfunc.Options{Ctx: ctx, Storage: set, UseWhitelist: []jwkset.USE{jwkset.UseSig, ""}})
	if err != nil {
		return nil, err
	}
	return With(keys.Keyfunc, issuer, function), nil
}

// With returns a Checker of tokens for function, namespace:name, that issuer has signed with one of keys.
func With(keys jwt.Keyfunc, issuer, function string) *Checker {
	return &Checker{
		keys: keys, function: function,
		parser: jwt.NewParser(
			jwt.WithIssuer(issuer), jwt.WithAudience(issuer), jwt.WithLeeway(time.Second), jwt.WithExpirationRequired(),
			jwt.WithValidMethods([]string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}),
		),
	}
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

// ErrForbidden says that a token is good, but not for this function.
var ErrForbidden = errors.New("insufficient permissions")

// Check returns what is wrong with the token of r; ErrForbidden if it is another function's.
func (c *Checker) Check(r *http.Request) error {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return errors.New("no bearer token")
	}
	var said claims
	_, err := c.parser.ParseWithClaims(strings.TrimSpace(token), &said, func(t *jwt.Token) (any, error) {
		if _, ok := t.Header["kid"].(string); !ok {
			return nil, errors.New("the token names no key")
		}
		if _, ok := t.Header["crit"]; ok {
			return nil, errors.New("the token has an extension that must be understood, and none is") // RFC 7515, 4.1.11
		}
		return c.keys(t)
	})
	if err != nil {
		return err
	}
	aud := said.Function.Audience
	if len(aud) > 0 && !anyMatches(aud, c.function) || !anyMatches(said.Function.Permissions, c.function) {
		return fmt.Errorf("%w: %s is not among %q for %q", ErrForbidden, c.function, said.Function.Permissions, aud)
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
