package templates

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fnb/internal/servers"
)

const webHandler = `
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
class Mine extends Response {}

const answers = {
  async text (r) { return new Response(await r.text()) },
  async json (r) { return Response.json(await r.json(), { status: 201, headers: { 'X-Name': 'v' } }) },
  async bytes (r) { return new Response(await r.bytes()) },
  async buffer (r) { return new Response(new Uint8Array(await r.arrayBuffer())) },
  async blob (r) { return new Response(await r.blob()) },
  async form (r) { return Response.json([...(await r.formData()).entries()]) },
  async stream (r) { return new Response(r.body) },
  async again (r) { return new Response(await new Request(r).text()) },
  async elsewhere (r) { return new Response(await new Request('http://other/', r).text()) },
  async clone (r) { const c = r.clone(); return new Response(await r.text() + await c.text()) },
  async twice (r) { await r.text(); return new Response(await r.text().catch((err) => err.name + r.bodyUsed)) },
  async spent (r) { await r.text(); try { return new Response(new Request(r).url) } catch (err) { return new Response(err.name) } },
  async fetched (r) { return fetch('data:text/plain,fetched') },
  async kinds (r) {
    const made = new Response('x')
    return Response.json([r instanceof Request, made instanceof Response, (await fetch('data:,x')) instanceof Response, new Mine('x') instanceof Mine, r.constructor.name, made.constructor.name])
  },
  async url (r) { return new Response(r.url + ' ' + r.method + ' ' + r.headers.get('x-a')) },
  async read (r) { const made = new Response('read', { headers: { 'X-Name': 'v' } }); return new Response(await made.clone().text() + await made.text(), made) },
  async headers (r) { const made = new Response('ok'); made.headers.append('Set-Cookie', 'a=1'); made.headers.append('Set-Cookie', 'b=2'); return made },
  async plain (r) { return new Response('ok') },
  async mine (r) { return new Mine('mine', { status: 202 }) },
  async redirect (r) { return Response.redirect('http://other/', 307) },
  async empty (r) { return new Response(null, { status: 204 }) },
  async changed (r) { const b = new Uint8Array([97]); const made = new Response(b); b[0] = 98; return made },
  async params (r) { return new Response(new URLSearchParams({ a: 'b c' })) },
  async nothing () {},
  async object () { return { a: 1 } },
  async status () { return new Response('x', { status: 42 }) },
  async failed () { return Response.error() },
  async gone (r) { r.signal.addEventListener('abort', () => console.error('aborted')); await wait(400); return new Response('late') }
}

export default { fetch: (r) => answers[new URL(r.url).pathname.slice(1)](r) }
`

// TestWeb asks typescript's server what a handler may do with a Request and a Response,
// which are Node's own only where they have to be.
func TestWeb(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("node")
	servers.Require(t, "node", err)
	dir := write(t, "typescript", map[string]string{"handler.mjs": webHandler})
	main := "require('./fnb_serve').main(() => import('./function/handler.mjs'))\n"
	if err := os.WriteFile(filepath.Join(dir, "main.cjs"), []byte(main), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, dir, "node", "main.cjs")
	plain := "text/plain;charset=UTF-8"
	for _, c := range []call{
		{target: "/text", body: "\xef\xbb\xbfhü\xff", status: 200, answer: "hü\ufffd", answerKind: plain},
		{target: "/text", body: "long", chunked: true, status: 200, answer: "long"},
		{target: "/text", method: "GET", status: 200},
		{target: "/json", body: `{"a":1}`, status: 201, answer: `{"a":1}`, answerKind: "application/json", header: "X-Name: v"},
		{target: "/json", body: `{`, status: 500, answer: "Internal Server Error\n"},
		{target: "/bytes", body: "\x00\xff", status: 200, answer: "\x00\xff"},
		{target: "/buffer", body: "\x00\xff", status: 200, answer: "\x00\xff"},
		{target: "/blob", kind: "text/x", body: "blob", status: 200, answer: "blob", answerKind: "text/x"},
		{target: "/form", kind: "application/x-www-form-urlencoded", body: "a=1&a=2", status: 200, answer: `[["a","1"],["a","2"]]`},
		{target: "/stream", body: strings.Repeat("long", 100000), status: 200, answer: strings.Repeat("long", 100000)},
		{target: "/again", body: "hi", status: 200, answer: "hi"},
		{target: "/elsewhere", body: "hi", status: 200, answer: "hi"},
		{target: "/clone", body: "hi", status: 200, answer: "hihi"},
		{target: "/twice", body: "hi", status: 200, answer: "TypeErrortrue"},
		{target: "/spent", body: "hi", status: 200, answer: "TypeError"},
		{target: "/fetched", status: 200, answer: "fetched", answerKind: "text/plain"},
		{target: "/kinds", status: 200, answer: `[true,true,true,true,"Request","Response"]`},
		{target: "/url?q=%C3%BC", status: 200, answer: r.url + "/url?q=%C3%BC POST null"},
		{target: "/read", status: 200, answer: "readread", header: "X-Name: v"},
		{target: "/plain", status: 200, answer: "ok", header: "Content-Length: 2"},
		{target: "/plain", method: "HEAD", status: 200, header: "Content-Length: 2"},
		{target: "/mine", status: 202, answer: "mine"},
		{target: "/empty", status: 204},
		{target: "/changed", status: 200, answer: "a"},
		{target: "/params", status: 200, answer: "a=b+c", answerKind: "application/x-www-form-urlencoded;charset=UTF-8"},
		{target: "/nothing", status: 500, answer: "Internal Server Error\n"},
		{target: "/object", status: 500, answer: "Internal Server Error\n"},
		{target: "/status", status: 500, answer: "Internal Server Error\n"},
		{target: "/failed", status: 500, answer: "Internal Server Error\n"},
	} {
		if c.method == "" {
			c.method = "POST"
		}
		t.Run(c.method+" "+c.target, func(t *testing.T) { c.run(t, r) })
	}
	if got, text := ask(t, r, "GET", "/headers", nil); len(got.Header.Values("Set-Cookie")) != 2 || text != "ok" {
		t.Errorf("%v %s", got.Header, text)
	}
	if !strings.Contains(r.log.String(), "the handler's answer is of the type Object: it must be a Response") {
		t.Errorf("the log does not say what came: %s", r.log)
	}
}
