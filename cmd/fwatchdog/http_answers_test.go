package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

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
		{"an escape in a value", "HTTP/1.1 200 OK\r\nX-A: a\x1b[2Jb\r\nContent-Length: 2\r\n\r\nok"},
		{"a bell in a value", "HTTP/1.1 200 OK\r\nX-A: a\x07\r\nContent-Length: 2\r\n\r\nok"},
		{"a delete in a value", "HTTP/1.1 200 OK\r\nX-A: a\x7f\r\nContent-Length: 2\r\n\r\nok"},
		{"a carriage return in a value", "HTTP/1.1 200 OK\r\nX-A: a\rX-B: b\r\nContent-Length: 2\r\n\r\nok"},
		{"an escape in an interim value", "HTTP/1.1 103 Early Hints\r\nLink: \x1bb\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"},
		{"a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"},
		{"a length with a sign", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok"},
		{"a transfer coding unknown", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
		{"chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"a length announced for after the chunks", "HTTP/1.1 200 OK\r\nTrailer: X-A, content-length\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 2\r\n\r\n"},
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
		{"within a trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nX-T: 1\r\n"},
		{"at an escape in a trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nX-T: \x1b[2J\r\n\r\n"},
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

// forbiddenTrailers frame a message, route it, or say how to read it.
const forbiddenTrailers = "Content-Length: 1\r\nTransfer-Encoding: chunked\r\nConnection: x\r\nHost: evil\r\nContent-Type: text/evil\r\n" +
	"Authorization: evil\r\nSet-Cookie: evil\r\nIf-Match: evil\r\nX-Good: yes\r\n"

// TestForbiddenTrailers are not passed on in either direction, nor announced.
func TestForbiddenTrailers(t *testing.T) {
	ours(t)
	const body = "4\r\nbody\r\n0\r\n" + forbiddenTrailers + "\r\n"
	asked := make(chan string, 1)
	up := rawUpstream(t, func(c net.Conn) {
		in := bufio.NewReader(c)
		head := readHeadText(in)
		if strings.HasPrefix(head, "POST ") {
			rest := make([]byte, 2048)
			for n := 0; !strings.HasSuffix(head, "\r\n\r\n") || !strings.Contains(head, "\r\n0\r\n"); head += string(rest[:n]) {
				var err error
				if n, err = in.Read(rest); err != nil {
					break
				}
			}
		}
		select {
		case asked <- head:
		default:
		}
		announced := "Trailer: Authorization, X-Good, If-Match\r\nTrailer: connection, foo bar: baz, X-Sent\r\nX-Sent: once\r\n"
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+announced+"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"+body) // the test sees it
	})
	d := launch(t, before(t, up.address)...).serving()
	check := func(what, text string) {
		t.Helper()
		if strings.Contains(text, "evil") || strings.Contains(text, "foo bar") || strings.Contains(text, "\r\n0\r\nC") || strings.Contains(text, "\r\n0\r\nT") {
			t.Errorf("%s has what may not be in a trailer:\n%s", what, text)
		}
		if strings.Count(text, "X-Good: yes") != 1 || strings.Count(strings.ToLower(text), "content-length") > 0 {
			t.Errorf("%s:\n%s", what, text)
		}
	}
	for _, extra := range []string{"", "Connection: close\r\n"} { // the plainServer's own writer, and net/http's
		got := d.rawConn("GET / HTTP/1.1\r\nHost: h\r\n"+extra+"\r\n", true)
		check("the answer", got)
		if strings.Count(got, "X-Sent: once") != 1 {
			t.Errorf("a field of the head that is announced as trailer:\n%s", got)
		}
	}
	for _, announced := range []string{"", "Trailer: X-Good, foo bar: baz, Host\r\n"} {
		for len(asked) > 0 {
			<-asked
		}
		d.rawConn("POST / HTTP/1.1\r\nHost: h\r\n"+announced+"Transfer-Encoding: chunked\r\n\r\n"+body, true)
		check("the request", <-asked)
	}
}
