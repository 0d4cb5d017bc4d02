package templates

import (
	"bytes"
	"errors"
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
	"time"
)

func Handle(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/slow" {
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

func TestGoStarterPassesItsTests(t *testing.T) {
	t.Parallel()
	dir := write(t, "go", nil)
	buildGo(t, dir, "handler/function")
	runGo(t, filepath.Join(dir, "function"), "test", "./...")
	runGo(t, filepath.Join(dir, "function"), "vet", "./...", "./_entrypoint")
}

// buildGo does what the Dockerfile does to the entrypoint, and compiles it.
func buildGo(t *testing.T, dir, module string) string {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(dir, "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	place := filepath.Join(dir, "function", "_entrypoint")
	source = bytes.ReplaceAll(source, []byte(`"handler/function"`), []byte(`"`+module+`"`))
	if err := errors.Join(os.Mkdir(place, 0o755), os.WriteFile(filepath.Join(place, "main.go"), source, 0o644)); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "handler")
	runGo(t, filepath.Join(dir, "function"), "build", "-trimpath", "-buildvcs=false", "-o", binary, "./_entrypoint")
	return binary
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
