package templates

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// A running is a function's process: the entrypoint of a template with a
// handler, as the watchdog starts it.
type running struct {
	url  string
	cmd  *exec.Cmd
	done chan error
	log  *fixture.Buffer
}

// write makes a folder of an official template with the given files instead of
// its starter.
func write(t *testing.T, name string, handler map[string]string) string {
	t.Helper()
	tpl, err := OpenOfficial(name)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, tpl.FS); err != nil {
		t.Fatal(err)
	}
	if handler == nil {
		return dir
	}
	if err := os.RemoveAll(filepath.Join(dir, "function")); err != nil {
		t.Fatal(err)
	}
	for name, text := range handler {
		file := filepath.Join(dir, "function", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// start runs a command in dir that listens where upstream_url says.
func start(t *testing.T, dir string, command ...string) *running {
	t.Helper()
	port, err := servers.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{url: "http://127.0.0.1:" + port, done: make(chan error, 1), log: &fixture.Buffer{}}
	r.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), command[0], command[1:]...)
	r.cmd.Dir = dir
	r.cmd.Env = append(os.Environ(), "upstream_url="+r.url, "healthcheck_interval=0s", "PYTHONDONTWRITEBYTECODE=1")
	r.cmd.Stdout, r.cmd.Stderr = r.log, r.log
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.done <- r.cmd.Wait() }()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill() // it may have exited
		if t.Failed() {
			_ = r.exited(t) // it was killed
			t.Logf("the function said: %s", r.log)
		}
	})
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			_ = c.Close() // nothing was sent
			return r
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the function does not listen")
	return nil
}

func (r *running) stop(t *testing.T) {
	t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// exited returns how the process ended, which has to be soon.
func (r *running) exited(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.done:
		r.done <- err
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("the function does not exit")
		return nil
	}
}

// A call is one request and the answer that is expected.
type call struct {
	name, method, target, kind, body string
	chunked                          bool

	status     int
	answer     string
	answerKind string
	header     string // "Name: value" that the answer has
}

func (c call) run(t *testing.T, r *running) {
	t.Helper()
	var body io.Reader = strings.NewReader(c.body)
	if c.chunked {
		body = io.MultiReader(body) // a reader whose length is not known
	}
	request, err := http.NewRequestWithContext(t.Context(), c.method, r.url+c.target, body)
	if err != nil {
		t.Fatal(err)
	}
	if c.kind != "" {
		request.Header.Set("Content-Type", c.kind)
	}
	client := http.Client{Timeout: 10 * time.Second}
	got, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(got.Body)
	if err := errors.Join(err, got.Body.Close()); err != nil {
		t.Fatal(err)
	}
	if got.StatusCode != c.status {
		t.Errorf("status %d, not %d; body %s", got.StatusCode, c.status, text)
	}
	if diff := cmp.Diff(c.answer, string(text)); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	if kind := got.Header.Get("Content-Type"); c.answerKind != "" && kind != c.answerKind {
		t.Errorf("content type %q, not %q", kind, c.answerKind)
	}
	if name, value, ok := strings.Cut(c.header, ": "); ok && got.Header.Get(name) != value {
		t.Errorf("header %s is %q, not %q", name, got.Header.Get(name), value)
	}
}

// drains checks that a request which is being served when SIGTERM comes is
// answered, and that the process then exits with 0. The handler logs "slow begins",
// and answers "slow" after a while.
func drains(t *testing.T, r *running) {
	t.Helper()
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		u, err := url.Parse(r.url)
		if err != nil {
			answers <- answer{err: err}
			return
		}
		c, err := net.Dial("tcp", u.Host)
		if err != nil {
			answers <- answer{err: err}
			return
		}
		_, err = fmt.Fprintf(c, "GET /slow HTTP/1.1\r\nHost: function\r\n\r\n")
		buf := make([]byte, 4096)
		text := ""
		for err == nil && !strings.HasSuffix(text, "slow") {
			var n int
			n, err = c.Read(buf)
			text += string(buf[:n])
		}
		answers <- answer{text, errors.Join(err, c.Close())}
	}()
	r.logged(t, "slow begins")
	r.stop(t)
	got := <-answers
	if got.err != nil || !strings.HasPrefix(got.text, "HTTP/1.1 200") {
		t.Errorf("the request under way got %q, %v", got.text, got.err)
	}
	if err := r.exited(t); err != nil {
		t.Errorf("the function ended with: %v", err)
	}
}

const pythonHandler = `
import sys, time

def handle(event, context):
    if event.path == "/slow":
        print("slow begins", file=sys.stderr)
        time.sleep(1)
        return "slow"
    if event.path == "/fail":
        raise Exception("secret detail")
    if event.path == "/none":
        return None
    if event.path == "/bytes":
        return {"body": b"\x00\xff", "headers": {"Content-Type": "image/x"}}
    if event.path == "/tuple":
        return "made", 201, {"X-Name": "v"}
    if event.path == "/plain":
        return {"anything": [1, 2]}
    if event.path == "/list":
        return {"statusCode": 202, "body": [1, "two"]}
    if event.path == "/stream":
        return (part for part in ["a", "b", "c"])
    if event.path == "/split":
        return {"headers": {"X-Name": "a\r\nSet-Cookie: b"}}
    if event.path == "/headers":
        return event.headers.get("content-TYPE") + event.headers["Content-Type"] + str("X-Nothing" in event.headers)
    if event.path == "/query":
        return event.query.get("a") + ",".join(event.query.getlist("a")) + event.query.get("nothing", "-")
    return {"statusCode": 200, "body": {"method": event.method, "path": event.path, "body": event.body.decode()}}
`

func TestPythonEntrypoint(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("python3")
	servers.Require(t, "python", err)
	dir := write(t, "python3", map[string]string{"handler.py": pythonHandler})
	r := start(t, dir, "python3", "index.py")
	html, text := "text/html; charset=utf-8", "text/plain; charset=utf-8"
	for _, c := range []call{
		{name: "a dict is JSON", method: "POST", target: "/a%20b?x=1", body: "hi", status: 200, answer: `{"method": "POST", "path": "/a b", "body": "hi"}`, answerKind: "application/json"},
		{name: "a chunked body is read", method: "PUT", target: "/", body: strings.Repeat("long", 50000), chunked: true, status: 200, answer: `{"method": "PUT", "path": "/", "body": "` + strings.Repeat("long", 50000) + `"}`},
		{name: "an exception is 500 and stays inside", method: "GET", target: "/fail", status: 500, answer: "Internal Server Error\n", answerKind: html},
		{name: "None is empty", method: "GET", target: "/none", status: 200, answerKind: text},
		{name: "bytes stay as they are", method: "GET", target: "/bytes", status: 200, answer: "\x00\xff", answerKind: "image/x"},
		{name: "a tuple has status and headers", method: "GET", target: "/tuple", status: 201, answer: "made", header: "X-Name: v"},
		{name: "a dict without the known keys is the body", method: "GET", target: "/plain", status: 200, answer: `{"anything": [1, 2]}`, answerKind: "application/json"},
		{name: "a list is JSON", method: "GET", target: "/list", status: 202, answer: `[1, "two"]`, answerKind: "application/json"},
		{name: "a generator is streamed", method: "GET", target: "/stream", status: 200, answer: "abc"},
		{name: "HEAD has no body", method: "HEAD", target: "/", status: 200, answerKind: "application/json"},
		{name: "a header cannot be split", method: "GET", target: "/split", status: 500, answer: "Internal Server Error\n"},
		{name: "headers are equal in any case", method: "GET", target: "/headers", kind: "a/b", status: 200, answer: "a/ba/bFalse"},
		{name: "a query has first and all values", method: "GET", target: "/query?a=1&a=2", status: 200, answer: "11,2-"},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, r) })
	}
	t.Run("SIGTERM drains", func(t *testing.T) { drains(t, r) })
}

const nodeHandler = `
module.exports = async (event, context, callback) => {
  switch (event.path) {
    case '/slow':
      console.error('slow begins')
      await new Promise((resolve) => setTimeout(resolve, 1000))
      return 'slow'
    case '/fail': throw new Error('broken')
    case '/failed': return context.fail('refused')
    case '/teapot': return context.status(418).fail('teapot')
    case '/none': return undefined
    case '/returned': return { a: [1] }
    case '/headers': return context.headers({ 'X-Name': 'v', 'Content-Type': 'text/css' }).status(201).succeed('made')
    case '/buffer': return Buffer.from([0, 255])
    case '/query': return event.query
    case '/type': return Buffer.isBuffer(event.body) ? 'buffer' : typeof event.body
    case '/split': return context.headers({ 'X-Name': 'a\r\nb' }).succeed('x')
  }
  return context.status(200).succeed({ method: event.method, path: event.path, body: event.body })
}
`

func TestNodeEntrypoint(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("node")
	servers.Require(t, "node", err)
	dir := write(t, "node", map[string]string{"handler.js": strings.Replace(nodeHandler, ", callback", "", 1)})
	r := start(t, dir, "node", "index.js")
	html, object := "text/html; charset=utf-8", "application/json; charset=utf-8"
	for _, c := range []call{
		{name: "an object is JSON", method: "POST", target: "/x?y=1", body: "hi", status: 200, answer: `{"method":"POST","path":"/x","body":"hi"}`, answerKind: object},
		{name: "JSON is parsed", method: "POST", target: "/", kind: "application/json; charset=utf-8", body: `{"a":1}`, status: 200, answer: `{"method":"POST","path":"/","body":{"a":1}}`},
		{name: "broken JSON is 400", method: "POST", target: "/", kind: "application/json", body: `{`, status: 400, answer: "the body is not JSON\n"},
		{name: "a form is parsed", method: "POST", target: "/", kind: "application/x-www-form-urlencoded", body: `a=1&a=2&__proto__=x`, status: 200, answer: `{"method":"POST","path":"/","body":{"a":["1","2"],"__proto__":"x"}}`},
		{name: "other types stay bytes", method: "POST", target: "/type", kind: "image/png", body: "x", status: 200, answer: "buffer"},
		{name: "a chunked body is read", method: "PUT", target: "/", body: strings.Repeat("long", 50000), chunked: true, status: 200, answer: `{"method":"PUT","path":"/","body":"` + strings.Repeat("long", 50000) + `"}`},
		{name: "an exception is 500 and stays inside", method: "GET", target: "/fail", status: 500, answer: "Internal Server Error\n", answerKind: "text/plain; charset=utf-8"},
		{name: "fail is 500", method: "GET", target: "/failed", status: 500, answer: "refused", answerKind: html},
		{name: "fail keeps a status", method: "GET", target: "/teapot", status: 418, answer: "teapot"},
		{name: "nothing is empty", method: "GET", target: "/none", status: 200},
		{name: "a returned value is the answer", method: "GET", target: "/returned", status: 200, answer: `{"a":[1]}`, answerKind: object},
		{name: "headers and status are set", method: "GET", target: "/headers", status: 201, answer: "made", answerKind: "text/css", header: "X-Name: v"},
		{name: "a buffer stays as it is", method: "GET", target: "/buffer", status: 200, answer: "\x00\xff", answerKind: "application/octet-stream"},
		{name: "a query has all values", method: "GET", target: "/query?a=1&a=2&b=3", status: 200, answer: `{"a":["1","2"],"b":"3"}`},
		{name: "HEAD has no body", method: "HEAD", target: "/", status: 200, answerKind: object},
		{name: "a header cannot be split", method: "GET", target: "/split", status: 500, answer: "Internal Server Error\n"},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, r) })
	}
	t.Run("SIGTERM drains", func(t *testing.T) { drains(t, r) })
}

func TestNodeHandlersOfOtherShapes(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("node")
	servers.Require(t, "node", err)
	for name, files := range map[string]map[string]string{
		"an ES module":               {"handler.js": "export default async (event) => event.body", "package.json": `{"type": "module"}`},
		"a callback":                 {"handler.js": "module.exports = (event, context, done) => { setTimeout(() => done(undefined, event.body), 10) }"},
		"main of package.json":       {"src/app.js": "module.exports = (event) => event.body", "package.json": `{"main": "src/app.js"}`},
		"an export named handler":    {"handler.js": "exports.handler = async (event) => event.body"},
		"an answer after succeed":    {"handler.js": "module.exports = async (event, context) => { context.succeed(event.body); return 'late' }"},
		"a context that is returned": {"handler.js": "module.exports = async (event, context) => { context.succeed(event.body); return context }"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, write(t, "node", files), "node", "index.js")
			call{method: "POST", target: "/", body: "hi", status: 200, answer: "hi"}.run(t, r)
		})
	}
}
