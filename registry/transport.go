package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"fnb/internal/plain"
	"fnb/origin"
	"fnb/registry/answers"
)

const (
	maxPatience  = time.Minute            // spent waiting for one manifest or blob, in all
	firstWait    = 250 * time.Millisecond // before the second attempt; doubles
	longestWait  = 10 * time.Second       // unless the registry asks for more
	maxAttempts  = 10
	fewAttempts  = 3 // of connecting to a host that has never answered
	longestStall = 2 * time.Minute
	firstAnswer  = time.Minute // for the first question to a host, before it has answered any
)

// newTransport returns the transport below everything: it waits and tries again
// where that can help, and refuses plain HTTP where it was not asked for.
func newTransport(opts Options, plain func(host string) bool) *retryTransport {
	base := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		TLSClientConfig:       &tls.Config{RootCAs: opts.RootCAs, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          100,
		MaxIdleConnsPerHost:   50,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		ResponseHeaderTimeout: 5 * time.Minute,
	}
	dialer := net.Dialer{Timeout: 20 * time.Second, KeepAlive: 30 * time.Second}
	lead := newLeadGuard(base, dialer, func(host string) bool {
		return slices.Contains(opts.Insecure, host) || origin.Listed(os.Getenv(origin.PrivateHosts), host)
	})
	lead.least = opts.Least
	return &retryTransport{inner: &schemeGuard{inner: lead, plain: plain}, lead: lead, first: firstAnswer}
}

// A schemeGuard lets HTTPS pass, and HTTP only to the hosts it may go to. It sees
// redirects and upload locations too, so a registry cannot lead out of HTTPS.
type schemeGuard struct {
	inner http.RoundTripper
	plain func(host string) bool
}

// RoundTrip implements [http.RoundTripper].
func (g *schemeGuard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "https" || r.URL.Scheme == "http" && g.plain(r.URL.Host) {
		resp, err := g.inner.RoundTrip(r)
		if err == nil && resp.StatusCode >= http.StatusBadRequest {
			// Whoever reads an error reads it whole.
			resp.Body = struct {
				io.Reader
				io.Closer
			}{io.LimitReader(resp.Body, answers.MaxShort), resp.Body}
		}
		return resp, err
	}
	if r.Body != nil {
		if err := r.Body.Close(); err != nil {
			return nil, err
		}
	}
	return nil, &PlainHTTPError{Host: plain.Short(r.URL.Host)}
}

// A leadGuard looks at whom a registry leads to: who gives out its tokens, where it
// redirects to, and where uploads go. Any public host will do, as with Docker and
// containerd, since Docker Hub's and GitLab's tokens come from elsewhere: the secret of
// a registry is the registry's to pass on. But it leads to no host that is nearer than
// all registries that were asked for, and by a redirect goes no secret along. The registries
// themselves are no nearer than whoever names them may lead.
type leadGuard struct {
	guard *origin.Guard
	least origin.Reach
	named sync.Map // the registries that were asked for, with their ports
	met   func() (nearest, farthest origin.Reach, ok bool)
}

func newLeadGuard(inner *http.Transport, dialer net.Dialer, exempt func(host string) bool) *leadGuard {
	g := origin.NewGuard(inner, dialer)
	g.Exempt = exempt
	return &leadGuard{guard: g, met: g.Met}
}

// name notes a registry that was asked for.
func (g *leadGuard) name(host string) { g.named.Store(host, true) }

// RoundTrip implements [http.RoundTripper].
func (g *leadGuard) RoundTrip(r *http.Request) (*http.Response, error) {
	least := g.least
	if _, ok := g.named.Load(r.URL.Host); !ok {
		nearest, _, _ := g.met() // nobody was met before the first registry
		least = max(least, nearest)
	}
	return g.guard.Within(r, least)
}

// A retryBudget is how much waiting one operation may still do. The transport and
// the loop around a blob's upload spend the same one.
type retryBudget struct {
	mu       sync.Mutex
	left     time.Duration
	attempts int
}

type budgetKey struct{}

// withBudget gives ctx a budget of its own.
func withBudget(ctx context.Context) (context.Context, *retryBudget) {
	p := &retryBudget{left: maxPatience}
	return context.WithValue(ctx, budgetKey{}, p), p
}

func budgetOf(ctx context.Context) *retryBudget {
	if p, ok := ctx.Value(budgetKey{}).(*retryBudget); ok {
		return p
	}
	return &retryBudget{left: maxPatience}
}

// wait sleeps before the next attempt and reports whether there is to be one. The
// registry's own wish, asked, is kept to; one that is too long ends the attempts.
func (p *retryBudget) wait(ctx context.Context, asked time.Duration, limit int) bool {
	p.mu.Lock()
	p.attempts++
	d := min(firstWait<<min(p.attempts-1, 10), longestWait)
	d = d/2 + rand.N(d/2+1)
	d = max(d, asked)
	more := p.attempts < limit && d <= p.left
	if more {
		p.left -= d
	} else {
		p.left = -1 // whoever else spends this budget is to stop too
	}
	p.mu.Unlock()
	if !more {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// A retryTransport repeats requests that may be repeated without harm.
type retryTransport struct {
	inner http.RoundTripper
	lead  *leadGuard
	alive sync.Map      // hosts that have answered
	first time.Duration // for the first question to a host
}

// RoundTrip implements [http.RoundTripper].
func (t *retryTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	p := budgetOf(ctx)
	if r.Body != nil && r.GetBody != nil {
		// The layers above send one request twice when a token has expired, so its
		// own body is left alone, perhaps closed twice, and each attempt reads a new
		// one.
		_ = r.Body.Close()
	}
	for {
		attempt, err := rewound(r)
		if err != nil {
			return nil, err
		}
		resp, err := t.send(attempt)
		if resp != nil {
			t.alive.Store(r.URL.Host, true)
		}
		asked, again := t.again(resp, err)
		if !again || ctx.Err() != nil || !repeatable(r) || t.silent(r.URL.Host, err) {
			return resp, err
		}
		if !p.wait(ctx, asked, t.attempts(r.URL.Host)) {
			return resp, err
		}
		if resp != nil {
			// The answer is given up; what is left of it does not matter.
			_, _ = io.CopyN(io.Discard, resp.Body, answers.MaxShort)
			_ = resp.Body.Close()
		}
	}
}

// A silentError says that a host took a question and did not answer. It is a [net.Error].
type silentError struct{ after time.Duration }

func (e *silentError) Error() string { return "no answer within " + e.after.String() }

// Timeout implements [net.Error].
func (*silentError) Timeout() bool { return true }

// Temporary implements [net.Error].
func (*silentError) Temporary() bool { return true }

// send sends a request. A host that has never answered gets little time for a question: what takes a registry long is to
// take something, and it has answered before.
func (t *retryTransport) send(r *http.Request) (*http.Response, error) {
	if _, alive := t.alive.Load(r.URL.Host); alive || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return t.inner.RoundTrip(r)
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	silent := &silentError{t.first}
	timer := time.AfterFunc(t.first, func() { cancel(silent) })
	resp, err := t.inner.RoundTrip(r.WithContext(ctx))
	timer.Stop()
	if err != nil {
		if context.Cause(ctx) == silent { //nolint:errorlint // it is that one
			err = silent
		}
		cancel(nil)
		return resp, err
	}
	resp.Body = &endingBody{resp.Body, func() { cancel(nil) }}
	return resp, nil
}

// An endingBody ends what its answer needs once it is closed.
type endingBody struct {
	io.ReadCloser
	end func()
}

// Close implements [io.Closer].
func (b *endingBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

func (t *retryTransport) attempts(host string) int {
	if _, ok := t.alive.Load(host); ok {
		return maxAttempts
	}
	return fewAttempts
}

// silent reports whether a host that has never answered did not even refuse: that
// took long enough to see once.
func (t *retryTransport) silent(host string, err error) bool {
	_, alive := t.alive.Load(host)
	ne, ok := errors.AsType[net.Error](err)
	return !alive && ok && ne.Timeout()
}

// repeatable reports whether a request may be sent again as it is. A blob's
// content may not: the upload has to be started anew.
func repeatable(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return true
	case http.MethodPut:
		return strings.Contains(r.URL.Path, "/manifests/")
	case http.MethodPost:
		// Starting an upload twice, or asking for a token twice, does no harm.
		return r.Body == nil || r.Body == http.NoBody || r.GetBody != nil
	}
	return false
}

// rewound returns the request with its body from the start, where it can be had.
func rewound(r *http.Request) (*http.Request, error) {
	if r.Body == nil || r.GetBody == nil {
		return r, nil
	}
	r = r.Clone(r.Context())
	body, err := r.GetBody()
	r.Body = body
	return r, err
}

// again reports whether an attempt should be repeated, and how long the registry asks
// to wait.
func (t *retryTransport) again(resp *http.Response, err error) (asked time.Duration, again bool) {
	if err != nil {
		return 0, isTransient(err)
	}
	codes := []int{
		http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
		499, 522, // what nginx and Cloudflare say when the connection behind them broke
	}
	if !slices.Contains(codes, resp.StatusCode) {
		return 0, false
	}
	return retryAfter(resp.Header.Get("Retry-After"), time.Now()), true
}

// retryAfter reads a Retry-After header: seconds, or a date.
func retryAfter(s string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(strings.TrimSpace(s)); err == nil {
		return time.Duration(min(max(n, 0), 1<<20)) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// isTransient reports whether an error of the network may pass by itself.
func isTransient(err error) bool {
	if _, ok := errors.AsType[*PlainHTTPError](err); ok {
		return false
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return false
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return false
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return false
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.IsTemporary || dns.IsTimeout
	}
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return true
	}
	for _, passing := range []error{
		errStalled, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNRESET, syscall.ECONNREFUSED,
		syscall.ECONNABORTED, syscall.EPIPE, syscall.ENETUNREACH, syscall.EHOSTUNREACH,
	} {
		if errors.Is(err, passing) {
			return true
		}
	}
	// net/http and its HTTP/2 have no types for these.
	text := err.Error()
	return strings.Contains(text, "http2: ") || strings.Contains(text, "stream error: ") ||
		strings.Contains(text, "server closed idle connection") || strings.Contains(text, "connection broken")
}
