package wire

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// sortedFields sorts the fields of a head, which come in no order.
func sortedFields(head string) string {
	line, rest, _ := strings.Cut(head, "\r\n")
	fields := strings.Split(strings.TrimSuffix(rest, "\r\n\r\n"), "\r\n")
	slices.Sort(fields)
	return line + "|" + strings.Join(fields, "|")
}

func TestAppendRequest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		to     Route
		r      http.Request
		length int64
		want   string
	}{
		{"plain", Route{}, http.Request{Method: "GET", RequestURI: "/a?b", Host: "h"}, 0, "GET /a?b HTTP/1.1|Host: h"},
		{"with a prefix", Route{Prefix: "/x"}, http.Request{Method: "GET", RequestURI: "/a", Host: "h"}, 0, "GET /x/a HTTP/1.1|Host: h"},
		{"through a proxy", Route{Prefix: "http://h", ProxyAuth: "Basic x"}, http.Request{Method: "GET", RequestURI: "/a", Host: "h"}, 0, "GET http://h/a HTTP/1.1|Host: h|Proxy-Authorization: Basic x"},
		{"with a length", Route{}, http.Request{Method: "POST", RequestURI: "/", Host: "h"}, 5, "POST / HTTP/1.1|Content-Length: 5|Host: h"},
		{"without a body", Route{}, http.Request{Method: "POST", RequestURI: "/", Host: "h"}, 0, "POST / HTTP/1.1|Content-Length: 0|Host: h"},
		{"in chunks", Route{}, http.Request{Method: "PUT", RequestURI: "/", Host: "h", Trailer: http.Header{"X-T": nil, "Host": nil}}, UnknownLength, "PUT / HTTP/1.1|Host: h|Trailer: X-T|Transfer-Encoding: chunked"},
		{"hop by hop", Route{}, http.Request{Method: "GET", RequestURI: "/", Host: "h", Header: http.Header{
			"Connection": {"x-a, close"}, "X-A": {"1"}, "X-B": {"2", "3"}, "Keep-Alive": {"1"}, "Proxy-Authorization": {"mine"}, "Content-Length": {"7"}, "Te": {"gzip, trailers"},
		}}, 0, "GET / HTTP/1.1|Connection: TE|Content-Length: 0|Host: h|TE: trailers|X-B: 2|X-B: 3"},
		{"an upgrade", Route{}, http.Request{Method: "GET", RequestURI: "/", Host: "h", Header: http.Header{"Connection": {"Upgrade"}, "Upgrade": {"echo"}}}, 0, "GET / HTTP/1.1|Connection: Upgrade|Host: h|Upgrade: echo"},
	} {
		if got := sortedFields(string(tt.to.AppendRequest(nil, &tt.r, tt.length))); got != tt.want {
			t.Errorf("%s:\n%s, want\n%s", tt.name, got, tt.want)
		}
	}
}

func TestTarget(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ method, uri, want string }{
		{"GET", "/a%2fb?c", "/a%2fb?c"},
		{"GET", "//a", "//a"},
		{"OPTIONS", "*", "*"},
		{"GET", "*", ""},
		{"GET", "http://other/a?b", "/a?b"},
		{"GET", "https://other", "/"},
		{"GET", "ftp://other/a", ""},
		{"GET", "x:y", ""},
		{"GET", "http:a", ""},
	} {
		u, err := url.ParseRequestURI(tt.uri)
		if err != nil {
			u = &url.URL{Opaque: tt.uri}
		}
		if got := Target(&http.Request{Method: tt.method, RequestURI: tt.uri, URL: u}); got != tt.want {
			t.Errorf("%s %s: %q, want %q", tt.method, tt.uri, got, tt.want)
		}
	}
}

func TestChunksCanBeRead(t *testing.T) {
	t.Parallel()
	const room = 64
	buf := make([]byte, room+1000+2)
	var sent strings.Builder
	var want strings.Builder
	for _, n := range []int{1, 15, 16, 1000} {
		copy(buf[room:], strings.Repeat(string(rune('a'+n%26)), n))
		want.Write(buf[room : room+n])
		sent.Write(FrameChunk(buf, room, n))
	}
	sent.Write(AppendTrailer(nil, http.Header{"X-T": {"1"}, "Content-Length": {"9"}}))
	in := bufio.NewReader(strings.NewReader(sent.String()))
	got, err := io.ReadAll(httputil.NewChunkedReader(in))
	if err != nil || string(got) != want.String() {
		t.Errorf("%d bytes of %d, %v", len(got), want.Len(), err)
	}
	if rest, _ := io.ReadAll(in); string(rest) != "X-T: 1\r\n\r\n" {
		t.Errorf("the trailer is %q", rest)
	}
}
