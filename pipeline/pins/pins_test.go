package pins

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/schema"
)

const (
	sumA = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	sumB = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func someLock() *schema.Lock {
	return &schema.Lock{
		Templates: map[string]schema.Pin{"go": {Store: "official", Version: "1.2.0", Checksum: "fnb1:" + sumA}},
		Bases:     map[string]string{"docker.io/library/golang:1.26": sumA},
		Watchdogs: map[string]map[string]string{"default": {"linux/amd64": sumA, "linux/arm64": sumB}},
	}
}

// What is looked up does not change what the file has, and what the file has is never
// looked up over.
func TestSet(t *testing.T) {
	t.Parallel()
	file := someLock()
	s := New(file)
	if s.AddTemplate("go", schema.Pin{Checksum: "fnb1:" + sumB}) {
		t.Error("a template that is pinned was pinned again")
	}
	if !s.AddTemplate("node", schema.Pin{Checksum: "fnb1:" + sumB}) {
		t.Error("a template that is not pinned was not")
	}
	if s.WasAsked(Base, "docker.io/library/node:24") {
		t.Error("nobody asked")
	}
	gone := errors.New("gone")
	s.SetBases(map[string]string{"docker.io/library/node:24": sumB}, map[string]error{"docker.io/library/gone:1": gone})
	if !s.WasAsked(Base, "docker.io/library/gone:1") || s.Base("docker.io/library/gone:1") != "" {
		t.Error("what is not found is asked for again, or pinned")
	}
	if err := s.Missed(Base, "docker.io/library/gone:1"); !errors.Is(err, gone) {
		t.Errorf("why it was not found is %v", err)
	}
	if err := s.Missed(Base, "docker.io/library/node:24"); err != nil {
		t.Errorf("it was found, and %v", err)
	}
	s.MissWatchdog("example.com/watchdog:1", gone)
	if !s.WasAsked(Watchdog, "example.com/watchdog:1") || s.Missed(Watchdog, "example.com/watchdog:1") == nil {
		t.Error("a watchdog that is not found is not noted")
	}
	if s.WasAsked(Watchdog, "docker.io/library/node:24") {
		t.Error("a base image is no watchdog")
	}
	if s.Base("docker.io/library/node:24") != sumB || s.Base("docker.io/library/golang:1.26") != sumA {
		t.Errorf("bases: %v", s.Now().Bases)
	}
	w := s.Watchdog("default")
	w["linux/amd64"] = "another"
	if diff := cmp.Diff(someLock(), file); diff != "" {
		t.Errorf("the file's (-want +got):\n%s", diff)
	}
	if s.Watchdog("default")["linux/amd64"] != sumA {
		t.Error("who was given a watchdog's digests can change the pins")
	}
	if s.Watchdog("none") == nil {
		t.Error("digests cannot be added to a watchdog that nothing pins")
	}
	s.Forget([]string{"go"}, false)
	if _, ok := s.Now().Templates["go"]; ok || len(s.Now().Bases) != 2 {
		t.Errorf("%v", s.Now())
	}
	s.Forget(nil, true)
	if now := s.Now(); len(now.Templates)+len(now.Bases)+len(now.Watchdogs) != 0 {
		t.Errorf("%v", now)
	}
}

// A file that has everything is not written.
func TestWrite(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "fnb.lock")
	s := New(someLock())
	if err := s.Write(file); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("it was written with nothing new in it")
	}
	s.SetBases(map[string]string{"docker.io/library/node:24": sumB}, nil)
	if err := s.Write(file); err != nil {
		t.Fatal(err)
	}
	got, err := schema.ReadLock(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.Now().Bases, got.Bases); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(s.Changes()) != 0 {
		t.Errorf("it differs from what was written: %v", s.Changes())
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	before, after := someLock(), Copy(someLock())
	after.Templates["go"] = schema.Pin{Store: "official", Version: "1.3.0", Checksum: "fnb1:" + sumB}
	after.Templates["own"] = schema.Pin{Store: "./own", Checksum: "fnb1:" + sumB}
	delete(after.Bases, "docker.io/library/golang:1.26")
	after.Watchdogs["default"] = map[string]string{"linux/amd64": sumA, "linux/arm64": sumA}
	want := []Change{
		{Kind: Template, Name: "go", Locked: &Choice{Version: "1.2.0", Digest: "fnb1:" + sumA}, Newest: &Choice{Version: "1.3.0", Digest: "fnb1:" + sumB}},
		{Kind: Template, Name: "own", Newest: &Choice{Digest: "fnb1:" + sumB}},
		{Kind: Base, Name: "docker.io/library/golang:1.26", Locked: &Choice{Digest: sumA}},
		{Kind: Watchdog, Name: "default", Locked: &Choice{Digest: sumB}, Newest: &Choice{Digest: sumA}}, // where it differs
	}
	got := Diff(before, after)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := Diff(before, Copy(before)); got != nil {
		t.Errorf("equal locks differ in %v", got)
	}
	some := Moved(before, after, got[:1])
	if some.Templates["go"].Version != "1.3.0" || len(some.Templates) != 1 || len(some.Bases) != 1 || before.Templates["go"].Version != "1.2.0" {
		t.Errorf("moved: %v", some)
	}
	if diff := cmp.Diff([]string{"go", "docker.io/library/golang:1.26", "default"}, Names(before)); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestChoice(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]*Choice{
		"-":                        nil,
		"1.2.0":                    {Version: "1.2.0", Commit: "0123456789abcdef", Digest: sumA},
		"0123456789ab":             {Commit: "0123456789abcdef", Digest: sumA},
		"fnb1:sha256:aaaaaaaaaaaa": {Digest: "fnb1:" + sumA},
		"sha256:short":             {Digest: "sha256:short"},
	} {
		if got := c.String(); got != want {
			t.Errorf("%+v is %q, want %q", c, got, want)
		}
	}
}
