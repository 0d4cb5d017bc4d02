package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An answer is what a callback is told.
type answer struct {
	status int
	header http.Header // of the function's answer
	body   *os.File    // the same; nil where there was none
	began  time.Time
	took   time.Duration
}

// mayCallBack checks where the answer of a call is to go, and returns the status of a refusal.
func (g *Gateway) mayCallBack(callback, from string) (status int, err error) {
	if callback == "" {
		return 0, nil
	}
	u, err := url.Parse(callback)
	switch {
	case err != nil:
		return http.StatusBadRequest, errors.New("it is no URL")
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return http.StatusBadRequest, errors.New("it must begin with http:// or https:// and name a host")
	}
	if host, port, err := hostPort(u); err != nil {
		return http.StatusBadRequest, err
	} else if from != "" && g.way(from, host, port) == nil {
		if g.o.Refused != nil {
			g.o.Refused(from, host, port)
		}
		return http.StatusForbidden, fmt.Errorf("the function %s does not reach %s, so its callbacks do not either", from, net.JoinHostPort(host, strconv.Itoa(port)))
	}
	return 0, nil
}

// hostPort is where a URL leads.
func hostPort(u *url.URL) (host string, port int, err error) {
	port = map[string]int{"http": 80, "https": 443}[u.Scheme]
	if p := u.Port(); p != "" {
		if port, err = strconv.Atoi(p); err != nil || port < 1 || port > 65535 {
			return "", 0, fmt.Errorf("%s is not a port", p)
		}
	}
	return strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")), port, nil
}

// way returns how a function reaches a host; nil where it does not. Somebody at this
// machine's port reaches the gateway by the functions' names, and nothing else this way.
func (g *Gateway) way(from, host string, port int) func(context.Context) (net.Conn, error) {
	if port == Port && slices.Contains(Names(), host) {
		return func(ctx context.Context) (net.Conn, error) { return g.Open(ctx, from) }
	}
	if from == "" || g.o.Reach == nil {
		return nil
	}
	return g.o.Reach(from, host, port)
}

// callbackLimit is how long one try of a callback may take.
const callbackLimit = time.Minute

// callBack tells a call's answer to where the call says, again after pauses where that may
// help.
func (g *Gateway) callBack(ctx context.Context, p policy, c *Call, a answer) error {
	from := g.caller(c)
	if _, err := g.mayCallBack(c.Callback, from); err != nil {
		if from != c.From {
			err = fmt.Errorf("%w; the letter is not one that this user's fnb has kept", err)
		}
		return err
	}
	transport := g.callbackTransport(from)
	defer transport.CloseIdleConnections()
	for tries := 1; ; tries++ {
		after, again, err := postOnce(ctx, transport, c, a)
		if err == nil || !again || tries >= p.attempts {
			return err
		}
		select {
		case <-time.After(p.pause(tries, after)):
		case <-ctx.Done():
			return err
		}
	}
}

// callbackTransport leads where the caller may. Its connections serve one call only: what
// one function reaches is not lent to another.
func (g *Gateway) callbackTransport(from string) *http.Transport {
	t := &http.Transport{DisableKeepAlives: true, DisableCompression: true, TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 1 << 20}
	if from == "" {
		t.Proxy = http.ProxyFromEnvironment
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		host, p, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		port, err := strconv.Atoi(p)
		if err != nil {
			return nil, err
		}
		if open := g.way(from, strings.ToLower(strings.TrimSuffix(host, ".")), port); open != nil {
			return open(ctx)
		}
		if from != "" {
			return nil, fmt.Errorf("the function %s does not reach %s", from, address)
		}
		return dialer.DialContext(ctx, network, address)
	}
	return t
}

// postOnce tries a callback once. A redirection is not followed.
func postOnce(ctx context.Context, rt http.RoundTripper, c *Call, a answer) (after time.Duration, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callbackLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Callback, http.NoBody)
	if err != nil {
		return 0, false, err
	}
	if a.header != nil {
		req.Header = a.header.Clone()
	}
	req.Header.Del("Content-Length")
	req.Header.Del(headerCallback) // a function's answer gives nobody another way
	if a.body != nil {
		size, err := a.body.Seek(0, io.SeekEnd)
		if err != nil {
			return 0, false, err
		}
		if req.ContentLength = size; size > 0 {
			req.Body = io.NopCloser(io.NewSectionReader(a.body, 0, size))
		}
	}
	if u := req.URL.User; u != nil {
		password, _ := u.Password()
		req.SetBasicAuth(u.Username(), password)
	}
	req.Header.Set(headerCallID, c.CallID)
	req.Header.Set(headerStart, strconv.FormatInt(a.began.UnixNano(), 10))
	req.Header.Set(headerDuration, seconds(a.took))
	req.Header.Set(headerFunction, c.Function)
	req.Header.Set(headerStatus, strconv.Itoa(a.status))
	res, err := rt.RoundTrip(req)
	if err != nil {
		return 0, true, err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<16)) // what it says is nobody's
	if res.StatusCode/100 == 2 {
		return 0, false, nil
	}
	p, _ := policyOf(nil) // never an error
	return retryAfter(res.Header, time.Now()), p.again(res.StatusCode), fmt.Errorf("it answered %s", res.Status)
}

// spool keeps an answer in a file without a name, for as long as its callback takes.
func (g *Gateway) spool(from io.ReadCloser) (*os.File, error) {
	name := g.run + "/answer-" + newCallID()
	f, err := g.letters.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_ = g.letters.root.Remove(name) // where that cannot be done it goes with the run
	if _, err := io.Copy(f, http.MaxBytesReader(nil, from, g.o.Limits.Body)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// ShownURL is a URL without its password.
func ShownURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "of the call"
	}
	return u.Redacted()
}
