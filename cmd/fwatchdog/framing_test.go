package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// allModes are watchdogs of every mode, by its name. The function of http mode tells what it saw at /see.
func allModes(t *testing.T) map[string]*dog {
	t.Helper()
	return map[string]*dog{
		"http":        launch(t, fn(t, "server")...).serving(),
		"buffering":   launch(t, fn(t, "server", "buffer_http=true")...).serving(),
		"streaming":   launch(t, "fprocess=cat", "mode=streaming").serving(),
		"serializing": launch(t, "fprocess=cat", "mode=serializing").serving(),
		"static":      launch(t, "mode=static", "static_path="+t.TempDir()).serving(),
	}
}

// statuses sends text and returns the statuses of all final answers that come until the connection ends, and
// whether it ends.
func (d *dog) statuses(pieces ...string) (all []int, closed bool) {
	d.t.Helper()
	conn := d.dial()
	for _, piece := range pieces {
		fmt.Fprint(conn, piece)
		time.Sleep(30 * time.Millisecond)
	}
	in := bufio.NewReader(conn)
	_ = conn.SetReadDeadline(time.Now().Add(1500 * time.Millisecond)) // it is open
	for {
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			return all, !strings.Contains(err.Error(), "timeout")
		}
		if answer.StatusCode < 200 {
			continue
		}
		all = append(all, answer.StatusCode)
		n, _ := strconv.Atoi(answer.Header.Get("Content-Length"))
		_, _ = in.Discard(n) // all answers that are asked for here have a length
	}
}

// TestAmbiguousRequestsAreTheLast sends requests with both a length and chunks, in ways that hide it.
func TestAmbiguousRequestsAreTheLast(t *testing.T) {
	ours(t)
	const hidden = "GET /_/health HTTP/1.1\r\nHost: h\r\n\r\n"
	const both = "POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
	inValue := func(fill int, rest string) string {
		line := "X-Fill: " + strings.Repeat("x", fill)
		return "POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n" + line + rest + "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
	}
	forms := map[string][]string{
		"plain":              {both + hidden},
		"chunks first":       {"POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n" + hidden},
		"another case":       {"POST /count HTTP/1.1\r\nHost: h\r\ncontent-LENGTH:6\r\ntransfer-ENCODING:chunked\r\n\r\n0\r\n\r\n" + hidden},
		"own path":           {"GET /_/health HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden},
		"ready path":         {"GET /_/ready HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden},
		"HTTP/1.0":           {"GET /_/health HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden},
		"after another":      {"POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", both + hidden},
		"together":           {"POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + both + hidden},
		"a head of 16 KiB":   {inValue(16<<10, "") + hidden},
		"the length is late": {strings.Repeat("POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 30) + both + hidden},
	}
	for _, fill := range []int{4096 - 8, 4096, 8192 - 8, 8192} {
		forms[fmt.Sprintf("a request line in a value after %d", fill)] = []string{inValue(fill, "POST /count HTTP/1.1") + hidden}
		forms[fmt.Sprintf("in two pieces after %d", fill)] = []string{
			"POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" +
				"POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nX-Fill: " + strings.Repeat("x", fill),
			"POST /count HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		}
	}
	var tries sync.WaitGroup
	for mode, d := range allModes(t) {
		for name, pieces := range forms {
			tries.Go(func() {
				all, closed := d.statuses(pieces...)
				answers := strings.Count(strings.Join(pieces, ""), "POST /count HTTP/1.1\r\nHost: h\r\n")
				if !closed || len(all) > max(answers, 1) || len(all) == 0 {
					t.Errorf("%s, %s: statuses %v, closed: %v; want the request to be the connection's last", mode, name, all, closed)
				}
			})
		}
	}
	tries.Wait()
}

// TestChunksKeepTheConnection sends what is strictly formed, and is not in doubt.
func TestChunksKeepTheConnection(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server")...).serving()
	const chunked = "POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
	request := chunked + "3;ext=1\r\nabc\r\nA \r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n" + "POST /count HTTP/1.1\r\nHost: h\r\nConnection: Keep-Alive, x\r\nContent-Length: 4\r\n\r\n\n\n\n\n" +
		"GET /status/201 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + chunked + "fff\r\n" + strings.Repeat("\r\n\n", 1365) + "\r\n0\r\n\r\n"
	for _, pieces := range [][]string{{request, request, request}, {strings.Repeat(request, 20)}, strings.SplitAfter(request, "\n")[:40]} {
		all, closed := d.statuses(pieces...)
		if want := strings.Count(strings.Join(pieces, ""), " HTTP/1.1\r\n"); closed || len(all) < want-1 {
			t.Errorf("%d answers to %d requests, closed: %v", len(all), want, closed)
		}
	}
}

// TestTargets sends request targets of all forms.
func TestTargets(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server")...).serving()
	port := strings.TrimPrefix(d.address, "127.0.0.1")
	prefixed := launch(t, before(t, rawUpstream(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")).address+"/base")...).serving()
	for _, tt := range []struct {
		line, want string
		status     int
	}{
		{"GET /see?x=1 HTTP/1.1", `"URI":"/see?x=1"`, 200},
		{"GET //see?x=1 HTTP/1.1", "", 307}, // the function's own answer
		{"GET http://other" + port + "/see?x=1 HTTP/1.1", `"URI":"/see?x=1"`, 200},
		{"GET HTTPS://other/see HTTP/1.1", `"URI":"/see"`, 200},
		{"GET http://other?x HTTP/1.1", "Hello, world", 200},
		{"OPTIONS * HTTP/1.1", "", 0}, // the function's or, with a prefix, nobody's
		{"GET * HTTP/1.1", "", 400},
		{"GET x:@169.254.169.254/latest HTTP/1.1", "", 400},
		{"GET x:.evil.example/p HTTP/1.1", "", 400},
		{"GET x::22/p HTTP/1.1", "", 400},
		{"GET x:-admin/secret HTTP/1.1", "", 400},
		{"GET x:/see HTTP/1.1", "", 400},
		{"GET x:/_/health HTTP/1.1", "", 400},
		{"GET http:/see HTTP/1.1", "", 400},
		{"GET http:see HTTP/1.1", "", 400},
		{"GET ftp://other/see HTTP/1.1", "", 400},
		{"GET http:///see HTTP/1.1", "", 400},
		{"GET http://[::1%25a%20b]/see HTTP/1.1", "", 400},
		{"GET see HTTP/1.1", "", 400},
		{"GET ?x HTTP/1.1", "", 400},
		{"CONNECT other:80 HTTP/1.1", "", 501},
		{"CONNECT /see HTTP/1.1", "", 501},
		{"PRI * HTTP/2.0", "", 505},
	} {
		for name, d := range map[string]*dog{"plain": d, "with a prefix": prefixed} {
			got := d.raw(tt.line + "\r\nHost: h\r\nConnection: close\r\n\r\n")
			status := tt.status
			switch {
			case strings.HasPrefix(tt.line, "OPTIONS *") && d == prefixed:
				status = 400
			case strings.HasPrefix(tt.line, "OPTIONS *"), status < 400 && d == prefixed:
				status = 200
			}
			if !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", status)) || d != prefixed && !strings.Contains(got, tt.want) {
				t.Errorf("%s, %s: want %d with %q, got\n%s", tt.line, name, status, tt.want, got)
			}
			if status >= 400 && status != 404 && !strings.Contains(got, "Connection: close\r\n") {
				t.Errorf("%s, %s: the connection is not closed:\n%s", tt.line, name, got)
			}
		}
	}
}

// TestEarlyAnswersAreNoPanics has requests answered before their bodies are read, wherever that can be. The harness looks
// for panics in the log.
func TestEarlyAnswersAreNoPanics(t *testing.T) {
	ours(t)
	up := rawUpstream(t, func(c net.Conn) {
		if head := readHeadText(bufio.NewReader(c)); strings.HasPrefix(head, "POST ") {
			_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno") // the test sees it
			time.Sleep(20 * time.Millisecond)
		}
	})
	early := map[string]*dog{
		"http":        launch(t, before(t, up.address)...).serving(),
		"streaming":   launch(t, "fprocess=echo no", "mode=streaming").serving(),
		"serializing": launch(t, "fprocess=echo no", "mode=serializing").serving(),
		"static":      launch(t, "mode=static", "static_path="+t.TempDir()).serving(),
		"full":        launch(t, fn(t, "server", "max_inflight=1")...).serving(),
	}
	held := early["full"].dial()
	fmt.Fprint(held, "GET /slow/20000 HTTP/1.1\r\nHost: h\r\n\r\n") // so that everything else is refused
	if !eventually(5*time.Second, func() bool { return early["full"].status("/_/ready") == http.StatusTooManyRequests }) {
		t.Fatal("there is still a place")
	}
	for name, d := range early {
		for _, request := range []string{
			"Content-Length: 100000\r\n\r\nhalf",
			"Content-Length: 100000\r\n\r\n" + strings.Repeat("x", 60000),
			"Content-Length: 1000000\r\n\r\n" + strings.Repeat("x", 3000),
			"Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
			"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n4\r\nhalf\r\n0\r\n\r\n",
			"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n\r\n",
		} {
			for i := range 12 {
				conn := d.dial()
				path := []string{"/early", "/_/health", "/_/ready"}[max(0, i-9)]
				fmt.Fprint(conn, "POST "+path+" HTTP/1.1\r\nHost: h\r\n"+request)
				_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second)) // it is open
				if head := readHeadText(bufio.NewReader(conn)); !strings.HasPrefix(head, "HTTP/1.1 ") {
					t.Errorf("%s: %.60q got %q", name, request, head)
				}
				_ = conn.Close() // the answer is there
			}
		}
	}
}

// TestEmptyLinesOfAnotherProtocol belong to it, also where they arrive with the request for it.
func TestEmptyLinesOfAnotherProtocol(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server")...).serving()
	const ask = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
	const text = "\r\n\r\nPOST / HTTP/1.1\r\n\r\n\r\nend\r\n"
	for _, pieces := range [][]string{{ask + text}, {ask, text}, {ask + "\r", text[1:]}, {ask, "\r", "\n", text[2:]}} {
		conn := d.dial()
		for _, piece := range pieces {
			fmt.Fprint(conn, piece)
			time.Sleep(20 * time.Millisecond)
		}
		closeWrite(conn)
		_ = conn.SetReadDeadline(time.Now().Add(3 * time.Second)) // it is open
		in := bufio.NewReader(conn)
		head := readHeadText(in)
		if got, _ := io.ReadAll(in); string(got) != strings.ReplaceAll(text, "\r", "") { // the echo is by lines
			t.Errorf("%q: %q came back after\n%s", pieces, got, head)
		}
	}
}
