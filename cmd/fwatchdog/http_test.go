package main

import (
	"bufio"
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
	for range 2 { // by the lane, and by the standard server
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

func TestHead(t *testing.T) {
	parallel(t)
	d := launch(t, fn(t, "server")...).serving()
	conn := d.dial()
	in := bufio.NewReader(conn)
	for _, path := range []string{"/big/5000", "/", "/stream/1"} {
		fmt.Fprintf(conn, "HEAD %s HTTP/1.1\r\nHost: h\r\n\r\n", path)
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second)) // it is open
		head := readHeadText(in)
		if !strings.HasPrefix(head, "HTTP/1.1 200 ") || path == "/big/5000" && !strings.Contains(head, "Content-Length: 5000\r\n") {
			t.Fatalf("HEAD %s:\n%s", path, head)
		}
	}
	// No body came: the connection still carries the next request.
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	rest, _ := io.ReadAll(in)
	if !strings.HasPrefix(string(rest), "HTTP/1.1 200 ") || !strings.HasSuffix(string(rest), "Hello, world") {
		t.Errorf("after HEAD:\n%s", rest)
	}
}

func TestBodiesOfAllForms(t *testing.T) {
	parallel(t)
	big := strings.Repeat("abcdefgh", 100<<10)
	tests := []struct {
		name, answer, body string
	}{
		{"of known length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"},
		{"of large known length", "HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(big)) + "\r\n\r\n" + big, big},
		{"of no bytes", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""},
		{"in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;ext=1\r\nlo\r\n0\r\n\r\n", "hello"},
		{"in large chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strconv.FormatInt(int64(len(big)), 16) + "\r\n" + big + "\r\n0\r\n\r\n", big},
		{"to the end of the connection", "HTTP/1.1 200 OK\r\n\r\nhello", "hello"},
		{"large, to the end of the connection", "HTTP/1.1 200 OK\r\n\r\n" + big, big},
		{"by HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"},
		{"by HTTP/1.0 to the end", "HTTP/1.0 200 OK\r\n\r\nhello", "hello"},
		{"after interim responses", "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok"},
		{"with a reason of several words", "HTTP/1.1 200 All is well\r\nContent-Length: 2\r\n\r\nok", "ok"},
		{"with no reason", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "ok"},
		{"with a long header", "HTTP/1.1 200 OK\r\nX-Long: " + strings.Repeat("v", 20000) + "\r\nContent-Length: 2\r\n\r\nok", "ok"},
	}
	var answers []string
	for _, tt := range tests {
		answers = append(answers, tt.answer)
	}
	d := launch(t, before(t, rawUpstream(t, answeringByPath(answers)).address)...).serving()
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := "/" + strconv.Itoa(i)
			d := d.in(t)
			r := d.get(path)
			r.wantStatus(t, http.StatusOK)
			if r.body != tt.body {
				t.Errorf("body of %d bytes, %.40q, want %d", len(r.body), r.body, len(tt.body))
			}
			time.Sleep(20 * time.Millisecond) // the upstream closes without a word, and a POST is not sent twice
			d.do(http.MethodPost, path, big).wantStatus(t, http.StatusOK)
			time.Sleep(20 * time.Millisecond)
		})
	}
}

func TestBrokenAnswers(t *testing.T) {
	ours(t)
	tests := []struct{ name, answer string }{
		{"nothing", ""},
		{"no HTTP", "220 ready\r\n\r\n"},
		{"another version", "HTTP/3.0 200 OK\r\n\r\n"},
		{"a status that is none", "HTTP/1.1 2xx OK\r\n\r\n"},
		{"a status below 100", "HTTP/1.1 099 OK\r\n\r\n"},
		{"a head cut off", "HTTP/1.1 200 OK\r\nContent-Le"},
		{"a header without a colon", "HTTP/1.1 200 OK\r\nno colon here\r\n\r\n"},
		{"a space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok"},
		{"a folded header", "HTTP/1.1 200 OK\r\nX-A: 1\r\n folded\r\nContent-Length: 2\r\n\r\nok"},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"},
		{"a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"},
		{"a length with a sign", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok"},
		{"a transfer coding unknown", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
		{"chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"an upgrade nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"},
		{"a head without end", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: "+strings.Repeat("b", 1000)+"\r\n", 1100)},
	}
	var answers []string
	for _, tt := range tests {
		answers = append(answers, tt.answer)
	}
	d := launch(t, before(t, rawUpstream(t, answeringByPath(answers)).address)...).serving()
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := d.in(t).get("/" + strconv.Itoa(i))
			r.wantStatus(t, http.StatusInternalServerError)
			if r.Header.Get("X-OpenFaaS-Internal") != "of-watchdog" {
				t.Errorf("headers %v do not say who failed", r.Header)
			}
		})
	}
}

func TestCutOffAnswersStayCutOff(t *testing.T) {
	ours(t)
	tests := []struct{ name, answer string }{
		{"before the declared length", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"},
		{"before a large declared length", "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhalf"},
		{"before the last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"},
		{"within a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf"},
		{"a chunk size that is none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n"},
	}
	var answers []string
	for _, tt := range tests {
		answers = append(answers, tt.answer)
	}
	d := launch(t, before(t, rawUpstream(t, answeringByPath(answers)).address)...).serving()
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer, err := plainClient().Get(d.url + "/" + strconv.Itoa(i))
			if err != nil {
				return // it was cut off before it began, which is as well
			}
			defer answer.Body.Close() //nolint:errcheck // it was only read
			if body, err := io.ReadAll(answer.Body); err == nil {
				t.Errorf("half an answer, %q, looks whole", body)
			}
		})
	}
}

func TestEarlyResponse(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server")...).serving()
	for i := range 5 {
		// The function answers 413 without reading the 8 MiB, and closes.
		r := d.do(http.MethodPost, "/early", strings.Repeat("x", 8<<20))
		r.wantStatus(t, http.StatusRequestEntityTooLarge)
		if r.body != "too large" {
			t.Errorf("attempt %d: body %q", i, r.body)
		}
	}
	d.get("/").wantStatus(t, http.StatusOK)
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

func TestHalfClosedClients(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server")...).serving()
	for _, request := range []string{
		"GET /slow/100 HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /slow/100 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		"GET /slow/100 HTTP/1.0\r\n\r\n",
		"POST /slow/100 HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody",
		"POST /slow/100 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
	} {
		if got := d.rawConn(request, true); !strings.Contains(got, " 200 OK\r\n") || !strings.HasSuffix(got, "slow") {
			t.Errorf("%q of a half-closed client got\n%s", request, got)
		}
	}
	// Where it takes longer the client is asked whether it still reads; it still gets its answer.
	got := d.rawConn("GET /slow/900 HTTP/1.1\r\nHost: h\r\n\r\n", true)
	in := bufio.NewReader(strings.NewReader(got))
	answer, err := http.ReadResponse(in, nil)
	if err == nil && answer.StatusCode == http.StatusProcessing {
		answer, err = http.ReadResponse(in, nil)
	}
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("a slow answer to a half-closed client: %v in\n%s", err, got)
	}
}

func TestClientsThatGoAway(t *testing.T) {
	ours(t)
	for _, how := range []string{"close", "reset"} {
		for _, request := range []string{
			"GET /slow/20000 HTTP/1.1\r\nHost: h\r\n\r\n",
			"GET /slow/20000 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		} {
			d := launch(t, fn(t, "server", "exec_timeout=30s", "max_inflight=1")...).serving()
			conn := d.dial()
			fmt.Fprint(conn, request)
			time.Sleep(150 * time.Millisecond)
			if how == "reset" {
				_ = conn.SetLinger(0) // makes Close a reset
			}
			_ = conn.Close() // the point of the test
			if !d.logged("function saw its client go") {
				t.Errorf("%s: the function works on for nobody", how)
			}
			if !d.logged(" 499 ") || strings.Contains(d.errs.String(), "exec_timeout") {
				t.Errorf("%s: the log does not say that the client went away: %s", how, d.errs.String())
			}
			if !eventually(2*time.Second, func() bool { return d.status("/") == http.StatusOK }) {
				t.Errorf("%s: its place is not free again", how)
			}
		}
	}
}

func TestSmuggling(t *testing.T) {
	ours(t)
	shared := launch(t, fn(t, "server")...).serving()
	for _, tt := range []struct {
		name, request string
		refused       bool // else the answer must be the last on its connection
	}{
		{"a length and chunks", "POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", false},
		{"chunks and a length", "POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n", false},
		{"two lengths", "POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", true},
		{"two lengths in one line", "POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 6\r\n\r\nhello!", true},
		{"a length with a sign", "POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nhello", true},
		{"a length in hexadecimal", "POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 0x5\r\n\r\nhello", true},
		{"a negative length", "POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", true},
		{"an empty length", "POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: \r\n\r\n", true},
		{"a coding that looks like chunked", "POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", true},
		{"two codings", "POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", true},
		{"chunked twice", "POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true},
		{"a vertical tab before chunked", "POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", true},
		{"a space before the colon", "POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", true},
		{"a space before the length's colon", "POST /count HTTP/1.1\r\nHost: h\r\nContent-Length : 5\r\n\r\nhello", true},
		{"chunks in HTTP/1.0", "POST /count HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false},
		{"no host", "GET / HTTP/1.1\r\n\r\n", true},
		{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", true},
		{"a host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", true},
		{"a null in a value", "GET / HTTP/1.1\r\nHost: h\r\nX-A: a\x00b\r\n\r\n", true},
		{"a bare carriage return in a value", "GET / HTTP/1.1\r\nHost: h\r\nX-A: a\rX-B: b\r\n\r\n", true},
		{"a header name with a space", "GET / HTTP/1.1\r\nHost: h\r\nX A: b\r\n\r\n", true},
		{"no header name", "GET / HTTP/1.1\r\nHost: h\r\n: b\r\n\r\n", true},
		{"a bad chunk size", "POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n-1\r\n\r\n", true},
		{"a huge chunk size", "POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nfffffffffffffffff\r\n\r\n", true},
		{"a chunk line without carriage return", "POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\nA\r\n0\r\n\r\n", true},
		{"a method with a control character", "GE\x01T / HTTP/1.1\r\nHost: h\r\n\r\n", true},
		{"a target with a space", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", true},
		{"a proxy's request", "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := shared.in(t)
			const hidden = "GET /status/299 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
			got := d.raw(tt.request + hidden)
			if strings.Contains(got, " 299 ") {
				t.Errorf("a second request got through:\n%s", got)
			}
			refused := strings.HasPrefix(got, "HTTP/1.1 4") || strings.HasPrefix(got, "HTTP/1.1 50") || strings.HasPrefix(got, "HTTP/1.0 4")
			if refused != tt.refused {
				t.Errorf("refused: %v, want %v:\n%s", refused, tt.refused, got)
			}
		})
	}
}

func TestPipelining(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server")...).serving()
	got := d.raw("GET /slow/120 HTTP/1.1\r\nHost: h\r\n\r\nPOST /see HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" +
		"GET /status/201 HTTP/1.1\r\nHost: h\r\n\r\nPOST /see HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n0\r\n\r\n")
	for _, want := range []string{"slow", `"Body":"abc"`, "HTTP/1.1 201 Created", `"Body":"xy"`} {
		_, rest, ok := strings.Cut(got, want)
		if !ok {
			t.Fatalf("no %s in its place in\n%s", want, got)
		}
		got = rest
	}
}

func TestRequestsInPieces(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server")...).serving()
	for _, request := range []string{
		"GET /status/201 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		"POST /status/201 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
	} {
		conn := d.dial()
		for i := range len(request) {
			if _, err := conn.Write([]byte{request[i]}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second)) // it is open
		if head := readHeadText(bufio.NewReader(conn)); !strings.HasPrefix(head, "HTTP/1.1 201 ") {
			t.Errorf("got %q", head)
		}
	}
}

func TestStaleConnections(t *testing.T) {
	ours(t)
	// Each connection answers once and is closed without a word a moment later.
	up := rawUpstream(t, func(c net.Conn) {
		in := bufio.NewReader(c)
		if _, err := http.ReadRequest(in); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") // the test sees it
			time.Sleep(5 * time.Millisecond)
		}
	})
	d := launch(t, before(t, up.address)...).serving()
	for i := range 40 {
		d.get("/").wantStatus(t, http.StatusOK)
		time.Sleep(time.Duration(i%12) * time.Millisecond)
	}
}

func TestUnsafeRequestsAreNotSentTwice(t *testing.T) {
	ours(t)
	var posts atomic.Int64
	up := rawUpstream(t, func(c net.Conn) {
		for in := bufio.NewReader(c); ; {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if r.Method == http.MethodPost {
				posts.Add(1)
				return // without an answer
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") // the test sees it
		}
	})
	d := launch(t, before(t, up.address)...).serving()
	for range 5 {
		d.get("/").wantStatus(t, http.StatusOK)
		d.do(http.MethodPost, "/", "x").wantStatus(t, http.StatusInternalServerError)
	}
	if n := posts.Load(); n != 5 {
		t.Errorf("the function got %d POST requests, want 5", n)
	}
}

func TestStreamsObeyTheLimits(t *testing.T) {
	ours(t)
	for _, accept := range []string{"text/event-stream", "application/x-ndjson", "text/plain"} {
		d := launch(t, fn(t, "server", "exec_timeout=500ms", "max_inflight=1")...).serving()
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
		if took := time.Since(begun); took > 300*time.Millisecond {
			t.Errorf("%s: the first piece came after %v", accept, took)
		}
		d.get("/").wantStatus(t, http.StatusTooManyRequests)
		if _, err := io.ReadAll(answer.Body); err == nil {
			t.Errorf("%s: exec_timeout did not cut it off", accept)
		}
		_ = answer.Body.Close() // it was read
		if took := time.Since(begun); took > 3*time.Second {
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

func TestSlowClients(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server", "read_timeout=400ms", "max_inflight=1")...).serving()
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost",
		"POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf",
		"POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nhalf",
		"POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
		"",
	} {
		begun := time.Now()
		got := d.raw(request)
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("%q: the connection stays open for %v", request, took)
		}
		if strings.Contains(got, " 200 ") {
			t.Errorf("%q got\n%s", request, got)
		}
	}
	d.get("/").wantStatus(t, http.StatusOK)
}

func TestHalfABodyIsNotAnswered(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server")...).serving()
	for _, request := range []string{
		"POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf",
		"POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nhalf",
		"POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
	} {
		if got := d.rawConn(request, true); strings.Contains(got, " 200 ") {
			t.Errorf("%q got\n%s", request, got)
		}
	}
}

func TestHugeHeaders(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server")...).serving()
	many := strings.Repeat("X-Many: value\r\n", 10000)
	if got := d.raw("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + many + "\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("10 000 headers: %.80q", got)
	}
	if got := d.raw("GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("y", 2<<20)); !strings.HasPrefix(got, "HTTP/1.1 431 ") {
		t.Errorf("a head of 2 MiB: %.80q", got)
	}
	if got := d.raw("GET /see?" + strings.Repeat("q", 20000) + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("a long target: %.80q", got)
	}
}

func TestAbsoluteTarget(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server")...).serving()
	got := d.raw("GET http://other.example/see?x=1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	if !strings.Contains(got, `"URI":"/see?x=1"`) || !strings.Contains(got, `"Host":"other.example"`) {
		t.Errorf("got\n%s", got)
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
