package history

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/packaging"
)

func input(c string) string { return "sha256:" + strings.Repeat(c, 64) }

func TestFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := Folder(filepath.Join(dir, "builds"))
	const ref = "registry.test/acme/hello:1"
	if _, ok := f.Read(ref); ok {
		t.Error("it remembers what was never written")
	}
	one := Entry{Input: input("1"), Digest: input("a"), Inputs: packaging.Inputs{{Name: "file handler", Value: "1"}}}
	two := Entry{Input: input("2"), Digest: input("b"), Inputs: packaging.Inputs{{Name: "file handler", Value: "2"}}}
	for _, e := range []Entry{one, one, two} {
		if err := f.Write(ref, e); err != nil {
			t.Fatal(err)
		}
		got, ok := f.Read(ref)
		if diff := cmp.Diff(e, got); diff != "" || !ok {
			t.Errorf("%v (-want +got):\n%s", ok, diff)
		}
	}
	if _, ok := f.Read("registry.test/acme/other:1"); ok {
		t.Error("another reference has it")
	}
	var left []string
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, _ error) error {
		if !d.IsDir() {
			left = append(left, path)
		}
		return nil
	})
	if len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

// What passed is forgotten with the inputs that it passed with, and counts for its stage
// alone.
func TestTested(t *testing.T) {
	t.Parallel()
	f := Folder(t.TempDir())
	const ref = "registry.test/acme/hello:1"
	if err := f.Write(ref, Entry{Input: input("1")}); err != nil {
		t.Fatal(err)
	}
	f.Passed(ref, input("1"), "test")
	if !f.Tested(ref, input("1"), "test") || f.Tested(ref, input("1"), "lint") || f.Tested(ref, input("2"), "test") {
		t.Error("not just what passed")
	}
	if err := f.Write(ref, Entry{Input: input("2")}); err != nil {
		t.Fatal(err)
	}
	if f.Tested(ref, input("1"), "test") {
		t.Error("it outlives its entry")
	}
}

// A damaged entry is none.
func TestDamaged(t *testing.T) {
	t.Parallel()
	f := Folder(t.TempDir())
	if err := f.Write("x", Entry{Input: input("1")}); err != nil {
		t.Fatal(err)
	}
	_, file := f.place("x", input("1"))
	if err := os.WriteFile(file, []byte("not gzip"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok := f.Read("x"); ok {
		t.Error("it was read")
	}
}

func TestNone(t *testing.T) {
	t.Parallel()
	var f Folder
	if err := f.Write("x", Entry{Input: input("1")}); err != nil {
		t.Error(err)
	}
	f.Passed("x", input("1"), "test")
	if _, ok := f.Read("x"); ok || f.Tested("x", input("1"), "test") {
		t.Error("it remembers")
	}
}

// What was signed is remembered for each key and repository, the last ones of many, and by several at a time.
func TestSigned(t *testing.T) {
	t.Parallel()
	f := Folder(filepath.Join(t.TempDir(), "builds"))
	if f.Signed("r", "d", "k") {
		t.Error("it remembers what was never signed")
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() { f.Sign("r", fmt.Sprint("d", i), "k") })
	}
	wg.Wait()
	for i := range 4 {
		if d := fmt.Sprint("d", i); !f.Signed("r", d, "k") || f.Signed("other", d, "k") || f.Signed("r", d, "other") {
			t.Errorf("%s is not just what was signed", d)
		}
	}
	for i := range 3 * maxSigned {
		f.Sign("r", fmt.Sprint("e", i), "k")
	}
	if f.Signed("r", "d0", "k") || !f.Signed("r", fmt.Sprint("e", 3*maxSigned-1), "k") || len(f.signed("r", "k")) > 2*maxSigned {
		t.Errorf("%d are remembered", len(f.signed("r", "k")))
	}
	Folder("").Sign("r", "d", "k")
}
