package daemon

import (
	"errors"
	"os"
	"path/filepath"

	"fnb/builder/managed"
	"fnb/builder/stepnet"
	"fnb/schema/settings"
)

// Ready reports what keeps the managed builder from being started on this
// machine: all of it, joined, each program that is missing as a [*managed.MissingError].
// It starts nothing and writes nothing.
func Ready(m managed.Builder) error {
	var errs []error
	if _, err := runtimeBinary(); err != nil {
		errs = append(errs, err)
	}
	if m.Rootless {
		// Which file systems a user namespace may mount, and whether there is a network in
		// it, shows only inside one.
		_, err := m.RootlessCommand()
		return errors.Join(append(errs, err)...)
	}
	if m.Network != settings.NetworkHost {
		if err := stepnet.Ready(); err != nil {
			errs = append(errs, networkError(err))
		}
	}
	if _, err := snapshotter(existing(m.Root)); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// existing is dir, or the nearest folder above it that is there.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}
