package gateway

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// raw sends bytes to a server and returns all that it answers.
func raw(t *testing.T, url, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("the connection stays: %v", err)
	}
	return string(got)
}

// TestAmbiguousRequests are refused where two readers see different ends, and are the last of
// their connection where they may.
func TestAmbiguousRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]http.HandlerFunc{"f": func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }}, nil) // the client sees it
	for _, path := range []string{"/function/f", "/async-function/f"} {
		head := "POST " + path + " HTTP/1.1\r\nHost: localhost\r\n"
		const both, chunks, hidden = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n", "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
		got := raw(t, r.url, head+both+hidden)
		if !strings.HasPrefix(got, "HTTP/1.1 400 ") || strings.Count(got, "HTTP/1.1") != 1 || !strings.Contains(got, "both Content-Length and Transfer-Encoding") {
			t.Errorf("%s, both: %s", path, got)
		}
		for _, before := range []string{
			head + chunks + "3\r\nabc\r\n0\r\n\r\n", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", head + "Content-Length: 2\r\n\r\nhi", "\r\n",
		} {
			if got := raw(t, r.url, before+head+both+hidden); !strings.Contains(got, "HTTP/1.1 400 ") || strings.HasSuffix(got, "OK") {
				t.Errorf("%s, both behind %q: %s", path, before, got)
			}
		}
		unsure := raw(t, r.url, head+"X-Long: "+strings.Repeat("x", 10<<10)+"\r\n"+chunks+hidden)
		if strings.Contains(unsure, " 400 ") || strings.Count(unsure, "HTTP/1.1") != 1 {
			t.Errorf("%s, one that cannot be followed: %s", path, unsure)
		}
		for _, bad := range []string{"zz\r\nabc\r\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "-1\r\n\r\n"} {
			if got := raw(t, r.url, head+chunks+bad); !strings.HasPrefix(got, "HTTP/1.1 400 ") || !strings.Contains(got, "the request's body did not come whole: ") {
				t.Errorf("%s, bad chunks %q: %s", path, bad, got)
			}
		}
	}
	good := "POST /function/f HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
	if got := raw(t, r.url, good+good+"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); strings.Count(got, "HTTP/1.1 200 ") != 3 {
		t.Errorf("good ones: %s", got)
	}
}

// TestStalledBodies are given up.
func TestStalledBodies(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]http.HandlerFunc{"f": func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }}, nil) // as above
	r.server.patience = 50 * time.Millisecond
	for _, path := range []string{"/function/f", "/async-function/f"} {
		for _, size := range []string{"Content-Length: 5\r\n\r\nhi", "Transfer-Encoding: chunked\r\n\r\n5\r\nhi"} {
			got := raw(t, r.url, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\n%s", path, size))
			if !strings.HasPrefix(got, "HTTP/1.1 408 ") || !strings.Contains(got, "nothing of the request's body came for 50ms") {
				t.Errorf("%s, %q: %s", path, size, got)
			}
		}
	}
	// An answer that takes its time is not.
	slow := newRig(t, map[string]http.HandlerFunc{"f": func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body) // the client sees it
		time.Sleep(3 * time.Second)
		if r.Context().Err() != nil {
			t.Error("the client is gone")
		}
	}}, nil)
	slow.server.patience = 2 * time.Second
	res, err := http.Post(slow.url+"/function/f", "text/plain", io.MultiReader(strings.NewReader("chunked")))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got, err := io.ReadAll(res.Body); string(got) != "chunked" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}
