//go:build !linux || fnb_client

package main

import (
	"context"
	"errors"

	"fnb/builder/managed"
	"fnb/schema/settings"
)

// embedded reports whether this fnb carries a builder.
const embedded = false

var errNotEmbedded = errors.New("this fnb carries no builder: it is for Linux only, and not in a client-only build")

// serveBuilder is an error: this fnb carries no builder.
func serveBuilder(context.Context, managed.Builder, settings.Builder) error {
	return errNotEmbedded
}

// builderReady is an error: this fnb carries no builder.
func builderReady(managed.Builder) error { return errNotEmbedded }
