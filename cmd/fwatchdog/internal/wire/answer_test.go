package wire

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestReadAnswer(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, tt := range []struct {
		name, method, text string
		want               Answer
	}{
		{"a length", "GET", ok + "Content-Length: 2\r\n\r\n", Answer{Status: 200, Length: 2, http11: true}},
		{"a length twice", "GET", ok + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n", Answer{Status: 200, Length: 2, http11: true}},
		{"bare line feeds", "GET", "HTTP/1.1 200\nContent-Length: 2\n\n", Answer{Status: 200, Length: 2, http11: true}},
		{"to the end", "GET", ok + "\r\n", Answer{Status: 200, Length: UnknownLength, Last: true, http11: true}},
		{"chunks", "GET", ok + "Transfer-Encoding: Chunked\r\n\r\n", Answer{Status: 200, Length: UnknownLength, Chunked: true, http11: true}},
		{"chunks and a length", "GET", ok + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n", Answer{Status: 200, Length: UnknownLength, Chunked: true, Last: true, http11: true}},
		{"the last one", "GET", ok + "Connection: x, Close\r\nContent-Length: 0\r\n\r\n", Answer{Status: 200, Last: true, http11: true}},
		{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n", Answer{Status: 200, Length: 2, Last: true}},
		{"HTTP/1.0, kept", "GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n", Answer{Status: 200, Length: 2}},
		{"to HEAD", "HEAD", ok + "Content-Length: 2\r\n\r\n", Answer{Status: 200, Bodiless: true, http11: true}},
		{"no content", "GET", "HTTP/1.1 204 No Content\r\n\r\n", Answer{Status: 204, Bodiless: true, http11: true}},
	} {
		a, err := ReadAnswer(bufio.NewReader(strings.NewReader(tt.text)), tt.method, http.Header{})
		if err != nil || *a != tt.want {
			t.Errorf("%s: %+v, %v; want %+v", tt.name, a, err, tt.want)
		}
	}
}

func TestReadAnswerRefuses(t *testing.T) {
	t.Parallel()
	for _, rest := range []string{
		"Content-Length: 2\r\nContent-Length: 3", "Content-Length: +2", "Content-Length: ", "Transfer-Encoding: gzip, chunked",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nTrailer: X-A, trailer",
		"Transfer-Encoding: chunked\r\nTrailer: Content-Length", "Transfer-Encoding: chunked\r\nContent-Length: x", " X-A: folded", "X-A : 1", "X-A: \x00", "no colon", ": 1",
	} {
		for _, method := range []string{"GET", "HEAD"} {
			if a, err := ReadAnswer(bufio.NewReader(strings.NewReader("HTTP/1.1 200 OK\r\n"+rest+"\r\n\r\n")), method, http.Header{}); !errors.Is(err, ErrMalformed) {
				t.Errorf("to %s, %q: %+v, %v", method, rest, a, err)
			}
		}
	}
	for _, line := range []string{"HTTP/1.1 20 OK", "HTTP/1.1 099 OK", "HTTP/1.1 2000", "HTTP/2.0 200 OK", "ICY 200 OK", ""} {
		if a, err := ReadAnswer(bufio.NewReader(strings.NewReader(line+"\r\n\r\n")), "GET", http.Header{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %+v, %v", line, a, err)
		}
	}
}

func TestReadAnswerDropsWhatIsOfTheConnection(t *testing.T) {
	t.Parallel()
	h := http.Header{}
	text := "HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\nX-Kept: 1\r\nx-kept: 2\r\nTrailer: X-T, X-Kept, Host\r\nTransfer-Encoding: chunked\r\n\r\n"
	if _, err := ReadAnswer(bufio.NewReader(strings.NewReader(text)), "GET", h); err != nil {
		t.Fatal(err)
	}
	if len(h) != 2 || strings.Join(h["X-Kept"], ",") != "1,2" || strings.Join(h["Trailer"], ",") != "X-T" {
		t.Errorf("%v", h)
	}
}

func TestReadTrailer(t *testing.T) {
	t.Parallel()
	got, err := ReadTrailer(bufio.NewReader(strings.NewReader("X-A: 1\r\nX-A: 2\r\nHost: evil\r\n\r\nmore")))
	if err != nil || len(got) != 1 || strings.Join(got["X-A"], ",") != "1,2" {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"\n", "X-A: 1\n\r\n", "X-A: 1\r\n\n", "X-A : 1\r\n\r\n", "\r\r\n"} {
		if got, err := ReadTrailer(bufio.NewReader(strings.NewReader(text))); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "X-A: 1\r\n", "X-A: 1"} {
		if got, err := ReadTrailer(bufio.NewReader(strings.NewReader(text))); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// TestHeadsAreBounded reads heads that never end, in one line and in many.
func TestHeadsAreBounded(t *testing.T) {
	t.Parallel()
	for name, piece := range map[string]string{"one line": "a", "many lines": "X-A: b\r\n"} {
		endless := io.MultiReader(strings.NewReader("HTTP/1.1 200 OK\r\nX-A: "), &repeated{text: piece})
		in := &counted{r: endless}
		_, err := ReadAnswer(bufio.NewReader(in), "GET", http.Header{})
		if !errors.Is(err, errHeadTooLarge) || in.n > HeadMost+64<<10 {
			t.Errorf("%s: %v after %d bytes", name, err, in.n)
		}
	}
}

// repeated reads as text again and again.
type repeated struct {
	text string
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r.text[r.at%len(r.text)]
		r.at++
	}
	return len(p), nil
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}
