package disk_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"fnb/internal/disk"
)

func TestLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := disk.Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("the lock's file: %v, %v", info, err)
	}
	if _, ok, err := disk.TryLock(path); ok || err != nil {
		t.Errorf("a second one had it: %v, %v", ok, err)
	}
	if _, ok, err := disk.TryShare(path); ok || err != nil {
		t.Errorf("it was shared: %v, %v", ok, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := disk.Lock(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting ended with %v", err)
	}
	unlock()
	again, ok, err := disk.TryLock(path)
	if !ok || err != nil {
		t.Fatalf("it was not let go of: %v, %v", ok, err)
	}
	again()
}

func TestShare(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	one, err := disk.Share(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	two, ok, err := disk.TryShare(path)
	if !ok || err != nil {
		t.Fatalf("it could not be shared: %v, %v", ok, err)
	}
	one()
	if _, ok, _ := disk.TryLock(path); ok {
		t.Error("one had it alone while another one shared it")
	}
	two()
	if _, ok, _ := disk.TryLock(path); !ok {
		t.Error("nobody shares it any more, and it could not be had")
	}
	if _, err := disk.Lock(t.Context(), filepath.Join(path, "below", "a", "file")); err == nil {
		t.Error("there is a lock where no file can be")
	}
}

// TestLockExcludes has many change one number, in a file: the race detector does not know
// what a file lock orders.
func TestLockExcludes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	number := filepath.Join(t.TempDir(), "number")
	if err := os.WriteFile(number, []byte("0"), 0o600); err != nil {
		t.Fatal(err)
	}
	read := func() int {
		text, err := os.ReadFile(number)
		n, nerr := strconv.Atoi(string(text))
		if err != nil || nerr != nil {
			t.Errorf("the number: %v, %v", err, nerr)
		}
		return n
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				unlock, err := disk.Lock(t.Context(), path)
				if err != nil {
					t.Error(err)
					return
				}
				if err := os.WriteFile(number, []byte(strconv.Itoa(read()+1)), 0o600); err != nil {
					t.Error(err)
				}
				unlock()
			}
		})
	}
	all.Wait()
	if n := read(); n != 160 {
		t.Errorf("counted %d of 160", n)
	}
}
