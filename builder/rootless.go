package builder

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// kitDir is the state folder of rootlesskit. It has sockets, and so is where a
// path is short.
func (m Managed) kitDir() string { return filepath.Join(filepath.Dir(m.Socket), "rk") }

// kitGone waits for the rootlesskit of the last builder, which ends a moment
// after it.
func (m Managed) kitGone(ctx context.Context) error {
	for end := time.Now().Add(stopTimeout); m.Rootless; {
		held, err := locked(filepath.Join(m.kitDir(), "lock"))
		if err != nil || !held {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("starting the builder: the rootlesskit of the last one still holds %s", m.kitDir())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// rootlessCommand runs the builder in a user namespace.
func rootlessCommand(m Managed) ([]string, error) {
	kit, err := lookPath("rootlesskit")
	if err != nil {
		return nil, &MissingError{Program: "rootlesskit", Package: "rootlesskit uidmap", Why: "to run without root"}
	}
	if _, err := lookPath("newuidmap"); err != nil {
		return nil, &MissingError{Program: "newuidmap", Package: "uidmap", Why: "to run without root"}
	}
	return append([]string{kit, "--net=host", "--state-dir=" + m.kitDir()}, m.Command...), nil
}
