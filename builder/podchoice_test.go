package builder

import (
	"slices"
	"strings"
	"testing"

	"fnb/internal/fixture"
)

// The list is as kubectl prints it: of pods that are ready, not ready, about to
// end, pending, done, and without the container.
func TestChoosePods(t *testing.T) {
	t.Parallel()
	list := fixture.Read(t, "testdata/pods.json")
	none := `{"apiVersion":"v1","items":[],"kind":"List"}`
	tests := []struct {
		name string
		s    podSelector
		list string
		want []string
		err  string
	}{
		{"ready ones, sorted", podSelector{}, list, []string{"buildkitd-0", "buildkitd-2", "other-6"}, ""},
		{"with a container", podSelector{container: "buildkitd"}, list, []string{"buildkitd-0", "buildkitd-2"}, ""},
		{"with another container", podSelector{container: "dind", labels: "app=buildkitd"}, list, nil, "of 7 pods with app=buildkitd none is ready"},
		{"none", podSelector{labels: "app=buildkitd"}, none, nil, "of 0 pods with app=buildkitd none is ready"},
		{"no list", podSelector{}, "Unable to connect", nil, "reading kubectl's list of pods"},
	}
	for _, tt := range tests {
		got, err := tt.s.choose([]byte(tt.list))
		if !slices.Equal(got, tt.want) || tt.err == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %v %v", tt.name, got, err)
		}
	}
}
