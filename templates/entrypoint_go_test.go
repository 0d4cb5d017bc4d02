package templates

import (
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestGoEntrypoint(t *testing.T) {
	t.Parallel()
	handler := `package anything

import (
	"fmt"
	"net/http"
	"os"
	"time"
)

func Handle(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/slow" {
		fmt.Fprintln(os.Stderr, "slow begins")
		time.Sleep(time.Second)
		fmt.Fprint(w, "slow")
		return
	}
	http.Error(w, r.Method+" "+r.URL.Path, http.StatusTeapot)
}
`
	dir := write(t, "go", map[string]string{"handler.go": handler, "go.mod": "module example.com/any/name\n\ngo 1.26\n"})
	binary := buildGo(t, dir, "example.com/any/name")
	r := start(t, dir, binary)
	call{method: "POST", target: "/x", status: http.StatusTeapot, answer: "POST /x\n"}.run(t, r)
	drains(t, r)
}

// TestGoShapes tells handlers by their signature, and refuses what nobody could call.
func TestGoShapes(t *testing.T) {
	t.Parallel()
	const (
		httpImport = "import \"net/http\"\n"
		sdkImport  = "import handler \"github.com/openfaas/templates-sdk/go-http\"\n"
	)
	for name, c := range map[string]struct{ code, file, refused string }{
		"net/http":                  {code: httpImport + "func Handle(w http.ResponseWriter, r *http.Request) {}", file: "http"},
		"another name for net/http": {code: "import web \"net/http\"\nfunc Handle(w web.ResponseWriter, r *web.Request) {}", file: "http"},
		"aliases":                   {code: httpImport + "type W = http.ResponseWriter\ntype R = http.Request\nfunc Handle(w W, r *R) {}", file: "http"},
		"a variable":                {code: httpImport + "var Handle = http.NotFound", file: "http"},
		"bytes":                     {code: "func Handle(req []byte) string { return \"\" }", file: "bytes"},
		"bytes without a name":      {code: "func Handle([]uint8) (answer string) { return }", file: "bytes"},
		"golang-http":               {code: sdkImport + "func Handle(req handler.Request) (handler.Response, error) { panic(1) }", file: "request"},
		"golang-http of before":     {code: "import \"github.com/openfaas-incubator/go-function-sdk\"\nfunc Handle(req handler.Request) (handler.Response, error) { panic(1) }", file: "request"},
		"a method is no Handle":     {code: "type T struct{}\nfunc (T) Handle(req []byte) string { return \"\" }", refused: "handler.go: package function has no func Handle"},
		"no Handle":                 {code: "func handle() {}", refused: "handler.go: package function has no func Handle"},
		"a string":                  {code: "func Handle(req string) string { return req }", refused: "handler.go:2:1: Handle takes (string) and returns (string)"},
		"bytes and an error":        {code: "func Handle(req []byte) (string, error) { return \"\", nil }", refused: "Handle takes ([]byte) and returns (string, error)"},
		"two of another meaning":    {code: "import \"context\"\nfunc Handle(ctx context.Context, b []byte) {}", refused: "Handle takes (context.Context, []byte) and returns ()"},
		"net/http with an error":    {code: httpImport + "func Handle(w http.ResponseWriter, r *http.Request) error { return nil }", refused: "returns (error)"},
		"a type parameter":          {code: "func Handle[T any](req []byte) string { return \"\" }", refused: "handler.go:2:1"},
		"a syntax error":            {code: "func Handle(", refused: "handler.go:2:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, "go", map[string]string{"handler.go": "package function\n" + c.code + "\n", "go.mod": "module handler/function\n\ngo 1.26\n"})
			out, err := place(t, dir, "handler/function")
			if c.refused != "" {
				if err == nil || !strings.Contains(string(out), c.refused) || !strings.Contains(string(out), "lang: golang-middleware") {
					t.Errorf("%v\n%s", err, out)
				}
				return
			}
			want, readErr := os.ReadFile(filepath.Join(dir, "entry", c.file+".go"))
			got, gotErr := os.ReadFile(filepath.Join(dir, "function", "_entrypoint", "handler.go"))
			if err := errors.Join(err, readErr, gotErr); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if first := strings.Split(string(want), "// handler calls ")[1]; !strings.HasSuffix(string(got), first) {
				t.Errorf("it is called by\n%s", got)
			}
		})
	}
	for name, c := range map[string]struct{ file, code, refused string }{
		"a program":     {"handler.go", "package main\nfunc Handle(req []byte) string { return \"\" }\n", "package main is a program"},
		"two packages":  {"b.go", "package other\n", "found packages"},
		"no Go file":    {"handler.txt", "", "no Go file"},
		"only for else": {"handler_windows.go", "package function\n", "no Go file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"go.mod": "module handler/function\n\ngo 1.26\n", c.file: c.code}
			if c.file == "b.go" {
				files["a.go"] = "package function\n"
			}
			if out, err := place(t, write(t, "go", files), "handler/function"); err == nil || !strings.Contains(string(out), c.refused) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestGoHooks finds hooks by their signature. A function of another one that has the name
// is the handler's own, and is named.
func TestGoHooks(t *testing.T) {
	t.Parallel()
	const handler = "package function\n\nimport (\n\t\"context\"\n\t\"net/http\"\n)\n\nfunc Handle(w http.ResponseWriter, r *http.Request) {}\n\nvar _ context.Context\n"
	for name, c := range map[string]struct{ code, hooks, note string }{
		"none":              {"", "start: nil, ready: nil, stop: nil", ""},
		"all":               {"func Start(context.Context) error { return nil }\nfunc Ready(c context.Context) (err error) { return nil }\nfunc Stop(_ context.Context) error { return nil }\n", "start: function.Start, ready: function.Ready, stop: function.Stop", ""},
		"another signature": {"func Start() error { return nil }\nfunc Stop(context.Context) error { return nil }\n", "start: nil, ready: nil, stop: function.Stop", "Start is not called as a hook, which would be func Start(context.Context) error"},
		"a method":          {"type T int\n\nfunc (T) Stop(context.Context) error { return nil }\n", "start: nil, ready: nil, stop: nil", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, "go", map[string]string{"handler.go": handler, "hooks.go": "package function\n\nimport \"context\"\n\nvar _ context.Context\n\n" + c.code, "go.mod": "module handler/function\n\ngo 1.26\n"})
			out, err := place(t, dir, "handler/function")
			if err != nil || !strings.Contains(string(out), c.note) || c.note == "" && len(out) > 0 {
				t.Fatalf("%v\n%s", err, out)
			}
			runGo(t, filepath.Join(dir, "function"), "vet", "./_entrypoint")
			text, err := os.ReadFile(filepath.Join(dir, "function", "_entrypoint", "hooks.go"))
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(strings.Fields(string(text)), " ")
			if want := "{ " + c.hooks + ", }"; !strings.Contains(got, want) {
				t.Errorf("the hooks are\n%s\nnot %s", text, want)
			}
		})
	}
}

func TestGoHandlerOfBytes(t *testing.T) {
	t.Parallel()
	handler := `package function

import (
	"fmt"
	"os"
	"time"
)

var calls int

func Handle(req []byte) string {
	switch os.Getenv("Http_Path") {
	case "/slow":
		fmt.Fprintln(os.Stderr, "slow begins")
		time.Sleep(time.Second)
		return "slow"
	case "/exit":
		fmt.Print("so far")
		os.Exit(3)
	case "/panic":
		panic("secret")
	}
	calls++
	return fmt.Sprint(os.Getenv("Http_Method"), " ", os.Getenv("Http_Query"), " ", os.Getenv("Http_X_A"), os.Getenv("Http_Proxy"), calls, string(req))
}
`
	dir := write(t, "go", map[string]string{"handler.go": handler, "go.mod": "module handler/function\n\ngo 1.26\n"})
	r := start(t, dir, buildGo(t, dir, "handler/function"))
	for _, c := range []call{
		{name: "the request is in the environment", method: "PUT", target: "/a?q=1", kind: "a/b", body: "hi", status: 200, answer: "PUT q=1 1hi", answerKind: "a/b"},
		{name: "each is a process of its own", method: "POST", target: "/", body: "again", status: 200, answer: "POST  1again", answerKind: "text/plain; charset=utf-8"},
		{name: "an exit is 500 with what was printed", method: "GET", target: "/exit", status: 500, answer: "so far"},
		{name: "a panic is 500 and stays inside", method: "GET", target: "/panic", status: 500, answer: "Internal Server Error\n"},
		{name: "a long body", method: "POST", target: "/", chunked: true, body: strings.Repeat("long", 50000), status: 200, answer: "POST  1" + strings.Repeat("long", 50000)},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, r) })
	}
	t.Run("Proxy is no variable", func(t *testing.T) {
		request, err := http.NewRequestWithContext(t.Context(), "GET", r.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header = http.Header{"Proxy": {"http://evil"}, "X-A": {"a"}}
		got, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(got.Body)
		if err := errors.Join(err, got.Body.Close()); err != nil || string(text) != "GET  a1" {
			t.Errorf("%q, %v", text, err)
		}
	})
	t.Run("SIGTERM drains", func(t *testing.T) { drains(t, r) })
}

func TestGoStarterPassesItsTests(t *testing.T) {
	t.Parallel()
	dir := write(t, "go", nil)
	buildGo(t, dir, "handler/function")
	runGo(t, filepath.Join(dir, "function"), "test", "./...")
	runGo(t, filepath.Join(dir, "function"), "vet", "./...", "./_entrypoint")
	runGo(t, filepath.Join(dir, "sdk"), "vet", "./...")
	runGo(t, filepath.Join(dir, "shape"), "vet", "main.go")
}

// buildGo does what the Dockerfile does to the entrypoint, and compiles it.
func buildGo(t *testing.T, dir, module string) string {
	t.Helper()
	if out, err := place(t, dir, module); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	binary := filepath.Join(dir, "handler")
	runGo(t, filepath.Join(dir, "function"), "build", "-trimpath", "-buildvcs=false", "-o", binary, "./_entrypoint")
	return binary
}

// place writes the entrypoint for the handler of the template in dir.
func place(t *testing.T, dir, module string) ([]byte, error) {
	t.Helper()
	tool := filepath.Join(dir, "shape", "shape")
	runGo(t, filepath.Join(dir, "shape"), "build", "-o", tool, "main.go")
	cmd := exec.CommandContext(t.Context(), tool, filepath.Join(dir, "entry"), "_entrypoint", module)
	cmd.Dir = filepath.Join(dir, "function")
	return cmd.CombinedOutput()
}

func runGo(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
