package containers

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func TestTransportKeepsHost(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) }))
	defer srv.Close()
	dials := 0
	run := &Container{peer: newPeer(func(ctx context.Context) (net.Conn, error) {
		dials++
		return (&net.Dialer{}).DialContext(ctx, "tcp", srv.Listener.Addr().String())
	})}
	defer run.peer.transport.CloseIdleConnections()
	for _, want := range []string{"one.example", "two.example:81", "said.example"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+want+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if want == "said.example" {
			req.Host, req.URL.Host = want, "function"
		}
		url := req.URL.String()
		res, err := run.Transport().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if string(body) != want || err != nil || res.Body.Close() != nil {
			t.Errorf("%s: the server saw %q (%v)", want, body, err)
		}
		if req.URL.String() != url {
			t.Errorf("%s: the request was changed: %s", want, req.URL)
		}
	}
	if dials != 1 {
		t.Errorf("%d connections", dials)
	}
}

// Requests whose bodies do not come hold up no request that is whole.
func TestHalfSentBodies(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })) // a client sees what is missing
	defer srv.Close()
	run := &Container{peer: newPeer(func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", srv.Listener.Addr().String())
	})}
	defer run.peer.transport.CloseIdleConnections()
	send := func(body io.Reader, size int64) (string, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://function/", body)
		if err != nil {
			return "", err
		}
		if size != 0 {
			req.ContentLength = size
		}
		res, err := run.Transport().RoundTrip(req)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		got, err := io.ReadAll(res.Body)
		return string(got), err
	}
	var halves []*io.PipeWriter
	var all sync.WaitGroup
	for i := range 900 {
		r, w := io.Pipe()
		halves = append(halves, w)
		all.Go(func() {
			if got, err := send(r, []int64{-1, 8}[i%2]); err == nil && got != "halfhalf" {
				t.Errorf("%q", got)
			}
		})
		all.Go(func() { _, _ = io.WriteString(w, "half") }) // one that waits for its place reads it later
	}
	for len(run.peer.unsent) < mostUnsent {
		runtime.Gosched()
	}
	for _, body := range []string{"", "whole"} {
		if got, err := send(strings.NewReader(body), 0); got != body || err != nil {
			t.Errorf("%q was answered %q, %v", body, got, err)
		}
	}
	for _, w := range halves {
		all.Go(func() {
			_, _ = io.WriteString(w, "half") // as above
			_ = w.Close()                    // always nil
		})
	}
	all.Wait()
	if n := len(run.peer.unsent); n != 0 {
		t.Errorf("%d places are taken", n)
	}
}
