package buildertest

import (
	"encoding/json"
	"os"
	"testing"

	"fnb/builder"
	"fnb/internal/fixture"
	"fnb/schema"
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

// BuiltWatchdog is the one that make builds, for tests of packages that are two folders deep.
func BuiltWatchdog(t *testing.T) builder.Watchdog {
	t.Helper()
	const layout = "../../packaging/watchdog"
	w := builder.Watchdog{Layout: os.DirFS(layout), Manifests: map[string]string{}}
	var index struct {
		Manifests []struct {
			Digest   string
			Platform struct{ OS, Architecture, Variant string }
		}
	}
	if err := json.Unmarshal([]byte(fixture.Read(t, layout+"/index.json")), &index); err != nil {
		t.Fatal(err)
	}
	for _, m := range index.Manifests {
		p := schema.Platform{OS: m.Platform.OS, Architecture: m.Platform.Architecture, Variant: m.Platform.Variant}
		w.Manifests[builder.PlatformName(p)] = m.Digest
	}
	return w
}
