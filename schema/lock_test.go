package schema_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/schema"
)

func digits(c rune) string { return strings.Repeat(string(c), 64) }

func TestLockKeepsWhatALaterFnbWrote(t *testing.T) {
	t.Parallel()
	path := "testdata/lock/valid/fnb.lock"
	lock, err := schema.ReadLock(path)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]schema.Pin{
		"acme/go@>=1 <3": {Store: "main", Version: "1.2.3", Checksum: "fnb1:sha256:" + digits('a'), Commit: strings.Repeat("b", 40)},
		"go":             {Store: "official", Checksum: "fnb1:sha256:" + digits('a')},
	}
	if diff := cmp.Diff(want, lock.Templates); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"docker.io/library/postgres:17": "sha256:" + digits('a')}, lock.Services); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(string(readTestFile(t, path)), string(lock.Marshal())); diff != "" {
		t.Errorf("rewritten (-want +got):\n%s", diff)
	}
	delete(lock.Templates, "acme/go@>=1 <3")
	if strings.Contains(string(lock.Marshal()), "acme") {
		t.Error("a pin that is gone is still written")
	}
}

func TestLockInAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "fnb.lock")
	lock, err := schema.ReadLock(path)
	if err != nil || lock.Version != 1 || len(lock.Templates) != 0 {
		t.Fatalf("a lock that does not exist is %+v, %v", lock, err)
	}
	lock.Templates = map[string]schema.Pin{"go@^1": {Store: "official", Checksum: "fnb1:sha256:" + digits('a')}}
	if err := lock.WriteLock(path); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.WriteLock(path); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("an equal lock was written again (%v)", err)
	}
	got, err := schema.ReadLock(path)
	if diff := cmp.Diff(lock, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := schema.ReadLock(filepath.Dir(path)); err == nil {
		t.Error("a folder was read as a lock")
	}
	if _, err := schema.ParseLock("fnb.lock", []byte(`{"version": 2, "templates": 1}`)); !errors.Is(err, schema.ErrNewerFormat) {
		t.Errorf("a newer lock is %v, want ErrNewerFormat", err)
	}
}
