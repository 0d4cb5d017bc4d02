package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"fnb/images"
	"fnb/internal/plain"
	"fnb/registry/credentials"
)

// An AuthError says that a registry refused the credentials, or wants some.
type AuthError struct {
	Host      string // of the registry, as one logs in to it
	Reference string // what was asked for; "" for a login
	Status    int    // 401 or 403
	Message   string // the registry's words; may be empty
	Anonymous bool   // no credentials were found for Host
}

func (e *AuthError) Error() string {
	s := e.Host + " refused the credentials"
	switch {
	case e.Anonymous:
		s = e.Host + " wants credentials, but none are stored for it"
	case e.Status == http.StatusForbidden:
		s = e.Host + " does not allow it with these credentials"
	}
	return prefixed(e.Reference, withMessage(s, e.Message))
}

// A NotFoundError says that a reference is not in its registry.
type NotFoundError struct {
	Reference string
	Host      string // of the registry that was asked
	Pushed    bool   // it was to be pushed: the registry has no such repository
	Message   string // the registry's words; may be empty
}

func (e *NotFoundError) Error() string {
	return withMessage(e.Reference+": not found", e.Message)
}

// A PolicyError says that a registry understood a request and refuses it: a
// quota, a tag that must not change, a rate limit.
type PolicyError struct {
	Host      string
	Reference string
	Status    int
	Code      string // the registry's code, such as DENIED; may be empty
	Message   string // the registry's words; may be empty
}

func (e *PolicyError) Error() string {
	s := fmt.Sprintf("%s refused: %d %s", e.Host, e.Status, http.StatusText(e.Status))
	return prefixed(e.Reference, withMessage(s, e.Message))
}

// An UnavailableError says that a registry could not be reached, or that it
// failed and went on failing when tried again.
type UnavailableError struct {
	Host      string
	Reference string
	Status    int // 5xx; 0 where there was no answer
	// PlainHTTP says that it is asked in plain HTTP, and not, or not only, by TLS.
	PlainHTTP bool
	Err       error
}

func (e *UnavailableError) Error() string {
	return prefixed(e.Reference, e.Host+": "+e.Err.Error())
}

// Unwrap returns the error of the last attempt.
func (e *UnavailableError) Unwrap() error { return e.Err }

// A NoRegistryError says that a host answers, and not as a registry does.
type NoRegistryError struct {
	Host   string
	Status int  // of its answer at /v2/
	Page   bool // that is a web page
}

func (e *NoRegistryError) Error() string {
	s := fmt.Sprintf("%s answers %d at /v2/", e.Host, e.Status)
	if e.Page {
		s += " with a web page"
	}
	return s + ": is it a registry?"
}

// A PlainHTTPError says that a request was not made because it would have gone
// over plain HTTP to a host that is neither this machine nor in
// [Options.Insecure].
type PlainHTTPError struct {
	Host string
}

func (e *PlainHTTPError) Error() string {
	return fmt.Sprintf("plain HTTP to %s is not allowed", e.Host)
}

// explain turns what go-containerregistry returned into the errors above. ref is
// "" where there is no reference. Whether the caller interrupted is read from
// ctx: the network's own timeouts also claim to be [context.DeadlineExceeded].
func explain(ctx context.Context, err error, host, ref string) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	own := ours(err)
	_, plainHTTP := errors.AsType[*PlainHTTPError](err)
	if own != nil && !plainHTTP {
		return own
	}
	// Where plain HTTP is allowed HTTPS is tried too, and err holds what came of
	// both; what follows goes from the telling to the less telling.
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return &UnavailableError{Host: host, Reference: ref, Err: withoutURL(bad)}
	}
	if t, ok := errors.AsType[*transport.Error](err); ok {
		return explainStatus(t, host, ref)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return &UnavailableError{Host: host, Reference: ref, Err: withoutURL(op)}
	}
	if own != nil {
		return own
	}
	if strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") {
		return &PlainHTTPError{Host: host}
	}
	return &UnavailableError{Host: host, Reference: ref, Err: withoutURL(err)}
}

func explainStatus(t *transport.Error, host, ref string) error {
	code, message := said(t)
	switch {
	case t.StatusCode == http.StatusUnauthorized, t.StatusCode == http.StatusForbidden:
		return &AuthError{Host: host, Reference: ref, Status: t.StatusCode, Message: message}
	case t.StatusCode == http.StatusNotFound && ref != "":
		return &NotFoundError{Reference: ref, Host: host, Message: message}
	case t.StatusCode >= 400 && t.StatusCode < 500:
		return &PolicyError{Host: host, Reference: ref, Status: t.StatusCode, Code: code, Message: message}
	}
	text := withMessage(fmt.Sprintf("answered %d %s", t.StatusCode, http.StatusText(t.StatusCode)), message)
	plainHTTP := t.Request != nil && t.Request.URL.Scheme == "http"
	return &UnavailableError{Host: host, Reference: ref, Status: t.StatusCode, PlainHTTP: plainHTTP, Err: errors.New(text)}
}

// said returns the code and the message of a registry's answer.
func said(t *transport.Error) (code, message string) {
	var words []string
	for _, d := range t.Errors {
		if code == "" {
			code = plain.Short(string(d.Code))
		}
		text := d.Message
		if text == "" {
			text = string(d.Code)
		}
		if s, ok := d.Detail.(string); ok && s != "" {
			text += " (" + s + ")"
		}
		words = append(words, text)
	}
	return code, plain.Short(strings.Join(words, "; "))
}

// ours returns the error of this package that err wraps, without what is around
// it, which may hold a URL; nil where there is none.
func ours(err error) error {
	if e, ok := errors.AsType[*AuthError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*NotFoundError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*images.NotFoundError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*UnavailableError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*NoRegistryError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*images.DamagedError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*PlatformError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*ReferrersError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*AttachedError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*credentials.HelperError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*PlainHTTPError](err); ok {
		return e
	}
	return nil
}

// withoutURL takes the URL, which may hold a token, and the control characters out of
// a network error, and keeps what it wraps.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return plain.Error(err)
}

func withMessage(s, message string) string {
	if message == "" {
		return s
	}
	return s + ": " + message
}

func prefixed(ref, s string) string {
	if ref == "" {
		return s
	}
	return ref + ": " + s
}
