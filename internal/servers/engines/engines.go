// Package engines starts container engines for tests: Debian's Docker Engine and podman, which are unpacked and not installed, and
// today's Docker Engine, which is compiled. [StartDocker] and [StartPodman] have folders and sockets of their own, no network but
// their own, and change nothing of the machine.
package engines

import (
	"context"
	"errors"
	"os"

	"fnb/internal/servers/debian"
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
	// A fresh machine has no package lists yet.
	return debian.Unpack(ctx, "engines", "1", "apt-get download "+packages+" || { apt-get update; apt-get download "+packages+"; }; for p in *.deb; do dpkg-deb -x $p root; done; rm *.deb; chmod 755 root")
}

// environ leads to the programs and libraries below root.
func environ(root string, more ...string) []string {
	return append(more, debian.Environment(root)...)
}
