package git

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"fnb/internal/plain"
	"fnb/origin"
)

// dial connects to the repository and reads its references: without credentials
// first, and then with each that is found for the host.
func (r *Remote) dial(ctx context.Context) error {
	if err := r.findWay(ctx); err != nil {
		return err
	}
	if err := r.checkReach(ctx, r.way.ep.Host, r.way.ep.Protocol == "ssh" || r.way.ep.Protocol == "git"); err != nil {
		return err
	}
	var err error
	switch r.way.ep.Protocol {
	case "https", "http":
		err = r.dialHTTP(ctx)
	case "ssh":
		err = r.dialSSH(ctx)
	case "git":
		if host := hostPort(r.way.ep); !plainAllowed(r.client.opts, host) {
			return &PlainHTTPError{Host: plain.Short(host)}
		}
		err = r.explain(ctx, r.greetWithin(ctx, r.daemonWire(r.way.ep)), false)
	default:
		return r.unreachable(fmt.Errorf("%q is not a protocol for repositories", plain.Short(r.way.ep.Protocol)))
	}
	if r.way.key != "" && err == nil {
		// How far away a mirror is says nothing of whoever writes what is in it.
		r.reach = origin.Public
	}
	return r.withUnfollowed(err)
}

// dialHTTP is dial by HTTP.
func (r *Remote) dialHTTP(ctx context.Context) error {
	shown := r.way.settings.Shows() && r.mayShow()
	ask := func(secret *origin.Secret) error {
		guard := newGuard(r.client.opts)
		guard.inner.Least, guard.inner.Secret = r.least(), secret
		guard.follow(r, shown)
		err := r.greet(ctx, newHTTPWire(r.way.address, guard))
		r.reach = guard.met()
		return err
	}
	var err error
	if r.way.secret != nil && r.mayShow() {
		if err = ask(r.way.secret); !wantsCredentials(err) || ctx.Err() != nil {
			return r.explain(ctx, err, true)
		}
	}
	if err = ask(nil); !wantsCredentials(err) || ctx.Err() != nil {
		return r.explain(ctx, err, shown)
	}
	if !r.mayAuthenticate() {
		return r.explain(ctx, err, false)
	}
	sent, ferr := r.client.secrets(ctx, r.url, r.way.address, func(secret *origin.Secret) (more bool, _ error) {
		err = ask(secret)
		return wantsCredentials(err), nil
	})
	if ferr != nil {
		return ferr
	}
	return r.explain(ctx, err, sent || shown || r.way.secret != nil)
}

// wantsCredentials reports whether an answer may be another one with credentials.
func wantsCredentials(err error) bool {
	answer, ok := errors.AsType[*answerError](err)
	return ok && answer.wantsSomebody()
}

// greetWithin is greet for wires that do not give up by themselves: it waits no longer
// than for any other server.
func (r *Remote) greetWithin(ctx context.Context, w wire) error {
	wait, cancel := context.WithTimeout(ctx, r.client.opts.Timeout)
	defer cancel()
	err := r.greet(wait, w)
	if err == nil {
		return nil
	}
	_ = w.close() // why it did not work is known
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case wait.Err() != nil:
		return &StalledError{after: r.client.opts.Timeout}
	}
	return err
}

// explain makes a typed error of one of go-git's.
func (r *Remote) explain(ctx context.Context, err error, sent bool) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e, ok := errors.AsType[*PlainHTTPError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*origin.ReachError](err); ok {
		return &InwardError{URL: r.url, Host: e.Host, Reach: e.Reach}
	}
	if e, ok := errors.AsType[*StalledError](err); ok {
		return &UnreachableError{URL: r.url, Err: e}
	}
	if e, ok := errors.AsType[*LimitError](err); ok {
		return &LimitError{Source: r.url, What: e.What, Limit: e.Limit}
	}
	if e, ok := errors.AsType[*FormatError](err); ok {
		return e
	}
	if answer, ok := errors.AsType[*answerError](err); ok {
		return r.explainAnswer(answer, sent)
	}
	switch {
	case errors.Is(err, errNoRepository), errors.Is(err, errEmpty):
		return &NotFoundError{URL: r.url, Err: r.placed(err)}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return r.unreachable(errors.New("the server ended the connection too early"))
	}
	if said, ok := errors.AsType[*saidError](err); ok {
		return r.unreachable(said)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return r.unreachable(u.Err)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return r.unreachable(op)
	}
	return r.unreachable(fmt.Errorf("talking git's protocol: %w", err))
}

// explainAnswer makes a typed error of an answer that is none of git's.
func (r *Remote) explainAnswer(answer *answerError, sent bool) error {
	said := answer.ownWords()
	switch {
	case answer.code == http.StatusUnauthorized, answer.code == http.StatusForbidden:
		return &AuthError{URL: r.url, Host: r.host(), Sent: sent, Said: said}
	case answer.signIn():
		return &AuthError{URL: r.url, Host: r.host(), Sent: sent, Said: "it answers with a page to sign in: " + said}
	case answer.code == http.StatusNotFound, answer.code == http.StatusGone:
		err := errNoRepository
		if said != "" {
			err = fmt.Errorf("%w: it says: %s", err, said)
		}
		return &NotFoundError{URL: r.url, Err: r.placed(err)}
	case answer.code == http.StatusOK && !answer.later:
		return &NoGitError{URL: r.url, Address: r.address(), Err: r.placed(answer)}
	}
	return r.unreachable(answer)
}

// plainAllowed reports whether host may be spoken to without encryption.
func plainAllowed(opts Options, host string) bool {
	return slices.Contains(opts.Insecure, host) || origin.IsLoopback(host)
}

// A guard lets HTTPS pass, and HTTP only where it may go; ends requests and answers
// that stall; and bounds answers.
type guard struct {
	inner  *origin.Guard
	opts   Options
	before func(*http.Request) error // what is to be done with a request; may be nil
}

func newGuard(opts Options) *guard {
	g := &guard{opts: opts, inner: origin.NewGuard(newTransport(opts), net.Dialer{})}
	g.inner.Least, g.inner.Exempt = opts.Restraint.Least, opts.anywhere
	return g
}

func newTransport(opts Options) *http.Transport {
	return &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		TLSClientConfig:   &tls.Config{RootCAs: opts.RootCAs, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
		IdleConnTimeout:   time.Minute,
	}
}

// follow makes the guard do what git's configuration says of each address. With show
// what names the user may be shown to the repository's own origin.
func (g *guard) follow(r *Remote, show bool) {
	type kind struct {
		to       origin.Origin
		stranger bool
	}
	made := map[kind]*http.Transport{}
	// Whoever redirects to another server, for now or for all that follows, does not make
	// that one the user's choice.
	stranger := func(req *http.Request) bool { return !show || origin.Led(req) || origin.Of(req.URL) != r.way.origin() }
	g.inner.Choose = func(req *http.Request) (*http.Transport, error) {
		k := kind{origin.Of(req.URL), stranger(req)}
		if t, ok := made[k]; ok {
			return t, nil
		}
		settings, err := r.way.config.HTTP(req.URL)
		if err != nil {
			return nil, err
		}
		t := newTransport(g.opts)
		if err := settings.Apply(t, k.stranger); err != nil {
			return nil, err
		}
		g.inner.Prepare(t)
		made[k] = t
		return t, nil
	}
	g.before = func(req *http.Request) error {
		settings, err := r.way.config.HTTP(req.URL)
		if err != nil {
			return err
		}
		if settings.UserAgent != "" {
			req.Header.Set("User-Agent", settings.UserAgent)
		}
		if stranger(req) {
			return nil
		}
		for _, h := range settings.Headers {
			req.Header.Add(h.Name, h.Value)
		}
		return nil
	}
}

// RoundTrip implements [http.RoundTripper].
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && (r.URL.Scheme != "http" || !plainAllowed(g.opts, r.URL.Host)) {
		return nil, &PlainHTTPError{Host: plain.Short(r.URL.Host)}
	}
	ctx, quiet := newStallWatch(r.Context(), g.opts.Timeout)
	r = r.Clone(ctx)
	if r.Body != nil {
		r.Body = &watchedBody{Reader: quiet.moved(r.Body), close: r.Body.Close}
		r.GetBody = nil // what is sent anew is not watched
	}
	if g.before != nil {
		if err := g.before(r); err != nil {
			quiet.End()
			return nil, err
		}
	}
	resp, err := g.inner.RoundTrip(r)
	if err != nil {
		quiet.End()
		return nil, quiet.why(err)
	}
	// An answer is more than the pack in it, but not by much.
	limit := g.opts.Limits.Download + g.opts.Limits.Download/8 + 1<<20
	most := &BoundedReader{R: quiet.moved(resp.Body), Left: limit, Err: &LimitError{What: "an answer has more bytes", Limit: limit}}
	body := resp.Body
	resp.Body = &watchedBody{Reader: most, close: func() error {
		defer quiet.End()
		return body.Close()
	}}
	return resp, nil
}

// A watchedBody is one whose reading is watched.
type watchedBody struct {
	io.Reader
	close func() error
}

// Close ends the request.
func (w *watchedBody) Close() error { return w.close() }

// A BoundedReader fails with Err behind Left bytes.
type BoundedReader struct {
	R    io.Reader
	Left int64
	Err  error
}

// Read implements [io.Reader].
func (b *BoundedReader) Read(p []byte) (int, error) {
	n, err := b.R.Read(p)
	if b.Left -= int64(n); b.Left < 0 {
		return 0, b.Err
	}
	return n, err
}
