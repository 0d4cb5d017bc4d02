package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

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

// readsFirst is a process that answers once it has read everything.
const readsFirst = "fprocess=sh -c 'cat >/dev/null; echo done'"

func TestSlowClients(t *testing.T) {
	ours(t)
	limits := []string{"read_timeout=400ms", "write_timeout=400ms", "max_inflight=1"}
	for mode, d := range map[string]*dog{
		"http":        launch(t, fn(t, "server", limits...)...).serving(),
		"buffering":   launch(t, fn(t, "server", append(limits, "buffer_http=true")...)...).serving(),
		"streaming":   launch(t, append(limits, readsFirst, "mode=streaming")...).serving(),
		"serializing": launch(t, append(limits, "fprocess=cat", "mode=serializing")...).serving(),
	} {
		answered := 0
		for _, request := range []string{
			"GET / HTTP/1.1\r\nHost",
			"POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf",
			"POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nhalf",
			"POST /count HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 10\r\n\r\nhalf",
			"POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
			"",
		} {
			begun := time.Now()
			got := d.raw(request)
			if took := time.Since(begun); took > 2*time.Second {
				t.Errorf("%s, %q: the connection stays open for %v", mode, request, took)
			}
			if !strings.HasPrefix(request, "POST ") {
				continue
			}
			answered++
			if !strings.HasPrefix(got, "HTTP/1.1 408 ") || !strings.Contains(got, "Connection: close\r\n") || strings.Count(got, "HTTP/1.1") != 1 {
				t.Errorf("%s, %q got\n%s", mode, request, got)
			}
			if n, _ := d.metric(`http_requests_total{code="408",method="post"}`); n != float64(answered) {
				t.Errorf("%s, %q: %v are counted, want %d", mode, request, n, answered)
			}
		}
		if !d.loggedTimes(" 408 ", answered) {
			t.Errorf("%s: %d are not what is logged: %s", mode, answered, d.errs.String())
		}
		d.get("/").wantStatus(t, http.StatusOK)
	}
}

func TestHalfABodyIsNotAnswered(t *testing.T) {
	ours(t)
	for mode, d := range map[string]*dog{
		"http":        launch(t, fn(t, "server")...).serving(),
		"buffering":   launch(t, fn(t, "server", "buffer_http=true")...).serving(),
		"streaming":   launch(t, readsFirst, "mode=streaming").serving(),
		"serializing": launch(t, readsFirst, "mode=serializing").serving(),
	} {
		requests := []string{
			"POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf",
			"POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n",
			"POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nhalf",
			"POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
		}
		for _, request := range requests {
			if got := d.rawConn(request, true); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
				t.Errorf("%s, %q got\n%s", mode, request, got)
			}
		}
		if n, _ := d.metric(`http_requests_total{code="400",method="post"}`); n != float64(len(requests)) || !d.loggedTimes(" 400 ", len(requests)) {
			t.Errorf("%s: %v are counted, want %d; the log: %s", mode, n, len(requests), d.errs.String())
		}
	}
}

// TestEmptyLinesBeforeARequest are sent by clients that end a body with one.
func TestEmptyLinesBeforeARequest(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server")...).serving()
	const post = "POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"
	const chunked = "POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
	const put = "PUT /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
	const get = "GET /status/201 HTTP/1.1\r\nHost: h\r\n\r\n"
	var tries sync.WaitGroup
	for _, tt := range []struct {
		pieces []string
		want   []int
	}{
		{[]string{"\r\n" + get}, []int{201}},
		{[]string{"\r\n\r\n" + get}, []int{201}},
		{[]string{"\r\n", get}, []int{201}},
		{[]string{"\r", "\n", get}, []int{201}},
		{[]string{post + "\r\n" + get}, []int{200, 201}},
		{[]string{post, "\r\n", get + "\r\n" + post}, []int{200, 201, 200}},
		{[]string{post + "\r\n", chunked + "\r\n" + get}, []int{200, 200, 201}},
		{[]string{chunked + "\r\n" + put + "\r\n" + get + "\r\n\r\n" + put, "\r", "\n" + get}, []int{200, 200, 201, 200, 201}},
		{[]string{put + "\r", "\n\r", "\n" + put}, []int{200, 200}},
		{[]string{put + "\r\n\r\n\r\n" + put}, []int{200, 400}},
		{[]string{put + "\r" + put}, []int{200, 400}},
		{[]string{put, "\r", get}, []int{200, 400}},
		{[]string{put + "\n" + put}, []int{200, 400}},
		{[]string{post + "\r\n\r\n\r\n" + get}, []int{200, 400}},
		{[]string{"\r" + get}, []int{400}},
		{[]string{"\r\nx\r\n\r\n"}, []int{400}},
	} {
		tries.Go(func() {
			if got, closed := d.statuses(tt.pieces...); !slices.Equal(got, tt.want) || closed != slices.Contains(got, 400) {
				t.Errorf("%q: statuses %v, closed: %v; want %v", tt.pieces, got, closed, tt.want)
			}
		})
	}
	tries.Wait()
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

// TestRestOfABodyIsNoRequest sends what looks like a request in the body of one that was answered before its end.
func TestRestOfABodyIsNoRequest(t *testing.T) {
	ours(t)
	up := rawUpstream(t, func(c net.Conn) {
		in := bufio.NewReader(c)
		if head := readHeadText(in); strings.HasPrefix(head, "POST ") {
			_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno") // the test sees it
			_, _ = io.Copy(io.Discard, in)                                                    // until the watchdog has done with it
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 299 Hidden\r\nContent-Length: 0\r\n\r\n") // the test sees it
	})
	const hidden = "GET /status/299 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
	gone := rawUpstream(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
	dead := launch(t, before(t, gone.address)...).serving()
	gone.close()
	for _, d := range []*dog{
		launch(t, before(t, up.address)...).serving(),
		launch(t, before(t, "127.0.0.1:1", "mode=streaming", "fprocess=echo no")...).serving(),
		dead,
	} {
		for _, begin := range []string{
			"Content-Length: 100000\r\n\r\nhalf", "Content-Length: 1000000\r\n\r\nhalf", "Content-Length: 100000\r\n\r\n" + strings.Repeat("x", 60000),
			"Transfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "Transfer-Encoding: chunked\r\n\r\nff\r\nhalf",
		} {
			conn := d.dial()
			fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: h\r\n"+begin)
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second)) // it is open
			in := bufio.NewReader(conn)
			answer, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatalf("%.60q: %v", begin, err)
			}
			_, _ = io.Copy(io.Discard, answer.Body) // that it is there is enough
			_, _ = io.WriteString(conn, hidden)     // the connection may be closed
			if rest, _ := io.ReadAll(in); len(rest) > 0 {
				t.Errorf("%.60q: the rest of the body was taken for a request:\n%s", begin, rest)
			}
		}
	}
}
