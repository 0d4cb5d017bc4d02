package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := With(func(*jwt.Token) (any, error) { return &key.PublicKey, nil }, Gateway, "fn:hello")
	signed := func(permissions []string, head string, exp any) string {
		said := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
			"iss": Gateway, "aud": Gateway, "exp": exp, "function": map[string]any{"permissions": permissions},
		})
		said.Header["kid"] = "k"
		if head != "" {
			said.Header[head] = []string{"x"}
		}
		text, err := said.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	soon := time.Now().Add(time.Minute).Unix()
	for _, tt := range []struct {
		name, authorization string
		admitted, forbidden bool
	}{
		{"none", "", false, false},
		{"another scheme", "Basic " + signed([]string{"*"}, "", soon), false, false},
		{"a good one", "bearer " + signed([]string{"fn:*"}, "", soon), true, false},
		{"another function's", "Bearer " + signed([]string{"fn:bye"}, "", soon), false, true},
		{"an extension to understand", "Bearer " + signed([]string{"*"}, "crit", soon), false, false},
		{"an expired one", "Bearer " + signed([]string{"*"}, "", 1), false, false},
		{"an end that is a text", "Bearer " + signed([]string{"*"}, "", "9999999999"), false, false},
	} {
		err := c.Check(&http.Request{Header: http.Header{"Authorization": {tt.authorization}}})
		if (err == nil) != tt.admitted || errors.Is(err, ErrForbidden) != tt.forbidden {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "fn:hello", true},
		{"fn:*", "fn:hello", true},
		{"fn:hello", "fn:hello", true},
		{"fn:hello", "fn:hello-admin", false},
		{"fn:hell", "fn:hello", false},
		{"n:hello", "fn:hello", false},
		{"*:hello", "fn:hello", true},
		{"f*:h*o", "fn:hello", true},
		{"f.:hello", "fn:hello", false},
		{"other:*", "fn:hello", false},
		{"", "fn:hello", false},
	} {
		if got := matches(tt.pattern, tt.name); got != tt.want {
			t.Errorf("matches(%q, %q) = %v", tt.pattern, tt.name, got)
		}
	}
}
