//go:build !linux || fnb_client

package builder

import (
	"context"
	"errors"
)

// Embedded reports whether this fnb carries a builder.
const Embedded = false

var errNotEmbedded = errors.New("this fnb carries no builder: it is for Linux only, and not in a client-only build")

// Serve is an error: this fnb carries no builder.
func Serve(context.Context, Managed, ServeOptions) error {
	return errNotEmbedded
}

// Ready is an error: this fnb carries no builder.
func (m Managed) Ready() error {
	return errNotEmbedded
}
