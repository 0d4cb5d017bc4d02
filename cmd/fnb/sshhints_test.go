package main

import (
	"fmt"
	"strings"
	"testing"

	"fnb/store/git"
)

// TestSSHHints looks for the command in what is said about an SSH server, and for
// the host's name, which no command may have in it.
func TestSSHHints(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"ssh-add":         &git.AuthError{Host: "-oProxyCommand=x", SSH: true},
		": ssh HOST":      &git.HostKeyError{Host: "-oProxyCommand=x"},
		"ssh-keygen -R":   &git.HostKeyError{Host: "-oProxyCommand=x", Changed: true},
		"FNB_GIT_TOKEN_A": &git.AuthError{Host: "a"},
	} {
		got := strings.Join(hints(fmt.Errorf("new: %w", err)), "\n")
		if !strings.Contains(got, want) || strings.Contains(got, "Proxy") {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
