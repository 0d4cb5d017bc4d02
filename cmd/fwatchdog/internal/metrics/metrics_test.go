package metrics

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestRequests(t *testing.T) {
	t.Parallel()
	m := New()
	for _, r := range []struct {
		method string
		status int
		took   time.Duration
	}{{"GET", 200, time.Millisecond}, {"GET", 200, 20 * time.Millisecond}, {"BREW", 418, time.Minute}} {
		m.Begin()
		m.End(r.method, r.status, r.took)
	}
	m.Begin()
	if m.InFlight() != 1 {
		t.Errorf("%d in flight", m.InFlight())
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		"http_requests_in_flight 1\n",
		`http_requests_total{code="200",method="get"} 2` + "\n",
		`http_requests_total{code="418",method="unknown"} 1` + "\n",
		`http_request_duration_seconds_bucket{code="200",method="get",le="0.005"} 1` + "\n",
		`http_request_duration_seconds_bucket{code="200",method="get",le="0.025"} 2` + "\n",
		`http_request_duration_seconds_bucket{code="418",method="unknown",le="10"} 0` + "\n",
		`http_request_duration_seconds_count{code="418",method="unknown"} 1` + "\n",
		"process_resident_memory_bytes ",
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %q in\n%s", want, w.Body)
		}
	}
}

func BenchmarkEnd(b *testing.B) {
	m := New()
	for b.Loop() {
		m.Begin()
		m.End("GET", 200, time.Millisecond)
	}
}
