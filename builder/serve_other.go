//go:build !linux || fnb_client

package builder

import (
	"context"
	"errors"
)

// Embedded reports whether this fnb carries a builder.
const Embedded = false

// Serve is an error: this fnb carries no builder.
func Serve(context.Context, Managed, ServeOptions) error {
	return errors.New("this fnb carries no builder: it is for Linux only, and not in a client-only build")
}
