package fleet_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fnb/builder"
	"fnb/builder/buildertest"
	"fnb/builder/fleet"
	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// A rollout of all builders, in the middle of what they do: the selector finds the new ones, some of which have the old
// one's name. There is no cluster here: kubectl is a script that prints a list and leads into real builders.
func TestFleetRollout(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in\n\"get pods \"*) cat %[1]s/pods.json ;;\n*\" exec \"*|exec\\ *) for a; do case $a in pod-*) exec %[2]s %[3]s %[1]s/$a ;; esac; done ;;\nesac\n", dir, exe, buildertest.StdioCommand)
	if err := os.WriteFile(filepath.Join(dir, "kubectl"), []byte(script), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	start := func(pod string) *servers.Buildkitd {
		d := servers.BuildkitdFor(t, servers.BuildkitdOptions{})
		link := filepath.Join(dir, pod)
		if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if err := os.Symlink(strings.TrimPrefix(d.Address, "unix://"), link); err != nil {
			t.Fatal(err)
		}
		return d
	}
	list := func(pods ...string) {
		var items []string
		for _, pod := range pods {
			items = append(items, fmt.Sprintf(`{"metadata": {"name": %q}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}`, pod))
		}
		if err := os.WriteFile(filepath.Join(dir, "pods.json"), []byte(`{"items": [`+strings.Join(items, ",")+`]}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first, second := start("pod-a"), start("pod-b")
	list("pod-a", "pod-b")
	f := fleetOf(t, fleet.Options{Builders: []builder.Options{{Address: "kube-pod://?selector=app=bk"}}, Patience: 20 * time.Second, Silence: 20 * time.Second})
	base := buildertest.SmallBase(t)
	begun := "sleep\x0014." + buildertest.SleepID(t)
	solve := func(name, step string) chan error {
		done := make(chan error, 1)
		go func() {
			_, err := f.Solve(t.Context(), builder.Request{Name: name, Affinity: name, Context: fixture.Files("Dockerfile", base+step)})
			done <- err
		}()
		return done
	}
	step := fmt.Sprintf("RUN test -e /bin && exec sleep 14.%s\n", buildertest.SleepID(t))
	both := []chan error{solve("one", step), solve("two", "RUN true\n"+step), solve("three", "RUN true && true\n"+step)}
	fixture.Eventually(t, 60*time.Second, "the builders are at work", func() bool { return processes(t, begun) == len(both) })
	for _, d := range []*servers.Buildkitd{first, second} {
		if err := syscall.Kill(d.Pid(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	start("pod-b") // as a stateful set's is
	start("pod-c")
	list("pod-b", "pod-c")
	for _, done := range both {
		if err := <-done; err != nil {
			t.Errorf("%T %v", err, err)
		}
	}
	if len(f.Lost()) == 0 {
		t.Error("nobody was lost")
	}
}

// Who finds nobody at first is told at once, and who finds nobody again after a while.
func TestFleetFindsNobody(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "kubectl"), []byte("#!/bin/sh\necho '{\"items\": []}'\n"), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	f := fleetOf(t, fleet.Options{Builders: []builder.Options{{Address: "kube-pod://?selector=app=bk"}}, Renewal: time.Hour})
	_, err := f.Solve(t.Context(), builder.Request{Name: "f", Context: fixture.Files("Dockerfile", "FROM scratch\n")})
	if !errors.As(err, new(*fleet.NoneLeftError)) {
		t.Errorf("%T %v", err, err)
	}
}
