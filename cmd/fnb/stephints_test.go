package main

import (
	"slices"
	"testing"

	"fnb/builder"
)

// TestStepHints has the words in which tools say what they lack.
func TestStepHints(t *testing.T) {
	t.Parallel()
	additional := "if the Dockerfile has ARG ADDITIONAL_PACKAGE, install what is missing with: --build-arg ADDITIONAL_PACKAGE="
	for _, test := range []struct{ log, want string }{
		{"go: go.mod requires go >= 1.27.0 (running go 1.26.8; GOTOOLCHAIN=local)", "if the Dockerfile has ARG GO_VERSION, choose another Go with: --build-arg GO_VERSION=1.27"},
		{"  ERROR: Cannot find command 'git' - do you have 'git' installed and in your PATH?", additional + "git"},
		{"error: command 'gcc' failed: No such file or directory", additional + "build-essential"},
		{"sh: 1: make: not found", additional + "build-essential"},
		{"go: github.com/a/b@v1: exec: \"git\": executable file not found in $PATH", additional + "git"},
		{"assert 1 == 2", ""},
	} {
		got := stepHints(&builder.SolveError{Log: []string{"x", test.log, "y"}})
		if test.want == "" && got != nil || test.want != "" && !slices.Equal(got, []string{test.want}) {
			t.Errorf("%s: %q", test.log, got)
		}
	}
}
