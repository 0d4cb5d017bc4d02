package store

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

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"
	gitproto "github.com/go-git/go-git/v5/plumbing/transport/git"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"

	"fnb/internal/plain"
	"fnb/origin"
)

// dial connects to the repository and reads its references: without credentials
// first, and then with each that is found for the host.
func (r *remote) dial(ctx context.Context) error {
	ep, err := transport.NewEndpoint(r.url)
	if err != nil {
		return &UnreachableError{URL: r.url, Err: plain.Error(err)}
	}
	isHTTP := ep.Protocol == "https" || ep.Protocol == "http"
	if err := r.checkReach(ctx, ep.Host, !isHTTP); err != nil {
		return err
	}
	if ep.Protocol == "ssh" {
		return r.dialSSH(ctx, ep)
	}
	if !isHTTP {
		r.reach, _ = origin.ReachOfHost(ep.Host)
		client, err := r.otherClient(ep)
		if err != nil {
			return err
		}
		return r.explain(ctx, r.startWithin(ctx, func(ctx context.Context, late *remote) error {
			return late.start(ctx, client, ep, nil)
		}), false)
	}
	ask := func(secret *origin.Secret) error {
		// A failed session may have changed the endpoint by following redirects.
		ep, err := transport.NewEndpoint(r.url)
		if err != nil {
			return &UnreachableError{URL: r.url, Err: plain.Error(err)}
		}
		guard := newGuard(r.store.opts)
		guard.inner.Secret = secret
		err = r.start(ctx, githttp.NewClient(&http.Client{Transport: guard}), ep, nil)
		r.reach = guard.met()
		return err
	}
	if err = ask(nil); !wantsCredentials(err) || ctx.Err() != nil {
		return r.explain(ctx, err, false)
	}
	finder := r.store.credentials()
	ferr := finder.secrets(ctx, r.url, func(secret *origin.Secret) (more bool, _ error) {
		err = ask(secret)
		return wantsCredentials(err), nil
	})
	if ferr != nil {
		return ferr
	}
	return r.explain(ctx, err, finder.sent)
}

// wantsCredentials reports whether an answer may be another one with credentials:
// many servers say of private repositories that they do not exist.
func wantsCredentials(err error) bool {
	return errors.Is(err, transport.ErrAuthenticationRequired) || errors.Is(err, transport.ErrAuthorizationFailed) ||
		errors.Is(err, transport.ErrRepositoryNotFound)
}

func (r *remote) start(ctx context.Context, client transport.Transport, ep *transport.Endpoint, auth transport.AuthMethod) error {
	if r.push {
		return r.startPush(ctx, client, ep, auth)
	}
	session, err := client.NewUploadPackSession(ep, auth)
	if err != nil {
		return err
	}
	adv, err := session.AdvertisedReferencesContext(ctx)
	if err != nil {
		// Why it did not work is known.
		_ = session.Close()
		return err
	}
	r.session, r.adv = session, adv
	return nil
}

// startWithin is start with transports that do not give up by themselves. It waits no
// longer than for any other server, and whatever comes later is closed.
func (r *remote) startWithin(ctx context.Context, start func(context.Context, *remote) error) error {
	wait, cancel := context.WithTimeout(ctx, r.store.opts.Timeout)
	defer cancel()
	late := &remote{store: r.store, url: r.url, push: r.push}
	done := make(chan error, 1)
	go func() { done <- start(wait, late) }()
	var err error
	select {
	case err = <-done:
	case <-wait.Done():
		go func() {
			if <-done == nil {
				late.close()
			}
		}()
		err = wait.Err()
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return &stalledError{after: r.store.opts.Timeout}
	case err != nil:
		return err
	}
	r.session, r.receive, r.adv = late.session, late.receive, late.adv
	return nil
}

// startPush is start for writing.
func (r *remote) startPush(ctx context.Context, client transport.Transport, ep *transport.Endpoint, auth transport.AuthMethod) error {
	session, err := client.NewReceivePackSession(ep, auth)
	if err != nil {
		return err
	}
	adv, err := session.AdvertisedReferencesContext(ctx)
	if err != nil {
		// Why it did not work is known.
		_ = session.Close()
		return err
	}
	r.receive, r.adv = session, adv
	return nil
}

func (r *remote) otherClient(ep *transport.Endpoint) (transport.Transport, error) {
	switch ep.Protocol {
	case "git":
		host := ep.Host
		if ep.Port != 0 {
			host = fmt.Sprintf("%s:%d", host, ep.Port)
		}
		if !plainAllowed(r.store.opts, host) {
			return nil, &PlainHTTPError{Host: plain.Short(host)}
		}
		return gitproto.DefaultClient, nil
	}
	return nil, &UnreachableError{URL: r.url, Err: fmt.Errorf("%q is no protocol for repositories", plain.Short(ep.Protocol))}
}

// explain makes a typed error of one of go-git's.
func (r *remote) explain(ctx context.Context, err error, sent bool) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// These two of go-git's keep what they wrap to themselves.
	if e, ok := errors.AsType[*plumbing.UnexpectedError](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*plumbing.PermanentError](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*PlainHTTPError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*origin.ReachError](err); ok {
		return &InwardError{URL: r.url, Host: e.Host, Reach: e.Reach}
	}
	if e, ok := errors.AsType[*stalledError](err); ok {
		return &UnreachableError{URL: r.url, Err: e}
	}
	if e, ok := errors.AsType[*LimitError](err); ok {
		return &LimitError{Source: r.url, What: e.What, Limit: e.Limit}
	}
	host := ""
	if u, perr := url.Parse(r.url); perr == nil {
		host = origin.Of(u).HostPort()
	}
	switch {
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed):
		return &AuthError{URL: r.url, Host: host, Sent: sent}
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return &NotFoundError{Name: r.url, Err: errors.New("the server has no such repository")}
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return &NotFoundError{Name: r.url, Err: errors.New("the repository is empty")}
	}
	// The last is what go-git says, some seconds after a connection without a channel for
	// errors has ended.
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || err.Error() == "timeout exceeded" {
		return &UnreachableError{URL: r.url, Err: errors.New("the server ended the connection before all was said")}
	}
	if answer, ok := errors.AsType[*githttp.Err](err); ok {
		return &UnreachableError{URL: r.url, Err: fmt.Errorf("the server answered %d %s", answer.StatusCode(), http.StatusText(answer.StatusCode()))}
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return &UnreachableError{URL: r.url, Err: plain.Error(u.Err)}
	}
	return &UnreachableError{URL: r.url, Err: plain.Error(fmt.Errorf("talking git's protocol: %w", err))}
}

// plainAllowed reports whether host may be spoken to without encryption.
func plainAllowed(opts Options, host string) bool {
	return slices.Contains(opts.Insecure, host) || origin.IsLoopback(host)
}

// A guard lets HTTPS pass, and HTTP only where it may go; ends requests and answers
// that stall; and bounds answers.
type guard struct {
	inner *origin.Guard
	opts  Options
}

func newGuard(opts Options) *guard {
	g := &guard{opts: opts, inner: origin.NewGuard(&http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		TLSClientConfig:   &tls.Config{RootCAs: opts.RootCAs, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
		IdleConnTimeout:   time.Minute,
	}, net.Dialer{})}
	g.inner.Least, g.inner.Exempt = opts.least, opts.anywhere
	return g
}

// RoundTrip implements [http.RoundTripper].
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && (r.URL.Scheme != "http" || !plainAllowed(g.opts, r.URL.Host)) {
		return nil, &PlainHTTPError{Host: plain.Short(r.URL.Host)}
	}
	ctx, quiet := newPatience(r.Context(), g.opts.Timeout)
	r = r.Clone(ctx)
	if r.Body != nil {
		r.Body = &watched{Reader: quiet.moved(r.Body), close: r.Body.Close}
		r.GetBody = nil // what is sent anew is not watched
	}
	resp, err := g.inner.RoundTrip(r)
	if err != nil {
		quiet.end()
		return nil, quiet.why(err)
	}
	// An answer is more than the pack in it, but not by much.
	limit := g.opts.Limits.Download + g.opts.Limits.Download/8 + 1<<20
	most := &bounded{r: quiet.moved(resp.Body), left: limit, err: &LimitError{What: "an answer has more bytes", Limit: limit}}
	body := resp.Body
	resp.Body = &watched{Reader: most, close: func() error {
		defer quiet.end()
		return body.Close()
	}}
	return resp, nil
}

// A watched body is one whose reading is watched.
type watched struct {
	io.Reader
	close func() error
}

// Close ends the request.
func (w *watched) Close() error { return w.close() }
