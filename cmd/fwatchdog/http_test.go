package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fnb/cmd/fwatchdog/internal/wire"
)

// The tests of this file are about HTTP/1.1 as it goes over the wire.

func TestHopByHopHeaders(t *testing.T) {
	parallel(t)
	var got atomic.Pointer[string]
	up := rawUpstream(t, func(c net.Conn) {
		head := readHeadText(bufio.NewReader(c))
		got.Store(&head)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Secret, keep-alive\r\nX-Secret: 1\r\n"+
			"Keep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nX-Kept: yes\r\n\r\nok") // the test sees it
	})
	d := launch(t, before(t, up.address)...).serving()
	answer := d.raw("GET /x HTTP/1.1\r\nHost: h\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=1\r\n" +
		"Proxy-Authorization: Basic x\r\nProxy-Connection: close\r\nTE: trailers, deflate\r\nUpgrade: h2c\r\nX-End: 1\r\n\r\n")
	request := *got.Load()
	for _, name := range []string{"X-Hop:", "Keep-Alive:", "Proxy-Authorization:", "Proxy-Connection:", "Upgrade:", "deflate", "close"} {
		if strings.Contains(request, name) {
			t.Errorf("the upstream got %s in\n%s", name, request)
		}
	}
	if !strings.Contains(request, "X-End: 1\r\n") || !strings.Contains(request, "TE: trailers\r\n") {
		t.Errorf("the upstream got\n%s", request)
	}
	for _, name := range []string{"X-Secret:", "Keep-Alive:", "Proxy-Authenticate:"} {
		if strings.Contains(answer, name) {
			t.Errorf("the client got %s in\n%s", name, answer)
		}
	}
	if !strings.Contains(answer, "X-Kept: yes\r\n") || !strings.HasSuffix(answer, "\r\n\r\nok") {
		t.Errorf("the client got\n%s", answer)
	}
}

// readHeadText returns a message's head as it came.
func readHeadText(in *bufio.Reader) string {
	var head strings.Builder
	for {
		line, err := in.ReadString('\n')
		head.WriteString(line)
		if err != nil || line == "\r\n" {
			return head.String()
		}
	}
}

func TestTrailers(t *testing.T) {
	parallel(t)
	d := launch(t, fn(t, "server")...).serving()
	answer := d.raw("POST /see HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nConnection: close\r\n\r\n" +
		"5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n")
	if !strings.Contains(answer, `"Trailer":{"X-Sum":["42"]}`) || !strings.Contains(answer, `"Body":"hello"`) {
		t.Errorf("the function did not see the trailer: %s", answer)
	}
	for range 2 { // by the plainServer, and by the standard one
		r := d.get("/trailer", "TE: trailers")
		if r.body != "body" || r.Trailer.Get("X-Announced") != "one" || r.Trailer.Get("X-Unannounced") != "two" {
			t.Errorf("body %q, trailer %v", r.body, r.Trailer)
		}
	}
	if r := d.get("/trailer"); r.body != "body" || r.Trailer.Get("X-Announced") != "one" || r.Trailer.Get("X-Unannounced") != "two" {
		t.Errorf("body %q, trailer %v", r.body, r.Trailer)
	}
}

func TestInterimResponses(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server")...).serving()
	var interim []string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			interim = append(interim, fmt.Sprint(code, " ", h.Get("Link")))
			return nil
		},
	})
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+"/hints", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := plainClient().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close() // it was read
	if len(interim) != 1 || interim[0] != "103 </style.css>; rel=preload" {
		t.Errorf("interim responses %q", interim)
	}
	if string(body) != "final" || answer.Header.Get("X-Final") != "yes" || answer.Header.Get("Link") != "" {
		t.Errorf("final: %q %v", body, answer.Header)
	}
	// A client of HTTP/1.0 must not see one.
	if got := d.raw("GET /hints HTTP/1.0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.0 200") && !strings.HasPrefix(got, "HTTP/1.1 200") {
		t.Errorf("an HTTP/1.0 client got\n%s", got)
	}
}

func TestExpectContinue(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server")...).serving()
	conn := d.dial()
	in := bufio.NewReader(conn)
	fmt.Fprint(conn, "POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second)) // it is open
	if head := readHeadText(in); !strings.HasPrefix(head, "HTTP/1.1 100 ") {
		t.Fatalf("got %q, want 100", head)
	}
	fmt.Fprint(conn, "hello")
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close() // it was read
	if string(body) != "5 <nil>" {
		t.Errorf("body %q", body)
	}
}

func TestExpectationRefused(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server")...).serving()
	got := d.rawConn("POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\nExpect: 100-continue\r\n\r\n", false)
	if !strings.HasPrefix(got, "HTTP/1.1 413 ") || strings.Contains(got, "100 Continue") {
		t.Errorf("got\n%s", got)
	}
}

func TestBothDirectionsAtOnce(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server")...).serving()
	conn := d.dial()
	in := bufio.NewReader(conn)
	fmt.Fprint(conn, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
	var answer *http.Response
	for i := range 3 {
		fmt.Fprintf(conn, "2\r\n%d\n\r\n", i)
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second)) // it is open
		if answer == nil {
			var err error
			if answer, err = http.ReadResponse(in, nil); err != nil {
				t.Fatal(err)
			}
		}
		got := make([]byte, 2)
		if _, err := io.ReadFull(answer.Body, got); err != nil || string(got) != fmt.Sprintf("%d\n", i) {
			t.Fatalf("round %d: %q, %v", i, got, err)
		}
	}
	fmt.Fprint(conn, "0\r\n\r\n")
	if rest, err := io.ReadAll(answer.Body); err != nil || len(rest) != 0 {
		t.Errorf("the end: %q, %v", rest, err)
	}
}

func TestStreamsObeyTheLimits(t *testing.T) {
	ours(t)
	for _, accept := range []string{"text/event-stream", "application/x-ndjson", "text/plain"} {
		d := launch(t, fn(t, "server", "exec_timeout=1s", "max_inflight=1")...).serving()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+"/stream/100", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", accept)
		begun := time.Now()
		answer, err := plainClient().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 9)
		if _, err := io.ReadFull(answer.Body, first); err != nil || string(first) != "data: 0\n\n" {
			t.Errorf("%s: first piece %q, %v", accept, first, err)
		}
		if took := time.Since(begun); took > 900*time.Millisecond {
			t.Errorf("%s: the first piece came after %v", accept, took)
		}
		d.get("/").wantStatus(t, http.StatusTooManyRequests)
		if _, err := io.ReadAll(answer.Body); err == nil {
			t.Errorf("%s: exec_timeout did not cut it off", accept)
		}
		_ = answer.Body.Close() // it was read
		if took := time.Since(begun); took > 6*time.Second {
			t.Errorf("%s: it went on for %v", accept, took)
		}
		if !d.logged("/stream/100 - 200 OK - ContentLength: ") || strings.Contains(d.errs.String(), "ContentLength: 0B") {
			t.Errorf("%s: the log does not count its bytes", accept)
		}
		if n, _ := d.metric(`http_requests_total{code="200",method="get"}`); n != 1 {
			t.Errorf("%s: it is not counted", accept)
		}
	}
}

func TestWebsockets(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server", "exec_timeout=1500ms", "max_inflight=1")...).serving()
	conn := d.dial()
	in := bufio.NewReader(conn)
	begun := time.Now()
	fmt.Fprint(conn, "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	_ = conn.SetReadDeadline(time.Now().Add(8 * time.Second)) // it is open
	head := readHeadText(in)
	if !strings.HasPrefix(head, "HTTP/1.1 101 ") || !strings.Contains(head, "Upgrade: echo\r\n") || !strings.Contains(head, "X-Extra: 1\r\n") {
		t.Fatalf("got\n%s", head)
	}
	for i := range 3 {
		fmt.Fprintln(conn, "line", i)
		if line, err := in.ReadString('\n'); err != nil || line != fmt.Sprintln("line", i) {
			t.Fatalf("%q, %v", line, err)
		}
	}
	d.get("/").wantStatus(t, http.StatusTooManyRequests)
	if n, _ := d.metric("http_requests_in_flight"); n != 1 {
		t.Errorf("http_requests_in_flight: %v, want 1", n)
	}
	_, err := in.ReadString('\n')
	if err == nil || os.IsTimeout(err) || time.Since(begun) > 6*time.Second {
		t.Errorf("exec_timeout did not end it: %v after %v", err, time.Since(begun))
	}
	if !eventually(2*time.Second, func() bool { n, _ := d.metric(`http_requests_total{code="101",method="get"}`); return n == 1 }) {
		t.Error("it is not counted")
	}
	d.get("/").wantStatus(t, http.StatusOK)
	d.get("/ws", "Connection: Upgrade", "Upgrade: other").wantStatus(t, http.StatusUpgradeRequired)
}

func TestWebsocketEndsWithEitherSide(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server", "exec_timeout=0", "max_inflight=1")...).serving()
	conn := d.dial()
	fmt.Fprint(conn, "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	_ = readHeadText(bufio.NewReader(conn))
	_ = conn.Close() // the point of the test
	if !eventually(3*time.Second, func() bool { return d.status("/") == http.StatusOK }) {
		t.Error("its place is not free again")
	}
}

func TestMemoryStaysFlat(t *testing.T) {
	ours(t)
	if testing.Short() {
		t.Skip("1 GiB takes a moment")
	}
	if raceEnabled {
		t.Skip("the race detector has memory of its own")
	}
	d := launch(t, fn(t, "server", "read_timeout=60s", "write_timeout=60s", "exec_timeout=60s")...).serving()
	const size = 1 << 30
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, tt := range []struct {
		name, method, path string
		body               io.Reader
	}{
		{"down", http.MethodGet, "/big/" + strconv.Itoa(size), nil},
		{"up", http.MethodPost, "/count", io.LimitReader(zeros{}, size)},
	} {
		r, err := http.NewRequestWithContext(ctx, tt.method, d.url+tt.path, tt.body)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := (&http.Client{Transport: &http.Transport{DisableCompression: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close() // it was read
		if err != nil || answer.StatusCode != http.StatusOK || tt.name == "down" && n != size {
			t.Errorf("%s: status %d, %d bytes, %v", tt.name, answer.StatusCode, n, err)
		}
	}
	if rss := residentKiB(t, d.cmd.Process.Pid, "VmHWM"); rss > 24<<10 {
		t.Errorf("it used up to %d KiB", rss)
	} else {
		t.Logf("it used up to %d KiB", rss)
	}
}

// residentKiB reads a number of /proc/PID/status.
func residentKiB(t *testing.T, pid int, name string) int {
	t.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), name+":")
	number, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRequestBodiesOfAllSizes(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server")...).serving()
	for _, size := range []int{1, wire.SmallBody, wire.SmallBody + 1, pieceBuffer - 200, pieceBuffer - 64, pieceBuffer, pieceBuffer + 1, 2 * pieceBuffer, 1 << 20, 3<<20 + 7} {
		want := counting(size)
		for name, body := range map[string]io.Reader{
			"at once":   bytes.NewReader(want),
			"in chunks": struct{ io.Reader }{bytes.NewReader(want)},
			"in drops":  &dropReader{left: want},
		} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url+"/echo", body)
			if err != nil {
				t.Fatal(err)
			}
			if name == "in drops" {
				r.ContentLength = int64(size)
			}
			answer, err := plainClient().Do(r)
			if err != nil {
				t.Fatalf("%d bytes %s: %v", size, name, err)
			}
			got, err := io.ReadAll(answer.Body)
			_ = answer.Body.Close() // it was read
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes %s: %d came back, %v", size, name, len(got), err)
			}
		}
	}
}

// dropReader gives its bytes in pieces of different sizes, some after a pause.
type dropReader struct {
	left  []byte
	drops int
}

func (d *dropReader) Read(p []byte) (int, error) {
	if len(d.left) == 0 {
		return 0, io.EOF
	}
	d.drops++
	if d.drops%4 == 0 {
		time.Sleep(time.Millisecond)
	}
	n := copy(p[:min(len(p), 1+d.drops*977%30000)], d.left)
	d.left = d.left[n:]
	return n, nil
}

func TestHeadDoesNotWaitForItsBody(t *testing.T) {
	ours(t)
	up := rawUpstream(t, func(c net.Conn) {
		if head := readHeadText(bufio.NewReader(c)); strings.HasPrefix(head, "POST ") {
			_, _ = io.WriteString(c, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno") // the test sees it
		}
	})
	d := launch(t, before(t, up.address)...).serving()
	for _, framing := range []string{"Content-Length: 1000000", "Transfer-Encoding: chunked"} {
		for _, first := range []int{0, 4, 3000, 50000} {
			body := strings.Repeat("x", first)
			if framing == "Transfer-Encoding: chunked" && first > 0 {
				body = fmt.Sprintf("%x\r\n%s\r\n", first, body)
			}
			if got := d.raw("POST / HTTP/1.1\r\nHost: h\r\n" + framing + "\r\n\r\n" + body); !strings.HasPrefix(got, "HTTP/1.1 401 ") || !strings.HasSuffix(got, "no") {
				t.Errorf("%s with %d bytes sent: %q", framing, first, got)
			}
		}
	}
}

// counting returns n bytes that tell where each of them belongs.
func counting(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}
