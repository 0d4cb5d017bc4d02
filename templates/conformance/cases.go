package conformance

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

const (
	failed  = "Internal Server Error\n"
	secret  = "secret-text" // what the handlers fail with; no answer may have it
	plain   = "Content-Type: text/plain"
	binary  = "Content-Type: application/octet-stream"
	sse     = "data: one\n\ndata: two\n\n"
	replace = "\ufffd"
)

// Secret is the text of the errors that the handlers fail with. It is in the log
// and never in an answer.
func Secret() string { return secret }

// Cases returns the table.
func Cases() []Case {
	return slices.Concat(bodies(), answers(), heads(), methods(), streams(), failures(), texts())
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// same makes one exception of several templates.
func same(e Exception, templates ...string) map[string]Exception {
	all := map[string]Exception{}
	for _, t := range templates {
		all[t] = e
	}
	return all
}

// both joins exceptions.
func both(list ...map[string]Exception) map[string]Exception {
	all := map[string]Exception{}
	for _, m := range list {
		maps.Copy(all, m)
	}
	return all
}

func allBytes() string {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return string(b)
}

func bodies() []Case {
	big := strings.Repeat("0123456789abcdef", 1<<16)
	return []Case{
		{Name: "a text", Request: Request{Method: "POST", Target: "/echo", Header: []string{plain}, Body: "hello"}, Want: Answer{Type: "text/plain", Body: "hello"}},
		{Name: "every byte", Request: Request{Method: "POST", Target: "/echo", Header: []string{binary}, Body: allBytes()}, Want: Answer{Type: "application/octet-stream", Body: allBytes()}},
		{Name: "an empty body", Request: Request{Method: "POST", Target: "/echo", Header: []string{plain, "Content-Length: 0"}}, Want: Answer{}},
		{Name: "a body in chunks", Request: Request{Method: "POST", Target: "/echo", Header: []string{plain}, Pieces: []string{"he", "llo"}}, Want: Answer{Type: "text/plain", Body: "hello"}},
		{Name: "a MiB", Request: Request{Method: "POST", Target: "/echo", Header: []string{binary}, Body: big}, Want: Answer{Body: big}},
		{Name: "Expect: 100-continue", Request: Request{Method: "POST", Target: "/echo", Header: []string{plain, "Expect: 100-continue"}, Body: "hello"}, Want: Answer{Body: "hello"}},
		{Name: "a streamed upload", Request: Request{Method: "POST", Target: "/upload", Header: []string{binary}, Pieces: []string{"1234", "5678", "9012"}}, Want: Answer{Body: "12"}},
		{Name: "a large upload", Request: Request{Method: "POST", Target: "/upload", Header: []string{binary}, Pieces: []string{big, big, big, big}}, Want: Answer{Body: "4194304"}},
		{Name: "the first piece of a body", Request: Request{Method: "POST", Target: "/first", Header: []string{binary}, Pieces: []string{"first", "rest"}, Hold: true}, Want: Answer{Body: "first"}},
	}
}

// Packaged is the case that a handler answers with a package of its package list: whether a
// version is later than 1.9.0.
func Packaged() Case {
	return Case{Name: "what a package says", Request: Request{Target: "/package/1.10.0"}, Want: Answer{Body: "1"}}
}

func answers() []Case {
	all := []Case{
		{Name: "JSON", Request: Request{Target: "/json"}, Want: Answer{Type: "application/json", JSON: `{"a":1,"b":"ü"}`}},
		{Name: "an answer of a task that waits", Request: Request{Target: "/async"}, Want: Answer{Body: "async"}},
		{Name: "a slow answer", Request: Request{Target: "/slow/100"}, Want: Answer{Body: "slow"}},
		{Name: "a large answer", Request: Request{Target: "/large/1000000"}, Want: Answer{Body: strings.Repeat("x", 1000000)}},
		Packaged(),
		{Name: "what the start hook made", Request: Request{Target: "/started"}, Want: Answer{Body: "yes"}},
		{Name: "two cookies that are set", Request: Request{Target: "/set-cookies"}, Want: Answer{Body: "ok", Header: http.Header{"Set-Cookie": {"a=1; Path=/", "b=2; Path=/"}}}},
		{Name: "a path that is not there", Request: Request{Target: "/nowhere"}, Want: Answer{Status: 404, AnyBody: true}},
		{
			Name: "a form", Request: Request{Method: "POST", Target: "/form", Header: []string{"Content-Type: application/x-www-form-urlencoded"}, Body: "a=1&a=2&b[c]=3"}, Want: Answer{JSON: `{"a":["1","2"],"b[c]":["3"]}`},
			Except: map[string]Exception{"node": {Want: Answer{JSON: `{"a":["1","2"],"b":{"c":"3"}}`}, Reason: "OpenFaaS's node nests forms"}},
		},
	}
	for _, status := range []int{201, 204, 304, 400, 404, 418, 503} {
		all = append(all, Case{Name: fmt.Sprint("status ", status), Request: Request{Target: fmt.Sprint("/status/", status)}, Want: Answer{Status: status}})
	}
	return all
}

func heads() []Case {
	var many []string
	for i := range 200 {
		many = append(many, fmt.Sprintf("X-N-%d: %d", i, i))
	}
	long := strings.Repeat("h", 60<<10)
	decoded := func(path string) map[string]Exception {
		return same(Exception{Want: Answer{Body: path}, Words: "decoded", Reason: "the path is decoded there, as its servers have it"}, "go", "python3")
	}
	return []Case{
		{Name: "a header", Request: Request{Target: "/header/x-name", Header: []string{"X-Name: v"}}, Want: Answer{Body: "v"}},
		{Name: "a header that is not there", Request: Request{Target: "/header/x-name"}, Want: Answer{}},
		{Name: "a header of two lines", Request: Request{Target: "/header/x-name", Header: []string{"X-Name: a", "X-Name: b"}}, Want: Answer{List: "a,b"}},
		{Name: "several cookies", Bad: true, Right: "all of them, in one `Cookie` header or a list of them", Request: Request{Target: "/cookie", Header: []string{"Cookie: a=1; b=2"}}, Want: Answer{Body: "a=1; b=2"}},
		{Name: "two `Cookie` headers", Bad: true, Right: "one, joined with `; `", Request: Request{Target: "/cookie", Header: []string{"Cookie: a=1", "Cookie: b=2"}}, Want: Answer{Body: "a=1; b=2"}},
		{
			Name: "200 headers", Bad: true, Right: "the handler sees them all", Request: Request{Target: "/many-headers", Header: many}, Want: Answer{Body: "200"},
			Except: map[string]Exception{
				"bun":  {Want: Answer{Status: 431, AnyBody: true}, Words: "431", Reason: "Bun's server takes 197 headers, and nothing sets another number"},
				"deno": {Want: Answer{Status: 400, AnyBody: true}, Words: "400", Reason: "Deno's server takes 128 headers, and nothing sets another number"},
			},
		},
		{Name: "a header of 60 KB", Bad: true, Right: "the handler sees it whole", Request: Request{Target: "/header/x-long", Header: []string{"X-Long: " + long}}, Want: Answer{Body: long}},
		{Name: "a query of several values", Request: Request{Target: "/query/n?n=1&m=3&n=2"}, Want: Answer{Body: "1|2"}},
		{Name: "`+` and `%26` in a query", Bad: true, Right: "a space and an `&` in the value", Request: Request{Target: "/query/n?n=a+b%26c"}, Want: Answer{Body: "a b&c"}},
		{Name: "a query without the name", Request: Request{Target: "/query/n?m=1"}, Want: Answer{}},
		{Name: "the end of a path is the ready hook's", Request: Request{Target: "/path/x/_/ready"}, Want: Answer{Body: "/path/x/_/ready"}},
		{Name: "the end of a query is the ready hook's", Request: Request{Target: "/method?next=/_/ready"}, Want: Answer{Body: "GET"}},
		{Name: "`+` in a path", Bad: true, Right: "a `+`", Request: Request{Target: "/path/a+b"}, Want: Answer{Body: "/path/a+b"}},
		{Name: "`%2F` in a path", Bad: true, Right: "`%2F`, so that it is no border of a folder", Request: Request{Target: "/path/a%2Fb"}, Want: Answer{Body: "/path/a%2Fb"}, Except: decoded("/path/a/b")},
		{Name: "`%C3%BC` in a path", Bad: true, Right: "as it came", Request: Request{Target: "/path/%C3%BC"}, Want: Answer{Body: "/path/%C3%BC"}, Except: decoded("/path/ü")},
	}
}

func methods() []Case {
	var all []Case
	for _, m := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		all = append(all, Case{Name: m, Request: Request{Method: m, Target: "/method"}, Want: Answer{Body: m}})
	}
	return append(all,
		Case{Name: "HEAD", Bad: true, Right: "the head of the answer, and no body", Request: Request{Method: "HEAD", Target: "/json"}, Want: Answer{Type: "application/json"}},
		Case{Name: "OPTIONS", Bad: true, Right: "the handler's answer", Request: Request{Method: "OPTIONS", Target: "/method"}, Want: Answer{Body: "OPTIONS"}},
		Case{Name: "PROPFIND", Bad: true, Right: "the handler's answer", Request: Request{Method: "PROPFIND", Target: "/method"}, Want: Answer{Body: "PROPFIND"}},
		Case{Name: "HTTP/1.0", Bad: true, Right: "the same answer, and the connection ends", Request: Request{Target: "/json", Proto: "HTTP/1.0"}, Want: Answer{Type: "application/json", JSON: `{"a":1,"b":"ü"}`}},
		Case{Name: "a stream for HTTP/1.0", Bad: true, Right: "the pieces without chunks; the end of the connection is its end", Request: Request{Target: "/stream", Proto: "HTTP/1.0"}, Want: Answer{Body: sse}},
	)
}

func streams() []Case {
	return []Case{
		{Name: "a stream of events", Request: Request{Target: "/stream"}, Want: Answer{Type: "text/event-stream", Body: sse, Early: "data: one\n\n"}},
		{Name: "a HEAD of a stream", Bad: true, Right: "the head of the answer, at once", Request: Request{Method: "HEAD", Target: "/stream"}, Want: Answer{Type: "text/event-stream"}},
	}
}

func failures() []Case {
	return []Case{
		{
			Name: "a handler that fails", Bad: true, Right: "500 `Internal Server Error`; the error and its stack are in the log, and not in the answer", Request: Request{Target: "/throw"}, Want: Answer{Status: 500, Body: failed, Log: secret},
			Except: map[string]Exception{"rust": {Want: Answer{Status: 500, Body: failed, Log: secret}, Words: "the same without a stack", Reason: "an error has none, and a panic has one if `RUST_BACKTRACE` is `1`"}},
		},
		{Name: "a handler that fails in the middle of a stream", Bad: true, Right: "what was written, and a connection that is cut, so that the client sees that the end is missing; the error is in the log", Request: Request{Target: "/throw-in-stream"}, Want: Answer{Cut: true, AnyBody: true, Log: secret}},
		{Name: "an answer that cannot be sent", Bad: true, Right: "500 `Internal Server Error`; the log says why", Request: Request{Target: "/unsendable"}, Want: Answer{Status: 500, Body: failed, Log: "\n"}},
		{Name: "the request after those", Request: Request{Target: "/started"}, Want: Answer{Body: "yes"}},
	}
}

// texts are bodies that are text for a handler of an event. The others have bytes,
// or what the web's standard says.
func texts() []Case {
	const gzipped = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03;\xbc\x07\x00\xd5i\xd9c\x02\x00\x00\x00" // ü
	bytes := func(body string) map[string]Exception {
		return same(Exception{Want: Answer{Body: body}, Words: "the bytes as they came", Reason: "the handler reads bytes"}, "go", "rust")
	}
	web := func(body string) map[string]Exception {
		return same(Exception{Want: Answer{Body: body}, Words: "read as UTF-8", Reason: "`request.text()` is so by the web's standard; `request.bytes()` has the bytes"}, "typescript", "bun", "deno")
	}
	text := func(header ...string) []string { return header }
	return []Case{
		{Name: "a body in UTF-8", Request: Request{Method: "POST", Target: "/body-text", Header: text("Content-Type: text/plain; charset=utf-8"), Body: "ü"}, Want: Answer{Body: "ü"}},
		{Name: "a body in latin-1 that says so", Bad: true, Right: "the text", Request: Request{Method: "POST", Target: "/body-text", Header: text("Content-Type: text/plain; charset=iso-8859-1"), Body: "\xfc"}, Want: Answer{Body: "ü"}, Except: both(bytes("\xfc"), web(replace))},
		{Name: "a body in latin-1 that does not say so", Bad: true, Right: "the text with U+FFFD in place of what is no UTF-8", Request: Request{Method: "POST", Target: "/body-text", Header: text(plain), Body: "a\xfcb"}, Want: Answer{Body: "a" + replace + "b"}, Except: bytes("a\xfcb")},
		{Name: "a body in UTF-16 that says so", Bad: true, Right: "the text, without its byte order mark", Request: Request{Method: "POST", Target: "/body-text", Header: text("Content-Type: text/plain; charset=utf-16"), Body: "\xff\xfe\xfc\x00"}, Want: Answer{Body: "ü"}, Except: both(bytes("\xff\xfe\xfc\x00"), web(replace+replace+replace+"\x00"))},
		{Name: "a body in UTF-8 with a byte order mark", Bad: true, Right: "the text, without the mark", Request: Request{Method: "POST", Target: "/body-text", Header: text(plain), Body: "\xef\xbb\xbfü"}, Want: Answer{Body: "ü"}, Except: bytes("\xef\xbb\xbfü")},
		{
			Name: "a body in gzip", Bad: true, Right: "the text, unpacked; what unpacks to more than the largest body is 413", Request: Request{Method: "POST", Target: "/body-text", Header: text(plain, "Content-Encoding: gzip"), Body: gzipped}, Want: Answer{Body: "ü"},
			Except: both(bytes(gzipped), same(Exception{Want: Answer{AnyBody: true}, Words: "the bytes as they came", Reason: "the web's standard unpacks answers, not requests; `new DecompressionStream('gzip')` does"}, "typescript", "bun", "deno")),
		},
		{
			Name: "a body that says gzip and is none", Bad: true, Right: "400", Request: Request{Method: "POST", Target: "/body-text", Header: text(plain, "Content-Encoding: gzip"), Body: "no gzip"}, Want: Answer{Status: 400, AnyBody: true},
			Except: both(bytes("no gzip"), web("no gzip")),
		},
	}
}
