package containers

import (
	"cmp"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Transport reaches the container over HTTP, whatever the host of a request's
// URL is. The first connection takes the builder some time, a request about a millisecond.
func (r *Container) Transport() http.RoundTripper { return &onePeer{&r.peer, r.host()} }

const (
	// mostRequests is how many may be under way in a container: its processes may have so many files.
	mostRequests = 512
	// mostUnsent is how many of them may be there while their bodies still come. The others have no
	// body, or are whole: clients that send slowly, or not at all, do not hold those up.
	mostUnsent = mostRequests * 3 / 4
)

// A peer is what answers requests in a container.
type peer struct {
	transport *http.Transport
	unsent    chan struct{} // places of requests whose bodies still come
}

func newPeer(dial func(context.Context) (net.Conn, error)) peer {
	return peer{
		transport: &http.Transport{
			DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
			DisableCompression: true,
			// They are given up before the watchdog, which waits 30 seconds for a request, does.
			MaxConnsPerHost: mostRequests, MaxIdleConnsPerHost: 64, IdleConnTimeout: 20 * time.Second,
		},
		unsent: make(chan struct{}, mostUnsent),
	}
}

// A onePeer asks the container whatever host a request's URL has: the connection
// that was made for one serves the others too.
type onePeer struct {
	*peer
	host string
}

// RoundTrip implements [http.RoundTripper].
func (p *onePeer) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.WithContext(req.Context()) // a copy
	u := *req.URL
	out.Host = cmp.Or(req.Host, u.Host)
	u.Scheme, u.Host = "http", p.host
	out.URL = &u
	if err := p.await(out); err != nil {
		_ = req.Body.Close() // it is of no use
		return nil, err
	}
	return p.transport.RoundTrip(out)
}

// await waits for a place for a request whose body may still have to come. One that can be got
// again is whole.
func (p *peer) await(req *http.Request) error {
	if req.Body == nil || req.Body == http.NoBody || req.GetBody != nil {
		return nil
	}
	select {
	case p.unsent <- struct{}{}:
		req.Body = &placed{ReadCloser: req.Body, leave: sync.OnceFunc(func() { <-p.unsent })}
		return nil
	case <-req.Context().Done():
		return req.Context().Err()
	}
}

// A placed body is one of a request that has a place until its end.
type placed struct {
	io.ReadCloser
	leave func()
}

// Read implements [io.Reader].
func (b *placed) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.leave()
	}
	return n, err
}

// Close implements [io.Closer].
func (b *placed) Close() error {
	b.leave()
	return b.ReadCloser.Close()
}
