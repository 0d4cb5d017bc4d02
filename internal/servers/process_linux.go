package servers

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/moby/sys/mount"
)

// endWithParent has the kernel send SIGTERM to a child program whose parent
// has died, so that a test that is killed leaves no server behind.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
}

// endLeft ends what a daemon that was killed has left below the folders of its state
// and for its temporary files: containers that go on without it, and mounts.
func endLeft(ctx context.Context, runtime, root, temp string) error {
	bundles, err := filepath.Glob(filepath.Join(root, "runc-*", "executor", "*", "config.json"))
	if err != nil {
		return err
	}
	for _, b := range bundles {
		_ = exec.CommandContext(ctx, runtime, "delete", "--force", filepath.Base(filepath.Dir(b))).Run() // it may have ended by itself
	}
	return errors.Join(mount.RecursiveUnmount(root), mount.RecursiveUnmount(temp))
}
