// Package debian has programs of Debian's for tests: [Unpack] fetches and unpacks them, and installs nothing.
package debian

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"fnb/internal/servers"
)

// Unpack returns the folder of programs of Debian's that are unpacked for tests, and not installed. They are fetched once, and only
// if FNB_REQUIRE has their name, as "make NAME" does: script runs in an empty folder, and leaves them in its folder root. Another
// edition is fetched again.
func Unpack(ctx context.Context, name, edition, script string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	root := filepath.Join(cache, "fnb-tests", name+"-"+edition)
	if _, err := os.Stat(root); err == nil {
		return root, nil
	}
	if !servers.Required(name) {
		return "", fmt.Errorf("%s is not there; make it with: make %s", root, name)
	}
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil { //nolint:gosec // programs, which anybody may read
		return "", err
	}
	temp, err := os.MkdirTemp(filepath.Dir(root), name+"-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp) //nolint:errcheck // it has been moved, or is of no use
	cmd := exec.CommandContext(ctx, "sh", "-ec", script)
	cmd.Dir = temp
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fetching Debian's packages for %s: %w\n%s", name, err, out)
	}
	if err := os.Rename(filepath.Join(temp, "root"), root); err != nil {
		if _, there := os.Stat(root); there != nil { // somebody else was not faster
			return "", err
		}
	}
	return root, nil
}

// Environment are the variables that lead to the programs and libraries in a folder of [Unpack].
func Environment(root string) []string {
	paths := func(names ...string) string {
		for i, n := range names {
			names[i] = filepath.Join(root, n)
		}
		return strings.Join(names, ":")
	}
	return []string{
		"PATH=" + paths("usr/sbin", "usr/bin") + ":" + os.Getenv("PATH"),
		"LD_LIBRARY_PATH=" + paths("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"),
	}
}
