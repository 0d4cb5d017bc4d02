package fleet_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fnb/builder"
	"fnb/builder/buildertest"
	"fnb/builder/fleet"
	"fnb/internal/fixture"
	"fnb/internal/servers"
)

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
`, dir, absolute(t, "../testdata/pods.json"), exe, buildertest.StdioCommand)
	if err := os.WriteFile(filepath.Join(dir, "kubectl"), []byte(script), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))

	nodes, err := builder.ParseAddresses("kube-pod://?selector=app=buildkitd,tier=ci&namespace=build&container=buildkitd&context=prod", builder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := fleetOf(t, fleet.Options{Builders: nodes, Patience: 20 * time.Second})
	made := map[string]bool{}
	for i := range 8 {
		res, err := f.Solve(t.Context(), builder.Request{Name: fmt.Sprint("f", i), Context: fixture.Files("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")})
		if err != nil {
			t.Fatal(err)
		}
		made[res.Builders[0]] = true
	}
	if want := "kube-pod://buildkitd-0?container=buildkitd&context=prod&namespace=build"; len(made) != 2 || !made[want] {
		t.Errorf("made by %v", made)
	}
	log := fixture.Read(t, dir, "log")
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
		_, err := fleetOf(t, fleet.Options{Builders: nodes}).Solve(t.Context(), builder.Request{Name: "f", Context: fixture.Files("Dockerfile", "FROM scratch\n")})
		if !errors.As(err, new(*fleet.NoneLeftError)) || !errors.As(err, new(*builder.UnreachableError)) || !strings.Contains(err.Error(), want) {
			t.Errorf("%T %v", err, err)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := builder.Expand(t.Context(), nodes); err == nil || !strings.Contains(err.Error(), "kubectl is not on PATH") {
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
