package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// A session is an editor that is attached to a function and has set a breakpoint.
type session interface {
	stopped() (line int, err error) // waits until the function stands
	leave() error                   // without a word
	ended() error                   // waits until the other side ends it, and says how
}

// A debugged is a function that runs under a debugger, as fnb run --json tells it.
type debugged struct {
	Function string       `json:"function"`
	URL      string       `json:"url"`
	Debugger debugAddress `json:"debugger"`

	file string // of the handler, below its folder as the debugger knows it
	line int    // where a request comes by
}

// A breakable is a handler with a line where a request comes by, which has the word here.
type breakable struct {
	lang, file, text string
	attach           func(*testing.T, debugged) session
	below            string // where the file is in the handler's folder
}

func breakables() []breakable {
	return []breakable{
		{lang: "go", file: "handler.go", attach: dapSession, text: "package function\n\nimport (\n\t\"fmt\"\n\t\"net/http\"\n)\n\nfunc Handle(w http.ResponseWriter, r *http.Request) {\n\tsaid := \"one\"\n\tfmt.Fprint(w, said) // here\n}\n"},
		{lang: "python3", file: "handler.py", attach: dapSession, text: "def handle(event, context):\n    said = 'one'\n    return said  # here\n"},
		{lang: "node", file: "handler.js", attach: inspectorSession, text: "'use strict'\nmodule.exports = async (event, context) => {\n  const said = 'one'\n  return context.succeed(said) // here\n}\n"},
		{lang: "typescript", file: "handler.ts", attach: inspectorSession, text: "export default (request: Request): Response => {\n  const said: string = 'one'\n\n  return new Response(said) // here\n}\n"},
		{
			lang: "java", file: "function/Handler.java", attach: jdwpSession, below: "src/main/java/",
			text: "package function;\n\nimport fnb.Context;\nimport fnb.Request;\nimport fnb.Response;\n\npublic class Handler implements fnb.Handler {\n    public Response handle(Request request, Context context) {\n        String said = \"one\";\n        return Response.text(said); // here\n    }\n}\n",
		},
	}
}

// TestDebuggers has functions of five languages stand at a breakpoint that was set by their
// debuggers' own protocols. A client that goes away in the middle of a request does not hold
// it up, and what is saved meanwhile can be debugged, too.
func TestDebuggers(t *testing.T) {
	t.Parallel()
	r, err := shared()
	servers.Require(t, "buildkit", err)
	for _, b := range breakables() {
		t.Run(b.lang, func(t *testing.T) {
			t.Parallel()
			u := newUser(t, r)
			u.run("new", b.lang, "--lang", b.lang, "--quiet")
			u.write(b.lang+"/"+b.below+b.file, b.text)
			d, stop := serveDebugged(t, u)
			d.file = b.file
			d.line = 1 + strings.Count(b.text[:strings.Index(b.text, "here")], "\n")
			c := b.attach(t, d)
			hit(t, d, c, "one", c.leave)
			c = b.attach(t, d) // nothing is left of the one before
			hit(t, d, c, "one", func() error {
				u.write(b.lang+"/"+b.below+b.file, strings.Replace(b.text, "one", "two", 1))
				if err := c.ended(); err == nil || isTimeout(err) {
					t.Errorf("%v", err)
				}
				return nil
			})
			fixture.Eventually(t, 2*time.Minute, "what was saved serves", func() bool { return ask(t, d.URL) == "two" })
			c = b.attach(t, d)
			hit(t, d, c, "two", c.leave)
			if said := ask(t, d.URL); said != "two" {
				t.Errorf("after all it answers %q", said)
			}
			c = b.attach(t, d)
			hit(t, d, c, "two", stop) // Ctrl-C lets it go on, so that it can end
		})
	}
}

// hit has a request stand at the breakpoint, and go on when something is done about it.
func hit(t *testing.T, d debugged, c session, want string, free func() error) {
	t.Helper()
	answer := make(chan string, 1)
	go func() { answer <- ask(t, d.URL) }()
	line, err := c.stopped()
	if err != nil || line != d.line {
		t.Fatalf("%s stands at line %d, not %d: %v", d.Function, line, d.line, err)
	}
	select {
	case early := <-answer:
		t.Fatalf("%s answers %q while it stands", d.Function, early)
	default:
	}
	if err := free(); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-answer:
		if got != want {
			t.Fatalf("%s answers %q", d.Function, got)
		}
	case <-time.After(2 * time.Minute):
		t.Fatalf("%s does not answer", d.Function)
	}
}

func ask(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Post(url, "text/plain", strings.NewReader("hi"))
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(body))
}

func isTimeout(err error) bool { return strings.Contains(err.Error(), "i/o timeout") }

// serveDebugged starts a project's one function under its debugger, which is known when it
// answers; stop is Ctrl-C.
func serveDebugged(t *testing.T, u *fnbUser) (d debugged, stop func() error) {
	t.Helper()
	out, stop := startDebugged(t, u, "0")
	if err := json.NewDecoder(out).Decode(&d); err != nil || d.Debugger.Address == "" {
		t.Fatalf("%+v: %v", d, err)
	}
	launch, err := os.ReadFile(filepath.Join(u.dir, ".vscode", "launch.json"))
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(d.Debugger.Address, ":")
	if !strings.Contains(string(launch), fmt.Sprintf("%q", "fnb: "+d.Function)) || !strings.Contains(string(launch), ": "+port) {
		t.Errorf("%s at %s is not in\n%s", d.Function, port, launch)
	}
	return d, stop
}

// startDebugged starts a project's one function under its debugger at a port, and returns what
// fnb run prints; stop is Ctrl-C.
func startDebugged(t *testing.T, u *fnbUser, port string) (out io.Reader, stop func() error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), u.bin, "run", "--watch", "--debug="+port, "--editor", "vscode", "--port", "0", "--json", "--progress", "plain")
	cmd.Dir, cmd.Env = u.dir, u.env
	return serving(t, cmd), func() error { return cmd.Process.Signal(os.Interrupt) }
}
