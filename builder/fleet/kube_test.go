package fleet_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fnb/builder/buildertest"
	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// A kube is where a kubectl is that no cluster answers: it is a script that prints the file
// pods.json, and leads into real builders.
type kube struct {
	*testing.T
	dir string
}

// newKube puts the script before all others in PATH. It keeps what it was called with in the
// file log.
func newKube(t *testing.T) *kube {
	t.Helper()
	k := &kube{t, t.TempDir()}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	k.script(fmt.Sprintf(`echo "$@" >>%[1]s/log
case "$*" in
"get pods "*) cat %[1]s/pods.json ;;
*" exec "*|exec\ *) for a; do test -L %[1]s/$a && exec %[2]s %[3]s %[1]s/$a; done ;;
esac
`, k.dir, exe, buildertest.StdioCommand))
	t.Setenv("PATH", k.dir+":"+os.Getenv("PATH"))
	return k
}

// script has kubectl be another program.
func (k *kube) script(text string) {
	k.Helper()
	if err := os.WriteFile(filepath.Join(k.dir, "kubectl"), []byte("#!/bin/sh\n"+text), 0o755); err != nil { //nolint:gosec // a program
		k.Fatal(err)
	}
}

// start starts a builder, which is in the pod from then on.
func (k *kube) start(pod string) *servers.Buildkitd {
	k.Helper()
	d := servers.BuildkitdFor(k.T, servers.BuildkitdOptions{})
	link := filepath.Join(k.dir, pod)
	if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		k.Fatal(err)
	}
	if err := os.Symlink(strings.TrimPrefix(d.Address, "unix://"), link); err != nil {
		k.Fatal(err)
	}
	return d
}

// list has kubectl find the pods, all of which are ready.
func (k *kube) list(pods ...string) {
	k.Helper()
	var items []string
	for _, pod := range pods {
		items = append(items, fmt.Sprintf(`{"metadata": {"name": %q}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}`, pod))
	}
	k.found(`{"items": [` + strings.Join(items, ",") + `]}`)
}

// found is what kubectl prints of pods.
func (k *kube) found(text string) {
	k.Helper()
	if err := os.WriteFile(filepath.Join(k.dir, "pods.json"), []byte(text), 0o600); err != nil {
		k.Fatal(err)
	}
}

// log is what kubectl was called with, a line a call.
func (k *kube) log() string { return fixture.Read(k.T, k.dir, "log") }
