package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The files of a step's root file system may be anything: what leads out of it is not
// followed, and what is no file is not waited for.
func TestReadStepFile(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"etc/ssl/certs", "etc/pki", "folder"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "etc/pki/bundle.pem"), []byte("bundle"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{
		"relative": "etc/pki/bundle.pem", "absolute": "/etc/pki/bundle.pem", "out": outside, "up": "../../../../../../.." + outside, "loop": "loop", "gone": "nowhere",
	} {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(root, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "large"), []byte(strings.Repeat("x", maxBundle+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"/etc/pki/bundle.pem": "bundle", "/relative": "bundle", "/absolute": "bundle", "/etc/../absolute": "bundle",
		"/out": "", "/up": "", "/loop": "", "/gone": "", "/pipe": "", "/folder": "", "/none": "", "../../etc/passwd": "",
	} {
		if got := string(readStepFile(root, name)); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := len(readStepFile(root, "/large")); got > maxBundle {
		t.Errorf("%d bytes were read", got)
	}
}
