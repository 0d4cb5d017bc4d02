package engines_test

import (
	"strings"
	"testing"

	"fnb/internal/servers/engines"
)

// TestEngines starts each of them.
func TestEngines(t *testing.T) {
	t.Parallel()
	d, today, p := engines.DockerFor(t, engines.DockerOptions{}), engines.DockerFor(t, engines.DockerOptions{Today: true}), engines.PodmanFor(t)
	for name, cmd := range map[string]interface{ CombinedOutput() ([]byte, error) }{
		"Docker Engine": d.Command(t.Context(), "info", "--format", "{{.ServerVersion}} {{.Driver}}"),
		"today's":       today.Command(t.Context(), "info", "--format", "{{.ServerVersion}} {{.Driver}}"),
		"containerd":    d.Ctr(t.Context(), "version"),
		"podman":        p.Command(t.Context(), "info", "--format", "{{.Version.Version}} {{.Store.GraphDriverName}}"),
	} {
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		t.Logf("%s: %s", name, strings.TrimSpace(string(out)))
	}
}
