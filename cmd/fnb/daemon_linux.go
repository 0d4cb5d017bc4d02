//go:build linux && !fnb_client

package main

import (
	"context"

	"fnb/builder/daemon"
	"fnb/builder/managed"
	"fnb/schema/settings"
)

// embedded reports whether this fnb carries a builder.
const embedded = true

// serveBuilder is the managed builder itself, until it is interrupted or idle.
func serveBuilder(ctx context.Context, m managed.Builder, cfg settings.Builder) error {
	return daemon.Serve(ctx, m, daemon.Options{
		Idle: cfg.Idle, CacheBytes: cfg.Cache, Registries: cfg.Registries,
		Version: buildkitVersion(), Network: cfg.Network, Reach: cfg.Reach,
	})
}

// builderReady says what keeps the managed builder from being started here.
func builderReady(m managed.Builder) error { return daemon.Ready(m) }
