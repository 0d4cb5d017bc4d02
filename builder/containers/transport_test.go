package containers

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestTransportKeepsHost(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) }))
	defer srv.Close()
	dials := 0
	run := &Container{transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		dials++
		return (&net.Dialer{}).DialContext(ctx, "tcp", srv.Listener.Addr().String())
	}}}
	defer run.transport.CloseIdleConnections()
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
