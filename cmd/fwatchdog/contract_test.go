package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The tests in the files contract_*_test.go see the watchdog from outside only. FWATCHDOG=/path/to/it
// points them at another one; what they then skip is what fnb's does beyond the contract.

// saw decodes what the function's /see answered.
func saw(t *testing.T, r reply) seen {
	t.Helper()
	r.wantStatus(t, http.StatusOK)
	var s seen
	if err := json.Unmarshal([]byte(r.body), &s); err != nil {
		t.Fatalf("%v in %q", err, r.body)
	}
	return s
}

func TestContractEndpoints(t *testing.T) {
	parallel(t)
	d := launch(t, fn(t, "server")...).serving()
	for _, tt := range []struct {
		name, method, path string
		status             int
		body               string
	}{
		{"health", http.MethodGet, "/_/health", 200, "OK"},
		{"health by another method", http.MethodPost, "/_/health", 405, ""},
		{"ready", http.MethodGet, "/_/ready", 200, ""},
		{"the function", http.MethodGet, "/", 200, "Hello, world"},
		{"any path is the function's", http.MethodGet, "/_/other", 200, "Hello, world"},
		{"an unclean path is passed on as it is", http.MethodGet, "/status/410//..", 307, `<a href="/status">Temporary Redirect</a>.`},
		{"any method", "PURGE", "/", 200, "Hello, world"},
		{"the function's status", http.MethodGet, "/status/418", 418, ""},
		{"a redirect is passed on", http.MethodGet, "/status/302", 302, ""},
		{"a status without a body", http.MethodGet, "/status/204", 204, ""},
		{"not modified", http.MethodGet, "/status/304", 304, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := d.do(tt.method, tt.path, "")
			r.wantStatus(t, tt.status)
			if strings.TrimSpace(r.body) != tt.body {
				t.Errorf("body %q, want %q", r.body, tt.body)
			}
		})
	}
}

func TestContractRequestReachesTheFunction(t *testing.T) {
	parallel(t)
	d := launch(t, fn(t, "server")...).serving()
	s := saw(t, d.do(http.MethodPost, "/see?a=1&b=%20x", "the body", "X-Custom: v1", "X-Custom: v2", "X-Call-Id: c1",
		"Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "Tracestate: k=v", "Host: fn.example", "User-Agent: test"))
	if s.Method != http.MethodPost || s.URI != "/see?a=1&b=%20x" || s.Body != "the body" || s.Host != "fn.example" || s.Length != 8 {
		t.Errorf("the function saw %+v", s)
	}
	for name, want := range map[string]string{
		"X-Custom": "v1,v2", "X-Call-Id": "c1", "Tracestate": "k=v", "User-Agent": "test",
		"Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	} {
		if got := strings.Join(s.Header[name], ","); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestContractAnswerHeaders(t *testing.T) {
	parallel(t)
	d := launch(t, fn(t, "server")...).serving()
	r := d.get("/see")
	if took, err := strconv.ParseFloat(r.Header.Get("X-Duration-Seconds"), 64); err != nil || took <= 0 || took > 5 {
		t.Errorf("X-Duration-Seconds: %q", r.Header.Get("X-Duration-Seconds"))
	}
	if got := r.Header["Set-Cookie"]; len(got) != 2 {
		t.Errorf("Set-Cookie: %q, want both", got)
	}
	if got := r.Header.Get("X-OpenFaaS-Internal"); got != "" {
		t.Errorf("X-OpenFaaS-Internal: %q on the function's own answer", got)
	}
}

func TestContractUpstreamPathIsAPrefix(t *testing.T) {
	parallel(t)
	variables := fn(t, "server")
	for i, v := range variables {
		if strings.HasPrefix(v, "upstream_url=") {
			variables[i] = v + "/status/"
		}
	}
	d := launch(t, variables...).serving()
	d.get("/203").wantStatus(t, 203)
}

func TestContractDialError(t *testing.T) {
	parallel(t)
	up := rawUpstream(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
	d := launch(t, before(t, up.address)...).serving()
	d.get("/").wantStatus(t, http.StatusOK)
	up.close()
	r := d.get("/")
	r.wantStatus(t, http.StatusInternalServerError)
	if r.Header.Get("X-OpenFaaS-Internal") != "of-watchdog" {
		t.Errorf("headers %v do not say who failed", r.Header)
	}
}

func TestContractExecTimeout(t *testing.T) {
	parallel(t)
	d := launch(t, fn(t, "server", "exec_timeout=400ms")...).serving()
	start := time.Now()
	r := d.get("/slow/5000")
	r.wantStatus(t, http.StatusGatewayTimeout)
	if took := time.Since(start); took < 350*time.Millisecond || took > 3*time.Second {
		t.Errorf("it took %v, want exec_timeout", took)
	}
	if !d.logged("exec_timeout") {
		t.Error("the log does not name exec_timeout")
	}
}

func TestContractTimeouts(t *testing.T) {
	parallel(t)
	d := launch(t, fn(t, "server", "exec_timeout=8s", "read_timeout=20s", "write_timeout=20s")...).serving()
	start := time.Now()
	d.get("/slow/15000", "X-Timeout: 150ms").wantStatus(t, http.StatusGatewayTimeout)
	if took := time.Since(start); took > 7*time.Second {
		t.Errorf("X-Timeout of 150ms: it took %v", took)
	}
	d.get("/slow/5", "X-Timeout: soon").wantStatus(t, http.StatusOK)
	d = launch(t, fn(t, "server", "exec_timeout=500ms", "read_timeout=20s", "write_timeout=20s")...).serving()
	d.get("/slow/15000", "X-Timeout: 30s").wantStatus(t, http.StatusGatewayTimeout) // exec_timeout is the most
}

func TestContractReadTimeout(t *testing.T) {
	parallel(t)
	d := launch(t, fn(t, "server", "read_timeout=400ms")...).serving()
	conn := d.dial()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost")
	_ = conn.SetReadDeadline(time.Now().Add(15 * time.Second)) // it is open
	if got, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) || strings.Contains(string(got), " 200 ") {
		t.Errorf("a client that says half a head: %q, %v", got, err)
	}
}

func TestContractWriteTimeout(t *testing.T) {
	parallel(t)
	d := launch(t, fn(t, "server", "write_timeout=500ms", "exec_timeout=0")...).serving()
	answer, err := plainClient().Get(d.url + "/stream/100") // 15 s, if nothing ends it
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	if body, err := io.ReadAll(answer.Body); err == nil {
		t.Errorf("an answer over write_timeout has come whole, with %d bytes", len(body))
	}
}

func TestContractOtherNames(t *testing.T) {
	parallel(t)
	variables := fn(t, "server")
	for i, v := range variables {
		if value, ok := strings.CutPrefix(v, "fprocess="); ok {
			variables[i] = "function_process=" + value
		}
		if value, ok := strings.CutPrefix(v, "upstream_url="); ok {
			variables[i] = "http_upstream_url=" + value
		}
	}
	d := launch(t, append(variables, "fprocess=/does/not/exist")...).serving()
	d.get("/").wantStatus(t, http.StatusOK)
}

func TestContractExecTimeoutOff(t *testing.T) {
	parallel(t)
	d := launch(t, fn(t, "server", "exec_timeout=0")...).serving()
	d.get("/slow/300").wantStatus(t, http.StatusOK)
}

func TestContractMaxInflight(t *testing.T) {
	parallel(t)
	d := launch(t, fn(t, "server", "max_inflight=1")...).serving()
	done := make(chan int)
	go func() { done <- d.status("/slow/1500") }()
	if !eventually(time.Second, func() bool { return d.status("/_/ready") == http.StatusTooManyRequests }) {
		t.Error("/_/ready is not 429 while the limit is reached")
	}
	r := d.get("/")
	r.wantStatus(t, http.StatusTooManyRequests)
	if got := strings.TrimSpace(r.body); got != "Concurrent request limit exceeded. Max concurrent requests: 1" {
		t.Errorf("body %q", got)
	}
	if got := r.Header.Get("X-OpenFaaS-Internal"); got != "faas-middleware" {
		t.Errorf("X-OpenFaaS-Internal: %q", got)
	}
	d.get("/_/health").wantStatus(t, http.StatusOK)
	if status := <-done; status != http.StatusOK {
		t.Errorf("the first request: %d", status)
	}
	d.get("/").wantStatus(t, http.StatusOK)
	d.get("/_/ready").wantStatus(t, http.StatusOK)
}

func TestContractReadyPath(t *testing.T) {
	parallel(t)
	d := launch(t, fn(t, "server", "ready_path=/status/503")...).serving()
	d.get("/_/ready").wantStatus(t, http.StatusServiceUnavailable)
	d.get("/_/health").wantStatus(t, http.StatusOK)
}

func TestContractBufferedBody(t *testing.T) {
	parallel(t)
	for _, name := range []string{"http_buffer_req_body", "buffer_http"} {
		t.Run(name, func(t *testing.T) {
			d := launch(t, fn(t, "server", name+"=true")...).serving()
			answer := d.raw("POST /see HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
			if !strings.Contains(answer, `"Body":"abcde"`) || !strings.Contains(answer, `"Length":5`) || !strings.Contains(answer, `"Encoding":null`) {
				t.Errorf("the function did not see a buffered body: %s", answer)
			}
		})
	}
}

func TestContractLockFile(t *testing.T) {
	parallel(t)
	d := launch(t, fn(t, "server")...).serving()
	if _, err := os.Stat(d.lock); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(d.lock); err != nil {
		t.Fatal(err)
	}
	d.get("/_/health").wantStatus(t, http.StatusServiceUnavailable)
	d.get("/_/ready").wantStatus(t, http.StatusServiceUnavailable)
	d.get("/").wantStatus(t, http.StatusOK)
}

func TestContractMetrics(t *testing.T) {
	parallel(t)
	d := launch(t, fn(t, "server")...).serving()
	for range 3 {
		d.get("/")
	}
	d.do(http.MethodPost, "/status/500", "x")
	d.get("/_/health")
	d.get("/_/ready")
	ok, _ := d.metric(`http_requests_total{code="200",method="get"}`)
	failed, _ := d.metric(`http_requests_total{code="500",method="post"}`)
	if ok != 3 || failed != 1 {
		t.Errorf("http_requests_total: %v and %v, want 3 and 1", ok, failed)
	}
	if n, _ := d.metric(`http_request_duration_seconds_count{code="200",method="get"}`); n != 3 {
		t.Errorf("http_request_duration_seconds_count: %v, want 3", n)
	}
	for _, le := range []string{"0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"} {
		if _, there := d.metric(`http_request_duration_seconds_bucket{code="200",method="get",le="` + le + `"}`); !there {
			t.Errorf("no bucket le=%q", le)
		}
	}
	if n, there := d.metric("http_requests_in_flight"); !there || n != 0 {
		t.Errorf("http_requests_in_flight: %v %v, want 0", n, there)
	}
	answer, err := plainClient().Get(d.metrics)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close() // it was read
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"http_requests_total counter", "http_request_duration_seconds histogram", "http_requests_in_flight gauge"} {
		if strings.Count(string(text), "# TYPE "+kind+"\n") != 1 {
			t.Errorf("not one %q in\n%s", kind, text)
		}
	}
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes", "process_open_fds"} {
		if _, there := d.metric(name); !there {
			t.Errorf("no %s", name)
		}
	}
}

func TestContractCommandLine(t *testing.T) {
	parallel(t)
	code, out, errs := once(t, []string{"--version"}, nil)
	if code != 0 || strings.TrimSpace(out+errs) == "" {
		t.Errorf("--version: exit %d, %q", code, out+errs)
	}
	if code, _, _ := once(t, []string{"--run-healthcheck"}, fn(t, "server")); code != 1 {
		t.Errorf("--run-healthcheck of nothing: exit %d, want 1", code)
	}
	if code, _, _ := once(t, []string{"--run-healthcheck"}, nil); code != 1 {
		t.Errorf("--run-healthcheck without fprocess: exit %d, want 1", code)
	}
	variables := fn(t, "server")
	d := launch(t, variables...).serving()
	healthcheck := prepare(t, variables...)
	healthcheck.cmd.Env = d.cmd.Env
	healthcheck.cmd.Args = append(healthcheck.cmd.Args, "--run-healthcheck")
	if err := healthcheck.cmd.Run(); err != nil {
		t.Errorf("--run-healthcheck: %v: %s", err, healthcheck.errs.String())
	}
}

func TestContractRejectsConfiguration(t *testing.T) {
	parallel(t)
	for _, tt := range []struct {
		name      string
		variables []string
	}{
		{"no fprocess", []string{"mode=streaming"}},
		{"http without upstream_url", []string{"mode=http", "fprocess=cat"}},
		{"no write_timeout", []string{"fprocess=cat", "write_timeout=0"}},
		{"a bad log_buffer_size", []string{"fprocess=cat", "log_buffer_size=lots"}},
		{"a program that is missing", []string{"mode=http", "fprocess=/does/not/exist", "upstream_url=http://127.0.0.1:1"}},
		{"an unknown mode", []string{"fprocess=cat", "mode=quick"}},
		{"afterburn", []string{"fprocess=cat", "mode=afterburn"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, _, errs := once(t, nil, tt.variables)
			if code == 0 || errs == "" {
				t.Errorf("exit %d, stderr %q; want a failure with a message", code, errs)
			}
			if !tested.foreign && code != 1 {
				t.Errorf("exit %d, want 1", code)
			}
		})
	}
}
