package fleet_test

import (
	"context"
	"testing"

	"fnb/builder"
	"fnb/builder/fleet"
)

// Only a builder that is named, alone, as a Docker Engine's is one.
func TestInEngine(t *testing.T) {
	t.Parallel()
	managed := func(context.Context) (*builder.Client, error) { return nil, nil } //nolint:nilnil // nobody connects
	for address, want := range map[string]bool{
		"docker:///run/d.sock": true, "docker://": true, "unix:///run/b.sock": false, "docker-container://bk": false,
		"docker://,unix:///run/b.sock": false, "": false, "nonsense": false,
	} {
		c := fleet.Choice{Settings: []fleet.Setting{{By: "--builder", Address: address}}, Managed: managed}
		if got := fleet.NewOnDemand(c, t.TempDir()).InEngine(); got != want {
			t.Errorf("%q: %v, want %v", address, got, want)
		}
	}
}
