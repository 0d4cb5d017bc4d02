package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"fnb/internal/plain"
	"fnb/origin"
)

// maxETag bounds what is remembered of a file on a server.
const maxETag = 1 << 10

// A File is what a server of files has at an address.
type File struct {
	Body  io.ReadCloser // nil where it is the one with the ETag that was given
	ETag  string
	Reach origin.Reach // how far away the server is
}

// Get asks a server for a file, and with an ETag only for another one than has that:
// without credentials first, and then with each that is found for the host. What may be
// reached, and who is told of what, is as with a repository. A file that is not there is a
// [*NotFoundError].
func (c *Client) Get(ctx context.Context, address, etag string) (File, error) {
	guard := newGuard(c.opts)
	file := c.Open(address)
	client := &http.Client{Transport: guard, CheckRedirect: checkRedirect}
	ask := func(secret *origin.Secret) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, &UnreachableError{URL: address, Err: plain.Error(err)}
		}
		if etag != "" {
			req.Header.Set("If-None-Match", etag)
		}
		if strings.HasSuffix(address, ".gz") {
			req.Header.Set("Accept-Encoding", "identity") // it is packed once
		}
		guard.inner.Secret = secret
		resp, err := client.Do(req)
		if err != nil {
			return nil, file.explain(ctx, err, false)
		}
		return resp, nil
	}
	resp, sent, err := c.withCredentials(ctx, address, ask)
	if err != nil {
		return File{}, err
	}
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
		out := File{ETag: resp.Header.Get("ETag"), Reach: guard.met(), Body: &explainedBody{resp.Body, func(err error) error {
			return file.explain(ctx, &url.Error{Op: "Get", URL: address, Err: err}, false)
		}}}
		if len(out.ETag) > maxETag {
			out.ETag = ""
		}
		return out, nil
	case code == http.StatusNotModified && etag != "":
		_ = resp.Body.Close() // it has none
		return File{ETag: etag, Reach: guard.met()}, nil
	case code == http.StatusNotFound, code == http.StatusGone:
		err = &NotFoundError{URL: address, Err: errors.New("the server has no such file")}
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		err = &AuthError{URL: address, Host: origin.Of(resp.Request.URL).HostPort(), Sent: sent}
	default:
		err = &UnreachableError{URL: address, Err: fmt.Errorf("the server answered %d %s", code, http.StatusText(code))}
	}
	_ = resp.Body.Close() // it is of no interest
	return File{}, err
}

// An explainedBody is an answer whose errors say what they are of.
type explainedBody struct {
	io.ReadCloser
	explain func(error) error
}

// Read implements [io.Reader].
func (b *explainedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // a reader ends with it as it is
		err = b.explain(err)
	}
	return n, err
}

// withCredentials asks, and while the answer is that credentials are wanted, asks with
// each that is found. Sent says that there were some.
func (c *Client) withCredentials(ctx context.Context, address string, ask func(*origin.Secret) (*http.Response, error)) (_ *http.Response, sent bool, err error) {
	resp, err := ask(nil)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, false, err
	}
	sent, err = c.secrets(ctx, address, address, func(secret *origin.Secret) (more bool, _ error) {
		_ = resp.Body.Close()   // it is of no interest
		resp, err = ask(secret) //nolint:bodyclose // it is the caller's, or closed before the next
		return err == nil && resp.StatusCode == http.StatusUnauthorized, err
	})
	if err != nil && resp != nil {
		_ = resp.Body.Close() // as above
	}
	return resp, sent, err
}

// checkRedirect refuses to be led from HTTPS to anything else, and away from
// HTTP.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > 5 {
		return errors.New("it redirects more than five times")
	}
	if s := req.URL.Scheme; s != "https" && s != via[0].URL.Scheme {
		return fmt.Errorf("it redirects to %s://%s", s, plain.Short(req.URL.Host))
	}
	return nil
}
