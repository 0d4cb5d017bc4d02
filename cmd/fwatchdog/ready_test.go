package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// asked is a function that remembers the requests it got, and answers each after a while.
type asked struct {
	address string
	mu      sync.Mutex
	heads   []string
	after   []byte // whatever followed a head
	most    int64  // at once
	now     atomic.Int64
}

func newAsked(t *testing.T, after time.Duration, answer string) *asked {
	t.Helper()
	a := &asked{}
	a.address = rawUpstream(t, func(c net.Conn) {
		in := bufio.NewReader(c)
		head := readHeadText(in)
		if head == "" {
			return // it was only looked at whether somebody listens
		}
		now := a.now.Add(1)
		defer a.now.Add(-1)
		a.mu.Lock()
		a.most = max(a.most, now)
		a.heads = append(a.heads, head)
		a.mu.Unlock()
		time.Sleep(after)
		_, _ = io.WriteString(c, answer)                             // the test sees it
		_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)) // it is open
		rest, _ := io.ReadAll(in)
		a.mu.Lock()
		a.after = append(a.after, rest...)
		a.mu.Unlock()
	}).address
	return a
}

// TestReadyPassesNothingOn sends /_/ready all that must not reach a function whose callers need a token.
func TestReadyPassesNothingOn(t *testing.T) {
	ours(t)
	g := newGateway(t)
	g.rotate(t, "k1")
	up := newAsked(t, 0, "HTTP/1.1 203 Non-Authoritative\r\nContent-Length: 6\r\nX-Secret: 1\r\n\r\nsecret")
	d := launch(t, before(t, up.address, "ready_path=/readiness?own=1", "jwt_auth=true", "OPENFAAS_NAME=hello", "OPENFAAS_NAMESPACE=fn",
		"http_proxy=http://"+g.address)...).serving()
	requests := []string{
		"GET /_/ready HTTP/1.1\r\nConnection: close\r\nHost: evil\r\nX-Evil: 1\r\nAuthorization: Bearer x\r\nCookie: a=b\r\nX-Timeout: 1ms\r\n\r\n",
		"POST /_/ready HTTP/1.1\r\nConnection: close\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
		"POST /_/ready HTTP/1.1\r\nConnection: close\r\nHost: h\r\nContent-Length: 900000\r\n\r\n" + strings.Repeat("x", 100000),
		"POST /_/ready HTTP/1.1\r\nConnection: close\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Evil: 1\r\n\r\n",
		"DELETE /_/ready?x=1 HTTP/1.1\r\nConnection: close\r\nHost: h\r\nX-HTTP-Method-Override: PUT\r\n\r\n",
		"GET /%5f/ready HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nGET /hidden HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET http://evil/_/ready HTTP/1.1\r\nConnection: close\r\nHost: h\r\nTE: trailers\r\nExpect: 100-continue\r\n\r\n",
	}
	for _, request := range requests {
		got := d.raw(request)
		if !strings.HasPrefix(got, "HTTP/1.1 203 ") || strings.Contains(got, "secret") || strings.Contains(got, "X-Secret") {
			t.Errorf("%.100q got\n%s", request, got)
		}
	}
	up.mu.Lock()
	defer up.mu.Unlock()
	if len(up.heads) != len(requests) || len(up.after) > 0 {
		t.Errorf("%d requests, and %q after them; want %d and nothing", len(up.heads), up.after, len(requests))
	}
	for _, head := range up.heads {
		if head != "GET /readiness?own=1 HTTP/1.1\r\nHost: "+up.address+"\r\n\r\n" {
			t.Errorf("the function got\n%s", head)
		}
	}
	if log := d.errs.String(); strings.Contains(log, "/_/ready") || strings.Contains(log, "/readiness") {
		t.Errorf("it is logged: %s", log)
	}
	if n, ok := d.metric(`http_requests_total{code="203",method="get"}`); ok {
		t.Errorf("it is counted: %v", n)
	}
}

// TestReadyAsksOnceAtATime has many clients ask a slow function.
func TestReadyAsksOnceAtATime(t *testing.T) {
	ours(t)
	up := newAsked(t, 300*time.Millisecond, "HTTP/1.1 204 No Content\r\n\r\n")
	d := launch(t, before(t, up.address, "ready_path=/r", "max_inflight=1")...).serving()
	statuses := make(chan int)
	const clients = 100
	for range clients {
		go func() { statuses <- d.status("/_/ready") }()
	}
	for range clients {
		if status := <-statuses; status != http.StatusNoContent {
			t.Errorf("status %d", status)
		}
	}
	up.mu.Lock()
	defer up.mu.Unlock()
	if up.most != 1 || len(up.heads) > 20 {
		t.Errorf("the function was asked %d times, %d at once", len(up.heads), up.most)
	}
}

// TestReadyOfFunctionsThatAreNot asks functions that give no answer, in time or at all.
func TestReadyOfFunctionsThatAreNot(t *testing.T) {
	ours(t)
	for name, answer := range map[string]string{
		"nothing":              "",
		"no HTTP":              "hello\r\n\r\n",
		"an upgrade":           "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
		"only interim answers": strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 200),
	} {
		up := newAsked(t, 0, answer)
		d := launch(t, before(t, up.address, "ready_path=/r", "exec_timeout=500ms")...).serving()
		if status := d.status("/_/ready"); status != http.StatusServiceUnavailable {
			t.Errorf("%s: status %d", name, status)
		}
	}
	up := newAsked(t, 3*time.Second, "HTTP/1.1 200 OK\r\n\r\n")
	d := launch(t, before(t, up.address, "ready_path=/r", "exec_timeout=400ms")...).serving()
	begun := time.Now()
	if status := d.status("/_/ready"); status != http.StatusServiceUnavailable || time.Since(begun) > 2*time.Second {
		t.Errorf("a slow one: status %d after %v", status, time.Since(begun))
	}
}
