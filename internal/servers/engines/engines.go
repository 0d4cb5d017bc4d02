// Package engines starts container engines for tests: Debian's Docker Engine and podman, which are unpacked and not installed.
// [StartDocker] and [StartPodman] have folders and sockets of their own, no network, and change nothing of the machine.
package engines

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"fnb/internal/servers"
)

// packages are those of Debian 12 that the engines are in, with the libraries that not every machine has.
const packages = "docker.io containerd podman conmon libassuan0 libdevmapper1.02.1 libgpgme11 libsubid4 golang-github-containers-common golang-github-containers-image"

// Fetch returns why the engines cannot be had. If FNB_REQUIRE wants them, it unpacks them first.
func Fetch(ctx context.Context) error {
	_, err := programs(ctx)
	return err
}

// programs is the folder of the unpacked packages. They are fetched once, and only if FNB_REQUIRE wants engines, as "make
// engines" does.
func programs(ctx context.Context) (string, error) {
	if os.Geteuid() != 0 {
		return "", errors.New("container engines need root")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	root := filepath.Join(cache, "fnb-tests", "engines-1")
	if _, err := os.Stat(root); err == nil {
		return root, nil
	}
	if !servers.Required("engines") {
		return "", fmt.Errorf("%s is not there; make it with: make engines", root)
	}
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil { //nolint:gosec // programs, which anybody may read
		return "", err
	}
	temp, err := os.MkdirTemp(filepath.Dir(root), "engines-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp) //nolint:errcheck // it has been moved, or is of no use
	// A fresh machine has no package lists yet.
	fetch := exec.CommandContext(ctx, "sh", "-ec", "apt-get download "+packages+" || { apt-get update; apt-get download "+packages+"; }; for p in *.deb; do dpkg-deb -x $p root; done; rm *.deb; chmod 755 root")
	fetch.Dir = temp
	if out, err := fetch.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fetching %s: %w\n%s", packages, err, out)
	}
	if err := os.Rename(filepath.Join(temp, "root"), root); err != nil && !errors.Is(err, os.ErrExist) {
		if _, there := os.Stat(root); there != nil { // somebody else was faster
			return "", err
		}
	}
	return root, nil
}

// environ leads to the programs and libraries below root.
func environ(root string, more ...string) []string {
	paths := func(names ...string) string {
		for i, n := range names {
			names[i] = filepath.Join(root, n)
		}
		return strings.Join(names, ":")
	}
	return append(more, "PATH="+paths("usr/sbin", "usr/bin")+":"+os.Getenv("PATH"), "LD_LIBRARY_PATH="+paths("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"))
}
