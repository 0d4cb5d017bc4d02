package templates

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// startPython starts the template python3 with a handler.
func startPython(t *testing.T, code string) *running {
	t.Helper()
	_, err := exec.LookPath("python3")
	servers.Require(t, "python", err)
	return start(t, write(t, "python3", map[string]string{"handler.py": code}), "python3", "index.py")
}

// dial opens a connection to a function.
func (r *running) dial(t *testing.T) net.Conn {
	t.Helper()
	u, err := url.Parse(r.url)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // it may be closed
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// raw sends bytes and returns all that comes until the connection ends.
func (r *running) raw(t *testing.T, request string) string {
	t.Helper()
	c := r.dial(t)
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("%v after %q", err, got)
	}
	return string(got)
}

// logged waits for a text in what the function said.
func (r *running) logged(t *testing.T, text string) {
	t.Helper()
	fixture.Eventually(t, 5*time.Second, "the log has "+text, func() bool { return strings.Contains(r.log.String(), text) })
}

const pythonAnswers = `
import asyncio, dataclasses, datetime, decimal, io, sys, tempfile

@dataclasses.dataclass
class Point:
    x: int

class Plain:
    pass

class WSGI:
    def __call__(self, environ, start_response):
        start_response("201 Created", [("Content-Type", "text/x"), ("X-Method", environ["REQUEST_METHOD"])])
        return [b"ws", b"gi"]

class ASGI:
    async def __call__(self, scope, receive, send):
        await send({"type": "http.response.start", "status": 202, "headers": [(b"content-type", b"text/y")]})
        await send({"type": "http.response.body", "body": b"as", "more_body": True})
        if scope["path"] == "/asgi-breaks":
            raise ValueError("secret-text")
        if scope["path"] == "/asgi-forever":
            while True:
                await send({"type": "http.response.body", "body": b"and on", "more_body": True})
        await send({"type": "http.response.body", "body": b"gi"})

async def later():
    await asyncio.sleep(0.01)
    return "later", 203

async def parts():
    yield "a"
    await asyncio.sleep(0.01)
    yield b"b"

def file():
    f = tempfile.TemporaryFile("w+")
    f.write("of a file")
    f.seek(0)
    return f

def early():
    raise ValueError("secret-text")
    yield

def leave():
    sys.exit("secret-text")

ANSWERS = {
    "/cookies": lambda e: ("ok", 200, {"Set-Cookie": ["a=1", "b=2"]}),
    "/dict-cookies": lambda e: {"body": "ok", "headers": {"Set-Cookie": ("a=1", "b=2")}},
    "/pair-cookies": lambda e: ("ok", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]),
    "/map": lambda e: map(str, [1, 2]),
    "/bytesio": lambda e: io.BytesIO(b"of memory"),
    "/file": lambda e: ({"body": file()}),
    "/number": lambda e: 4.5,
    "/decimal": lambda e: {"body": decimal.Decimal("1.20")},
    "/error": lambda e: {"statusCode": 500, "body": ValueError("no good")},
    "/json": lambda e: [Point(1), datetime.date(2020, 1, 2), decimal.Decimal("1.5")],
    "/words": lambda e: ("made", "201 CREATED"),
    "/teapot": lambda e: ("x", 418, None),
    "/object": lambda e: Plain(),
    "/set": lambda e: {"a", "b"},
    "/function": lambda e: early,
    "/in-json": lambda e: {"a": Plain()},
    "/long-tuple": lambda e: (1, 2, 3, 4),
    "/status": lambda e: {"statusCode": 99},
    "/status-words": lambda e: {"statusCode": "fine"},
    "/latin": lambda e: ("x", {"X-Name": "\u20ac"}),
    "/name": lambda e: ("x", {"X Name": "v"}),
    "/wsgi": lambda e: WSGI(),
    "/asgi": lambda e: ASGI(),
    "/asgi-breaks": lambda e: ASGI(),
    "/asgi-forever": lambda e: ASGI(),
    "/wsgi-tuple": lambda e: (WSGI(), 299, {"X-Method": "mine"}),
    "/later": lambda e: later(),
    "/parts": lambda e: parts(),
    "/early": lambda e: early(),
    "/exit": lambda e: leave(),
    "/refused": lambda e: (_ for _ in ()).throw(ConnectionRefusedError("secret-text")),
    "/text": lambda e: e.text,
    "/decoded": lambda e: e.json(),
    "/form": lambda e: e.form.to_dict(flat=False),
    "/stream": lambda e: e.stream,
    "/cookie": lambda e: e.headers["cookie"] + "|" + e.headers["X-A"] + "|" + str(e.headers.getlist("x-a")),
    "/count": lambda e: str(len(e.headers)),
    "/length": lambda e: str(max(map(len, e.headers.values()))),
}

def handle(event, context):
    return ANSWERS[event.path](event)
`

// bothWays gives a handler as it is, and as an async one.
func bothWays() map[string]string {
	return map[string]string{"threads": pythonAnswers, "loop": strings.Replace(pythonAnswers, "def handle(", "async def handle(", 1)}
}

func TestPythonAnswers(t *testing.T) {
	t.Parallel()
	failed := "Internal Server Error\n"
	for way, code := range bothWays() {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			r := startPython(t, code)
			for _, c := range []call{
				{target: "/map", status: 200, answer: "12", answerKind: "text/plain; charset=utf-8"},
				{target: "/bytesio", status: 200, answer: "of memory", answerKind: "application/octet-stream"},
				{target: "/file", status: 200, answer: "of a file"},
				{target: "/number", status: 200, answer: "4.5"},
				{target: "/decimal", status: 200, answer: "1.20"},
				{target: "/error", status: 500, answer: "no good"},
				{target: "/json", status: 200, answer: `[{"x": 1}, "2020-01-02", "1.5"]`, answerKind: "application/json"},
				{target: "/words", status: 201, answer: "made"},
				{target: "/teapot", status: 418, answer: "x"},
				{target: "/object", status: 500, answer: failed},
				{target: "/set", status: 500, answer: failed},
				{target: "/function", status: 500, answer: failed},
				{target: "/in-json", status: 500, answer: failed},
				{target: "/long-tuple", status: 500, answer: failed},
				{target: "/status", status: 500, answer: failed},
				{target: "/status-words", status: 500, answer: failed},
				{target: "/latin", status: 500, answer: failed},
				{target: "/name", status: 500, answer: failed},
				{target: "/wsgi", status: 201, answer: "wsgi", answerKind: "text/x", header: "X-Method: GET"},
				{target: "/asgi", status: 202, answer: "asgi", answerKind: "text/y"},
				{target: "/wsgi-tuple", status: 299, answer: "wsgi", header: "X-Method: mine"},
				{target: "/later", status: 203, answer: "later"},
				{target: "/parts", status: 200, answer: "ab"},
				{target: "/early", status: 500, answer: failed},
				{target: "/exit", status: 500, answer: failed},
				{target: "/refused", status: 500, answer: failed},
				{target: "/stream", status: 500, answer: failed},
				{method: "POST", target: "/text", kind: "text/plain; charset=latin-1", body: "\xfc", status: 200, answer: "ü"},
				{method: "POST", target: "/text", body: "\xff\xfe\xfc\x00", status: 200, answer: "ü"},
				{method: "POST", target: "/text", kind: "text/plain; charset=klingon", body: "x", status: 415, answer: "the body names a charset that nobody knows\n"},
				{method: "POST", target: "/decoded", body: "\xef\xbb\xbf{\"a\": [1]}", status: 200, answer: `{"a": [1]}`},
				{method: "POST", target: "/decoded", body: "{", status: 400, answer: "the body is not JSON\n"},
				{method: "POST", target: "/decoded", body: strings.Repeat("[", 100000), status: 400, answer: "the body is not JSON\n"},
				{method: "POST", target: "/form", body: "a=1&a=2&b=+", status: 200, answer: `{"a": ["1", "2"], "b": [" "]}`},
			} {
				t.Run(c.target, func(t *testing.T) { c.run(t, r) })
			}
			if got := r.raw(t, "GET /asgi-breaks HTTP/1.1\r\n\r\n"); !strings.HasSuffix(got, "2\r\nas\r\n") {
				t.Errorf("a response that breaks off: %q", got)
			}
			c := r.dial(t)
			_, err := io.WriteString(c, "GET /asgi-forever HTTP/1.1\r\n\r\n")
			got := make([]byte, 100)
			if _, more := io.ReadFull(c, got); errors.Join(err, more, c.Close()) != nil || !strings.Contains(string(got), "HTTP/1.1 202") {
				t.Errorf("a response without an end: %q", got)
			}
			for _, path := range []string{"/cookies", "/dict-cookies", "/pair-cookies"} {
				got := r.raw(t, "GET "+path+" HTTP/1.1\r\nConnection: close\r\n\r\n")
				if !strings.Contains(got, "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n") {
					t.Errorf("%s answers %q", path, got)
				}
			}
			for _, text := range []string{
				"a value of type handler.Plain cannot be sent", "a value of type builtins.set cannot be sent", "the handler wanted to end the process: SystemExit('secret-text')",
				"'fine' is no status", "ConnectionRefusedError: secret-text", "stream_body = True",
			} {
				r.logged(t, strings.Replace(text, "handler.Plain", "function.handler.Plain", 1))
			}
		})
	}
}

func TestPythonHeads(t *testing.T) {
	t.Parallel()
	for way, code := range bothWays() {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			r := startPython(t, code)
			var many strings.Builder
			for i := range 1000 {
				fmt.Fprintf(&many, "X-N-%d: %d\r\n", i, i)
			}
			last := "Connection: close\r\n\r\n"
			for name, c := range map[string]struct{ request, want string }{
				"cookies":              {"GET /cookie HTTP/1.1\r\nCookie: a=1\r\nX-A: 1\r\ncookie: b=2\r\nx-a: 2\r\n" + last, "a=1; b=2|1, 2|['1', '2']"},
				"1000 lines":           {"GET /count HTTP/1.1\r\n" + many.String() + last, "\r\n\r\n1001"},
				"a MiB":                {"GET /length HTTP/1.1\r\nX-Long: " + strings.Repeat("h", 1<<20) + "\r\n" + last, "\r\n\r\n1048576"},
				"more":                 {"GET /length HTTP/1.1\r\nX-Long: " + strings.Repeat("h", 3<<20) + "\r\n" + last, "HTTP/1.1 431 "},
				"HTTP/1.0":             {"POST /text HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", "Connection: close\r\n\r\nhi"},
				"a stream of HTTP/1.0": {"GET /map HTTP/1.0\r\n\r\n", "Connection: close\r\n\r\n12"},
				"HTTP/2":               {"GET /map HTTP/2.0\r\n\r\n", "HTTP/1.1 505 "},
				"no HTTP":              {"hello\r\n\r\n", "HTTP/1.1 400 "},
				"no name":              {"GET /map HTTP/1.1\r\n: x\r\n\r\n", "HTTP/1.1 400 "},
				"a folded line":        {"GET /map HTTP/1.1\r\nA: x\r\n y\r\n\r\n", "HTTP/1.1 400 "},
				"two lengths":          {"POST /text HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 400 "},
				"length and chunks":    {"POST /text HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 400 "},
				"a negative length":    {"POST /text HTTP/1.1\r\nContent-Length: -1\r\n\r\nhi", "HTTP/1.1 400 "},
				"chunks":               {"POST /text HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + last + "2;x=y\r\nhi\r\n1\r\n!\r\n0\r\nA: b\r\n\r\n", "\r\n\r\nhi!"},
				"a chunk of no size":   {"POST /text HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nhi\r\n0\r\n\r\n", "HTTP/1.1 400 "},
				"a chunk that is long": {"POST /text HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi!\r\n0\r\n\r\n", "HTTP/1.1 400 "},
				"one behind the other": {"GET /count HTTP/1.1\r\nA: 1\r\n\r\nGET /count HTTP/1.1\r\nA: 1\r\nB: 2\r\n" + last, "\r\n\r\n1HTTP/1.1 200 "},
				"one behind a refusal": {"POST /text HTTP/1.1\r\nContent-Length: x\r\n\r\nGET /count HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
				"HEAD of a stream":     {"HEAD /map HTTP/1.1\r\n" + last, "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"},
			} {
				t.Run(name, func(t *testing.T) {
					got := r.raw(t, c.request)
					if !strings.Contains(got, c.want) || strings.HasPrefix(c.want, "HTTP/1.1 4") && strings.Count(got, "HTTP/1.1") != 1 {
						t.Errorf("%q, not %q", got[:min(len(got), 500)], c.want)
					}
				})
			}
		})
	}
}

const pythonStreams = `
import sys, time

stream_body = True
closed = "no"

def pieces():
    global closed
    try:
        for i in range(100):
            yield "piece\n"
            time.sleep(0.1)
    finally:
        closed = "yes"

def broken():
    yield "so far"
    raise Exception("secret-text")

def handle(event, context):
    if event.path == "/pieces":
        return pieces()
    if event.path == "/broken":
        return broken()
    if event.path == "/closed":
        return closed
    if event.path == "/sizes":
        return event.stream.read(3) + b"|" + event.stream.read(2) + b"|" + event.stream.read()
    if event.path == "/body":
        return event.body
    if event.path == "/unread":
        return "unread"
    return (piece for piece in event.stream)
`

const pythonAsyncStreams = `
import asyncio

stream_body = True
closed = "no"

async def pieces():
    global closed
    try:
        for i in range(100):
            yield "piece\n"
            await asyncio.sleep(0.1)
    finally:
        closed = "yes"

async def broken():
    yield "so far"
    raise Exception("secret-text")

async def handle(event, context):
    if event.path == "/pieces":
        return pieces()
    if event.path == "/broken":
        return broken()
    if event.path == "/closed":
        return closed
    if event.path == "/sizes":
        return await event.stream.read(3) + b"|" + await event.stream.read(2) + b"|" + await event.stream.read()
    if event.path == "/body":
        return await event.stream.read()
    if event.path == "/unread":
        return "unread"
    return (piece async for piece in event.stream)
`

func TestPythonStreams(t *testing.T) {
	t.Parallel()
	for way, code := range map[string]string{"threads": pythonStreams, "loop": pythonAsyncStreams} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			r := startPython(t, code)
			long := strings.Repeat("long", 1<<20)
			for _, c := range []call{
				{method: "POST", target: "/sizes", body: "hello world", status: 200, answer: "hel|lo| world"},
				{method: "POST", target: "/sizes", body: "hello world", chunked: true, status: 200, answer: "hel|lo| world"},
				{method: "POST", target: "/body", body: long, chunked: true, status: 200, answer: long},
				{method: "POST", target: "/", body: long, chunked: true, status: 200, answer: long},
				{method: "POST", target: "/unread", body: long, status: 200, answer: "unread"},
			} {
				t.Run(c.target, func(t *testing.T) { c.run(t, r) })
			}
			t.Run("the first piece comes back at once", func(t *testing.T) { echoesFirst(t, r) })
			t.Run("a stream that breaks has no end", func(t *testing.T) {
				got := r.raw(t, "GET /broken HTTP/1.1\r\n\r\n")
				if !strings.HasSuffix(got, "6\r\nso far\r\n") {
					t.Errorf("%q", got)
				}
				r.logged(t, "secret-text")
			})
			t.Run("a client that goes away closes the generator", func(t *testing.T) {
				c := r.dial(t)
				if _, err := io.WriteString(c, "GET /pieces HTTP/1.1\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				if _, err := c.Read(make([]byte, 100)); err != nil {
					t.Fatal(err)
				}
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
				fixture.Eventually(t, 5*time.Second, "the generator is closed", func() bool {
					_, text := ask(t, r, "GET", "/closed", nil)
					return text == "yes"
				})
			})
		})
	}
}

// echoesFirst sends one piece of a body, and the rest when that has come back.
func echoesFirst(t *testing.T, r *running) {
	t.Helper()
	c := r.dial(t)
	if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 5)
	if _, err := io.ReadFull(res.Body, first); err != nil || string(first) != "first" {
		t.Fatalf("%q, %v", first, err)
	}
	if _, err := io.WriteString(c, "4\r\nrest\r\n0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(res.Body)
	if err != nil || string(rest) != "rest" {
		t.Errorf("%q, %v", rest, err)
	}
}

const pythonWSGI = `
def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/fail":
        raise Exception("secret-text")
    if path == "/silent":
        return []
    if path == "/short":
        start_response("200 OK", [("Content-Length", "10")])
        return iter([b"short"])
    if path == "/write":
        start_response("200 OK", [("Content-Type", "text/plain")])(b"written ")
        return iter([b"returned"])
    body = environ["wsgi.input"].read()
    if path == "/split":
        start_response("200 OK", [("X-Name", "a\r\nb")])
        return [b""]
    start_response("201 Created", [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), ("X-Cookie", environ.get("HTTP_COOKIE", "")), ("X-Query", environ["QUERY_STRING"])])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
`

const pythonASGI = `
import asyncio, sys

state = "not started"
later = asyncio.Event()

async def app(scope, receive, send):
    global state
    if scope["type"] == "lifespan":
        assert (await receive())["type"] == "lifespan.startup"
        scope["state"]["word"] = "started"
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        print("shut down")
        await send({"type": "lifespan.shutdown.complete"})
        return
    path = scope["path"]
    if path == "/fail":
        raise Exception("secret-text")
    if path == "/silent":
        return
    if path == "/after":
        later.clear()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"after"})
        await later.wait()
        raise Exception("in the background")
    if path == "/echo":
        later.set()
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message["more_body"]:
            break
    if path == "/slow":
        print("slow begins", file=sys.stderr)
        await asyncio.sleep(1)
        body = b"slow"
    cookie = dict(scope["headers"]).get(b"cookie", b"")
    await send({"type": "http.response.start", "status": 201, "headers": [(b"content-type", b"text/plain"), (b"x-cookie", cookie), (b"x-query", scope["query_string"]), (b"x-state", scope["state"]["word"].encode())]})
    if path == "/short":
        await send({"type": "http.response.body", "body": b"so far", "more_body": True})
        raise Exception("secret-text")
    await send({"type": "http.response.body", "body": body, "more_body": path != "/slow"})
    if path != "/slow":
        await send({"type": "http.response.body"})
`

func TestPythonApplications(t *testing.T) {
	t.Parallel()
	failed := "Internal Server Error\n"
	for kind, code := range map[string]string{"WSGI": pythonWSGI, "ASGI": pythonASGI} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := startPython(t, code)
			for _, c := range []call{
				{method: "POST", target: "/echo?a=b%20c", body: "hi", status: 201, answer: "hi", answerKind: "text/plain", header: "X-Query: a=b%20c"},
				{method: "POST", target: "/echo", body: strings.Repeat("long", 50000), chunked: true, status: 201, answer: strings.Repeat("long", 50000)},
				{method: "HEAD", target: "/echo", status: 201},
				{target: "/fail", status: 500, answer: failed},
				{target: "/silent", status: 500, answer: failed},
				{target: "/_/ready", status: 200, answer: "ready\n"},
			} {
				t.Run(c.target, func(t *testing.T) { c.run(t, r) })
			}
			got := r.raw(t, "GET /echo HTTP/1.1\r\nCookie: a=1\r\nCookie: b=2\r\nConnection: close\r\n\r\n")
			if !strings.Contains(strings.ToLower(got), "x-cookie: a=1; b=2\r\n") {
				t.Errorf("two cookies: %q", got)
			}
			if got := r.raw(t, "GET /short HTTP/1.1\r\nConnection: close\r\n\r\n"); !strings.HasSuffix(got, "short") && !strings.HasSuffix(got, "6\r\nso far\r\n") {
				t.Errorf("an answer that breaks off: %q", got)
			}
			if kind == "WSGI" {
				call{target: "/write", status: 200, answer: "written returned"}.run(t, r)
				call{target: "/split", status: 500, answer: failed}.run(t, r)
				return
			}
			// The task behind an answer goes on until the next request, which it does not hold up.
			call{target: "/after", status: 200, answer: "after"}.run(t, r)
			call{target: "/echo", status: 201, header: "X-State: started"}.run(t, r)
			r.logged(t, "in the background")
			s := startPython(t, strings.Replace(pythonASGI, `"status": 201`, `"status": 200`, 1))
			drains(t, s)
			s.logged(t, "shut down")
		})
	}
}

func TestPythonHooks(t *testing.T) {
	t.Parallel()
	handle := "def handle(event, context): return said\n"
	for way, prefix := range map[string]string{"threads": "", "loop": "async "} {
		for kind, hook := range map[string]string{"plain": "def ", "async": "async def "} {
			t.Run(way+", "+kind, func(t *testing.T) {
				t.Parallel()
				code := "import os\nsaid = 'nothing'\n" + hook + "start():\n    global said\n    said = 'started'\n" + hook +
					"ready():\n    if said == 'fails': raise Exception('secret-text')\n    return said != 'no'\n" +
					hook + "stop():\n    print('stopped')\n    raise Exception('secret-text')\n" + prefix + "def handle(event, context):\n    global said\n    said = event.text or said\n    return said\n"
				r := startPython(t, code)
				call{target: "/", status: 200, answer: "started"}.run(t, r)
				call{target: "/_/ready", status: 200, answer: "ready\n"}.run(t, r)
				for _, said := range []string{"no", "fails"} {
					call{method: "POST", target: "/", body: said, status: 200, answer: said}.run(t, r)
					call{target: "/_/ready", status: 503, answer: "not ready\n"}.run(t, r)
				}
				r.stop(t)
				if err := r.exited(t); err == nil {
					t.Error("a stop that fails is an exit code of 0")
				}
				r.logged(t, "stopped\n")
				r.logged(t, "secret-text")
			})
		}
	}
	t.Run("a start that is none", func(t *testing.T) {
		t.Parallel()
		r := startPython(t, "said = 'x'\ndef start(engine): pass\n"+handle)
		call{target: "/", status: 200, answer: "x"}.run(t, r)
		r.logged(t, "note: start in handler.py is no hook")
	})
	for name, code := range map[string]string{
		"a start that fails": "async def start(): raise Exception('secret-text')\n" + handle,
		"a start that exits": "import sys\ndef start(): sys.exit('secret-text')\n" + handle,
		"a load that exits":  "import sys\nsys.exit(0)\n" + handle,
		"a lifespan that fails": "async def app(scope, receive, send):\n    await receive()\n" +
			"    await send({'type': 'lifespan.startup.failed', 'message': 'secret-text'})\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), "python3", "index.py")
			cmd.Dir = write(t, "python3", map[string]string{"handler.py": code})
			if out, err := cmd.CombinedOutput(); err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "Traceback") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
