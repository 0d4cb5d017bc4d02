package registry

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
)

// A Status says what became of a blob or is happening to it.
type Status string

// What an [Event] tells.
const (
	StatusSending Status = "sending" // Bytes of Total are sent
	StatusSent    Status = "sent"
	StatusMounted Status = "mounted"   // taken over from another repository
	StatusPresent Status = "present"   // the registry had it
	StatusFetched Status = "fetched"   // pulled into the image store
	StatusWaiting Status = "waiting"   // for Seconds, because of Reason, before the next attempt
	StatusTagged  Status = "published" // the manifest is in the registry
)

// An Event is one step of a push or pull, for a progress display.
type Event struct {
	Reference string // the push's or pull's
	Digest    string
	Status    Status
	Bytes     int64 // sent so far
	Total     int64
	Seconds   float64
	Reason    string
}

// reportEvery is how many bytes are sent between two events.
const reportEvery = 1 << 20

// A trace learns from the requests of one blob's upload what became of it:
// go-containerregistry does not say.
type trace struct {
	mu     sync.Mutex
	status Status
}

type traceKey struct{}

func withTrace(ctx context.Context) (context.Context, *trace) {
	t := &trace{}
	return context.WithValue(ctx, traceKey{}, t), t
}

// traceOf returns ctx's trace, nil where there is none.
func traceOf(ctx context.Context) *trace {
	t, _ := ctx.Value(traceKey{}).(*trace)
	return t
}

// A traceTransport tells the trace of each request what was answered.
type traceTransport struct{ inner http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (t *traceTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.inner.RoundTrip(r)
	if err == nil {
		traceOf(r.Context()).saw(r, resp)
	}
	return resp, err
}

// saw notes an answer.
func (t *trace) saw(r *http.Request, resp *http.Response) {
	if t == nil || strings.Contains(r.URL.Path, "/manifests/") {
		return // what is left is the blob's; its content may have any address
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case r.Method == http.MethodHead && resp.StatusCode == http.StatusOK:
		t.status = StatusPresent
	case r.Method == http.MethodPost && resp.StatusCode == http.StatusCreated:
		t.status = StatusMounted
	case r.Method == http.MethodPut && resp.StatusCode == http.StatusCreated:
		t.status = StatusSent
	}
}

func (t *trace) outcome() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status
}

// A countingReader reports how much of a blob was read.
type countingReader struct {
	io.ReadCloser
	report   func(done int64)
	done     int64
	reported int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.done += int64(n)
	if c.done-c.reported >= reportEvery {
		c.reported = c.done
		c.report(c.done)
	}
	return n, err
}
