package credentials

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"

	"fnb/internal/lazyregexp"
	"fnb/internal/plain"
)

var helperName = lazyregexp.New(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// askHelper gets the credentials for a key from docker-credential-NAME; none is
// the zero value.
func askHelper(ctx context.Context, helper, key string) (authn.AuthConfig, error) {
	out, err := runHelper(ctx, helper, "get", []byte(key))
	if err != nil {
		if e, ok := errors.AsType[*HelperError](err); ok && strings.Contains(e.said, "credentials not found") {
			return authn.AuthConfig{}, nil
		}
		return authn.AuthConfig{}, err
	}
	var c struct{ Username, Secret string }
	if err := json.Unmarshal(out, &c); err != nil {
		return authn.AuthConfig{}, &HelperError{name: helper, action: "get", said: "its answer is not JSON"}
	}
	return Of(c.Username, c.Secret), nil
}

// A HelperError says that a credential helper failed. It never holds a secret.
type HelperError struct {
	name, action, said string
	err                error
}

func (e *HelperError) Error() string {
	s := "credential helper docker-credential-" + e.name + " " + e.action
	if e.said != "" {
		return s + ": " + e.said
	}
	return s + ": " + e.err.Error()
}

// Unwrap returns why it could not be run; nil where it was.
func (e *HelperError) Unwrap() error { return e.err }

// runHelper runs docker-credential-NAME ACTION with input, and returns what it
// wrote. The secrets pass through pipes only.
func runHelper(ctx context.Context, helper, action string, input []byte) ([]byte, error) {
	if !helperName.MatchString(helper) {
		return nil, fmt.Errorf("credential helper %q: this is not the name of one", plain.Short(helper))
	}
	cmd := exec.CommandContext(ctx, "docker-credential-"+helper, action)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		e := &HelperError{name: helper, action: action, err: err}
		if errors.Is(err, exec.ErrNotFound) {
			e.said = "is not installed"
			return nil, e
		}
		// Helpers explain themselves on standard output when they fail.
		e.said = plain.Short(string(out))
		return nil, e
	}
	return out, nil
}
