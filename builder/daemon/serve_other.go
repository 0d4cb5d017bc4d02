//go:build !linux

package daemon

import (
	"context"
	"errors"

	"fnb/builder/managed"
)

// Serve is an error: this builder runs on Linux only.
func Serve(context.Context, managed.Builder, Options) error {
	return errors.New("fnb's own builder runs on Linux only")
}
