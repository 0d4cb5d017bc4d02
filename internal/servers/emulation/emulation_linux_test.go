package emulation_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fnb/internal/servers/emulation"
)

// TestRoom runs a program of another platform in a room, and not outside.
func TestRoom(t *testing.T) {
	t.Parallel()
	r := emulation.For(t)
	dir := t.TempDir()
	source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	text := "package main\n\nimport (\n\t\"os\"\n\t\"runtime\"\n)\n\nfunc main() {\n\tdir, _ := os.Getwd()\n\tprintln(runtime.GOARCH, os.Args[1], dir)\n}\n"
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+emulation.Architecture)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := r.Command(t.Context(), program, "one").CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "arm64 one ") {
		t.Errorf("%v: %s", err, out)
	}
	client, err := r.Client(program)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(client, "program"), "two words")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "arm64 two words "+dir+"\n" {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), program, "one").CombinedOutput(); err == nil {
		t.Errorf("it runs outside: %s", out)
	}
	if r.Version() == "" {
		t.Error("there is no version")
	}
}
