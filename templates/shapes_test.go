package templates

import (
	"cmp"
	"os/exec"
	"strings"
	"testing"

	"fnb/internal/servers"
)

// refusedBy runs what a Dockerfile runs to look at a handler, and returns what it says.
func refusedBy(t *testing.T, dir string, command ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], append(command[1:], "function")...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestPythonShapes calls handlers of every shape, and refuses what nobody could call:
// by the source where it says so, else when the function starts.
func TestPythonShapes(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("python3")
	servers.Require(t, "python", err)
	for name, c := range map[string]struct{ code, answer, refused, atStart string }{
		"an event and a context":       {code: "def handle(event, context): return event.body", answer: "hi"},
		"other names":                  {code: "def handle(e, c): return e.body", answer: "hi"},
		"a default context":            {code: "def handle(event, context=None): return event.body", answer: "hi"},
		"any arguments":                {code: "def handle(*args, **kwargs): return args[0].body", answer: "hi"},
		"a body":                       {code: "def handle(req): return req", answer: "hi"},
		"what is printed":              {code: "def handle(req): print(req, end='')", answer: "hi"},
		"a lambda":                     {code: "handle = lambda text: text + '!'", answer: "hi!"},
		"an async event":               {code: "async def handle(event, context): return event.body", answer: "hi"},
		"an async body":                {code: "async def handle(req): return req", answer: "hi"},
		"an object":                    {code: "class H:\n    def __call__(self, req): return req\nhandle = H()", answer: "hi"},
		"an async object":              {code: "class H:\n    async def __call__(self, event, context): return event.body\nhandle = H()", answer: "hi"},
		"a decorator that keeps it":    {code: "import functools\ndef d(f):\n    @functools.wraps(f)\n    def g(*a): return f(*a) + '!'\n    return g\n@d\ndef handle(req): return req", answer: "hi!"},
		"a decorator that changes it":  {code: "def d(f): return lambda event, context: f(event.body.decode())\n@d\ndef handle(req): return req", answer: "hi"},
		"a partial":                    {code: "import functools\ndef f(a, event, context): return a + event.body.decode()\nhandle = functools.partial(f, '>')", answer: ">hi"},
		"a method":                     {code: "class H:\n    def run(self, event, context): return event.body\nhandle = H().run", answer: "hi"},
		"one of two":                   {code: "try:\n    from nowhere import handle\nexcept ImportError:\n    def handle(req): return req", answer: "hi"},
		"three parameters":             {code: "def handle(a, b, c): pass", refused: "handler.py: line 1: handle(a, b, c) cannot be called"},
		"none":                         {code: "\ndef handle(): pass", refused: "handler.py: line 2: handle() cannot be called"},
		"one or two":                   {code: "def handle(req, verbose=False): pass", refused: "cannot be told which is meant"},
		"one that must be named":       {code: "def handle(req, *, key): pass", refused: "cannot be called"},
		"a response":                   {code: "def handle(request, response): pass", refused: "a second parameter that is no context"},
		"an async generator":           {code: "async def handle(event, context):\n    yield event.body", answer: "hi"},
		"an async generator of a body": {code: "async def handle(req):\n    yield 1", refused: "handle(req) is an async generator"},
		"no handle":                    {code: "def main(event, context): pass", refused: "handler.py: there is no handle and no app\n"},
		"a method called handle":       {code: "class H:\n    def handle(self, req): pass", refused: "there is no handle"},
		"a syntax error":               {code: "def handle(req):\n  return (", refused: "handler.py:2: "},
		"an object of three":           {code: "class H:\n    def __call__(self, a, b, c): pass\nhandle = H()", atStart: "cannot be called"},
		"an object that is none":       {code: "handle = dict(a=1)", atStart: "handle is no function"},
		"a class for a handle":         {code: "class handle:\n    def __init__(self): pass", atStart: "cannot be called"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, "python3", map[string]string{"handler.py": c.code + "\n"})
			out, err := refusedBy(t, dir, "python3", "-I", "fnb_shape.py")
			if (err != nil) != (c.refused != "") || !strings.Contains(out, c.refused) {
				t.Fatalf("%v\n%s", err, out)
			}
			switch {
			case c.atStart != "":
				cmd := exec.CommandContext(t.Context(), "python3", "index.py")
				cmd.Dir = dir
				if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), c.atStart) || !strings.Contains(string(out), "lang: python3-http") {
					t.Errorf("%v\n%s", err, out)
				}
			case c.refused == "":
				call{method: "POST", target: "/", body: "hi", status: 200, answer: c.answer}.run(t, start(t, dir, "python3", "index.py"))
			}
		})
	}
}

const pythonClassic = `
import os, sys, time

def handle(req):
    path = os.environ["Http_Path"]
    if path == "/slow":
        print("slow begins", file=sys.stderr)
        time.sleep(1)
        return "slow"
    if path == "/fail":
        print("so far")
        raise Exception("secret detail")
    if path == "/exit":
        sys.exit(0)
    if path == "/none":
        return None
    if path == "/status":
        return "made", 201, {"X-Name": "v"}
    if path == "/dict":
        return {"a": [1]}
    if path == "/bytes":
        return b"\x00\xff"
    if path == "/kind":
        return type(req).__name__
    print(os.getenv("Http_Method"), os.getenv("Http_Query"), os.getenv("Http_Content_Type"))
    return req
`

func TestPythonHandlerOfBody(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("python3")
	servers.Require(t, "python", err)
	r := start(t, write(t, "python3", map[string]string{"handler.py": pythonClassic}), "python3", "index.py")
	for _, c := range []call{
		{name: "the request is in the environment", method: "PUT", target: "/a?q=1&r=2", kind: "a/b", body: "hi", status: 200, answer: "PUT q=1&r=2 a/b\nhi", answerKind: "a/b"},
		{name: "an exception is 500 and stays inside", method: "GET", target: "/fail", status: 500, answer: "so far\n"},
		{name: "an exit with 0 is an answer", method: "GET", target: "/exit", status: 200},
		{name: "None is empty", method: "GET", target: "/none", status: 200, answerKind: "text/html; charset=utf-8"},
		{name: "a tuple has status and headers", method: "GET", target: "/status", status: 201, answer: "made", header: "X-Name: v"},
		{name: "a dict is JSON", method: "POST", target: "/dict", kind: "application/json", body: "{}", status: 200, answer: `{"a": [1]}`, answerKind: "application/json"},
		{name: "bytes stay as they are", method: "GET", target: "/bytes", status: 200, answer: "\x00\xff"},
		{name: "bytes that are no text", method: "POST", target: "/kind", body: "\xff\xfe", status: 200, answer: "str"},
		{name: "a long body", method: "POST", target: "/", chunked: true, body: strings.Repeat("long", 50000), status: 200, answer: "POST None None\n" + strings.Repeat("long", 50000)},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, r) })
	}
	t.Run("SIGTERM drains", func(t *testing.T) { drains(t, r) })
}

// TestNodeSyntax holds that a syntax error is what is said last, of modules of either kind.
func TestNodeSyntax(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("node")
	servers.Require(t, "node", err)
	for name, c := range map[string]struct{ code, manifest, last string }{
		"a script":            {code: "module.exports = (event, context) => {\n  return )\n}", last: "handler.js:2: Unexpected token ')'"},
		"a module":            {code: "export default (event, context) => {\n  return )\n}", manifest: `{"type": "module"}`, last: "handler.js:2: Unexpected token ')'"},
		"a module by its use": {code: "import fs from 'node:fs'\nexport default (event) => {", last: "handler.js:2: Unexpected end of input"},
		"none":                {code: "import a from 'nowhere'\nexport default await a(import.meta.url)", manifest: `{"type": "module"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, "node", map[string]string{"handler.js": c.code, "package.json": cmp.Or(c.manifest, "{}")})
			out, err := refusedBy(t, dir, "node", "fnb_shape.js")
			if (err != nil) != (c.last != "") || !strings.HasSuffix(strings.TrimSpace(out), c.last) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestNodeShapes calls handlers of every shape, and refuses what nobody could call.
func TestNodeShapes(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("node")
	servers.Require(t, "node", err)
	module := `{"type": "module"}`
	for name, c := range map[string]struct{ code, manifest, answer, refused, atStart string }{
		"an event and a context":  {code: "module.exports = async (event, context) => context.succeed(event.body)", answer: "hi"},
		"names of a minifier":     {code: "module.exports=async(e,t)=>t.status(200).succeed(e.body.replace(/['\"]/g,''))", answer: "hi"},
		"a pattern":               {code: "module.exports = ({ body, query = {} }, context) => body", answer: "hi"},
		"an event":                {code: "module.exports = event => event.body", answer: "hi"},
		"nothing":                 {code: "module.exports = function () { return arguments[0].body }", answer: "hi"},
		"an event and a callback": {code: "module.exports = (event, context, callback) => callback(null, event.body)", answer: "hi"},
		"a callback":              {code: "'use strict'\nmodule.exports = (context, callback) => { callback(undefined, {status: context}) }", answer: `{"status":"hi"}`},
		"a callback by its use":   {code: "module.exports = function handler (input, answer) { setTimeout(() => answer(null, input), 10) }", answer: "hi"},
		"a callback, async":       {code: "module.exports = async (context, callback) => ({ got: context })", answer: `{"got":"hi"}`},
		"a callback of a module":  {code: "export default function (context, cb) { cb(null, context) }", manifest: module, answer: "hi"},
		"a callback by a name":    {code: "const run = async (context, done) => { done(null, context) }\nmodule.exports = run\n", answer: "hi"},
		"what is printed":         {code: "module.exports = (context, callback) => { console.log(process.env.Http_Method, context) }", answer: "POST hi\n"},
		"an export by name":       {code: "export const handler = async (event) => event.body", manifest: module, answer: "hi"},
		"what another file has":   {code: "module.exports = require('./other')", answer: "other hi"},
		"one of Express":          {code: "// (event, context)\nmodule.exports = (req, res) => { res.send('x') }", refused: "the handler (req, res) is one of Express"},
		"one of Express's app":    {code: "module.exports = async (config) => { const app = config.app; app.get('/', () => {}) }", refused: "node10-express-service"},
		"one of either":           {code: "module.exports = async (context) => ({ status: context })", refused: "may mean an event or a body"},
		"no export":               {code: "console.log('(event, context)')", refused: "handler.js exports nothing"},
		"a syntax error":          {code: "\nmodule.exports = (event, context) => {", refused: "handler.js:"},
		"an object":               {code: "module.exports = { main: (event) => event.body }", refused: "exports no function"},
		"a class":                 {code: "module.exports = class { run () {} }", refused: "exports no function"},
		"an object with a call":   {code: "const make = () => ({})\nmodule.exports = make()", atStart: "exports no function"},
		"an object's handler":     {code: "module.exports = { handler: (event) => event.body, other: 1 }", answer: "hi"},
		"a handler in quotes":     {code: "module.exports = { 'handler': (event) => event.body }", answer: "hi"},
		"one of Express, wrapped": {code: "const wrap = (f) => f\nmodule.exports = wrap((req, res) => { res.send('x') })", atStart: "the handler (req, res) is one of Express"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, "node", map[string]string{
				"handler.js": c.code, "package.json": cmp.Or(c.manifest, "{}"),
				"other.js": "module.exports = (context, callback) => callback(null, 'other ' + context)",
			})
			out, err := refusedBy(t, dir, "node", "fnb_shape.js")
			if (err != nil) != (c.refused != "") || !strings.Contains(out, c.refused) {
				t.Fatalf("%v\n%s", err, out)
			}
			switch {
			case c.atStart != "":
				cmd := exec.CommandContext(t.Context(), "node", "index.js")
				cmd.Dir = dir
				if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), c.atStart) || !strings.Contains(string(out), "lang: node22") {
					t.Errorf("%v\n%s", err, out)
				}
			case c.refused == "":
				call{method: "POST", target: "/", kind: "text/x", body: "hi", status: 200, answer: c.answer}.run(t, start(t, dir, "node", "index.js"))
			}
		})
	}
	t.Run("no handler.js", func(t *testing.T) {
		t.Parallel()
		out, err := refusedBy(t, write(t, "node", map[string]string{"package.json": `{"main": "src/app.js"}`}), "node", "fnb_shape.js")
		if err == nil || !strings.Contains(out, "there is neither handler.js nor src/app.js") {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

const nodeClassic = `
module.exports = (context, callback) => {
  switch (process.env.Http_Path) {
    case '/slow': console.error('slow begins'); return setTimeout(() => callback(null, 'slow'), 1000)
    case '/fail': return callback(new Error('secret'))
    case '/throw': throw new Error('secret')
    case '/exit': console.log('so far'); return process.exit(3)
    case '/nothing': return
    case '/rejects': return Promise.reject(new Error('secret'))
  }
  callback(undefined, process.env.Http_Method + ' ' + process.env.Http_Query + ' ' + context)
}
`

func TestNodeHandlerOfCallback(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("node")
	servers.Require(t, "node", err)
	r := start(t, write(t, "node", map[string]string{"handler.js": nodeClassic, "package.json": "{}"}), "node", "index.js")
	for _, c := range []call{
		{name: "the request is in the environment", method: "PUT", target: "/a?q=1", kind: "a/b", body: "hi", status: 200, answer: "PUT q=1 hi", answerKind: "a/b"},
		{name: "an error is 500 and stays inside", method: "GET", target: "/fail", status: 500, answer: "Internal Server Error\n", answerKind: "text/plain; charset=utf-8"},
		{name: "an exception too", method: "GET", target: "/throw", status: 500, answer: "Internal Server Error\n"},
		{name: "a rejection too", method: "GET", target: "/rejects", status: 500, answer: "Internal Server Error\n"},
		{name: "an exit is 500 with what was printed", method: "GET", target: "/exit", status: 500, answer: "so far\n"},
		{name: "nothing is called and the answer is empty", method: "GET", target: "/nothing", status: 200},
		{name: "a long body", method: "POST", target: "/", chunked: true, body: strings.Repeat("long", 50000), status: 200, answer: "POST undefined " + strings.Repeat("long", 50000)},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, r) })
	}
	t.Run("SIGTERM drains", func(t *testing.T) { drains(t, r) })
}
