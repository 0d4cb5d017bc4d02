package daemon

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/moby/sys/mountinfo"
)

// endAbandoned ends what a builder that was killed has left: its containers go on
// without it, and files stay mounted, secrets of a RUN step among them. Root is the
// builder's folder, and state its worker's. The lock of the running builder has to be
// held, so that none of them is in use. What cannot be taken away does a new builder
// no harm, and stays.
func endAbandoned(ctx context.Context, runtime, root, state string) {
	executor := filepath.Join(state, "executor")
	bundles, _ := os.ReadDir(executor) // one that is not there has none
	for _, b := range bundles {
		if _, err := os.Stat(filepath.Join(executor, b.Name(), "config.json")); err == nil {
			_ = exec.CommandContext(ctx, runtime, "delete", "--force", b.Name()).Run() // it may have ended by itself
		}
	}
	unmountIn(executor)
	for _, b := range bundles {
		bundle := filepath.Join(executor, b.Name())
		// A folder that is still a mount is busy.
		if err := os.Remove(filepath.Join(bundle, "rootfs")); b.IsDir() && (err == nil || errors.Is(err, os.ErrNotExist)) {
			_ = os.RemoveAll(bundle)
		}
	}
	unmountIn(filepath.Join(root, "tmp"))
	unmountIn(filepath.Join(root, "run"))
}

// unmountIn unmounts what is mounted inside of a folder, the deepest first, and removes
// where it was mounted.
func unmountIn(dir string) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return
	}
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	if err != nil {
		return
	}
	for _, m := range slices.Backward(mounts) { // what was mounted last comes last
		if m.Mountpoint != dir && syscall.Unmount(m.Mountpoint, syscall.MNT_DETACH) == nil {
			_ = os.Remove(m.Mountpoint) // of the one below, where it is a second one
		}
	}
}
