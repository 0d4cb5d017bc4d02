package deploy_test

import (
	"bytes"
	"testing"

	"github.com/goccy/go-yaml"
)

// values finds the environment of a manifest's first document.
func values(t *testing.T, manifest []byte) map[string]any {
	t.Helper()
	var doc struct {
		Spec struct {
			Environment map[string]any `yaml:"environment"`
			Template    struct {
				Spec struct {
					Containers []struct {
						Env []struct {
							Name  string `yaml:"name"`
							Value any    `yaml:"value"`
						} `yaml:"env"`
					} `yaml:"containers"`
				} `yaml:"spec"`
			} `yaml:"template"`
		} `yaml:"spec"`
	}
	if err := yaml.NewDecoder(bytes.NewReader(manifest)).Decode(&doc); err != nil {
		t.Fatalf("%v in\n%s", err, manifest)
	}
	if doc.Spec.Environment != nil {
		return doc.Spec.Environment
	}
	out := map[string]any{}
	for _, e := range doc.Spec.Template.Spec.Containers[0].Env {
		out[e.Name] = e.Value
	}
	return out
}
