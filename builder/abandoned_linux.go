//go:build linux && !fnb_client

package builder

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// endAbandoned ends the containers of a builder that was killed, whose folder is
// dir: they go on without it, and their files stay mounted. The lock of the
// running builder has to be held, so that none of them is in use. What cannot be
// taken away does a new builder no harm, and stays.
func endAbandoned(ctx context.Context, runtime, dir string) {
	bundles, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, b := range bundles {
		bundle := filepath.Join(dir, b.Name())
		if _, err := os.Stat(filepath.Join(bundle, "config.json")); err != nil {
			continue
		}
		_ = exec.CommandContext(ctx, runtime, "delete", "--force", b.Name()).Run() // it may have ended by itself
		root := filepath.Join(bundle, "rootfs")
		for syscall.Unmount(root, syscall.MNT_DETACH) == nil {
		}
		// A folder that is still a mount is not empty, or busy.
		if err := os.Remove(root); err == nil || errors.Is(err, os.ErrNotExist) {
			_ = os.RemoveAll(bundle)
		}
	}
}
