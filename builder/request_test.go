package builder

import (
	"testing"

	"fnb/internal/fixture"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, req := range []Request{{Name: "f"}, {Name: "f", Context: fixture.Files("x", "")}, {Name: "f", Context: fixture.Files("Dockerfile", ""), Recipe: Recipe{Dockerfile: "other"}}} {
		if err := req.Check(); err == nil {
			t.Errorf("%+v was taken", req)
		}
	}
}

func TestFrontend(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"":                                     "",
		"# syntax=docker/dockerfile:1":         "",
		"# syntax = docker/dockerfile:1.7":     "",
		"#syntax=docker.io/docker/dockerfile":  "",
		"# syntax=docker/dockerfile:1-labs":    "docker/dockerfile:1-labs",
		"# syntax=docker/dockerfile-upstream":  "docker/dockerfile-upstream",
		"# syntax=registry.example/frontend:1": "registry.example/frontend:1",
		"# escape=`\n# syntax=r.example/f":     "r.example/f",
		"FROM x\n# syntax=registry.example/f":  "",
	}
	for text, want := range tests {
		if got := Frontend([]byte(text+"\nFROM scratch\n"), nil); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	for arg, want := range map[string]string{"": "", "r.example/f:1 x": "r.example/f:1", "docker/dockerfile:1": ""} {
		if got := Frontend([]byte("FROM scratch\n"), map[string]string{"BUILDKIT_SYNTAX": arg}); got != want {
			t.Errorf("BUILDKIT_SYNTAX=%q: got %q, want %q", arg, got, want)
		}
	}
}
