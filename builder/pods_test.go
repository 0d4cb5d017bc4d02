package builder

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fnb/internal/servers"
)

// The list is as kubectl prints it: of pods that are ready, not ready, about to
// end, pending, done, and without the container.
func TestChoosePods(t *testing.T) {
	t.Parallel()
	list := read(t, "testdata/pods.json")
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

// A selector is a fleet. There is no cluster here: kubectl is a script that
// prints the recorded list and leads into two real builders.
func TestKubernetesFleet(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range []string{"buildkitd-0", "buildkitd-2"} {
		d := servers.BuildkitdFor(t, servers.BuildkitdOptions{})
		if err := os.Symlink(strings.TrimPrefix(d.Address, "unix://"), filepath.Join(dir, pod)); err != nil {
			t.Fatal(err)
		}
	}
	script := fmt.Sprintf(`#!/bin/sh
echo "$@" >>%[1]s/log
case "$*" in
"get pods "*) cat %[2]s ;;
*" exec "*) for a; do case $a in buildkitd-*) exec %[3]s %[4]s %[1]s/$a ;; esac; done ;;
esac
`, dir, absolute(t, "testdata/pods.json"), exe, stdioCommand)
	if err := os.WriteFile(filepath.Join(dir, "kubectl"), []byte(script), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))

	nodes, err := ParseAddresses("kube-pod://?selector=app=buildkitd,tier=ci&namespace=build&container=buildkitd&context=prod", Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := fleetOf(t, FleetOptions{Nodes: nodes, Patience: 20 * time.Second})
	made := map[string]bool{}
	for i := range 8 {
		res, err := f.Solve(t.Context(), Request{Name: fmt.Sprint("f", i), Context: files("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")})
		if err != nil {
			t.Fatal(err)
		}
		made[res.Builders[0]] = true
	}
	if want := "kube-pod://buildkitd-0?container=buildkitd&context=prod&namespace=build"; len(made) != 2 || !made[want] {
		t.Errorf("made by %v", made)
	}
	log := read(t, dir, "log")
	for _, want := range []string{
		"get pods --selector=app=buildkitd,tier=ci --output=json --namespace=build --context=prod\n",
		"--context=prod --namespace=build exec --container=buildkitd -i buildkitd-2 -- buildctl dial-stdio\n",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("kubectl was not called with %s, only with\n%s", want, log)
		}
	}

	// What kubectl says is what is said of the selector.
	for text, want := range map[string]string{
		"#!/bin/sh\necho 'error: You must be logged in to the server' >&2\nexit 1\n": "kubectl: error: You must be logged in to the server",
		"#!/bin/sh\nexit 3\n":                "kubectl: exit status 3",
		"#!/bin/sh\necho '{\"items\":[]}'\n": "of 0 pods with app=buildkitd,tier=ci none is ready",
	} {
		if err := os.WriteFile(filepath.Join(dir, "kubectl"), []byte(text), 0o755); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
		_, err := fleetOf(t, FleetOptions{Nodes: nodes}).Solve(t.Context(), Request{Name: "f", Context: files("Dockerfile", "FROM scratch\n")})
		if !errors.As(err, new(*FleetError)) || !errors.As(err, new(*UnreachableError)) || !strings.Contains(err.Error(), want) {
			t.Errorf("%T %v", err, err)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Expand(t.Context(), nodes); err == nil || !strings.Contains(err.Error(), "kubectl is not on PATH") {
		t.Errorf("%T %v", err, err)
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}
