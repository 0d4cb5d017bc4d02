package buildertest

import (
	"testing"

	"fnb/builder"
	"fnb/internal/fixture"
)

// A Watchdog is an OCI layout with a stand-in for the watchdog.
type Watchdog struct {
	builder.Watchdog
	Layers map[string]string // digests, by platform
}

// NewWatchdog has a stand-in for each platform.
func NewWatchdog(t *testing.T, platforms ...string) Watchdog {
	t.Helper()
	fsys, manifests, layers := fixture.WatchdogLayout(t, platforms...)
	return Watchdog{Watchdog: builder.Watchdog{Layout: fsys, Manifests: manifests}, Layers: layers}
}
