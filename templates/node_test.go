package templates

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// ask sends a request with headers to a function and returns the answer with its body.
func ask(t *testing.T, r *running, method, target string, body []byte, headers ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, r.url+target, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableCompression: true, MaxResponseHeaderBytes: 1 << 21}}
	got, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(got.Body)
	if err := errors.Join(err, got.Body.Close()); err != nil {
		return got, string(text) + "\n" + err.Error()
	}
	return got, string(text)
}

func compressed(t *testing.T, kind, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&b)
	if kind == "deflate" {
		w = zlib.NewWriter(&b)
	}
	_, err := io.WriteString(w, text)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func utf16(text string, big bool) []byte {
	var b []byte
	for _, c := range []byte(text) {
		if big {
			b = append(b, 0, c)
		} else {
			b = append(b, c, 0)
		}
	}
	return b
}

// TestNodeBodies is what body-parser makes of bodies, in OpenFaaS's templates.
func TestNodeBodies(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("node")
	servers.Require(t, "node", err)
	dir := write(t, "node", map[string]string{"handler.js": `
module.exports = async ({ body }) => JSON.stringify(Buffer.isBuffer(body) ? { bytes: body.toString('hex') } : { value: body })
`})
	r := start(t, dir, "env", "MAX_JSON_SIZE=1kb", "node", "index.js")
	form, object := "application/x-www-form-urlencoded", "application/json"
	deep := strings.Repeat("[a]", 33)
	for name, c := range map[string]struct {
		kind, coding string
		body         []byte
		status       int
		answer       string
	}{
		"gzip JSON":                    {object, "gzip", compressed(t, "gzip", `{"a":1}`), 200, `{"value":{"a":1}}`},
		"gzip text":                    {"text/plain", "gzip", compressed(t, "gzip", "hi"), 200, `{"value":"hi"}`},
		"deflate":                      {"text/plain", "deflate", compressed(t, "deflate", "hi"), 200, `{"value":"hi"}`},
		"gzip of other types":          {"image/x", "gzip", compressed(t, "gzip", "hi"), 200, `{"bytes":"6869"}`},
		"not gzip":                     {object, "gzip", []byte("{}"), 400, "the body is not gzip\n"},
		"cut gzip":                     {object, "gzip", compressed(t, "gzip", `{"a":1}`)[:20], 400, "the body is not gzip\n"},
		"another coding":               {object, "compress", []byte("{}"), 415, "the content encoding compress is not known\n"},
		"another coding, binary":       {"image/x", "compress", []byte("hi"), 200, `{"bytes":"6869"}`},
		"a coding by a name of Object": {object, "constructor", []byte("{}"), 415, "the content encoding constructor is not known\n"},
		"a bomb":                       {object, "gzip", compressed(t, "gzip", strings.Repeat(" ", 1<<20)), 413, "the body has more than 1024 bytes\n"},
		"more than allowed":            {object, "", bytes.Repeat([]byte(" "), 2000), 413, "the body has more than 1024 bytes\n"},
		"text has no limit":            {"text/plain", "", bytes.Repeat([]byte("x"), 2000), 200, `{"value":"` + strings.Repeat("x", 2000) + `"}`},
		"latin-1":                      {"text/plain; charset=ISO-8859-1", "", []byte("K\xf6ln"), 200, `{"value":"Köln"}`},
		"another charset":              {`text/plain; charset="ISO-8859-2"`, "", []byte("\xb1"), 200, `{"value":"ą"}`},
		"UTF-8 with a BOM":             {object, "", []byte("\xef\xbb\xbf{}"), 200, `{"value":{}}`},
		"UTF-16, little":               {object + "; charset=utf-16", "", utf16("{}", false), 200, `{"value":{}}`},
		"UTF-16, big":                  {object + "; charset=utf-16", "", utf16("{}", true), 200, `{"value":{}}`},
		"UTF-16 with a BOM":            {object, "", append([]byte("\xff\xfe"), utf16("{}", false)...), 200, `{"value":{}}`},
		"a charset of nobody":          {"text/plain; charset=x-nobody", "", []byte("hi"), 415, "the charset x-nobody is not known\n"},
		"a nested form":                {form, "", []byte("user[name]=a&user[age]=b&c=1"), 200, `{"value":{"user":{"name":"a","age":"b"},"c":"1"}}`},
		"a form with lists":            {form, "", []byte("a=1&a=2&b[]=3&b[]=4&c[1]=y&c[0]=x"), 200, `{"value":{"a":["1","2"],"b":["3","4"],"c":["x","y"]}}`},
		"a form of objects":            {form, "", []byte("a[0][b]=1&a[1][b]=2"), 200, `{"value":{"a":[{"b":"1"},{"b":"2"}]}}`},
		"a form, encoded":              {form, "", []byte("a%5Bb%5D=%C3%BC+1"), 200, `{"value":{"a":{"b":"ü 1"}}}`},
		"a list's far end":             {form, "", []byte("a[999999999]=1"), 200, `{"value":{"a":{"999999999":"1"}}}`},
		"a prototype":                  {form, "", []byte("__proto__[x]=1&a[__proto__][y]=2"), 200, `{"value":{"__proto__":{"x":"1"},"a":{"__proto__":{"y":"2"}}}}`},
		"a deep form":                  {form, "", []byte("a" + deep + "=1"), 400, "a name of the form has more than 32 levels\n"},
		"a form of many":               {form, "", []byte(strings.Repeat("a[]=1&", 10001)), 413, "the form has more than 10000 fields\n"},
		"a plain form of many":         {form, "", []byte(strings.Repeat("a=&", 3)), 200, `{"value":{"a":["","",""]}}`},
	} {
		t.Run(name, func(t *testing.T) {
			headers := []string{"Content-Type", c.kind}
			if c.coding != "" {
				headers = append(headers, "Content-Encoding", c.coding)
			}
			got, text := ask(t, r, "POST", "/", c.body, headers...)
			if diff := cmp.Diff(c.answer, text); got.StatusCode != c.status || diff != "" {
				t.Errorf("status %d, not %d; body (-want +got):\n%s", got.StatusCode, c.status, diff)
			}
		})
	}
}

const nodeAnswers = `
const { Readable } = require('node:stream')
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
async function * pieces (...all) { for (const piece of all) { await wait(1); yield piece } }

module.exports = async (event, context) => {
  switch (event.path) {
    case '/readable': return Readable.from(['a', 'b'])
    case '/binary': return Readable.from([Buffer.from([1]), Buffer.from([2])])
    case '/generator': return context.headers({ 'Content-Type': 'text/event-stream' }).succeed(pieces('data: 1\n\n', 'data: 2\n\n'))
    case '/sync': return (function * () { yield 'a'; yield Buffer.from('b') })()
    case '/web': return new ReadableStream({ start (c) { c.enqueue('w'); c.close() } })
    case '/nothing': return pieces()
    case '/response': {
      const headers = new Headers({ 'Content-Type': 'text/x' })
      headers.append('Set-Cookie', 'a=1; Path=/')
      headers.append('Set-Cookie', 'b=2; Path=/')
      return new Response('made', { status: 201, headers })
    }
    case '/empty': return new Response(null, { status: 204 })
    case '/blob': return new Blob(['blob'], { type: 'text/y' })
    case '/cookies': return context.headers({ 'Set-Cookie': ['a=1', 'b=2'] }).succeed('ok')
    case '/headers': return context.headers(new Headers([['X-A', '1'], ['Set-Cookie', 'a=1'], ['Set-Cookie', 'b=2']])).succeed('ok')
    case '/typed': return new Uint16Array([0x4142])
    case '/map': return new Map([[1, 2]])
    case '/function': return () => {}
    case '/symbol': return Symbol('x')
    case '/circle': { const circle = {}; circle.circle = circle; return circle }
    case '/status': return context.status(42).succeed('x')
    case '/word': return context.status('many').succeed('x')
    case '/early': return (async function * () { throw new Error('secret-text') })()
    case '/late': return pieces('first', new Error('secret-text'))
    case '/late-web': return new Response(new ReadableStream({ async pull (c) { c.enqueue(new TextEncoder().encode('first')); await wait(20); throw new Error('secret-text') } }))
    case '/read': { const r = new Response('x'); await r.text(); return r }
    case '/endless': return (async function * () { try { for (;;) { yield 'x'.repeat(1 << 16); await wait(1) } } finally { console.error('closed') } })()
    case '/count': return String(Object.keys(event.headers).filter((name) => name.startsWith('x-n')).length)
    case '/large': return String(event.headers['x-large'].length)
  }
}
`

func TestNodeAnswers(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("node")
	servers.Require(t, "node", err)
	r := start(t, write(t, "node", map[string]string{"handler.js": nodeAnswers}), "node", "index.js")
	text, bin := "text/html; charset=utf-8", "application/octet-stream"
	for _, c := range []call{
		{name: "a stream of text", target: "/readable", status: 200, answer: "ab", answerKind: text},
		{name: "a stream of bytes", target: "/binary", status: 200, answer: "\x01\x02", answerKind: bin},
		{name: "an async generator", target: "/generator", status: 200, answer: "data: 1\n\ndata: 2\n\n", answerKind: "text/event-stream"},
		{name: "a generator", target: "/sync", status: 200, answer: "ab"},
		{name: "a stream of the web", target: "/web", status: 200, answer: "w"},
		{name: "an empty generator", target: "/nothing", status: 200},
		{name: "HEAD of a generator", method: "HEAD", target: "/generator", status: 200, answerKind: "text/event-stream"},
		{name: "a Response without a body", target: "/empty", status: 204},
		{name: "a Blob", target: "/blob", status: 200, answer: "blob", answerKind: "text/y"},
		{name: "numbers as bytes", target: "/typed", status: 200, answer: "BA", answerKind: bin},
		{name: "a Map", target: "/map", status: 500, answer: "Internal Server Error\n"},
		{name: "a function", target: "/function", status: 500, answer: "Internal Server Error\n"},
		{name: "a symbol", target: "/symbol", status: 500, answer: "Internal Server Error\n"},
		{name: "a circle", target: "/circle", status: 500, answer: "Internal Server Error\n"},
		{name: "a status of nobody", target: "/status", status: 500, answer: "Internal Server Error\n"},
		{name: "a status that is no number", target: "/word", status: 500, answer: "Internal Server Error\n"},
		{name: "an error before the first piece", target: "/early", status: 500, answer: "Internal Server Error\n"},
		{name: "a Response that was read", target: "/read", status: 500, answer: "Internal Server Error\n"},
	} {
		if c.method == "" {
			c.method = "GET"
		}
		t.Run(c.name, func(t *testing.T) { c.run(t, r) })
	}
	for _, target := range []string{"/response", "/cookies", "/headers"} {
		got, text := ask(t, r, "GET", target, nil)
		if len(got.Header.Values("Set-Cookie")) != 2 {
			t.Errorf("%s: %d %s %v", target, got.StatusCode, text, got.Header)
		}
	}
	for _, target := range []string{"/late", "/late-web"} {
		if _, text := ask(t, r, "GET", target, nil); !strings.HasPrefix(text, "first") || !strings.Contains(text, "EOF") || strings.Contains(text, "secret") {
			t.Errorf("%s: %q", target, text)
		}
	}
	var many []string
	for i := range 300 {
		many = append(many, "X-N-"+strings.Repeat("a", i+1), "v")
	}
	if got, text := ask(t, r, "GET", "/count", nil, many...); text != "300" {
		t.Errorf("of 300 headers: %d %s", got.StatusCode, text)
	}
	if got, text := ask(t, r, "GET", "/large", nil, "X-Large", strings.Repeat("x", 900_000)); text != "900000" {
		t.Errorf("a large header: %d %s", got.StatusCode, text)
	}
	got, err := http.Get(r.url + "/endless") //nolint:noctx // it is closed in the middle
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadFull(got.Body, make([]byte, 1<<20))
	if err := errors.Join(err, got.Body.Close()); err != nil {
		t.Fatal(err)
	}
	r.logged(t, "closed")
	r.stop(t)
	if err := r.exited(t); err != nil {
		t.Error(err)
	}
	log := r.log.String()
	for _, want := range []string{"secret-text", "Map, which cannot be sent", "of the type function", "status is 42", "closed"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
}

// TestNodeStream reads the first piece of a body before the rest is sent.
func TestNodeStream(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("node")
	servers.Require(t, "node", err)
	r := start(t, write(t, "node", map[string]string{"handler.js": `
module.exports = async (event) => {
  if (event.path === '/all') { let n = 0; for await (const piece of event.body) n += piece.length; return n }
  for await (const piece of event.body) return piece
}
module.exports.stream = true
`}), "node", "index.js")
	if _, text := ask(t, r, "POST", "/all", compressed(t, "gzip", strings.Repeat("x", 1<<20)), "Content-Encoding", "gzip"); text != "1048576" {
		t.Errorf("all of a compressed body: %s", text)
	}
	body, writer := io.Pipe()
	go func() { _, _ = io.WriteString(writer, "first") }() // the answer tells whether it came
	got, err := http.Post(r.url+"/", "text/plain", body)   //nolint:noctx // it ends with its body
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(got.Body)
	if err := errors.Join(err, got.Body.Close(), writer.Close()); err != nil || string(text) != "first" {
		t.Errorf("%q, %v", text, err)
	}
}

const nodeHooks = `
const fs = require('node:fs')
const { FAIL, HANG, READY } = process.env
if (FAIL === 'load') throw new Error('secret-text')
let started = false
module.exports = async () => started ? 'yes' : 'no'
const hook = (name, then) => async () => {
  if (FAIL === name) throw new Error('secret-text')
  if (HANG === name) await new Promise(() => {})
  return then()
}
module.exports.start = hook('start', () => { started = true })
module.exports.stop = hook('stop', () => console.error('stopped'))
module.exports.ready = hook('ready', () => !fs.existsSync(READY))
`

func TestNodeHooks(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("node")
	servers.Require(t, "node", err)
	hooks := map[string]string{"handler.js": nodeHooks}
	dir := write(t, "node", hooks)
	run := func(t *testing.T, env ...string) *running {
		return start(t, dir, append([]string{"env", "READY=" + dir + "/not-ready"}, append(env, "node", "index.js")...)...)
	}
	t.Run("they are called", func(t *testing.T) {
		t.Parallel()
		r := run(t)
		if _, text := ask(t, r, "GET", "/", nil); text != "yes" {
			t.Errorf("before start: %s", text)
		}
		if got, text := ask(t, r, "GET", "/_/ready", nil); got.StatusCode != 200 || text != "" {
			t.Errorf("ready: %d %s", got.StatusCode, text)
		}
		r.stop(t)
		if err := r.exited(t); err != nil || !strings.HasSuffix(r.log.String(), "stopped\n") {
			t.Errorf("%v: %s", err, r.log)
		}
	})
	t.Run("one that is not ready", func(t *testing.T) {
		t.Parallel()
		r := start(t, dir, "env", "READY=/", "node", "index.js")
		if got, _ := ask(t, r, "GET", "/_/ready", nil); got.StatusCode != 503 {
			t.Errorf("%d", got.StatusCode)
		}
	})
	t.Run("one whose ready fails", func(t *testing.T) {
		t.Parallel()
		r := run(t, "FAIL=ready")
		if got, text := ask(t, r, "GET", "/_/ready", nil); got.StatusCode != 503 || strings.Contains(text, "secret") {
			t.Errorf("%d %s", got.StatusCode, text)
		}
	})
	for _, c := range []string{"FAIL=stop", "HANG=stop"} {
		t.Run(c, func(t *testing.T) {
			t.Parallel()
			r := run(t, c)
			r.stop(t)
			select {
			case err := <-r.done:
				r.done <- err
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(r.log.String(), "stop") {
					t.Errorf("%v: %s", err, r.log)
				}
			case <-time.After(30 * time.Second):
				t.Error("it does not end")
			}
		})
	}
	for _, c := range []string{"FAIL=load", "FAIL=start"} {
		t.Run(c, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), "env", c, "node", "index.js")
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "secret-text\n    at ") {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	t.Run("HANG=start", func(t *testing.T) {
		t.Parallel()
		var log fixture.Buffer
		cmd := exec.CommandContext(t.Context(), "env", "HANG=start", "node", "index.js")
		cmd.Dir, cmd.Stderr = dir, &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = cmd.Process.Kill() // it hangs
			_ = cmd.Wait()
		}()
		fixture.Eventually(t, 30*time.Second, "the log says that it hangs", func() bool {
			return strings.Contains(log.String(), "start has not returned after 10 s")
		})
	})
}
