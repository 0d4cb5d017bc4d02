package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// TestAsk chooses a template at a terminal: what is typed searches.
func TestAsk(t *testing.T) {
	t.Parallel()
	r, err := shared()
	servers.Require(t, "buildkit", err)
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), filepath.Join(r.bin, "fnb"), "new", "hello", "--quiet")
	cmd.Dir = dir
	cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TERM=xterm", "NO_COLOR=1"}
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 30, Cols: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	var screen fixture.Buffer
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := tty.Read(buf)
			_, _ = screen.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	waitFor(t, &screen, "JavaScript with OpenFaaS")
	// What is searched for, the end of the search, and the choice: typed as fast as can be.
	if _, err := tty.WriteString("pyth\r\r"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, screen.String())
	}
	raw, err := os.ReadFile(filepath.Join(dir, "stack.yaml"))
	if err != nil || !strings.Contains(string(raw), "lang: python3") {
		t.Errorf("%v\n%s\n%s", err, raw, screen.String())
	}
}

var escapes = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)

// waitFor waits for a text.
func waitFor(t *testing.T, screen *fixture.Buffer, text string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if strings.Contains(escapes.ReplaceAllString(screen.String(), ""), text) {
			return
		}
	}
	t.Fatalf("%q does not appear:\n%s", text, screen.String())
}
