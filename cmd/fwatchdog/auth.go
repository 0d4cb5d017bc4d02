package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"fnb/cmd/fwatchdog/internal/token"
)

// authenticator admits requests whose token the gateway has signed for this function.
type authenticator struct {
	tokens *token.Checker
	logs   *logs
	debug  bool
}

func newAuthenticator(ctx context.Context, c *config, l *logs) (*authenticator, error) {
	gateway := token.Gateway
	if c.jwtAuthLocal {
		gateway = token.LocalGateway
	}
	complain := func(err error) { l.printf("jwt_auth: %v", err) }
	tokens, err := token.New(ctx, gateway, c.namespace+":"+c.name, complain)
	if err != nil {
		return nil, fmt.Errorf("jwt_auth: %w", err)
	}
	return &authenticator{tokens: tokens, logs: l, debug: c.jwtAuthDebug}, nil
}

// admit reports whether r may be passed on, and answers it if not. A nil *authenticator admits everything.
func (a *authenticator) admit(x *exchange, r *http.Request) bool {
	if a == nil {
		return true
	}
	err := a.tokens.Check(r)
	if err == nil {
		r.Header["X-Auth-Seconds"] = []string{strconv.FormatFloat(time.Since(x.started).Seconds(), 'f', 6, 64)}
		return true
	}
	if a.debug {
		a.logs.printf("jwt_auth: %s %s: %v", r.Method, r.RequestURI, err)
	}
	x.mark("of-watchdog")
	if errors.Is(err, token.ErrForbidden) {
		http.Error(x, token.ErrForbidden.Error(), http.StatusForbidden)
		return false
	}
	x.Header()["Www-Authenticate"] = []string{"Bearer realm=IAM function invoke"}
	http.Error(x, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
	return false
}
