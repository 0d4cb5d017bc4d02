package framing

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"regexp"
	"slices"
	"testing"
)

// FuzzFraming holds what follows a connection against net/http's own reader: no request with both a length and chunks
// passes for one that is not in doubt, however the connection is cut into pieces.
func FuzzFraming(f *testing.F) {
	const chunked = "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"
	const both = "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
	for _, s := range []string{
		both, chunked + both, "GET / HTTP/1.1\r\nHost: h\r\n\r\n" + both, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" + both,
		"POST /p HTTP/1.1\nHost: h\nContent-Length: 6\nTransfer-Encoding: chunked\n\n0\r\n\r\n", "\r\n" + both, chunked + "\r\n" + both,
		"POST /p HTTP/1.1\r\nHost: h\r\nX: a\r\n Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + both,
		"POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0 ;x\r\n\r\n" + both,
		"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nX: POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + both,
	} {
		f.Add([]byte(s), 7)
	}
	length := regexp.MustCompile(`(?i)\ncontent-length[ \t]*:`)
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		follow := &Framing{}
		var rest []byte // what the server reads
		for piece := range slices.Chunk(bytes.Clone(in), min(max(1, step), 4096)) {
			rest = append(rest, piece[:follow.Feed(piece)]...)
		}
		in = rest
		all := bytes.NewReader(in)
		src := bufio.NewReader(all)
		at := func() int { return len(in) - all.Len() - src.Buffered() }
		for {
			begin := at()
			r, err := http.ReadRequest(src)
			if err != nil {
				return
			}
			both := r.TransferEncoding != nil && length.Match(in[begin:at()])
			is, may := follow.Ambiguous(r)
			if both && !may || is && !both {
				t.Fatalf("%q: both a length and chunks is %v, and it is %v, or may be: %v", in[begin:at()], both, is, may)
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return
			}
		}
	})
}
