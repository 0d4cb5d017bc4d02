//go:build unix

package packaging

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// TestManyFilesWithFewDescriptors lowers the limit of the whole test program,
// and so does not run beside others.
func TestManyFilesWithFewDescriptors(t *testing.T) {
	root := t.TempDir()
	for i := range 5000 {
		dir := filepath.Join(root, "hello", strconv.Itoa(i%50))
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), []byte(strconv.Itoa(i)), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	low := syscall.Rlimit{Cur: uint64(len(open) + 20), Max: old.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			t.Error(err)
		}
	}()
	started := time.Now()
	c := assemble(t, Input{Function: function(), Template: plainTemplate(t), Root: root})
	t.Logf("5000 files in %s", time.Since(started))
	if got := len(contents(t, c.FS)); got != 5000+5 {
		t.Errorf("there are %d files", got)
	}
}
