package gateway

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"fnb/internal/framing"
)

// A Server serves at a port or a socket of this machine. It refuses a request that two readers
// may take for different ones, and gives up a body of which nothing comes any more.
type Server struct {
	http.Server
	patience time.Duration // without a byte of a body
}

const (
	headPatience = time.Minute
	bodyPatience = time.Minute
	// smallBody is a body that is read before the handler sees the request: one that does not come
	// takes no place of one that does.
	smallBody = 16 << 10
)

// NewServer makes a server.
func NewServer(h http.Handler) *Server {
	s := &Server{patience: bodyPatience}
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.admit(w, r) {
			s.watch(w, r, h)
		}
	})
	s.ReadHeaderTimeout = headPatience
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		followed, ok := c.(*followed)
		if !ok {
			return ctx
		}
		ctx = context.WithValue(ctx, connKey{}, followed)
		if c, ok := followed.Conn.(*inward); ok {
			ctx = context.WithValue(ctx, callerKey{}, c.from)
		}
		return ctx
	}
	return s
}

// Serve serves until the server is closed.
func (s *Server) Serve(l net.Listener) {
	_ = s.Server.Serve(follower{l}) // it ends with Close
}

// admit answers a request that is none for the handler.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) bool {
	c, ok := r.Context().Value(connKey{}).(*followed)
	if !ok {
		return true
	}
	is, may := c.ambiguous(r)
	if may { // whoever stands in front may have seen another end of it
		w.Header().Set("Connection", "close")
	}
	if is {
		refuse(w, http.StatusBadRequest, "a request with both Content-Length and Transfer-Encoding is refused: its end is not certain")
	}
	return !is
}

// watch has a request answered whose body must keep coming.
func (s *Server) watch(w http.ResponseWriter, r *http.Request, h http.Handler) {
	if r.Body != nil && r.Body != http.NoBody {
		b := &awaited{body: r.Body, limit: s.patience, control: http.NewResponseController(w)}
		r = r.WithContext(context.WithValue(r.Context(), bodyKey{}, b))
		r.Body = b
		if 0 < r.ContentLength && r.ContentLength <= smallBody {
			whole := make([]byte, r.ContentLength)
			if _, err := io.ReadFull(b, whole); err != nil {
				status, why := Unsent(r)
				refuse(w, cmp.Or(status, http.StatusBadRequest), cmp.Or(why, "the request's body did not come whole"))
				return
			}
			r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(whole)), nil }
			r.Body, _ = r.GetBody() // never fails
		}
	}
	h.ServeHTTP(w, r)
}

type (
	connKey struct{}
	bodyKey struct{}
)

// A follower follows the connections of a listener.
type follower struct{ net.Listener }

// Accept implements [net.Listener].
func (f follower) Accept() (net.Conn, error) {
	c, err := f.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &followed{Conn: c}, nil
}

// A followed connection knows which requests come by it.
type followed struct {
	net.Conn
	mu      sync.Mutex
	framing framing.Framing
}

// Read implements [net.Conn].
func (c *followed) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		c.mu.Lock()
		n = c.framing.Feed(p[:n])
		c.mu.Unlock()
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

// CloseWrite ends one direction, where the connection can.
func (c *followed) CloseWrite() error {
	if one, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return one.CloseWrite()
	}
	return c.Close()
}

func (c *followed) ambiguous(r *http.Request) (is, may bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.framing.Ambiguous(r)
}

// An awaited body is one of a client that must go on sending.
type awaited struct {
	body    io.ReadCloser
	limit   time.Duration
	control *http.ResponseController

	mu  sync.Mutex
	err error // why it did not come
}

// Read implements [io.Reader].
func (b *awaited) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(b.limit)) // what cannot have one has no client elsewhere
	n, err := b.body.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		_ = b.control.SetReadDeadline(time.Time{}) // as above; the server reads on, to see the client go
	case err != nil:
		b.mu.Lock()
		b.err = err
		b.mu.Unlock()
	}
	return n, err
}

// Close implements [io.Closer].
func (b *awaited) Close() error { return b.body.Close() }

// Unsent says what a client did wrong with a request's body, and the status of the answer; 0 if
// it was not the client.
func Unsent(r *http.Request) (status int, why string) {
	b, ok := r.Context().Value(bodyKey{}).(*awaited)
	if !ok {
		return 0, ""
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.err == nil, errors.Is(b.err, http.ErrBodyReadAfterClose):
		return 0, ""
	case errors.Is(b.err, os.ErrDeadlineExceeded):
		return http.StatusRequestTimeout, "nothing of the request's body came for " + b.limit.String()
	}
	return http.StatusBadRequest, "the request's body did not come whole: " + b.err.Error()
}
