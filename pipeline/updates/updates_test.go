package updates

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/pipeline"
	"fnb/pipeline/pins"
	"fnb/schema"
)

func sum(c string) string { return "sha256:" + strings.Repeat(c, 64) }

func checksum(c string) string { return "fnb1:" + sum(c) }

// newest is a stack of which a template and a base image could be moved, and another
// template if the stack allowed it.
func newest(t *testing.T) *Newest {
	t.Helper()
	stack := &schema.Stack{File: filepath.Join(t.TempDir(), "stack.yaml"), Functions: []schema.Function{{Name: "hello", Lang: "acme/go@^1"}, {Name: "old", Lang: "acme/node@^1"}}}
	line, err := pipeline.New(stack, pipeline.Settings{}, pipeline.Means{})
	if err != nil {
		t.Fatal(err)
	}
	before := &schema.Lock{
		Templates: map[string]schema.Pin{"acme/go@^1": {Version: "1.0.0", Checksum: checksum("1")}, "acme/node@^1": {Version: "1.0.0", Checksum: checksum("2")}},
		Bases:     map[string]string{"docker.io/library/golang:1.26": sum("3")},
	}
	line.Pins.AddTemplate("acme/go@^1", schema.Pin{Version: "1.1.0", Checksum: checksum("4")})
	line.Pins.AddTemplate("acme/node@^1", before.Templates["acme/node@^1"])
	line.Pins.SetBases(map[string]string{"docker.io/library/golang:1.26": sum("5")}, nil)
	return &Newest{line: line, Before: before, Changes: pins.Diff(before, line.Pins.Now()), Latest: map[string]string{"acme/go@^1": "", "acme/node@^1": "2.0.0"}}
}

func TestOutdated(t *testing.T) {
	t.Parallel()
	n := newest(t)
	changes, movable := n.Outdated()
	if len(changes) != 3 || !movable {
		t.Fatalf("%+v", changes)
	}
	last := changes[2]
	if last.Name != "acme/node@^1" || last.Latest != "2.0.0" || *last.Locked != *last.Newest {
		t.Errorf("what the stack does not allow: %+v", last)
	}
	n.Changes = nil
	if _, movable := n.Outdated(); movable {
		t.Error("what the stack does not allow could be moved")
	}
}

func TestChosen(t *testing.T) {
	t.Parallel()
	n := newest(t)
	names := func(changes []pins.Change) (out []string) {
		for _, c := range changes {
			out = append(out, c.Name)
		}
		return out
	}
	for _, tt := range []struct{ ask, want []string }{
		{nil, []string{"acme/go@^1", "docker.io/library/golang:1.26"}},
		{[]string{"hello"}, []string{"acme/go@^1"}},
		{[]string{"docker.io/library/golang:1.26"}, []string{"docker.io/library/golang:1.26"}},
		{[]string{"old"}, nil}, // which does not move
	} {
		got, err := n.Chosen(tt.ask)
		if diff := cmp.Diff(tt.want, names(got)); err != nil || diff != "" {
			t.Errorf("%v: %v (-want +got):\n%s", tt.ask, err, diff)
		}
	}
	var unknown *pipeline.UnknownFunctionError
	if _, err := n.Chosen([]string{"helo"}); !errors.As(err, &unknown) || len(unknown.Near) == 0 || unknown.Near[0] != "hello" {
		t.Errorf("%v", err)
	}
}

// What is not chosen stays as it is in the lock.
func TestWriteLock(t *testing.T) {
	t.Parallel()
	n := newest(t)
	chosen, err := n.Chosen([]string{"hello"})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.WriteLock(chosen); err != nil {
		t.Fatal(err)
	}
	lock, err := schema.ReadLock(pipeline.LockFile(n.line.Stack.File))
	if err != nil {
		t.Fatal(err)
	}
	if lock.Templates["acme/go@^1"].Version != "1.1.0" || lock.Bases["docker.io/library/golang:1.26"] != sum("3") {
		t.Errorf("%+v", lock)
	}
}
