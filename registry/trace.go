package registry

import (
	"context"
	"net/http"
	"strings"
	"sync"
)

// A fate is what became of a blob that a push brought to a registry.
type fate int

const (
	fatePresent fate = iota // the registry had it
	fateSent
	fateMounted // taken over from another repository
)

// A trace learns from the requests of one blob's upload what became of it:
// go-containerregistry does not say.
type trace struct {
	mu   sync.Mutex
	fate fate
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
		t.fate = fatePresent
	case r.Method == http.MethodPost && resp.StatusCode == http.StatusCreated:
		t.fate = fateMounted
	case r.Method == http.MethodPut && resp.StatusCode == http.StatusCreated:
		t.fate = fateSent
	}
}

func (t *trace) outcome() fate {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fate
}
