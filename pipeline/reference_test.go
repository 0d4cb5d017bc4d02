package pipeline

import (
	"strings"
	"testing"
)

func mustRef(t *testing.T, text string) Reference {
	t.Helper()
	r, err := ParseReference(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A tag is put where the reference has one or would have it, and the rest stays as it was
// written.
func TestReferenceWithTag(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("0", 64)
	for text, want := range map[string]string{
		"hello":                      "hello:2",
		"hello:1":                    "hello:2",
		"hello:latest":               "hello:2",
		"latest":                     "latest:2",
		"127.0.0.1:5000/a/hello":     "127.0.0.1:5000/a/hello:2",
		"localhost:5000/hello:1":     "localhost:5000/hello:2",
		"docker.io/acme/hello:1a":    "docker.io/acme/hello:2",
		"acme/hello@sha256:" + sum:   "acme/hello:2",
		"acme/hello:1@sha256:" + sum: "acme/hello:2",
	} {
		got := mustRef(t, text).WithTag("2")
		if got.Text != want || got != mustRef(t, want) {
			t.Errorf("%s becomes %+v, want %+v", text, got, mustRef(t, want))
		}
	}
	if _, err := ParseReference("A B"); err == nil {
		t.Error("A B is a reference")
	}
}
