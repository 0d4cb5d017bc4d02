package managed

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// kitDir is the state folder of rootlesskit. It has sockets, and so is where a
// path is short.
func (m Builder) kitDir() string { return filepath.Join(filepath.Dir(m.Socket), "rk") }

// kitGone waits for the rootlesskit of the last builder, which ends a moment
// after it.
func (m Builder) kitGone(ctx context.Context) error {
	for end := time.Now().Add(stopTimeout); m.Rootless; {
		held, err := locked(filepath.Join(m.kitDir(), "lock"))
		if err != nil || !held {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("the builder's rootlesskit does not end, and still holds %s", m.kitDir())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// RootlessCommand is the command that starts the builder in a user namespace. What it
// takes and is not installed is a [*MissingError].
func (m Builder) RootlessCommand() ([]string, error) {
	kit, err := LookPath("rootlesskit")
	if err != nil {
		return nil, &MissingError{Program: "rootlesskit", Package: "rootlesskit uidmap", Why: "to run without root"}
	}
	if _, err := LookPath("newuidmap"); err != nil {
		return nil, &MissingError{Program: "newuidmap", Package: "uidmap", Why: "to run without root"}
	}
	return append([]string{kit, "--net=host", "--state-dir=" + m.kitDir()}, m.Command...), nil
}
