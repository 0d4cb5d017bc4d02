//go:build linux && !fnb_client

package builder

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// endAbandoned ends what a builder that was killed has left: its containers go on
// without it, and files stay mounted. Root is the builder's folder, and state its
// worker's. The lock of the running builder has to be held, so that none of them is
// in use. What cannot be taken away does a new builder no harm, and stays.
func endAbandoned(ctx context.Context, runtime, root, state string) {
	for _, bundle := range inside(filepath.Join(state, "executor"), "") {
		if _, err := os.Stat(filepath.Join(bundle, "config.json")); err != nil {
			continue
		}
		_ = exec.CommandContext(ctx, runtime, "delete", "--force", filepath.Base(bundle)).Run() // it may have ended by itself
		if unmount(filepath.Join(bundle, "rootfs")) {
			_ = os.RemoveAll(bundle)
		}
	}
	for _, dir := range append(inside(filepath.Join(state, "cachemounts"), ""), inside(filepath.Join(root, "tmp"), "containerd-mount")...) {
		unmount(dir)
	}
}

// inside are the paths of what a folder has, by the beginning of its name.
func inside(dir, prefix string) []string {
	entries, _ := os.ReadDir(dir) // one that is not there has nothing
	var paths []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths
}

// unmount takes everything away from a mount point, and the point itself. It reports
// whether that is gone: a folder that is still a mount is not empty, or busy.
func unmount(dir string) bool {
	for syscall.Unmount(dir, syscall.MNT_DETACH) == nil {
	}
	err := os.Remove(dir)
	return err == nil || errors.Is(err, os.ErrNotExist)
}
