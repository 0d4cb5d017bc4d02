package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// processNamespace makes a process the first one of a namespace of its own.
func processNamespace() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
}

func TestReaper(t *testing.T) {
	ours(t)
	if os.Getuid() != 0 {
		t.Skip("a process namespace needs root")
	}
	d := prepare(t, fn(t, "server")...)
	d.cmd.SysProcAttr = processNamespace()
	start(t, d)
	d.serving()
	for range 5 {
		r := d.get("/orphan")
		if !strings.HasSuffix(r.body, "<nil>") {
			t.Fatalf("body %q", r.body)
		}
	}
	if n := eventuallyZombies(d.cmd.Process.Pid); n != 0 {
		t.Errorf("%d zombies are left", n)
	}
	d.get("/").wantStatus(t, http.StatusOK)
	d.signal(syscall.SIGTERM)
	if code := d.exit(); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
}

// eventuallyZombies waits for the ended children of pid to be taken, and returns how many are left.
func eventuallyZombies(pid int) (left int) {
	parent := " " + strconv.Itoa(pid) + " "
	time.Sleep(500 * time.Millisecond) // the orphans live this long
	eventually(3*time.Second, func() bool {
		left = 0
		stats, _ := filepath.Glob("/proc/[0-9]*/stat")
		for _, path := range stats {
			stat, err := os.ReadFile(path)
			if err == nil && strings.Contains(string(stat), ") Z"+parent) {
				left++
			}
		}
		return left == 0
	})
	return left
}
