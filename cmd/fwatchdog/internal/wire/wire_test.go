package wire

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// plainHeads are seeds: heads that are plain, and heads that are not.
func plainHeads() []string {
	return []string{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST /a?b=c HTTP/1.1\r\nHost: h:80\r\nContent-Length: 5\r\nX-A: 1\r\nx-a: 2\r\n\r\nhello",
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nCookie: a=1; b=2\r\n\r\n",
		"GET / HTTP/1.0\r\nHost: h\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n folded\r\n\r\n",
		"GET / HTTP/1.1\nHost: h\n\n\r\n\r\n",
		"GET //x HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
		"GET / HTTP/1.1\r\nHost: h\r\nX-\xff: 1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nX: \xff\r\n\r\n",
	}
}

// FuzzHeadParser holds the parser of plain heads against the standard library's: what it takes for plain, the
// other one reads as the same request.
func FuzzHeadParser(f *testing.F) {
	for _, head := range plainHeads() {
		f.Add([]byte(head))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		end := bytes.Index(in, []byte("\r\n\r\n"))
		if end < 0 || end > 8<<10 {
			return
		}
		end += len("\r\n\r\n")
		var got http.Request
		var p HeadParser
		length, plain := p.Parse(in[:end], &got)
		if !plain {
			return
		}
		want, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(in)))
		if err != nil {
			t.Fatalf("the parser takes %q, which is malformed: %v", in[:end], err)
		}
		want.Header.Del("Host")
		if got.Method != want.Method || got.RequestURI != want.RequestURI || got.Host != want.Host || got.URL.String() != want.URL.String() ||
			int64(length) != want.ContentLength || len(want.TransferEncoding) > 0 || want.Close {
			t.Errorf("%q: the parser reads %+v with %d bytes, the standard library %+v", in[:end], got, length, want)
		}
		if diff := cmp.Diff(want.Header, got.Header); diff != "" {
			t.Errorf("%q: headers differ (-standard +parser):\n%s", in[:end], diff)
		}
	})
}

// FuzzReadAnswer holds the reader of answers against the standard library's, wherever both take one.
func FuzzReadAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n",
		"HTTP/1.0 200 OK\r\n\r\nto the end",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 200 OK\r\nConnection: X-A, close\r\nX-A: 1\r\nX-B: 2\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		src := bufio.NewReader(bytes.NewReader(in))
		h := http.Header{}
		a, err := ReadAnswer(src, http.MethodGet, h)
		if err != nil || a.Status < 200 {
			return
		}
		body, bodyErr := io.ReadAll(a.Body(src))
		want, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(in)), nil)
		if err != nil {
			return // it is stricter here and there
		}
		wantBody, wantErr := io.ReadAll(want.Body)
		if a.Length >= 0 && int64(len(body)) < a.Length && bodyErr == nil {
			bodyErr = io.ErrUnexpectedEOF
		}
		if a.Status != want.StatusCode {
			t.Errorf("%q: status %d, want %d", in, a.Status, want.StatusCode)
		}
		if bodyErr == nil && wantErr == nil && !bytes.Equal(body, wantBody) {
			t.Errorf("%q: body %q, want %q", in, body, wantBody)
		}
		for _, name := range slices.Collect(maps.Keys(h)) {
			if HopByHop(name) {
				t.Errorf("%q: %s is passed on", in, name)
			}
		}
	})
}

func TestListed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		values []string
		token  string
		want   bool
	}{
		{[]string{"close"}, "close", true},
		{[]string{"Keep-Alive, Close"}, "close", true},
		{[]string{"a", " b ,c"}, "b", true},
		{[]string{"closed"}, "close", false},
		{nil, "close", false},
	} {
		if got := Listed(tt.values, tt.token); got != tt.want {
			t.Errorf("Listed(%q, %q) = %v", tt.values, tt.token, got)
		}
	}
}
